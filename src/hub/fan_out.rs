//! Which stretches of the tape each live client is sent in this round.
//!
//! A *round* is what is sent while the tape stays pinned: some records are routed, each client's share of them is noted
//! here, and then the shares are sent, slice by slice, over as many turns as that takes. Nothing here outlasts a round.
//!
//! Invariant: a client's ranges are in tape order and hold whole frames; a client that would need more of them than
//! [`RANGES_PER_TURN`], or one more when the shard has no room for it, keeps those it has and the position of what did
//! not fit. A slot whose share is pending stands once in the order of sending.

use super::range::Range;
use crate::base::Key;
use crate::limits::{FRAME_BYTES_MAX, RANGE_BYTES_MAX, RANGES_PER_TURN, ROUND_RECORDS, TRACKS_MAX};
use crate::tape::{Position, Reader, Track};

/// The shares of all clients.
#[derive(Debug)]
pub struct FanOut {
    /// Each slot's share.
    shares: Vec<Share>,
    /// The slots that have one, in the order in which they are sent it.
    order: Vec<u32>,
    /// How many of these have been.
    sent: usize,
    /// Where the last slice of them begins.
    slice: usize,
    /// Ranges beyond each client's first.
    more: Vec<[Stretch; RANGES_PER_TURN - 1]>,
    more_max: usize,
    /// How many shares have overflowed.
    overflowed: usize,
    /// Whether the round takes no more records.
    closed: bool,
    /// The first position of the round; what is noted of positions and offsets is relative to it.
    first: Position,
    starts: [u64; TRACKS_MAX],
}

/// One client's share: small, because every slot has room for one.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    reader: ReaderOf,
    /// Its first range.
    stretch: Stretch,
    /// The last record noted, counted from 1; 0 for no share.
    last: u16,
    /// The first record that did not fit; 0 when all did.
    overflow: u16,
    /// Where its further ranges are, counted from 1; 0 for nowhere.
    more: u32,
}

/// Whose share it is, and what of: the generation of a slot's tenant, and the track that it reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReaderOf(u32);

/// A [`Range`] within a round.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    start: u32,
    bytes: u32,
}

/// Records that follow each other and go to the same clients.
#[derive(Debug)]
pub(super) struct Run {
    first: u16,
    last: u16,
    stretches: [Stretch; TRACKS_MAX],
}

/// What one client is sent.
#[derive(Clone, Copy, Debug)]
pub struct Parcel {
    /// Who.
    pub key: Key,
    /// On which track.
    pub track: Track,
    len: usize,
    ranges: [Range; RANGES_PER_TURN],
    /// The first record that did not fit; [`Position::NONE`] when all did.
    pub overflow: Position,
}

impl Parcel {
    /// Its ranges, in tape order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..self.len]
    }
}

impl FanOut {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize =
        size_of::<Share>() + size_of::<u32>() + size_of::<[Stretch; RANGES_PER_TURN - 1]>() / SLOTS_PER_MORE;

    /// For clients in `slots` slots.
    #[must_use]
    pub(super) fn with_capacity(slots: usize) -> Self {
        let more_max = slots.div_ceil(SLOTS_PER_MORE);
        Self {
            shares: Vec::with_capacity(slots),
            order: Vec::with_capacity(slots),
            sent: 0,
            slice: 0,
            more: Vec::with_capacity(more_max),
            more_max,
            overflowed: 0,
            closed: false,
            first: Position::FIRST,
            starts: [0; TRACKS_MAX],
        }
    }

