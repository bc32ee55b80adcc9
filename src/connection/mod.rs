//! One client: its life, the bytes it has sent that are not yet a whole message, the replies it is owed.
//!
//! It never makes a system call and never looks at a channel: the shard moves bytes between it and the ring, and
//! the hub knows it only as a [`Key`](crate::base::Key). Its slot has a fixed size; whatever else it needs is
//! borrowed from pools of a fixed size, so that a connection's cost is known before it is accepted.
//!
//! - [`life`]: what a connection is doing, as one enum;
//! - [`inbox`]: a block for the part of a message that has arrived;
//! - [`outbox`]: a chain of blocks for bytes that are owed;
//! - [`table`]: all connections of a shard and their pools.

pub mod inbox;
pub mod life;
pub mod outbox;
pub mod table;

pub use inbox::{Inbox, Inboxes};
pub use life::Stage;
pub use outbox::{Outbox, Outboxes};
pub use table::{Bounds, Connections, Pools};

use crate::base::Socket;
use crate::wire::{Deflate, HeadScan, ServerSession};

/// One client's slot.
#[derive(Debug)]
pub struct Connection {
    /// The state of its protocol, once it is open.
    pub session: ServerSession,
    /// What was agreed on about compression.
    pub deflate: Option<Deflate>,
    /// Where its bytes come from and go to.
    pub socket: Socket,
    /// What it is doing.
    pub stage: Stage,
    /// The polls that the kernel holds for it.
    pub armed: Armed,
    /// What its input waits for, unread.
    pub pause: Pause,
    /// Whether it waits in the shard's list of those that have something to say.
    pub waiting: bool,
    /// Whether it waits in the shard's queue of those that catch up.
    pub queued: bool,
    /// Whether it waits in the shard's list of those that are owed something.
    pub owing: bool,
    /// What has arrived of an unfinished message.
    pub inbox: Inbox,
    /// What it is owed.
    pub outbox: Outbox,
    /// When its peer was last heard of, in milliseconds of the shard's clock; wraps after 49 days.
    pub heard_ms: u32,
    /// How many commands it has sent lately.
    pub rate: Rate,
}

const _: () = assert!(
    size_of::<Connection>() <= 120,
    "with the slab's 8 bytes a slot is at most 128"
);

/// The one-shot polls that the kernel holds for a connection. Its slot is not free before both have reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed {
    /// One that reports something to read.
    pub read: bool,
    /// One that reports room to write. A connection that has one is *blocked*: its socket took less than it was
    /// given, and nothing is sent before the poll reports.
    pub write: bool,
}

/// What the rest of a connection's input waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pause {
    /// Nothing: it is read as it comes.
    #[default]
    None,
    /// That the client reads its replies.
    Replies,
    /// That the client has everything, so that it can subscribe to more.
    Live,
    /// That the client has what its newest subscriptions owe it, so that it can end some.
    Joined,
}

impl Armed {
    /// Whether the kernel holds none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What is in a slot that nobody has.
impl Default for Connection {
    fn default() -> Self {
        Self {
            session: ServerSession::new(0),
            deflate: None,
            socket: Socket::default(),
            stage: Stage::default(),
            armed: Armed::default(),
            pause: Pause::default(),
            waiting: false,
            queued: false,
            owing: false,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            heard_ms: 0,
            rate: Rate::default(),
        }
    }
}

impl Connection {
    /// A connection just accepted on `socket`, whose messages have at most so many bytes.
    #[must_use]
    pub fn accepted(socket: Socket, surplus: bool, message_bytes_max: u32) -> Self {
        Self {
            session: ServerSession::new(message_bytes_max),
            socket,
            stage: Stage::Handshake {
                scan: HeadScan::default(),
                surplus,
            },
            ..Self::default()
        }
    }

    /// Whether nothing can be sent to it before its socket reports room.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.armed.write
    }
}

/// Counts commands within one second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    second: u32,
    count: u16,
}

impl Rate {
    /// Takes back the command counted last: it was not carried out yet.
    pub fn forgive(&mut self) {
        self.count = self.count.saturating_sub(1);
    }

    /// Counts `commands` commands at `now_ms` and says whether there were at most `max` within this second.
    pub fn admit(&mut self, now_ms: u64, commands: u16, max: u16) -> bool {
        let second = u32::try_from((now_ms / 1000) & u64::from(u32::MAX)).unwrap_or(0);
        if second != self.second {
            *self = Self { second, count: 0 };
        }
        self.count = self.count.saturating_add(commands);
        self.count <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_admits_so_many_a_second() {
        let mut rate = Rate::default();
        let admitted = (0..60).filter(|_| rate.admit(1_500, 1, 50)).count();
        assert_eq!(admitted, 50);
        assert!(!rate.admit(1_999, 1, 50));
        assert!(rate.admit(2_000, 33, 50), "a large command counts as many");
        assert!(!rate.admit(2_000, 33, 50));
    }
}
