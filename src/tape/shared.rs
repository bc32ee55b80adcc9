//! The memory of the tape, and its two ends: the only code that turns the numbers of `pin.rs` into access.
//!
//! Never reads outside a view and never writes inside one. Everything else about the tape is safe code on top.
//!
//! Invariant (checked by `WriteEnd::invariants`): `clear <= tail <= head`; the records in `clear..head` and the bytes
//! that their spans name are whole; and every reader's view lies within `clear..head`, which is [`Pins`]' promise. So
//! what is written, the slot and the bytes of `head`, is in no view.

#![expect(
    unsafe_code,
    reason = "shares memory between one writer and many readers without a lock"
)]

use super::mirror::Mirror;
use super::pin::{Clear, Parked, Pins, View};
use super::record::{ChannelId, ChannelInfo, Class, Position, Record, Span, Track};
use super::shape::{Shape, TapeError};
use super::writer::Full;
use crate::limits::{CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX, FRAME_BYTES_MAX, TRACKS_MAX};
use std::cell::UnsafeCell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::Arc;

/// Both ends of a new tape of a shape that has been checked: the writer's, and one for each reader.
pub(super) fn ends(shape: &Shape) -> Result<(WriteEnd, Vec<ReadEnd>), TapeError> {
    let lanes: Result<Box<[Lane]>, TapeError> = shape
        .track_bytes
        .iter()
        .map(|&bytes| {
            Ok(Lane {
                bytes: Mirror::new(bytes)?,
                spans: Slots::new(shape.records)?,
            })
        })
        .collect();
    let shared = Arc::new(Shared {
        pins: Pins::new(shape.readers),
        records: Slots::new(shape.records)?,
        directory: Slots::new(CHANNELS_MAX)?,
        lanes: lanes?,
    });
    let readers = (0..shape.readers)
        .map(|reader| ReadEnd {
            shared: Arc::clone(&shared),
            reader,
            view: View::unpinned(0),
            ranges: [(0, 0); TRACKS_MAX],
        })
        .collect();
    let writer = WriteEnd {
        shared,
        head: Position::FIRST,
        tail: Position::FIRST,
        clear: Position::FIRST,
        shown_tail: Position::FIRST,
        holding: false,
        ends: [0; TRACKS_MAX],
        channels: 0,
    };
    Ok((writer, readers))
}

/// Bytes of the index for each record, with so many tracks.
pub(super) fn index_bytes(tracks: usize) -> usize {
    size_of::<Record>() + tracks * size_of::<Span>()
}

/// Bytes of one channel's entry in the directory, which has [`CHANNELS_MAX`].
pub(super) fn name_bytes() -> usize {
    size_of::<Name>()
}

/// The writer's end. There is one, and only it writes.
pub(super) struct WriteEnd {
    shared: Arc<Shared>,
    /// The position that the next record gets.
    head: Position,
    /// The lowest position not retired.
    tail: Position,
    /// The same as far as it is announced; less than the tail only while that is held back.
    shown_tail: Position,
    /// Whether appending and retiring are not announced before [`WriteEnd::show`].
    holding: bool,
    /// The lowest position that a reader may still look at, as far as has been found out.
    clear: Position,
    /// For each track, the bytes ever written to it.
    ends: [u64; TRACKS_MAX],
    /// Channels declared.
    channels: u32,
}

impl WriteEnd {
    /// Adds a name, which fits, to the directory; `None` when that is full.
    pub(super) fn declare(
        &mut self,
        name: &str,
        class: Class,
        is_listed: bool,
        terms: u8,
    ) -> Option<ChannelId> {
        let id = ChannelId::new(self.channels);
        if id.index() == CHANNELS_MAX {
            return None;
        }
        let mut text = [0; CHANNEL_NAME_BYTES_MAX];
        text[..name.len()].copy_from_slice(name.as_bytes());
        let entry = Name {
            text,
            bytes: u8::try_from(name.len()).ok()?,
            class,
            is_listed,
            terms,
        };
        // SAFETY: readers look only at entries below the `channels` that they loaded, and this one is not below it
        // until it is stored, after the write, with release. Only this end writes, and each entry once.
        unsafe { self.shared.directory.put(id.index(), entry) };
        self.channels += 1;
        self.shared.pins.declare(self.channels);
        Some(id)
    }

