//! What is due: handshakes and messages that took too long, pings (`heartbeat` has the rest of what an open connection is
//! visited for), peers that fell silent, closes that were not answered.
//!
//! It never blames a client for what the shard was late with itself: whoever seems to be late is heard once more before it
//! is judged, since what would have met its deadline may lie in its socket, or wait with many others. Invariant: whoever is
//! not down has a timer, or is overdue and waits to be heard.

use super::converse::close_code;
use super::{Shard, after_ms};
use crate::base::{Key, Now};
use crate::connection::{Overdue, Pause, Stage};
use crate::dialect::Code;
use crate::limits;
use crate::ring::Ring;
use crate::wire::CloseCode;

impl<R: Ring> Shard<R> {
    /// Judges those who were overdue and have been heard, then handles timers that are due, so many in one turn.
    pub(super) fn expire(&mut self, now: Now) {
        let mut expired = std::mem::take(&mut self.expired);
        for slot in expired.drain(..) {
            if let Some(key) = self.connections.slots.key_at(slot) {
                self.judge(key, now);
            }
        }
        self.timers
            .expire(now.mono_ns, limits::EXPIRED_PER_TURN, &mut expired);
        for slot in expired.drain(..) {
            if let Some(key) = self.connections.slots.key_at(slot)
                && self.is_due(key, now)
                && !self.is_heard_first(key)
            {
                self.pass(key, now);
            }
        }
        self.expired = expired;
        self.expire_messages(now);
        self.drain(now);
    }

    /// Gives the connection so long for what it does now.
    pub(super) fn allow_ms(&mut self, key: Key, ms: u64, now: Now) {
        if let Some(connection) = self.connections.slots.get_mut(key) {
            connection.overdue.timer = false;
            self.timers.set(key.slot(), after_ms(now, ms));
        }
    }

    /// The connection was overdue and has been heard: it has done what it should have, or is late.
    fn judge(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let Overdue { timer, message } = std::mem::take(&mut connection.overdue);
        if message && connection.pause == Pause::None {
            if connection.drained {
                let reason = "a message took too long to arrive";
                return self.dismiss(key, CloseCode::POLICY_VIOLATION, reason, now);
            }
            // One reception has not taken all that is there of it.
            connection.overdue.message = true;
            self.hear_soon(key);
        }
        if timer {
            self.pass(key, now);
        }
    }

    /// The connection's timer has expired. Says whether it is to be heard before that counts.
    fn is_heard_first(&mut self, key: Key) -> bool {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return false;
        };
        let waits = matches!(
            connection.pause,
            Pause::Live | Pause::Joined | Pause::Answers | Pause::Room
        );
        if waits && !connection.is_blocked() {
            // It is we who do not listen, until it has everything or the writer has answered; what it takes of that is its
            // sign of life.
            connection.unanswered = 0;
        }
        let is_late = match connection.stage {
            Stage::Open => connection.is_silent(),
            Stage::Handshake { .. } | Stage::Closing | Stage::Flushing | Stage::Lingering { .. } => true,
            Stage::Down => false,
        };
        let listens = connection.pause == Pause::None && connection.stage.reads();
        if !is_late || !connection.waiting && !listens {
            return false;
        }
        connection.overdue.timer = true;
        self.hear_soon(key);
        true
    }

    /// The connection's time has passed.
    fn pass(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        match connection.stage {
            Stage::Handshake { .. } => self.refuse_late(key, now),
            Stage::Open if connection.is_silent() => {
                let reason = format!("no sign of life since {} pings", limits::PINGS_UNANSWERED_MAX);
                self.close(key, close_code(Code::PongTimeout), &reason, now);
            }
            Stage::Open => self.ping(key, now),
            // Its last words are still with us.
            Stage::Flushing if connection.is_ours_to_send() => self.allow_ms(key, limits::CLOSE_MS, now),
            Stage::Closing | Stage::Flushing | Stage::Lingering { .. } => self.hang_up(key),
            Stage::Down => {}
        }
    }

    /// Pings an open connection.
    fn ping(&mut self, key: Key, now: Now) {
        self.pinged(key, now);
        self.cool(key);
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if connection.is_blocked() {
            // Its socket is full: a ping would only wait behind what it has not read.
            connection.unanswered += 1;
            return;
        }
        let (outboxes, frame) = (&mut self.connections.outboxes, &mut self.site.frame);
        frame.clear();
        let written = connection.session.sender().ping(&[], frame);
        // Where there is no memory for it, another one comes, and nobody is closed for that.
        if written.is_ok() && outboxes.append(&mut connection.outbox, frame).is_ok() {
            // It cannot have answered one that we have not sent.
            connection.unanswered += u8::from(!connection.is_ours_to_send());
            self.owe(key);
        }
    }
}
