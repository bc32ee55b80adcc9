//! What the threads of a run share: what they are told, and what they say about themselves while it lasts.
//!
//! Numbers are as they were a moment ago; what is reported at the end comes with the threads' own outcome.

use super::board::Board;
use super::line::Group;
use super::windows::{Latencies, Windows};
use crate::base::census::Gauge;
use crate::limits::{LOAD_TICKS, LOAD_WINDOWS};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// What all threads are told, and where they meet.
#[derive(Debug)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// When everyone wayward was dropped; 0 for never.
    storm_ns: AtomicU64,
    pub(super) windows: Windows,
    pub(super) board: Board,
    /// What the first server that refused us said.
    pub(super) words: OnceLock<String>,
}

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Phase {
    /// Connections are opened, and nothing else.
    Open,
    /// Everyone does what the scenario is about.
    Run,
    /// The wayward do not read.
    Stall,
    /// They do again.
    Resume,
    /// They were dropped, and come back.
    Storm,
    /// Nothing new begins, and what is under way comes to its end.
    Drain,
    /// Everyone parts.
    Close,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            phase: AtomicU8::new(Phase::Open as u8),
            storm_ns: AtomicU64::new(0),
            windows: Windows::new(),
            board: Board::new(LOAD_TICKS),
            words: OnceLock::new(),
        }
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Open,
            1 => Phase::Run,
            2 => Phase::Stall,
            3 => Phase::Resume,
            4 => Phase::Storm,
            5 => Phase::Drain,
            _ => Phase::Close,
        }
    }

    pub(super) fn begin_storm(&self, now_ns: u64) {
        self.storm_ns.store(now_ns, Ordering::Release);
        self.set_phase(Phase::Storm);
    }

    /// When the storm began, if one has.
    pub(super) fn storm_ns(&self) -> Option<u64> {
        Some(self.storm_ns.load(Ordering::Acquire)).filter(|ns| *ns > 0)
    }
}

/// What one thread says about itself.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Connections that are not ready yet.
    pub(super) half_open: Gauge,
    pub(super) ready: [Gauge; Group::COUNT],
    /// Connections that became ready, all time.
    pub(super) opened: Gauge,
    /// Attempts that failed.
    pub(super) setbacks: Gauge,
    /// Ready connections that ended though nobody here wanted it.
    pub(super) lost: Gauge,
    /// Marks received.
    pub(super) delivered: Gauge,
    /// Messages sent.
    pub(super) sent: Gauge,
    /// Connections that were begun anew and closed in order.
    pub(super) finished: Gauge,
    /// Wayward connections that had a tick after the storm.
    pub(super) served: Gauge,
}

/// A gauge's worth less or more.
pub(super) fn adjust(gauge: &Gauge, by: i64) {
    gauge.set(gauge.read().saturating_add_signed(by));
}

/// Adds window to window.
fn add(all: &mut [u64; LOAD_WINDOWS], more: [u64; LOAD_WINDOWS]) {
    for (all, more) in all.iter_mut().zip(more) {
        *all += more;
    }
}

/// Why an attempt to connect came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Setback {
    /// Nobody listened, or nobody wanted to.
    Refused,
    /// The connection broke or ended in the handshake.
    Reset,
    /// It took too long.
    TimedOut,
    /// The server said something other than yes.
    Rejected,
    /// What was expected after the handshake was not said.
    NotReady,
    /// This machine had no address, port, descriptor or memory left.
    NoRoom,
}

impl Setback {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::Rejected => "rejected",
            Self::NotReady => "not_ready",
            Self::NoRoom => "no_room_here",
        }
    }
}

/// What one thread, or all of them together, came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) latencies: Latencies,
    pub(super) groups: [GroupOutcome; Group::COUNT],
    pub(super) setbacks: BTreeMap<Setback, u64>,
    pub(super) pings: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    /// Messages, or lives, that were due and never begun, by window: when nothing new was to begin they were still to
    /// come, or what went before had not gone out, or nobody was there to be asked.
    pub(super) never_begun: [u64; LOAD_WINDOWS],
    /// Lives that had begun and were not over at the end of the run, by window.
    pub(super) unfinished: [u64; LOAD_WINDOWS],
}

/// What one group came to.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupOutcome {
    /// Marks that came when they were due.
    pub(super) delivered: u64,
    /// Marks that never came to a connection that was open until the end.
    pub(super) missing: u64,
    /// Marks that came again, or after later ones.
    pub(super) repeated: u64,
    /// Connections that were open at the end.
    pub(super) open: u64,
    /// Of these, those that had everything.
    pub(super) current: u64,
    /// Ends that nobody here wanted, by close code; 0 where there was none.
    pub(super) closes: BTreeMap<u16, u64>,
}

impl Outcome {
    pub(super) fn new() -> Self {
        Self {
            latencies: Latencies::new(),
            groups: Default::default(),
            setbacks: BTreeMap::new(),
            pings: 0,
            frames: 0,
            bytes: 0,
            never_begun: [0; LOAD_WINDOWS],
            unfinished: [0; LOAD_WINDOWS],
        }
    }

    /// Adds what another thread came to.
    pub(super) fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        for (ours, theirs) in self.groups.iter_mut().zip(&other.groups) {
            ours.delivered += theirs.delivered;
            ours.missing += theirs.missing;
            ours.repeated += theirs.repeated;
            ours.open += theirs.open;
            ours.current += theirs.current;
            for (code, count) in &theirs.closes {
                *ours.closes.entry(*code).or_default() += count;
            }
        }
        for (setback, count) in &other.setbacks {
            *self.setbacks.entry(*setback).or_default() += count;
        }
        self.pings += other.pings;
        self.frames += other.frames;
        self.bytes += other.bytes;
        add(&mut self.never_begun, other.never_begun);
        add(&mut self.unfinished, other.unfinished);
    }

    /// So many more of each window never began.
    pub(super) fn never_begin(&mut self, more: [u64; LOAD_WINDOWS]) {
        add(&mut self.never_begun, more);
    }

    pub(super) fn group(&mut self, group: Group) -> &mut GroupOutcome {
        &mut self.groups[group.index()]
    }
}
