//! Inflates a gzip file of one or more members (RFC 1952) piece by piece, in bounded memory.
//!
//! It never reads: compressed bytes go in, at most one window of text comes out. Invariant: all text before a
//! fault is delivered before the fault is.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};

use crate::limits::SOURCE_INFLATE_BYTES;

/// The first bytes of a gzip member.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A gzip file being inflated.
#[derive(Debug)]
pub(super) struct Gunzip {
    state: State,
    window: Vec<u8>,
    /// Compressed bytes consumed.
    offset: u64,
}

#[derive(Debug)]
enum State {
    /// Inside a member.
    Member(Decompress),
    /// Behind a member; the byte is the first half of a [`MAGIC`] that was cut in two.
    Between { half: bool },
    /// Zeros follow the last member, as tapes and block devices leave them.
    Padding,
}

/// What is wrong with a gzip file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GzipError {
    /// The file ends inside a member.
    Truncated {
        /// Bytes of the file.
        offset: u64,
    },
    /// The data contradicts itself or its checksum.
    Corrupt {
        /// The compressed bytes before the fault was noticed.
        offset: u64,
        /// What the inflater said.
        detail: String,
    },
    /// Something else follows the last member.
    Trailing {
        /// Where it begins.
        offset: u64,
    },
}

impl Gunzip {
    /// Ready for the first byte of the file.
    pub(super) fn new() -> Self {
        Self {
            state: State::Member(Decompress::new_gzip(WINDOW_BITS)),
            window: Vec::with_capacity(SOURCE_INFLATE_BYTES),
            offset: 0,
        }
    }

    /// Inflates some of `input`; returns how much of it was consumed, and the text. Call again with the rest:
    /// there may be more text even when all is consumed, until neither moves.
    pub(super) fn inflate(&mut self, input: &[u8]) -> Result<(usize, &[u8]), GzipError> {
        self.window.clear();
        let mut consumed = 0_usize;
        while self.window.is_empty() {
            let rest = input.get(consumed..).unwrap_or_default();
            let taken = match &mut self.state {
                State::Member(_) => self.member(rest)?,
                State::Between { .. } => self.between(rest)?,
                State::Padding => self.padding(rest)?,
            };
            consumed = consumed.saturating_add(taken);
            if taken == 0 {
                break;
            }
        }
        Ok((consumed, &self.window))
    }

    /// Says that the file is over.
    pub(super) fn finish(&self) -> Result<(), GzipError> {
        match &self.state {
            State::Between { half: false } | State::Padding => Ok(()),
            State::Member(_) | State::Between { half: true } => {
                Err(GzipError::Truncated { offset: self.offset })
            }
        }
    }

    fn member(&mut self, input: &[u8]) -> Result<usize, GzipError> {
        let State::Member(inflater) = &mut self.state else {
            return Ok(0);
        };
        let before = inflater.total_in();
        let status = inflater.decompress_vec(input, &mut self.window, FlushDecompress::None);
        let taken = inflater.total_in().saturating_sub(before);
        self.offset = self.offset.saturating_add(taken);
        match status {
            Ok(Status::Ok | Status::BufError) => {}
            Ok(Status::StreamEnd) => self.state = State::Between { half: false },
            // Text that came with the fault goes first; the inflater repeats itself when asked again.
            Err(_) if !self.window.is_empty() => {}
            Err(error) => {
                return Err(GzipError::Corrupt {
                    offset: self.offset,
                    detail: error.to_string(),
                });
            }
        }
        Ok(usize::try_from(taken).unwrap_or(input.len()))
    }

    fn between(&mut self, input: &[u8]) -> Result<usize, GzipError> {
        let State::Between { half } = &mut self.state else {
            return Ok(0);
        };
        match (*half, input.first()) {
            (_, None) => return Ok(0),
            (false, Some(0)) => self.state = State::Padding,
            (false, Some(&byte)) if byte == MAGIC[0] => *half = true,
            (true, Some(&byte)) if byte == MAGIC[1] => {
                // The header is one: what was seen of it goes in first.
                let mut inflater = Decompress::new_gzip(WINDOW_BITS);
                let fed = inflater.decompress(&MAGIC, &mut [], FlushDecompress::None);
                if fed.is_err() || inflater.total_in() != MAGIC.len() as u64 {
                    return Err(self.trailing());
                }
                self.state = State::Member(inflater);
            }
            _ => return Err(self.trailing()),
        }
        self.offset = self.offset.saturating_add(1);
        Ok(1)
    }

