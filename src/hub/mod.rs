//! The channels and subscriptions of one shard: who gets this record, and what a client that joins or fell
//! behind still has to get.
//!
//! It never touches a socket or a connection: it knows clients as [`Key`]s and answers with keys and tape
//! positions. What it knows of a channel is always a function of the records on the tape as of the last pin, so a shard
//! that was lapped rebuilds it by reading the tape again. What it has routed, up to [`Hub::cursor`], may be less.
//!
//! - `fan_out`: what each live client is sent of the newest records;
//! - `topic`: the dense list of everyone subscribed to one thing;
//! - `subscription`: the 16 bytes that tie one client to one topic;
//! - `client`: a client's place on the tape;
//! - `terms`: on which terms clients may be behind;
//! - `catch_up`: which records a client that is not live still wants, in tape order;
//! - `resume`: what a client misses that comes back;
//! - `lapse`: who has not been sent what the tape is about to let go of.

mod catch_up;
mod channel;
mod client;
mod fan_out;
mod lapse;
mod range;
mod resume;
mod selector;
mod subscription;
mod terms;
mod topic;

pub use catch_up::{Caught, Fallen, Late, Wanted};
pub use channel::Channel;
pub use client::Place;
pub use fan_out::{FanOut, Parcel};
pub use lapse::{Gap, Lapse, Lapsed};
pub use range::Range;
pub use resume::{ResumeError, Resumed};
pub use selector::Selector;
pub use subscription::{SnapError, SubscribeError, UnsubscribeError};
pub use terms::{Policy, Slack, Terms};

use std::collections::HashMap;

use crate::base::Key;
use crate::limits;
use crate::tape::{ChannelId, Class, Position, Reader};
use client::Client;
use fan_out::{RUN_RECORDS, ReaderOf};
use subscription::{Pool, Wish};
use terms::TermsTable;
use topic::{Subscriber, Topic, TopicId};

/// Everything one shard knows of channels and of who subscribed to them.
#[derive(Debug)]
pub struct Hub {
    channels: Vec<Channel>,
    ids: HashMap<Box<str>, ChannelId>,
    kinds: Vec<Kind>,
    kind_ids: HashMap<Box<str>, u32>,
    all: Topic,
    /// How many channels no pattern means.
    unlisted: u32,
    clients: Vec<Client>,
    pool: Pool,
    fan_out: FanOut,
    terms: TermsTable,
    /// Channels with an image on which nobody may be behind.
    strict: Vec<ChannelId>,
    subscribers: u32,
    cursor: Position,
    observed: Position,
    /// Nobody who is behind wants what was before it.
    oldest: Position,
}

/// What stands before the colon of a channel's name, and who wants everything of it.
#[derive(Debug)]
struct Kind {
    name: Box<str>,
    topic: Topic,
    channels: u32,
}

impl Kind {
    /// That of all channels that no pattern means. It has no name by which anybody could ask for it.
    fn unlisted() -> Self {
        Self {
            name: Box::default(),
            topic: Topic::default(),
            channels: 0,
        }
    }
}

