//! A stretch of bytes on a track: what a client is sent.

use crate::limits;
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
    /// Extends the range by `span` where that follows it directly and the sum is at most
    /// [`RANGE_BYTES_MAX`](limits::RANGE_BYTES_MAX).
    pub fn extend(&mut self, span: Span) -> bool {
        if self.bytes == 0 || self.end() != span.start {
            return false;
        }
        match self.bytes.checked_add(span.bytes) {
            Some(bytes) if bytes <= limits::RANGE_BYTES_MAX => {
                self.bytes = bytes;
                true
            }
            Some(_) | None => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_grows_by_what_follows_it_until_a_send_could_not_take_it() {
        let frame = |start, bytes| Span { start, bytes };
        let mut range = Range::from(frame(5, 10));
        assert!(!range.extend(frame(16, 1)) && !range.extend(frame(5, 1)));
        assert!(range.extend(frame(15, limits::RANGE_BYTES_MAX - 10)));
        assert!(!range.extend(frame(range.end(), 1)));
        assert_eq!(range.bytes, limits::RANGE_BYTES_MAX);
    }
}