    fn padding(&mut self, input: &[u8]) -> Result<usize, GzipError> {
        let zeros = input.iter().take_while(|&&byte| byte == 0).count();
        self.offset = self.offset.saturating_add(zeros as u64);
        if zeros < input.len() {
            return Err(self.trailing());
        }
        Ok(zeros)
    }

    fn trailing(&self) -> GzipError {
        let half = matches!(self.state, State::Between { half: true });
        GzipError::Trailing {
            offset: self.offset.saturating_sub(u64::from(half)),
        }
    }
}

impl fmt::Display for GzipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { offset } => write!(f, "the gzip file is cut off at byte {offset}"),
            Self::Corrupt { offset, detail } => {
                write!(f, "the gzip file is corrupt near byte {offset}: {detail}")
            }
            Self::Trailing { offset } => write!(
                f,
                "from byte {offset} on, the file is neither another gzip member nor padding"
            ),
        }
    }
}

impl std::error::Error for GzipError {}

/// The largest window that deflate knows, so that every file can be read.
const WINDOW_BITS: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// All text of a file that comes in chunks of `size` bytes, and how it ended.
    fn gunzip(file: &[u8], size: usize) -> (Vec<u8>, Result<(), GzipError>) {
        let (mut gunzip, mut text) = (Gunzip::new(), Vec::new());
        for chunk in file.chunks(size) {
            let mut rest = chunk;
            loop {
                match gunzip.inflate(rest) {
                    Ok((0, [])) => break,
                    Ok((consumed, piece)) => {
                        text.extend_from_slice(piece);
                        rest = &rest[consumed..];
                    }
                    Err(error) => return (text, Err(error)),
                }
            }
            assert!(rest.is_empty(), "all input is consumed in the end");
            assert!(gunzip.window.capacity() <= SOURCE_INFLATE_BYTES);
        }
        (text, gunzip.finish())
    }

    #[test]
    fn a_small_file_that_inflates_a_thousandfold_comes_out_window_by_window() {
        let text = vec![b'x'; 4 * SOURCE_INFLATE_BYTES + 17];
        assert_eq!(gunzip(&gzip(&text), usize::MAX), (text, Ok(())));
    }

    #[test]
    fn concatenated_members_and_zero_padding_are_one_file() {
        let file = [gzip(b"one\n"), gzip(b""), gzip(b"two\n"), vec![0; 700]].concat();
        for size in [1, 2, 3, 100, usize::MAX] {
            assert_eq!(gunzip(&file, size), (b"one\ntwo\n".to_vec(), Ok(())));
        }
    }

    #[test]
    fn a_truncated_file_delivers_what_could_be_read_and_names_its_end() {
        let text: Vec<u8> = (0..50_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        let file = gzip(&text);
        for end in [1, 5, 10, 11, file.len() / 2, file.len() - 8, file.len() - 1] {
            let (got, result) = gunzip(&file[..end], 4096);
            assert_eq!(result, Err(GzipError::Truncated { offset: end as u64 }));
            assert!(text.starts_with(&got));
            assert!(end < file.len() / 2 || got.len() > text.len() / 3);
        }
        let half_a_header = [gzip(b"one"), vec![MAGIC[0]]].concat();
        let (got, result) = gunzip(&half_a_header, 4096);
        assert_eq!(got, b"one");
        assert!(matches!(result, Err(GzipError::Truncated { .. })));
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut file = gzip(b"some text that is long enough");
        let checksum = file.len() - 6;
        file[checksum] ^= 1;
        let (got, result) = gunzip(&file, usize::MAX);
        assert!(matches!(result, Err(GzipError::Corrupt { .. })), "{result:?}");
        assert_eq!(got, b"some text that is long enough");
    }

    #[test]
    fn what_follows_the_last_member_is_told_with_its_place() {
        let member = gzip(b"one");
        for garbage in [&b"two"[..], b"\x1ftwo", b"\0\0two"] {
            let place = member.len() + garbage.iter().take_while(|&&b| b == 0).count();
            let file = [&member[..], garbage].concat();
            for size in [1, usize::MAX] {
                let (got, result) = gunzip(&file, size);
                assert_eq!(got, b"one");
                assert_eq!(result, Err(GzipError::Trailing { offset: place as u64 }));
            }
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_text(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 1..4),
            size in 1_usize..300,
        ) {
            let file: Vec<u8> = parts.iter().flat_map(|part| gzip(part)).collect();
            prop_assert_eq!(gunzip(&file, size), (parts.concat(), Ok(())));
        }

        #[test]
        fn no_bytes_make_it_panic(file in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = gunzip(&[&MAGIC[..], &[8, 0], &file].concat(), 7);
        }
    }
}
