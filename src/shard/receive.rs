//! Receiving: an idle client holds no buffer, so bytes land in the shard's own and are handled where they lie.
//!
//! The beginning of a message waits in a block: one of a few bytes is moved back before more is received behind it, a
//! longer one stays, and its connection receives straight into its block. Nobody is received from more than once a
//! turn, so a flood from one client costs the others one lane's worth of time.

use super::Shard;
use super::converse::{Desk, Verdict};
use super::hot::note_drained;
use crate::base::{Key, Now, SlotQueue, Socket};
use crate::connection::inbox::InboxesFull;
use crate::connection::{Connection, Inbox, Inboxes, Pause, Stage};
use crate::limits;
use crate::ring::{Errno, Ring};

/// Who has something to say, and where it is put.
#[derive(Debug)]
pub(super) struct Intake {
    waiting: SlotQueue,
    lanes: Box<[u8]>,
    batch: Vec<Key>,
    sockets: Vec<Socket>,
    received: Vec<Result<usize, Errno>>,
}

impl Intake {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            waiting: SlotQueue::with_capacity(slots),
            lanes: vec![0; limits::RECV_BATCH * limits::RECV_BYTES].into(),
            batch: Vec::with_capacity(limits::RECV_BATCH),
            sockets: Vec::with_capacity(limits::RECV_BATCH),
            received: Vec::with_capacity(limits::RECV_BATCH),
        }
    }

    /// Whether somebody waits to be heard.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl<R: Ring> Shard<R> {
    /// The connection `key` has something to say.
    pub(super) fn hear_soon(&mut self, key: Key) {
        if let Some(connection) = self.connections.slots.get_mut(key)
            && !connection.waiting
        {
            connection.waiting = true;
            self.intake.waiting.push(key.slot());
        }
    }

    /// Hears those who wait, once, and so many in one turn.
    pub(super) fn receive(&mut self, now: Now) {
        let most = self.intake.waiting.len().min(limits::HEARD_PER_TURN);
        for _ in 0..most {
            let Some(key) = self
                .intake
                .waiting
                .pop()
                .and_then(|slot| self.connections.slots.key_at(slot))
            else {
                continue;
            };
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            if !std::mem::take(&mut connection.waiting) {
                continue;
            }
            if !connection.overdue.is_none() {
                // As soon as it has been heard, it is judged.
                self.expired.push(key.slot());
            }
            if !connection.stage.reads() {
                continue;
            }
            if self.connections.outboxes.is_long(&connection.outbox) {
                connection.pause = Pause::Replies;
                continue;
            }
            if connection.pause == Pause::News && !self.looked {
                self.hear_soon(key);
                continue;
            }
            let paused = connection.pause;
            // Whoever has waited for news says so itself when it is heard.
            if paused != Pause::News {
                connection.pause = Pause::None;
            }
            if !matches!(connection.inbox, Inbox::Empty) {
                match paused {
                    Pause::None if connection.inbox.is_small() => self.receive_behind(key, now),
                    Pause::None => self.receive_into_block(key, now),
                    Pause::Replies
                    | Pause::Turn
                    | Pause::News
                    | Pause::Live
                    | Pause::Joined
                    | Pause::Answers
                    | Pause::Room => {
                        self.hear_block(key, 0, now);
                    }
                }
                continue;
            }
            self.intake.sockets.push(connection.socket);
            self.intake.batch.push(key);
            if self.intake.batch.len() == limits::RECV_BATCH {
                self.receive_batch(now);
            }
        }
        self.receive_batch(now);
    }

    /// Receives from everyone in the batch, each into a lane of the shard's own buffer.
    fn receive_batch(&mut self, now: Now) {
        let lane = limits::RECV_BYTES;
        let Intake {
            sockets,
            lanes,
            received,
            ..
        } = &mut self.intake;
        if sockets.is_empty() {
            return;
        }
        self.ring.recv_batch(sockets, lanes, lane, received);
        sockets.clear();
        for index in 0..self.intake.batch.len() {
            let key = self.intake.batch[index];
            let outcome = self.intake.received[index];
            if let Some(connection) = self.connections.slots.get_mut(key) {
                note_drained(connection, outcome, lane);
            }
            match outcome {
                Ok(0) => self.hang_up(key),
                Ok(bytes) => {
                    self.heard(key);
                    let Some(connection) = self.connections.slots.get_mut(key) else {
                        continue;
                    };
                    let bytes = &mut self.intake.lanes[index * lane..][..bytes];
                    let mut desk = Desk {
                        tape: &self.tape,
                        hub: &mut self.hub,
                        outboxes: &mut self.connections.outboxes,
                        errands: &mut self.errands,
                        site: &mut self.site,
                        now,
                    };
                    let (held, verdict) = desk.hear(key, connection, bytes);
                    let kept = self.lend(key, now, |inboxes, connection, lanes| {
                        let (inbox, left) = (&mut connection.inbox, &lanes[index * lane..][..held]);
                        if matches!(connection.stage, Stage::Handshake { .. }) {
                            inboxes.keep_head(inbox, left)
                        } else {
                            inboxes.keep(inbox, left)
                        }
                    });
                    self.conclude(key, verdict, kept, now);
                }
                Err(errno) if errno.would_block() => self.watch(key),
                Err(_) => self.hang_up(key),
            }
        }
        self.intake.batch.clear();
    }

    /// Receives from a connection behind the beginning of its message, which is moved into the shard's own buffer: in
    /// a small block there is room for little more.
    fn receive_behind(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let Intake { lanes, received, .. } = &mut self.intake;
        let lifted = self.connections.inboxes.lift(&mut connection.inbox, lanes);
        let room = &mut lanes[lifted..];
        self.ring
            .recv_batch(&[connection.socket], room, limits::RECV_BYTES, received);
        let outcome = received.first().copied().unwrap_or(Ok(0));
        note_drained(connection, outcome, limits::RECV_BYTES);
        let (held, verdict) = match outcome {
            Ok(arrived @ 1..) => {
                connection.unanswered = 0;
                let mut desk = Desk {
                    tape: &self.tape,
                    hub: &mut self.hub,
                    outboxes: &mut self.connections.outboxes,
                    errands: &mut self.errands,
                    site: &mut self.site,
                    now,
                };
                desk.hear(key, connection, &mut lanes[..lifted + arrived])
            }
            Err(errno) if errno.would_block() => (lifted, Verdict::GoOn),
            Ok(0) | Err(_) => return self.hang_up(key),
        };
        let kept = self.lend(key, now, |inboxes, connection, lanes| {
            inboxes.keep(&mut connection.inbox, &lanes[..held])
        });
        self.conclude(key, verdict, kept, now);
    }

    /// Receives from a connection into the block that holds the beginning of its message.
    fn receive_into_block(&mut self, key: Key, now: Now) {
        let has_room = self.lend(key, now, |inboxes, connection, _| {
            inboxes.make_room(&mut connection.inbox)
        });
        if has_room.is_err() {
            return self.conclude(key, Verdict::GoOn, has_room, now);
        }
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let Some((bytes, held)) = self.connections.inboxes.block_mut(&mut connection.inbox) else {
            return;
        };
        let room = &mut bytes[held..];
        let lane = room.len().min(limits::RECV_BYTES);
        if lane > 0 {
            self.ring
                .recv_batch(&[connection.socket], room, lane, &mut self.intake.received);
            let outcome = self.intake.received.first().copied().unwrap_or(Ok(0));
            note_drained(connection, outcome, lane);
            match outcome {
                Ok(0) => return self.hang_up(key),
                Ok(bytes) => {
                    self.heard(key);
                    return self.hear_block(key, bytes, now);
                }
                Err(errno) if errno.would_block() => return self.watch(key),
                Err(_) => return self.hang_up(key),
            }
        }
        self.hear_block(key, 0, now);
    }

    /// Hears what a connection's block holds, `arrived` bytes of it new. After a pause there are none: what was kept
    /// is gone on with first, so that a block never fills up with what nobody has looked at.
    fn hear_block(&mut self, key: Key, arrived: usize, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let mut inbox = std::mem::take(&mut connection.inbox);
        let (held, verdict) = match self.connections.inboxes.held_mut(&mut inbox, arrived) {
            Some(bytes) => {
                let mut desk = Desk {
                    tape: &self.tape,
                    hub: &mut self.hub,
                    outboxes: &mut self.connections.outboxes,
                    errands: &mut self.errands,
                    site: &mut self.site,
                    now,
                };
                desk.hear(key, connection, bytes)
            }
            None => (0, Verdict::GoOn),
        };
        self.connections.inboxes.set_held(&mut inbox, held);
        connection.inbox = inbox;
        let kept = self.lend(key, now, |inboxes, connection, _| {
            if matches!(connection.stage, Stage::Handshake { .. }) {
                Ok(())
            } else {
                inboxes.leave_heads(&mut connection.inbox)
            }
        });
        self.conclude(key, verdict, kept, now);
    }

    /// Lends the connection a block, and has others give theirs back for as long as that may help. `attempt` is also
    /// told where the lanes are.
    fn lend(
        &mut self,
        key: Key,
        now: Now,
        mut attempt: impl FnMut(&mut Inboxes, &mut Connection, &[u8]) -> Result<(), InboxesFull>,
    ) -> Result<(), InboxesFull> {
        loop {
            let Some(connection) = self.connections.slots.get_mut(key) else {
                return Ok(());
            };
            match attempt(&mut self.connections.inboxes, connection, &self.intake.lanes) {
                Err(full) if self.reclaim(full, now) => {}
                lent => return lent,
            }
        }
    }
}
