//! What the kernel reported: new connections, sockets with something to read or room to write, the doorbell.

use super::{Life, Shard, after_ms};
use crate::base::{Key, Now};
use crate::connection::{Connection, Stage};
use crate::limits;
use crate::ring::{Completion, Errno, Interest, Ring, Socket};

impl<R: Ring> Shard<R> {
    /// Handles every completion, then receives from everyone who has something to say.
    pub(super) fn dispatch(&mut self, now: Now) {
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            match completion {
                Completion::Accepted { socket } => self.admit(socket, now),
                Completion::AcceptStopped { errno } => self.accept_stopped(errno, now),
                Completion::Ready {
                    key,
                    interest: Interest::Arrivals,
                    readiness,
                } => self.arrived(key, readiness),
                Completion::Ready { key, interest, .. } => self.ready(key, interest),
                Completion::Disarmed { key } => self.disarmed(key),
                Completion::Doorbell => self.obey(now),
            }
        }
        self.completions = completions;
        match &mut self.life {
            Life::Paused { until_ns } if *until_ns <= now.mono_ns => {
                self.life = Life::Open;
                self.ring.accept();
            }
            Life::Leaving { accept_ns, .. } if accept_ns.is_some_and(|at_ns| at_ns <= now.mono_ns) => {
                *accept_ns = None;
                self.ring.accept();
            }
            Life::Open
            | Life::Paused { .. }
            | Life::Leaving { .. }
            | Life::Draining { .. }
            | Life::HungUp { .. }
            | Life::Over => {}
        }
        self.answer(now);
        self.receive(now);
        self.send_errands();
    }

    /// Gives a new connection a slot and a deadline for its handshake. When every slot is taken, those beyond the
    /// limit too, there is nothing left to answer with.
    fn admit(&mut self, socket: Socket, now: Now) {
        if self.is_draining() {
            return self.turn_away(socket);
        }
        self.vacate();
        let connection = Connection::accepted(socket, self.site.message_bytes_max);
        let Ok(key) = self.connections.slots.insert(connection) else {
            return self.turn_away(socket);
        };
        self.census.accepted.add(1);
        self.hub.enter(key, self.site.track);
        self.allow_ms(key, limits::HANDSHAKE_MS, now);
        self.stand(key, now);
        self.watch(key);
    }

    fn turn_away(&mut self, socket: Socket) {
        self.census.refused.add(1);
        self.ring.shutdown(socket);
        self.ring.close(socket);
    }

    /// The kernel is short of descriptors or memory: those connected are served on, and accepting is tried again
    /// in a while. After an overflow of the ring's own queue it is tried again at once.
    pub(super) fn accept_stopped(&mut self, errno: Errno, now: Now) {
        if self.is_draining() {
            return;
        }
        if errno == Errno::OVERFLOW {
            return self.ring.accept();
        }
        tracing::warn!(%errno, "accepting paused");
        let until_ns = after_ms(now, limits::ACCEPT_PAUSE_MS);
        match &mut self.life {
            Life::Leaving { accept_ns, .. } => *accept_ns = Some(until_ns),
            Life::Open | Life::Paused { .. } | Life::Draining { .. } | Life::HungUp { .. } | Life::Over => {
                self.life = Life::Paused { until_ns };
            }
        }
    }

    /// A one-shot poll has fired. A stale key belongs to nobody.
    fn ready(&mut self, key: Key, interest: Interest) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if interest.reads() {
            connection.armed.read = false;
        }
        if interest.writes() {
            connection.armed.write = false;
        }
        if connection.stage == Stage::Down {
            if connection.armed.is_none() {
                self.free(key);
            }
            return;
        }
        if interest.reads() {
            self.hear_soon(key);
        }
        if interest.writes() {
            // Whoever makes room is there: reading what we send counts as a sign of life.
            self.heard(key);
            self.owe(key);
            self.queue_if_behind(key);
        }
    }

    /// Arms the write poll: nothing is sent to the connection until its socket has room.
    pub(super) fn block(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if !connection.armed.write && connection.stage != Stage::Down {
            connection.armed.write = true;
            self.ring.arm(key, connection.socket, Interest::Write);
        }
    }

    /// Notes a sign of life.
    pub(super) fn heard(&mut self, key: Key) {
        if let Some(connection) = self.connections.slots.get_mut(key) {
            connection.unanswered = 0;
        }
    }
}