    /// Whether everybody has been sent its share.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.sent == self.order.len()
    }

    /// Whether the client `key` has not been sent its share yet.
    #[must_use]
    pub fn is_pending(&self, key: Key) -> bool {
        self.shares
            .get(key.slot() as usize)
            .is_some_and(|share| share.last != 0 && share.reader.generation() == key.generation())
    }

    /// Whether the client `key` has been sent anything of a round since this was asked last, or is about to be. Costs
    /// sending nothing: a share that is sent keeps its range until this is asked, or the next share takes its place.
    pub fn take_sent(&mut self, key: Key) -> bool {
        let Some(share) = self.shares.get_mut(key.slot() as usize) else {
            return false;
        };
        if share.reader.generation() != key.generation() {
            return false;
        }
        if share.last != 0 {
            return true;
        }
        // Its first range may be empty: not every record is on every track.
        let (bytes, more) = (&mut share.stretch.bytes, &mut share.more);
        std::mem::take(bytes) > 0 || std::mem::take(more) != 0
    }

    /// Takes the next shares, so many at most, and calls `send` for each.
    pub fn send(&mut self, most: usize, mut send: impl FnMut(&Parcel)) {
        (self.closed, self.slice) = (true, self.sent);
        let mut kept = self.slice;
        while self.sent < self.order.len() && kept - self.slice < most {
            let slot = self.order[self.sent];
            self.sent += 1;
            if self.shares[slot as usize].last != 0 {
                self.shares[slot as usize].last = 0;
                self.order[kept] = slot;
                kept += 1;
                send(&self.parcel(slot));
            }
        }
    }

    /// What was sent as the `index`th of the last slice.
    #[must_use]
    pub fn sent(&self, index: usize) -> Parcel {
        self.parcel(self.order[self.slice + index])
    }

    /// Whether there are shares that did not fit into their ranges.
    #[must_use]
    pub fn has_overflowed(&self) -> bool {
        self.overflowed > 0
    }

    /// Begins a round with what is on the tape from `first` on.
    pub(super) fn begin(&mut self, tape: &Reader, first: Position) {
        debug_assert!(self.is_over(), "one round ends before the next begins");
        self.order.clear();
        self.more.clear();
        (self.sent, self.slice, self.overflowed, self.closed) = (0, 0, 0, false);
        self.first = first;
        if first < tape.head() {
            for (track, start) in (0..).map(Track::new).zip(&mut self.starts[..tape.tracks()]) {
                *start = tape.span(track, first).start;
            }
        }
    }

    /// The position at which the round ends, whatever else is on the tape.
    pub(super) fn end(&self) -> Position {
        if self.closed {
            return self.first;
        }
        Position::new(self.first.number() + ROUND_RECORDS as u64)
    }

    /// Makes room for the share of the client in `slot`.
    pub(super) fn enter(&mut self, slot: u32) {
        if self.shares.len() <= slot as usize {
            self.shares.resize(slot as usize + 1, Share::default());
        }
    }

    /// The client `key` is gone, and its share with it. Nobody is noted in this round any more: a slot stands in the
    /// order of sending once.
    pub(super) fn withdraw(&mut self, key: Key) {
        if self.is_pending(key) {
            self.shares[key.slot() as usize].last = 0;
            self.closed = true;
        }
    }

    /// The records from `first` up to, not including, `end`, at most [`RUN_RECORDS`] of them.
    pub(super) fn run(&self, tape: &Reader, first: Position, end: Position) -> Run {
        let newest = Position::new(end.number() - 1);
        let mut stretches = [Stretch::default(); TRACKS_MAX];
        let tracks = (0..).map(Track::new).zip(self.starts).take(tape.tracks());
        for (stretch, (track, base)) in stretches.iter_mut().zip(tracks) {
            let start = tape.span(track, first).start;
            *stretch = Stretch {
                start: small(start - base),
                bytes: small(tape.span(track, newest).end() - start),
            };
        }
        Run {
            first: self.number(first),
            last: self.number(newest),
            stretches,
        }
    }

    /// The run goes to the client in `slot`. Noting it twice is noting it once: subscriptions may overlap.
    #[inline]
    pub(super) fn note(&mut self, slot: u32, reader: ReaderOf, run: &Run) {
        let share = &mut self.shares[slot as usize];
        let stretch = run.stretches[reader.track().index() % TRACKS_MAX];
        if share.last == 0 {
            *share = Share {
                reader,
                stretch,
                last: run.last,
                overflow: 0,
                more: 0,
            };
            self.order.push(slot);
        } else if share.last < run.first && share.overflow == 0 {
            share.last = run.last;
            if share.more != 0 || !share.stretch.extend(stretch) {
                self.note_apart(slot, stretch, run.first);
            }
        }
    }

    /// Notes a stretch that does not follow the client's first range.
    fn note_apart(&mut self, slot: u32, stretch: Stretch, first: u16) {
        if stretch.bytes > 0 && !self.keep_apart(slot, stretch) {
            self.shares[slot as usize].overflow = first;
            self.overflowed += 1;
        }
    }

    /// Whether there was room for the stretch among the client's further ranges.
    fn keep_apart(&mut self, slot: u32, stretch: Stretch) -> bool {
        let share = &mut self.shares[slot as usize];
        if share.more == 0 {
            if self.more.len() == self.more_max {
                return false;
            }
            self.more.push(Default::default());
            share.more = small(self.more.len() as u64);
        }
        let more = &mut self.more[share.more as usize - 1];
        let taken = more.iter().take_while(|taken| taken.bytes > 0).count();
        if let Some(last) = more[..taken].last_mut()
            && last.extend(stretch)
        {
            return true;
        }
        match more.get_mut(taken) {
            Some(free) => *free = stretch,
            None => return false,
        }
        true
    }

    fn parcel(&self, slot: u32) -> Parcel {
        let share = &self.shares[slot as usize];
        let base = self.starts[share.reader.track().index()];
        let mut ranges = [Range::default(); RANGES_PER_TURN];
        ranges[0] = share.stretch.range(base);
        let mut len = 1;
        if let Some(index) = share.more.checked_sub(1) {
            for stretch in self.more[index as usize].iter().take_while(|more| more.bytes > 0) {
                ranges[len] = stretch.range(base);
                len += 1;
            }
        }
        Parcel {
            key: Key::new(slot, share.reader.generation()),
            track: share.reader.track(),
            len,
            ranges,
            overflow: match share.overflow {
                0 => Position::NONE,
                number => Position::new(self.first.number() + u64::from(number) - 1),
            },
        }
    }

    /// A position as shares keep it.
    fn number(&self, position: Position) -> u16 {
        u16::try_from(position.number() - self.first.number() + 1).expect("a round has ROUND_RECORDS at most")
    }
}

