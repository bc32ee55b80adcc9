//! Clients that are behind: each gets its next slice of the tape, in turn, until it is live again. Whoever is far behind
//! is told so, and skips what is out of date.

use super::Shard;
use super::flush::Allowance;
use super::outgoing::{Cut, cut};
use crate::base::{Key, Now};
use crate::connection::Stage;
use crate::hub::{Caught, Fallen, Lapse, Place, Range, Wanted};
use crate::limits;
use crate::ring::{Ring, Short, ShortCause};

/// Memory for one submission of slices, used again by the next.
#[derive(Debug)]
pub(super) struct CatchUp {
    pub(super) wanted: Wanted,
    pub(super) lapse: Lapse,
    ranges: Vec<Range>,
    slices: Vec<Slice>,
}

impl CatchUp {
    /// Bytes of memory that it takes, besides what grows with the number of channels.
    pub(super) const BYTES: usize =
        limits::SEND_BATCH_PARTS * size_of::<Range>() + limits::SEND_BATCH * size_of::<Slice>();

    pub(super) fn new() -> Self {
        Self {
            wanted: Wanted::default(),
            lapse: Lapse::default(),
            ranges: Vec::with_capacity(limits::SEND_BATCH_PARTS),
            slices: Vec::with_capacity(limits::SEND_BATCH),
        }
    }

    /// Whether one more client's slice, however many ranges it has, fits into this submission.
    fn has_room(&self) -> bool {
        self.slices.len() < limits::SEND_BATCH
            && self.ranges.len() + limits::SEND_PARTS_MAX <= limits::SEND_BATCH_PARTS
    }
}

/// What one client is sent in one submission.
#[derive(Clone, Copy, Debug)]
struct Slice {
    key: Key,
    /// Where it stood before.
    before: Place,
    /// Its ranges.
    first: usize,
    end: usize,
}

impl<R: Ring> Shard<R> {
    /// The client waits to be caught up, unless its socket is full: then `ready` puts it in the queue.
    pub(super) fn queue(&mut self, key: Key) {
        if let Some(connection) = self.connections.slots.get_mut(key)
            && !connection.queued
            && !connection.is_blocked()
        {
            connection.queued = true;
            self.catching_up.push(key.slot());
        }
    }

    pub(super) fn queue_if_behind(&mut self, key: Key) {
        if !self.hub.is_live(key) {
            self.queue(key);
        }
    }

    /// Gives everyone in the queue a slice, as far as the turn's allowance goes.
    pub(super) fn catch_up(&mut self, now: Now) {
        let mut waiting = self.catching_up.len();
        let mut left = Allowance {
            sends: self.pace.sends,
            bytes: limits::CATCH_UP_TURN_BYTES,
            records: limits::CATCH_UP_TURN_RECORDS,
        };
        while waiting > 0 && !left.is_used_up() {
            waiting -= self.cut_slices(waiting, &mut left, now);
            self.send_slices(now);
        }
    }

    /// Cuts slices for one submission; says how many clients it took from the queue.
    fn cut_slices(&mut self, waiting: usize, left: &mut Allowance, now: Now) -> usize {
        let mut served = 0;
        while served < waiting && !left.is_used_up() && self.catch_up.has_room() {
            let Some(slot) = self.catching_up.pop() else {
                break;
            };
            served += 1;
            let Some(key) = self.connections.slots.key_at(slot) else {
                continue;
            };
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut connection.queued)
                || connection.stage != Stage::Open
                || connection.is_blocked()
                || !connection.outbox.is_empty()
            {
                continue;
            }
            let first = self.catch_up.ranges.len();
            let CatchUp { wanted, ranges, .. } = &mut self.catch_up;
            let caught = self.hub.catch_up(key, &self.tape, (wanted, ranges), now);
            let Caught {
                before,
                records,
                late,
            } = match caught {
                Ok(caught) => caught,
                Err(Fallen { since_ns }) => {
                    self.census.conflated.add(1);
                    self.warn(key, since_ns, now);
                    continue;
                }
            };
            left.look(records);
            if let Some(late) = late {
                self.late(key, late, now);
                continue;
            }
            let end = ranges.len();
            if end == first {
                self.advance(key, now);
            } else {
                let bytes = ranges[first..].iter().map(|range| range.bytes as usize);
                left.take(1, bytes.sum());
                if let Some(connection) = self.connections.slots.get_mut(key) {
                    connection.told = true;
                }
                self.catch_up.slices.push(Slice {
                    key,
                    before,
                    first,
                    end,
                });
            }
        }
        served
    }

    /// Submits the slices and settles where everyone stands.
    fn send_slices(&mut self, now: Now) {
        let mut batch = self.outgoing.batch();
        for slice in &self.catch_up.slices {
            let track = self.hub.track(slice.key);
            let socket = self
                .connections
                .slots
                .get(slice.key)
                .map(|connection| connection.socket);
            let parts = self.catch_up.ranges[slice.first..slice.end].iter();
            batch.push(
                socket.unwrap_or_default(),
                parts.map(|part| self.tape.bytes(track, part.start, part.bytes as usize)),
            );
        }
        self.ring.send_batch(&batch, &mut self.outgoing.short);
        self.outgoing.keep(batch);
        for index in 0..self.outgoing.short.len() {
            let short = self.outgoing.short[index];
            self.cut_slice(self.catch_up.slices[short.index as usize], &short);
        }
        let sent = self.catch_up.slices.len() - self.outgoing.short.len();
        self.census.sends.add(sent as u64);
        for index in 0..self.catch_up.slices.len() {
            self.advance(self.catch_up.slices[index].key, now);
        }
        self.catch_up.slices.clear();
        self.catch_up.ranges.clear();
    }

    /// The client's socket did not take its whole slice: it goes on from where that was cut.
    fn cut_slice(&mut self, slice: Slice, short: &Short) {
        if let ShortCause::Broken(_) = short.cause {
            return self.hang_up(slice.key);
        }
        self.census.sends_short.add(1);
        let track = self.hub.track(slice.key);
        let ranges = &self.catch_up.ranges[slice.first..slice.end];
        let Some(Cut { next, remainder }) = cut(&self.tape, track, ranges, short.sent) else {
            return;
        };
        self.hub.step_back(slice.key, slice.before, next);
        self.owe_remainder(slice.key, track, remainder);
        self.block(slice.key);
    }

    /// A client that has everything is live; any other waits for its next slice.
    fn advance(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        if connection.stage != Stage::Open || connection.is_blocked() {
            return;
        }
        // It is told that a replay is over before it is sent anything newer.
        if self.end_replays(key, now) || !self.hub.go_live(key) {
            self.queue(key);
        }
        self.wake(key);
    }
}
