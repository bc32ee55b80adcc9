//! RFC 6455, RFC 7692 and the HTTP/1.1 upgrade that begins them, sans-IO: bytes in, events out.
//!
//! Never opens a socket, reads a clock, starts a thread or knows what a message means. Whatever a peer sends
//! ends in an event, a [`Fault`] or a refusal, and never in a panic.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic,
        clippy::expect_used
    )
)]

mod close;
mod deflate;
mod event;
mod fault;
mod handshake;
mod header;
mod http;
mod mask;
mod role;
mod send;
mod session;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use deflate::{Deflate, DeflateOffer, DeflatePolicy, Deflater, Inflater};
pub use event::Event;
pub use fault::Fault;
pub use handshake::{Accepted, Offer, OfferFault, Protocol, Rejection, Upgrade};
pub use header::{Direction, FrameHeader, HeaderBytes, Opcode, compressed_server_header, server_header};
pub use http::{Fields, HeadFault, HeadScan, Refusal, Repeated, Request, Target, write_ok};
pub use mask::unmask;
pub use role::{Client, Role, Server};
pub use send::{MaskingKey, Phase, Sender, Silenced};
pub use session::{ClientSession, Decoder, ServerSession, Session};
pub use utf8::{InvalidUtf8, Utf8};

#[cfg(any(test, fuzzing))]
pub(crate) use deflate::naive::naive_inflate;
#[cfg(any(test, fuzzing))]
pub(crate) use session::naive::{DeflateTerms, Owned, Terms, naive_outcome};
