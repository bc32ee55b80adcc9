//! Everyone subscribed to one thing, as a dense list: walking it is what a broadcast does.

use super::subscription::Index;
use crate::base::Key;
use crate::tape::ChannelId;

/// Names a topic of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TopicId {
    /// Everything.
    All,
    /// A kind, by its number in the hub.
    Kind(u32),
    /// A channel.
    Channel(ChannelId),
}

/// The subscribers of one topic, in no order.
#[derive(Debug, Default)]
pub(super) struct Topic {
    subscribers: Vec<Subscriber>,
}

/// One end of a subscription; the other is the client's own entry.
#[derive(Clone, Copy, Debug)]
struct Subscriber {
    key: Key,
    subscription: Index,
}

impl Topic {
    /// Bytes that a subscription costs. A list that has grown has room for more, which nothing has touched.
    pub(super) const BYTES_PER_SUBSCRIPTION: usize = size_of::<Subscriber>();

    pub(super) fn push(&mut self, key: Key, subscription: Index) {
        self.subscribers.push(Subscriber { key, subscription });
    }

    /// Takes out the subscriber at `place` and says whose subscription has moved there instead, if one has.
    pub(super) fn swap_remove(&mut self, place: u32) -> Option<Index> {
        self.subscribers.swap_remove(place as usize);
        self.subscribers
            .get(place as usize)
            .map(|moved| moved.subscription)
    }

    /// Where the next subscriber will stand.
    pub(super) fn next_place(&self) -> u32 {
        u32::try_from(self.subscribers.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.subscribers.iter().map(|subscriber| subscriber.key)
    }

    pub(super) fn key_at(&self, place: u32) -> Option<Key> {
        self.subscribers
            .get(place as usize)
            .map(|subscriber| subscriber.key)
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }
}
