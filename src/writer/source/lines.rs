//! Cuts a stream of bytes into lines, however the bytes were chunked.
//!
//! It never reads, never copies a line out, and never holds more than one line of
//! [`SOURCE_LINE_BYTES_MAX`] bytes and what was pushed last. Invariant: the lines and their numbers depend on
//! the bytes only, never on where one push ended and the next began.
//!
//! The bytes and the [`Cursor`] are separate on purpose: the cursor moves while a line is lent.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use crate::limits::SOURCE_LINE_BYTES_MAX;

/// Bytes on their way to become lines.
#[derive(Debug, Default)]
pub(in crate::writer) struct Lines {
    bytes: Vec<u8>,
    cursor: Cursor,
}

/// Where in the bytes the next line starts.
#[derive(Debug, Default)]
pub(in crate::writer) struct Cursor {
    start: usize,
    /// No line end stands between `start` and here.
    scanned: usize,
    /// The line at `start` is too long and its beginning is gone already.
    skipping: bool,
    ended: bool,
    /// The line that was cut last was ended by nothing but the end.
    torn: bool,
    number: u64,
}

/// One line without its end (`\n` or `\r\n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::writer) enum Line<'a> {
    Text(&'a [u8]),
    /// Longer than [`SOURCE_LINE_BYTES_MAX`].
    TooLong,
}

impl Lines {
    /// Takes more bytes. What the cursor has passed is forgotten.
    pub(in crate::writer) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(!self.cursor.ended, "nothing follows the end");
        let cursor = &mut self.cursor;
        self.bytes.drain(..cursor.start.min(self.bytes.len()));
        cursor.scanned = cursor.scanned.saturating_sub(cursor.start);
        cursor.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Says that no more bytes come: what is left is the last line, ended or not.
    pub(in crate::writer) fn finish(&mut self) {
        self.cursor.ended = true;
    }

    /// Whether [`Self::finish`] was called.
    pub(in crate::writer) fn ended(&self) -> bool {
        self.cursor.ended()
    }

    /// The bytes, and the cursor to walk them with.
    pub(in crate::writer) fn split(&mut self) -> (&[u8], &mut Cursor) {
        (&self.bytes, &mut self.cursor)
    }
}

impl Cursor {
    /// The next line that is not blank, with its number; `None` when more bytes are needed or none are left.
    pub(in crate::writer) fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<(u64, Line<'a>)> {
        loop {
            let line = self.cut(bytes)?;
            self.number = self.number.saturating_add(1);
            match line {
                Line::Text(text) if text.iter().all(u8::is_ascii_whitespace) => {}
                Line::Text(_) | Line::TooLong => return Some((self.number, line)),
            }
        }
    }

    /// The number of the last line that was cut, counted from 1, blank lines included.
    pub(in crate::writer) fn number(&self) -> u64 {
        self.number
    }

    /// Whether the line that was given last has no end of its own: the bytes ended within it.
    pub(in crate::writer) fn is_torn(&self) -> bool {
        self.torn
    }

    /// Whether no more bytes come.
    pub(in crate::writer) fn ended(&self) -> bool {
        self.ended
    }

    fn cut<'a>(&mut self, bytes: &'a [u8]) -> Option<Line<'a>> {
        let unscanned = bytes.get(self.scanned..)?;
        let Some(length) = memchr::memchr(b'\n', unscanned) else {
            self.scanned = bytes.len();
            if self.ended {
                return self.last(bytes);
            }
            if bytes.len().saturating_sub(self.start) > HELD_MAX {
                self.skipping = true;
            }
            if self.skipping {
                self.start = bytes.len();
            }
            return None;
        };
        let end = self.scanned.saturating_add(length);
        let text = bytes.get(self.start..end)?;
        self.start = end.saturating_add(1);
        self.scanned = self.start;
        Some(self.finished(text))
    }

    /// The line that the end of input ends.
    fn last<'a>(&mut self, bytes: &'a [u8]) -> Option<Line<'a>> {
        let text = bytes.get(self.start..)?;
        self.start = bytes.len();
        self.torn = true;
        (!text.is_empty() || self.skipping).then(|| self.finished(text))
    }

    fn finished<'a>(&mut self, text: &'a [u8]) -> Line<'a> {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if std::mem::take(&mut self.skipping) || text.len() > SOURCE_LINE_BYTES_MAX {
            Line::TooLong
        } else {
            Line::Text(text)
        }
    }
}

