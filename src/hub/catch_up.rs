//! Which records a client that is not live still wants, in tape order.
//!
//! Two things make them up. Of channels with an image, *joining* subscriptions want a [`chain`]: the newest image before
//! the join's end and what follows it, or only what they lack where that is less. It is found backwards along single
//! channels, and costs what it sends, however far back a quiet channel's image lies. Everything else is found by the
//! *scan*, forward from the client's place: every message that its subscriptions match. So a client that was blocked for a
//! moment is sent the same bytes in the same order as everybody; a newcomer is sent the state and then goes on; and one
//! that is far behind joins anew, and is sent every message of append channels and the present state of the others.
//!
//! Neither keeps anything per client: where they stopped is one position in the client's slot, before which it has
//! everything.

use super::client::{Client, Place};
use super::range::Range;
use super::subscription::{Subscription, Subscriptions};
use super::topic::TopicId;
use super::{Channel, Hub};
use crate::base::Key;
use crate::limits;
use crate::tape::{ChannelId, Class, Position, Reader, Span, Track};

/// One track of a pinned tape.
#[derive(Clone, Copy, Debug)]
struct TrackView<'a> {
    tape: &'a Reader,
    track: Track,
}

/// Memory that the walks of all clients share; empty between them.
#[derive(Debug, Default)]
pub struct Wanted {
    positions: Vec<Position>,
    channels: Vec<Since>,
    kinds: Vec<Since>,
    all: Since,
}

/// From where on the scan takes the messages of channels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Since {
    /// Of append channels.
    append: Position,
    /// Of those with an image.
    image: Position,
}

/// How far a slice may go, and how far it went.
#[derive(Debug)]
struct Slice<'a> {
    ranges: &'a mut Vec<Range>,
    first: usize,
    records: usize,
    bytes: usize,
}

/// What a slice came to.
#[derive(Clone, Copy, Debug)]
pub struct Caught {
    /// Where the client stood before: see [`Hub::step_back`].
    pub before: Place,
    /// How many records were looked at.
    pub records: usize,
}

/// The tape has let go of the state that a client that joins was being sent.
#[derive(Clone, Copy, Debug)]
pub struct Fallen {
    /// When the oldest record was published that the client may not have been sent, in nanoseconds since the epoch.
    pub since_ns: u64,
}

impl Hub {
    /// Appends to `ranges` the next slice of what the client `key` wants of its track, and moves its place behind it.
    ///
    /// A slice ends after [`limits::CATCH_UP_RECORDS`] records, [`limits::CATCH_UP_BYTES`] bytes or
    /// [`limits::SEND_PARTS_MAX`] ranges, so that one client cannot keep the others waiting.
    ///
    /// # Errors
    /// When the client was so slow to take the state that it joined with, that it is out of date and not on the tape any
    /// more. It skips to the present one: call again.
    pub fn catch_up(
        &mut self,
        key: Key,
        tape: &Reader,
        wanted: &mut Wanted,
        ranges: &mut Vec<Range>,
    ) -> Result<Caught, Fallen> {
        let Client {
            subscriptions: mine,
            mut place,
            track,
            bounded,
            ..
        } = *self.client(key);
        self.client_mut(key).fresh = false;
        wanted.positions.clear();
        let mut rest = NEVER;
        if place.at < place.end {
            rest = self.gather(&mine, &place, tape, wanted).inspect_err(|_| {
                // Behind the image that has fallen there is a newer one, if not before the end of the join.
                self.client_mut(key).place.end = self.observed;
            })?;
        }
        let (before, gathered) = (place, wanted.positions.len());
        let track = TrackView { tape, track };
        let mut slice = Slice::new(ranges);
        let scan_from = self.mark(&mine, &place, bounded, wanted);
        place.at = self.walk(&place, (scan_from, rest), &track, wanted, &mut slice);
        self.unmark(&mine, wanted);
        if place.at >= place.end {
            place.end = Position::NONE;
        }
        let records = gathered + limits::CATCH_UP_RECORDS - slice.records;
        self.client_mut(key).place = place;
        Ok(Caught { before, records })
    }

