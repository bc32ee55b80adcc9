//! Down the tape: each new record goes to everyone live who wants it, in one send per client.

use super::Shard;
use super::outgoing::{Cut, cut};
use crate::base::Key;
use crate::limits;
use crate::ring::{Ring, Short, ShortCause};

impl<R: Ring> Shard<R> {
    /// Pins the tape, takes note of every new record, and sends it to those who are live.
    pub(super) fn broadcast(&mut self) {
        self.tape.pin();
        self.hub.learn(&self.tape);
        if self.hub.cursor() < self.tape.tail() {
            self.overtaken();
        }
        let mut at = self.hub.cursor();
        while at < self.tape.head() {
            let record = self.tape.record(at);
            self.hub.observe(at, record);
            if record.kind.is_live() {
                for (key, track) in self.hub.route(record) {
                    self.fan_out.note(key, track, at, self.tape.span(track, at));
                }
            }
            at = at.next();
        }
        self.send_fan_out();
        self.overflow();
        self.fan_out.clear();
    }

    /// Sends every client its share, in submissions of a bounded size.
    fn send_fan_out(&mut self) {
        let mut first = 0;
        while first < self.fan_out.entries().len() {
            let end = (first + limits::SEND_BATCH).min(self.fan_out.entries().len());
            let mut batch = self.outgoing.batch();
            for entry in &self.fan_out.entries()[first..end] {
                let socket = self
                    .connections
                    .slots
                    .get(entry.key)
                    .map(|connection| connection.socket);
                let parts = entry.ranges().iter();
                batch.push(
                    socket.unwrap_or_default(),
                    parts.map(|part| self.tape.bytes(entry.track, part.start, part.bytes as usize)),
                );
            }
            self.ring.send_batch(&batch, &mut self.outgoing.short);
            self.outgoing.keep(batch);
            self.census
                .sends
                .add((end - first - self.outgoing.short.len()) as u64);
            let mut short = std::mem::take(&mut self.outgoing.short);
            for cut in short.drain(..) {
                self.cut_live(first + cut.index as usize, &cut);
            }
            self.outgoing.short = short;
            first = end;
        }
    }

    /// A live client's socket did not take all: it is behind from where the send was cut.
    fn cut_live(&mut self, index: usize, short: &Short) {
        let entry = self.fan_out.entries()[index];
        if let ShortCause::Broken(_) = short.cause {
            return self.hang_up(entry.key);
        }
        self.census.sends_short.add(1);
        let Some(Cut { next, remainder, .. }) = cut(&self.tape, entry.track, entry.ranges(), short.sent)
        else {
            return;
        };
        self.hub.fall_behind(entry.key, next);
        self.owe_remainder(entry.key, entry.track, remainder);
        self.block(entry.key);
    }

    /// Clients whose share did not fit into the ranges of one turn are caught up with the rest of it.
    fn overflow(&mut self) {
        for index in 0..self.fan_out.entries().len() {
            let entry = self.fan_out.entries()[index];
            if !entry.overflow.is_none() && self.hub.is_live(entry.key) {
                self.hub.fall_behind(entry.key, entry.overflow);
                self.queue(entry.key);
            }
        }
    }

    /// The tape has moved on without this shard, which was asleep: everyone live is behind from where it stood,
    /// and what is known of the channels is read again from the tail.
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
        self.hub.rewind(self.tape.tail());
    }
}
