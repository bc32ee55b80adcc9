//! What is still to come in a simulation, and when.
//!
//! Invariant: events are ordered by time, and those of one time by the order in which they were made.

use crate::ring::Completion;
use std::cmp::Ordering;

/// Something that happens at a time.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) at_ns: u64,
    pub(super) number: u64,
    pub(super) what: What,
}

/// What happens.
#[derive(Debug)]
pub(super) enum What {
    /// Bytes or an end arrive on a link.
    Arrival(usize),
    /// A client's connection reaches the listener.
    Connection(usize),
    /// A station hears of something that was held back.
    Delivery(usize, Posted),
    /// A poll of a link fires for no reason, if the arm of this number is still there.
    Spurious(usize, u64),
}

/// A completion that a wait delivers; of a poll, with its link and the number of its arm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Posted {
    pub(super) completion: Completion,
    pub(super) poll: Option<(usize, u64)>,
}

impl Completion {
    /// What the fingerprint takes of it.
    pub(super) fn words(self) -> [u64; 4] {
        match self {
            Self::Accepted { socket } => [0, u64::from(socket.raw()), 0, 0],
            Self::AcceptStopped { errno } => [1, u64::from(errno.0.unsigned_abs()), 0, 0],
            Self::Ready {
                key,
                interest,
                readiness,
            } => {
                let bits = u64::from(readiness.read)
                    | u64::from(readiness.write) << 1
                    | u64::from(readiness.hangup) << 2
                    | u64::from(readiness.end) << 3;
                let [slot, generation] = [key.slot(), key.generation()].map(u64::from);
                [2 | (interest as u64) << 8, slot, generation, bits]
            }
            Self::Doorbell => [3, 0, 0, 0],
            Self::Disarmed { key } => {
                let [slot, generation] = [key.slot(), key.generation()].map(u64::from);
                [4, slot, generation, 0]
            }
        }
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Event {}
