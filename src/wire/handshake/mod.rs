//! The opening handshake (RFC 6455 §4), from either end.
//!
//! Never decides what is served: which path, origin and subprotocol will do is the caller's to say.

mod extensions;
mod key;
mod offer;
mod upgrade;

pub use offer::{Accepted, Offer, OfferFault, Rejection};
pub use upgrade::{Protocol, Upgrade};

pub(super) use extensions::{Extension, Value};
