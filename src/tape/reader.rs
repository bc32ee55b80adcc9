//! The reading end: one for each shard, and of a feed one for the control thread, each at its own place.
//!
//! Never blocks the writer while parked, and never reads outside its pin. What it lends borrows from it, and
//! pinning anew or parking needs it whole, so no slice outlives the pin that it was read under.
//! Invariant: between [`Reader::pin`] and the next pin or sleep, everything in [`Reader::tail`]`..`[`Reader::head`]
//! stays as it is, and a reader that holds on loses nothing that it has not released.

use super::pin::Parked;
use super::record::{ChannelId, ChannelInfo, Position, Record, Span, Track};
use super::shared::ReadEnd;
use std::ops::Range;

/// One reader of a tape.
///
/// It starts unpinned: nothing is readable before the first [`Reader::pin`].
#[derive(Debug)]
pub struct Reader {
    end: ReadEnd,
}

impl Reader {
    pub(super) fn new(end: ReadEnd) -> Self {
        Self { end }
    }

    /// Takes hold of everything on the tape, in place of what was pinned before.
    ///
    /// The writer cannot overwrite it until this reader pins again, parks or is dropped, so a reader pins once a turn
    /// and parks before it waits for anything.
    pub fn pin(&mut self) {
        self.end.pin();
    }

    /// Takes hold of what was written since as well, and lets go of nothing. Says how far the writer has announced that it
    /// will go: what is before that is to be [released](Self::release) soon, or the writer waits.
    ///
    /// # Panics
    /// When not pinned.
    pub fn extend(&mut self) -> Position {
        self.end.extend()
    }

    /// Lets go of what is before `position`.
    ///
    /// # Panics
    /// When not pinned, or `position` is not between the tail and the head.
    pub fn release(&mut self, position: Position) {
        self.end.release(position);
    }

    /// Announces that this reader is about to sleep, having read all before `next`, and lets go of everything unless there
    /// is more to read.
    ///
    /// While it sleeps the writer may retire records that it has not seen: at its next pin it compares its own place
    /// with [`Reader::tail`].
    pub fn park(&mut self, next: Position) -> Parked {
        self.end.park(next, false)
    }

    /// Announces that this reader is about to sleep, having read all before `next`, and holds on to what it has pinned.
    ///
    /// While it sleeps the writer appends as far as there is room. It then rings, and waits.
    ///
    /// # Panics
    /// When not pinned.
    pub fn park_holding(&mut self, next: Position) -> Parked {
        self.end.park(next, true)
    }

    /// Lets go of everything, and does not ask to be rung: for a reader that looks at the tape now and then.
    ///
    /// Until its next pin the writer may retire whatever there is, as while a reader is parked.
    pub fn leave(&mut self) {
        self.end.leave();
    }

    /// Whether it holds anything.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.end.is_pinned()
    }

    /// One past the newest record, as of the pin.
    ///
    /// # Panics
    /// When not pinned.
    #[must_use]
    pub fn head(&self) -> Position {
        self.end.view().head
    }

    /// The oldest record, as of the pin; equal to the head when there is none.
    ///
    /// # Panics
    /// When not pinned.
    #[must_use]
    pub fn tail(&self) -> Position {
        self.end.view().tail
    }

    /// How many tracks there are.
    #[must_use]
    pub fn tracks(&self) -> usize {
        self.end.tracks()
    }

    /// The record at `position`.
    ///
    /// # Panics
    /// When it is outside the pin.
    #[must_use]
    pub fn record(&self, position: Position) -> &Record {
        self.end.record(position)
    }

    /// Where the bytes of a record are.
    ///
    /// # Panics
    /// When it is outside the pin, or there is no such track.
    #[must_use]
    pub fn span(&self, track: Track, position: Position) -> Span {
        self.end.span(track, position)
    }

    /// The bytes of a record on one track; empty when it is not on that track.
    ///
    /// # Panics
    /// When it is outside the pin, or there is no such track.
    #[must_use]
    pub fn frame(&self, track: Track, position: Position) -> &[u8] {
        let span = self.span(track, position);
        self.bytes(track, span.start, span.bytes as usize)
    }

    /// The offsets of the bytes of a track that are readable. Ask it first about an offset kept from before the pin.
    ///
    /// # Panics
    /// When not pinned, or there is no such track.
    #[must_use]
    pub fn range(&self, track: Track) -> Range<u64> {
        self.end.range(track)
    }

    /// The `len` bytes of a track from offset `start` on, contiguous in memory whatever frames they belong to.
    ///
    /// # Panics
    /// When they are not all within [`Reader::range`].
    #[must_use]
    pub fn bytes(&self, track: Track, start: u64, len: usize) -> &[u8] {
        self.end.bytes(track, start, len)
    }

    /// The record that the byte at `offset` of a track belongs to.
    ///
    /// # Panics
    /// When the byte is not within [`Reader::range`].
    #[must_use]
    pub fn position_at(&self, track: Track, offset: u64) -> Position {
        let range = self.range(track);
        assert!(
            range.contains(&offset),
            "byte {offset} is outside the pinned bytes {range:?}"
        );
        // The last record that starts at or before the byte. It is not an empty one: the record after an empty one
        // starts where that does, and there is one, or the byte would be past the end.
        let (mut low, mut high) = (self.tail().number(), self.head().number());
        while high - low > 1 {
            let middle = low.midpoint(high);
            if self.span(track, Position::new(middle)).start <= offset {
                low = middle;
            } else {
                high = middle;
            }
        }
        Position::new(low)
    }

    /// What the directory says about a channel.
    ///
    /// # Panics
    /// When the channel is not among the [`Reader::channels`].
    #[must_use]
    pub fn channel(&self, id: ChannelId) -> ChannelInfo<'_> {
        self.end.channel(id)
    }

    /// How many channels had been declared as of the last pin: those numbered below it. Entries of the directory
    /// never change, so unlike records they can be read unpinned.
    #[must_use]
    pub fn channels(&self) -> u32 {
        self.end.channels()
    }
}
