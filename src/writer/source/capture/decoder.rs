//! Tells a compressed capture from a plain one by its first bytes, and turns either into lines.
//!
//! It never looks at a file's name. Invariant: what one call pushes is at most its input or one inflated
//! window, so memory stays bounded however well a file compresses.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use super::super::gzip::{Gunzip, GzipError, MAGIC};
use super::super::lines::Lines;

/// What the bytes of a file are.
#[derive(Debug)]
pub(super) enum Decoder {
    /// Nothing is known yet.
    Unknown,
    /// Only the first byte is, and it may be that of a gzip file.
    Half,
    /// Text.
    Plain,
    /// A gzip file.
    Gzip(Gunzip),
}

/// What one call of [`Decoder::decode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Bytes of the input that are done with.
    pub(super) consumed: usize,
    /// Whether there is new text.
    pub(super) pushed: bool,
}

impl Decoder {
    /// Turns some of `input` into text. To be called with the rest until nothing is consumed or pushed.
    pub(super) fn decode(&mut self, input: &[u8], lines: &mut Lines) -> Result<Decoded, GzipError> {
        match self {
            Self::Unknown => match input {
                [] => {
                    return Ok(Decoded {
                        consumed: 0,
                        pushed: false,
                    });
                }
                [first] if *first == MAGIC[0] => {
                    *self = Self::Half;
                    return Ok(Decoded {
                        consumed: 1,
                        pushed: false,
                    });
                }
                _ if input.starts_with(&MAGIC) => *self = Self::Gzip(Gunzip::new()),
                _ => *self = Self::Plain,
            },
            Self::Half => match input.first() {
                None => {
                    return Ok(Decoded {
                        consumed: 0,
                        pushed: false,
                    });
                }
                Some(second) if *second == MAGIC[1] => {
                    let mut gunzip = Gunzip::new();
                    gunzip.inflate(&MAGIC[..1])?;
                    *self = Self::Gzip(gunzip);
                }
                Some(_) => {
                    lines.push(&MAGIC[..1]);
                    *self = Self::Plain;
                }
            },
            Self::Plain | Self::Gzip(_) => {}
        }
        let (consumed, text) = match self {
            Self::Gzip(gunzip) => gunzip.inflate(input)?,
            Self::Unknown | Self::Half | Self::Plain => (input.len(), input),
        };
        if !text.is_empty() {
            lines.push(text);
        }
        Ok(Decoded {
            consumed,
            pushed: !text.is_empty(),
        })
    }

    /// Says that the file is over.
    pub(super) fn finish(&self, lines: &mut Lines) -> Result<(), GzipError> {
        match self {
            Self::Gzip(gunzip) => gunzip.finish()?,
            Self::Half => lines.push(&MAGIC[..1]),
            Self::Unknown | Self::Plain => {}
        }
        lines.finish();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::source::lines::Line;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn texts(file: &[u8], size: usize) -> Vec<Vec<u8>> {
        let (mut decoder, mut lines, mut texts) = (Decoder::Unknown, Lines::default(), Vec::new());
        let mut drain = |lines: &mut Lines| {
            let (bytes, cursor) = lines.split();
            while let Some((_, Line::Text(text))) = cursor.next(bytes) {
                texts.push(text.to_vec());
            }
        };
        for chunk in file.chunks(size) {
            let mut rest = chunk;
            loop {
                let decoded = decoder.decode(rest, &mut lines).unwrap();
                if decoded
                    == (Decoded {
                        consumed: 0,
                        pushed: false,
                    })
                {
                    break;
                }
                rest = &rest[decoded.consumed..];
                drain(&mut lines);
            }
        }
        decoder.finish(&mut lines).unwrap();
        drain(&mut lines);
        texts
    }

    #[test]
    fn compressed_and_plain_files_are_told_apart_by_content_however_they_are_cut() {
        let plain = b"one\ntwo".to_vec();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&plain).unwrap();
        let gzip = encoder.finish().unwrap();
        for size in [1, 2, 3, usize::MAX] {
            assert_eq!(texts(&plain, size), [b"one".to_vec(), b"two".to_vec()]);
            assert_eq!(texts(&gzip, size), [b"one".to_vec(), b"two".to_vec()]);
            assert_eq!(texts(b"\x1fone", size), [b"\x1fone".to_vec()]);
            assert_eq!(texts(b"\x1f", size), [b"\x1f".to_vec()]);
            assert!(texts(b"", size).is_empty());
        }
    }
}
