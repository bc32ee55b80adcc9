//! Reads one side of a book, `[["px","sz"],…]`, in one pass over text that is known to be one valid JSON value.
//!
//! Never allocates but in the caller's list of levels, and never recurses.
//!
//! Invariant: were the text no valid JSON after all, the answer would be an error or some levels, not a panic.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use super::error::{InputError, LevelError};
use crate::limits::BOOK_LEVELS_MAX;
use crate::market::{Decimal, DecimalError, Level};

/// Appends the levels of the field.
///
/// # Errors
/// When the value is not an array of levels, or has more than [`BOOK_LEVELS_MAX`].
pub(super) fn read(field: &'static str, value: &str, levels: &mut Vec<Level>) -> Result<(), InputError> {
    let mut cursor = Cursor {
        rest: value.as_bytes(),
    };
    if !cursor.take(b'[') {
        return Err(InputError::Expected {
            field,
            what: "an array of levels",
        });
    }
    if cursor.take(b']') {
        return Ok(());
    }
    for index in 0..BOOK_LEVELS_MAX {
        levels.push(
            cursor
                .level()
                .map_err(|error| InputError::Level { field, index, error })?,
        );
        if !cursor.take(b',') {
            return Ok(());
        }
    }
    Err(InputError::TooManyLevels { field })
}

/// What is still to be read.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn level(&mut self) -> Result<Level, LevelError> {
        if !self.take(b'[') {
            return Err(LevelError::NotAPair);
        }
        let price = self.decimal()?.map_err(LevelError::Price)?;
        if !self.take(b',') {
            return Err(LevelError::NotAPair);
        }
        let size = self.decimal()?.map_err(LevelError::Size)?;
        if !self.take(b']') {
            return Err(LevelError::NotAPair);
        }
        if size.is_negative() {
            Err(LevelError::NegativeSize)
        } else {
            Ok(Level { price, size })
        }
    }

    /// Reads a string or number as a decimal; anything else makes no pair.
    fn decimal(&mut self) -> Result<Result<Decimal, DecimalError>, LevelError> {
        self.skip_space();
        let digits = match self.rest.split_first() {
            Some((b'"', rest)) => {
                self.rest = rest;
                let digits = self.until(|byte| byte == b'"');
                self.take(b'"');
                digits
            }
            Some((b'-' | b'0'..=b'9', _)) => {
                self.until(|byte| matches!(byte, b',' | b']') || byte.is_ascii_whitespace())
            }
            _ => return Err(LevelError::NotAPair),
        };
        Ok(Decimal::parse(digits))
    }

    /// Reads `byte`, and white space before it, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    fn until(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let length = self
            .rest
            .iter()
            .position(|byte| ends(*byte))
            .unwrap_or(self.rest.len());
        let (before, rest) = self.rest.split_at(length);
        self.rest = rest;
        before
    }
}
