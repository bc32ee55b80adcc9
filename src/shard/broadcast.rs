//! Down the tape: each new record goes to everyone live who wants it, in one send per client and round.
//!
//! A round may take several turns: a turn routes so many records and sends so many shares, so that whoever asks for
//! something, connects or is due waits for no more than that. The tape stays pinned meanwhile, and no other records are
//! routed. A client whose share is pending is sent nothing else, so that its stream is what it would be if everything had
//! been sent at once.

use super::Shard;
use super::outgoing::{Cut, cut};
use crate::base::{Key, Now};
use crate::hub::{Parcel, Range};
use crate::limits;
use crate::ring::{Ring, Short, ShortCause};
use crate::tape::Track;

impl<R: Ring> Shard<R> {
    /// Goes on with the round, or begins the next one: pins the tape, takes note of new records, and sends them to those
    /// who are live.
    pub(super) fn broadcast(&mut self, now: Now) {
        self.looked = self.hub.fan_out().is_over();
        if self.looked {
            self.take_in(now);
            self.hub.begin_round(&self.tape);
        }
        self.routed = self.hub.route(&self.tape, self.pace.records, self.pace.notes);
        if self.routed {
            self.send_shares();
        }
    }

    /// Sends the next shares, as many as a turn may.
    fn send_shares(&mut self) {
        let mut batch = self.outgoing.batch();
        let (tape, slots) = (&self.tape, &self.connections.slots);
        let sends = self.pace.sends.min(limits::SEND_BATCH);
        // Most clients are sent what the one before them was.
        let mut last = (Track::default(), Range::default(), &[][..]);
        self.hub.fan_out_mut().send(sends, |parcel| {
            let socket = slots.get(parcel.key).map(|connection| connection.socket);
            let socket = socket.unwrap_or_default();
            let bytes = |part: &Range| tape.bytes(parcel.track, part.start, part.bytes as usize);
            match parcel.ranges() {
                [part] => {
                    if (parcel.track, *part) != (last.0, last.1) {
                        last = (parcel.track, *part, bytes(part));
                    }
                    batch.push_one(socket, last.2);
                }
                parts => {
                    batch.push(socket, parts.iter().map(bytes));
                }
            }
        });
        let sent = batch.len();
        if sent > 0 {
            self.ring.send_batch(&batch, &mut self.outgoing.short);
        } else {
            self.outgoing.short.clear();
        }
        self.outgoing.keep(batch);
        let mut short = std::mem::take(&mut self.outgoing.short);
        self.census.sends.add((sent - short.len()) as u64);
        for cut in short.drain(..) {
            let parcel = self.hub.fan_out().sent(cut.index as usize);
            self.cut_share(&parcel, &cut);
        }
        self.outgoing.short = short;
        if self.hub.fan_out().has_overflowed() {
            for index in 0..sent {
                self.overflow(index);
            }
        }
        self.release();
    }

    /// A live client's socket did not take all: it is behind from where the send was cut.
    fn cut_share(&mut self, parcel: &Parcel, short: &Short) {
        if let ShortCause::Broken(_) = short.cause {
            return self.hang_up(parcel.key);
        }
        self.census.sends_short.add(1);
        let Some(Cut { next, remainder }) = cut(&self.tape, parcel.track, parcel.ranges(), short.sent) else {
            return;
        };
        self.hub.fall_behind(parcel.key, next);
        self.owe_remainder(parcel.key, parcel.track, remainder);
        self.block(parcel.key);
    }

    /// A client whose share did not fit into its ranges is caught up with the rest of it.
    fn overflow(&mut self, index: usize) {
        let Parcel { key, overflow, .. } = self.hub.fan_out().sent(index);
        if !overflow.is_none() && self.hub.is_live(key) {
            self.hub.fall_behind(key, overflow);
            self.queue(key);
        }
    }

    /// Whoever waited for its share, and has been sent it, is owed its replies and heard again.
    fn release(&mut self) {
        for _ in 0..self.held.len() {
            let Some(slot) = self.held.pop() else {
                return;
            };
            match self.connections.slots.key_at(slot) {
                Some(key) if self.hub.fan_out().is_pending(key) => {
                    self.held.push(slot);
                }
                Some(key) => {
                    self.owing.push(slot);
                    // In this very turn: the next one may begin another round, whose shares go first.
                    self.wake(key);
                }
                None => {
                    self.owing.push(slot);
                }
            }
        }
    }

    /// Takes in what is new on the tape, and lets go of what the writer is about to overwrite. As long as anybody has
    /// subscribed, this shard holds on to the rest, also while it sleeps: what is let go of is always known.
    fn take_in(&mut self, now: Now) {
        if !self.tape.is_pinned() {
            self.tape.pin();
            if self.hub.cursor() < self.tape.tail() {
                self.hub.skip(&self.tape);
            }
            return self.hub.observe(&self.tape);
        }
        let tail = self.tape.extend();
        self.hub.observe(&self.tape);
        if self.hub.cursor() < tail {
            self.overtaken();
        }
        self.lapse(tail, now);
        self.tape.release(tail);
    }

    /// More is written than this shard can send to those who are live: they all are behind from where it stands.
    fn overtaken(&mut self) {
        self.census.overtaken.add(1);
        let cursor = self.hub.cursor();
        let live: Vec<Key> = self
            .connections
            .slots
            .keys()
            .filter(|&key| self.hub.is_live(key) && self.hub.subscription_count(key) > 0)
            .collect();
        for key in live {
            self.hub.fall_behind(key, cursor);
            self.queue(key);
        }
        self.hub.skip(&self.tape);
    }
}
