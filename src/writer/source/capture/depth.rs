//! Whether a symbol's depth deltas follow each other, and how a snapshot fits between them.
//!
//! It never holds a book. Binance numbers every update of a book; a delta covers the numbers `U` to `u`, and
//! the next one begins at `u + 1`. A snapshot names the last number that it contains. It was recorded when it
//! arrived, which is later than it was taken, so deltas that it does not contain may stand before it in the
//! file; those are kept here for a while and laid over it. Invariant: a snapshot never takes a book back to an
//! earlier update, and the deltas that are kept follow each other without a gap.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::collections::VecDeque;

use super::super::tally::{BadLine, Fault};
use super::binance::{Levels, Updates};
use crate::limits::CAPTURE_DELTAS_KEPT;
use crate::market::Level;

/// What is known about the deltas of one symbol.
#[derive(Debug, Default)]
pub(super) struct Depth {
    last: Option<Last>,
    kept: VecDeque<Kept>,
}

/// What the last delivered message brought the book up to.
#[derive(Clone, Copy, Debug)]
struct Last {
    update: u64,
    snapshot: bool,
}

#[derive(Debug)]
struct Kept {
    updates: Updates,
    levels: Levels,
}

/// How a delta relates to what was delivered before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// It goes on where the last one ended, or is the first.
    Directly,
    /// Updates are missing, or come again.
    Gap {
        /// The first update that it should have had.
        expected: u64,
    },
    /// All of it is contained in the snapshot before: not to be delivered.
    Stale,
}

impl Depth {
    /// Notes a delta.
    pub(super) fn delta(&mut self, updates: Updates, levels: &Levels) -> Follows {
        let follows = match self.last {
            Some(Last {
                update,
                snapshot: true,
            }) if updates.last <= update => return Follows::Stale,
            Some(Last {
                update,
                snapshot: true,
            }) if updates.first <= update.saturating_add(1) => Follows::Directly,
            Some(Last {
                update,
                snapshot: false,
            }) if updates.first == update.saturating_add(1) => Follows::Directly,
            Some(Last { update, .. }) => Follows::Gap {
                expected: update.saturating_add(1),
            },
            None => Follows::Directly,
        };
        self.last = Some(Last {
            update: updates.last,
            snapshot: false,
        });
        if follows != Follows::Directly {
            self.kept.clear();
        }
        self.keep(updates, levels);
        follows
    }

    /// Notes a snapshot and brings it up to date with the deltas that were delivered before it.
    pub(super) fn snapshot(&mut self, last_update: u64, levels: &mut Levels) -> Result<(), BadLine> {
        let newer = self.last.filter(|last| last.update > last_update);
        let Some(last) = newer else {
            self.last = Some(Last {
                update: last_update,
                snapshot: true,
            });
            self.kept.clear();
            return Ok(());
        };
        let joins = |kept: &Kept| {
            (kept.updates.first..=kept.updates.last.saturating_add(1))
                .contains(&(last_update.saturating_add(1)))
        };
        if !self.kept.iter().any(joins) {
            let detail = format!(
                "it ends at update {last_update}; the book is at {} already",
                last.update
            );
            return Err(BadLine::new(Fault::Snapshot, detail));
        }
        for kept in self.kept.iter().filter(|kept| kept.updates.last > last_update) {
            overlay(&mut levels.bids, &kept.levels.bids);
            overlay(&mut levels.asks, &kept.levels.asks);
        }
        Ok(())
    }

    fn keep(&mut self, updates: Updates, levels: &Levels) {
        let mut slot = if self.kept.len() == CAPTURE_DELTAS_KEPT {
            self.kept.pop_front()
        } else {
            None
        };
        let kept = slot.get_or_insert_with(|| Kept {
            updates,
            levels: Levels::default(),
        });
        kept.updates = updates;
        kept.levels.bids.clone_from(&levels.bids);
        kept.levels.asks.clone_from(&levels.asks);
        self.kept.extend(slot);
    }
}

/// Applies the levels of a delta to those of a snapshot.
fn overlay(snapshot: &mut Vec<Level>, delta: &[Level]) {
    for level in delta {
        match snapshot.iter_mut().find(|old| old.price == level.price) {
            Some(old) => *old = *level,
            None => snapshot.push(*level),
        }
    }
    snapshot.retain(|level| !level.size.is_zero());
}
