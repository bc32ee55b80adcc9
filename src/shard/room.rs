//! Who gives way when there is no room, and who has taken too long.
//!
//! Slots and blocks are of a fixed number. To turn newcomers away when they are all taken would leave the room to those
//! who took it first and do nothing with it. So whoever has held longest what is lacking goes: then somebody who is
//! quick is served, however many are slow. Who is open and between messages holds only a slot and never goes.

use super::Shard;
use crate::base::now::NS_PER_MS;
use crate::base::{Key, Now};
use crate::connection::inbox::{HEADS, InboxesFull, MESSAGES};
use crate::connection::lines::SINCE_MAX;
use crate::connection::table::{LONG_DEBT, PARTING, SHORT_DEBT, SILENT};
use crate::connection::{Pause, Stage};
use crate::limits;
use crate::ring::Ring;
use crate::wire::{CloseCode, Refusal};

impl<R: Ring> Shard<R> {
    /// Puts the connection into the line where it belongs now. It keeps its place in the line where it stands, unless
    /// it has ended a message: then what its block holds is the beginning of another one.
    pub(super) fn stand(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let ended = std::mem::take(&mut connection.ended);
        let (line, lines) = (connection.line(), &mut self.connections.lines);
        if !ended && line.is_some() && lines.of(key.slot()) == line {
            return;
        }
        connection.overdue.message = false;
        match line {
            None => lines.leave(key.slot()),
            Some(line) => lines.join(line, key.slot(), tick(now)),
        }
    }

    /// Where slots run short, drops the connection that has stood longest in a handshake or a farewell. Its slot is
    /// free when the kernel has reported its poll, which is why some are always spare.
    pub(super) fn vacate(&mut self) {
        let slots = &self.connections.slots;
        if slots.capacity() - slots.len() > limits::SLOTS_SPARE {
            return;
        }
        let lines = &self.connections.lines;
        let first = [HEADS, SILENT, PARTING]
            .into_iter()
            .filter_map(|line| lines.first(line))
            .min_by_key(|(_, since)| *since);
        if let Some(key) = first.and_then(|(slot, _)| slots.key_at(slot)) {
            self.census.refused.add(1);
            self.hang_up(key);
        }
    }

    /// Takes the block back that was lent longest, of those that would have done. Says whether there was one.
    pub(super) fn reclaim(&mut self, full: InboxesFull, now: Now) -> bool {
        let lines = &self.connections.lines;
        let first = full.pools().find_map(|pool| lines.first(pool));
        let Some(key) = first.and_then(|(slot, _)| self.connections.slots.key_at(slot)) else {
            return false;
        };
        self.no_room(key, now);
        true
    }

    /// There is no block for what has arrived from the connection of its message or request, so that the rest of it
    /// means nothing.
    pub(super) fn no_room(&mut self, key: Key, now: Now) {
        match self.stage(key) {
            Some(Stage::Handshake { .. }) => {
                let refusal = Refusal::Overloaded {
                    retry_after_s: limits::RETRY_AFTER_S,
                };
                self.refuse(key, refusal, now);
            }
            Some(Stage::Open | Stage::Closing) => {
                self.dismiss(key, CloseCode::TRY_AGAIN_LATER, "out of memory for messages", now);
            }
            Some(Stage::Flushing | Stage::Lingering { .. } | Stage::Down) | None => {}
        }
    }

    /// Notes what the connection is still owed, now that its socket was offered it.
    pub(super) fn note_debt(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        let (outboxes, debts) = (&self.connections.outboxes, &mut self.connections.debts);
        let line = if outboxes.is_long(&connection.outbox) {
            LONG_DEBT
        } else {
            SHORT_DEBT
        };
        if connection.outbox.is_empty() {
            debts.leave(key.slot());
        } else if debts.of(key.slot()) != Some(line) {
            debts.join(line, key.slot(), 0);
        }
    }

    /// While replies run short of blocks, drops whoever has been owed much for longest: it does not read, and could not
    /// be told.
    pub(super) fn settle_debts(&mut self) {
        while !self.connections.outboxes.have_room() && self.call_in(&[LONG_DEBT]) {}
    }

    /// Drops whoever has been owed something for longest, of the first of these lines that has anybody. Says whether
    /// there was somebody.
    pub(super) fn call_in(&mut self, lines: &[u8]) -> bool {
        let first = lines.iter().find_map(|line| self.connections.debts.first(*line));
        let Some(key) = first.and_then(|(slot, _)| self.connections.slots.key_at(slot)) else {
            return false;
        };
        self.hang_up(key);
        true
    }

    /// Finds those whose message is under way for too long: they are heard once more, and closed if that was not its end.
    /// Who waits with its message for us has not begun to be slow.
    pub(super) fn expire_messages(&mut self, now: Now) {
        for line in MESSAGES {
            while let Some((slot, since)) = self.connections.lines.first(line)
                && self.message_due_ns(since) <= now.mono_ns
            {
                let Some(key) = self.connections.slots.key_at(slot) else {
                    break;
                };
                self.connections.lines.join(line, slot, tick(now));
                if let Some(connection) = self.connections.slots.get_mut(key)
                    && connection.pause == Pause::None
                {
                    connection.overdue.message = true;
                    self.hear_soon(key);
                }
            }
        }
    }

    /// When the first of these is due.
    pub(super) fn messages_due_ns(&self) -> Option<u64> {
        MESSAGES
            .filter_map(|line| self.connections.lines.first(line))
            .map(|(_, since)| self.message_due_ns(since))
            .min()
    }

    fn message_due_ns(&self, since: u32) -> u64 {
        u64::from(since) * TICK_NS + self.site.message_ms * NS_PER_MS
    }
}

/// The time as lines keep it, rounded up, so that nobody goes early.
fn tick(now: Now) -> u32 {
    u32::try_from(now.mono_ns.div_ceil(TICK_NS)).unwrap_or(u32::MAX)
}

/// As many of these as lines tell apart are more than eight years.
const TICK_NS: u64 = 500 * NS_PER_MS;
const _: () = assert!(SINCE_MAX as u64 / 2 > 8 * 365 * 24 * 60 * 60);
