//! A book that a client keeps from what it is told.
//!
//! Never shows a book that may be wrong: between a gap and the next snapshot there is none.
//!
//! Invariant: where there is a book, it is the last snapshot and each delta since, none missing.

use super::event::Event;
use super::ledger::Continuation;
use crate::dialect::Stamp;
use crate::market::{Book, BookError, BookUpdate, BookUpdateKind, Level};

/// The level-2 book of one channel.
///
/// Give it every event; those of others do nothing.
///
/// ```
/// use tickwire::client::{Event, LocalBook};
/// use tickwire::dialect::Stamp;
/// use tickwire::market::{BookUpdate, BookUpdateKind, Decimal, Level};
///
/// let level = |price, size| Level { price: Decimal::new(price, -2), size: Decimal::new(size, 0) };
/// let (bids, asks) = ([level(99_99, 1)], [level(100_01, 2)]);
/// let update = |kind| BookUpdate { kind, bids: &bids, asks: &asks };
/// let stamp = |seq| Stamp { channel: "book:X", seq, ts_ns: 0, pt_ns: 0 };
///
/// let mut book = LocalBook::new("book:X");
/// book.apply(&Event::Book(stamp(7), update(BookUpdateKind::Snapshot)))?;
/// assert_eq!(book.best_bid(), Some(&level(99_99, 1)));
/// assert_eq!(book.seq(), Some(7));
/// // Number 8 is missing: what the book is now, nobody knows.
/// book.apply(&Event::Book(stamp(9), update(BookUpdateKind::Delta)))?;
/// assert!(book.book().is_none());
/// # Ok::<(), tickwire::market::BookError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LocalBook {
    channel: Box<str>,
    book: Book,
    /// The number of the last update; `None` where the book is not known.
    seq: Option<u64>,
}

impl LocalBook {
    /// The book of this channel, of which nothing is known yet.
    #[must_use]
    pub fn new(channel: &str) -> Self {
        Self {
            channel: channel.into(),
            book: Book::new(),
            seq: None,
        }
    }

    /// Takes in what happened; says whether the book is another now.
    ///
    /// A connection that ends does not change it: the next one goes on where it was, with deltas or a snapshot.
    ///
    /// # Errors
    /// When an update cannot be applied. The book is not known then until the next snapshot.
    pub fn apply(&mut self, event: &Event<'_>) -> Result<bool, BookError> {
        if let Event::Book(stamp, update) = event
            && *stamp.channel == *self.channel
        {
            return self.update(stamp, update);
        }
        Ok(self.is_doubted_after(event) && self.drop_it())
    }

    /// The channel.
    #[must_use]
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The book, where it is known.
    #[must_use]
    pub fn book(&self) -> Option<&Book> {
        self.seq.map(|_| &self.book)
    }

    /// The number of the last update, where the book is known.
    #[must_use]
    pub const fn seq(&self) -> Option<u64> {
        self.seq
    }

    /// The highest bid.
    #[must_use]
    pub fn best_bid(&self) -> Option<&Level> {
        self.book()?.best_bid()
    }

    /// The lowest ask.
    #[must_use]
    pub fn best_ask(&self) -> Option<&Level> {
        self.book()?.best_ask()
    }

    /// The best `levels` bids and asks, the best first; none where the book is not known.
    #[must_use]
    pub fn depth(&self, levels: usize) -> (Vec<Level>, Vec<Level>) {
        self.book().map_or_else(Default::default, |book| {
            (
                book.bids().take(levels).copied().collect(),
                book.asks().take(levels).copied().collect(),
            )
        })
    }

