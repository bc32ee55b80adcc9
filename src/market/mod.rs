//! What is traded: decimals, trades, quotes and level-2 books.

pub mod tick;

pub use tick::{BookUpdate, BookUpdateKind, Level, Quote, Side, Tick, Trade};

pub mod decimal;
pub use decimal::{Decimal, DecimalError};
