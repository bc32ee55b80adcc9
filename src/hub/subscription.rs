//! The entry that ties one client to one topic: 16 bytes out of a pool, linked into the client's own list.
//!
//! The other end is the client's place in the topic's dense list; each end knows where the other is, so ending
//! a subscription moves two entries and walks nothing but the client's own list.

use super::terms::Flow;
use super::topic::TopicId;
use crate::limits::TAPE_RECORDS_MAX;
use crate::tape::{ChannelId, Position};

/// One client's subscriptions: the head of a list in the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscriptions {
    first: u32,
    len: u32,
}

impl Subscriptions {
    /// No subscription.
    pub(super) const NONE: Self = Self { first: NONE, len: 0 };

    pub(super) const fn len(&self) -> u32 {
        self.len
    }
}

/// Why a client is not subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscribeError {
    /// No channel or kind of that name exists.
    Unknown,
    /// The client is at [`SUBSCRIPTIONS_PER_CONNECTION_MAX`](crate::limits::SUBSCRIPTIONS_PER_CONNECTION_MAX).
    TooMany,
    /// The shard's pool of subscriptions is used up.
    Overloaded,
}

/// Why a client's subscription was not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsubscribeError {
    /// It has no such subscription.
    NotSubscribed,
}

/// Why a client is not sent a state once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapError {
    /// It has no such subscription.
    NotSubscribed,
    /// The channel has no state: every message counts.
    NoState,
}

/// Where in the pool a subscription lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index(u32);

/// One subscription.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscription {
    topic: u32,
    place: u32,
    next: u32,
    wish: Wish,
}

const _: () = assert!(size_of::<Subscription>() == 16);

/// From where on a subscription's records are wanted while its client is not live, and what of the time before the end of
/// its client's join. 32 bits: the position is kept as its last [`FLOOR_BITS`], and means the newest such one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish(u32);

/// What a subscription wants of the time before the end of its client's join: see [`catch_up`](super::catch_up).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Every message: it had everything before.
    Follow,
    /// The state of channels that have one: it is new, or has lost something.
    Join,
    /// The state of channels that clients skip to, and every message of the others: it had everything before.
    Skip,
    /// Every message, and the state of channels that have one once more.
    Snap,
}

impl Wish {
    /// The records from `floor` on.
    pub(super) fn from(floor: Position) -> Self {
        Self(u32::try_from(floor.number() & FLOOR_MASK).unwrap_or(0))
    }

    /// The same, and what stands for all before the end of its client's join.
    pub(super) fn join(floor: Position) -> Self {
        Self::from(floor).with(Mode::Join)
    }

    /// The same wish from a floor that is not before `floor`, in this mode.
    pub(super) fn anew(self, floor: Position, mode: Mode) -> Self {
        Self(Self::from(floor).with(mode).0 | self.0 & REPLAYS)
    }

    /// The same wish of one that follows, and the state once more.
    pub(super) fn snap(self) -> Self {
        self.with(Mode::Snap)
    }

    pub(super) const fn mode(self) -> Mode {
        match (self.0 & JOINS != 0, self.0 & IN_PART != 0) {
            (false, false) => Mode::Follow,
            (true, false) => Mode::Join,
            (true, true) => Mode::Skip,
            (false, true) => Mode::Snap,
        }
    }

    /// The same wish, and to be told when it has been sent what was there before.
    pub(super) const fn replay(self) -> Self {
        Self(self.0 | REPLAYS)
    }

    pub(super) const fn replays(self) -> bool {
        self.0 & REPLAYS != 0
    }

    /// The same, when it has been told.
    pub(super) const fn replayed(self) -> Self {
        Self(self.0 & !REPLAYS)
    }

    /// The position, which is not behind `newest`.
    pub(super) fn floor(self, newest: Position) -> Position {
        let back = newest.number().wrapping_sub(u64::from(self.0)) & FLOOR_MASK;
        Position::new(newest.number().saturating_sub(back))
    }

    const fn with(self, mode: Mode) -> Self {
        let bits = match mode {
            Mode::Follow => 0,
            Mode::Join => JOINS,
            Mode::Skip => JOINS | IN_PART,
            Mode::Snap => IN_PART,
        };
        Self(self.0 & !(JOINS | IN_PART) | bits)
    }
}

impl Mode {
    /// Whether a channel's state is wanted, of those that clients of this flow are sent.
    pub(super) const fn wants_state(self, flow: Flow) -> bool {
        match (self, flow) {
            (_, Flow::Append) | (Self::Follow, _) | (Self::Skip, Flow::Every) => false,
            (Self::Join | Self::Snap, Flow::Every | Flow::Newest) | (Self::Skip, Flow::Newest) => true,
        }
    }

    /// Whether every message is wanted besides.
    pub(super) const fn wants_every(self, flow: Flow) -> bool {
        matches!(self, Self::Snap) || !self.wants_state(flow)
    }
}

const FLOOR_BITS: u32 = 29;
const FLOOR_MASK: u64 = (1 << FLOOR_BITS) - 1;
const JOINS: u32 = 1 << 31;
const REPLAYS: u32 = 1 << 30;
const IN_PART: u32 = 1 << 29;
const _: () = assert!(TAPE_RECORDS_MAX < 1 << FLOOR_BITS);