    /// Whether nobody knows what the book is when that has happened.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "whatever else may happen says nothing about a book"
    )]
    fn is_doubted_after(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Gap(gap) => *gap.channel == *self.channel,
            Event::Missing { channel, .. } => *channel == self.channel,
            Event::Connected(connected) => connected.continuation == Continuation::Anew,
            _ => false,
        }
    }

    fn update(&mut self, stamp: &Stamp<'_>, update: &BookUpdate<'_>) -> Result<bool, BookError> {
        let next = match update.kind {
            BookUpdateKind::Snapshot => true,
            BookUpdateKind::Delta => self.seq.is_some_and(|seq| seq.checked_add(1) == Some(stamp.seq)),
        };
        if !next {
            return Ok(self.drop_it());
        }
        match self.book.apply(update) {
            Ok(()) => {
                self.seq = Some(stamp.seq);
                Ok(true)
            }
            Err(error) => {
                self.drop_it();
                Err(error)
            }
        }
    }

    /// Forgets the book; says whether there was one.
    fn drop_it(&mut self) -> bool {
        self.book.clear();
        self.seq.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::event::{Gap, GapReason};
    use crate::market::Decimal;

    fn level(price: i64, size: i64) -> Level {
        Level {
            price: Decimal::new(price, -2),
            size: Decimal::new(size, 0),
        }
    }

    fn apply(book: &mut LocalBook, channel: &str, seq: u64, kind: BookUpdateKind, bid: Level) -> bool {
        let stamp = Stamp {
            channel,
            seq,
            ts_ns: 0,
            pt_ns: 0,
        };
        let update = BookUpdate {
            kind,
            bids: &[bid],
            asks: &[],
        };
        book.apply(&Event::Book(stamp, update)).unwrap()
    }

    const SNAP: BookUpdateKind = BookUpdateKind::Snapshot;
    const DELTA: BookUpdateKind = BookUpdateKind::Delta;

    #[test]
    fn deltas_before_the_first_snapshot_and_of_other_channels_say_nothing() {
        let mut book = LocalBook::new("book:X");
        assert!(!apply(&mut book, "book:X", 1, DELTA, level(1, 1)));
        assert!(!apply(&mut book, "book:Y", 1, SNAP, level(1, 1)));
        assert!(book.book().is_none() && book.best_bid().is_none());
        assert!(apply(&mut book, "book:X", 2, SNAP, level(5, 1)));
        assert!(apply(&mut book, "book:X", 3, DELTA, level(6, 1)));
        assert!(apply(&mut book, "book:X", 4, DELTA, level(5, 0)));
        assert_eq!(book.depth(2), (vec![level(6, 1)], vec![]));
        assert_eq!(book.seq(), Some(4));
        // An older snapshot is the truth all the same, and what follows goes on from there.
        assert!(apply(&mut book, "book:X", 2, SNAP, level(5, 1)));
        assert!(apply(&mut book, "book:X", 3, DELTA, level(6, 1)));
    }

    #[test]
    fn whatever_makes_it_doubtful_drops_it_until_the_next_snapshot() {
        let gap = Event::Gap(Gap {
            channel: "book:X".into(),
            from: 2,
            to: 3,
            why: GapReason::Slow,
        });
        let missing = Event::Missing {
            channel: "book:X".into(),
            from: 2,
            to: 3,
        };
        for doubt in [gap, missing] {
            let mut book = LocalBook::new("book:X");
            apply(&mut book, "book:X", 1, SNAP, level(5, 1));
            assert_eq!(book.apply(&doubt), Ok(true));
            assert!(book.book().is_none());
            assert!(
                !apply(&mut book, "book:X", 2, DELTA, level(6, 1)),
                "2 follows 1, and may have been 4"
            );
            assert!(apply(&mut book, "book:X", 9, SNAP, level(7, 1)));
            assert_eq!(book.best_bid(), Some(&level(7, 1)));
        }
        let mut book = LocalBook::new("book:X");
        apply(&mut book, "book:X", 1, SNAP, level(5, 1));
        assert!(apply(&mut book, "book:X", 3, DELTA, level(6, 1)));
        assert!(book.book().is_none(), "2 is missing");
    }

    #[test]
    fn an_update_that_cannot_be_applied_drops_it() {
        let mut book = LocalBook::new("book:X");
        apply(&mut book, "book:X", 1, SNAP, level(5, 1));
        let stamp = Stamp {
            channel: "book:X",
            seq: 2,
            ts_ns: 0,
            pt_ns: 0,
        };
        let update = BookUpdate {
            kind: DELTA,
            bids: &[level(5, -1)],
            asks: &[],
        };
        assert!(book.apply(&Event::Book(stamp, update)).is_err());
        assert!(book.book().is_none());
    }
}
