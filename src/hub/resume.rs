//! Where a client goes on that has something of a channel already.
//!
//! What it misses is found by a walk back along the channel, from the newest message to the last that it has: nothing is
//! kept for those who are away. It is sent by the scan of [`catch_up`](super::catch_up), as to a client that fell behind.

use super::channel::Channel;
use super::subscription::{Mode, Wish};
use super::terms::Flow;
use super::topic::TopicId;
use super::{Hub, Selector, SubscribeError};
use crate::base::Key;
use crate::tape::{ChannelId, Class, Position, Reader};

/// What a client that resumes is sent of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumed {
    /// What it misses, all of it. Of a channel whose newest message stands for all before, that one.
    Replay,
    /// The channel's state: what it misses is not all on the tape.
    Snap,
    /// What is on the tape of what it misses.
    Rest {
        /// The number of the first message that it is not sent.
        from: u64,
        /// That of the last.
        to: u64,
    },
}

/// Why a client does not resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// It cannot subscribe.
    Subscribe(SubscribeError),
    /// It says that it has more than there is.
    Ahead {
        /// The number of the channel's newest message.
        newest: u64,
    },
}

impl Hub {
    /// Subscribes the client `key` to the channel `name`, of which it has everything up to the number `seq`; without one,
    /// what it has is of another epoch. As [`subscribe`](Self::subscribe) otherwise. Says how it goes on, unless it is
    /// sent the channel already.
    ///
    /// # Errors
    /// When it cannot subscribe, or there is no such number yet.
    pub fn resume(
        &mut self,
        key: Key,
        name: &str,
        seq: Option<u64>,
        tape: &Reader,
    ) -> Result<(ChannelId, Option<Resumed>), ResumeError> {
        let Some(TopicId::Channel(id)) = self.topic_id(Selector::Channel(name)) else {
            return Err(ResumeError::Subscribe(SubscribeError::Unknown));
        };
        let newest = self.channel(id).seq();
        if seq.is_some_and(|seq| seq > newest) {
            return Err(ResumeError::Ahead { newest });
        }
        let mine = self.client(key).subscriptions;
        if self.pool.find(&mine, TopicId::Channel(id)).is_some() {
            // Whoever names it twice has nothing looked up twice.
            return Ok((id, None));
        }
        if self.is_sent(key, id) {
            let subscribed = self.subscribe_to(key, TopicId::Channel(id), Wish::join(self.observed));
            return subscribed.map(|_| (id, None)).map_err(ResumeError::Subscribe);
        }
        let (resumed, wish) = find(self.channel(id), seq, self.observed, tape);
        let is_new = self.subscribe_to(key, TopicId::Channel(id), wish);
        let is_new = is_new.map_err(ResumeError::Subscribe)?;
        if is_new {
            self.client_mut(key).replaying |= wish.replays();
            self.oldest = self.oldest.min(wish.floor(self.observed));
        }
        Ok((id, is_new.then_some(resumed)))
    }

    /// Whether the client `key` is sent the channel already, because a pattern matches it that it has subscribed to before.
    fn is_sent(&self, key: Key, id: ChannelId) -> bool {
        let (live, mine) = (self.is_live(key), self.client(key).subscriptions);
        let channel = self.channel(id);
        if !channel.is_listed() {
            return false;
        }
        let patterns = [TopicId::Kind(channel.kind()), TopicId::All];
        let mut found = patterns
            .into_iter()
            .filter_map(|pattern| self.pool.find(&mine, pattern));
        found.any(|entry| live || matches!(entry.wish().mode(), Mode::Follow | Mode::Snap))
    }

    /// Calls `tell` for each channel of which the client `key` has now been sent what it was to be sent again, with the
    /// number up to which it has everything. Each is told once.
    pub fn end_replays(&mut self, key: Key, tape: &Reader, mut tell: impl FnMut(&str, u64)) {
        let client = self.client_mut(key);
        if !client.replaying || !client.place.end.is_none() {
            return;
        }
        client.replaying = false;
        let (mine, at) = (client.subscriptions, client.place.at);
        for subscription in self.pool.iter(&mine).filter(|entry| entry.wish().replays()) {
            if let TopicId::Channel(id) = subscription.topic() {
                let channel = self.channel(id);
                tell(channel.name(), seq_before(channel, at, tape));
            }
        }
        self.pool.wish(&mine, Wish::replayed);
    }
}

/// How a client goes on that has everything of the channel up to `seq`, and what it wants therefore.
fn find(channel: &Channel, seq: Option<u64>, now: Position, tape: &Reader) -> (Resumed, Wish) {
    let newest = channel.seq();
    let nothing = (Resumed::Replay, Wish::from(now).replay());
    if seq == Some(newest) {
        return nothing;
    }
    let missing = seq.and_then(|seq| oldest_after(channel, seq, tape));
    let next = seq.map_or(1, |seq| seq + 1);
    match (channel.class(), missing) {
        (Class::Replace, _) if seq.is_some() && channel.flow() == Flow::Newest => {
            (Resumed::Replay, Wish::join(now).replay())
        }
        (_, Some((first, at))) if first == next => (Resumed::Replay, Wish::from(at).replay()),
        (Class::Replace | Class::Book, _) => (Resumed::Snap, Wish::join(now)),
        (Class::Append, _) if newest < next => nothing,
        (Class::Append, Some((first, at))) => {
            let (from, to) = (next, first - 1);
            (Resumed::Rest { from, to }, Wish::from(at).replay())
        }
        (Class::Append, None) => {
            let (from, to) = (next, newest);
            (Resumed::Rest { from, to }, Wish::from(now).replay())
        }
    }
}

/// The oldest message behind the number `seq` that is on the tape, and where it is.
fn oldest_after(channel: &Channel, seq: u64, tape: &Reader) -> Option<(u64, Position)> {
    let (mut oldest, mut at) = (None, channel.newest());
    while at >= tape.tail() {
        let record = tape.record(at);
        if record.seq <= seq {
            break;
        }
        if record.kind.is_live() {
            oldest = Some((record.seq, at));
        }
        at = record.previous;
    }
    oldest
}

/// The number of the channel's last message before `end`.
fn seq_before(channel: &Channel, end: Position, tape: &Reader) -> u64 {
    let (mut seq, mut at) = (channel.seq(), channel.newest());
    while at >= end.max(tape.tail()) {
        let record = tape.record(at);
        seq = record.seq - u64::from(record.kind.is_live());
        at = record.previous;
    }
    seq
}
