//! The best levels of a book, and what changes in them when the book does.
//!
//! Never keeps a book of its own: *shown* is the window as it was told last, a book of at most `depth` levels a side, and
//! *book* is the whole as it is now. Invariant: shown with the changes applied has the best `depth` levels of the book, as
//! they are written there, and no change says what shown has already.

use super::book::{Book, BookSide};
use super::{BookUpdate, BookUpdateKind, Decimal, Level};

/// Prices at which a book may have changed.
#[derive(Debug, Default)]
pub struct Touched {
    bids: Vec<Decimal>,
    asks: Vec<Decimal>,
    /// Whether it may have changed anywhere else.
    all: bool,
}

/// What changes in a window. Memory that is used again.
#[derive(Debug, Default)]
pub struct Changes {
    bids: Vec<Level>,
    asks: Vec<Level>,
    prices: Vec<Decimal>,
}

impl Touched {
    /// Notes what an update of the book may change.
    pub fn add(&mut self, update: &BookUpdate<'_>) {
        match update.kind {
            BookUpdateKind::Snapshot => self.all = true,
            BookUpdateKind::Delta if self.all => {}
            BookUpdateKind::Delta => {
                self.bids.extend(update.bids.iter().map(|level| level.price));
                self.asks.extend(update.asks.iter().map(|level| level.price));
            }
        }
    }

    /// The same as a change anywhere.
    pub fn everywhere() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.all = false;
    }
}

impl Changes {
    /// Finds what changes in the best `depth` levels of each side, which were `shown`, now that they are those of `book`:
    /// levels that left are deleted, with size 0, and others are as the book has them, best first.
    ///
    /// It costs a look at each touched price, and at the levels that enter and leave; where everything is touched, one at
    /// each level.
    pub fn find(&mut self, shown: &Book, book: &Book, depth: usize, touched: &Touched) {
        for (side, found, prices) in [
            (BookSide::Bid, &mut self.bids, &touched.bids),
            (BookSide::Ask, &mut self.asks, &touched.asks),
        ] {
            found.clear();
            let pair = Pair {
                side,
                shown: shown.side(side),
                now: best(book.side(side), depth),
            };
            if touched.all {
                pair.compare(found);
            } else {
                pair.look(prices, &mut self.prices, found);
            }
        }
    }

    /// How many levels change on the bids' side and on the asks'.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    /// As an update of the window.
    #[must_use]
    pub fn delta(&self) -> BookUpdate<'_> {
        BookUpdate {
            kind: BookUpdateKind::Delta,
            bids: &self.bids,
            asks: &self.asks,
        }
    }

    /// The window itself: the best `depth` levels of each side, as a snapshot. It takes the place of what was found.
    pub fn snapshot(&mut self, book: &Book, depth: usize) -> BookUpdate<'_> {
        for (found, side) in [(&mut self.bids, BookSide::Bid), (&mut self.asks, BookSide::Ask)] {
            found.clear();
            found.extend(best(book.side(side), depth).iter().rev());
        }
        BookUpdate {
            kind: BookUpdateKind::Snapshot,
            ..self.delta()
        }
    }
}

/// One side of a window, as it was told and as it is. Both have the best level last.
struct Pair<'a> {
    side: BookSide,
    shown: &'a [Level],
    now: &'a [Level],
}

impl Pair<'_> {
    /// Finds every difference by going along both, from the best levels on.
    fn compare(&self, found: &mut Vec<Level>) {
        let mut now = self.now.iter().rev().peekable();
        for was in self.shown.iter().rev() {
            while let Some(is) = now.next_if(|is| self.side.is_better(is.price, was.price)) {
                found.push(*is);
            }
            match now.next_if(|is| is.price == was.price) {
                Some(is) if is_same(was, is) => {}
                Some(is) => found.push(*is),
                None => found.push(deleted(was)),
            }
        }
        found.extend(now);
    }

    /// Finds the differences at the touched prices, and at those that left the window or entered it because others did.
    fn look(&self, touched: &[Decimal], prices: &mut Vec<Decimal>, found: &mut Vec<Level>) {
        prices.clear();
        prices.extend_from_slice(touched);
        // What left for want of room is worse than all that is there now, and what entered instead of others is worse than
        // all that was there before.
        let worse = |levels: &[Level], than: &[Level]| {
            let than = than.first().map(|worst| worst.price);
            let is_worse = |level: &&Level| than.is_none_or(|than| self.side.is_better(than, level.price));
            levels.iter().take_while(is_worse).count()
        };
        for (levels, count) in [
            (self.shown, worse(self.shown, self.now)),
            (self.now, worse(self.now, self.shown)),
        ] {
            prices.extend(levels[..count].iter().map(|level| level.price));
        }
        prices.sort_unstable();
        prices.dedup();
        if self.side == BookSide::Bid {
            prices.reverse();
        }
        for price in &*prices {
            let level = |levels| self.side.level(levels, *price);
            match (level(self.shown), level(self.now)) {
                (Some(was), Some(is)) if is_same(was, is) => {}
                (_, Some(is)) => found.push(*is),
                (Some(was), None) => found.push(deleted(was)),
                (None, None) => {}
            }
        }
    }
}

/// The best levels of a side, the best last.
fn best(levels: &[Level], depth: usize) -> &[Level] {
    &levels[levels.len().saturating_sub(depth)..]
}

