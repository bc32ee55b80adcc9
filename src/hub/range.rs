//! A stretch of bytes on a track: what a client is sent.

use crate::tape::Span;

/// `bytes` bytes from the absolute offset `start` of a track. Whole frames, back to back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Absolute offset on the track.
    pub start: u64,
    /// Length; 0 for no range.
    pub bytes: u32,
}

impl Range {
    /// Extends the range by `span` where that follows it directly and the sum fits.
    pub fn extend(&mut self, span: Span) -> bool {
        if self.bytes == 0 || self.end() != span.start {
            return false;
        }
        let Some(bytes) = self.bytes.checked_add(span.bytes) else {
            return false;
        };
        self.bytes = bytes;
        true
    }

    /// The offset behind the last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + u64::from(self.bytes)
    }
}

impl From<Span> for Range {
    fn from(span: Span) -> Self {
        Self {
            start: span.start,
            bytes: span.bytes,
        }
    }
}