/// The number of that kind.
const UNLISTED: u32 = 0;

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
            kinds: vec![Kind::unlisted()],
            kind_ids: HashMap::new(),
            all: Topic::default(),
            unlisted: 0,
            clients: Vec::with_capacity(slots),
            pool: Pool::with_capacity(subscriptions_max),
            fan_out: FanOut::with_capacity(slots),
            terms: TermsTable::new(&[]),
            strict: Vec::new(),
            subscribers: 0,
            cursor: Position::FIRST,
            observed: Position::FIRST,
            oldest: Position::FIRST,
        };
        for kind in kinds {
            hub.kind_id(kind);
        }
        hub
    }

    /// The same where clients may be behind on these terms: those of the number that a channel has on the tape, or the first.
    #[must_use]
    pub fn on_terms(self, terms: &[Terms]) -> Self {
        Self {
            terms: TermsTable::new(terms),
            ..self
        }
    }

    /// Takes note of channels that the writer has opened since the last call.
    fn learn(&mut self, tape: &Reader) {
        for number in self.channel_count()..tape.channels() {
            let id = ChannelId::new(number);
            let info = tape.channel(id);
            let kind = if info.is_listed {
                let kind_name = info.name.split_once(':').map_or(info.name, |(kind, _)| kind);
                self.kind_id(kind_name)
            } else {
                self.unlisted += 1;
                UNLISTED
            };
            self.kinds[kind as usize].channels += 1;
            self.ids.insert(info.name.into(), id);
            let terms = self.terms.look_up(info.terms, info.class);
            let channel = Channel::new(info.name, info.class, kind, terms);
            if channel.class() != Class::Append && channel.policy() == Policy::Disconnect {
                self.strict.push(id);
            }
            self.channels.push(channel);
        }
    }

    /// Begins a round with what the tape has from the [`cursor`](Self::cursor) on. The tape stays pinned until everyone
    /// has been sent its share: [`FanOut::is_over`].
    pub fn begin_round(&mut self, tape: &Reader) {
        self.fan_out.begin(tape, self.cursor);
    }

    /// Takes note of what is new on the tape, all of it: what a newcomer is to be sent first must still be there.
    pub fn observe(&mut self, tape: &Reader) {
        self.learn(tape);
        while self.observed < tape.head() {
            let record = tape.record(self.observed);
            self.channels[record.channel.index()].observe(self.observed, record);
            self.observed = self.observed.next();
        }
    }

    /// Notes for everyone live which of the new records it wants: subscribers of their channel, of its kind, of everything.
    /// Stops when it has looked at `records_max` records or noted something `notes_max` times, more
    /// or less one run of records. Says whether it is done with all that belongs to the round.
    pub fn route(&mut self, tape: &Reader, records_max: usize, notes_max: usize) -> bool {
        let end = self.fan_out.end().min(tape.head());
        let stop = Position::new(self.cursor.number() + records_max as u64).min(end);
        let mut notes = 0;
        while self.cursor < stop && notes < notes_max {
            let record = tape.record(self.cursor);
            if record.kind.is_live() {
                notes += self.route_run(tape, record.channel, stop);
            } else {
                self.cursor = self.cursor.next();
            }
        }
        self.cursor >= end
    }

    /// Routes the message at the cursor, and those of the same channel that follow it directly: what goes to the same
    /// clients is noted once. Says how often it was noted.
    fn route_run(&mut self, tape: &Reader, id: ChannelId, stop: Position) -> usize {
        let channel = &self.channels[id.index()];
        let first = self.cursor;
        let stop = stop.min(Position::new(first.number() + RUN_RECORDS));
        while self.cursor < stop {
            let record = tape.record(self.cursor);
            if record.channel != id || !record.kind.is_live() {
                break;
            }
            self.cursor = self.cursor.next();
        }
        let kind = &self.kinds[channel.kind() as usize];
        // The kind of channels that no pattern means has nobody either.
        let all = if channel.is_listed() {
            &self.all
        } else {
            &kind.topic
        };
        let topics = [channel.topic(), &kind.topic, all].map(Topic::live);
        let notes: usize = topics.iter().map(|live| live.len()).sum();
        if notes > 0 {
            let run = self.fan_out.run(tape, first, self.cursor);
            for live in topics {
                for subscriber in live {
                    self.fan_out.note(subscriber.slot, subscriber.reader, &run);
                }
            }
        }
        notes
    }

    /// Nobody is live, so that there is nobody to route to what the tape has. What is known of channels is read again from
    /// the tail if the tape has let go of more.
    pub fn skip(&mut self, tape: &Reader) {
        self.observed = self.observed.max(tape.tail());
        self.cursor = tape.head();
    }

    /// Subscribes the client `key` to `selector`, and begins its join: what it is to get of the past comes with
    /// [`catch_up`](Self::catch_up). Ask [`may_subscribe`](Self::may_subscribe) first. Subscribing again to the same
    /// thing changes nothing.
    ///
    /// # Errors
    /// When there is no such channel or kind, or the client has too many subscriptions, or the shard has.
    pub fn subscribe(&mut self, key: Key, selector: Selector<'_>) -> Result<Subscribed, SubscribeError> {
        let id = self.topic_id(selector).ok_or(SubscribeError::Unknown)?;
        self.subscribe_to(key, id, Wish::join(self.observed))?;
        Ok(self.subscribed(id))
    }

    /// Says whether it is a new subscription.
    fn subscribe_to(&mut self, key: Key, id: TopicId, wish: Wish) -> Result<bool, SubscribeError> {
        let mut mine = self.client(key).subscriptions;
        if self.pool.find(&mine, id).is_some() {
            return Ok(false);
        }
        if mine.len() >= limits::SUBSCRIPTIONS_PER_CONNECTION_MAX {
            return Err(SubscribeError::TooMany);
        }
        let place = self.topic(id).next_place();
        debug_assert!(
            self.may_subscribe(key),
            "a join begins when the client has everything"
        );
        let others = mine;
        let subscription = self
            .pool
            .push(&mut mine, id, place, wish)
            .ok_or(SubscribeError::Overloaded)?;
        if self.is_live(key) {
            let cursor = self.cursor;
            self.pool.wish(&others, |_| Wish::from(cursor));
        }
        self.begin_join(key);
        let client = self.client_mut(key);
        client.subscriptions = mine;
        let subscriber = Subscriber {
            slot: key.slot(),
            reader: ReaderOf::new(key, client.track),
            subscription,
        };
        self.topic_mut(id).push(subscriber);
        self.subscribers += u32::from(mine.len() == 1);
        Ok(true)
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

    /// The client `key` wants once more the state of each channel that its subscription to `selector` matches: it comes in order
    /// with all else, as to one that joins, and nothing else comes twice but what follows the state of a book. Ask
    /// [`may_snap`](Self::may_snap) first. Until its join has begun it may ask for more.
    ///
    /// # Errors
    /// When the client has no such subscription, or it is to a channel without a state.
    pub fn snap(&mut self, key: Key, selector: Selector<'_>) -> Result<Subscribed, SnapError> {
        let mine = self.client(key).subscriptions;
        let id = self.topic_id(selector).ok_or(SnapError::NotSubscribed)?;
        self.pool.find(&mine, id).ok_or(SnapError::NotSubscribed)?;
        if let TopicId::Channel(channel) = id
            && self.channel(channel).class() == Class::Append
        {
            return Err(SnapError::NoState);
        }
        if self.is_live(key) {
            let cursor = self.cursor;
            self.pool.wish(&mine, |_| Wish::from(cursor));
            self.begin_join(key);
        }
        self.pool.snap(&mine, id);
        Ok(self.subscribed(id))
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

    /// The connection of the client `key` is no more: what it is still to be sent of the round is not sent.
    pub fn withdraw(&mut self, key: Key) {
        self.fan_out.withdraw(key);
    }

    /// What each client is sent in this round.
    #[must_use]
    pub fn fan_out(&self) -> &FanOut {
        &self.fan_out
    }

    /// The same, to send it.
    pub fn fan_out_mut(&mut self) -> &mut FanOut {
        &mut self.fan_out
    }

    /// What the client `key` has subscribed to, newest first.
    pub fn subscriptions(&self, key: Key) -> impl Iterator<Item = (Selector<'_>, Subscribed)> + '_ {
        let topics = self
            .pool
            .iter(&self.client(key).subscriptions)
            .map(|subscription| subscription.topic());
        topics.map(|id| (self.selector(id), self.subscribed(id)))
    }

    /// The first position not routed yet.
    #[must_use]
    pub fn cursor(&self) -> Position {
        self.cursor
    }

    /// Whether there is a channel of that name.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.ids.contains_key(name)
    }

    /// What is known of a channel.
    #[must_use]
    pub fn channel(&self, id: ChannelId) -> &Channel {
        &self.channels[id.index()]
    }

    /// The number of the channel of that name, as far as this shard knows.
    #[must_use]
    pub fn channel_id(&self, name: &str) -> Option<ChannelId> {
        self.ids.get(name).copied()
    }

    /// Whether the channel's message of this number, or a later one, has been looked at.
    #[must_use]
    pub fn has_observed(&self, id: ChannelId, seq: u64) -> bool {
        self.channels
            .get(id.index())
            .is_some_and(|channel| channel.seq() >= seq)
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
            let Client {
                subscriptions: mine,
                live,
                track,
                ..
            } = *self.client(key);
            let (mut count, mut at) = (0, None);
            while let Some((index, subscription)) = self.pool.step(&mine, at) {
                let other_end = Subscriber {
                    slot: key.slot(),
                    reader: ReaderOf::new(key, track),
                    subscription: index,
                };
                let topic = self.topic(subscription.topic());
                assert_eq!(topic.at(subscription.place()), Some((other_end, live)));
                (count, at) = (count + 1, Some(index));
            }
            assert!(
                live || !self.fan_out.is_pending(key),
                "whoever has a place of its own has no share"
            );
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
                channels: self.channel_count() - self.unlisted,
            },
        }
    }

    /// Takes the subscriber at `place` out of its topic. Others move into the gap, so that their own entries are told
    /// their new places.
    fn vacate(&mut self, id: TopicId, place: u32) {
        for moved in self.topic_mut(id).remove(place).into_iter().flatten() {
            self.pool.relocate(moved.subscription, moved.place);
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

    /// The number of the newest message of a channel, as far as the tape was looked at; of a pattern 0. `None` when
    /// there is no such channel or kind.
    #[must_use]
    pub fn newest(&self, selector: Selector<'_>) -> Option<u64> {
        self.topic_id(selector).map(|topic| match topic {
            TopicId::Channel(id) => self.channel(id).seq(),
            TopicId::Kind(_) | TopicId::All => 0,
        })
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
