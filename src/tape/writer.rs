//! The writing end: channels are declared, records appended and retired, and sleepers woken.
//!
//! Never waits: when there is no room it says what is in the way, and its caller retires, waits or gives up.
//! Invariant: the newest record of each channel is known, whether or not it is still on the tape.

use super::pin::Pins;
use super::record::{ChannelId, Class, Position, Record, RecordKind, Span, Track};
use super::shared::WriteEnd;
use crate::limits::{CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX};
use std::fmt;

/// The one writer of a tape.
#[derive(Debug)]
pub struct Writer {
    end: WriteEnd,
    channels: Vec<Channel>,
}

/// What a record is made of; the writer adds its class and the channel's record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose message it is.
    pub channel: ChannelId,
    /// Why it is written.
    pub kind: RecordKind,
    /// Its number within the channel, from 1.
    pub seq: u64,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// When it was published here, in nanoseconds since the Unix epoch.
    pub pt_ns: u64,
}

impl Writer {
    pub(super) fn new(end: WriteEnd) -> Self {
        Self {
            end,
            channels: Vec::with_capacity(CHANNELS_MAX),
        }
    }

    /// Opens a channel. Its readers know it from their next pin on.
    ///
    /// Whether the name is new, and whether it has the shape `kind:symbol`, is the caller's to know.
    ///
    /// # Errors
    /// When the name cannot be a channel's, or there are [`CHANNELS_MAX`] already. Nothing has changed then.
    pub fn declare(&mut self, name: &str, class: Class) -> Result<ChannelId, DeclareError> {
        self.declare_on(name, class, 0)
    }

    /// The same on the terms of that number: readers are told it, and the tape makes nothing of it.
    ///
    /// # Errors
    /// As [`declare`](Self::declare).
    pub fn declare_on(&mut self, name: &str, class: Class, terms: u8) -> Result<ChannelId, DeclareError> {
        self.declare_as(name, class, true, terms)
    }

    /// The same, but no pattern means it: it is only for those who name it.
    ///
    /// # Errors
    /// As [`declare`](Self::declare).
    pub fn declare_unlisted(
        &mut self,
        name: &str,
        class: Class,
        terms: u8,
    ) -> Result<ChannelId, DeclareError> {
        self.declare_as(name, class, false, terms)
    }

    fn declare_as(
        &mut self,
        name: &str,
        class: Class,
        is_listed: bool,
        terms: u8,
    ) -> Result<ChannelId, DeclareError> {
        if name.is_empty() || name.len() > CHANNEL_NAME_BYTES_MAX {
            return Err(DeclareError::Length { bytes: name.len() });
        }
        if let Some(character) = name.chars().find(|c| c.is_control() || c.is_whitespace()) {
            return Err(DeclareError::Unprintable { character });
        }
        let id = self
            .end
            .declare(name, class, is_listed, terms)
            .ok_or(DeclareError::Channels)?;
        self.channels.push(Channel {
            newest: Position::NONE,
            newest_message: Position::NONE,
            class,
        });
        debug_assert_eq!(
            id.index() + 1,
            self.channels.len(),
            "channels are numbered in order"
        );
        Ok(id)
    }

    /// Writes a record and shows it to the readers at once, unless that is [held back](Writer::hold). Those that are
    /// parked sleep on until [`Writer::wake_parked`].
    ///
    /// `frames` are its bytes, one frame for each track; an empty frame keeps it off that track.
    ///
    /// # Errors
    /// When there is no room, and why. Nothing has changed then.
    ///
    /// # Panics
    /// On a caller's mistake: a channel that was not declared, not one frame for each track, or a frame longer than
    /// [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX) or than its track.
    pub fn append(&mut self, entry: Entry, frames: &[&[u8]]) -> Result<Position, Full> {
        let channel = &mut self.channels[entry.channel.index()];
        let previous = if entry.kind.is_live() {
            channel.newest
        } else {
            channel.newest_message
        };
        let record = Record {
            channel: entry.channel,
            class: channel.class,
            kind: entry.kind,
            seq: entry.seq,
            ts_ns: entry.ts_ns,
            pt_ns: entry.pt_ns,
            previous,
        };
        let position = self.end.append(record, frames)?;
        channel.newest = position;
        if entry.kind.is_live() {
            channel.newest_message = position;
        }
        Ok(position)
    }

    /// Announces that the oldest record is no longer to be read. Its room is used once no reader pins it.
    ///
    /// # Panics
    /// When there is no record.
    pub fn retire_oldest(&mut self) {
        self.end.retire_oldest();
    }

