//! The channels and subscriptions of one shard: who gets this record, and what a client that joins or fell
//! behind still has to get.
//!
//! It never touches a socket or a connection: it knows clients as [`Key`]s and answers with keys and tape
//! positions. What it knows of a channel is always a function of the records between the tape's tail and
//! [`Hub::cursor`], so a shard that was lapped rebuilds it by reading the tape again.
//!
//! - `topic`: the dense list of everyone subscribed to one thing;
//! - `subscription`: the 16 bytes that tie one client to one topic;
//! - `client`: a client's place on the tape;
//! - `catch_up`: which records a client that is not live still wants, in tape order.

mod catch_up;
mod channel;
mod client;
mod range;
mod selector;
mod subscription;
mod topic;

pub use catch_up::{Lost, Wanted};
pub use channel::Channel;
pub use client::Place;
pub use range::Range;
pub use selector::Selector;
pub use subscription::{SubscribeError, UnsubscribeError};

use std::collections::HashMap;

use crate::base::Key;
use crate::limits;
use crate::tape::{ChannelId, Position, Reader, Record, Track};
use client::Client;
use subscription::Pool;
use topic::{Topic, TopicId};

/// Everything one shard knows of channels and of who subscribed to them.
#[derive(Debug)]
pub struct Hub {
    channels: Vec<Channel>,
    ids: HashMap<Box<str>, ChannelId>,
    kinds: Vec<Kind>,
    kind_ids: HashMap<Box<str>, u32>,
    all: Topic,
    clients: Vec<Client>,
    pool: Pool,
    subscribers: u32,
    cursor: Position,
}

/// What stands before the colon of a channel's name, and who wants everything of it.
#[derive(Debug)]
struct Kind {
    name: Box<str>,
    topic: Topic,
    channels: u32,
}

impl Hub {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize = size_of::<Client>();
    /// Bytes that a subscription costs at its client's end.
    pub const BYTES_PER_SUBSCRIPTION: usize = Pool::BYTES_PER_SUBSCRIPTION;
    /// Bytes that a subscription costs at its topic's end.
    pub const TOPIC_BYTES_PER_SUBSCRIPTION: usize = Topic::BYTES_PER_SUBSCRIPTION;

    /// A hub for clients in `slots` slots with at most `subscriptions_max` subscriptions in all, which knows
    /// `kinds` beforehand, so that a client may subscribe to `trade:*` before the first trade.
    #[must_use]
    pub fn new(kinds: &[&str], slots: usize, subscriptions_max: usize) -> Self {
        let mut hub = Self {
            channels: Vec::new(),
            ids: HashMap::new(),
            kinds: Vec::new(),
            kind_ids: HashMap::new(),
            all: Topic::default(),
            clients: Vec::with_capacity(slots),
            pool: Pool::with_capacity(subscriptions_max),
            subscribers: 0,
            cursor: Position::FIRST,
        };
        for kind in kinds {
            hub.kind_id(kind);
        }
        hub
    }

    /// Takes note of channels that the writer has opened since the last call.
    pub fn learn(&mut self, tape: &Reader) {
        for number in self.channel_count()..tape.channels() {
            let id = ChannelId::new(number);
            let info = tape.channel(id);
            let kind_name = info.name.split_once(':').map_or(info.name, |(kind, _)| kind);
            let kind = self.kind_id(kind_name);
            self.kinds[kind as usize].channels += 1;
            self.ids.insert(info.name.into(), id);
            self.channels.push(Channel::new(info.name, info.class, kind));
        }
    }

    /// Takes note of the record at `position`, the next one after [`cursor`](Self::cursor).
    pub fn observe(&mut self, position: Position, record: &Record) {
        debug_assert!(position >= self.cursor, "records are observed in tape order");
        self.channels[record.channel.index()].observe(position, record);
        self.cursor = position.next();
    }

    /// Forgets everything before `tail`, for the tape has: what follows is read again from there.
    pub fn rewind(&mut self, tail: Position) {
        self.cursor = tail;
    }

