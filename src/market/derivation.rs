//! Names of derived channels: `book:BTC-USD/10`, `bbo:BTC-USD@100ms`, `book:BTC-USD/10@1s`.
//!
//! A derived channel says what its *base* says, but less: of a book no more than the best levels of each side (`/N`), and
//! of a channel with a state no more than one message in each interval (`@N`). The depth stands before the interval.
//!
//! Never knows which channels there are. A symbol may itself end like that, so a name can be read in more than one way, and
//! whoever knows the channels takes the first reading whose base is one. Invariant: what is derived in the same way has the
//! same name, so that all who ask for it share it.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::error::Error;
use std::fmt;

use super::{ChannelClass, ChannelName};
use crate::limits::{BOOK_LEVELS_MAX, DERIVED_INTERVAL_MS_LEAST, DERIVED_INTERVAL_MS_MOST};

/// One way to read a name as that of a derived channel. Its numbers are not checked: see [`Reading::derivation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading<'a> {
    /// What it would be derived from.
    pub base: ChannelName<'a>,
    depth: Option<&'a str>,
    interval: Option<&'a str>,
}

/// What a derived channel leaves out of its base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// Levels of each side of a book that are kept, the best ones.
    pub depth: Option<usize>,
    /// In each so many milliseconds there is at most one message.
    pub interval_ms: Option<u32>,
}

impl<'a> Reading<'a> {
    /// The ways to read `name`, the one with the longest base first; none where it does not end like a derived channel's.
    ///
    /// ```
    /// use tickwire::market::{ChannelName, Derivation, Reading};
    ///
    /// let name = ChannelName::parse("book:BTC/10@1s")?;
    /// let bases: Vec<&str> = Reading::of(name).map(|reading| reading.base.as_str()).collect();
    /// assert_eq!(bases, ["book:BTC/10", "book:BTC"]);
    /// assert_eq!(Reading::of(ChannelName::parse("book:BTC/USD")?).count(), 0);
    /// # Ok::<(), tickwire::market::ChannelNameError>(())
    /// ```
    pub fn of(name: ChannelName<'a>) -> impl Iterator<Item = Self> {
        let (rest, interval) = split_interval(name.as_str());
        let (shorter, depth) = split_depth(rest);
        let reading = |text, depth, interval| {
            let base = ChannelName::parse(text).ok()?;
            Some(Self {
                base,
                depth,
                interval,
            })
        };
        let whole = interval.and_then(|_| reading(rest, None, interval));
        let part = depth.and_then(|_| reading(shorter, depth, interval));
        whole.into_iter().chain(part)
    }

    /// Whether a book can have that depth.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_depth(depth: usize) -> Result<(), DerivationError> {
        match (1..=BOOK_LEVELS_MAX).contains(&depth) {
            true => Ok(()),
            false => Err(DerivationError::Depth),
        }
    }

    /// The milliseconds of an interval as it is written in a name: `100ms`, `1s`.
    ///
    /// # Errors
    /// When there can be no such interval, or it is written in another way.
    pub fn interval_ms(text: &str) -> Result<u32, DerivationError> {
        read_interval(text)
    }

    /// What it leaves out of its base, which is of `class`.
    ///
    /// # Errors
    /// When nothing can be derived of such a channel in this way.
    pub fn derivation(self, class: ChannelClass) -> Result<Derivation, DerivationError> {
        if class == ChannelClass::Append {
            return Err(DerivationError::Append);
        }
        if self.depth.is_some() && class != ChannelClass::Book {
            return Err(DerivationError::NoBook);
        }
        Ok(Derivation {
            depth: self.depth.map(read_depth).transpose()?,
            interval_ms: self.interval.map(read_interval).transpose()?,
        })
    }
}

/// Why nothing is derived of a channel that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivationError {
    /// Of its messages every one counts.
    Append,
    /// It has no levels.
    NoBook,
    /// The depth is no number of levels that there may be, written as short as can be.
    Depth,
    /// The interval is none that there may be.
    Interval,
    /// The interval is written in milliseconds and is one of whole seconds.
    Seconds,
}

impl fmt::Display for DerivationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append => f.write_str("of a channel of class append nothing is derived"),
            Self::NoBook => f.write_str("only a book has a depth"),
            Self::Depth => write!(f, "a depth is a number from 1 to {BOOK_LEVELS_MAX}"),
            Self::Interval => {
                let (least, most) = (DERIVED_INTERVAL_MS_LEAST, DERIVED_INTERVAL_MS_MOST / 1000);
                write!(f, "an interval is a number from {least}ms to {most}s")
            }
            Self::Seconds => f.write_str("an interval of whole seconds is written in s, as @1s"),
        }
    }
}

impl Error for DerivationError {}

/// Parts `@` and an interval from what stands before it.
fn split_interval(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((rest, interval)) if has_unit(interval) => (rest, Some(interval)),
        _ => (text, None),
    }
}

/// Parts `/` and a depth from what stands before it.
fn split_depth(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('/') {
        Some((rest, depth)) if are_digits(depth) => (rest, Some(depth)),
        _ => (text, None),
    }
}

