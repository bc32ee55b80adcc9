//! The client against a server of our own parts, over TCP.

mod opening;
mod peer;
mod talking;