/// Bytes of an unended line that may still turn out to be short enough: the last may be a `\r`.
const HELD_MAX: usize = SOURCE_LINE_BYTES_MAX + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the lines are, said the slow way.
    fn naive(input: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let mut lines: Vec<&[u8]> = input.split(|&b| b == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        (1..)
            .zip(lines)
            .map(|(number, line)| (number, line.strip_suffix(b"\r").unwrap_or(line)))
            .filter(|(_, line)| !line.iter().all(u8::is_ascii_whitespace))
            .map(|(number, line)| {
                (
                    number,
                    (line.len() <= SOURCE_LINE_BYTES_MAX).then(|| line.to_vec()),
                )
            })
            .collect()
    }

    fn drain(lines: &mut Lines, into: &mut Vec<(u64, Option<Vec<u8>>)>) {
        let (bytes, cursor) = lines.split();
        while let Some((number, line)) = cursor.next(bytes) {
            into.push(match line {
                Line::Text(text) => (number, Some(text.to_vec())),
                Line::TooLong => (number, None),
            });
        }
    }

    fn chunked<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<(u64, Option<Vec<u8>>)> {
        let (mut lines, mut got) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk);
            drain(&mut lines, &mut got);
            assert!(lines.bytes.len() <= HELD_MAX.saturating_add(chunk.len()));
        }
        lines.finish();
        drain(&mut lines, &mut got);
        got
    }

    #[test]
    fn line_ends_blank_lines_and_an_unended_last_line_are_understood() {
        let got = chunked([&b"one\r\n\n  \t\r\ntwo\nthree"[..]]);
        let expected: [(u64, &[u8]); 3] = [(1, b"one"), (4, b"two"), (5, b"three")];
        assert_eq!(got, expected.map(|(number, text)| (number, Some(text.to_vec()))));
    }

    #[test]
    fn a_line_of_the_greatest_length_is_a_line_and_one_more_byte_is_too_many() {
        let fits = vec![b'x'; SOURCE_LINE_BYTES_MAX];
        for end in [&b"\n"[..], b"\r\n", b""] {
            let mut input = fits.clone();
            input.extend_from_slice(end);
            for size in [SOURCE_LINE_BYTES_MAX, 4096, usize::MAX] {
                assert_eq!(chunked(input.chunks(size)), [(1, Some(fits.clone()))]);
            }
            input.insert(0, b'y');
            for size in [SOURCE_LINE_BYTES_MAX, 4096, usize::MAX] {
                assert_eq!(chunked(input.chunks(size)), [(1, None)]);
            }
        }
    }

    #[test]
    fn a_line_far_too_long_is_skipped_to_its_end_within_bounded_memory() {
        let mut input = b"before\n".to_vec();
        input.resize(input.len() + 5 * SOURCE_LINE_BYTES_MAX, b'x');
        input.extend_from_slice(b"\nafter\n");
        let got = chunked(input.chunks(64 * 1024));
        assert_eq!(got, naive(&input));
        assert_eq!(got.last(), Some(&(3, Some(b"after".to_vec()))));
    }

    proptest! {
        #[test]
        fn the_same_bytes_give_the_same_lines_however_they_were_chunked(
            input in prop::collection::vec(prop::sample::select(&b"ab \r\n"[..]), 0..200),
            cuts in prop::collection::vec(0_usize..200, 0..20),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let mut chunks = Vec::new();
            let mut from = 0;
            for cut in cuts {
                chunks.push(&input[from..cut]);
                from = cut;
            }
            chunks.push(&input[from..]);
            prop_assert_eq!(chunked(chunks), naive(&input));
        }
    }
}