    /// Subscribes the client `key` to `selector`, and begins its join: what it is to get of the past comes with
    /// [`catch_up`](Self::catch_up). Ask [`may_subscribe`](Self::may_subscribe) first. Subscribing again to the same
    /// thing changes nothing.
    ///
    /// # Errors
    /// When there is no such channel or kind, or the client has too many subscriptions, or the shard has.
    pub fn subscribe(&mut self, key: Key, selector: Selector<'_>) -> Result<Subscribed, SubscribeError> {
        let id = self.topic_id(selector).ok_or(SubscribeError::Unknown)?;
        let mut mine = self.client(key).subscriptions;
        if self.pool.find(&mine, id).is_none() {
            if mine.len() >= limits::SUBSCRIPTIONS_PER_CONNECTION_MAX {
                return Err(SubscribeError::TooMany);
            }
            let (place, cursor) = (self.topic(id).next_place(), self.cursor);
            debug_assert!(
                self.may_subscribe(key),
                "a join begins when the client has everything"
            );
            if self.is_live(key) {
                self.pool.settle(&mine);
            }
            let subscription = self
                .pool
                .push(&mut mine, id, place)
                .ok_or(SubscribeError::Overloaded)?;
            self.topic_mut(id).push(key, subscription);
            self.subscribers += u32::from(mine.len() == 1);
            let client = self.client_mut(key);
            client.subscriptions = mine;
            client.begin_join(cursor);
        }
        Ok(self.subscribed(id))
    }

    /// Ends the subscription of the client `key` to `selector`. Ask [`may_unsubscribe`](Self::may_unsubscribe) first.
    ///
    /// # Errors
    /// When the client has no such subscription.
    pub fn unsubscribe(&mut self, key: Key, selector: Selector<'_>) -> Result<(), UnsubscribeError> {
        let id = self.topic_id(selector).ok_or(UnsubscribeError::NotSubscribed)?;
        debug_assert!(
            self.may_unsubscribe(key),
            "nothing is owed of what is unsubscribed"
        );
        let mut mine = self.client(key).subscriptions;
        let place = self
            .pool
            .remove(&mut mine, id)
            .ok_or(UnsubscribeError::NotSubscribed)?;
        self.client_mut(key).subscriptions = mine;
        self.subscribers -= u32::from(mine.len() == 0);
        self.vacate(id, place);
        Ok(())
    }

    /// Ends every subscription of the client `key`, which leaves.
    pub fn leave(&mut self, key: Key) {
        let mut mine = self.client(key).subscriptions;
        self.subscribers -= u32::from(mine.len() > 0);
        while let Some((id, place)) = self.pool.pop(&mut mine) {
            self.vacate(id, place);
        }
        *self.client_mut(key) = Client::default();
    }

