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

impl<R: Ring> Shard<R> {
    /// Sends what is owed, catches up who is behind, and lets go of the tape.
    pub(super) fn flush(&mut self, now: Now) {
        let mut bytes_left = limits::REPLIES_TURN_BYTES;
        self.send_replies(&mut bytes_left);
        self.catch_up(now);
        // Catching up may have ended in farewells.
        self.send_replies(&mut bytes_left);
        self.count();
        self.unpin();
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

    /// The rest of a frame that was cut is owed, so that the stream stays whole whatever becomes of the tape. A
    /// connection that cannot be owed it can only be dropped.
    pub(super) fn owe_remainder(&mut self, key: Key, track: Track, rest: Range) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if rest.bytes == 0 {
            return;
        }
        let bytes = self.tape.bytes(track, rest.start, rest.bytes as usize);
        let outboxes = &mut self.connections.outboxes;
        if outboxes.append(&mut connection.outbox, bytes).is_err() {
            if self.call_in(&[LONG_DEBT, SHORT_DEBT]) {
                return self.owe_remainder(key, track, rest);
            }
            tracing::warn!("a connection was dropped: no memory for the rest of a frame");
            return self.hang_up(key);
        }
        self.note_debt(key);
    }

    /// Sends what is owed, as far as this turn's bytes go. Whoever is left comes first in the next turn.
    fn send_replies(&mut self, bytes_left: &mut usize) {
        while !self.owing.is_empty() && *bytes_left > 0 {
            let mut pushed = std::mem::take(&mut self.pushed);
            self.push_replies(&mut pushed, *bytes_left);
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
                *bytes_left = bytes_left.saturating_sub(bytes);
                self.replied(key, bytes);
            }
            self.pushed = pushed;
        }
    }

    /// Submits the replies of up to a batch of connections, and of no more than owe so many bytes.
    fn push_replies(&mut self, pushed: &mut Pushed, bytes_max: usize) {
        let mut batch = self.outgoing.batch();
        let mut bytes_owed = 0;
        while pushed.len() < limits::SEND_BATCH
            && bytes_owed < bytes_max
            && let Some(slot) = self.owing.pop()
        {
            let Some(key) = self.connections.slots.key_at(slot) else {
                continue;
            };
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut connection.owing)
                || connection.is_blocked()
                || connection.stage == Stage::Down
            {
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
            Pause::None | Pause::Turn => false,
            Pause::Replies => connection.outbox.is_empty(),
            Pause::Live => connection.outbox.is_empty() && self.hub.is_live(key),
            Pause::Joined => connection.outbox.is_empty() && self.hub.may_unsubscribe(key),
        };
        if may_go_on {
            self.hear_soon(key);
        }
    }
}