    /// Writes a record and its frames at the head and publishes them.
    pub(super) fn append(&mut self, record: Record, frames: &[&[u8]]) -> Result<Position, Full> {
        assert_eq!(frames.len(), self.shared.lanes.len(), "one frame for each track");
        self.make_room(frames)?;
        let slot = self.shared.records.slot(self.head);
        for ((lane, end), frame) in self.shared.lanes.iter().zip(&mut self.ends).zip(frames) {
            let span = Span {
                start: *end,
                bytes: u32::try_from(frame.len()).expect("a frame has at most FRAME_BYTES_MAX bytes"),
            };
            // SAFETY: the slot is that of `head`, and `make_room` found the position that had it before below
            // `clear`: in no view, nor in this end's own range. Only this end writes.
            unsafe { lane.spans.put(slot, span) };
            if !frame.is_empty() {
                // SAFETY: `make_room` found that the bytes which these replace belong to records below `clear`: they
                // are in no view, and every read of them happened before it said so. `frame` may borrow nothing of
                // this end, which is borrowed uniquely; were it some reader's, it would lie within that view.
                unsafe { lane.bytes.write(lane.offset(*end), frame) };
            }
            *end = span.end();
        }
        // SAFETY: as for the spans.
        unsafe { self.shared.records.put(slot, record) };
        let position = self.head;
        self.head = position.next();
        if !self.holding {
            self.shared.pins.publish(self.head);
        }
        self.invariants();
        Ok(position)
    }

    /// From now on readers learn of what is appended and retired when it is shown.
    pub(super) fn hold(&mut self) {
        self.holding = true;
    }

    /// Announces all that was held back: the head before the tail, for a reader that sees this tail sees that head.
    pub(super) fn show(&mut self) {
        self.shared.pins.publish(self.head);
        if self.shown_tail < self.tail {
            self.shown_tail = self.tail;
            self.shared.pins.retire(self.tail);
        }
        self.invariants();
    }

    /// Announces that the oldest record is no longer to be read.
    pub(super) fn retire_oldest(&mut self) {
        assert!(self.tail < self.head, "there is a record to retire");
        self.tail = self.tail.next();
        if !self.holding {
            self.shown_tail = self.tail;
            self.shared.pins.retire(self.tail);
        }
        self.invariants();
    }

    /// Calls `bell` for each reader that is parked.
    pub(super) fn ring(&self, bell: impl FnMut(usize)) {
        self.shared.pins.ring(bell);
    }

    pub(super) fn head(&self) -> Position {
        self.head
    }

    pub(super) fn tail(&self) -> Position {
        self.tail
    }

    pub(super) fn record(&self, position: Position) -> &Record {
        self.check(position);
        // SAFETY: in `tail..head`: written by this end, which alone writes, and not while it is borrowed.
        unsafe { self.shared.record(position) }
    }

    pub(super) fn span(&self, track: Track, position: Position) -> Span {
        self.check(position);
        // SAFETY: as for `record`.
        unsafe { self.shared.span(track.index(), position) }
    }

    pub(super) fn frame(&self, track: Track, position: Position) -> &[u8] {
        let span = self.span(track, position);
        // SAFETY: the bytes of a record in `tail..head`: as for `record`.
        unsafe { self.shared.bytes(track.index(), span.start, span.bytes as usize) }
    }

    pub(super) fn free_records(&self) -> usize {
        self.shared.records.len() - distance(self.tail.number(), self.head.number())
    }

    pub(super) fn records(&self) -> usize {
        self.shared.records.len()
    }

    pub(super) fn track_bytes(&self, track: Track) -> usize {
        self.shared.lanes[track.index()].bytes.len()
    }

    pub(super) fn free_bytes(&self, track: Track) -> usize {
        let used = distance(self.start(track.index(), self.tail), self.ends[track.index()]);
        self.shared.lanes[track.index()].bytes.len() - used
    }