impl Subscription {
    pub(super) fn topic(&self) -> TopicId {
        if self.topic == ALL {
            TopicId::All
        } else if self.topic & KIND != 0 {
            TopicId::Kind(self.topic & !KIND)
        } else {
            TopicId::Channel(ChannelId::new(self.topic))
        }
    }

    pub(super) fn place(&self) -> u32 {
        self.place
    }

    /// What its client still wants of it; means nothing while that is live or [unbounded](super::client::Client::bounded).
    pub(super) fn wish(&self) -> Wish {
        self.wish
    }
}

/// Every subscription of a shard, at most as many as it was made for.
#[derive(Debug)]
pub(super) struct Pool {
    entries: Vec<Subscription>,
    capacity: usize,
    free: u32,
    in_use: usize,
}

impl Pool {
    /// Bytes that a subscription costs.
    pub(super) const BYTES_PER_SUBSCRIPTION: usize = size_of::<Subscription>();

    pub(super) fn with_capacity(capacity: usize) -> Self {
        let capacity = capacity.min(NONE as usize);
        Self {
            entries: Vec::with_capacity(capacity),
            capacity,
            free: NONE,
            in_use: 0,
        }
    }

    /// Adds a subscription, the newest of its client; `None` when the pool is used up.
    pub(super) fn push(
        &mut self,
        mine: &mut Subscriptions,
        topic: TopicId,
        place: u32,
        wish: Wish,
    ) -> Option<Index> {
        let entry = Subscription {
            topic: pack(topic),
            place,
            next: mine.first,
            wish,
        };
        let index = if self.free != NONE {
            let index = self.free;
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = entry;
            index
        } else if self.entries.len() < self.capacity {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).ok()?
        } else {
            return None;
        };
        mine.first = index;
        mine.len += 1;
        self.in_use += 1;
        Some(Index(index))
    }

    /// Takes the client's subscription to `topic` out and says where in the topic it stood.
    pub(super) fn remove(&mut self, mine: &mut Subscriptions, topic: TopicId) -> Option<u32> {
        let packed = pack(topic);
        let (mut before, mut at) = (NONE, mine.first);
        while at != NONE {
            let entry = self.entries[at as usize];
            if entry.topic == packed {
                if before == NONE {
                    mine.first = entry.next;
                } else {
                    self.entries[before as usize].next = entry.next;
                }
                self.release(mine, at);
                return Some(entry.place);
            }
            (before, at) = (at, entry.next);
        }
        None
    }

    /// Takes any subscription of the client out and says what it was.
    pub(super) fn pop(&mut self, mine: &mut Subscriptions) -> Option<(TopicId, u32)> {
        let entry = *self.entries.get(mine.first as usize)?;
        let at = mine.first;
        mine.first = entry.next;
        self.release(mine, at);
        Some((entry.topic(), entry.place))
    }

    /// A subscription has moved within its topic.
    pub(super) fn relocate(&mut self, index: Index, place: u32) {
        self.entries[index.0 as usize].place = place;
    }

    /// Steps to the client's next subscription, the newest first, from the one before it or from none.
    pub(super) fn step(&self, mine: &Subscriptions, before: Option<Index>) -> Option<(Index, Subscription)> {
        let at = before.map_or(mine.first, |Index(before)| self.entries[before as usize].next);
        self.entries.get(at as usize).map(|entry| (Index(at), *entry))
    }

    /// The client wants the states of its subscription to `topic` once more.
    pub(super) fn snap(&mut self, mine: &Subscriptions, topic: TopicId) {
        let packed = pack(topic);
        let mut at = mine.first;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            if entry.topic == packed {
                entry.wish = entry.wish.snap();
                return;
            }
            at = entry.next;
        }
    }

    /// Changes what the client wants of each of its subscriptions.
    pub(super) fn wish(&mut self, mine: &Subscriptions, mut wish: impl FnMut(Wish) -> Wish) {
        let mut at = mine.first;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            entry.wish = wish(entry.wish);
            at = entry.next;
        }
    }

    pub(super) fn find(&self, mine: &Subscriptions, topic: TopicId) -> Option<&Subscription> {
        let packed = pack(topic);
        self.iter(mine).find(|entry| entry.topic == packed)
    }

    pub(super) fn iter<'a>(&'a self, mine: &Subscriptions) -> impl Iterator<Item = &'a Subscription> + 'a {
        let mut at = mine.first;
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            at = entry.next;
            Some(entry)
        })
    }

    pub(super) fn in_use(&self) -> usize {
        self.in_use
    }

    fn release(&mut self, mine: &mut Subscriptions, at: u32) {
        self.entries[at as usize].next = self.free;
        self.free = at;
        self.in_use -= 1;
        mine.len -= 1;
    }
}

fn pack(topic: TopicId) -> u32 {
    match topic {
        TopicId::All => ALL,
        TopicId::Kind(kind) => KIND | kind,
        TopicId::Channel(channel) => channel.number(),
    }
}

const NONE: u32 = u32::MAX;
const ALL: u32 = u32::MAX;
const KIND: u32 = 1 << 31;