    /// From now on, readers do not see what is appended, nor miss what is retired, before [`Writer::show`]: for a
    /// writer whose records are not to be read before they are safe elsewhere.
    pub fn hold(&mut self) {
        self.end.hold();
    }

    /// Shows the readers everything that was held back.
    pub fn show(&mut self) {
        self.end.show();
    }

    /// Calls `bell` with the number of each reader that is parked, once for each time it parked. Due after every
    /// batch of appends. A reader that woke for another reason meanwhile may be rung too.
    pub fn wake_parked(&mut self, bell: impl FnMut(usize)) {
        self.end.ring(bell);
    }

    /// The record that is to be retired next.
    #[must_use]
    pub fn oldest(&self) -> Option<(Position, Record)> {
        let tail = self.tail();
        (tail < self.head()).then(|| (tail, *self.record(tail)))
    }

    /// The newest record of a channel, of any kind; `None` when there is none or it has been retired.
    ///
    /// # Panics
    /// When the channel was not declared.
    #[must_use]
    pub fn latest(&self, channel: ChannelId) -> Option<Position> {
        let newest = self.channels[channel.index()].newest;
        (newest >= self.tail()).then_some(newest)
    }

    /// The position that the next record gets.
    #[must_use]
    pub fn head(&self) -> Position {
        self.end.head()
    }

    /// The lowest position that has not been retired.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.end.tail()
    }

    /// The record at `position`.
    ///
    /// # Panics
    /// When it has been retired or is not written yet.
    #[must_use]
    pub fn record(&self, position: Position) -> &Record {
        self.end.record(position)
    }

    /// Where the bytes of a record are.
    ///
    /// # Panics
    /// When it has been retired or is not written yet, or there is no such track.
    #[must_use]
    pub fn span(&self, track: Track, position: Position) -> Span {
        self.end.span(track, position)
    }

    /// The bytes of a record on one track.
    ///
    /// # Panics
    /// When it has been retired or is not written yet, or there is no such track.
    #[must_use]
    pub fn frame(&self, track: Track, position: Position) -> &[u8] {
        self.end.frame(track, position)
    }

    /// Records that fit before another has to be retired.
    #[must_use]
    pub fn free_records(&self) -> usize {
        self.end.free_records()
    }

    /// Bytes that fit on a track before another record has to be retired.
    ///
    /// # Panics
    /// When there is no such track.
    #[must_use]
    pub fn free_bytes(&self, track: Track) -> usize {
        self.end.free_bytes(track)
    }

    /// Records that fit in all.
    #[must_use]
    pub fn records(&self) -> usize {
        self.end.records()
    }

    /// Bytes that fit on a track in all.
    ///
    /// # Panics
    /// When there is no such track.
    #[must_use]
    pub fn track_bytes(&self, track: Track) -> usize {
        self.end.track_bytes(track)
    }

    /// Bytes that the writer's own notes and the words of so many readers take.
    pub(super) fn bytes(readers: usize) -> usize {
        CHANNELS_MAX * size_of::<Channel>() + Pins::bytes(readers)
    }
}

/// Why there is no room for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// More records have to be retired first.
    Unretired,
    /// Enough has been retired, but a reader still pins it. It pins again or parks before long: try again.
    Pinned {
        /// The number of that reader.
        reader: usize,
    },
    /// Enough has been retired, but that is held back: [`Writer::show`] it.
    Held,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unretired => write!(f, "the tape is full of records that have not been retired"),
            Self::Pinned { reader } => write!(f, "reader {reader} still pins the oldest part of the tape"),
            Self::Held => write!(
                f,
                "readers have not been shown that the oldest part of the tape is retired"
            ),
        }
    }
}

impl std::error::Error for Full {}

/// Why a channel could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclareError {
    /// The name is empty or longer than [`CHANNEL_NAME_BYTES_MAX`].
    Length {
        /// Its length.
        bytes: usize,
    },
    /// The name holds a space or a control character.
    Unprintable {
        /// The first such character.
        character: char,
    },
    /// There are [`CHANNELS_MAX`] channels already.
    Channels,
}

impl fmt::Display for DeclareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { bytes } => write!(
                f,
                "a channel's name has 1 to {CHANNEL_NAME_BYTES_MAX} bytes, not {bytes}"
            ),
            Self::Unprintable { character } => {
                write!(f, "a channel's name holds no {}", character.escape_unicode())
            }
            Self::Channels => write!(f, "there are {CHANNELS_MAX} channels already"),
        }
    }
}

impl std::error::Error for DeclareError {}

/// What the writer remembers of a channel.
#[derive(Clone, Copy, Debug)]
struct Channel {
    newest: Position,
    newest_message: Position,
    class: Class,
}
