//! When derived channels are due, and what each leaves out of its base.
//!
//! Never looks at a clock or a book: it is told what has changed and when, and asked who is next. Invariant: whoever has
//! something to say stands in the schedule, at once or at the end of its interval.

use std::collections::{BTreeSet, VecDeque};

use crate::base::now::NS_PER_MS;
use crate::limits;
use crate::market::Derivation;
use crate::tape::ChannelId;

/// What is said on a channel, and why.
#[derive(Debug)]
pub(super) enum Origin {
    /// What publishers say. These derived channels follow it.
    Published(Vec<ChannelId>),
    /// What follows from another channel.
    Derived(Follower),
    /// The same, but nobody has asked for it, so that nothing is said.
    Dormant,
}

/// A derived channel that somebody has subscribed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    /// What it is derived from.
    pub(super) base: ChannelId,
    /// How many levels a side it keeps, if it is a book.
    pub(super) depth: usize,
    /// How long its interval is; 0 when it follows at once.
    interval_ns: u64,
    /// Which shards have asked for it.
    shards: Shards,
    /// When it has something to say.
    due: Due,
    /// Whether there was no room for what it had to say last.
    is_late: bool,
}

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Shards([u64; limits::SHARDS_MAX / 64]);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Never,
    AtOnce,
    At(u64),
}

/// Those who have something to say, in their order.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    ready: VecDeque<ChannelId>,
    timed: BTreeSet<(u64, ChannelId)>,
}

impl Follower {
    /// One for which a shard has asked.
    pub(super) fn new(base: ChannelId, derivation: Derivation, shard: usize) -> Self {
        let mut follower = Self {
            base,
            depth: derivation.depth.unwrap_or(limits::BOOK_LEVELS_MAX),
            interval_ns: u64::from(derivation.interval_ms.unwrap_or(0)) * NS_PER_MS,
            shards: Shards::default(),
            due: Due::Never,
            is_late: false,
        };
        follower.join(shard);
        follower
    }

    /// A shard asks for it. To ask again changes nothing.
    pub(super) fn join(&mut self, shard: usize) {
        self.shards.0[shard / 64] |= 1 << (shard % 64);
    }

    /// A shard asks for it no longer. Says whether none does.
    pub(super) fn leave(&mut self, shard: usize) -> bool {
        self.shards.0[shard / 64] &= !(1 << (shard % 64));
        self.shards == Shards::default()
    }

    /// Whether it has something to say.
    pub(super) fn is_due(&self) -> bool {
        self.due != Due::Never
    }

    /// It is its turn to say what it has to say.
    pub(super) fn begin(&mut self) {
        self.due = Due::Never;
    }

    /// There was room for that.
    pub(super) fn end(&mut self) {
        self.is_late = false;
    }

    /// What it would have said at the end of an interval, it says at once.
    pub(super) fn hurry(&mut self) {
        self.due = Due::AtOnce;
    }
}

impl Schedule {
    /// The base of `id` has changed at `now_ns`.
    pub(super) fn changed(&mut self, id: ChannelId, follower: &mut Follower, now_ns: u64) {
        match (follower.due, follower.interval_ns) {
            (Due::Never, 0) => {
                follower.due = Due::AtOnce;
                self.ready.push_back(id);
            }
            (Due::Never, interval_ns) => {
                let interval = now_ns / interval_ns + 1;
                self.set(id, follower, interval.saturating_mul(interval_ns));
            }
            (Due::AtOnce | Due::At(_), _) => {}
        }
    }

    /// There was no room for what `id` had to say at `now_ns`: it is tried again. Says whether that is news.
    pub(super) fn put_off(&mut self, id: ChannelId, follower: &mut Follower, now_ns: u64) -> bool {
        let wait_ns = follower.interval_ns.max(limits::DERIVED_RETRY_MS * NS_PER_MS);
        self.set(id, follower, now_ns.saturating_add(wait_ns));
        !std::mem::replace(&mut follower.is_late, true)
    }

    /// Nobody asks for `id` any more.
    pub(super) fn forget(&mut self, id: ChannelId, follower: &Follower) {
        match follower.due {
            Due::Never => {}
            Due::AtOnce => self.ready.retain(|ready| *ready != id),
            Due::At(due_ns) => drop(self.timed.remove(&(due_ns, id))),
        }
    }

    /// Who is next to say something at `now_ns`, and whether it is for what was published last alone. Its
    /// [`begin`](Follower::begin) comes next.
    pub(super) fn next(&mut self, now_ns: u64) -> Option<(ChannelId, bool)> {
        if let Some(id) = self.ready.pop_front() {
            return Some((id, true));
        }
        let (due_ns, id) = *self.timed.first()?;
        (due_ns <= now_ns).then(|| {
            self.timed.pop_first();
            (id, false)
        })
    }

    /// Whoever waits for the end of an interval is to say at once what it has to say; [`Follower::hurry`] tells it.
    pub(super) fn hurry(&mut self) -> Vec<ChannelId> {
        let waiting = std::mem::take(&mut self.timed).into_iter().map(|(_, id)| id);
        let waiting: Vec<ChannelId> = waiting.collect();
        self.ready.extend(&waiting);
        waiting
    }

    /// Whether somebody is to say something at once.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// When the first is due of those who are not at once.
    pub(super) fn due_ns(&self) -> Option<u64> {
        self.timed.first().map(|(due_ns, _)| *due_ns)
    }

    /// Whether `id` stands where it says.
    pub(super) fn holds(&self, id: ChannelId, follower: &Follower) -> bool {
        match follower.due {
            Due::Never => true,
            Due::AtOnce => self.ready.contains(&id),
            Due::At(due_ns) => self.timed.contains(&(due_ns, id)),
        }
    }

    /// How many stand in it.
    pub(super) fn len(&self) -> usize {
        self.ready.len() + self.timed.len()
    }

    fn set(&mut self, id: ChannelId, follower: &mut Follower, due_ns: u64) {
        follower.due = Due::At(due_ns);
        self.timed.insert((due_ns, id));
    }
}

const _: () = assert!(limits::SHARDS_MAX.is_multiple_of(64));
