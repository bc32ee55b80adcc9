//! What only the writer can do for a client: the shard sends it errands, and goes on; when one comes back, the client is
//! told what came of it.
//!
//! The shard never waits for the writer, and never drops what it was asked for: who wants something for which there is no
//! room is not read from until there is. Several errands of a client may be under way; whatever else it asks for waits
//! until they are answered, so that every reply stands in the order of the requests. Invariant: as many errands are under
//! way as all connections together are waiting for, and those of connections that are gone.

use super::Shard;
use super::converse::{Desk, NO_ROOM_FOR_REPLIES, Reply};
use crate::base::{Blocked, Key, Now, SlotQueue};
use crate::connection::{Pause, Stage};
use crate::dialect::Code;
use crate::dialect::errand::{Answer, Errand, Outcome, ShardEnd, Want};
use crate::dialect::native_json::reply::{write_error, write_published};
use crate::limits;
use crate::ring::Ring;

/// The errands of one shard.
#[derive(Debug)]
pub(super) struct Errands {
    way: Option<ShardEnd>,
    under_way: usize,
    bytes: usize,
    /// Who waits for room.
    waiting: SlotQueue,
}

/// An errand that was not sent.
#[derive(Debug)]
pub(super) enum Unsent {
    /// There are as many under way as there may be.
    Full,
    /// There is no writer, or none any more.
    Closed,
}

impl Errands {
    pub(super) fn new(way: Option<ShardEnd>, slots: usize) -> Self {
        Self {
            way,
            under_way: 0,
            bytes: 0,
            waiting: SlotQueue::with_capacity(slots),
        }
    }

    /// The client waits for room.
    pub(super) fn wait(&mut self, key: Key) {
        self.waiting.push(key.slot());
    }

    /// Sends an errand to the writer.
    pub(super) fn send(&mut self, errand: Errand) -> Result<(), Unsent> {
        let bytes = errand.bytes();
        if self.bytes + bytes > limits::ERRANDS_BYTES_PER_SHARD_MAX || !self.has_room() {
            return Err(Unsent::Full);
        }
        let way = self.way.as_mut().ok_or(Unsent::Closed)?;
        way.errands.push(errand).map_err(|blocked| match blocked {
            Blocked::Full(_) => Unsent::Full,
            Blocked::Closed(_) => Unsent::Closed,
        })?;
        self.under_way += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// How many are under way, or have come back and are not told yet.
    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Wakes the writer if there is something new for it.
    fn ring(&mut self) {
        if let Some(way) = &mut self.way {
            way.errands.ring();
        }
    }

    /// The next one that has come back.
    fn next(&mut self) -> Option<Answer> {
        let answer = self.way.as_ref()?.answers.pop()?;
        self.under_way -= 1;
        self.bytes -= answer.errand.bytes();
        Some(answer)
    }

    fn has_room(&self) -> bool {
        self.under_way < limits::ERRANDS_PER_SHARD_MAX
    }

    /// Whether somebody waits for room and no answer will make any: there is all of it.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way == 0 && !self.waiting.is_empty()
    }

    /// How many of those who wait may find room, if their errands are like those that are under way.
    fn callable(&self) -> usize {
        if !self.has_room() {
            return 0;
        }
        let usual = (self.bytes / self.under_way.max(1)).max(1);
        let by_bytes = limits::ERRANDS_BYTES_PER_SHARD_MAX.saturating_sub(self.bytes) / usual;
        let by_number = limits::ERRANDS_PER_SHARD_MAX - self.under_way;
        by_number.min(by_bytes).max(1).min(self.waiting.len())
    }
}

impl Desk<'_> {
    /// Sends an errand for a client that has `under_way` of them on their way. One that cannot be sent now waits, unread.
    pub(super) fn ask(&mut self, key: Key, under_way: &mut u8, errand: Errand) -> Reply {
        if *under_way >= limits::ERRANDS_PER_CONNECTION_MAX {
            return Reply::NotYet(Pause::Room);
        }
        let id = errand.id;
        match self.errands.send(errand) {
            Ok(()) => {
                *under_way += 1;
                Reply::Given
            }
            Err(Unsent::Full) => {
                self.errands.wait(key);
                Reply::NotYet(Pause::Room)
            }
            // What is said here stands behind what is said of those that are under way, or of none.
            Err(Unsent::Closed) if *under_way > 0 => Reply::NotYet(Pause::Answers),
            Err(Unsent::Closed) => {
                self.error(id, Code::Overloaded, "the server takes no more messages");
                Reply::Given
            }
        }
    }
}

impl<R: Ring> Shard<R> {
    /// Tells clients what came of their errands, and goes on with those who waited for that.
    pub(super) fn answer(&mut self, now: Now) {
        let mut is_news = self.errands.is_idle();
        while let Some(answer) = self.errands.next() {
            is_news = true;
            let key = answer.errand.client;
            self.openings.learn(&answer, now);
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            connection.under_way -= 1;
            if connection.stage == Stage::Open && answer.errand.has_reply() {
                self.hand_over(key, &answer, now);
            }
            self.go_on(key);
        }
        // Whoever waits for room may find it now. Not all are called at once for room that there is for a few: whoever finds none
        // has been heard in vain, and stands last again.
        for _ in 0..if is_news { self.errands.callable() } else { 0 } {
            let slot = self.errands.waiting.pop();
            let key = slot.and_then(|slot| self.connections.slots.key_at(slot));
            if let Some(key) = key
                && self.pause(key) == Some(Pause::Room)
            {
                self.hear_soon(key);
            }
        }
    }

    /// Wakes the writer for what it was asked in this turn.
    pub(super) fn send_errands(&mut self) {
        self.errands.ring();
    }

    /// Owes a client the reply to one of its requests.
    fn hand_over(&mut self, key: Key, answer: &Answer, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let Answer { errand, outcome } = answer;
        self.site.frame.clear();
        self.site.notice(|text| match (&errand.want, outcome) {
            (Want::Publish(publish), Outcome::Published { seq }) => {
                write_published(text, errand.id, &publish.channel, *seq);
            }
            (_, Outcome::Refused { code, message }) => write_error(text, errand.id, *code, message),
            (_, _) => {}
        });
        connection.told = true;
        let outboxes = &mut self.connections.outboxes;
        if outboxes.append(&mut connection.outbox, &self.site.frame).is_err() {
            return self.conclude(key, NO_ROOM_FOR_REPLIES, Ok(()), now);
        }
        self.owe(key);
        self.note_debt(key);
    }

    /// A client that waited for answers is heard again when it has them all; one with as many errands under way as it may
    /// have, when half of them are answered.
    fn go_on(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        let may = match connection.pause {
            Pause::Answers => connection.under_way == 0,
            Pause::Room => connection.under_way <= limits::ERRANDS_PER_CONNECTION_MAX / 2,
            Pause::None | Pause::Replies | Pause::Turn | Pause::News | Pause::Live | Pause::Joined => false,
        };
        if may {
            self.hear_soon(key);
        }
    }

    fn pause(&self, key: Key) -> Option<Pause> {
        self.connections.slots.get(key).map(|connection| connection.pause)
    }
}