    /// Fills the slice with what was gathered and what the scan finds, in tape order; says where it stopped. What was
    /// gathered is complete up to `rest`.
    fn walk(
        &self,
        place: &Place,
        (scan_from, rest): (Position, Position),
        track: &TrackView<'_>,
        wanted: &Wanted,
        slice: &mut Slice<'_>,
    ) -> Position {
        let mut gathered = wanted.positions.iter().copied().peekable();
        while let Some(at) = gathered.next_if(|at| *at < scan_from) {
            if !slice.take(track.span(at)) {
                return at;
            }
        }
        let end = self.cursor.max(place.end).min(rest);
        let mut at = scan_from.min(rest);
        while at < end && slice.records > 0 {
            let record = track.tape.record(at);
            let wants = gathered.next_if_eq(&at).is_some()
                || record.kind.is_live() && wanted.wants(record.channel, self.channel(record.channel), at);
            if wants && !slice.take(track.span(at)) {
                break;
            }
            slice.records -= 1;
            at = at.next();
        }
        at
    }

    /// Finds the first positions of the join, oldest first, from the client's place on, as many as a slice takes: for each
    /// channel that only joining subscriptions match, what [`chain`] finds. Says where the rest begins.
    fn gather(
        &self,
        mine: &Subscriptions,
        place: &Place,
        tape: &Reader,
        wanted: &mut Wanted,
    ) -> Result<Position, Fallen> {
        wanted.positions.clear();
        self.reserve(wanted);
        for subscription in self.pool.iter(mine).filter(|entry| !entry.wish().joins()) {
            *wanted.topic(subscription.topic()) = Since::FIRST;
        }
        let (mut result, mut rest) = (Ok(()), NEVER);
        for subscription in self.pool.iter(mine).filter(|entry| entry.wish().joins()) {
            for (id, channel) in self.matching(subscription.topic()) {
                if result.is_ok() && !wanted.wants(id, channel, Position::FIRST) {
                    result = chain(channel, place, tape, &mut wanted.positions);
                    if wanted.positions.len() >= 2 * limits::CATCH_UP_RECORDS {
                        rest = rest.min(wanted.keep_first());
                    }
                }
            }
        }
        self.unmark(mine, wanted);
        if wanted.positions.len() > limits::CATCH_UP_RECORDS {
            rest = rest.min(wanted.keep_first());
        }
        wanted.positions.sort_unstable();
        wanted.positions.dedup();
        // Overlapping subscriptions find a position more than once, and not all of it may have been kept.
        wanted.positions.retain(|at| *at < rest);
        result.map(|()| rest)
    }

    fn matching(&self, topic: TopicId) -> impl Iterator<Item = (ChannelId, &Channel)> + '_ {
        let (first, end) = match topic {
            TopicId::Channel(id) => (id.index(), id.index() + 1),
            TopicId::Kind(_) | TopicId::All => (0, self.channels.len()),
        };
        let ids = (0..).map(ChannelId::new).skip(first);
        ids.zip(&self.channels[first..end])
            .filter(move |(_, channel)| match topic {
                TopicId::Channel(_) => true,
                TopicId::Kind(kind) => channel.kind() == kind,
                TopicId::All => channel.is_listed(),
            })
    }

    /// Notes what the scan takes for each of the client's subscriptions. Says where it begins.
    pub(super) fn mark(
        &self,
        mine: &Subscriptions,
        place: &Place,
        bounded: bool,
        wanted: &mut Wanted,
    ) -> Position {
        self.reserve(wanted);
        let mut first = NEVER;
        for subscription in self.pool.iter(mine) {
            let since = if bounded {
                self.since(subscription, place)
            } else {
                Since::FIRST
            };
            wanted.topic(subscription.topic()).add(since);
            first = first.min(since.append.min(since.image));
        }
        place.at.max(first.min(self.observed))
    }

    fn since(&self, subscription: &Subscription, place: &Place) -> Since {
        let wish = subscription.wish();
        let floor = wish.floor(self.observed);
        let image = if wish.joins() { floor.max(place.end) } else { floor };
        Since { append: floor, image }
    }

    fn reserve(&self, wanted: &mut Wanted) {
        wanted.channels.resize(self.channels.len(), Since::NEVER);
        wanted.kinds.resize(self.kinds.len(), Since::NEVER);
    }

    pub(super) fn unmark(&self, mine: &Subscriptions, wanted: &mut Wanted) {
        for subscription in self.pool.iter(mine) {
            *wanted.topic(subscription.topic()) = Since::NEVER;
        }
    }
}

