//! What a shard has the writer do for one of its clients, and what came of it.
//!
//! Nothing here is borrowed, because an errand goes to another thread. It comes back with its answer: the shard keeps no
//! list of those that are under way, and what an errand holds is freed by the thread that made it. Invariant: every errand
//! that was taken is answered once, and those of one shard in the order in which they were sent.

use super::Code;
use crate::base::lane::{Inlet, Outlet, lane};
use crate::base::{Cost, Key, Part, PublisherId};
use crate::limits;

/// Something that only the writer can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errand {
    /// Which of the shard's clients asked for it.
    pub client: Key,
    /// What the client called its request.
    pub id: Option<u64>,
    /// What it is.
    pub want: Want,
}

/// What an errand is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// To publish a message.
    Publish(Box<Publish>),
    /// To have channels of these names, which are proper ones, as far as there can be.
    Open(Box<[Box<str>]>),
    /// To have the derived channel of this name made, for the clients of this shard.
    Derive(Box<str>),
    /// Not to have the derived channel of this number made any longer, as far as this shard is concerned.
    Dismiss(u32),
}

/// A message that a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publish {
    /// Who it is, which may publish on the channel: the shard has seen to that.
    pub publisher: PublisherId,
    /// The channel, a proper name.
    pub channel: Box<str>,
    /// What tells the message from every other one of the publisher's, so that it can be sent again.
    pub key: Option<Box<str>>,
    /// The request as the client wrote it, in which the message stands.
    pub text: Box<str>,
}

/// What came of an errand, and the errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it was sent.
    pub errand: Errand,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an errand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is published, and as safe as the server was told to make it.
    Published {
        /// Its number, or that of the first one with its key.
        seq: u64,
    },
    /// The channels that were asked for are on the tape, as far as there can be.
    Opened,
    /// The derived channel is made, and its state is a message.
    Derived {
        /// The number of the channel.
        channel: u32,
        /// The number of its newest message.
        seq: u64,
    },
    /// It is not, for this shard.
    Dismissed,
    /// Nothing was done, or it is not known to be safe.
    Refused {
        /// Why.
        code: Code,
        /// Why, in words.
        message: String,
    },
}

impl Outcome {
    /// What it is once readers have been shown what was published: `judge` has the last word on a message, of which it is told
    /// the number in the journal.
    #[must_use]
    pub fn judged(self, journaled: Option<u64>, judge: impl Fn(Option<u64>) -> Option<Self>) -> Self {
        match self {
            Self::Published { .. } => judge(journaled).unwrap_or(self),
            Self::Opened | Self::Derived { .. } | Self::Dismissed | Self::Refused { .. } => self,
        }
    }
}

/// A shard's end of the way to the writer and back.
#[derive(Debug)]
pub struct ShardEnd {
    /// To the writer.
    pub errands: Inlet<Errand>,
    /// From it.
    pub answers: Outlet<Answer>,
}

/// The writer's end.
#[derive(Debug)]
pub struct WriterEnd {
    /// From the shard.
    pub errands: Outlet<Errand>,
    /// To it.
    pub answers: Inlet<Answer>,
}

/// A way between one shard and the writer, and what wakes either of them. Since every answer belongs to an errand, and a
/// shard has no more of these under way than [`ERRANDS_PER_SHARD_MAX`](limits::ERRANDS_PER_SHARD_MAX), there is always
/// room for an answer.
#[must_use]
pub fn way(
    wake_writer: impl Fn() + Send + 'static,
    wake_shard: impl Fn() + Send + 'static,
) -> (ShardEnd, WriterEnd) {
    let (errands, taken) = lane(limits::ERRANDS_PER_SHARD_MAX, wake_writer);
    let (answers, answered) = lane(limits::ERRANDS_PER_SHARD_MAX, wake_shard);
    let shard = ShardEnd {
        errands,
        answers: answered,
    };
    let writer = WriterEnd {
        errands: taken,
        answers,
    };
    (shard, writer)
}

/// What such a way costs when it is as full as it gets.
#[must_use]
pub fn costs(shards: usize) -> [Cost; 2] {
    let entry = size_of::<Errand>() + size_of::<Answer>() + 2 * size_of::<usize>();
    [
        Cost::new(
            Part::Pools,
            "errands to the writer",
            shards * limits::ERRANDS_PER_SHARD_MAX,
            entry,
        ),
        Cost::new(
            Part::Pools,
            "what they carry",
            shards,
            limits::ERRANDS_BYTES_PER_SHARD_MAX,
        ),
    ]
}

impl Errand {
    /// Whether what came of it is the reply to a request.
    #[must_use]
    pub fn has_reply(&self) -> bool {
        matches!(self.want, Want::Publish(_))
    }

    /// Bytes that it takes besides its place in a lane.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.want {
            Want::Publish(publish) => {
                let key = publish.key.as_ref().map_or(0, |key| key.len());
                size_of::<Publish>() + publish.channel.len() + key + publish.text.len()
            }
            Want::Derive(name) => name.len(),
            Want::Dismiss(_) => 0,
            Want::Open(names) => names.iter().map(|name| size_of::<Box<str>>() + name.len()).sum(),
        }
    }
}
