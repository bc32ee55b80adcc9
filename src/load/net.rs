//! A thread's way to the kernel: its ring, and the sockets that it makes itself.
//!
//! Never waits for a connection: a socket is handed to the ring while the kernel still shakes hands.

use crate::ring::{
    Capabilities, DialOptions, Errno, Socket, Unavailable, UringBuilder, UringOptions, UringRing, dial,
};
use std::net::{IpAddr, SocketAddr};

/// Where connections come from and where they go.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) target: SocketAddr,
    /// Our addresses, each used in turn; none for what the kernel chooses.
    pub(super) sources: Vec<IpAddr>,
    pub(super) receive_buffer_bytes: Option<u32>,
}

/// The ring and the route.
#[derive(Debug)]
pub(super) struct Net {
    pub(super) ring: UringRing,
    route: Route,
    turn: usize,
}

impl Net {
    /// The ring of `builder`, which belongs to this thread from now on. `first` says with which source to begin.
    pub(super) fn new(builder: UringBuilder, route: Route, first: usize) -> Result<Self, Errno> {
        Ok(Self {
            ring: builder.start()?,
            route,
            turn: first,
        })
    }

    /// Begins a connection. It is over when a poll for writing reports.
    pub(super) fn dial(&mut self) -> Result<Socket, Errno> {
        let sources = &self.route.sources;
        let options = DialOptions {
            source: (!sources.is_empty()).then(|| sources[self.turn % sources.len()]),
            receive_buffer_bytes: self.route.receive_buffer_bytes,
        };
        self.turn = self.turn.wrapping_add(1);
        self.ring.adopt(dial(self.route.target, &options)?)
    }
}

/// A ring for so many sockets; as descriptors of its own where `registered` says so.
pub(super) fn ring(
    capabilities: &Capabilities,
    sockets: u32,
    registered: bool,
) -> Result<UringBuilder, Unavailable> {
    let options = UringOptions {
        registered_slots: registered.then_some(sockets),
        ..UringOptions::default()
    };
    UringBuilder::without_listener(capabilities, options)
}
