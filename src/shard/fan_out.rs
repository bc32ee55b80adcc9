//! Which stretches of the tape each live client is sent in this turn.
//!
//! Nothing here outlasts a turn. Invariant: a client's ranges are in tape order and hold whole frames; a client
//! that would need more than [`RANGES_PER_TURN`] keeps those it has and the position of what did not fit.

use crate::base::Key;
use crate::hub::Range;
use crate::limits::RANGES_PER_TURN;
use crate::tape::{Position, Span, Track};

/// The clients that get something in this turn.
#[derive(Debug)]
pub struct FanOut {
    entries: Vec<Entry>,
    /// Where in `entries` the client in each slot stands.
    places: Vec<u32>,
}

/// One client's share of a turn.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Who.
    pub key: Key,
    /// On which track.
    pub track: Track,
    len: u8,
    ranges: [Range; RANGES_PER_TURN],
    /// The last record noted.
    last: Position,
    /// The first record that did not fit; [`Position::NONE`] when all did.
    pub overflow: Position,
}

impl Entry {
    /// What it is sent, in tape order.
    #[must_use]
    pub fn ranges(&self) -> &[Range] {
        &self.ranges[..usize::from(self.len)]
    }
}

impl FanOut {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize = size_of::<Entry>() + size_of::<u32>();

    /// For clients in `slots` slots.
    #[must_use]
    pub fn with_capacity(slots: usize) -> Self {
        Self {
            entries: Vec::with_capacity(slots),
            places: Vec::with_capacity(slots),
        }
    }

    /// The record at `position`, whose bytes are `span`, goes to the client `key`. Noting it twice is noting it
    /// once: subscriptions may overlap.
    pub fn note(&mut self, key: Key, track: Track, position: Position, span: Span) {
        let entry = self.entry(key, track);
        if entry.last == position || !entry.overflow.is_none() {
            return;
        }
        entry.last = position;
        let len = usize::from(entry.len);
        if span.bytes == 0 || (len > 0 && entry.ranges[len - 1].extend(span)) {
            return;
        }
        if len == RANGES_PER_TURN {
            entry.overflow = position;
            return;
        }
        entry.ranges[len] = span.into();
        entry.len += 1;
    }

    /// Everyone's share.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Forgets the turn.
    pub fn clear(&mut self) {
        for entry in self.entries.drain(..) {
            self.places[entry.key.slot() as usize] = NONE;
        }
    }

    fn entry(&mut self, key: Key, track: Track) -> &mut Entry {
        let slot = key.slot() as usize;
        if slot >= self.places.len() {
            self.places.resize(slot + 1, NONE);
        }
        if self.places[slot] == NONE {
            self.places[slot] = u32::try_from(self.entries.len()).unwrap_or(NONE);
            self.entries.push(Entry {
                key,
                track,
                len: 0,
                ranges: [Range::default(); RANGES_PER_TURN],
                last: Position::NONE,
                overflow: Position::NONE,
            });
        }
        &mut self.entries[self.places[slot] as usize]
    }
}

const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn note(fan_out: &mut FanOut, position: u64, start: u64, bytes: u32) {
        fan_out.note(
            Key::new(3, 1),
            Track::new(0),
            Position::new(position),
            Span { start, bytes },
        );
    }

    #[test]
    fn neighbours_merge_and_a_record_counts_once() {
        let mut fan_out = FanOut::with_capacity(8);
        note(&mut fan_out, 1, 100, 10);
        note(&mut fan_out, 1, 100, 10);
        note(&mut fan_out, 2, 110, 5);
        note(&mut fan_out, 9, 200, 1);
        let expected = [
            Range {
                start: 100,
                bytes: 15,
            },
            Range { start: 200, bytes: 1 },
        ];
        assert_eq!(fan_out.entries()[0].ranges(), expected);
        fan_out.clear();
        assert!(fan_out.entries().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_remembered_by_its_position() {
        let mut fan_out = FanOut::with_capacity(8);
        for position in 1..=6 {
            note(&mut fan_out, position, position * 100, 10);
        }
        assert_eq!(fan_out.entries()[0].ranges().len(), RANGES_PER_TURN);
        assert_eq!(fan_out.entries()[0].overflow, Position::new(5));
    }
}
