//! A limit order book: resting orders by price, each side sorted.
//!
//! It knows ticks and lots, not time or money. Invariant: no level is empty, no price stands twice on a side,
//! and the best bid is below the best ask.

use crate::limits::SIM_BOOK_LEVELS;
use crate::market::Side;

/// Both sides.
#[derive(Clone, Debug)]
pub(super) struct Book {
    bids: Ladder,
    asks: Ladder,
}

/// The levels of one side, the best one last, where it is cheap to change.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    /// 1 where a higher price is better, -1 where a lower one is.
    sign: i64,
    rungs: Vec<Rung>,
}

/// All orders at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    pub(super) ticks: i64,
    pub(super) lots: i64,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            bids: Ladder::new(1),
            asks: Ladder::new(-1),
        }
    }

    /// The orders of those who want to buy, or to sell.
    pub(super) fn side_mut(&mut self, side: Side) -> &mut Ladder {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    /// The orders of those who want to buy, or to sell.
    pub(super) fn side(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    /// The best level of each side.
    pub(super) fn touch(&self) -> (Option<Rung>, Option<Rung>) {
        (self.bids.best(), self.asks.best())
    }

    /// # Panics
    /// When an invariant does not hold.
    pub(super) fn invariants(&self) {
        self.bids.invariants();
        self.asks.invariants();
        if let (Some(bid), Some(ask)) = self.touch() {
            assert!(bid.ticks < ask.ticks, "crossed: {bid:?} and {ask:?}");
        }
    }
}

impl Ladder {
    fn new(sign: i64) -> Self {
        Self {
            sign,
            rungs: Vec::with_capacity(SIM_BOOK_LEVELS + 1),
        }
    }

    /// Rests `lots` more at a price.
    pub(super) fn add(&mut self, ticks: i64, lots: i64) -> Rung {
        match self.find(ticks) {
            Ok(index) => {
                self.rungs[index].lots += lots;
                self.rungs[index]
            }
            Err(index) => {
                let rung = Rung { ticks, lots };
                self.rungs.insert(index, rung);
                rung
            }
        }
    }

    /// Takes up to `lots` off the level that `rank` better ones precede. Returns what remains of the level and
    /// how much was taken.
    pub(super) fn take(&mut self, rank: usize, lots: i64) -> Option<(Rung, i64)> {
        let index = self.rungs.len().checked_sub(rank + 1)?;
        let rung = &mut self.rungs[index];
        let taken = lots.min(rung.lots);
        rung.lots -= taken;
        let left = *rung;
        if left.lots == 0 {
            self.rungs.remove(index);
        }
        Some((left, taken))
    }

    /// Removes the worst level where there are more than [`SIM_BOOK_LEVELS`].
    pub(super) fn trim(&mut self) -> Option<Rung> {
        (self.rungs.len() > SIM_BOOK_LEVELS).then(|| self.rungs.remove(0))
    }

    pub(super) fn best(&self) -> Option<Rung> {
        self.rungs.last().copied()
    }

    pub(super) fn worst(&self) -> Option<Rung> {
        self.rungs.first().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.rungs.len()
    }

    /// From the best to the worst.
    pub(super) fn iter(&self) -> impl Iterator<Item = Rung> + '_ {
        self.rungs.iter().rev().copied()
    }

    fn find(&self, ticks: i64) -> Result<usize, usize> {
        self.rungs
            .binary_search_by_key(&(ticks * self.sign), |rung| rung.ticks * self.sign)
    }

    fn invariants(&self) {
        let worse_to_better = |pair: &[Rung]| pair[0].ticks * self.sign < pair[1].ticks * self.sign;
        assert!(self.rungs.windows(2).all(worse_to_better), "unsorted: {self:?}");
        assert!(
            self.rungs.iter().all(|rung| rung.lots > 0),
            "an empty level: {self:?}"
        );
        assert!(self.rungs.len() <= SIM_BOOK_LEVELS, "too deep: {self:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn a_ladder_behaves_as_a_sorted_map(
            sell in any::<bool>(),
            ops in prop::collection::vec((any::<bool>(), 0_i64..30, 1_i64..9), 0..200),
        ) {
            let mut ladder = Ladder::new(if sell { -1 } else { 1 });
            let mut map: BTreeMap<i64, i64> = BTreeMap::new();
            for (add, price, lots) in ops {
                if add {
                    *map.entry(price).or_default() += lots;
                    prop_assert_eq!(ladder.add(price, lots), Rung { ticks: price, lots: map[&price] });
                } else if !map.is_empty() {
                    let rank = usize::try_from(price).unwrap() % map.len();
                    let index = if sell { rank } else { map.len() - 1 - rank };
                    let (ticks, resting) = map.iter().nth(index).map(|(&t, &l)| (t, l)).unwrap();
                    let taken = lots.min(resting);
                    let left = Rung { ticks, lots: resting - taken };
                    prop_assert_eq!(ladder.take(rank, lots), Some((left, taken)));
                    map.insert(ticks, left.lots);
                    map.retain(|_, lots| *lots > 0);
                }
                let mut levels: Vec<(i64, i64)> = ladder.iter().map(|r| (r.ticks, r.lots)).collect();
                if !sell { levels.reverse(); }
                prop_assert_eq!(levels, map.clone().into_iter().collect::<Vec<_>>());
                ladder.invariants();
            }
        }
    }
}
