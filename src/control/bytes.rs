//! Numbers of bytes as people write and read them: `512M`, `1.5 GiB`.
//!
//! Units are powers of 1,024, as they are for control groups, containers and service managers.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl Bytes {
    /// As many as fit.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// The shortest way to write it on a command line that is exact, or else a little more.
    #[must_use]
    pub fn argument(self) -> String {
        if self.0 < UNIT * UNIT {
            return self.0.to_string();
        }
        format!("{}M", self.0.div_ceil(UNIT * UNIT))
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let suffix = text[digits.len()..].to_ascii_lowercase();
        let suffix = suffix.trim_end_matches('b').trim_end_matches('i');
        let power = match suffix {
            "" => Some(0),
            _ => SUFFIXES.iter().position(|unit| *unit == suffix).map(|at| at + 1),
        };
        let unit = power
            .and_then(|power| u32::try_from(power).ok())
            .and_then(|power| UNIT.checked_pow(power));
        let bytes = digits.parse::<u64>().ok().zip(unit);
        let bytes = bytes.and_then(|(number, unit)| number.checked_mul(unit));
        bytes
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no number of bytes; write one as 1073741824, 512M or 4G"))
    }
}

/// Three digits and a unit; bytes below one unit are exact.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut unit, mut power) = (1, 0);
        while power < UNITS.len() - 1 && self.0 / unit >= UNIT {
            (unit, power) = (unit * UNIT, power + 1);
        }
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        // Cut, not rounded: 1023.99 MiB is not a gibibyte.
        let hundredths = u128::from(rest) * 100 / u128::from(unit);
        let text = match (power, whole) {
            (0, _) | (_, 100..) => format!("{whole} {}", UNITS[power]),
            (_, 10..) => format!("{whole}.{} {}", hundredths / 10, UNITS[power]),
            (_, _) => format!("{whole}.{hundredths:02} {}", UNITS[power]),
        };
        f.pad(&text)
    }
}

const UNIT: u64 = 1024;
const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SUFFIXES: [&str; 5] = ["k", "m", "g", "t", "p"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_read_with_and_without_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512M", 512 << 20),
            ("4g", 4 << 30),
            ("4GiB", 4 << 30),
            ("64KB", 64 << 10),
            ("1T", 1 << 40),
            ("17b", 17),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_examples() {
        for text in ["", "M", "-1", "1.5G", "4X", "4MM", "1 G", "99999999999T", "4ⅿ"] {
            let error = text.parse::<Bytes>().unwrap_err();
            assert!(
                error.contains(&format!("{text:?}")) && error.contains("512M"),
                "{error}"
            );
        }
    }

    #[test]
    fn are_shown_in_three_digits_or_so() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (10 << 20, "10.0 MiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (5 << 40, "5.00 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
        assert_eq!(format!("[{:>9}]", Bytes(1024)), "[ 1.00 KiB]");
    }

    #[test]
    fn an_argument_says_no_less_than_what_it_stands_for() {
        for bytes in [0, 4097, 1 << 20, (1 << 30) + 1] {
            let read: Bytes = Bytes(bytes).argument().parse().unwrap();
            assert!(read.0 >= bytes && read.0 - bytes < UNIT * UNIT);
        }
    }
}