impl Wanted {
    fn topic(&mut self, topic: TopicId) -> &mut Since {
        match topic {
            TopicId::Channel(id) => &mut self.channels[id.index()],
            TopicId::Kind(kind) => &mut self.kinds[kind as usize],
            TopicId::All => &mut self.all,
        }
    }

    /// Keeps the first positions, as many as a slice takes, and says which the first of the others is.
    fn keep_first(&mut self) -> Position {
        let (_, &mut rest, _) = self.positions.select_nth_unstable(limits::CATCH_UP_RECORDS);
        self.positions.truncate(limits::CATCH_UP_RECORDS);
        rest
    }

    /// Whether the scan takes the message of the channel at `at`.
    fn wants(&self, id: ChannelId, channel: &Channel, at: Position) -> bool {
        self.since(id, channel) <= at
    }

    /// From where on the scan takes messages of the channel; [`NEVER`] when it takes none.
    pub(super) fn since(&self, id: ChannelId, channel: &Channel) -> Position {
        let all = if channel.is_listed() {
            self.all
        } else {
            Since::NEVER
        };
        let all = [
            all,
            self.channels[id.index()],
            self.kinds[channel.kind() as usize],
        ];
        let since = all.map(|since| match channel.class() {
            Class::Append => since.append,
            Class::Replace | Class::Book => since.image,
        });
        since[0].min(since[1]).min(since[2])
    }
}

impl Since {
    const FIRST: Self = Self {
        append: Position::FIRST,
        image: Position::FIRST,
    };
    const NEVER: Self = Self {
        append: NEVER,
        image: NEVER,
    };

    fn add(&mut self, other: Self) {
        self.append = self.append.min(other.append);
        self.image = self.image.min(other.image);
    }
}

impl Default for Since {
    fn default() -> Self {
        Self::NEVER
    }
}

impl TrackView<'_> {
    fn span(&self, at: Position) -> Span {
        self.tape.span(self.track, at)
    }
}

impl<'a> Slice<'a> {
    fn new(ranges: &'a mut Vec<Range>) -> Self {
        let first = ranges.len();
        Self {
            ranges,
            first,
            records: limits::CATCH_UP_RECORDS,
            bytes: limits::CATCH_UP_BYTES,
        }
    }

    /// Takes one record's bytes; `false` when the slice is full. An empty slice takes any record.
    fn take(&mut self, span: Span) -> bool {
        let bytes = span.bytes as usize;
        if self.ranges.len() > self.first {
            if bytes > self.bytes {
                return false;
            }
            if let Some(last) = self.ranges[self.first..].last_mut()
                && last.extend(span)
            {
                self.bytes -= bytes;
                return true;
            }
            if self.len() == limits::SEND_PARTS_MAX {
                return false;
            }
        }
        if bytes > 0 {
            self.ranges.push(span.into());
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        true
    }

    fn len(&self) -> usize {
        self.ranges.len() - self.first
    }
}

/// Pushes the positions of `channel` that a client at `place` wants of it, as one that joins and was not served them yet:
/// the newest image before the join's end, and every message between the two. Nothing where the channel's class has no
/// image.
fn chain(
    channel: &Channel,
    place: &Place,
    tape: &Reader,
    positions: &mut Vec<Position>,
) -> Result<(), Fallen> {
    if channel.image().is_none() {
        return Ok(());
    }
    let mut at = channel.newest();
    if at == channel.image() && tape.tail() <= at && place.at <= at && at < place.end {
        // Nothing has come since: no need to look at the tape, where these are far apart.
        positions.push(at);
        return Ok(());
    }
    while at >= place.at {
        if at < tape.tail() {
            let since_ns = tape.record(tape.tail()).pt_ns;
            return Err(Fallen { since_ns });
        }
        let record = tape.record(at);
        if at < place.end {
            if record.kind.is_image() {
                positions.push(at);
                return Ok(());
            }
            if record.kind.is_live() {
                positions.push(at);
            }
        }
        at = record.previous;
    }
    Ok(())
}

/// Behind every position.
pub(super) const NEVER: Position = Position::new(u64::MAX);

const _: () = assert!(limits::SEND_PARTS_MAX >= limits::RANGES_PER_TURN);