fn is_same(was: &Level, is: &Level) -> bool {
    was.price.same_text(is.price) && was.size.same_text(is.size)
}

fn deleted(level: &Level) -> Level {
    Level {
        size: Decimal::ZERO,
        ..*level
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The best levels as text, found anew.
    fn naive(book: &Book, depth: usize) -> Vec<String> {
        let bids = book.bids().take(depth).map(|level| ("bid", level));
        let asks = book.asks().take(depth).map(|level| ("ask", level));
        let written = |(side, level): (&str, &Level)| format!("{side} {} {}", level.price, level.size);
        bids.chain(asks).map(written).collect()
    }

    fn apply(shown: &mut Book, update: &BookUpdate<'_>, depth: usize) {
        shown.apply(update).unwrap();
        let (bids, asks) = shown.level_counts();
        assert!(
            bids <= depth && asks <= depth,
            "a window has no more levels than it may"
        );
    }

    fn any_level() -> impl Strategy<Value = Level> {
        (-12_i64..12, 0_u8..3, 0_i64..4).prop_map(|(price, zeros, size)| Level {
            price: Decimal::new(price, -1)
                .rescale(-1 - i8::try_from(zeros).unwrap())
                .unwrap(),
            size: Decimal::new(size, -2),
        })
    }

    type Operation = (bool, Vec<Level>, Vec<Level>, bool);

    fn any_operation() -> impl Strategy<Value = Operation> {
        let levels = || prop::collection::vec(any_level(), 0..8);
        (
            prop::bool::weighted(0.1),
            levels(),
            levels(),
            prop::bool::weighted(0.7),
        )
    }

    proptest! {
        /// Also when several updates come before the window is looked at, as in an interval.
        #[test]
        fn the_window_is_what_is_found_anew(
            operations in prop::collection::vec(any_operation(), 1..30), depth in 1_usize..8, coarse: bool,
        ) {
            let (mut book, mut shown) = (Book::new(), Book::new());
            let (mut touched, mut changes) = (Touched::default(), Changes::default());
            for (snapshot, bids, asks, is_told) in &operations {
                let kind = if *snapshot { BookUpdateKind::Snapshot } else { BookUpdateKind::Delta };
                let update = BookUpdate { kind, bids, asks };
                book.apply(&update).unwrap();
                touched.add(&update);
                if !is_told {
                    continue;
                }
                let all = Touched::everywhere();
                changes.find(&shown, &book, depth, if coarse { &all } else { &touched });
                touched.clear();
                let before = naive(&shown, depth);
                let delta = changes.delta();
                let after = naive(&book, depth);
                prop_assert_eq!(delta.bids.is_empty() && delta.asks.is_empty(), before == after);
                let (bids, asks) = shown.level_counts();
                for (levels, had) in [(delta.bids, bids), (delta.asks, asks)] {
                    prop_assert!(levels.len() <= had + depth);
                    let mut prices: Vec<Decimal> = levels.iter().map(|level| level.price).collect();
                    prices.sort();
                    prices.dedup();
                    prop_assert_eq!(prices.len(), levels.len(), "each price once");
                }
                let sides = [("bid", delta.bids), ("ask", delta.asks)];
                for (side, level) in sides.iter().flat_map(|(side, levels)| levels.iter().map(move |level| (side, level))) {
                    let written = format!("{side} {} {}", level.price, level.size);
                    prop_assert!(!before.contains(&written), "nothing is told twice");
                }
                apply(&mut shown, &delta, depth);
                prop_assert_eq!(naive(&shown, depth), after);
                let mut copy = Book::new();
                apply(&mut copy, &changes.snapshot(&book, depth), depth);
                prop_assert_eq!(naive(&copy, usize::MAX), naive(&shown, usize::MAX));
            }
        }
    }

    fn level(price: i64, size: i64) -> Level {
        Level {
            price: Decimal::new(price, 0),
            size: Decimal::new(size, 0),
        }
    }

    fn delta(bids: &[Level]) -> BookUpdate<'_> {
        BookUpdate {
            kind: BookUpdateKind::Delta,
            bids,
            asks: &[],
        }
    }

    #[test]
    fn a_level_that_enters_pushes_another_out_and_one_that_leaves_lets_another_in() {
        let (mut book, mut shown, mut changes) = (Book::new(), Book::new(), Changes::default());
        let mut turn = |update: &[Level]| {
            let mut touched = Touched::default();
            book.apply(&delta(update)).unwrap();
            touched.add(&delta(update));
            changes.find(&shown, &book, 2, &touched);
            shown.apply(&changes.delta()).unwrap();
            changes.delta().bids.to_vec()
        };
        assert_eq!(turn(&[level(3, 1), level(5, 1)]), [level(5, 1), level(3, 1)]);
        assert_eq!(turn(&[level(2, 1), level(1, 1)]), [], "outside the window");
        assert_eq!(turn(&[level(4, 1)]), [level(4, 1), level(3, 0)]);
        assert_eq!(turn(&[level(5, 0)]), [level(5, 0), level(3, 1)]);
        assert_eq!(
            turn(&[level(4, 0), level(3, 0)]),
            [level(4, 0), level(3, 0), level(2, 1), level(1, 1)]
        );
        assert_eq!(turn(&[level(2, 1)]), [], "nothing new");
    }
}
