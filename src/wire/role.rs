//! The two ends of a connection, as types: a server cannot mask and a client cannot forget to.

use super::Direction;
use std::fmt::Debug;

/// The server's end: receives masked frames and sends unmasked ones (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug)]
pub enum Server {}

/// The client's end: receives unmasked frames and masks each frame it sends with a key of its own
/// (RFC 6455 §5.1, §5.3).
#[derive(Clone, Copy, Debug)]
pub enum Client {}

/// Either [`Server`] or [`Client`].
pub trait Role: sealed::Sealed + Debug {
    /// Which way the frames travel that this end receives.
    const INBOUND: Direction;
}

impl Role for Server {
    const INBOUND: Direction = Direction::ToServer;
}

impl Role for Client {
    const INBOUND: Direction = Direction::ToClient;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Server {}
    impl Sealed for super::Client {}
}
