//! One connection of the generator, in at most [`LOAD_CONNECTION_BYTES_MAX`] bytes with its slot.
//!
//! Holds no buffer while nothing is cut: a frame that has arrived in part, and bytes that the kernel did not take, are
//! the only things kept, and given up as soon as they are whole or gone.

use crate::base::Socket;
use crate::base::slab::Slot;
use crate::limits::{LOAD_CONNECTION_BYTES_MAX, LOAD_MESSAGE_BYTES_MAX};
use crate::ring::Interest;
use crate::wire::ClientSession;

/// A connection: the protocol, and the rest of it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) session: ClientSession,
    /// The beginning of a frame or of an answer.
    pub(super) held: Box<[u8]>,
    pub(super) line: Line,
}

/// What is not the protocol.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// What the kernel has not taken yet.
    pub(super) unsent: Vec<u8>,
    /// When the step under way began.
    pub(super) since_ns: u64,
    /// When this connection was meant to begin.
    pub(super) intended_ns: u64,
    /// The number of the mark that is to come next.
    pub(super) next: u32,
    /// Marks sent.
    pub(super) sent: u32,
    pub(super) socket: Socket,
    pub(super) stage: Stage,
    pub(super) group: Group,
    pub(super) reading: bool,
    pub(super) writing: bool,
    /// Whether it is on the list of those to be heard.
    pub(super) waiting: bool,
    /// Whether something of it is among this turn's sends.
    pub(super) queued: bool,
    /// Whether it has said something that nobody wants to hear now.
    pub(super) stalled: bool,
    /// Whether a mark has come that was due.
    pub(super) begun: bool,
    /// Whether a mark has come, if it was begun in a storm.
    pub(super) served: bool,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Stage {
    /// The kernel shakes hands.
    Connecting,
    /// A WebSocket was asked for.
    Greeting,
    /// It is open, and what makes it ready has not come.
    Preparing,
    /// It does what the scenario wants it to.
    Ready,
    /// Our close frame is on its way.
    Closing,
    /// It is over; what the kernel still holds is on its way back.
    #[default]
    Ended,
}

/// Which of a run's connections it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Group {
    /// Those that are well all the time, and whose ticks are followed.
    #[default]
    Steady,
    /// Those that stop reading, or all reconnect at once.
    Wayward,
}

impl Group {
    /// How many groups there are.
    pub(super) const COUNT: usize = 2;

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl Stage {
    /// Whether it is on its way to be of use.
    pub(super) const fn is_opening(self) -> bool {
        matches!(self, Self::Connecting | Self::Greeting | Self::Preparing)
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self {
            session: ClientSession::new(LOAD_MESSAGE_BYTES_MAX),
            held: Box::default(),
            line: Line::default(),
        }
    }
}

impl Line {
    /// A poll has reported.
    pub(super) fn disarm(&mut self, interest: Interest) {
        self.reading &= !interest.reads();
        self.writing &= !interest.writes();
    }

    /// Whether the kernel holds a poll for it.
    pub(super) const fn is_armed(&self) -> bool {
        self.reading || self.writing
    }
}

const _: () = assert!(size_of::<Slot<Peer>>() <= LOAD_CONNECTION_BYTES_MAX);
