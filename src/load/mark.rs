//! What a message carries so that whoever receives it knows which one it is and when it was meant to be sent.
//!
//! Never parses the message around it: a mark is found by its bytes, so that it survives any server that passes text on,
//! whatever it wraps it in. Invariant: a mark has [`MARK_BYTES`] bytes, so that all messages of a run are equally long.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use memchr::memmem::Finder;

/// Number and intended time of one message.
///
/// ```
/// use tickwire::load::{Mark, Scan};
/// let text = format!(r#"{{"t":"msg","data":"{}"}}"#, Mark { n: 7, at_ns: 1_000 });
/// let found: Vec<Mark> = Scan::new().marks(text.as_bytes()).collect();
/// assert_eq!(found, [Mark { n: 7, at_ns: 1_000 }]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which message of the run, or of its connection.
    pub n: u32,
    /// When it was meant to be sent, on the generator's monotonic clock. Cut to 48 bits, which is three days.
    pub at_ns: u64,
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "~#{:08x}@{:012x}~", self.n, self.at_ns & AT_NS_MAX)
    }
}

impl Mark {
    /// Writes it where a mark has room; what does not fit is left out.
    pub fn write(self, room: &mut [u8]) {
        use std::io::Write as _;
        let mut room = room;
        // A slice that is too short takes as much as it can: the caller's templates have room for all.
        let _ = write!(room, "{self}");
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(BEGIN)?;
        let (n, rest) = rest.split_at_checked(N_DIGITS)?;
        let rest = rest.strip_prefix(b"@")?;
        let (at, rest) = rest.split_at_checked(AT_DIGITS)?;
        rest.strip_prefix(b"~")?;
        Some(Self {
            n: u32::try_from(hex(n)?).ok()?,
            at_ns: hex(at)?,
        })
    }
}

/// Finds marks.
#[derive(Debug)]
pub struct Scan {
    begin: Finder<'static>,
}

impl Scan {
    /// A scan for marks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            begin: Finder::new(BEGIN),
        }
    }

    /// The marks of a text, in order.
    pub fn marks<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Mark> + 'a {
        self.begin
            .find_iter(text)
            .filter_map(|at| Mark::parse(text.get(at..)?))
    }
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(value.wrapping_shl(4) | u64::from(digit))
    })
}

/// Bytes of a mark.
pub const MARK_BYTES: usize = 24;
/// Where a mark is to stand in a template.
pub const MARK_PLACE: &str = "{mark}";
/// Where a template may be filled up to its length.
pub const PAD_PLACE: &str = "{pad}";
const BEGIN: &[u8] = b"~#";
const N_DIGITS: usize = 8;
const AT_DIGITS: usize = 12;
/// The latest time that a mark can tell.
const AT_NS_MAX: u64 = (1 << 48) - 1;
const _: () = assert!(MARK_BYTES == BEGIN.len() + N_DIGITS + 1 + AT_DIGITS + 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &[u8]) -> Vec<Mark> {
        Scan::new().marks(text).collect()
    }

    proptest! {
        #[test]
        fn what_was_written_is_found_in_any_text(n: u32, at_ns in 0..=AT_NS_MAX, before in "[a-z~#@\\\\\"]{0,40}", after: Vec<u8>) {
            let mark = Mark { n, at_ns };
            let text = [before.as_bytes(), mark.to_string().as_bytes(), &after].concat();
            prop_assert!(found(&text).contains(&mark));
        }

        #[test]
        fn any_bytes_are_searched_without_harm(text: Vec<u8>) {
            found(&text);
        }
    }

    #[test]
    fn a_mark_has_always_the_same_length() {
        for mark in [
            Mark { n: 0, at_ns: 0 },
            Mark {
                n: u32::MAX,
                at_ns: u64::MAX,
            },
        ] {
            assert_eq!(mark.to_string().len(), MARK_BYTES);
        }
    }

    #[test]
    fn several_marks_in_one_frame_are_all_found_and_what_only_begins_like_one_is_not() {
        let [a, b] = [1, 2].map(|n| Mark { n, at_ns: 9 });
        let text = format!("~#~#xyz{a}{b}~#00000003@00000000000");
        assert_eq!(found(text.as_bytes()), [a, b]);
    }

    #[test]
    fn a_mark_is_written_in_its_place() {
        let mut room = *b"[                        ]";
        Mark { n: 0xab, at_ns: 0xcd }.write(&mut room[1..=MARK_BYTES]);
        assert_eq!(&room, b"[~#000000ab@0000000000cd~]");
    }
}
