//! The part of those who receive ticks: each is timed, counted, and its number compared with the one that was due.
//!
//! Never answers. Invariant: a tick counts on the board once a connection, whatever the server repeats.

use super::line::{Group, Line};
use super::mark::{Mark, Scan};
use super::part::{Desk, Part, Talk, Verdict};
use super::windows::Row;

/// Receives ticks.
#[derive(Debug)]
pub(super) struct Subscriber {
    scan: Scan,
    strips: [Strip; Group::COUNT],
}

/// Ticks that came with one reception, by number: many connections have the same few, which are recorded together.
#[derive(Debug)]
struct Strip {
    runs: [Run; RUNS],
    /// Which runs have a count.
    dirty: u64,
}

/// How often one tick came.
#[derive(Clone, Copy, Debug)]
struct Run {
    mark: Mark,
    count: u32,
}

impl Subscriber {
    pub(super) fn new() -> Self {
        Self {
            scan: Scan::new(),
            strips: std::array::from_fn(|_| Strip {
                runs: [NO_RUN; RUNS],
                dirty: 0,
            }),
        }
    }

    fn settle(&mut self, group: Group, slot: usize, desk: &mut Desk<'_>) {
        let strip = &mut self.strips[group.index()];
        let Run { mark, count } = std::mem::replace(&mut strip.runs[slot], NO_RUN);
        strip.dirty &= !(1 << slot);
        let latency_ns = desk.now_ns.saturating_sub(mark.at_ns);
        let window = desk.shared.windows.of(mark.at_ns);
        desk.outcome
            .latencies
            .record(Row::of(group), window, latency_ns, u64::from(count));
        desk.outcome.group(group).delivered += u64::from(count);
        desk.tally.delivered.add(u64::from(count));
        if group == Group::Steady {
            desk.shared.board.note(mark.n, count, desk.now_ns);
        }
    }
}

impl Part for Subscriber {
    fn message(&mut self, talk: &mut Talk<'_>, text: &[u8], desk: &mut Desk<'_>) -> Verdict {
        let line = &mut *talk.line;
        let scan = std::mem::take(&mut self.scan);
        for mark in scan.marks(text) {
            if !follows(line, mark.n, desk) {
                continue;
            }
            let (group, slot) = (line.group, mark.n as usize % RUNS);
            let run = &self.strips[group.index()].runs[slot];
            if run.count > 0 && run.mark != mark {
                self.settle(group, slot, desk);
            }
            let strip = &mut self.strips[group.index()];
            strip.runs[slot].mark = mark;
            strip.runs[slot].count += 1;
            strip.dirty |= 1 << slot;
        }
        self.scan = scan;
        Verdict::GoOn
    }

    fn received(&mut self, desk: &mut Desk<'_>) {
        for group in [Group::Steady, Group::Wayward] {
            while self.strips[group.index()].dirty != 0 {
                let slot = self.strips[group.index()].dirty.trailing_zeros() as usize;
                self.settle(group, slot, desk);
            }
        }
    }
}

/// Whether this number is one that the connection has not had. One that was published before the connection was ready may
/// come or not; from then on each is due.
fn follows(line: &mut Line, n: u32, desk: &mut Desk<'_>) -> bool {
    let outcome = &mut *desk.outcome;
    if n < line.next {
        if line.begun {
            outcome.group(line.group).repeated += 1;
        }
        return !line.begun;
    }
    outcome.group(line.group).missing += u64::from(n - line.next);
    line.begun = true;
    line.next = n.wrapping_add(1);
    if line.group == Group::Wayward
        && !line.served
        && let Some(storm_ns) = desk.shared.storm_ns()
    {
        line.served = true;
        desk.tally.served.add(1);
        desk.record(Row::ServedAgain, storm_ns);
    }
    true
}

/// Ticks that are told apart within one reception; more are recorded as they come.
const RUNS: usize = 64;
const NO_RUN: Run = Run {
    mark: Mark { n: 0, at_ns: 0 },
    count: 0,
};
