//! Reads a segment from its first byte to its last good record, in whatever pieces its bytes come.
//!
//! Never reads a file itself, and never goes on behind a flaw. Invariant: what it yields does not depend on how the bytes
//! were cut, and it keeps no more of them than one record and what was pushed last.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use super::format::{Flaw, HEADER_BYTES, Header, Record};

/// A segment being read.
#[derive(Debug, Default)]
pub struct Scanner {
    bytes: Vec<u8>,
    /// Where in them what comes next begins, and where in the file that is.
    at: usize,
    offset: u64,
    has_header: bool,
    ended: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scanned<'a> {
    /// The segment's header.
    Header(Header),
    /// A record.
    Record(Record<'a>),
    /// More bytes are needed, or to know that there are none.
    More,
    /// The end, behind a whole record or header.
    End,
    /// What is here is no record, and nothing behind it is read.
    Flawed(Flaw),
}

impl Scanner {
    /// Adds the file's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// There are no more bytes.
    pub fn finish(&mut self) {
        self.ended = true;
    }

    /// Where in the file what comes next begins: behind the last good record.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What comes next.
    pub fn scan(&mut self) -> Scanned<'_> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let read = if rest.is_empty() && self.has_header {
            return if self.ended { Scanned::End } else { Scanned::More };
        } else if self.has_header {
            Record::read(rest).map(|(record, bytes)| (Scanned::Record(record), bytes))
        } else {
            Header::read(rest).map(|header| (Scanned::Header(header), HEADER_BYTES))
        };
        match read {
            Ok((scanned, bytes)) => {
                self.has_header = true;
                self.at = self.at.saturating_add(bytes);
                self.offset = self.offset.saturating_add(bytes as u64);
                scanned
            }
            Err(Flaw::Short) if !self.ended => Scanned::More,
            Err(flaw) => Scanned::Flawed(flaw),
        }
    }
}
