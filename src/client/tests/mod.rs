//! The client against a server of our own parts, over TCP.

mod compressed;
mod opening;
mod peer;
mod talking;