fn has_unit(interval: &str) -> bool {
    let number = interval.strip_suffix("ms").or_else(|| interval.strip_suffix('s'));
    number.is_some_and(are_digits)
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn read_depth(digits: &str) -> Result<usize, DerivationError> {
    let depth = number(digits).and_then(|depth| usize::try_from(depth).ok());
    let depth = depth.ok_or(DerivationError::Depth)?;
    Reading::check_depth(depth)?;
    Ok(depth)
}

fn read_interval(text: &str) -> Result<u32, DerivationError> {
    let milliseconds = text.strip_suffix("ms");
    let ms = match milliseconds {
        Some(digits) => number(digits),
        None => text
            .strip_suffix('s')
            .and_then(number)
            .and_then(|s| s.checked_mul(1000)),
    };
    let ms = ms
        .filter(|ms| (DERIVED_INTERVAL_MS_LEAST..=DERIVED_INTERVAL_MS_MOST).contains(ms))
        .ok_or(DerivationError::Interval)?;
    if milliseconds.is_some() && ms.is_multiple_of(1000) {
        return Err(DerivationError::Seconds);
    }
    Ok(ms)
}

/// A number that is written as short as can be.
fn number(digits: &str) -> Option<u32> {
    if digits.starts_with('0') {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn readings(text: &str) -> Vec<(String, Result<Derivation, DerivationError>)> {
        let name = ChannelName::parse(text).unwrap();
        Reading::of(name)
            .map(|reading| {
                let derivation = reading.derivation(ChannelClass::Book);
                (reading.base.to_string(), derivation)
            })
            .collect()
    }

    fn derived(depth: Option<usize>, interval_ms: Option<u32>) -> Result<Derivation, DerivationError> {
        Ok(Derivation { depth, interval_ms })
    }

    #[test]
    fn depth_and_interval_part_from_the_end_of_a_name() {
        for (text, expected) in [
            ("bbo:A@100ms", vec![("bbo:A", derived(None, Some(100)))]),
            ("book:A@60s", vec![("book:A", derived(None, Some(60_000)))]),
            ("book:A/10", vec![("book:A", derived(Some(10), None))]),
            ("book:A/B/6000", vec![("book:A/B", derived(Some(6000), None))]),
            (
                "book:A/10@1s",
                vec![
                    ("book:A/10", derived(None, Some(1000))),
                    ("book:A", derived(Some(10), Some(1000))),
                ],
            ),
            ("book:A@1s/10", vec![("book:A@1s", derived(Some(10), None))]),
            ("book:A@B@10ms", vec![("book:A@B", derived(None, Some(10)))]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(base, derivation)| (base.to_owned(), derivation))
                .collect();
            assert_eq!(readings(text), expected, "{text}");
        }
    }

    #[test]
    fn other_names_are_nobodys() {
        for text in [
            "book:A",
            "book:BTC/USD",
            "room:a@b",
            "room:a@5m",
            "room:@s",
            "book:/10",
            "book:@10ms",
            "a:1s",
            "book:A/",
            "book:A@",
            "book:A/-1",
            "book:A/1x",
            "book:10/x@ms",
        ] {
            assert_eq!(readings(text), [], "{text}");
        }
    }

    #[test]
    fn what_cannot_be_derived_is_said_with_the_cure() {
        for (text, words) in [
            ("book:A/0", "a depth is a number from 1 to 6000"),
            ("book:A/6001", "a depth is a number from 1 to 6000"),
            ("book:A/010", "a depth is a number from 1 to 6000"),
            ("book:A/99999999999", "a depth is a number from 1 to 6000"),
            ("book:A@9ms", "an interval is a number from 10ms to 60s"),
            ("book:A@61s", "an interval is a number from 10ms to 60s"),
            ("book:A@0100ms", "an interval is a number from 10ms to 60s"),
            ("book:A@99999999999s", "an interval is a number from 10ms to 60s"),
            (
                "book:A@1000ms",
                "an interval of whole seconds is written in s, as @1s",
            ),
        ] {
            let (_, derivation) = readings(text).pop().unwrap();
            assert_eq!(derivation.unwrap_err().to_string(), words, "{text}");
        }
        let first = |text| Reading::of(ChannelName::parse(text).unwrap()).next().unwrap();
        assert_eq!(
            first("trade:A@1s").derivation(ChannelClass::Append),
            Err(DerivationError::Append)
        );
        assert_eq!(
            first("bbo:A/5").derivation(ChannelClass::Replace),
            Err(DerivationError::NoBook)
        );
        assert_eq!(
            first("bbo:A@1s").derivation(ChannelClass::Replace),
            derived(None, Some(1000))
        );
    }

    proptest! {
        #[test]
        fn what_is_derived_in_the_same_way_has_the_same_name(
            text in "book:[AB/@]{1,3}(/[0-9]{1,4})?(@[0-9]{1,5}m?s)?",
        ) {
            let name = ChannelName::parse(&text).unwrap();
            for reading in Reading::of(name) {
                let Ok(Derivation { depth, interval_ms }) = reading.derivation(ChannelClass::Book) else {
                    continue;
                };
                let mut written = reading.base.to_string();
                if let Some(depth) = depth {
                    written += &format!("/{depth}");
                }
                match interval_ms {
                    Some(ms) if ms % 1000 == 0 => written += &format!("@{}s", ms / 1000),
                    Some(ms) => written += &format!("@{ms}ms"),
                    None => {}
                }
                prop_assert_eq!(written, text.as_str());
            }
        }
    }
}
