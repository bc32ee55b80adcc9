//! A level-2 book: what is bid and asked at each price.
//!
//! Never reorders, matches or repairs: a venue's crossed book stays crossed, and [`Book::is_crossed`] says so.
//!
//! Invariant: on each side prices are distinct and sorted with the best one last, no size is 0 or negative, and
//! there are at most [`BOOK_LEVELS_MAX`] levels. An update is applied whole or not at all.

use std::error::Error;
use std::fmt;

use super::{BookUpdate, BookUpdateKind, Decimal, Level};
use crate::limits::BOOK_LEVELS_MAX;

/// The levels of one market.
///
/// ```
/// use tickwire::market::{Book, BookUpdate, BookUpdateKind, Decimal, Level};
///
/// let level = |price, size| Level { price: Decimal::new(price, -2), size: Decimal::new(size, 0) };
/// let mut book = Book::new();
/// let bids = [level(99_98, 3), level(99_99, 1)];
/// book.apply(&BookUpdate { kind: BookUpdateKind::Snapshot, bids: &bids, asks: &[level(100_01, 2)] })?;
/// book.apply(&BookUpdate { kind: BookUpdateKind::Delta, bids: &[level(99_99, 0)], asks: &[] })?;
/// assert_eq!(book.best_bid(), Some(&level(99_98, 3)));
/// assert!(!book.is_crossed());
/// # Ok::<(), tickwire::market::BookError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Sorted upwards: nearly all changes are near the touch, where little has to move.
    bids: Vec<Level>,
    /// Sorted downwards.
    asks: Vec<Level>,
}

impl Book {
    /// A book without levels.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bids: Vec::new(),
            asks: Vec::new(),
        }
    }

    /// Applies a snapshot or delta. Of several levels with one price the last counts; one of size 0 deletes its
    /// price, or does nothing where there is none.
    ///
    /// # Errors
    /// When a size is negative or a side would have too many levels. The book is then as it was.
    pub fn apply(&mut self, update: &BookUpdate<'_>) -> Result<(), BookError> {
        for (side, levels) in [(BookSide::Bid, update.bids), (BookSide::Ask, update.asks)] {
            if let Some(level) = levels.iter().find(|level| level.size.is_negative()) {
                return Err(BookError::NegativeSize { side, level: *level });
            }
        }
        match update.kind {
            BookUpdateKind::Snapshot => {
                let bids = sorted(BookSide::Bid, update.bids)?;
                self.asks = sorted(BookSide::Ask, update.asks)?;
                self.bids = bids;
            }
            BookUpdateKind::Delta => {
                // A side that may overflow is changed on a copy, so that an error leaves both sides alone.
                let bids = overflowed(BookSide::Bid, &self.bids, update.bids)?;
                let asks = overflowed(BookSide::Ask, &self.asks, update.asks)?;
                replace_or_change(BookSide::Bid, &mut self.bids, bids, update.bids);
                replace_or_change(BookSide::Ask, &mut self.asks, asks, update.asks);
            }
        }
        self.invariants();
        Ok(())
    }

    /// Forgets every level.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Bids, the highest first. `bids().take(n)` are the top n.
    pub fn bids(&self) -> impl DoubleEndedIterator<Item = &Level> + ExactSizeIterator {
        self.bids.iter().rev()
    }

    /// Asks, the lowest first. `asks().take(n)` are the top n.
    pub fn asks(&self) -> impl DoubleEndedIterator<Item = &Level> + ExactSizeIterator {
        self.asks.iter().rev()
    }

    /// The highest bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<&Level> {
        self.bids.last()
    }

    /// The lowest ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<&Level> {
        self.asks.last()
    }

    /// Levels bid and asked.
    #[must_use]
    pub fn level_counts(&self) -> (usize, usize) {
        (self.bids.len(), self.asks.len())
    }

    /// Whether there are no levels at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bids.is_empty() && self.asks.is_empty()
    }

    /// Whether somebody bids as much as somebody else asks, or more. A market that trades is never so for long: a
    /// venue that says so lost an update, or shows an auction.
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        match (self.best_bid(), self.best_ask()) {
            (Some(bid), Some(ask)) => bid.price >= ask.price,
            _ => false,
        }
    }

    /// The whole book as a snapshot, the best levels first. The levels are put into `scratch`, whose old content
    /// is void.
    pub fn snapshot<'a>(&self, scratch: &'a mut Vec<Level>) -> BookUpdate<'a> {
        scratch.clear();
        scratch.extend(self.bids());
        scratch.extend(self.asks());
        let (bids, asks) = scratch.split_at(self.bids.len());
        BookUpdate {
            kind: BookUpdateKind::Snapshot,
            bids,
            asks,
        }
    }

    /// The levels of a side, the best last.
    pub(super) fn side(&self, side: BookSide) -> &[Level] {
        match side {
            BookSide::Bid => &self.bids,
            BookSide::Ask => &self.asks,
        }
    }

    fn invariants(&self) {
        debug_assert!(
            self.bids.is_sorted_by(|a, b| a.price < b.price),
            "bids rise to the touch"
        );
        debug_assert!(
            self.asks.is_sorted_by(|a, b| a.price > b.price),
            "asks fall to the touch"
        );
        let positive = |level: &Level| level.size > Decimal::ZERO;
        debug_assert!(
            self.bids.iter().all(positive) && self.asks.iter().all(positive),
            "sizes are positive"
        );
        assert!(
            self.bids.len().max(self.asks.len()) <= BOOK_LEVELS_MAX,
            "levels are bounded"
        );
    }
}

