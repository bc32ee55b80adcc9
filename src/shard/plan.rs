//! How large a shard is, and what its memory comes to at its busiest.
//!
//! Nothing here depends on what clients do: a shard that has been given its size has been given its memory.

use super::catch_up::CatchUp;
use super::flush::PUSHED_BYTES;
use super::outgoing::Outgoing;
use super::site::SCRATCH_BYTES;
use super::wheel::Wheel;
use crate::base::SlotQueue;
use crate::base::cost::{self, Cost, Part};
use crate::connection::{Bounds, Connections, Pools};
use crate::hub::{FanOut, Hub};
use crate::limits;
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
    /// A shard that serves a feed to so many, with memory for so many subscriptions of each.
    #[must_use]
    pub fn feed(connections: usize, subscriptions_each: usize) -> Self {
        Self {
            connections,
            subscriptions: connections.saturating_mul(subscriptions_each),
            pools: Pools::default(),
            bounds: Bounds::default(),
            hot_receptions: limits::HOT_RECEPTIONS,
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
            hot_receptions: limits::HOT_RECEPTIONS,
            pace: Pace::default(),
        }
    }

    /// Slots for connections: those that are served, and those that come and go beside them.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.connections + limits::REFUSALS_PER_SHARD
    }

    /// What clients can make a shard cost, whatever they send: its slots, subscriptions and pools, and what it works
    /// in. What it knows of channels is its source's doing, and not counted.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let slots = PER_SLOT.map(|(what, bytes)| Cost::new(Part::Slots, what, self.slots(), bytes));
        let subscriptions = PER_SUBSCRIPTION
            .map(|(what, bytes)| Cost::new(Part::Subscriptions, what, self.subscriptions, bytes));
        let mut costs = slots.to_vec();
        costs.extend(subscriptions);
        costs.extend(Connections::costs(self.pools, self.bounds));
        costs.extend(self.working());
        costs
    }

    /// Bytes of all that.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        cost::sum(&self.costs())
    }

    /// What a shard works in, however many it serves.
    fn working(&self) -> [Cost; 6] {
        let cost = |what, count, bytes_each| Cost::new(Part::Working, what, count, bytes_each);
        let inflater_bytes = Inflater::bytes_max(self.bounds.message_bytes);
        [
            cost("lanes to receive into", limits::RECV_BATCH, limits::RECV_BYTES),
            cost("sends of one submission", 1, Outgoing::BYTES + PUSHED_BYTES),
            cost("slices of those who catch up", 1, CatchUp::BYTES),
            cost("replies being written", 2, SCRATCH_BYTES),
            cost("inflater", 1, inflater_bytes),
            // All of them may be of one channel, whose list is copied when it has doubled; what it left behind is no longer
            // than it is.
            cost(
                "lists of subscribers left behind",
                self.subscriptions,
                Hub::TOPIC_BYTES_PER_SUBSCRIPTION,
            ),
        ]
    }
}

/// Bytes of user memory that a connection costs, at most, whatever it borrows.
pub const SLOT_BYTES: usize = sum(&PER_SLOT);
/// Bytes of user memory that an idle connection with one subscription costs, at most.
pub const IDLE_CONNECTION_BYTES: usize = SLOT_BYTES + sum(&PER_SUBSCRIPTION);

const _: () = assert!(IDLE_CONNECTION_BYTES <= limits::IDLE_CONNECTION_BYTES_MAX);

/// What each slot has, and its bytes.
const PER_SLOT: [(&str, usize); 6] = [
    ("connections", Connections::BYTES_PER_SLOT),
    ("places in lines", Connections::LINES_BYTES_PER_SLOT),
    ("timers", Wheel::BYTES_PER_SLOT),
    ("shares of a turn", FanOut::BYTES_PER_SLOT),
    ("places on the tape", Hub::BYTES_PER_SLOT),
    ("places in queues", QUEUES * SlotQueue::BYTES_PER_SLOT),
];
/// What each subscription has, and its bytes.
const PER_SUBSCRIPTION: [(&str, usize); 2] = [
    ("of their clients", Hub::BYTES_PER_SUBSCRIPTION),
    ("of their channels", Hub::TOPIC_BYTES_PER_SUBSCRIPTION),
];

const fn sum(parts: &[(&str, usize)]) -> usize {
    let (mut sum, mut at) = (0, 0);
    while at < parts.len() {
        sum += parts[at].1;
        at += 1;
    }
    sum
}

/// Queues in each of which a connection may stand: of those who have something to say, are owed something, must be sent
/// their share of a round first, catch up, wait for room to ask the writer for something.
const QUEUES: usize = 5;
