//! How quantities and a peer's words are shown to people.

use std::fmt;

/// A text that a peer wrote, without the characters that could steer a terminal.
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.contains(char::is_control) {
            return f.pad(self.0);
        }
        let shown: String = self
            .0
            .chars()
            .map(|char| {
                if char.is_control() {
                    char::REPLACEMENT_CHARACTER
                } else {
                    char
                }
            })
            .collect();
        f.pad(&shown)
    }
}

/// Nanoseconds, in the unit that suits them.
pub(crate) struct Span(pub(crate) u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ns) = *self;
        match ns {
            0..1_000_000 => write!(f, "{} µs", ns / 1000),
            1_000_000..1_000_000_000 => write!(f, "{} ms", Hundredths(ns / 10_000)),
            1_000_000_000.. => write!(f, "{} s", Hundredths(ns / 10_000_000)),
        }
    }
}

/// Bytes, in the unit that suits them.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        match bytes {
            0..1_000 => write!(f, "{bytes} B"),
            1_000..1_000_000 => write!(f, "{} kB", Hundredths(bytes / 10)),
            1_000_000..1_000_000_000 => write!(f, "{} MB", Hundredths(bytes / 10_000)),
            1_000_000_000.. => write!(f, "{} GB", Hundredths(bytes / 10_000_000)),
        }
    }
}

/// A number with two digits behind the point, given in hundredths.
struct Hundredths(u64);

impl fmt::Display for Hundredths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_shown_in_the_unit_that_suits_them() {
        let spans = [
            0,
            999,
            83_999,
            999_999,
            1_000_000,
            12_345_678,
            999_999_999,
            61_000_000_000,
        ];
        assert_eq!(
            spans.map(|ns| Span(ns).to_string()),
            [
                "0 µs",
                "0 µs",
                "83 µs",
                "999 µs",
                "1.00 ms",
                "12.34 ms",
                "999.99 ms",
                "61.00 s"
            ]
        );
        let bytes = [0, 999, 1_000, 312_456, 1_000_000, 2_050_000_000];
        assert_eq!(
            bytes.map(|bytes| Bytes(bytes).to_string()),
            ["0 B", "999 B", "1.00 kB", "312.45 kB", "1.00 MB", "2.05 GB"]
        );
    }

    #[test]
    fn what_could_steer_a_terminal_is_replaced() {
        assert_eq!(
            Printable("a\u{1b}[2J\u{9b}é\n").to_string(),
            "a\u{fffd}[2J\u{fffd}é\u{fffd}"
        );
        assert_eq!(format!("{:<4}|", Printable("a:b")), "a:b |");
    }
}
