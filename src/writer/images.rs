//! Room for images. The tape holds every channel's image at all times, so together they may take only a part of it.
//!
//! A book's image grows with every delta, long before it is written again, so what counts is how long each would be
//! at most if it were written now. That is *reserved*; what stands on the tape is *written*. The difference is what
//! the tape's head may have to move without its tail moving, so the writer keeps that much room ahead.
//!
//! Each is counted on both tracks whose frames are of a length of their own: JSON and binary. A book of short numbers
//! is longer in binary, and one of long numbers in JSON.

use std::ops::{Add, Sub};

use super::sequencer::PublishError;
use crate::dialect::native_binary::layout;
use crate::limits;
use crate::tape::Entry;

/// Bytes on the track of JSON, which what is compressed does not exceed, and on that of binary: 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) json: usize,
    pub(super) binary: usize,
}

/// The images of many channels together: of all that are published, or of all that are derived, so that those who ask for
/// the latter take nothing from the former.
#[derive(Debug)]
pub(super) struct Images {
    written: Bytes,
    reserved: Bytes,
    reserved_max: Bytes,
}

/// One channel's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// How long it is on the tape.
    pub(super) written: Bytes,
    /// How long it would be at most.
    reserved: Bytes,
}

impl Images {
    pub(super) fn new(reserved_max: Bytes) -> Self {
        Self {
            written: Bytes::default(),
            reserved: Bytes::default(),
            reserved_max,
        }
    }

    /// Whether so much is taken that nobody else should begin: what there is may still grow.
    pub(super) fn is_nearly_full(&self) -> bool {
        let part = |bytes: usize| bytes / 4 * 3;
        let most = Bytes {
            json: part(self.reserved_max.json),
            binary: part(self.reserved_max.binary),
        };
        !self.reserved.fit(most)
    }

    /// Whether there is room for `image` to become `next`. To become shorter is always allowed.
    pub(super) fn check(&self, image: Image, next: Image) -> Result<(), PublishError> {
        let reserved = self.reserved - image.reserved + next.reserved;
        if reserved.fit(self.reserved_max) || next.reserved.fit(image.reserved) {
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

    /// Checks that it counts these images. For tests.
    ///
    /// # Panics
    /// When it does not.
    pub(super) fn invariants(&self, images: impl Iterator<Item = Image>) {
        let (mut written, mut reserved) = (Bytes::default(), Bytes::default());
        for image in images {
            written = written + image.written;
            reserved = reserved + image.reserved;
        }
        assert_eq!(
            (self.written, self.reserved),
            (written, reserved),
            "images are counted"
        );
    }

    /// Bytes by which the images would be longer if all were written now, at most.
    pub(super) fn growth(&self) -> Bytes {
        self.reserved - self.written
    }
}

impl Image {
    /// A message that stands for itself: written again, it is the same bytes.
    pub(super) const fn of_message(bytes: Bytes) -> Self {
        Self {
            written: bytes,
            reserved: bytes,
        }
    }

    /// A book of so many bytes, whose numbers may be longer in JSON when it is written again.
    pub(super) fn of_book(bytes: Bytes, entry: &Entry) -> Self {
        let digits: usize = [entry.seq, entry.ts_ns, entry.pt_ns].map(digits).iter().sum();
        Self {
            written: bytes,
            reserved: Bytes {
                json: bytes.json + limits::SERVER_HEADER_BYTES_MAX + 3 * DIGITS_MAX - digits,
                ..bytes
            },
        }
    }

    /// The same after a delta of `bytes` bytes, with at most `levels` levels: every level of it is one of the
    /// image's or one of a delta's. In binary all of them may have become longer, for one that is written with more
    /// decimal places than the others makes the book a mixed one.
    pub(super) fn with_delta(self, bytes: Bytes, levels: usize) -> Self {
        let levels = levels.min(2 * limits::BOOK_LEVELS_MAX);
        let json = (self.reserved.json + bytes.json).min(ENVELOPE_BYTES_MAX + levels * LEVEL_BYTES_MAX);
        let binary = match bytes.binary {
            0 => 0,
            _ => BINARY_ENVELOPE_BYTES_MAX + levels * layout::mixed_book::LEVEL,
        };
        Self {
            reserved: Bytes {
                json: json.max(self.written.json),
                binary: binary.max(self.written.binary),
            },
            ..self
        }
    }
}

impl Bytes {
    /// Whether there are no more of them, on either track, than `most`.
    const fn fit(self, most: Self) -> bool {
        self.json <= most.json && self.binary <= most.binary
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            json: self.json + other.json,
            binary: self.binary + other.binary,
        }
    }
}

impl Sub for Bytes {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            json: self.json - other.json,
            binary: self.binary - other.binary,
        }
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// Where the images of published channels are counted, and those of derived ones.
pub(super) const PUBLISHED: usize = 0;
/// See the former.
pub(super) const DERIVED: usize = 1;

/// Digits of the largest number of 64 bits.
const DIGITS_MAX: usize = 20;
/// `["price","size"],`
pub(super) const LEVEL_BYTES_MAX: usize = 2 * limits::DECIMAL_TEXT_BYTES_MAX + 8;
/// A book without levels: its header, keys, channel and numbers.
pub(super) const ENVELOPE_BYTES_MAX: usize = limits::CHANNEL_NAME_BYTES_MAX + 3 * DIGITS_MAX + 128;
/// The same in binary.
const BINARY_ENVELOPE_BYTES_MAX: usize = limits::SERVER_HEADER_BYTES_MAX
    + layout::header::BYTES
    + layout::book::BLOCK
    + 2 * layout::group::BYTES
    + layout::NAME_LENGTH
    + limits::CHANNEL_NAME_BYTES_MAX;

const _: () = assert!(
    2 * limits::BOOK_LEVELS_MAX * LEVEL_BYTES_MAX + ENVELOPE_BYTES_MAX <= limits::FRAME_BYTES_MAX,
    "a full book fits into one frame"
);
const _: () = assert!(
    2 * limits::BOOK_LEVELS_MAX * layout::mixed_book::LEVEL + BINARY_ENVELOPE_BYTES_MAX
        <= limits::FRAME_BYTES_MAX,
    "and in binary"
);
const _: () = assert!(layout::mixed_book::BLOCK <= layout::book::BLOCK);
