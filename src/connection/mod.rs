//! One client: its life, the bytes it has sent that are not yet a whole message, the replies it is owed.
//!
//! It never makes a system call and never looks at a channel: the shard moves bytes between it and the ring, and
//! the hub knows it only as a [`Key`](crate::base::Key). Its slot has a fixed size; whatever else it needs is
//! borrowed from pools of a fixed size, so that a connection's cost is known before it is accepted.
//!
//! - [`life`]: what a connection is doing, as one enum;
//! - [`inbox`]: a block for the part of a message that has arrived;
//! - [`outbox`]: a chain of blocks for bytes that are owed;
//! - [`rate`]: how fast it talks;
//! - [`lines`]: who has waited longest, of those that have a block or are not open;
//! - [`table`]: all connections of a shard and their pools.

pub mod inbox;
pub mod life;
pub mod lines;
pub mod outbox;
pub mod rate;
pub mod table;

pub use inbox::{Inbox, Inboxes};
pub use life::Stage;
pub use lines::Lines;
pub use outbox::{Outbox, Outboxes};
pub use rate::Rate;
pub use table::{Bounds, Connections, Pools};

use crate::base::{PublisherId, Socket};
use crate::limits;
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
    /// Whether the last reception took everything that had arrived by then. While its poll is a lasting one, whoever is
    /// read from is drained or waits to be heard.
    pub drained: bool,
    /// How often it was received from since its pulse was last looked at, as far as eight bits can count.
    pub receptions: u8,
    /// What its input waits for, unread.
    pub pause: Pause,
    /// Whether it waits in the shard's list of those that have something to say.
    pub waiting: bool,
    /// Whether it waits in the shard's queue of those that catch up.
    pub queued: bool,
    /// Whether it waits in the shard's list of those that are owed something.
    pub owing: bool,
    /// Whether it has ended a message since its place in its [line](Connections::lines) was last looked at.
    pub ended: bool,
    /// What has arrived of an unfinished message.
    pub inbox: Inbox,
    /// What it is owed.
    pub outbox: Outbox,
    /// Pings in a row that it was due, and has given no sign of life since.
    pub unanswered: u8,
    /// When it is looked at while it is open.
    pub visits: Visits,
    /// Whether it has been sent a message since it was looked at last, other than its share of a round.
    pub told: bool,
    /// What it is judged for when it has been heard once more.
    pub overdue: Overdue,
    /// How fast it talks.
    pub rate: Rate,
    /// What the writer does for it at present: how many answers it waits for.
    pub under_way: u8,
    /// Whether the channels that its next request names have been asked for.
    pub asked: bool,
    /// As whom it may publish.
    pub publisher: PublisherId,
}

const _: () = assert!(
    size_of::<Connection>() <= 120,
    "with the slab's 8 bytes a slot is at most 128"
);

/// The polls that the kernel holds for a connection. Its slot is not free before both have ended: a one-shot poll does by
/// reporting, a lasting one when it is told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Armed {
    /// One that reports something to read.
    pub read: bool,
    /// Whether that is a lasting one, which reports again and again, but only what is new.
    pub lasting: bool,
    /// One that reports room to write. A connection that has one is *blocked*: its socket took less than it was
    /// given, and nothing is sent before the poll reports.
    pub write: bool,
}

/// Of which deadlines of a connection the time is up. It is not late before it has been heard once more: what would have
/// met a deadline may have waited for the shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overdue {
    /// That of its handshake, its pongs or its close, whose timer is not set any more.
    pub timer: bool,
    /// That of its message.
    pub message: bool,
}

/// When an open connection is looked at next, in milliseconds of the shard's clock, of which these are the last 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Visits {
    /// To be pinged.
    pub ping_ms: u32,
    /// To be sent a heartbeat where it has been sent nothing else.
    pub look_ms: u32,
}

/// What the rest of a connection's input waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pause {
    /// Nothing: it is read as it comes.
    #[default]
    None,
    /// That the client reads its replies.
    Replies,
    /// The next turn: this one's work for it is done.
    Turn,
    /// A look at the tape: it asks for what this shard has not heard of yet, and others may have.
    News,
    /// That the client has everything, so that it can subscribe to more.
    Live,
    /// That the client has what its newest subscriptions owe it, so that it can end some.
    Joined,
    /// That the writer has answered everything that the client has asked it for.
    Answers,
    /// That the writer can be asked for more.
    Room,
}

impl Overdue {
    /// Whether it is of none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
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
            drained: false,
            receptions: 0,
            pause: Pause::default(),
            waiting: false,
            queued: false,
            owing: false,
            ended: false,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            unanswered: 0,
            visits: Visits::default(),
            told: false,
            overdue: Overdue::default(),
            rate: Rate::default(),
            under_way: 0,
            asked: false,
            publisher: PublisherId::default(),
        }
    }
}

impl Connection {
    /// A connection just accepted on `socket`, whose messages have at most so many bytes.
    #[must_use]
    pub fn accepted(socket: Socket, message_bytes_max: u32) -> Self {
        Self {
            session: ServerSession::new(message_bytes_max),
            socket,
            stage: Stage::Handshake {
                scan: HeadScan::default(),
            },
            ..Self::default()
        }
    }

    /// The [line](Connections::lines) in which it belongs: everyone has a place who is not open, or holds a block.
    #[must_use]
    pub fn line(&self) -> Option<u8> {
        match (self.stage, self.inbox.pool()) {
            (Stage::Down, _) | (Stage::Open, None) => None,
            (_, Some(pool)) => Some(pool),
            (Stage::Handshake { .. }, None) => Some(table::SILENT),
            (Stage::Closing | Stage::Flushing | Stage::Lingering { .. }, None) => Some(table::PARTING),
        }
    }

    /// Whether it has given no sign of life for as long as it may.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.unanswered >= limits::PINGS_UNANSWERED_MAX
    }

    /// Whether what it is owed waits for nothing but that the shard sends it.
    #[must_use]
    pub fn is_ours_to_send(&self) -> bool {
        self.owing && !self.is_blocked()
    }

    /// Whether nothing can be sent to it before its socket reports room.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.armed.write
    }
}
