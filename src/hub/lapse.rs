//! Who has not been sent what the tape is about to let go of.
//!
//! Before the shard lets go of the oldest part of the tape, everyone who still wants something of it gives that up: of
//! channels with an image they will be sent the present state, and of append channels they are told exactly which numbers
//! they miss, while these can still be read. So nothing is kept per client, and nobody misses anything unknowingly.
//!
//! Nothing is looked at that nobody behind has reached: a lapse costs one walk over the part of the tape that is given up,
//! however many give it up, and what they are told. They give up more than the tape needs, so that the next lapse is
//! a good part of the tape away.

use super::Hub;
use super::catch_up::{NEVER, Wanted};
use super::client::Client;
use super::subscription::Mode;
use crate::base::Key;
use crate::tape::{ChannelId, Class, Position, Reader};

/// Messages of an append channel that a client is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelId,
    /// The number of the first of them.
    pub from: u64,
    /// That of the last.
    pub to: u64,
}

/// What one client gives up.
#[derive(Clone, Copy, Debug)]
pub struct Lapsed<'a> {
    /// Who.
    pub key: Key,
    /// When the oldest record was published that it may not have been sent, in nanoseconds since the epoch.
    pub since_ns: u64,
    /// Whether it has not been told yet that it is behind.
    pub is_news: bool,
    /// What it is not sent.
    pub gaps: &'a [Gap],
    /// A channel with an image that nobody may be behind on, of which it has not been sent everything.
    pub closing: Option<ChannelId>,
}

/// Memory for one lapse, used again by the next.
#[derive(Debug, Default)]
pub struct Lapse {
    /// Who gives something up, and what each wants first.
    lapsing: Vec<(Position, Key)>,
    /// What was met of each channel.
    met: Vec<Met>,
    /// The channels of which something was.
    channels: Vec<ChannelId>,
    /// What one client is told.
    gaps: Vec<Gap>,
    /// Up to here everything is given up.
    floor: Position,
}

/// The messages of an append channel that were met by a walk back.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// The number of the oldest.
    oldest: u64,
    /// That of the newest; 0 when none was met.
    newest: u64,
    /// Where the newest is.
    at: Position,
}

impl Hub {
    /// The tape is about to let go of what is before `tail`: finds out who, of all `keys`, still wants something of that.
    pub fn find_lapsing(&mut self, tail: Position, keys: impl Iterator<Item = Key>, memory: &mut Lapse) {
        memory.lapsing.clear();
        if self.oldest >= tail {
            return;
        }
        let part =
            |divisor| Position::new(tail.number() + (self.observed.number() - tail.number()) / divisor);
        let soon = part(LAPSE_SOON_DIVISOR);
        memory.floor = part(LAPSE_DIVISOR);
        self.oldest = self.observed;
        for key in keys {
            let Some(wants) = self.wants_from(key) else {
                continue;
            };
            // Of what it has subscribed to before its join, a client has more than an image that is not behind this.
            let until = if self.joins_in_part(key) { tail } else { soon };
            if wants < until {
                memory.lapsing.push((wants, key));
            }
            self.oldest = self.oldest.min(wants.max(until));
        }
    }

