//! What is due: handshakes and messages that took too long, pings, peers that fell silent, closes that were not answered.

use super::converse::close_code;
use super::dispatch::wrapped_ms;
use super::{Shard, after_ms};
use crate::base::{Key, Now};
use crate::connection::{Pause, Stage};
use crate::dialect::Code;
use crate::limits;
use crate::ring::Ring;

impl<R: Ring> Shard<R> {
    /// Handles timers that are due, so many in one turn.
    pub(super) fn expire(&mut self, now: Now) {
        let mut expired = std::mem::take(&mut self.expired);
        self.timers
            .expire(now.mono_ns, limits::EXPIRED_PER_TURN, &mut expired);
        for slot in expired.drain(..) {
            let Some(key) = self.connections.slots.key_at(slot) else {
                continue;
            };
            match self.stage(key) {
                Some(Stage::Handshake { .. }) => self.refuse_late(key, now),
                Some(Stage::Open) => self.check_pulse(key, now),
                Some(Stage::Closing | Stage::Flushing | Stage::Lingering { .. }) => self.hang_up(key),
                Some(Stage::Down) | None => {}
            }
        }
        self.expired = expired;
        self.expire_messages(now);
        self.drain(now);
    }

    /// Pings an open connection, or closes it when its peer has been silent for too long.
    fn check_pulse(&mut self, key: Key, now: Now) {
        self.cool(key);
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if matches!(connection.pause, Pause::Live | Pause::Joined) && !connection.is_blocked() {
            // It is we who do not listen, until it has everything; what it takes of that is its sign of life.
            connection.heard_ms = wrapped_ms(now);
        }
        let silent_ms = wrapped_ms(now).wrapping_sub(connection.heard_ms);
        let ping_interval_ms = self.site.ping_interval_ms;
        let patience_ms = limits::PING_INTERVALS_SILENT * ping_interval_ms;
        if u64::from(silent_ms) >= patience_ms {
            let reason = format!("no sign of life for {} s", patience_ms / 1000);
            return self.close(key, close_code(Code::PongTimeout), &reason, now);
        }
        self.timers.set(key.slot(), after_ms(now, ping_interval_ms));
        if connection.is_blocked() {
            // Its socket is full: a ping would only wait behind what it has not read.
            return;
        }
        let (outboxes, frame) = (&mut self.connections.outboxes, &mut self.site.frame);
        frame.clear();
        let written = connection.session.sender().ping(&[], frame);
        // Where there is no memory for it, another one comes, and nobody is closed for that.
        if written.is_ok() && outboxes.append(&mut connection.outbox, frame).is_ok() {
            self.owe(key);
        }
    }
}
