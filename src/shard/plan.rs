//! How large a shard is, and what its memory comes to at its busiest.
//!
//! Nothing here depends on what clients do: a shard that has been given its size has been given its memory.

use super::fan_out::FanOut;
use super::wheel::Wheel;
use crate::base::Key;
use crate::connection::{Bounds, Connections, Pools};
use crate::hub::Hub;
use crate::limits;
use crate::ring::Completion;
use crate::wire::Inflater;

/// How large a shard is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Connections that it serves at once.
    pub connections: usize,
    /// Subscriptions of all of them together.
    pub subscriptions: usize,
    /// Blocks of its pools.
    pub pools: Pools,
    /// What one connection may take of them.
    pub bounds: Bounds,
    /// Receptions from one connection, between two looks at its pulse, that make it a hot one.
    pub hot_receptions: u8,
}

impl Size {
    /// A shard that serves a feed to so many.
    #[must_use]
    pub fn feed(connections: usize) -> Self {
        Self {
            connections,
            subscriptions: connections * limits::SUBSCRIPTIONS_PER_CONNECTION_PLANNED,
            pools: Pools::default(),
            bounds: Bounds::default(),
            hot_receptions: limits::HOT_RECEPTIONS,
        }
    }

    /// A shard that echoes messages of at most so many bytes to so many.
    #[must_use]
    pub fn echo(connections: usize, message_bytes_max: u32) -> Self {
        Self {
            connections,
            subscriptions: 0,
            pools: Pools::echo(message_bytes_max),
            bounds: Bounds::echo(message_bytes_max),
            hot_receptions: limits::HOT_RECEPTIONS,
        }
    }

    /// Slots for connections: those that are served, and those that come and go beside them.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.connections + limits::REFUSALS_PER_SHARD
    }

    /// Bytes of memory that clients can make a shard use, whatever they send: its slots, subscriptions and pools, and
    /// what it works in. What it knows of channels is its source's doing, and not counted.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        let per_slot =
            FanOut::BYTES_PER_SLOT + Wheel::BYTES_PER_SLOT + Hub::BYTES_PER_SLOT + KEYS * size_of::<Key>();
        let working = limits::RECV_BATCH * limits::RECV_BYTES
            + limits::WAIT_COMPLETIONS * size_of::<Completion>()
            + REPLIES * limits::REPLY_BYTES_MAX
            + Inflater::bytes_max(self.bounds.message_bytes);
        Connections::bytes_max(self.slots(), self.pools, self.bounds)
            + self.slots() * per_slot
            + self.subscriptions * Hub::BYTES_PER_SUBSCRIPTION
            + working
    }
}

/// Lists of connections in each of which one may stand: who has something to say and is being heard, who is owed
/// something, who catches up.
const KEYS: usize = 4;
/// Scratch for a reply, and for the frame that it becomes; each may have grown to twice its length.
const REPLIES: usize = 4;
