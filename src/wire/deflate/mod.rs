//! permessage-deflate (RFC 7692): what two ends agree on, and messages made shorter by it.
//!
//! Never decides by itself what is worth compressing, and never keeps anything for a connection unless it is
//! asked to: without context takeover one [`Inflater`] and one [`Deflater`] serve any number of connections.

mod deflater;
mod inflater;
#[cfg(any(test, fuzzing))]
pub(super) mod naive;
mod parameters;
#[cfg(test)]
mod tests;

pub use deflater::Deflater;
pub use inflater::Inflater;
pub use parameters::{Deflate, DeflateOffer, DeflatePolicy};

pub(in crate::wire) use parameters::negotiate;

/// What ends the data of every flushed stream, and so need not be sent (RFC 7692 §7.2.1): the lengths of an empty
/// stored block.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];
/// The base-2 logarithm of the largest LZ77 window (RFC 7692 §7.1.2.1), and what is meant where none is named.
const WINDOW_BITS_MAX: u8 = 15;
/// The smallest that may be agreed on.
const WINDOW_BITS_MIN: u8 = 8;
