//! The market against an oracle that rebuilds every book from what was told.

use std::collections::HashMap;

use super::*;
use crate::market::{BookUpdateKind, Decimal, Level, Quote, Side, Tick};

/// What a subscriber of one instrument knows.
#[derive(Default)]
struct Oracle {
    bids: HashMap<(i64, i8), i64>,
    asks: HashMap<(i64, i8), i64>,
    exponent: i8,
    /// Sizes traded by price since the last book message, and on which side.
    traded: Vec<(Decimal, Decimal, Side)>,
    quote: Option<Quote>,
    snapshots: usize,
}