    /// Whoever was found gives it up; `tell` is called with what each is to be told.
    pub fn lapse(
        &mut self,
        tape: &Reader,
        memory: &mut Lapse,
        wanted: &mut Wanted,
        mut tell: impl FnMut(&Self, &Lapsed<'_>),
    ) {
        memory.met.resize(self.channels.len(), Met::default());
        memory
            .lapsing
            .sort_unstable_by_key(|(wants, key)| (std::cmp::Reverse(*wants), key.slot()));
        let mut at = memory.floor;
        for index in 0..memory.lapsing.len() {
            let (wants, key) = memory.lapsing[index];
            debug_assert!(tape.tail() <= wants, "what is wanted is still on the tape");
            while at > wants.max(tape.tail()) {
                at = Position::new(at.number() - 1);
                memory.meet(tape, at);
            }
            let closing = self.find_gaps(key, wants, tape, memory, wanted);
            self.join_anew(key, memory.floor, Mode::Join);
            let lapsed = Lapsed {
                key,
                since_ns: tape.record(wants.max(tape.tail())).pt_ns,
                is_news: self.warn(key),
                gaps: &memory.gaps,
                closing,
            };
            tell(self, &lapsed);
        }
        memory.forget();
    }

    /// The first position of which the client `key` may want something; `None` when it is live or wants nothing.
    fn wants_from(&self, key: Key) -> Option<Position> {
        let Client {
            subscriptions: mine,
            place,
            live,
            bounded,
            ..
        } = self.client(key);
        if *live || mine.len() == 0 {
            return None;
        }
        if !bounded {
            return Some(place.at);
        }
        // What a join wants from before can be found as long as there is an image, and there always is one.
        let floors = self
            .pool
            .iter(mine)
            .map(|entry| entry.wish().floor(self.observed));
        floors.min().map(|floor| floor.max(place.at))
    }

    /// Whether the client `key` joins with some of its subscriptions and has others from before.
    fn joins_in_part(&self, key: Key) -> bool {
        let Client {
            subscriptions: mine,
            place,
            ..
        } = self.client(key);
        !place.end.is_none()
            && self.pool.iter(mine).any(|entry| {
                // What these want of the past is all that they have not been sent.
                matches!(entry.wish().mode(), Mode::Follow | Mode::Snap)
            })
    }

    /// Finds out which messages of append channels the client `key` wants from `wants` on, of those that were met. Says whether it
    /// has not been sent everything of a channel with an image that nobody may be behind on.
    fn find_gaps(
        &self,
        key: Key,
        wants: Position,
        tape: &Reader,
        memory: &mut Lapse,
        wanted: &mut Wanted,
    ) -> Option<ChannelId> {
        let Client {
            subscriptions: mine,
            place,
            bounded,
            ..
        } = *self.client(key);
        let _scan_from = self.mark(&mine, &place, bounded, wanted);
        let Lapse {
            met, channels, gaps, ..
        } = memory;
        gaps.clear();
        for &channel in &*channels {
            let since = wanted.since(channel, self.channel(channel));
            if since == NEVER {
                continue;
            }
            let Met { oldest, newest, at } = met[channel.index()];
            let from = if since <= wants {
                Some(oldest)
            } else {
                first_since(tape, at, since)
            };
            if let Some(from) = from {
                gaps.push(Gap {
                    channel,
                    from,
                    to: newest,
                });
            }
        }
        let closing = self.strict.iter().copied().find(|&id| {
            let channel = self.channel(id);
            let since = wanted.since(id, channel);
            since != NEVER && has_since(tape, channel.newest(), since.max(wants))
        });
        self.unmark(&mine, wanted);
        closing
    }
}

impl Lapse {
    /// Whether nobody gives anything up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lapsing.is_empty()
    }

    /// The walk back has come to `at`.
    fn meet(&mut self, tape: &Reader, at: Position) {
        let record = tape.record(at);
        if record.class != Class::Append || !record.kind.is_live() {
            return;
        }
        let met = &mut self.met[record.channel.index()];
        if met.newest == 0 {
            (met.newest, met.at) = (record.seq, at);
            self.channels.push(record.channel);
        }
        met.oldest = record.seq;
    }

    fn forget(&mut self) {
        for channel in self.channels.drain(..) {
            self.met[channel.index()] = Met::default();
        }
        self.gaps.clear();
        self.lapsing.clear();
    }
}

/// The number of the oldest message at or behind `since`, of those of the channel whose newest is at `newest`.
fn first_since(tape: &Reader, newest: Position, since: Position) -> Option<u64> {
    let (mut first, mut at) = (None, newest);
    while at >= since.max(tape.tail()) {
        let record = tape.record(at);
        if record.kind.is_live() {
            first = Some(record.seq);
        }
        at = record.previous;
    }
    first
}

/// Whether there is one: the newest says so, unless states were written again behind it.
fn has_since(tape: &Reader, newest: Position, since: Position) -> bool {
    let mut at = newest;
    while at >= since.max(tape.tail()) {
        let record = tape.record(at);
        if record.kind.is_live() {
            return true;
        }
        at = record.previous;
    }
    false
}

/// Those who lapse give up one part in so many of the tape.
const LAPSE_DIVISOR: u64 = 4;
/// Whoever is within one part in so many of the tape from what is let go of lapses as well.
const LAPSE_SOON_DIVISOR: u64 = 16;

const _: () = assert!(LAPSE_SOON_DIVISOR > LAPSE_DIVISOR);
