//! Room for images. The tape holds every channel's image at all times, so together they may take only a part of it.
//!
//! A book's image grows with every delta, long before it is written again, so what counts is how long each would be
//! at most if it were written now. That is *reserved*; what stands on the tape is *written*. The difference is what
//! the tape's head may have to move without its tail moving, so the writer keeps that much room ahead.

use super::sequencer::PublishError;
use crate::limits;
use crate::tape::Entry;

/// The images of all channels together.
#[derive(Debug)]
pub(super) struct Images {
    written: usize,
    reserved: usize,
    reserved_max: usize,
}

/// One channel's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// How long it is on the tape.
    pub(super) written: usize,
    /// How long it would be at most.
    reserved: usize,
}

impl Images {
    pub(super) fn new(reserved_max: usize) -> Self {
        Self {
            written: 0,
            reserved: 0,
            reserved_max,
        }
    }

    /// Whether there is room for `image` to become `next`. To become shorter is always allowed.
    pub(super) fn check(&self, image: Image, next: Image) -> Result<(), PublishError> {
        let fits = self.reserved - image.reserved + next.reserved <= self.reserved_max;
        if fits || next.reserved <= image.reserved {
            Ok(())
        } else {
            Err(PublishError::ImagesFull)
        }
    }

    /// `image` becomes `next`.
    pub(super) fn replace(&mut self, image: &mut Image, next: Image) {
        self.written = self.written - image.written + next.written;
        self.reserved = self.reserved - image.reserved + next.reserved;
        *image = next;
    }

    /// Bytes by which the images would be longer if all were written now, at most.
    pub(super) fn growth(&self) -> usize {
        self.reserved - self.written
    }
}

impl Image {
    /// A message that stands for itself: written again, it is the same bytes.
    pub(super) const fn of_message(bytes: usize) -> Self {
        Self {
            written: bytes,
            reserved: bytes,
        }
    }

    /// A book of so many bytes, whose numbers may be longer when it is written again.
    pub(super) fn of_book(bytes: usize, entry: &Entry) -> Self {
        let digits: usize = [entry.seq, entry.ts_ns, entry.pt_ns].map(digits).iter().sum();
        Self {
            written: bytes,
            reserved: bytes + limits::SERVER_HEADER_BYTES_MAX + 3 * DIGITS_MAX - digits,
        }
    }

    /// The same after a delta of `bytes` bytes, with at most `levels` levels: every level of it is one of the
    /// image's or one of a delta's.
    pub(super) fn with_delta(self, bytes: usize, levels: usize) -> Self {
        let by_levels = ENVELOPE_BYTES_MAX + levels.min(2 * limits::BOOK_LEVELS_MAX) * LEVEL_BYTES_MAX;
        Self {
            reserved: (self.reserved + bytes).min(by_levels).max(self.written),
            ..self
        }
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Digits of the largest number of 64 bits.
const DIGITS_MAX: usize = 20;
/// `["price","size"],`
pub(super) const LEVEL_BYTES_MAX: usize = 2 * limits::DECIMAL_TEXT_BYTES_MAX + 8;
/// A book without levels: its header, keys, channel and numbers.
pub(super) const ENVELOPE_BYTES_MAX: usize = limits::CHANNEL_NAME_BYTES_MAX + 3 * DIGITS_MAX + 128;
