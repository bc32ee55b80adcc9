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
    /// Handles every timer that is due.
    pub(super) fn expire(&mut self, now: Now) {
        let mut expired = std::mem::take(&mut self.expired);
        self.timers.expire(now.mono_ns, &mut expired);
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
        if u64::from(silent_ms) >= limits::PONG_MS {
            return self.close(
                key,
                close_code(Code::PongTimeout),
                "no sign of life for 60 s",
                now,
            );
        }
        self.timers
            .set(key.slot(), after_ms(now, limits::PING_INTERVAL_MS));
        if connection.is_blocked() {
            // Its socket is full: a ping would only wait behind what it has not read. What it still wants may
            // have left the tape meanwhile; then there is no point in waiting.
            return self.check_lost(key, now);
        }
        self.site.frame.clear();
        if connection
            .session
            .sender()
            .ping(&[], &mut self.site.frame)
            .is_ok()
        {
            self.owe_frame(key, now);
        }
    }
}
