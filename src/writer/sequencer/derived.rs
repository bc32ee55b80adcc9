//! Derived channels: less of what their base says, made while somebody asks for it.
//!
//! Each message of theirs is staged and settled by itself, as an event is, so that the room ahead of the head need hold no
//! more than before. Nothing here reads a clock: the feed asks when something is due, and says when it is. Invariant: behind
//! what it has said, a derived book is the window of its base's book; and where it differs from that now, it is in the
//! schedule.

use std::fmt;

use super::journaled::text_of;
use super::{
    Book, ChannelId, ChannelName, DERIVED, Image, NATIVE_JSON, PublishError, RecordKind, Sequencer, Tick,
};
use crate::base::Now;
use crate::dialect::native_json::Input;
use crate::limits;
use crate::market::{
    Changes, ChannelClass, Derivation, DerivationError, NotOffered, Quote, Reading, Touched,
};
use crate::writer::channel::Channel;
use crate::writer::derived::{Follower, Origin};

/// Why there is no derived channel of a name.
#[derive(Clone, Debug, PartialEq)]
pub enum DeriveError {
    /// It ends like none, or what would be its base does not exist.
    Unknown,
    /// Nothing can be derived of its base in this way.
    Derivation(DerivationError),
    /// Nothing is, in this way.
    NotOffered(NotOffered),
    /// Its base has as many as it may.
    BaseFull,
    /// The states of derived channels take almost as much of the tape as they may.
    StatesFull,
    /// There is no room for it.
    Publish(PublishError),
}

/// What a derived channel had to say and could not, for the first time since it could.
#[derive(Clone, Debug, PartialEq)]
pub struct Late {
    /// Which.
    pub channel: ChannelId,
    /// Why.
    pub why: PublishError,
}

impl Sequencer {
    /// The shard of that number asks for the channel `name`; to ask again changes nothing. If it is a derived one that nobody has asked for, its state is staged, as a
    /// message of its own, and [`settle`](Self::settle) is due.
    ///
    /// # Errors
    /// Why there is none. Nothing has changed then.
    ///
    /// # Panics
    /// When something is staged, or there can be no such shard.
    pub fn open_derived(&mut self, name: &str, shard: usize, now: Now) -> Result<ChannelId, DeriveError> {
        assert!(self.staged.is_empty(), "an event is settled before the next one");
        let name = ChannelName::parse(name).map_err(|_| DeriveError::Unknown)?;
        let known = self.ids.get(name.as_str()).copied();
        if let Some(id) = known {
            match &mut self.channels[id.index()].origin {
                Origin::Published(_) => return Ok(id),
                Origin::Derived(follower) => {
                    follower.join(shard);
                    return Ok(id);
                }
                Origin::Dormant => {}
            }
        }
        let (base, derivation) = self.derivation(name)?;
        self.check_room(base)?;
        self.keys.forget_newest();
        self.pt_ns = self.pt_ns.max(now.wall_ns);
        let id = match known {
            Some(id) => id,
            None => {
                let class = self.channels[base.index()].class;
                self.open_dormant(name, class).map_err(DeriveError::Publish)?
            }
        };
        self.channels[id.index()].origin = Origin::Derived(Follower::new(base, derivation, shard));
        let mut opened = self.stage_state(id);
        if known.is_none() {
            opened = opened.and_then(|()| self.declare(name));
        }
        if let Err(error) = opened {
            self.unstage();
            self.put_to_sleep(id);
            if known.is_none() {
                self.abandon_opened();
            }
            return Err(DeriveError::Publish(error));
        }
        self.followers_mut(base).push(id);
        Ok(id)
    }

    /// The shard that has asked for the channel does so no longer. When none does, nothing is said on it any more.
    ///
    /// # Panics
    /// When there can be no such shard.
    pub fn close_derived(&mut self, id: ChannelId, shard: usize) {
        let Some(channel) = self.channels.get_mut(id.index()) else {
            return;
        };
        let Origin::Derived(follower) = &mut channel.origin else {
            return;
        };
        if follower.leave(shard) {
            let follower = *follower;
            self.schedule.forget(id, &follower);
            self.followers_mut(follower.base).retain(|other| *other != id);
            self.put_to_sleep(id);
        }
    }

