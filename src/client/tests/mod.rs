//! The client against a server of our own parts, over TCP.

mod compressed;
mod odd;
mod opening;
pub(super) mod peer;
mod returning;
mod talking;
