//! All connections of a shard and the pools they borrow from.

use super::{Connection, Inboxes, Outboxes};
use crate::base::{Key, Slab};

/// Every connection of a shard. The parts are public because a turn borrows them apart: one connection's slot,
/// the block its message is in, and the pool its replies go to.
#[derive(Debug)]
pub struct Connections {
    /// The slots.
    pub slots: Slab<Connection>,
    /// Blocks for beginnings of messages.
    pub inboxes: Inboxes,
    /// Blocks for replies.
    pub outboxes: Outboxes,
}

/// How many blocks each pool of a shard has. An exhausted pool closes the connection that asked: 503 within the
/// opening handshake, 1013 afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// Inbox blocks of 4 KiB.
    pub inbox_small: usize,
    /// Inbox blocks that hold the largest message.
    pub inbox_large: usize,
    /// Outbox blocks.
    pub outbox: usize,
    /// Bytes of an outbox block.
    pub outbox_block_bytes: usize,
}

impl Connections {
    /// At most `slots` connections at once.
    #[must_use]
    pub fn new(slots: usize, pools: Pools) -> Self {
        Self {
            slots: Slab::with_capacity(slots),
            inboxes: Inboxes::new(pools.inbox_small, pools.inbox_large),
            outboxes: Outboxes::new(pools.outbox_block_bytes, pools.outbox),
        }
    }

    /// Empties the slot of `key` and gives everything back that it had borrowed.
    pub fn remove(&mut self, key: Key) -> Option<Connection> {
        let mut connection = self.slots.remove(key)?;
        self.inboxes.clear(&mut connection.inbox);
        self.outboxes.clear(&mut connection.outbox);
        Some(connection)
    }
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            inbox_small: 1024,
            inbox_large: 128,
            outbox: 4096,
            outbox_block_bytes: 4096,
        }
    }
}
