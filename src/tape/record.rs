//! What stands on the tape: the vocabulary of records, their numbers and their bytes.
//!
//! Plain values; nothing here reads or writes the tape itself.

use std::fmt;

/// The number of a record: 1 for the first one ever, then one more each; never used twice.
///
/// [`Position::NONE`] sorts before every record, so a walk along [`Record::previous`] needs one comparison
/// (`previous >= tail`) to stop both at a channel's first record and at one that has fallen off the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// No record.
    pub const NONE: Self = Self(0);
    /// The first record ever.
    pub const FIRST: Self = Self(1);

    /// The position of this number; 0 is [`Position::NONE`].
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The position after this one. After [`Position::NONE`] comes the first.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Whether it names no record.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One of the tape's byte rings, so one wire format; tracks are numbered from 0 in the order of the shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Track(u8);

impl Track {
    /// The track of this number.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Where it stands among the tracks.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The number of a channel: 0 for the first one declared, then one more each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(u32);

impl ChannelId {
    /// The channel of this number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// Where it stands in the directory.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How the messages of a channel relate to each other, so what may be skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Every message counts: trades, chat.
    Append,
    /// The newest message replaces all before it: quotes, statistics, status.
    Replace,
    /// An image and the deltas since: a level-2 book.
    Book,
}

/// Why a record is on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// A message as it was published, which adds to those before it: a trade, a book's delta.
    Live,
    /// A message as it was published, which stands for all before it: a quote, a book's snapshot.
    State,
    /// The channel's state written again, under the `seq` of its newest message; not for live subscribers.
    Image,
    /// No bytes: keeps the place (`seq`) of an append channel on the tape.
    Mark,
}

impl RecordKind {
    /// Whether it is a message, to be sent to live subscribers.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live | Self::State)
    }

    /// Whether it stands for all of its channel's records before it.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::State | Self::Image)
    }
}

/// One entry of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record {
    /// Whose message it is.
    pub channel: ChannelId,
    /// The class of that channel.
    pub class: Class,
    /// Why it is on the tape.
    pub kind: RecordKind,
    /// Its number within the channel, from 1.
    pub seq: u64,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// When it was published here, in nanoseconds since the Unix epoch.
    pub pt_ns: u64,
    /// The channel's record before this one; behind an image or a mark, the channel's last message before it.
    /// [`Position::NONE`] when there is none. It may have fallen off the tape, even before this record was written:
    /// compare it with the tail before following it.
    pub previous: Position,
}

/// Where the bytes of a record are on one track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Bytes ever written to the track before this span; the starts of successive records never decrease.
    pub start: u64,
    /// Bytes of the span; 0 when the record is not on the track.
    pub bytes: u32,
}

impl Span {
    /// Where the next record's span starts.
    #[must_use]
    pub const fn end(self) -> u64 {
        // A widening cast: `u64::from` is not yet callable in a const function.
        self.start + self.bytes as u64
    }

    /// Whether the record is not on the track.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bytes == 0
    }
}

/// What the directory says about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelInfo<'a> {
    /// Its name, `kind:symbol`.
    pub name: &'a str,
    /// How its messages relate to each other.
    pub class: Class,
    /// Whether it is one of those that are meant by a pattern. Any other is only for those who name it.
    pub is_listed: bool,
    /// The number of the terms on which its readers' clients may be behind. The tape only passes it on.
    pub terms: u8,
}

const _: () = assert!(
    size_of::<Record>() == 40,
    "the index is planned at 40 bytes a record"
);
const _: () = assert!(size_of::<Span>() == 16, "and 16 bytes a record and track");
