//! One line of the native input form: a tick before it has a number.
//!
//! Never stops at a field that it does not know, and never guesses one that it needs.
//!
//! A line is a JSON object, as the data messages of the protocol are, without `seq` and `pt`:
//!
//! | `t` | needed besides `ch` | optional |
//! |---|---|---|
//! | `trade` | `px` `sz` `side` (`buy`, `sell`) | `tid` `ts` |
//! | `bbo` | `bp` `bs` `ap` `as` | `ts` |
//! | `book` | `k` (`snap`, `delta`); for `snap` both `b` and `a`, for `delta` one of them | `ts` |
//! | `msg` | `data`, any JSON value | `ts` |
//!
//! A decimal is a string or a number, and its digits are kept as they are written: `"1.50"` and `1.50` are alike,
//! and neither passes through a float. Sizes are not negative. `ts` is an integer of nanoseconds since the epoch, or
//! such an integer in a string, for languages whose numbers are floats. `tid` is a string without escapes, or an
//! unsigned integer. What may be left out may also be `null`.
//!
//! Invariant: nothing of an input is copied from its line but the levels of a book.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

mod error;
mod levels;

use super::fields::{self, Fields};
use crate::limits::TRADE_ID_BYTES_MAX;
use crate::market::{BookUpdate, BookUpdateKind, ChannelName, Decimal, Level, Quote, Side, Tick, Trade};

pub use error::{InputError, LevelError};

/// What one line says.
///
/// ```
/// use tickwire::dialect::native_json::Input;
/// use tickwire::market::{Decimal, Tick};
///
/// let line = br#"{"ch":"trade:BTC-USD","t":"trade","px":"61685.99","sz":0.1,"side":"buy"}"#;
/// let mut levels = Vec::new();
/// let input = Input::parse(line, &mut levels)?;
/// assert_eq!((input.channel.as_str(), input.ts_ns), ("trade:BTC-USD", None));
/// let Tick::Trade(trade) = input.tick else { unreachable!("it says trade") };
/// assert_eq!(trade.price, Decimal::new(6_168_599, -2));
/// # Ok::<(), tickwire::dialect::native_json::InputError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Input<'a> {
    /// Where the tick goes.
    pub channel: ChannelName<'a>,
    /// When it happened, in nanoseconds since the epoch; `None` means now.
    pub ts_ns: Option<u64>,
    /// What happened.
    pub tick: Tick<'a>,
}

impl<'a> Input<'a> {
    /// Reads one line, with or without its end. The levels of a book are put into `levels`, whose old content is
    /// void.
    ///
    /// # Errors
    /// When it is no such line; see [`InputError`].
    pub fn parse(line: &'a [u8], levels: &'a mut Vec<Level>) -> Result<Self, InputError> {
        Self::read(utf8(line)?, None, levels)
    }

    /// Reads a request to publish: the same fields, and a message where no `t` says that it is something else.
    ///
    /// ```
    /// use tickwire::dialect::native_json::Input;
    /// use tickwire::market::Tick;
    ///
    /// let request = r#"{"op":"pub","id":11,"ch":"room:42","data":[1,2]}"#;
    /// let mut levels = Vec::new();
    /// assert_eq!(Input::parse_request(request, &mut levels)?.tick, Tick::Message("[1,2]"));
    /// # Ok::<(), tickwire::dialect::native_json::InputError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_request(text: &'a str, levels: &'a mut Vec<Level>) -> Result<Self, InputError> {
        Self::read(text, Some("\"msg\""), levels)
    }

    fn read(
        text: &'a str,
        kind: Option<&'static str>,
        levels: &'a mut Vec<Level>,
    ) -> Result<Self, InputError> {
        let Fields { values, twice } = fields::read(text, &NAMES)?;
        if let Some(field) = twice {
            return Err(InputError::Twice { field });
        }
        let [ch, t, ts, said @ ..] = values;
        let channel = plain(needed("ch", ch)?).ok_or(expected("ch", "a string without escapes"))?;
        let channel = ChannelName::parse(channel)?;
        let ts_ns = said_at_all(ts).map(read_time).transpose()?;
        let t = t.filter(|t| kind.is_none() || *t != "null").or(kind);
        let tick = read_tick(t, said, levels)?;
        Ok(Self { channel, ts_ns, tick })
    }
}

