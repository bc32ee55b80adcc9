//! The book against two maps.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

type Side = BTreeMap<Decimal, Decimal>;

/// The same book as two maps from price to size.
#[derive(Debug, Default)]
struct NaiveBook {
    bids: Side,
    asks: Side,
}

impl NaiveBook {
    fn apply(&mut self, update: &BookUpdate<'_>) {
        if update.kind == BookUpdateKind::Snapshot {
            *self = Self::default();
        }
        for (side, levels) in [(&mut self.bids, update.bids), (&mut self.asks, update.asks)] {
            for level in levels {
                side.remove(&level.price);
                if !level.size.is_zero() {
                    side.insert(level.price, level.size);
                }
            }
        }
    }
}

fn level(price: i64, size: i64) -> Level {
    Level {
        price: Decimal::new(price, 0),
        size: Decimal::new(size, 0),
    }
}

/// A level near 0, so that prices meet again, each written in one of several ways.
fn any_level() -> impl Strategy<Value = Level> {
    (-12_i64..12, 0_u8..3, 0_i64..4).prop_map(|(price, zeros, size)| {
        let price = Decimal::new(price, -1)
            .rescale(-1 - i8::try_from(zeros).unwrap())
            .unwrap();
        Level {
            price,
            size: Decimal::new(size, -2),
        }
    })
}

type Operation = (bool, Vec<Level>, Vec<Level>);

fn any_operation() -> impl Strategy<Value = Operation> {
    let levels = || prop::collection::vec(any_level(), 0..12);
    (prop::bool::weighted(0.15), levels(), levels())
}

fn update_of((snapshot, bids, asks): &Operation) -> BookUpdate<'_> {
    let kind = if *snapshot {
        BookUpdateKind::Snapshot
    } else {
        BookUpdateKind::Delta
    };
    BookUpdate { kind, bids, asks }
}

/// Price and size as written.
fn written(price: &Decimal, size: &Decimal) -> String {
    format!("{price} {size}")
}

proptest! {
    #[test]
    fn the_book_is_what_two_maps_are(operations in prop::collection::vec(any_operation(), 1..20)) {
        let (mut book, mut naive) = (Book::new(), NaiveBook::default());
        for operation in &operations {
            let update = update_of(operation);
            book.apply(&update).unwrap();
            naive.apply(&update);

            let bids: Vec<_> = book.bids().map(|level| written(&level.price, &level.size)).collect();
            let asks: Vec<_> = book.asks().map(|level| written(&level.price, &level.size)).collect();
            prop_assert_eq!(&bids, &naive.bids.iter().rev().map(|(p, s)| written(p, s)).collect::<Vec<_>>());
            prop_assert_eq!(&asks, &naive.asks.iter().map(|(p, s)| written(p, s)).collect::<Vec<_>>());
            prop_assert_eq!(book.level_counts(), (bids.len(), asks.len()));
            prop_assert_eq!(book.best_bid().map(|level| level.price), naive.bids.last_key_value().map(|b| *b.0));
            prop_assert_eq!(book.best_ask().map(|level| level.price), naive.asks.first_key_value().map(|a| *a.0));
            let crossed = naive.bids.keys().any(|bid| naive.asks.keys().any(|ask| bid >= ask));
            prop_assert_eq!(book.is_crossed(), crossed);
        }
    }

    #[test]
    fn the_snapshot_of_a_book_makes_the_same_book(operations in prop::collection::vec(any_operation(), 1..5)) {
        let mut book = Book::new();
        for operation in &operations {
            book.apply(&update_of(operation)).unwrap();
        }
        let mut scratch = vec![level(1, 1)];
        let snapshot = book.snapshot(&mut scratch);
        prop_assert!(snapshot.bids.is_sorted_by(|a, b| a.price > b.price));
        prop_assert!(snapshot.asks.is_sorted_by(|a, b| a.price < b.price));
        let mut copy = Book::new();
        copy.apply(&snapshot).unwrap();
        prop_assert!(copy.bids().eq(book.bids()) && copy.asks().eq(book.asks()));
    }
}

