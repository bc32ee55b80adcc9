//! A client's place on the tape.
//!
//! A client that has everything up to the hub's cursor is *live*: each new record is routed to it. Any other
//! client is *behind*: it owns a place instead, and [`catch_up`](super::catch_up) serves it from there, at the
//! same cost in memory whether it is one record behind or a hundred thousand. Those who are not live cost a broadcast
//! nothing: they stand behind those who are, in each list of subscribers.
//!
//! Subscriptions change only where that can be exact. A client subscribes when it is live; the subscription begins
//! a *join*, which puts it behind until it was sent what it wants of the past. It unsubscribes when no join is on.

use super::Hub;
use super::subscription::Subscriptions;
use crate::base::Key;
use crate::tape::{Position, Track};

/// What the hub knows of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) subscriptions: Subscriptions,
    pub(super) place: Place,
    pub(super) track: Track,
    pub(super) live: bool,
}

/// Where on the tape a client that is not live stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The client has everything before this position that it wants, but for what its join still owes it. The scan
    /// goes on here.
    pub(super) cursor: Position,
    /// The first position that the join has not served; [`NEVER`] when no join is on.
    pub(super) join_next: Position,
}

impl Default for Client {
    fn default() -> Self {
        NOBODY
    }
}

impl Hub {
    /// A client arrives, who reads `track`.
    pub fn enter(&mut self, key: Key, track: Track) {
        *self.client_mut(key) = Client { track, ..NOBODY };
        self.fan_out.enter(key.slot());
    }

    /// The client `key` could not be given every record: it has all that it wants before `cursor`. One without
    /// subscriptions wants nothing, so it stays as it is.
    pub fn fall_behind(&mut self, key: Key, cursor: Position) {
        let client = self.client(key);
        debug_assert!(client.live, "a client falls behind once");
        if client.subscriptions.len() > 0 {
            let place = Place {
                cursor,
                ..NOBODY.place
            };
            self.leave_the_living(key, place);
        }
    }

    /// The client's new subscriptions are to be sent what they want of the time up to now.
    pub(super) fn begin_join(&mut self, key: Key) {
        let place = Place {
            cursor: self.observed,
            join_next: Position::FIRST,
        };
        self.leave_the_living(key, place);
    }

    /// The send of the last slice was cut short within the join: all of the join before `next` went out, and of
    /// the scan nothing that came after `before`.
    pub fn resume_join(&mut self, key: Key, before: Place, next: Position) {
        self.client_mut(key).place = Place {
            join_next: next,
            ..before
        };
    }

    /// The send of the last slice was cut short within the scan, which went out up to `cursor`.
    pub fn resume_scan(&mut self, key: Key, cursor: Position) {
        let place = &mut self.client_mut(key).place;
        debug_assert!(place.join_next == NEVER && cursor <= place.cursor);
        place.cursor = cursor;
    }

    /// Makes the client `key` live if it has everything up to the hub's cursor, and says whether it is live now.
    pub fn go_live(&mut self, key: Key) -> bool {
        let Client { live, place, .. } = *self.client(key);
        let has_everything = place.join_next == NEVER && place.cursor == self.cursor;
        if !live && has_everything {
            self.set_live(key, true);
        }
        live || has_everything
    }

    /// Whether the client `key` may subscribe now: it has everything up to now that it wants, or its join has begun in this
    /// very turn and takes in more.
    #[must_use]
    pub fn may_subscribe(&self, key: Key) -> bool {
        let Client {
            live,
            place,
            subscriptions: mine,
            ..
        } = self.client(key);
        if *live {
            let wants_nothing = mine.len() == 0 || self.cursor == self.observed;
            return wants_nothing && !self.fan_out.is_pending(key);
        }
        place.join_next == Position::FIRST && place.cursor == self.observed
    }

    /// Whether the client `key` may unsubscribe now: no join is on, which could owe it what it unsubscribes from.
    #[must_use]
    pub fn may_unsubscribe(&self, key: Key) -> bool {
        let Client { live, place, .. } = self.client(key);
        *live || place.join_next == NEVER
    }

    /// Where the client `key` stands, which means something only while it is not live.
    #[must_use]
    pub fn place(&self, key: Key) -> Place {
        self.client(key).place
    }

    /// Whether new records are routed to the client `key`.
    #[must_use]
    pub fn is_live(&self, key: Key) -> bool {
        self.client(key).live
    }

    /// Which track the client `key` reads.
    #[must_use]
    pub fn track(&self, key: Key) -> Track {
        self.client(key).track
    }

    /// How many subscriptions the client `key` has.
    #[must_use]
    pub fn subscription_count(&self, key: Key) -> u32 {
        self.client(key).subscriptions.len()
    }

    /// From now on the client has its own place.
    fn leave_the_living(&mut self, key: Key, place: Place) {
        if self.client(key).live {
            self.set_live(key, false);
        }
        self.client_mut(key).place = place;
    }

    /// Moves the client within the lists of all that it has subscribed to.
    fn set_live(&mut self, key: Key, live: bool) {
        let client = self.client_mut(key);
        client.live = live;
        let mine = client.subscriptions;
        let mut at = None;
        while let Some((index, subscription)) = self.pool.step(&mine, at) {
            let topic = self.topic_mut(subscription.topic());
            let (place, moved) = topic.set_live(subscription.place(), live);
            if let Some(moved) = moved {
                self.pool.relocate(moved.subscription, moved.place);
            }
            self.pool.relocate(index, place);
            at = Some(index);
        }
    }

    pub(super) fn client(&self, key: Key) -> &Client {
        self.clients.get(key.slot() as usize).unwrap_or(&NOBODY)
    }

    pub(super) fn client_mut(&mut self, key: Key) -> &mut Client {
        let slot = key.slot() as usize;
        if slot >= self.clients.len() {
            self.clients.resize(slot + 1, NOBODY);
        }
        &mut self.clients[slot]
    }
}

const NOBODY: Client = Client {
    subscriptions: Subscriptions::NONE,
    place: Place {
        cursor: Position::FIRST,
        join_next: NEVER,
    },
    track: Track::new(0),
    live: true,
};

/// Behind every position.
pub(super) const NEVER: Position = Position::new(u64::MAX);
