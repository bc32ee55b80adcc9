//! A simulated market: a demonstration that needs no feed, and a load that is the same on every machine.
//!
//! [`Market`] is the pure part: it holds no clock and does no I/O; time is an argument and everything follows
//! from the seed. [`Sim`] paces it. Invariant: for each instrument, trades, book and quotes agree with each
//! other at every event, and times never go back.
//!
//! Per instrument there are three channels, `trade:SYM`, `bbo:SYM` and `book:SYM`. A book begins with a snapshot
//! and goes on with deltas.

mod arrivals;
mod book;
mod instrument;
mod pit;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use self::instrument::LISTED;
use self::pit::Pit;
use super::tally::Reporter;
use super::{Event, Next, Tally};
use crate::base::{Now, Prng};

/// All instruments of the simulation. Its time starts at 0, in nanoseconds.
#[derive(Debug)]
pub struct Market {
    pits: Vec<Pit>,
    telling: usize,
}

impl Market {
    /// A market that opens at time 0 and whose whole future follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut seeds = Prng::new(seed);
        Self {
            pits: LISTED
                .map(|instrument| Pit::new(instrument, seeds.next_u64()))
                .into(),
            telling: 0,
        }
    }

    /// Lends the next event that happens at `until_ns` or before.
    ///
    /// What one order causes comes in this order: trades, book delta, quote.
    pub fn next(&mut self, until_ns: u64) -> Option<Event<'_>> {
        if !self.pits[self.telling].has_more() {
            let (due_ns, next) = self.earliest();
            if due_ns > until_ns {
                return None;
            }
            self.telling = next;
            self.pits[next].step();
        }
        self.pits[self.telling].tell()
    }

    /// When the next event happens; 0 while the last order has something left to tell.
    #[must_use]
    pub fn due_ns(&self) -> u64 {
        if self.pits[self.telling].has_more() {
            return 0;
        }
        self.earliest().0
    }

    fn earliest(&self) -> (u64, usize) {
        (0..self.pits.len())
            .map(|index| (self.pits[index].due_ns(), index))
            .min()
            .unwrap_or((u64::MAX, 0))
    }
}

/// A [`Market`] in real time, from the first time that it is asked.
#[derive(Debug)]
pub struct Sim {
    market: Market,
    origin: Option<Now>,
    reporter: Reporter,
}

impl Sim {
    /// A market that opens when it is first asked for an event.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            market: Market::new(seed),
            origin: None,
            reporter: Reporter::default(),
        }
    }

    /// Lends the next event that is due.
    pub fn next(&mut self, now: Now) -> Next<'_> {
        let origin = *self.origin.get_or_insert(now);
        match self.market.next(now.mono_ns.saturating_sub(origin.mono_ns)) {
            Some(mut event) => {
                event.ts_ns = origin.wall_ns.saturating_add(event.ts_ns);
                self.reporter.delivered(&event.tick);
                Next::Event(event)
            }
            None => Next::Wait,
        }
    }

    /// Waits until the next event is due.
    pub async fn wait(&mut self, now: Now) {
        let elapsed_ns = self
            .origin
            .map_or(0, |origin| now.mono_ns.saturating_sub(origin.mono_ns));
        let wait_ns = self.market.due_ns().saturating_sub(elapsed_ns);
        tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
    }

    /// What was delivered.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.reporter.tally
    }

    /// The event lent last was refused.
    pub(super) fn refuse(&mut self, now: Now, why: &impl fmt::Display) {
        self.reporter.refused(now, why);
    }
}
