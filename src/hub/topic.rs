//! Everyone subscribed to one thing, as a dense list: walking it is what a broadcast does.
//!
//! Those who are live stand in front of those who are not, so that a broadcast passes only the former.

use super::fan_out::ReaderOf;
use super::subscription::Index;
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

/// The subscribers of one topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    subscribers: Vec<Subscriber>,
    /// How many of them, from the first on, are live.
    live: usize,
}

/// One end of a subscription; the other is the client's own entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) slot: u32,
    pub(super) reader: ReaderOf,
    pub(super) subscription: Index,
}

/// A subscription whose other end has moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) subscription: Index,
    pub(super) place: u32,
}

impl Topic {
    /// Bytes that a subscription costs. A list that has grown has room for more, which nothing has touched.
    pub(super) const BYTES_PER_SUBSCRIPTION: usize = size_of::<Subscriber>();

    /// Adds a subscriber who is not live.
    ///
    /// A list that has become long gets room for many more at once: what nobody touches costs nothing, and each growth
    /// leaves memory behind that something else would have to need.
    pub(super) fn push(&mut self, subscriber: Subscriber) {
        let len = self.subscribers.len();
        if len == self.subscribers.capacity() && len >= MANY {
            self.subscribers.reserve_exact(MANY * GROWTH);
        }
        self.subscribers.push(subscriber);
    }

    /// Takes the subscriber at `place` out, and says who stands where instead.
    pub(super) fn remove(&mut self, place: u32) -> [Option<Moved>; 2] {
        let (place, moved) = self.set_live(place, false);
        self.subscribers.swap_remove(place as usize);
        let last = self.subscribers.get(place as usize).map(|subscriber| Moved {
            subscription: subscriber.subscription,
            place,
        });
        [moved, last]
    }

    /// Puts the subscriber at `place` among those who are live, or among those who are not. Says where it stands then,
    /// and who has taken its place.
    pub(super) fn set_live(&mut self, place: u32, live: bool) -> (u32, Option<Moved>) {
        let from = place as usize;
        if live == (from < self.live) {
            return (place, None);
        }
        let to = if live { self.live } else { self.live - 1 };
        self.live = if live { self.live + 1 } else { self.live - 1 };
        self.subscribers.swap(from, to);
        let moved = (from != to).then(|| Moved {
            subscription: self.subscribers[from].subscription,
            place,
        });
        (u32::try_from(to).unwrap_or(u32::MAX), moved)
    }

    /// Where the next subscriber will stand.
    pub(super) fn next_place(&self) -> u32 {
        u32::try_from(self.subscribers.len()).unwrap_or(u32::MAX)
    }

    /// Those who are live.
    pub(super) fn live(&self) -> &[Subscriber] {
        &self.subscribers[..self.live]
    }

    /// Who stands at `place`, and whether it is live.
    pub(super) fn at(&self, place: u32) -> Option<(Subscriber, bool)> {
        let subscriber = self.subscribers.get(place as usize)?;
        Some((*subscriber, (place as usize) < self.live))
    }

    pub(super) fn len(&self) -> usize {
        self.subscribers.len()
    }
}

/// Subscribers from which a list is a long one.
const MANY: usize = 1024;
/// So many times as many are given room for then.
const GROWTH: usize = 32;
