//! One simulated connection, with the server's view of it.
//!
//! Knows no time and no chance of its own. Invariant: at most two polls are armed on it, one for each direction.

use super::pipe::Pipe;
use crate::base::Key;
use crate::ring::{Errno, Interest, Readiness};

/// A connection between a client and a station.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) station: usize,
    pub(super) life: Life,
    pub(super) to_server: Pipe,
    pub(super) to_client: Pipe,
    /// The server has ended both directions.
    pub(super) shut: bool,
    /// The connection was reset.
    pub(super) broken: bool,
    pub(super) arms: Vec<Arm>,
    /// The server has been told of the reset, once; from then on it is merely over.
    told: bool,
}

/// Where a connection stands with its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Life {
    /// On its way to the listener, or waiting there to be accepted.
    Waiting,
    /// Accepted and not closed.
    Open,
    /// Closed, or refused.
    Closed,
}

/// An armed poll. Once fired it waits to be delivered, and counts as armed until then; a lasting one also afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arm {
    pub(super) key: Key,
    pub(super) interest: Interest,
    pub(super) number: u64,
    pub(super) fired: bool,
    /// It is a lasting poll that was told to end.
    pub(super) ending: bool,
    /// What a lasting poll has reported.
    pub(super) seen: News,
}

/// Everything that has ever come to the server on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    landed: u64,
    ended: bool,
    hangup: bool,
}

impl Arm {
    pub(super) fn is_lasting(&self) -> bool {
        self.interest == Interest::Arrivals
    }
}

impl Link {
    pub(super) fn new(station: usize, to_server_bytes: usize, to_client_bytes: usize) -> Self {
        Self {
            station,
            life: Life::Waiting,
            to_server: Pipe::new(to_server_bytes),
            to_client: Pipe::new(to_client_bytes),
            shut: false,
            broken: false,
            arms: Vec::new(),
            told: false,
        }
    }

    pub(super) fn settle(&mut self, now_ns: u64) {
        self.to_server.settle(now_ns);
        self.to_client.settle(now_ns);
        debug_assert!(self.arms.len() <= 2);
    }

    pub(super) fn reset(&mut self) {
        self.broken = true;
        self.to_server.cut();
        self.to_client.cut();
    }

    /// What the server would receive now: how many bytes at most, or why none.
    pub(super) fn receivable(&mut self, now_ns: u64) -> Result<usize, Errno> {
        if self.to_server.arrived() > 0 {
            return Ok(self.to_server.arrived());
        }
        if self.broken && !self.told {
            self.told = true;
            return Err(Errno::CONNECTION_RESET);
        }
        if self.broken || self.shut || self.to_server.has_ended(now_ns) {
            return Ok(0);
        }
        Err(Errno::AGAIN)
    }

    /// What the server could send now: how many bytes at most, or why none.
    pub(super) fn sendable(&mut self) -> Result<usize, Errno> {
        if self.broken && !self.told {
            self.told = true;
            return Err(Errno::CONNECTION_RESET);
        }
        if self.broken || self.shut || self.to_client.is_finished() {
            return Err(Errno::PIPE);
        }
        match self.to_client.room() {
            0 => Err(Errno::AGAIN),
            room => Ok(room),
        }
    }

    pub(super) fn readiness(&self, now_ns: u64) -> Readiness {
        Readiness {
            read: self.to_server.arrived() > 0 || self.to_server.has_ended(now_ns),
            end: self.to_server.has_ended(now_ns),
            write: self.to_client.is_writable(),
            hangup: self.broken || self.shut,
        }
    }

    pub(super) fn news(&self, now_ns: u64) -> News {
        News {
            landed: self.to_server.landed(),
            ended: self.to_server.has_ended(now_ns),
            hangup: self.broken || self.shut,
        }
    }
}

impl Interest {
    /// What a poll that watches for this reports of it.
    pub(super) fn of(self, readiness: Readiness) -> Readiness {
        let Readiness {
            read,
            end,
            write,
            hangup,
        } = readiness;
        Readiness {
            read: hangup || read && self.reads(),
            end: hangup || end && self.reads(),
            write: hangup || write && self.writes(),
            hangup,
        }
    }
}

impl Readiness {
    /// Both of what two reports say.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            read: self.read || other.read,
            end: self.end || other.end,
            write: self.write || other.write,
            hangup: self.hangup || other.hangup,
        }
    }
}
