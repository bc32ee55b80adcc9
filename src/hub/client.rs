//! A client's place on the tape.
//!
//! A client that has everything up to the hub's cursor is *live*: each new record is routed to it. Any other
//! client is *behind*: it owns a place instead, and [`catch_up`](super::catch_up) serves it from there, at the
//! same cost in memory whether it is one record behind or a hundred thousand.

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
    live: bool,
}

/// Where on the tape a client that is not live stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first position that the scan has not looked at.
    pub(super) cursor: Position,
    /// The hub's cursor when the client's newest subscriptions were made: they want every record from here on,
    /// and of what was before only what the join gives them.
    pub(super) joined_at: Position,
    /// The first position that the join has not served; [`NEVER`] when it has served all.
    pub(super) join_next: Position,
}

impl Client {
    /// New subscriptions want what is before `hub_cursor` as a join.
    pub(super) fn begin_join(&mut self, hub_cursor: Position) {
        if self.live {
            self.live = false;
            self.place.cursor = hub_cursor;
        }
        self.place.joined_at = hub_cursor;
        self.place.join_next = Position::FIRST;
    }
}

impl Default for Client {
    fn default() -> Self {
        NOBODY
    }
}

impl Place {
    /// Whether a join began while the hub stood at `hub_cursor` and nothing of it has been served, so that it can
    /// still take in more subscriptions.
    pub(super) fn is_fresh_join(&self, hub_cursor: Position) -> bool {
        self.join_next == Position::FIRST && self.joined_at == hub_cursor
    }

    fn is_joining(&self) -> bool {
        self.join_next != NEVER || self.cursor < self.joined_at
    }
}

impl Hub {
    /// A client arrives, who reads `track`.
    pub fn enter(&mut self, key: Key, track: Track) {
        *self.client_mut(key) = Client { track, ..NOBODY };
    }

    /// The client `key` could not be given every record: it has all that it wants before `cursor`.
    pub fn fall_behind(&mut self, key: Key, cursor: Position) {
        let client = self.client_mut(key);
        debug_assert!(client.live, "a client falls behind once");
        client.live = false;
        client.place = Place {
            cursor,
            ..NOBODY.place
        };
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
        let cursor = self.cursor;
        let client = self.client_mut(key);
        if !client.live && client.place.join_next == NEVER && client.place.cursor == cursor {
            client.live = true;
            let mine = client.subscriptions;
            self.pool.settle(&mine);
        }
        self.client(key).live
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

    /// Whether the client `key` is still being served a join, so that it cannot begin another.
    #[must_use]
    pub fn is_joining(&self, key: Key) -> bool {
        let client = self.client(key);
        !client.live && !client.place.is_fresh_join(self.cursor) && client.place.is_joining()
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

    /// Which track the client `key` reads, if it is live.
    pub(super) fn live_track(&self, key: Key) -> Option<Track> {
        let client = self.client(key);
        client.live.then_some(client.track)
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
        joined_at: Position::FIRST,
        join_next: NEVER,
    },
    track: Track::new(0),
    live: true,
};

/// Behind every position.
pub(super) const NEVER: Position = Position::new(u64::MAX);