/// One side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BookSide {
    /// Those who would buy.
    Bid,
    /// Those who would sell.
    Ask,
}

impl BookSide {
    /// Whether a level at `price` is nearer to the touch than one at `other`.
    pub(super) fn is_better(self, price: Decimal, other: Decimal) -> bool {
        match self {
            Self::Bid => price > other,
            Self::Ask => price < other,
        }
    }

    /// The level at `price` among those of the side, of which the best is the last.
    pub(super) fn level(self, levels: &[Level], price: Decimal) -> Option<&Level> {
        let found = levels.get(place(self, levels, price))?;
        (found.price == price).then_some(found)
    }

    fn order(self, a: &Level, b: &Level) -> std::cmp::Ordering {
        match self {
            Self::Bid => a.price.cmp(&b.price),
            Self::Ask => b.price.cmp(&a.price),
        }
    }
}

impl fmt::Display for BookSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bid => "bid",
            Self::Ask => "ask",
        })
    }
}

/// Why an update was not applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BookError {
    /// A size below 0.
    NegativeSize {
        /// The side of the level.
        side: BookSide,
        /// The level.
        level: Level,
    },
    /// A side would have more than [`BOOK_LEVELS_MAX`] levels.
    BookLevelsFull {
        /// The side.
        side: BookSide,
        /// How many levels it would have.
        levels: usize,
    },
}

impl fmt::Display for BookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NegativeSize { side, level } => {
                write!(
                    f,
                    "the {side} at {} has the negative size {}",
                    level.price, level.size
                )
            }
            Self::BookLevelsFull { side, levels } => {
                write!(
                    f,
                    "the {side} side would have {levels} levels, at most {BOOK_LEVELS_MAX} are allowed"
                )
            }
        }
    }
}

impl Error for BookError {}

/// A side made of `updates` alone.
fn sorted(side: BookSide, updates: &[Level]) -> Result<Vec<Level>, BookError> {
    // Backwards: venues send the best level first, so this is sorted already, and where a price occurs twice its
    // last level comes to stand before the others, which are then dropped.
    let mut levels: Vec<Level> = updates.iter().rev().copied().collect();
    levels.sort_by(|a, b| side.order(a, b));
    levels.dedup_by(|later, kept| later.price == kept.price);
    levels.retain(|level| !level.size.is_zero());
    bounded(side, levels)
}

/// What `updates` make of `levels`, or `None` where they cannot make too many of them.
fn overflowed(side: BookSide, levels: &[Level], updates: &[Level]) -> Result<Option<Vec<Level>>, BookError> {
    if levels.len() + updates.len() <= BOOK_LEVELS_MAX {
        return Ok(None);
    }
    let mut copy = levels.to_vec();
    change(side, &mut copy, updates);
    bounded(side, copy).map(Some)
}

fn bounded(side: BookSide, levels: Vec<Level>) -> Result<Vec<Level>, BookError> {
    if levels.len() > BOOK_LEVELS_MAX {
        return Err(BookError::BookLevelsFull {
            side,
            levels: levels.len(),
        });
    }
    Ok(levels)
}

fn replace_or_change(side: BookSide, levels: &mut Vec<Level>, whole: Option<Vec<Level>>, updates: &[Level]) {
    match whole {
        Some(whole) => *levels = whole,
        None => change(side, levels, updates),
    }
}

fn change(side: BookSide, levels: &mut Vec<Level>, updates: &[Level]) {
    for update in updates {
        let at = place(side, levels, update.price);
        let known = levels.get(at).is_some_and(|level| level.price == update.price);
        match (known, update.size.is_zero()) {
            (true, false) => levels[at] = *update,
            (true, true) => {
                levels.remove(at);
            }
            (false, false) => levels.insert(at, *update),
            (false, true) => {}
        }
    }
}

/// Where `price` stands or would have to stand. Looks in steps that double, from the touch outwards, then halves
/// the last one: a change near the touch costs one or two comparisons however deep the book is.
fn place(side: BookSide, levels: &[Level], price: Decimal) -> usize {
    let (mut from, mut to) = (0, levels.len());
    let mut step = 1;
    while let Some(probe) = levels.len().checked_sub(step) {
        if side.is_better(price, levels[probe].price) {
            from = probe + 1;
            break;
        }
        to = probe;
        step *= 2;
    }
    from + levels[from..to].partition_point(|level| side.is_better(price, level.price))
}

#[cfg(test)]
mod tests;