impl ReaderOf {
    pub(super) fn new(key: Key, track: Track) -> Self {
        Self(key.generation() << 8 | small(track.index() as u64))
    }

    fn generation(self) -> u32 {
        self.0 >> 8
    }

    fn track(self) -> Track {
        let [track, ..] = self.0.to_le_bytes();
        Track::new(track)
    }
}

impl Stretch {
    /// As [`Range::extend`].
    fn extend(&mut self, next: Self) -> bool {
        let follows = self.start + self.bytes == next.start && self.bytes + next.bytes <= RANGE_BYTES_MAX;
        if follows {
            self.bytes += next.bytes;
        }
        follows
    }

    fn range(self, base: u64) -> Range {
        Range {
            start: base + u64::from(self.start),
            bytes: self.bytes,
        }
    }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).expect("a round has less than 4 GiB of each track")
}

/// Slots that share the room for the ranges beyond each one's first.
const SLOTS_PER_MORE: usize = 2;
/// Records of a run: with the longest frames they are one range.
pub(super) const RUN_RECORDS: u64 = RANGE_BYTES_MAX as u64 / FRAME_BYTES_MAX as u64;

const _: () = assert!(FanOut::BYTES_PER_SLOT <= 40);
const _: () = assert!(ROUND_RECORDS <= u16::MAX as usize);
const _: () = assert!(ROUND_RECORDS * FRAME_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(TRACKS_MAX < 1 << 8 && Key::GENERATION_BITS == 24);
const _: () = assert!(RUN_RECORDS > 0);
