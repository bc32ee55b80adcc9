//! What a client that is behind gives up, and what it is told about that.
//!
//! Everything is told in the client's own stream, behind what it was sent and before what it is sent next, so that it
//! knows at each message what it has and what it misses.

use super::Shard;
use super::catch_up::CatchUp;
use super::converse::close_code;
use crate::base::now::NS_PER_MS;
use crate::base::{Key, Now};
use crate::dialect::Code;
use crate::dialect::native_json::{GapCause, write_gap, write_live, write_warning};
use crate::hub::{Channel, Hub, Lapsed, Late, Policy};
use crate::limits::GAPS_MAX;
use crate::ring::Ring;
use crate::tape::Position;

impl<R: Ring> Shard<R> {
    /// The next message for the client is older than its channel's terms allow. It goes on in its turn, if it does.
    pub(super) fn late(&mut self, key: Key, late: Late, now: Now) {
        let channel = self.hub.channel(late.channel);
        match channel.policy() {
            Policy::Conflate => {
                self.census.conflated.add(1);
                self.hub.conflate(key);
                self.warn(key, late.since_ns, now);
            }
            // It is sent everything as long as there is something.
            Policy::Gap => self.warn(key, late.since_ns, now),
            Policy::Disconnect => {
                let reason = too_far_behind(channel);
                self.dispose(key, &reason, now);
            }
        }
    }

    /// The client is told that it is behind, once until it is live again. It goes on in its turn, when it has
    /// been told.
    pub(super) fn warn(&mut self, key: Key, since_ns: u64, now: Now) {
        if self.hub.warn(key) {
            self.site.frame.clear();
            self.site.notice(|text| {
                write_warning(text, behind_ms(since_ns, now));
            });
            self.tell(key, now);
        }
        self.queue(key);
    }

    /// The writer is about to overwrite what is before `tail`: who still wants some of it gives it up, and is told what.
    pub(super) fn lapse(&mut self, tail: Position, now: Now) {
        let CatchUp { lapse, wanted, .. } = &mut self.catch_up;
        self.hub.find_lapsing(tail, self.connections.slots.keys(), lapse);
        if lapse.is_empty() {
            return;
        }
        let (site, connections) = (&mut self.site, &mut self.connections);
        let mut untold = Vec::new();
        let mut told = Vec::new();
        let mut disposed = Vec::new();
        self.hub.lapse(&self.tape, lapse, wanted, |hub, lapsed| {
            if let Some(reason) = closing(hub, lapsed) {
                disposed.push((lapsed.key, reason));
                return;
            }
            site.frame.clear();
            if lapsed.is_news {
                site.notice(|text| write_warning(text, behind_ms(lapsed.since_ns, now)));
            }
            for gap in lapsed.gaps.iter().take(GAPS_MAX) {
                let name = hub.channel(gap.channel).name();
                site.notice(|text| {
                    write_gap(text, name, gap.from, gap.to, GapCause::Slow);
                });
            }
            let Some(connection) = connections.slots.get_mut(lapsed.key) else {
                return;
            };
            connection.told = true;
            let is_owed = connections
                .outboxes
                .append(&mut connection.outbox, &site.frame)
                .is_ok();
            if is_owed && lapsed.gaps.len() <= GAPS_MAX {
                told.push(lapsed.key);
            } else {
                untold.push(lapsed.key);
            }
        });
        self.census.lapsed.add((told.len() + untold.len()) as u64);
        for key in told {
            self.owe(key);
            self.note_debt(key);
        }
        for key in untold {
            self.lose(key, now);
        }
        for (key, reason) in disposed {
            self.dispose(key, &reason, now);
        }
    }

    /// The client is told of each replay that is over, if one is.
    pub(super) fn end_replays(&mut self, key: Key, now: Now) -> bool {
        let site = &mut self.site;
        site.frame.clear();
        self.hub.end_replays(key, &self.tape, |channel, seq| {
            site.notice(|text| write_live(text, channel, seq));
        });
        let is_any = !self.site.frame.is_empty();
        if is_any {
            self.tell(key, now);
        }
        is_any
    }

    /// What stands in the scratch is what the client is told next. Whoever cannot be told it is closed.
    fn tell(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        connection.told = true;
        let outboxes = &mut self.connections.outboxes;
        if outboxes.append(&mut connection.outbox, &self.site.frame).is_err() {
            return self.lose(key, now);
        }
        self.owe(key);
        self.note_debt(key);
    }

    /// There is no room for what the client must be told.
    fn lose(&mut self, key: Key, now: Now) {
        self.dispose(key, "slow consumer: it misses more than it could be told", now);
    }

    /// The client is closed because it is behind.
    fn dispose(&mut self, key: Key, reason: &str, now: Now) {
        self.census.lost.add(1);
        self.close(key, close_code(Code::SlowConsumer), reason, now);
    }
}

/// Why a client is closed that gives this up, if it is.
fn closing(hub: &Hub, lapsed: &Lapsed<'_>) -> Option<String> {
    let missing = lapsed.gaps.iter().map(|gap| gap.channel).chain(lapsed.closing);
    let mut channels = missing.map(|id| hub.channel(id));
    channels
        .find(|channel| channel.policy() == Policy::Disconnect)
        .map(too_far_behind)
}

/// Why a client is closed that may not be so far behind on a channel.
fn too_far_behind(channel: &Channel) -> String {
    format!("slow consumer: too far behind on {}", channel.name())
}

/// How long ago something was published, in milliseconds.
fn behind_ms(since_ns: u64, now: Now) -> u64 {
    now.wall_ns.saturating_sub(since_ns) / NS_PER_MS
}
