//! One thing that happened on a market, as it passes from a source to the encoders.
//!
//! A tick borrows from the line it was read from: it lives for one pass down the writer and is never stored.

use super::Decimal;

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tick<'a> {
    /// A trade.
    Trade(Trade<'a>),
    /// A best bid and offer.
    Quote(Quote),
    /// A level-2 book, whole or in part.
    Book(BookUpdate<'a>),
    /// Any other message: the publisher's own JSON value, untouched.
    Message(&'a str),
}

/// A trade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade<'a> {
    /// Price of one unit.
    pub price: Decimal,
    /// Units that changed hands.
    pub size: Decimal,
    /// The aggressor's side.
    pub side: Side,
    /// The venue's own name for the trade; empty where it has none.
    pub id: &'a str,
}

/// Best bid and offer. A side without orders has size 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// The highest price that somebody bids.
    pub bid_price: Decimal,
    /// Units bid at that price.
    pub bid_size: Decimal,
    /// The lowest price that somebody asks.
    pub ask_price: Decimal,
    /// Units asked at that price.
    pub ask_size: Decimal,
}

/// A change of a level-2 book.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BookUpdate<'a> {
    /// Whether the levels are the whole book or replace single levels of it.
    pub kind: BookUpdateKind,
    /// Bids; the order does not matter.
    pub bids: &'a [Level],
    /// Asks; the order does not matter.
    pub asks: &'a [Level],
}

/// How to read the levels of a [`BookUpdate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookUpdateKind {
    /// The whole book: everything known before is void.
    Snapshot,
    /// Each level replaces the one of its price; size 0 deletes it.
    Delta,
}

/// All that is bid or asked at one price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// The price.
    pub price: Decimal,
    /// Units at that price; 0 when there are none any more.
    pub size: Decimal,
}

/// Who crossed the spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The buyer did.
    Buy,
    /// The seller did.
    Sell,
}