    /// Everyone who is live and is to get `record`, and the track they read: subscribers of its channel, of its
    /// kind, of everything. A client with overlapping subscriptions appears more than once.
    pub fn route(&self, record: &Record) -> impl Iterator<Item = (Key, Track)> + '_ {
        let channel = &self.channels[record.channel.index()];
        let kind = &self.kinds[channel.kind() as usize];
        let keys = channel
            .topic()
            .keys()
            .chain(kind.topic.keys())
            .chain(self.all.keys());
        keys.filter_map(|key| self.live_track(key).map(|track| (key, track)))
    }

    /// What the client `key` has subscribed to, newest first.
    pub fn subscriptions(&self, key: Key) -> impl Iterator<Item = (Selector<'_>, Subscribed)> + '_ {
        let topics = self
            .pool
            .iter(&self.client(key).subscriptions)
            .map(|subscription| subscription.topic());
        topics.map(|id| (self.selector(id), self.subscribed(id)))
    }

    /// The first position not observed yet.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.cursor
    }

    /// What is known of a channel.
    #[must_use]
    pub fn channel(&self, id: ChannelId) -> &Channel {
        &self.channels[id.index()]
    }

    /// How many clients have a subscription.
    #[must_use]
    pub fn subscribers(&self) -> u32 {
        self.subscribers
    }

    /// How many subscriptions there are.
    #[must_use]
    pub fn subscriptions_in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// Checks that both ends of every subscription agree. For tests: it walks everything.
    ///
    /// # Panics
    /// When they do not.
    pub fn invariants(&self, keys: impl Iterator<Item = Key>) {
        let mut ends = 0;
        for key in keys {
            let mine = self.client(key).subscriptions;
            let mut count = 0;
            for subscription in self.pool.iter(&mine) {
                assert_eq!(
                    self.topic(subscription.topic()).key_at(subscription.place()),
                    Some(key)
                );
                count += 1;
            }
            assert_eq!(count, mine.len(), "a client counts its subscriptions");
            ends += count as usize;
        }
        let topics = self
            .channels
            .iter()
            .map(|channel| channel.topic().len())
            .sum::<usize>()
            + self.kinds.iter().map(|kind| kind.topic.len()).sum::<usize>()
            + self.all.len();
        assert_eq!(
            (ends, topics),
            (self.pool.in_use(), self.pool.in_use()),
            "each subscription has two ends"
        );
    }

    fn channel_count(&self) -> u32 {
        u32::try_from(self.channels.len()).unwrap_or(u32::MAX)
    }

    fn subscribed(&self, id: TopicId) -> Subscribed {
        match id {
            TopicId::Channel(channel) => Subscribed::Channel(channel),
            TopicId::Kind(kind) => Subscribed::Pattern {
                channels: self.kinds[kind as usize].channels,
            },
            TopicId::All => Subscribed::Pattern {
                channels: self.channel_count(),
            },
        }
    }

    /// Takes the subscriber at `place` out of its topic. The topic's last subscriber moves into the gap, so that
    /// subscriber's own entry is told its new place.
    fn vacate(&mut self, id: TopicId, place: u32) {
        if let Some(moved) = self.topic_mut(id).swap_remove(place) {
            self.pool.relocate(moved, place);
        }
    }

    fn kind_id(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.kind_ids.get(name) {
            return id;
        }
        let id = u32::try_from(self.kinds.len()).unwrap_or(u32::MAX);
        self.kinds.push(Kind {
            name: name.into(),
            topic: Topic::default(),
            channels: 0,
        });
        self.kind_ids.insert(name.into(), id);
        id
    }

    fn topic_id(&self, selector: Selector<'_>) -> Option<TopicId> {
        match selector {
            Selector::All => Some(TopicId::All),
            Selector::Kind(kind) => self.kind_ids.get(kind).copied().map(TopicId::Kind),
            Selector::Channel(name) => self.ids.get(name).copied().map(TopicId::Channel),
        }
    }

    fn selector(&self, id: TopicId) -> Selector<'_> {
        match id {
            TopicId::All => Selector::All,
            TopicId::Kind(kind) => Selector::Kind(&self.kinds[kind as usize].name),
            TopicId::Channel(channel) => Selector::Channel(self.channels[channel.index()].name()),
        }
    }

    fn topic(&self, id: TopicId) -> &Topic {
        match id {
            TopicId::All => &self.all,
            TopicId::Kind(kind) => &self.kinds[kind as usize].topic,
            TopicId::Channel(channel) => self.channels[channel.index()].topic(),
        }
    }

    fn topic_mut(&mut self, id: TopicId) -> &mut Topic {
        match id {
            TopicId::All => &mut self.all,
            TopicId::Kind(kind) => &mut self.kinds[kind as usize].topic,
            TopicId::Channel(channel) => self.channels[channel.index()].topic_mut(),
        }
    }
}

/// What a client has subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// One channel.
    Channel(ChannelId),
    /// Every channel that a pattern matches, now and later.
    Pattern {
        /// How many it matches now.
        channels: u32,
    },
}

#[cfg(test)]
#[cfg(not(any(tickwire_loom, miri)))]
mod tests;
