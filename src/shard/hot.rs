//! How a connection is watched for input: by a poll for each reception, or by one that lasts for as long as it talks.
//!
//! It never receives. Invariant: of whoever is read from, something is to report what comes next, and what a lasting poll
//! has reported and nobody has received waits to be heard.

use super::Shard;
use crate::base::Key;
use crate::connection::{Connection, Pause, Stage};
use crate::limits;
use crate::ring::{Errno, Interest, Readiness, Ring};

/// Who is hot, which is to have a lasting poll.
#[derive(Debug)]
pub(super) struct Hot {
    /// So many receptions between two looks at its pulse make a connection hot.
    receptions: u8,
    /// Lasting polls that the kernel holds.
    polls: usize,
}

impl Hot {
    pub(super) fn new(receptions: u8) -> Self {
        Self { receptions, polls: 0 }
    }

    /// Lasting polls that the kernel holds.
    pub(super) fn polls(&self) -> usize {
        self.polls
    }

    /// Whether the kernel could find and end so many lasting polls among those of so many connections in good time.
    fn bears(polls: usize, connections: usize) -> bool {
        polls.saturating_mul(connections) <= limits::HOT_SEARCH_MAX
    }
}

impl<R: Ring> Shard<R> {
    /// Sees to it that a connection that is to be read from is heard when there is something.
    pub(super) fn watch(&mut self, key: Key) {
        let connections = self.connections.slots.len();
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        if !connection.stage.reads() || connection.pause != Pause::None {
            return;
        }
        if connection.armed.read {
            // What a lasting poll has reported it does not report again.
            if connection.armed.lasting && !connection.drained {
                self.hear_soon(key);
            }
            return;
        }
        connection.receptions = connection.receptions.saturating_add(1);
        connection.armed.read = true;
        if connection.stage == Stage::Open
            && connection.receptions >= self.hot.receptions
            && Hot::bears(self.hot.polls + 1, connections)
        {
            connection.armed.lasting = true;
            connection.drained = true;
            self.hot.polls += 1;
            return self.ring.arm(key, connection.socket, Interest::Arrivals);
        }
        self.ring.arm(key, connection.socket, Interest::Read);
    }

    /// A lasting poll has reported something.
    pub(super) fn arrived(&mut self, key: Key, readiness: Readiness) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        connection.drained = false;
        connection.receptions = connection.receptions.saturating_add(1);
        if connection.stage == Stage::Down {
            return;
        }
        let is_read = connection.pause == Pause::None;
        if readiness.end {
            // Nothing reports that its last bytes have been received, and it has little more to say.
            connection.receptions = 0;
            self.ring.disarm(key);
        }
        // Who is paused is heard when it is woken.
        if is_read {
            self.hear_soon(key);
        }
    }

    /// A lasting poll has ended.
    pub(super) fn disarmed(&mut self, key: Key) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        connection.armed.read = false;
        connection.armed.lasting = false;
        self.hot.polls -= 1;
        if connection.stage == Stage::Down {
            if connection.armed.is_none() {
                self.free(key);
            }
            return;
        }
        self.watch(key);
    }

    /// A connection's pulse is looked at: one that has not talked much since the last time is hot no longer.
    pub(super) fn cool(&mut self, key: Key) {
        let connections = self.connections.slots.len();
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let receptions = std::mem::take(&mut connection.receptions);
        let is_hot = receptions >= self.hot.receptions && Hot::bears(self.hot.polls, connections);
        if connection.armed.lasting && !is_hot {
            self.ring.disarm(key);
        }
    }
}

/// Notes whether a reception, for which there was room for so many bytes, has left nothing behind.
pub(super) fn note_drained(connection: &mut Connection, received: Result<usize, Errno>, room: usize) {
    connection.drained = match received {
        Ok(bytes) => bytes < room,
        Err(errno) => errno == Errno::AGAIN,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_shard_may_be_hot_altogether_and_a_crowd_only_in_part() {
        assert!(Hot::bears(8_000, 8_000));
        assert!(!Hot::bears(8_000, 16_000) && Hot::bears(64, 1_000_000));
        assert!(!Hot::bears(usize::MAX, usize::MAX));
    }
}