    /// Accepts the next message that a derived channel has to say at `now`: what follows from an event comes between this
    /// and the next, and each is [settled](Self::settle) by itself. `None` when there is none.
    ///
    /// # Errors
    /// When there is no room for what one has to say. It will be tried again; the next one's is not affected.
    ///
    /// # Panics
    /// When something is staged.
    pub fn derive(&mut self, now: Now) -> Option<Result<(), Late>> {
        assert!(self.staged.is_empty(), "an event is settled before the next one");
        while let Some((id, at_once)) = self.schedule.next(now.mono_ns) {
            let Origin::Derived(follower) = &mut self.channels[id.index()].origin else {
                unreachable!("who is not derived, or dormant, has nothing to say");
            };
            follower.begin();
            self.keys.forget_newest();
            self.pt_ns = self.pt_ns.max(now.wall_ns);
            let told = self.stage_news(id, at_once);
            let Origin::Derived(follower) = &mut self.channels[id.index()].origin else {
                unreachable!("to say something does not change that");
            };
            match told {
                Ok(is_news) => {
                    follower.end();
                    if is_news {
                        return Some(Ok(()));
                    }
                }
                Err(why) => {
                    let is_first = self.schedule.put_off(id, follower, now.mono_ns);
                    self.unstage();
                    if is_first {
                        return Some(Err(Late { channel: id, why }));
                    }
                }
            }
        }
        None
    }

    /// The number of the channel's newest message.
    ///
    /// # Panics
    /// When there is no such channel.
    #[must_use]
    pub fn seq(&self, id: ChannelId) -> u64 {
        self.channels[id.index()].seq
    }