/// What a tick says: the text of its type, and those of the fields of [`NAMES`] that stand behind the first three, in
/// that order.
pub(super) fn read_tick<'a>(
    t: Option<&str>,
    said: [Option<&'a str>; 12],
    levels: &'a mut Vec<Level>,
) -> Result<Tick<'a>, InputError> {
    let [px, sz, side, tid, bp, bs, ap, ask_size, k, b, a, data] = said;
    Ok(match needed("t", t)? {
        "\"trade\"" => Tick::Trade(Trade {
            price: read_decimal("px", px)?,
            size: read_size("sz", sz)?,
            side: read_side(side)?,
            id: said_at_all(tid).map_or(Ok(""), read_trade_id)?,
        }),
        "\"bbo\"" => Tick::Quote(Quote {
            bid_price: read_decimal("bp", bp)?,
            bid_size: read_size("bs", bs)?,
            ask_price: read_decimal("ap", ap)?,
            ask_size: read_size("as", ask_size)?,
        }),
        "\"book\"" => Tick::Book(read_book(k, said_at_all(b), said_at_all(a), levels)?),
        "\"msg\"" => Tick::Message(needed("data", data)?),
        _ => return Err(expected("t", "\"trade\", \"bbo\", \"book\" or \"msg\"")),
    })
}

/// `null` says as much as nothing where something may be left out.
fn said_at_all(value: Option<&str>) -> Option<&str> {
    value.filter(|value| *value != "null")
}

fn utf8(line: &[u8]) -> Result<&str, InputError> {
    simdutf8::basic::from_utf8(line).map_err(|_| {
        let at = str::from_utf8(line).map_or_else(|error| error.valid_up_to(), str::len);
        InputError::NotUtf8 { at }
    })
}

fn needed<'a>(field: &'static str, value: Option<&'a str>) -> Result<&'a str, InputError> {
    value.ok_or(InputError::Missing { field })
}

const fn expected(field: &'static str, what: &'static str) -> InputError {
    InputError::Expected { field, what }
}

/// What stands between the quotation marks of a string that has no escapes.
fn plain(value: &str) -> Option<&str> {
    value
        .strip_prefix('"')?
        .strip_suffix('"')
        .filter(|inner| !inner.contains('\\'))
}

/// What may be a decimal: a string's inside or a number's text.
fn digits(value: &str) -> Option<&str> {
    match value.as_bytes().first() {
        Some(b'"') => plain(value),
        Some(b'-' | b'0'..=b'9') => Some(value),
        _ => None,
    }
}

fn read_time(value: &str) -> Result<u64, InputError> {
    let digits = digits(value).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let time = digits.and_then(fields::unsigned);
    time.ok_or(expected(
        "ts",
        "nanoseconds since the epoch, an unsigned integer of 64 bits",
    ))
}

fn read_decimal(field: &'static str, value: Option<&str>) -> Result<Decimal, InputError> {
    let digits = digits(needed(field, value)?).ok_or(expected(field, "a decimal, as a string or number"))?;
    Decimal::parse(digits).map_err(|error| InputError::Decimal { field, error })
}

fn read_size(field: &'static str, value: Option<&str>) -> Result<Decimal, InputError> {
    let size = read_decimal(field, value)?;
    if size.is_negative() {
        Err(InputError::NegativeSize { field })
    } else {
        Ok(size)
    }
}

fn read_side(value: Option<&str>) -> Result<Side, InputError> {
    match needed("side", value)? {
        "\"buy\"" => Ok(Side::Buy),
        "\"sell\"" => Ok(Side::Sell),
        _ => Err(expected("side", "\"buy\" or \"sell\"")),
    }
}

fn read_trade_id(value: &str) -> Result<&str, InputError> {
    let number = fields::unsigned(value).map(|_| value);
    let id = plain(value)
        .or(number)
        .ok_or(expected("tid", "a string without escapes or an unsigned integer"))?;
    if id.len() > TRADE_ID_BYTES_MAX {
        Err(InputError::TradeIdTooLong { bytes: id.len() })
    } else {
        Ok(id)
    }
}

fn read_book<'a>(
    k: Option<&str>,
    b: Option<&str>,
    a: Option<&str>,
    levels: &'a mut Vec<Level>,
) -> Result<BookUpdate<'a>, InputError> {
    let kind = match needed("k", k)? {
        "\"snap\"" => BookUpdateKind::Snapshot,
        "\"delta\"" => BookUpdateKind::Delta,
        _ => return Err(expected("k", "\"snap\" or \"delta\"")),
    };
    match (kind, b, a) {
        // A side that a snapshot does not name would be deleted, which nobody means who does not say so.
        (BookUpdateKind::Snapshot, None, _) | (BookUpdateKind::Delta, None, None) => {
            return Err(InputError::Missing { field: "b" });
        }
        (BookUpdateKind::Snapshot, _, None) => return Err(InputError::Missing { field: "a" }),
        (BookUpdateKind::Snapshot | BookUpdateKind::Delta, _, _) => {}
    }
    levels.clear();
    levels::read("b", b.unwrap_or("[]"), levels)?;
    let bid_count = levels.len();
    levels::read("a", a.unwrap_or("[]"), levels)?;
    let (bids, asks) = levels.split_at(bid_count);
    Ok(BookUpdate { kind, bids, asks })
}

/// All that any line may say.
const NAMES: [&str; 15] = [
    "ch", "t", "ts", "px", "sz", "side", "tid", "bp", "bs", "ap", "as", "k", "b", "a", "data",
];

#[cfg(test)]
mod tests;
