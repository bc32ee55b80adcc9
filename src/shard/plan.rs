//! How large a shard is, and what its memory comes to at its busiest.
//!
//! Nothing here depends on what clients do: a shard that has been given its size has been given its memory.

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
    /// How much is done for some in one turn before the others have theirs.
    pub pace: Pace,
}

/// How much of the work that grows with clients and records a shard does in one turn. What is left waits for the next,
/// when those have been heard who connect, ask for something or are due.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Sends of each sort: to those who are live, of replies, to those who catch up; at most [`limits::SEND_BATCH`].
    pub sends: usize,
    /// New records that are looked at.
    pub records: usize,
    /// How often it is noted that a client is to be sent a record, or some that follow each other on its channel; more
    /// or less one record's subscribers.
    pub notes: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            sends: limits::TURN_SENDS,
            records: limits::ROUND_RECORDS,
            notes: limits::TURN_NOTES,
        }
    }
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
            pace: Pace::default(),
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
            pace: Pace::default(),
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
        let per_slot = Wheel::BYTES_PER_SLOT + Hub::BYTES_PER_SLOT + KEYS * size_of::<Key>();
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
/// something, who waits for its share first, who catches up.
const KEYS: usize = 5;
/// Scratch for a reply, and for the frame that it becomes; each may have grown to twice its length.
const REPLIES: usize = 4;
