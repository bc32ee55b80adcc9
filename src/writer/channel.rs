//! What the writer knows of one channel: its number, and where its state is.

use super::derived::Origin;
use super::images::{Bytes, DERIVED, Image, PUBLISHED};
use crate::market::{Book, ChannelClass, ChannelName};
use crate::tape::{Position, RecordKind};

/// One channel.
#[derive(Debug)]
pub(super) struct Channel {
    name: Box<str>,
    pub(super) class: ChannelClass,
    pub(super) origin: Origin,
    /// The number of its newest message; 0 before the first.
    pub(super) seq: u64,
    /// When that happened.
    pub(super) ts_ns: u64,
    /// Its book, which stays empty where the class is another.
    pub(super) book: Book,
    /// Its newest record of any kind, and the newest that stands for all before it.
    pub(super) newest: Position,
    pub(super) image: Position,
    /// How long that is, and what has been added to it since.
    pub(super) image_bytes: Image,
    delta_bytes: usize,
    deltas: usize,
}

impl Channel {
    /// One on which publishers say something.
    pub(super) fn new(name: ChannelName<'_>, class: ChannelClass) -> Self {
        Self {
            name: name.as_str().into(),
            class,
            origin: Origin::Published(Vec::new()),
            seq: 0,
            ts_ns: 0,
            book: Book::new(),
            newest: Position::NONE,
            image: Position::NONE,
            image_bytes: Image::default(),
            delta_bytes: 0,
            deltas: 0,
        }
    }

    /// A derived one that nobody has asked for.
    pub(super) fn dormant(name: ChannelName<'_>, class: ChannelClass) -> Self {
        Self {
            origin: Origin::Dormant,
            ..Self::new(name, class)
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether what is said on it is what publishers say.
    pub(super) fn is_published(&self) -> bool {
        matches!(self.origin, Origin::Published(_))
    }

    /// Whether nothing is said on it, so that of its state only its number matters.
    pub(super) fn is_dormant(&self) -> bool {
        matches!(self.origin, Origin::Dormant)
    }

    /// Among which images its own is counted.
    pub(super) fn account(&self) -> usize {
        if self.is_published() { PUBLISHED } else { DERIVED }
    }

    /// Counts a delta of so many bytes, and says whether it is time for an image: when the deltas since the last
    /// one are as long as that was, so that images at most double what a book takes of the tape and a newcomer is
    /// sent at most twice the book.
    pub(super) fn is_image_due(&mut self, bytes: Bytes) -> bool {
        self.deltas += 1;
        self.delta_bytes += bytes.json;
        self.deltas >= DELTAS_MAX
            || (self.deltas >= DELTAS_MIN && self.delta_bytes >= self.image_bytes.written.json)
    }

    /// An image stands for everything up to now.
    pub(super) fn begin_image(&mut self, ts_ns: u64) {
        self.ts_ns = ts_ns;
        self.delta_bytes = 0;
        self.deltas = 0;
    }

    /// A record of the channel is on the tape.
    pub(super) fn appended(&mut self, kind: RecordKind, position: Position) {
        self.newest = position;
        if kind.is_image() {
            self.image = position;
        }
    }
}

/// A newcomer to a book is sent at most so many deltas behind its image.
const DELTAS_MAX: usize = 512;
/// A small book is not imaged at every other delta.
const DELTAS_MIN: usize = 32;
