//! How a connection ends: with a closing handshake where there is somebody to shake hands with, and in any case
//! with its socket shut down, its polls reported, and its slot free. And how all of them do: clients of a feed are told
//! beforehand, and have the time that the server was given to find another one; meanwhile they are served as before, and
//! whoever connects is answered that the server goes.

use super::site::Service;
use super::{Life, Shard, after_ms};
use crate::base::{Key, Now};
use crate::connection::{Pause, Stage};
use crate::dialect::native_json::write_shutdown;
use crate::limits;
use crate::ring::Ring;
use crate::wire::{CloseCode, CloseFrame};

impl<R: Ring> Shard<R> {
    /// Begins the closing handshake. The client is sent nothing after our close frame.
    pub(super) fn close(&mut self, key: Key, code: CloseCode, reason: &str, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if connection.stage != Stage::Open {
            return;
        }
        self.site.frame.clear();
        let frame = CloseFrame { code, reason };
        let written = connection
            .session
            .sender()
            .close(Some(frame), &mut self.site.frame);
        connection.stage = Stage::Closing;
        self.site.open -= 1;
        let owed = self
            .connections
            .outboxes
            .append(&mut connection.outbox, &self.site.frame);
        if written.is_err() || owed.is_err() {
            return self.hang_up(key);
        }
        self.part(key, now);
    }

    /// Closes the connection without listening to it any longer: what it still sends means nothing, and its close
    /// frame is not waited for.
    pub(super) fn dismiss(&mut self, key: Key, code: CloseCode, reason: &str, now: Now) {
        self.close(key, code, reason, now);
        if self.stage(key) == Some(Stage::Closing) {
            self.finish(key, now);
        }
    }

    /// What the connection is owed is the last it gets.
    pub(super) fn finish(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut connection.stage, Stage::Flushing);
        self.site.open -= usize::from(before == Stage::Open);
        self.connections.inboxes.clear(&mut connection.inbox);
        self.part(key, now);
    }

    /// Everything is said: our stream ends, and the peer has what is left of its time to end its own.
    pub(super) fn linger(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        connection.stage = Stage::Lingering { discarded: 0 };
        connection.pause = Pause::None;
        self.ring.finish(connection.socket);
        self.watch(key);
    }

    /// Ends the connection without another word.
    pub(super) fn hang_up(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if connection.stage == Stage::Down {
            return;
        }
        let before = std::mem::replace(&mut connection.stage, Stage::Down);
        self.site.open -= usize::from(before == Stage::Open);
        let (socket, armed) = (connection.socket, connection.armed);
        self.connections.inboxes.clear(&mut connection.inbox);
        self.connections.outboxes.clear(&mut connection.outbox);
        self.hub.leave(key);
        self.hub.withdraw(key);
        self.timers.cancel(key.slot());
        self.connections.lines.leave(key.slot());
        self.connections.debts.leave(key.slot());
        if armed.lasting {
            // It would outlast the shutdown.
            self.ring.disarm(key);
        }
        self.ring.shutdown(socket);
        if armed.is_none() {
            self.free(key);
        }
    }

    /// Gives the socket and the slot back. Only when the kernel holds no poll for it.
    pub(super) fn free(&mut self, key: Key) {
        if let Some(connection) = self.connections.remove(key) {
            debug_assert!(connection.armed.is_none() && connection.stage == Stage::Down);
            self.ring.close(connection.socket);
            self.count();
        }
    }

    /// Does what it was told.
    pub(super) fn obey(&mut self, now: Now) {
        let accept_ns = match self.life {
            Life::Open => None,
            Life::Paused { until_ns } => Some(until_ns),
            Life::Leaving { .. } | Life::Draining { .. } | Life::HungUp { .. } | Life::Over => return,
        };
        if !self.orders.is_draining() {
            return;
        }
        self.announce();
        self.site.is_leaving = true;
        if self.site.drain_ms == 0 {
            return self.say_goodbye(now);
        }
        self.life = Life::Leaving {
            until_ns: after_ms(now, self.site.drain_ms),
            accept_ns,
        };
    }

    /// Tells the clients of a feed that the server goes, and when. Whoever there is no memory to tell learns it from its
    /// close frame.
    fn announce(&mut self) {
        if self.site.service == Service::Echo {
            return;
        }
        let keys: Vec<Key> = self.connections.slots.keys().collect();
        for key in keys {
            let Some(connection) = self.connections.slots.get_mut(key) else {
                continue;
            };
            if connection.stage != Stage::Open {
                continue;
            }
            connection.told = true;
            let in_ms = self.site.drain_ms;
            self.site.frame.clear();
            self.site.notice(|text| write_shutdown(text, in_ms));
            let outboxes = &mut self.connections.outboxes;
            if outboxes.append(&mut connection.outbox, &self.site.frame).is_ok() {
                self.owe(key);
                self.note_debt(key);
            }
        }
    }

    /// The server has had its time: nobody is listened for any longer, and everybody is closed.
    fn say_goodbye(&mut self, now: Now) {
        self.life = Life::Draining {
            until_ns: after_ms(now, limits::CLOSE_MS),
        };
        self.ring.stop_listening();
        let code = match self.site.service {
            Service::Feed => CloseCode::SERVICE_RESTART,
            Service::Echo => CloseCode::GOING_AWAY,
        };
        let keys: Vec<Key> = self.connections.slots.keys().collect();
        for key in keys {
            match self.stage(key) {
                Some(Stage::Open) => self.close(key, code, "server is shutting down", now),
                Some(Stage::Handshake { .. }) => self.hang_up(key),
                Some(Stage::Closing | Stage::Flushing | Stage::Lingering { .. } | Stage::Down) | None => {}
            }
        }
    }

    /// Draining ends when everyone has gone; whoever has not gone in time is hung up on.
    pub(super) fn drain(&mut self, now: Now) {
        match self.life {
            Life::Open | Life::Paused { .. } | Life::Over => return,
            Life::Leaving { until_ns, .. } if until_ns <= now.mono_ns => return self.say_goodbye(now),
            Life::Leaving { .. } => return,
            Life::Draining { until_ns } if until_ns <= now.mono_ns => {
                let keys: Vec<Key> = self.connections.slots.keys().collect();
                for key in keys {
                    self.hang_up(key);
                }
                self.life = Life::HungUp {
                    until_ns: after_ms(now, limits::CLOSE_MS),
                };
            }
            Life::HungUp { until_ns } if until_ns <= now.mono_ns => self.life = Life::Over,
            Life::Draining { .. } | Life::HungUp { .. } => {}
        }
        if self.connections.slots.is_empty() {
            self.life = Life::Over;
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(
            self.life,
            Life::Draining { .. } | Life::HungUp { .. } | Life::Over
        )
    }

    /// The client is no subscriber any more, and has so long to part.
    fn part(&mut self, key: Key, now: Now) {
        self.hub.leave(key);
        self.allow_ms(key, limits::CLOSE_MS, now);
        self.stand(key, now);
        self.owe(key);
    }

    /// What the connection is doing, if it is still there.
    pub(super) fn stage(&self, key: Key) -> Option<Stage> {
        self.connections.slots.get(key).map(|connection| connection.stage)
    }
}