    /// When the next derived channel is due that is not at once, on the clock of what was published.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.schedule.due_ns()
    }

    /// No interval's end is waited for: [`derive`](Self::derive) gives everything that there is to say.
    pub fn hurry(&mut self) {
        for id in self.schedule.hurry() {
            if let Origin::Derived(follower) = &mut self.channels[id.index()].origin {
                follower.hurry();
            }
        }
        self.touched = Touched::everywhere();
    }

    /// What is said on a channel, if nobody but the server may say it.
    pub(super) fn is_derived(&self, name: ChannelName<'_>) -> bool {
        match self.ids.get(name.as_str()) {
            Some(id) => !self.channels[id.index()].is_published(),
            None => self.derivation(name).is_ok(),
        }
    }

    /// What has been accepted on a channel is news to those derived from it.
    pub(super) fn tell_followers(&mut self, base: ChannelId, tick: &Tick<'_>, now: Now) {
        let Origin::Published(followers) = &self.channels[base.index()].origin else {
            return;
        };
        if followers.is_empty() {
            return;
        }
        // What was not asked for before this event is told with it.
        if self.schedule.is_ready() {
            self.touched = Touched::everywhere();
        } else {
            self.touched.clear();
            if let Tick::Book(update) = tick {
                self.touched.add(update);
            }
        }
        for id in followers.clone() {
            if let Origin::Derived(follower) = &mut self.channels[id.index()].origin {
                self.schedule.changed(id, follower, now.mono_ns);
            }
        }
    }

    /// Opens a channel on which nothing is said before somebody asks for it. It is declared with its first record.
    pub(super) fn open_dormant(
        &mut self,
        name: ChannelName<'_>,
        class: ChannelClass,
    ) -> Result<ChannelId, PublishError> {
        let channels_max =
            (self.tape.records() / limits::DERIVED_RECORDS_DIVISOR).min(limits::DERIVED_CHANNELS_MAX);
        let full = PublishError::DerivedChannels { channels_max };
        if self.derived >= channels_max {
            return Err(full);
        }
        let number = u32::try_from(self.channels.len()).map_err(|_| full)?;
        self.channels.push(Channel::dormant(name, class));
        self.derived += 1;
        Ok(ChannelId::new(number))
    }

    /// The first reading of a name of which there is a base that is published.
    fn derivation(&self, name: ChannelName<'_>) -> Result<(ChannelId, Derivation), DeriveError> {
        let mut error = DeriveError::Unknown;
        for reading in Reading::of(name) {
            let Some(&base) = self.ids.get(reading.base.as_str()) else {
                continue;
            };
            let channel = &self.channels[base.index()];
            // Of a channel without a message nothing follows.
            if !channel.is_published() || channel.seq == 0 {
                continue;
            }
            let derivation = reading.derivation(channel.class).map_err(DeriveError::Derivation);
            let offer = self.rules.offer();
            let offered = derivation.and_then(|derivation| {
                let offered = offer.check(derivation).map_err(DeriveError::NotOffered);
                offered.map(|()| derivation)
            });
            match offered {
                Ok(derivation) => return Ok((base, derivation)),
                Err(why) => error = why,
            }
        }
        Err(error)
    }

    /// Whether one more channel can be derived from `base`, and all states written beside those that there are.
    fn check_room(&self, base: ChannelId) -> Result<(), DeriveError> {
        match &self.channels[base.index()].origin {
            Origin::Published(followers) if followers.len() >= limits::DERIVED_PER_BASE_MAX => {
                Err(DeriveError::BaseFull)
            }
            // The last part is for those that grow.
            Origin::Published(_) | Origin::Derived(_) | Origin::Dormant
                if self.images[DERIVED].is_nearly_full() =>
            {
                Err(DeriveError::StatesFull)
            }
            Origin::Published(_) | Origin::Derived(_) | Origin::Dormant => Ok(()),
        }
    }

    /// Nothing of the channel is kept but its number.
    fn put_to_sleep(&mut self, id: ChannelId) {
        let channel = &mut self.channels[id.index()];
        channel.origin = Origin::Dormant;
        channel.book = Book::new();
        self.images[DERIVED].replace(&mut channel.image_bytes, Image::default());
    }

    /// Stages what a derived channel begins with: all that its base says now.
    fn stage_state(&mut self, id: ChannelId) -> Result<(), PublishError> {
        let follower = self.follower(id);
        if self.channels[id.index()].class == ChannelClass::Book {
            return self.stage_window(id, &follower);
        }
        self.stage_copy(id, &follower, false).map(|_| ())
    }

    /// Stages what has changed, if anything has. `at_once` says that this is due to the last event alone.
    fn stage_news(&mut self, id: ChannelId, at_once: bool) -> Result<bool, PublishError> {
        let follower = self.follower(id);
        if self.channels[id.index()].class != ChannelClass::Book {
            return self.stage_copy(id, &follower, true);
        }
        let everywhere = Touched::everywhere();
        let (shown, base) = (&self.channels[id.index()], &self.channels[follower.base.index()]);
        let touched = if at_once { &self.touched } else { &everywhere };
        self.changes
            .find(&shown.book, &base.book, follower.depth, touched);
        let (bids, asks) = self.changes.counts();
        if bids + asks == 0 {
            return Ok(false);
        }
        let entry = self.entry(id, RecordKind::Live, shown.seq + 1, base.ts_ns);
        if bids.max(asks) <= limits::BOOK_LEVELS_MAX {
            let changes = std::mem::take(&mut self.changes);
            let staged = self.stage_delta(entry, &changes.delta());
            self.changes = changes;
            match staged {
                Ok(()) => return Ok(true),
                // What a delta may make of the image is more than what the book takes if it is written anew.
                Err(PublishError::ImagesFull) => self.unstage(),
                Err(error) => return Err(error),
            }
        }
        self.stage_window(id, &follower).map(|()| true)
    }

    /// Stages a derived book as a snapshot.
    fn stage_window(&mut self, id: ChannelId, follower: &Follower) -> Result<(), PublishError> {
        let base = &self.channels[follower.base.index()];
        let entry = self.entry(
            id,
            RecordKind::State,
            self.channels[id.index()].seq + 1,
            base.ts_ns,
        );
        let mut changes = std::mem::take(&mut self.changes);
        let staged = self.stage_snapshot(entry, &changes.snapshot(&base.book, follower.depth));
        self.changes = changes;
        staged
    }

    /// Stages the newest message of the base, unless only `news` are and it says what was said last.
    fn stage_copy(&mut self, id: ChannelId, follower: &Follower, news: bool) -> Result<bool, PublishError> {
        let (own, base) = (&self.channels[id.index()], &self.channels[follower.base.index()]);
        let ts_ns = self.tape.record(base.newest).ts_ns;
        let entry = self.entry(id, RecordKind::State, own.seq + 1, ts_ns);
        // Copied, for what is printed next stands where they do.
        let text = text_of(self.tape.frame(NATIVE_JSON, base.newest)).to_vec();
        let mut levels = Vec::new();
        let tick = Input::parse(&text, &mut levels).map(|input| input.tick);
        let tick = tick.map_err(|_| PublishError::Unreadable)?;
        if news {
            let mut levels = Vec::new();
            let said = Input::parse(text_of(self.tape.frame(NATIVE_JSON, own.newest)), &mut levels);
            if said.is_ok_and(|said| is_same(&said.tick, &tick)) {
                return Ok(false);
            }
        }
        self.stage_alone(entry, &tick).map(|()| true)
    }

    fn follower(&self, id: ChannelId) -> Follower {
        match &self.channels[id.index()].origin {
            Origin::Derived(follower) => *follower,
            Origin::Published(_) | Origin::Dormant => unreachable!("only who is awake says something"),
        }
    }

    fn followers_mut(&mut self, base: ChannelId) -> &mut Vec<ChannelId> {
        match &mut self.channels[base.index()].origin {
            Origin::Published(followers) => followers,
            Origin::Derived(_) | Origin::Dormant => unreachable!("a base is published"),
        }
    }

    /// Checks that whoever is derived says what its base says, or is due to; and that what is counted is there.
    pub(super) fn derived_invariants(&self) {
        let (mut derived, mut due) = (0, 0);
        let mut changes = Changes::default();
        for (number, channel) in (0..).zip(&self.channels) {
            let (id, name) = (ChannelId::new(number), channel.name());
            derived += usize::from(!channel.is_published());
            let follower = match &channel.origin {
                Origin::Published(_) => continue,
                Origin::Dormant => {
                    assert!(channel.book.is_empty(), "{name} is dormant and takes nothing");
                    assert_eq!(
                        channel.image_bytes,
                        Image::default(),
                        "{name} is dormant and takes nothing"
                    );
                    continue;
                }
                Origin::Derived(follower) => follower,
            };
            let base = &self.channels[follower.base.index()];
            let Origin::Published(followers) = &base.origin else {
                panic!("the base of {name} is published");
            };
            assert!(followers.contains(&id), "{name} follows its base");
            assert!(self.schedule.holds(id, follower), "{name} stands where it says");
            due += usize::from(follower.is_due());
            changes.find(&channel.book, &base.book, follower.depth, &Touched::everywhere());
            assert!(
                changes.counts() == (0, 0) || follower.is_due(),
                "{name} is the window of its base, or due"
            );
        }
        assert_eq!(derived, self.derived, "derived channels are counted");
        assert_eq!(due, self.schedule.len(), "whoever is due is derived");
    }
}

impl fmt::Display for DeriveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no such channel"),
            Self::Derivation(error) => error.fmt(f),
            Self::NotOffered(refusal) => refusal.fmt(f),
            Self::BaseFull => write!(
                f,
                "{} channels are derived from this one already; name one of them",
                limits::DERIVED_PER_BASE_MAX
            ),
            Self::StatesFull => f.write_str("the states of derived channels fill their part of the tape"),
            Self::Publish(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DeriveError {}

/// Whether both say the same, written alike.
fn is_same(a: &Tick<'_>, b: &Tick<'_>) -> bool {
    let numbers = |quote: &Quote| [quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size];
    match (a, b) {
        (Tick::Quote(a), Tick::Quote(b)) => {
            let mut pairs = numbers(a).into_iter().zip(numbers(b));
            pairs.all(|(a, b)| a.same_text(b))
        }
        (Tick::Message(a), Tick::Message(b)) => a == b,
        _ => false,
    }
}