    /// Sees to it that a record with these frames overwrites nothing from `clear` on.
    fn make_room(&mut self, frames: &[&[u8]]) -> Result<(), Full> {
        for (lane, frame) in self.shared.lanes.iter().zip(frames) {
            assert!(
                frame.len() <= lane.bytes.len().min(FRAME_BYTES_MAX),
                "a frame of {} bytes fits no track",
                frame.len()
            );
        }
        if self.fits(self.clear, frames) {
            return Ok(());
        }
        if !self.fits(self.tail, frames) {
            return Err(Full::Unretired);
        }
        let Clear { position, reader } = self.shared.pins.clear(self.clear, self.shown_tail);
        self.clear = position;
        if self.fits(self.clear, frames) {
            return Ok(());
        }
        // Where nobody pins it, all that was announced is clear, and the rest is held back.
        Err(reader.map_or(Full::Held, |reader| Full::Pinned { reader }))
    }

    /// Whether a record with these frames can be written while nothing from `keep` on is overwritten.
    fn fits(&self, keep: Position, frames: &[&[u8]]) -> bool {
        distance(keep.number(), self.head.number()) < self.shared.records.len()
            && self
                .shared
                .lanes
                .iter()
                .zip(frames)
                .enumerate()
                .all(|(track, (lane, frame))| {
                    distance(self.start(track, keep), self.ends[track]) + frame.len() <= lane.bytes.len()
                })
    }

    /// Where the span of `position`, in `clear..=head`, starts on a track.
    fn start(&self, track: usize, position: Position) -> u64 {
        if position == self.head {
            return self.ends[track];
        }
        assert!(
            self.clear <= position && position < self.head,
            "spans are whole from clear to head"
        );
        // SAFETY: in `clear..head`: written by this end, which alone writes, and not overwritten yet.
        unsafe { self.shared.span(track, position) }.start
    }

    fn check(&self, position: Position) {
        assert!(
            self.tail <= position && position < self.head,
            "record {position} is not on the tape, which has {} up to {}",
            self.tail,
            self.head
        );
    }

    fn invariants(&self) {
        debug_assert!(
            self.clear <= self.shown_tail && self.shown_tail <= self.tail && self.tail <= self.head
        );
        debug_assert!(distance(self.clear.number(), self.head.number()) <= self.shared.records.len());
        debug_assert!((0..self.shared.lanes.len()).all(|track| {
            distance(self.start(track, self.clear), self.ends[track]) <= self.shared.lanes[track].bytes.len()
        }));
    }
}

impl fmt::Debug for WriteEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteEnd")
            .field("head", &self.head)
            .field("tail", &self.tail)
            .field("clear", &self.clear)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

/// A reader's end. Each has a word in [`Pins`] of its own.
pub(super) struct ReadEnd {
    shared: Arc<Shared>,
    reader: usize,
    /// What may be read; empty, with a head of no position, when not pinned.
    view: View,
    /// For each track, the offsets of the view's first byte and of the byte after its last.
    ranges: [(u64, u64); TRACKS_MAX],
}

impl ReadEnd {
    /// Takes everything on the tape into view.
    pub(super) fn pin(&mut self) {
        self.view = self.shared.pins.pin(self.reader);
        self.measure();
    }

    /// Takes what was written since into view as well; says how far the writer has announced to go.
    pub(super) fn extend(&mut self) -> Position {
        let (tail, view) = self.shared.pins.extend(self.reader, self.view());
        self.view = view;
        self.measure();
        tail
    }

    /// Drops what is before `tail` from the view.
    pub(super) fn release(&mut self, tail: Position) {
        let View {
            tail: before, head, ..
        } = self.view();
        assert!(
            before <= tail && tail <= head,
            "what is let go of was in the view"
        );
        self.view.tail = tail;
        self.measure();
        self.shared.pins.release(self.reader, tail);
    }

