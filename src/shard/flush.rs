//! Up and out: what connections are owed goes to their sockets.

use super::Shard;
use crate::base::{Key, Now};
use crate::connection::table::{LONG_DEBT, SHORT_DEBT};
use crate::connection::{Pause, Stage};
use crate::hub::Range;
use crate::limits;
use crate::ring::{Ring, ShortCause};
use crate::tape::Track;

/// The connections whose replies are in one submission, and how many bytes of them.
pub(super) type Pushed = Vec<(Key, usize)>;
/// Bytes of memory that they take.
pub(super) const PUSHED_BYTES: usize = limits::SEND_BATCH * size_of::<(Key, usize)>();

/// What may still be sent of something in this turn.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) sends: usize,
    pub(super) bytes: usize,
    /// Records that may be looked at.
    pub(super) records: usize,
}

impl Allowance {
    pub(super) fn is_used_up(&self) -> bool {
        self.sends == 0 || self.bytes == 0 || self.records == 0
    }

    /// So many sends have been made, and so many bytes have gone out.
    pub(super) fn take(&mut self, sends: usize, bytes: usize) {
        self.sends = self.sends.saturating_sub(sends);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// So many records have been looked at.
    pub(super) fn look(&mut self, records: usize) {
        self.records = self.records.saturating_sub(records);
    }
}

impl<R: Ring> Shard<R> {
    /// Sends what is owed, and catches up who is behind.
    pub(super) fn flush(&mut self, now: Now) {
        let mut left = Allowance {
            sends: self.pace.sends,
            bytes: limits::REPLIES_TURN_BYTES,
            records: usize::MAX,
        };
        self.send_replies(&mut left);
        if self.routed {
            self.catch_up(now);
        }
        // Catching up may have ended in farewells.
        self.send_replies(&mut left);
        self.count();
        self.park();
    }

    /// The connection is owed something, or can be sent something again.
    pub(super) fn owe(&mut self, key: Key) {
        if let Some(connection) = self.connections.slots.get_mut(key)
            && !connection.owing
        {
            connection.owing = true;
            self.owing.push(key.slot());
        }
    }

    /// The same, but nothing is sent to it before more of the round has been.
    fn hold(&mut self, key: Key) {
        if let Some(connection) = self.connections.slots.get_mut(key)
            && !connection.owing
        {
            connection.owing = true;
            self.held.push(key.slot());
        }
    }

    /// The rest of a frame that was cut is owed before all else, so that the stream stays whole whatever becomes of the
    /// tape. A connection that cannot be owed it can only be dropped.
    pub(super) fn owe_remainder(&mut self, key: Key, track: Track, rest: Range) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if rest.bytes == 0 || connection.stage == Stage::Down {
            return;
        }
        let bytes = self.tape.bytes(track, rest.start, rest.bytes as usize);
        let outboxes = &mut self.connections.outboxes;
        if outboxes.prepend(&mut connection.outbox, bytes).is_err() {
            if self.call_in(&[LONG_DEBT, SHORT_DEBT]) {
                return self.owe_remainder(key, track, rest);
            }
            tracing::warn!("a connection was dropped: no memory for the rest of a frame");
            return self.hang_up(key);
        }
        self.note_debt(key);
    }

    /// Sends what is owed, as far as this turn's allowance goes. Whoever is left comes first in the next turn.
    fn send_replies(&mut self, left: &mut Allowance) {
        while !self.owing.is_empty() && !left.is_used_up() {
            let mut pushed = std::mem::take(&mut self.pushed);
            self.push_replies(&mut pushed, left);
            for short in 0..self.outgoing.short.len() {
                let short = self.outgoing.short[short];
                let (key, bytes) = &mut pushed[short.index as usize];
                *bytes = short.sent;
                match short.cause {
                    ShortCause::Broken(_) => self.hang_up(*key),
                    ShortCause::Full => self.block(*key),
                }
            }
            for (key, bytes) in pushed.drain(..) {
                left.take(1, bytes);
                self.replied(key, bytes);
            }
            self.pushed = pushed;
        }
    }

    /// Submits the replies of up to a batch of connections, and of no more than are allowed. Those of a client whose
    /// share of the round is pending wait for that.
    fn push_replies(&mut self, pushed: &mut Pushed, left: &Allowance) {
        let mut batch = self.outgoing.batch();
        let mut bytes_owed = 0;
        while pushed.len() < limits::SEND_BATCH.min(left.sends)
            && bytes_owed < left.bytes
            && let Some(slot) = self.owing.pop()
        {
            let Some(key) = self.connections.slots.key_at(slot) else {
                continue;
            };
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut connection.owing) {
                continue;
            }
            if self.hub.fan_out().is_pending(key) {
                self.hold(key);
                continue;
            }
            if connection.is_blocked() || connection.stage == Stage::Down {
                continue;
            }
            bytes_owed += connection.outbox.len();
            pushed.push((key, 0));
        }
        for (key, bytes) in &mut *pushed {
            let Some(connection) = self.connections.slots.get(*key) else {
                continue;
            };
            let parts = self
                .connections
                .outboxes
                .parts(&connection.outbox, limits::SEND_PARTS_MAX);
            batch.push(connection.socket, parts.inspect(|part| *bytes += part.len()));
        }
        self.ring.send_batch(&batch, &mut self.outgoing.short);
        self.outgoing.keep(batch);
    }

    /// So many bytes of what the connection is owed have gone out.
    fn replied(&mut self, key: Key, bytes: usize) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if connection.stage == Stage::Down {
            return;
        }
        self.connections.outboxes.consume(&mut connection.outbox, bytes);
        self.note_debt(key);
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if !connection.outbox.is_empty() {
            let is_blocked = connection.is_blocked();
            // Its ticks must wait behind its replies.
            if self.hub.is_live(key) {
                self.hub.fall_behind(key, self.hub.cursor());
            }
            if !is_blocked {
                self.owe(key);
            }
            return;
        }
        if connection.stage == Stage::Flushing {
            return self.linger(key);
        }
        self.queue_if_behind(key);
        self.wake(key);
    }

    /// A connection whose input waits unread is heard again, unless it is still to wait.
    pub(super) fn wake(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        let may_go_on = match connection.pause {
            // Whoever waits for the writer is woken by what comes from it.
            Pause::None | Pause::Turn | Pause::News | Pause::Answers | Pause::Room => false,
            Pause::Replies => connection.outbox.is_empty(),
            Pause::Live => connection.outbox.is_empty() && self.hub.is_live(key),
            Pause::Joined => connection.outbox.is_empty() && self.hub.may_unsubscribe(key),
        };
        if !may_go_on {
            return;
        }
        if connection.pause == Pause::Live && !self.hub.may_subscribe(key) {
            return self.hold(key);
        }
        self.hear_soon(key);
    }
}