#[test]
fn deleting_an_unknown_level_does_nothing() {
    let mut book = Book::new();
    book.apply(&BookUpdate {
        kind: BookUpdateKind::Delta,
        bids: &[level(5, 0)],
        asks: &[level(6, 0)],
    })
    .unwrap();
    assert!(book.is_empty());
}

#[test]
fn prices_may_be_negative_and_sizes_may_not() {
    let mut book = Book::new();
    let snapshot = BookUpdate {
        kind: BookUpdateKind::Snapshot,
        bids: &[level(-38, 4)],
        asks: &[level(-37, 1)],
    };
    book.apply(&snapshot).unwrap();
    assert!(!book.is_crossed());
    for kind in [BookUpdateKind::Snapshot, BookUpdateKind::Delta] {
        let bad = BookUpdate {
            kind,
            bids: &[level(-40, 1)],
            asks: &[level(-30, 2), level(-36, -2)],
        };
        let error = book.apply(&bad).unwrap_err();
        assert_eq!(
            error,
            BookError::NegativeSize {
                side: BookSide::Ask,
                level: level(-36, -2)
            }
        );
        assert_eq!(error.to_string(), "the ask at -36 has the negative size -2");
        assert_eq!(book.level_counts(), (1, 1), "nothing of the update was applied");
    }
}

#[test]
fn a_locked_book_counts_as_crossed() {
    let mut book = Book::new();
    let at = |kind, bid, ask| (kind, [level(bid, 1)], [level(ask, 1)]);
    for (bid, ask, crossed) in [(5, 6, false), (6, 6, true), (7, 6, true)] {
        let (kind, bids, asks) = at(BookUpdateKind::Snapshot, bid, ask);
        book.apply(&BookUpdate {
            kind,
            bids: &bids,
            asks: &asks,
        })
        .unwrap();
        assert_eq!(book.is_crossed(), crossed);
    }
    book.clear();
    assert!(book.is_empty() && !book.is_crossed());
}

#[test]
fn a_side_that_would_overflow_leaves_the_whole_book_unchanged() {
    let full: Vec<Level> = (0..).take(BOOK_LEVELS_MAX).map(|price| level(price, 1)).collect();
    let mut book = Book::new();
    book.apply(&BookUpdate {
        kind: BookUpdateKind::Snapshot,
        bids: &[],
        asks: &full,
    })
    .unwrap();

    let more = [level(-1, 1)];
    let error = book
        .apply(&BookUpdate {
            kind: BookUpdateKind::Delta,
            bids: &more,
            asks: &more,
        })
        .unwrap_err();
    assert_eq!(
        error,
        BookError::BookLevelsFull {
            side: BookSide::Ask,
            levels: BOOK_LEVELS_MAX + 1
        }
    );
    assert_eq!(
        error.to_string(),
        format!(
            "the ask side would have {} levels, at most {BOOK_LEVELS_MAX} are allowed",
            BOOK_LEVELS_MAX + 1
        )
    );
    assert_eq!(
        (book.level_counts(), book.best_ask()),
        ((0, BOOK_LEVELS_MAX), Some(&level(0, 1)))
    );

    // What counts is what the update leaves behind, not what it passes through.
    let exchange = [level(-1, 1), level(7, 0)];
    book.apply(&BookUpdate {
        kind: BookUpdateKind::Delta,
        bids: &more,
        asks: &exchange,
    })
    .unwrap();
    assert_eq!(
        (book.level_counts(), book.best_ask()),
        ((1, BOOK_LEVELS_MAX), Some(&level(-1, 1)))
    );

    let overfull: Vec<Level> = (0..=16 * 1024).map(|price| level(price, 1)).collect();
    let snapshot = BookUpdate {
        kind: BookUpdateKind::Snapshot,
        bids: &overfull,
        asks: &[],
    };
    assert!(book.apply(&snapshot).is_err());
    assert_eq!(
        (book.level_counts(), book.best_ask()),
        ((1, BOOK_LEVELS_MAX), Some(&level(-1, 1)))
    );
}