    /// Finds out which bytes the view has.
    fn measure(&mut self) {
        let View { tail, head, .. } = self.view;
        debug_assert!(tail <= head, "the words are loaded in order");
        for (track, range) in self.ranges.iter_mut().enumerate().take(self.shared.lanes.len()) {
            *range = if tail == head {
                // Nothing to read, and no record to tell where the track ends: what was known last still is empty.
                (range.1, range.1)
            } else {
                // SAFETY: the view is not empty, so its tail is in it.
                let first = unsafe { self.shared.span(track, tail) };
                // SAFETY: nor is its newest record outside it.
                let last = unsafe { self.shared.span(track, Position::new(head.number() - 1)) };
                (first.start, last.end())
            };
        }
    }

    /// Sleeps if nothing is on the tape from `next` on, and then drops the view, unless it is to be held on to.
    pub(super) fn park(&mut self, next: Position, holds: bool) -> Parked {
        if holds {
            self.check_pinned();
        }
        let parked = self.shared.pins.park(self.reader, next, holds);
        if parked == Parked::Idle && !holds {
            self.view = View::unpinned(self.view.channels);
        }
        parked
    }

    /// Drops the view, and does not ask to be rung.
    pub(super) fn leave(&mut self) {
        self.view = View::unpinned(self.view.channels);
        self.shared.pins.leave(self.reader);
    }

    pub(super) fn is_pinned(&self) -> bool {
        !self.view.head.is_none()
    }

    pub(super) fn view(&self) -> View {
        self.check_pinned();
        self.view
    }

    pub(super) fn record(&self, position: Position) -> &Record {
        self.check(position);
        // SAFETY: in the view, which lasts until `self` is borrowed mutably.
        unsafe { self.shared.record(position) }
    }

    pub(super) fn span(&self, track: Track, position: Position) -> Span {
        self.check(position);
        // SAFETY: in the view.
        unsafe { self.shared.span(track.index(), position) }
    }

    pub(super) fn range(&self, track: Track) -> Range<u64> {
        self.check_pinned();
        let (start, end) = self.ranges[..self.shared.lanes.len()][track.index()];
        start..end
    }

    pub(super) fn bytes(&self, track: Track, start: u64, len: usize) -> &[u8] {
        let range = self.range(track);
        let end = start.checked_add(len as u64);
        assert!(
            range.start <= start && end.is_some_and(|end| end <= range.end),
            "{len} bytes at {start} are outside the pinned bytes {range:?}"
        );
        // SAFETY: between the first and the last byte of the records in the view, which lasts until `self` is
        // borrowed mutably.
        unsafe { self.shared.bytes(track.index(), start, len) }
    }

    pub(super) fn channel(&self, id: ChannelId) -> ChannelInfo<'_> {
        assert!(
            id.number() < self.view.channels,
            "channel {} was not declared when this reader last pinned",
            id.number()
        );
        // SAFETY: below the `channels` that `pin` loaded with acquire, so it is written, and it never changes.
        let name = unsafe { self.shared.directory.get(id.index()) };
        ChannelInfo {
            name: std::str::from_utf8(&name.text[..usize::from(name.bytes)]).expect("copied from a string"),
            class: name.class,
            is_listed: name.is_listed,
            terms: name.terms,
        }
    }

    pub(super) fn channels(&self) -> u32 {
        self.view.channels
    }

    pub(super) fn tracks(&self) -> usize {
        self.shared.lanes.len()
    }

    fn check(&self, position: Position) {
        self.check_pinned();
        assert!(
            self.view.tail <= position && position < self.view.head,
            "record {position} is outside the pin, which holds {} up to {}",
            self.view.tail,
            self.view.head
        );
    }

    fn check_pinned(&self) {
        assert!(self.is_pinned(), "a reader reads only while pinned");
    }
}

impl Drop for ReadEnd {
    fn drop(&mut self) {
        // A shard that has died must not hold the writer up.
        self.shared.pins.leave(self.reader);
    }
}

impl fmt::Debug for ReadEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadEnd")
            .field("reader", &self.reader)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// What both ends hold.
