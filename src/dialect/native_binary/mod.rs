//! `tickwire.v1.bin`: ticks as fixed layouts of little-endian numbers, in the style of SBE.
//!
//! Never keeps anything between two messages: each names its channel itself, so that it can be read by whoever gets
//! it, a newcomer as well as one that was conflated. Numbers of channels would be 10 bytes shorter in a message, and
//! every client would need the table that they stand for before its first tick, and again whenever a channel opens:
//! frames for one client alone, that must not be lost or overtaken. What is not a tick (acknowledgements, errors, gaps,
//! heartbeats) and what clients say is JSON text, as in [`native_json`](super::native_json).
//!
//! `docs/binary.md` is the reference for those who write a decoder, and `docs/tickwire-v1-bin.xml` the schema.
//!
//! Invariant: a tick that was encoded is decoded to the same tick, to the digit and to the trailing zero.

pub mod decode;
pub mod encode;
pub mod layout;

pub use decode::{Content, DecodeError, Message};
pub use encode::encode;

#[cfg(test)]
mod tests;
