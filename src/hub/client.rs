//! A client's place on the tape.
//!
//! A client that has everything up to the hub's cursor is *live*: each new record is routed to it. Any other
//! client is *behind*: it owns a place instead, and [`catch_up`](super::catch_up) serves it from there, at the
//! same cost in memory whether it is one record behind or a hundred thousand. Those who are not live cost a broadcast
//! nothing: they stand behind those who are, in each list of subscribers.
//!
//! Subscriptions change only where that can be exact. A client subscribes when it is live; the subscription begins
//! a *join*, which puts it behind until it was sent what it wants of the past. It unsubscribes when no join is on. A client
//! that is far behind joins anew, with all that it has subscribed to: so it skips what is out of date by then.

use super::Hub;
use super::subscription::{Mode, Subscriptions};
use crate::base::Key;
use crate::tape::{Position, Reader, Track};

/// What the hub knows of one client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    pub(super) subscriptions: Subscriptions,
    pub(super) place: Place,
    pub(super) track: Track,
    pub(super) live: bool,
    /// Whether its join has begun and nothing has been done about it.
    pub(super) fresh: bool,
    /// Whether what it wants is bounded by the wishes of its subscriptions, beside its place.
    pub(super) bounded: bool,
    /// Whether it has been told that it is behind, since it was live last.
    pub(super) warned: bool,
    /// Whether a subscription of its is to be told of when it has been sent what was there before.
    pub(super) replaying: bool,
}

/// Where on the tape a client that is not live stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The client has everything before this position that it wants.
    pub(super) at: Position,
    /// Up to, not including, this position joining subscriptions want of a channel with an image no more than it takes to
    /// know its state. [`Position::NONE`] when no join is on.
    pub(super) end: Position,
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
                at: cursor,
                end: Position::NONE,
            };
            self.leave_the_living(key, place, false);
            self.oldest = self.oldest.min(cursor);
        }
    }

    /// The client's new subscriptions are to be sent what they want of the time up to now.
    pub(super) fn begin_join(&mut self, key: Key) {
        let place = Place {
            at: Position::FIRST,
            end: self.observed,
        };
        self.leave_the_living(key, place, true);
        self.client_mut(key).fresh = true;
        self.oldest = self.oldest.min(self.cursor);
    }

    /// The send of the last slice, before which the client stood at `before`, was cut short: all of it before `next` went
    /// out.
    pub fn step_back(&mut self, key: Key, before: Place, next: Position) {
        debug_assert!(before.at <= next && next <= self.client(key).place.at.max(before.end));
        self.client_mut(key).place = Place {
            at: next,
            end: before.end,
        };
    }

    /// Makes the client `key` live if it has everything up to the hub's cursor, and says whether it is live now.
    pub fn go_live(&mut self, key: Key) -> bool {
        let Client { live, place, .. } = *self.client(key);
        let has_everything = place.end.is_none() && place.at == self.cursor;
        if !live && has_everything {
            self.set_live(key, true);
            self.client_mut(key).warned = false;
        }
        live || has_everything
    }

    /// The client `key`, which is behind, skips what is out of date: of each channel that clients skip on it wants from now
    /// on no more than it takes to know the present state. Of the others it wants all.
    pub fn conflate(&mut self, key: Key) {
        let at = self.client(key).place.at;
        self.join_anew(key, at, Mode::Skip);
    }

    /// The client `key` wants nothing before `floor` of channels of which it wants every message, and of the others their
    /// state.
    pub(super) fn join_anew(&mut self, key: Key, floor: Position, mode: Mode) {
        let Client {
            subscriptions: mine,
            bounded,
            ..
        } = *self.client(key);
        let newest = self.observed;
        self.pool.wish(&mine, |wish| {
            let before = if bounded {
                wish.floor(newest)
            } else {
                Position::NONE
            };
            wish.anew(before.max(floor), mode)
        });
        let client = self.client_mut(key);
        client.fresh = false;
        client.place.end = newest;
        client.bounded = true;
    }

    /// Where the client `key`, which is not live and in no join, stands on the tape, unless it has everything.
    pub(super) fn place_behind(&self, key: Key, tape: &Reader) -> Option<Position> {
        let Client { live, place, .. } = *self.client(key);
        let at = place.at.max(tape.tail());
        (!live && place.end.is_none() && at < self.observed).then_some(at)
    }

    /// Whether the client `key` has not been told yet that it is behind; it will be now.
    pub fn warn(&mut self, key: Key) -> bool {
        !std::mem::replace(&mut self.client_mut(key).warned, true)
    }

    /// Whether the client `key` may subscribe now: it is live and has been sent its share of the round, or its join has begun
    /// in this very turn and takes in more.
    #[must_use]
    pub fn may_subscribe(&self, key: Key) -> bool {
        let Client {
            live, place, fresh, ..
        } = self.client(key);
        if *live {
            return !self.fan_out.is_pending(key);
        }
        *fresh && place.end == self.observed
    }

    /// Whether the client `key` may ask for states once more now: it has everything, and the state that it joined with.
    #[must_use]
    pub fn may_snap(&self, key: Key) -> bool {
        self.is_live(key) && !self.fan_out.is_pending(key)
    }

    /// Whether the client `key` may unsubscribe now: no join is on, which could owe it what it unsubscribes from.
    #[must_use]
    pub fn may_unsubscribe(&self, key: Key) -> bool {
        let Client { live, place, .. } = self.client(key);
        *live || place.end.is_none()
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
    fn leave_the_living(&mut self, key: Key, place: Place, bounded: bool) {
        if self.client(key).live {
            self.set_live(key, false);
        }
        let client = self.client_mut(key);
        client.place = place;
        client.bounded = bounded;
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
        at: Position::FIRST,
        end: Position::NONE,
    },
    track: Track::new(0),
    live: true,
    fresh: false,
    bounded: false,
    warned: false,
    replaying: false,
};

const _: () = assert!(size_of::<Client>() <= 32);