struct Shared {
    pins: Pins,
    records: Slots<Record>,
    directory: Slots<Name>,
    lanes: Box<[Lane]>,
}

impl Shared {
    /// # Safety
    /// `position` is in a view of the caller's, or in the writer's `clear..head`, for as long as the borrow lasts.
    unsafe fn record(&self, position: Position) -> &Record {
        // SAFETY: such records are written, and are not overwritten while that is so.
        unsafe { self.records.get(self.records.slot(position)) }
    }

    /// # Safety
    /// As for [`Shared::record`].
    unsafe fn span(&self, track: usize, position: Position) -> Span {
        let spans = &self.lanes[track].spans;
        // SAFETY: spans are written with their records, and last as long.
        *unsafe { spans.get(spans.slot(position)) }
    }

    /// # Safety
    /// The bytes lie between the first and the last byte of records to which [`Shared::record`]'s promise applies.
    unsafe fn bytes(&self, track: usize, start: u64, len: usize) -> &[u8] {
        let lane = &self.lanes[track];
        // SAFETY: bytes are written with their records, and last as long.
        unsafe { lane.bytes.slice(lane.offset(start), len) }
    }
}

/// One track: its bytes and where each record's are.
struct Lane {
    bytes: Mirror,
    spans: Slots<Span>,
}

impl Lane {
    /// Where the byte at an absolute offset is in the ring.
    fn offset(&self, start: u64) -> usize {
        wrap(start, self.bytes.len())
    }
}

/// An entry of the directory.
#[derive(Clone, Copy)]
struct Name {
    text: [u8; CHANNEL_NAME_BYTES_MAX],
    bytes: u8,
    class: Class,
    is_listed: bool,
    terms: u8,
}

/// A fixed number of values in shared memory, without a view on who may touch which. Untouched ones cost nothing.
struct Slots<T> {
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a shared reference gives access only through unsafe methods, whose callers promise that no write overlaps,
// unordered, with any other access to the same slot; values move between threads, hence `Send`, and are looked at
// from several, hence `Sync`.
unsafe impl<T: Send + Sync> Sync for Slots<T> {}

impl<T: Copy> Slots<T> {
    fn new(count: usize) -> Result<Self, TapeError> {
        let mut cells = Vec::new();
        cells.try_reserve_exact(count).map_err(|_| TapeError::Memory {
            bytes: count.saturating_mul(size_of::<T>()),
        })?;
        // SAFETY: the capacity is at least `count`, and a cell of uninitialised memory is a valid cell.
        unsafe { cells.set_len(count) };
        Ok(Self {
            cells: cells.into_boxed_slice(),
        })
    }

    fn len(&self) -> usize {
        self.cells.len()
    }

    /// The slot of a position; the number of slots is a power of two.
    fn slot(&self, position: Position) -> usize {
        wrap(position.number(), self.cells.len())
    }

    /// # Safety
    /// Every earlier access to the slot happened before this call, no reference to it is alive, and no other access
    /// happens until the call is over.
    unsafe fn put(&self, slot: usize, value: T) {
        // SAFETY: the cell is valid for writes; nobody else accesses it, as the caller promises.
        unsafe { self.cells[slot].get().write(MaybeUninit::new(value)) };
    }

    /// # Safety
    /// A [`Slots::put`] to the slot happened before this call, and none happens while the reference lives.
    unsafe fn get(&self, slot: usize) -> &T {
        // SAFETY: nobody writes to the cell while the reference lives, as the caller promises.
        let value = unsafe { &*self.cells[slot].get() };
        // SAFETY: a value has been put there, as the caller promises.
        unsafe { value.assume_init_ref() }
    }
}

/// From one absolute number up to a later one, both within one ring.
fn distance(from: u64, to: u64) -> usize {
    debug_assert!(from <= to, "numbers only grow");
    usize::try_from(to - from).expect("what is in a ring is less than memory")
}

/// Where an absolute number is in a ring of `len`, which is a power of two.
fn wrap(number: u64, len: usize) -> usize {
    usize::try_from(number & (len as u64 - 1)).expect("less than the length, which is a usize")
}
