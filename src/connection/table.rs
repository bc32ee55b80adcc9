//! All connections of a shard and the pools they borrow from.

use super::inbox::{HEADS, POOLS};
use super::{Connection, Inboxes, Lines, Outboxes, inbox};
use crate::base::slab::Slot;
use crate::base::{Cost, Key, Slab};
use crate::limits;

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
    /// Who gives way when a pool, or the table itself, is full.
    pub lines: Lines<LINES>,
    /// Who gives way when the pool of replies is full: whose sockets have not taken all that they are owed.
    pub debts: Lines<DEBTS>,
}

/// The line of those that have sent nothing yet. The lines before it are of those that hold a block, by the number of
/// its pool.
pub const SILENT: u8 = HEADS + 1;
/// The line of those that part.
pub const PARTING: u8 = SILENT + 1;
/// How many lines there are.
pub const LINES: usize = PARTING as usize + 1;

/// The line of those that are owed so much that they are not read from.
pub const LONG_DEBT: u8 = 0;
/// The line of those that are owed less.
pub const SHORT_DEBT: u8 = 1;
/// How many lines of debts there are.
pub const DEBTS: usize = SHORT_DEBT as usize + 1;

/// How many blocks each pool of a shard has. Who asks when a pool for the beginnings of messages or heads is exhausted
/// gets the block of the connection that has held one longest, which is closed: 503 within the opening handshake, 1013
/// afterwards. While the pool for replies lacks blocks for all that one connection may be owed, the connection that has
/// been owed much for longest is dropped; who is owed something when none is left and nobody can go is closed 1013.
#[derive(Clone, Copy, Debug)]
pub struct Pools {
    /// Inbox blocks of 4 KiB.
    pub inbox_small: usize,
    /// Inbox blocks that hold a message of 64 KiB: for a shard whose longest message is far longer.
    pub inbox_medium: usize,
    /// Inbox blocks that hold the longest message.
    pub inbox_large: usize,
    /// Blocks for request heads that have not arrived whole, each of the longest that may come.
    pub heads: usize,
    /// Outbox blocks.
    pub outbox: usize,
    /// Bytes of an outbox block.
    pub outbox_block_bytes: usize,
}

/// What one connection may take of them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes of one message of its peer's, all fragments together. Beyond: close 1009.
    pub message_bytes: u32,
    /// Bytes that it may be owed. Beyond: close 1013.
    pub owed_bytes: usize,
    /// Bytes owed at which nothing more is read from it before it has read what it is owed.
    pub owed_bytes_pause: usize,
    /// From the beginning of its peer's message to its end. Beyond: close 1008.
    pub message_ms: u64,
}

impl Connections {
    /// Bytes of a slot.
    pub const BYTES_PER_SLOT: usize = size_of::<Slot<Connection>>();
    /// Bytes of a slot's places in the lines.
    pub const LINES_BYTES_PER_SLOT: usize = Lines::<LINES>::BYTES_PER_SLOT + Lines::<DEBTS>::BYTES_PER_SLOT;

    /// At most `slots` connections at once.
    #[must_use]
    pub fn new(slots: usize, pools: Pools, bounds: Bounds) -> Self {
        Self {
            slots: Slab::with_capacity(slots),
            inboxes: Inboxes::new(pools.inboxes(), bounds.message_bytes),
            lines: Lines::with_capacity(slots),
            debts: Lines::with_capacity(slots),
            outboxes: Outboxes::new(pools.outbox_block_bytes, pools.outbox, bounds),
        }
    }

    /// What so many pools cost at their busiest.
    #[must_use]
    pub fn costs(pools: Pools, bounds: Bounds) -> Vec<Cost> {
        let mut costs = Inboxes::costs(pools.inboxes(), bounds.message_bytes).to_vec();
        costs.push(Outboxes::cost(pools.outbox_block_bytes, pools.outbox));
        costs
    }

    /// Empties the slot of `key` and gives everything back that it had borrowed.
    pub fn remove(&mut self, key: Key) -> Option<Connection> {
        let mut connection = self.slots.remove(key)?;
        self.lines.leave(key.slot());
        self.debts.leave(key.slot());
        self.inboxes.clear(&mut connection.inbox);
        self.outboxes.clear(&mut connection.outbox);
        Some(connection)
    }
}

impl Pools {
    /// Those of a shard that echoes messages of at most so many bytes: as many blocks as its plan of memory allows,
    /// which costs what has been used of them at its busiest.
    #[must_use]
    pub fn echo(message_bytes_max: u32) -> Self {
        Self {
            inbox_medium: limits::ECHO_MEDIUM_BLOCKS,
            inbox_large: limits::ECHO_POOL_BYTES / inbox::block_bytes(message_bytes_max),
            outbox: limits::ECHO_POOL_BYTES / limits::ECHO_OUTBOX_BLOCK_BYTES,
            outbox_block_bytes: limits::ECHO_OUTBOX_BLOCK_BYTES,
            ..Self::default()
        }
    }

    /// Blocks of the inboxes' pools, by the pools' numbers.
    fn inboxes(self) -> [usize; POOLS] {
        [self.inbox_small, self.inbox_medium, self.inbox_large, self.heads]
    }
}

impl Bounds {
    /// Those of an echo of messages of at most so many bytes. Whoever owes less than makes it pause may be owed one
    /// more message, then a ping and a close frame.
    #[must_use]
    pub fn echo(message_bytes_max: u32) -> Self {
        let control_bytes = limits::SERVER_HEADER_BYTES_MAX + limits::CONTROL_BYTES_MAX;
        Self {
            message_bytes: message_bytes_max,
            owed_bytes: limits::ECHO_OWED_BYTES_PAUSE
                + limits::SERVER_HEADER_BYTES_MAX
                + message_bytes_max as usize
                + 2 * control_bytes,
            owed_bytes_pause: limits::ECHO_OWED_BYTES_PAUSE,
            message_ms: limits::ECHO_MESSAGE_MS,
        }
    }
}

/// Enough for a feed.
impl Default for Pools {
    fn default() -> Self {
        Self {
            inbox_small: 1024,
            inbox_medium: 0,
            inbox_large: 128,
            heads: 1024,
            outbox: limits::OUTBOX_POOL_BYTES / limits::OUTBOX_BLOCK_BYTES,
            outbox_block_bytes: limits::OUTBOX_BLOCK_BYTES,
        }
    }
}

/// Those of a feed.
impl Default for Bounds {
    fn default() -> Self {
        Self {
            message_bytes: MESSAGE_BYTES_MAX,
            owed_bytes: limits::OUTBOX_BYTES_MAX,
            owed_bytes_pause: limits::OUTBOX_BYTES_PAUSE,
            message_ms: limits::MESSAGE_MS,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limits.rs keeps it far below 32 bits"
)]
const MESSAGE_BYTES_MAX: u32 = limits::MESSAGE_BYTES_MAX as u32;
