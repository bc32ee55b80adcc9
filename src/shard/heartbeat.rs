//! Visits to an open connection: it is pinged, and a subscriber to whom nothing was sent since the last look is sent a
//! heartbeat, which names the newest numbers of its channels.
//!
//! Both share the one timer that a connection has, which is set to whichever comes first; neither puts the other off. A
//! ping is a matter of the connection and a heartbeat one of its stream, so neither counts as the other.
//!
//! Sending notes nothing for this. What is asked is whether something was sent since the last look, so that a silence is
//! noticed between one and two intervals after its beginning, and after each interval while it lasts.
//!
//! Invariant: when a heartbeat is written, its client has been sent every message of the channels that it names, up to the
//! numbers that it says.

use super::Shard;
use crate::base::{Key, Now};
use crate::connection::{Stage, Visits};
use crate::dialect::native_json::write_heartbeat;
use crate::hub::{Hub, Subscribed};
use crate::ring::Ring;

impl<R: Ring> Shard<R> {
    /// An open connection is visited from now on.
    pub(super) fn visit(&mut self, key: Key, now: Now) {
        let visits = Visits {
            ping_ms: after(now, self.site.ping_interval_ms),
            look_ms: after(now, self.site.heartbeat_ms.unwrap_or(0)),
        };
        if let Some(connection) = self.connections.slots.get_mut(key) {
            connection.visits = visits;
            // It has been greeted, and the first interval begins with that.
            connection.told = false;
        }
        self.await_visit(key, now);
    }

    /// The connection is pinged again when the interval is over.
    pub(super) fn pinged(&mut self, key: Key, now: Now) {
        if let Some(connection) = self.connections.slots.get_mut(key) {
            connection.visits.ping_ms = after(now, self.site.ping_interval_ms);
        }
        self.await_visit(key, now);
    }

    /// The connection's timer has expired. Says whether that was for something else than a look, which is over then: a ping,
    /// or what a connection that is not open is waited for.
    pub(super) fn is_due(&mut self, key: Key, now: Now) -> bool {
        let Some(heartbeat_ms) = self.site.heartbeat_ms else {
            return true;
        };
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return false;
        };
        if connection.stage != Stage::Open {
            return true;
        }
        let Visits { ping_ms, look_ms } = connection.visits;
        if is_past(ping_ms, now) {
            // It is looked at by itself, a moment later: behind a heartbeat a ping would not count as sent.
            return true;
        }
        if is_past(look_ms, now) {
            connection.visits.look_ms = after(now, heartbeat_ms);
            self.look(key, now);
        }
        self.await_visit(key, now);
        false
    }

    /// Sets the timer to the next visit.
    fn await_visit(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        let Visits { ping_ms, look_ms } = connection.visits;
        let ping = until(ping_ms, now);
        let next = self
            .site
            .heartbeat_ms
            .map_or(ping, |_| ping.min(until(look_ms, now)));
        self.allow_ms(key, next, now);
    }

    /// Sends a heartbeat to a subscriber who has been sent nothing since the last look and has everything. Whoever is
    /// behind or blocked is not idle: what it is to be sent next is on its way.
    fn look(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let was_told = std::mem::take(&mut connection.told);
        let was_sent = self.hub.fan_out_mut().take_sent(key);
        if was_told
            || was_sent
            || connection.is_blocked()
            || !connection.outbox.is_empty()
            || self.hub.subscription_count(key) == 0
            || !self.hub.is_live(key)
            || is_about_to_hear(&self.hub, key)
        {
            return;
        }
        self.site.frame.clear();
        let last = newest(&self.hub, key);
        self.site.notice(|text| write_heartbeat(text, now.wall_ns, last));
        let outboxes = &mut self.connections.outboxes;
        // Where there is no memory for it, another one comes.
        if outboxes.append(&mut connection.outbox, &self.site.frame).is_ok() {
            self.owe(key);
        }
    }
}

/// Whether a channel of the client has a message that has not been routed yet. Then the silence is ours.
fn is_about_to_hear(hub: &Hub, key: Key) -> bool {
    hub.subscriptions(key).any(|(_, subscribed)| match subscribed {
        Subscribed::Channel(id) => {
            let newest = hub.channel(id).newest();
            !newest.is_none() && newest >= hub.cursor()
        }
        Subscribed::Pattern { .. } => false,
    })
}

/// The channels that the client has subscribed to by name, newest subscription first, with their newest numbers.
fn newest(hub: &Hub, key: Key) -> impl Iterator<Item = (&str, u64)> {
    hub.subscriptions(key)
        .filter_map(|(_, subscribed)| match subscribed {
            Subscribed::Channel(id) => {
                let channel = hub.channel(id);
                Some((channel.name(), channel.seq()))
            }
            Subscribed::Pattern { .. } => None,
        })
}

/// So many milliseconds from now, as [`Visits`] keeps it.
fn after(now: Now, ms: u64) -> u32 {
    u32::try_from((now.mono_ms() + ms) & u64::from(u32::MAX)).unwrap_or(0)
}

/// Whether the time has come.
fn is_past(at_ms: u32, now: Now) -> bool {
    after(now, 0).wrapping_sub(at_ms) < 1 << 31
}

/// Milliseconds until then, or none.
fn until(at_ms: u32, now: Now) -> u64 {
    if is_past(at_ms, now) {
        return 0;
    }
    at_ms.wrapping_sub(after(now, 0)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::now::NS_PER_MS;

    #[test]
    fn a_visit_is_as_far_away_as_it_was_set_to_also_where_the_clock_wraps() {
        for start_ms in [0, u64::from(u32::MAX) - 500, u64::from(u32::MAX), 1 << 40] {
            let at = |ms: u64| Now {
                mono_ns: (start_ms + ms) * NS_PER_MS,
                wall_ns: 0,
            };
            let visit = after(at(0), 1000);
            assert_eq!(
                [0, 999, 1000, 1001, 3_600_000].map(|ms| (is_past(visit, at(ms)), until(visit, at(ms)))),
                [(false, 1000), (false, 1), (true, 0), (true, 0), (true, 0)]
            );
        }
    }
}
