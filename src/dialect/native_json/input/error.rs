//! Why a line is refused: each fault names the field and the reason.

use std::error::Error;
use std::fmt;

use super::super::fields::ReadError;
use crate::limits::{BOOK_LEVELS_MAX, TRADE_ID_BYTES_MAX};
use crate::market::{ChannelNameError, DecimalError};

/// Why a line is refused.
#[derive(Debug)]
pub enum InputError {
    /// The line is not UTF-8.
    NotUtf8 {
        /// The first byte that cannot be read, counted from 0.
        at: usize,
    },
    /// The line is not JSON.
    NotJson(serde_json::Error),
    /// The line is JSON, but not an object.
    NotAnObject,
    /// A field is not there.
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field is there more than once.
    Twice {
        /// Its name.
        field: &'static str,
    },
    /// A field is something else than it must be.
    Expected {
        /// Its name.
        field: &'static str,
        /// What it must be.
        what: &'static str,
    },
    /// `ch` is no channel name.
    Channel(ChannelNameError),
    /// A field is no decimal.
    Decimal {
        /// Its name.
        field: &'static str,
        /// Why, and where in it.
        error: DecimalError,
    },
    /// A size below 0.
    NegativeSize {
        /// The name of its field.
        field: &'static str,
    },
    /// `tid` is longer than [`TRADE_ID_BYTES_MAX`].
    TradeIdTooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A level of a book is not one.
    Level {
        /// The name of its field.
        field: &'static str,
        /// Its place there, counted from 0.
        index: usize,
        /// Why.
        error: LevelError,
    },
    /// A side names more than [`BOOK_LEVELS_MAX`] levels.
    TooManyLevels {
        /// The name of its field.
        field: &'static str,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Self::NotJson(error) => write!(f, "{error}"),
            Self::NotAnObject => f.write_str("expected a JSON object"),
            Self::Missing { field } => write!(f, "{field}: missing"),
            Self::Twice { field } => write!(f, "{field}: given twice"),
            Self::Expected { field, what } => write!(f, "{field}: expected {what}"),
            Self::Channel(error) => write!(f, "ch: {error}"),
            Self::Decimal { field, error } => write!(f, "{field}: {error}"),
            Self::NegativeSize { field } => write!(f, "{field}: a size is not negative"),
            Self::TradeIdTooLong { bytes } => {
                write!(
                    f,
                    "tid: {bytes} bytes are too long, at most {TRADE_ID_BYTES_MAX} are allowed"
                )
            }
            Self::Level { field, index, error } => write!(f, "{field}[{index}]: {error}"),
            Self::TooManyLevels { field } => write!(f, "{field}: more than {BOOK_LEVELS_MAX} levels"),
        }
    }
}

impl Error for InputError {}

impl From<ReadError> for InputError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotAnObject => Self::NotAnObject,
            ReadError::NotJson(error) => Self::NotJson(error),
        }
    }
}

impl From<ChannelNameError> for InputError {
    fn from(error: ChannelNameError) -> Self {
        Self::Channel(error)
    }
}

/// Why a level of a book is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelError {
    /// It is not an array of two decimals.
    NotAPair,
    /// Its price is no decimal.
    Price(DecimalError),
    /// Its size is no decimal.
    Size(DecimalError),
    /// Its size is below 0.
    NegativeSize,
}

impl fmt::Display for LevelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPair => f.write_str("expected [price, size], both as strings or numbers"),
            Self::Price(error) => write!(f, "price: {error}"),
            Self::Size(error) => write!(f, "size: {error}"),
            Self::NegativeSize => f.write_str("a size is not negative"),
        }
    }
}

impl Error for LevelError {}
