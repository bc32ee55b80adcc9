//! Which records a client that is not live still wants, in tape order.
//!
//! Two things make them up. Of channels with an image, *joining* subscriptions want a [`chain`]: the newest image before
//! the join's end and what follows it, or only what they lack where that is less. It is found backwards along single
//! channels, and costs what it sends, however far back a quiet channel's image lies. Everything else is found by the
//! *scan*, forward from the client's place: every message that its subscriptions match. So a client that was blocked for a
//! moment is sent the same bytes in the same order as everybody; a newcomer is sent the state and then goes on; and one
//! that is far behind joins anew, and is sent the present state of channels that clients skip on, and every message of
//! the others.
//!
//! A message that is older than its channel's [terms](super::terms) allow when its turn comes ends the slice before it: what
//! becomes of the client then is the caller's to see to.
//!
//! Neither keeps anything per client: where they stopped is one position in the client's slot, before which it has
//! everything.

use super::client::{Client, Place};
use super::range::Range;
use super::subscription::{Mode, Subscription, Subscriptions};
use super::terms::{Flow, Limits, Policy};
use super::topic::TopicId;
use super::{Channel, Hub, UNLISTED};
use crate::base::{Key, Now};
use crate::limits;
use crate::tape::{ChannelId, Class, Position, Reader, Record, Span, Track};

/// One track of a pinned tape.
#[derive(Clone, Copy, Debug)]
struct TrackView<'a> {
    tape: &'a Reader,
    track: Track,
}

/// What is too old for a client that may be behind further than it should.
#[derive(Debug)]
struct Judge {
    limits: Limits,
    /// Whether it knows that it is behind.
    warned: bool,
}

/// Memory that the walks of all clients share; empty between them.
#[derive(Debug, Default)]
pub struct Wanted {
    positions: Vec<Position>,
    channels: Vec<Since>,
    /// What is wanted of everything stands in each of these.
    kinds: Vec<Since>,
}

/// From where on the scan takes the messages of channels of each [`Flow`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Since([Position; Flow::ALL.len()]);

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
    /// What keeps it from being sent anything, if that does.
    pub late: Option<Late>,
}

/// The next message for a client is older than its channel's terms allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// The channel.
    pub channel: ChannelId,
    /// When the message was published, in nanoseconds since the epoch.
    pub since_ns: u64,
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
    /// [`limits::SEND_PARTS_MAX`] ranges, so that one client cannot keep the others waiting. It also ends before a message that
    /// is too old at `now`; where that would be the first, the slice is empty and says so. Whoever joins is not judged.
    ///
    /// # Errors
    /// When the client was so slow to take the state that it joined with, that it is out of date and not on the tape any
    /// more. It skips to the present one: call again.
    pub fn catch_up(
        &mut self,
        key: Key,
        tape: &Reader,
        (wanted, ranges): (&mut Wanted, &mut Vec<Range>),
        now: Now,
    ) -> Result<Caught, Fallen> {
        let Client {
            subscriptions: mine,
            mut place,
            track,
            bounded,
            ..
        } = *self.client(key);
        self.client_mut(key).fresh = false;
        // Behind the end of a join every wish is older than the client's place.
        let bounded = bounded && !place.end.is_none();
        self.client_mut(key).bounded = bounded;
        wanted.positions.clear();
        let track = TrackView { tape, track };
        let mut rest = NEVER;
        if place.at < place.end {
            rest = self.gather(&mine, &place, &track, wanted).inspect_err(|_| {
                // Behind the image that has fallen there is a newer one, if not before the end of the join.
                self.client_mut(key).place.end = self.observed;
            })?;
        }
        let (before, gathered) = (place, wanted.positions.len());
        let judge = self.judge(key, &track, now);
        let mut slice = Slice::new(ranges);
        let scan_from = self.mark(&mine, &place, bounded, wanted);
        let late;
        (place.at, late) = self.walk(&place, (scan_from, rest), (&track, judge), wanted, &mut slice);
        self.unmark(&mine, wanted);
        if place.at >= place.end {
            place.end = Position::NONE;
        }
        let records = gathered + limits::CATCH_UP_RECORDS - slice.records;
        self.client_mut(key).place = place;
        Ok(Caught {
            before,
            records,
            late: late.filter(|_| slice.is_empty()),
        })
    }

    /// What is too old for the client `key`, if anything may be.
    fn judge(&self, key: Key, track: &TrackView<'_>, now: Now) -> Option<Judge> {
        let at = self.place_behind(key, track.tape)?;
        let oldest = (track.tape.record(at), track.span(at));
        let limits = self
            .terms
            .limits(now, track.tape.range(track.track).end, oldest)?;
        let warned = self.client(key).warned;
        Some(Judge { limits, warned })
    }

    /// Fills the slice with what was gathered and what the scan finds, in tape order; says where it stopped, and whether that
    /// was before something that is too old. What was gathered is complete up to `rest`.
    fn walk(
        &self,
        place: &Place,
        (scan_from, rest): (Position, Position),
        (track, judge): (&TrackView<'_>, Option<Judge>),
        wanted: &Wanted,
        slice: &mut Slice<'_>,
    ) -> (Position, Option<Late>) {
        let mut gathered = wanted.positions.iter().copied().peekable();
        while let Some(at) = gathered.next_if(|at| *at < scan_from) {
            if !slice.take(track.span(at)) {
                return (at, None);
            }
        }
        let end = self.cursor.max(place.end).min(rest);
        let mut at = scan_from.min(rest);
        while at < end && slice.records > 0 {
            let record = track.tape.record(at);
            let wants = gathered.next_if_eq(&at).is_some()
                || record.kind.is_live() && wanted.wants(record.channel, self.channel(record.channel), at);
            if wants {
                let span = track.span(at);
                if judge
                    .as_ref()
                    .is_some_and(|judge| judge.is_late(self.channel(record.channel), record, span))
                {
                    let (channel, since_ns) = (record.channel, record.pt_ns);
                    return (at, Some(Late { channel, since_ns }));
                }
                if !slice.take(span) {
                    break;
                }
            }
            slice.records -= 1;
            at = at.next();
        }
        (at, None)
    }

    /// Finds the first positions of the join, oldest first, from the client's place on, as many as a slice takes: for each
    /// channel whose state is wanted, what [`chain`] finds. That is where all subscriptions that match it want it, for
    /// whoever follows a channel has its state; or where one wants it once more. Says where the rest begins.
    fn gather(
        &self,
        mine: &Subscriptions,
        place: &Place,
        track: &TrackView<'_>,
        wanted: &mut Wanted,
    ) -> Result<Position, Fallen> {
        wanted.positions.clear();
        self.note_followed(mine, wanted);
        let (mut result, mut rest) = (Ok(()), NEVER);
        for subscription in self.pool.iter(mine) {
            let mode = subscription.wish().mode();
            if mode == Mode::Follow {
                continue;
            }
            let had = (mode == Mode::Skip).then(|| subscription.wish().floor(self.observed));
            for (id, channel) in self.matching(subscription.topic()) {
                let is_wanted = mode.wants_state(channel.flow())
                    && (mode == Mode::Snap || !wanted.wants(id, channel, Position::FIRST));
                if result.is_ok() && is_wanted {
                    result = chain(channel, (place, had), track, &mut wanted.positions);
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

    /// Notes as wanted from the first message on what some subscription needs no state of.
    pub(super) fn note_followed(&self, mine: &Subscriptions, wanted: &mut Wanted) {
        self.reserve(wanted);
        for subscription in self.pool.iter(mine) {
            let mode = subscription.wish().mode();
            let follows = |flow| {
                if mode.wants_state(flow) && mode != Mode::Snap {
                    NEVER
                } else {
                    Position::FIRST
                }
            };
            wanted.note(subscription.topic(), Since(Flow::ALL.map(follows)));
        }
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
            wanted.note(subscription.topic(), since);
            first = first.min(since.first());
        }
        place.at.max(first.min(self.observed))
    }

    fn since(&self, subscription: &Subscription, place: &Place) -> Since {
        let (floor, mode) = (
            subscription.wish().floor(self.observed),
            subscription.wish().mode(),
        );
        Since(Flow::ALL.map(|flow| {
            if mode.wants_every(flow) {
                floor
            } else {
                floor.max(place.end)
            }
        }))
    }

    fn reserve(&self, wanted: &mut Wanted) {
        wanted.channels.resize(self.channels.len(), Since::NEVER);
        wanted.kinds.resize(self.kinds.len(), Since::NEVER);
    }

    pub(super) fn unmark(&self, mine: &Subscriptions, wanted: &mut Wanted) {
        for subscription in self.pool.iter(mine) {
            wanted.forget(subscription.topic());
        }
    }
}

impl Wanted {
    /// The messages of the topic are wanted from there on.
    fn note(&mut self, topic: TopicId, since: Since) {
        match topic {
            TopicId::Channel(id) => self.channels[id.index()].add(since),
            TopicId::Kind(kind) => self.kinds[kind as usize].add(since),
            // What is derived is meant by its name alone.
            TopicId::All => {
                let kinds = self.kinds.iter_mut().skip(UNLISTED as usize + 1);
                kinds.for_each(|kind| kind.add(since));
            }
        }
    }

    /// Nothing is noted of the topic.
    fn forget(&mut self, topic: TopicId) {
        match topic {
            TopicId::Channel(id) => self.channels[id.index()] = Since::NEVER,
            TopicId::Kind(kind) => self.kinds[kind as usize] = Since::NEVER,
            TopicId::All => self.kinds.fill(Since::NEVER),
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
        let flow = channel.flow();
        let (named, kind) = (&self.channels[id.index()], &self.kinds[channel.kind() as usize]);
        named.of(flow).min(kind.of(flow))
    }
}

impl Since {
    const FIRST: Self = Self([Position::FIRST; Flow::ALL.len()]);
    const NEVER: Self = Self([NEVER; Flow::ALL.len()]);

    fn add(&mut self, other: Self) {
        for (since, other) in self.0.iter_mut().zip(other.0) {
            *since = other.min(*since);
        }
    }

    fn of(&self, flow: Flow) -> Position {
        self.0[flow as usize]
    }

    fn first(&self) -> Position {
        self.0.into_iter().min().unwrap_or(NEVER)
    }
}

impl Judge {
    /// Whether the message is older than its channel's terms allow. Whoever is sent everything is told so once.
    fn is_late(&self, channel: &Channel, record: &Record, span: Span) -> bool {
        self.limits.are_exceeded(channel.terms(), record, span)
            && !(self.warned && channel.policy() == Policy::Gap)
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

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Pushes the positions of `channel` that a client at `place` wants of it, whose state it wants and was not served yet: the
/// newest image before the join's end, and every message between the two. Nothing where the channel's class has no image.
/// A client that `had` everything before some position is sent the deltas since instead of the image and those behind it,
/// where these are fewer bytes.
fn chain(
    channel: &Channel,
    (place, had): (&Place, Option<Position>),
    track: &TrackView<'_>,
    positions: &mut Vec<Position>,
) -> Result<(), Fallen> {
    if channel.image().is_none() {
        return Ok(());
    }
    let (tape, is_book) = (track.tape, channel.class() == Class::Book);
    let mut at = channel.newest();
    if (!is_book || had.is_none())
        && at == channel.image()
        && tape.tail() <= at
        && place.at <= at
        && at < place.end
    {
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
                if !(is_book && had.is_some_and(|had| push_deltas(at, (place, had), track, positions))) {
                    positions.push(at);
                }
                return Ok(());
            }
            if record.kind.is_live() {
                positions.push(at);
            }
        } else if !record.kind.is_live() && record.previous < place.at && place.at <= tape.tail() {
            // It was written again: the image that the client was to be sent has fallen, if that is behind its place.
            let since_ns = tape.record(tape.tail()).pt_ns;
            return Err(Fallen { since_ns });
        }
        at = record.previous;
    }
    Ok(())
}

/// Pushes the positions of the messages from `had` up to the image of a book, as far as a client at `place` does not have
/// them, if all of them are fewer bytes than the image; says whether they are. Each slice of a join decides the same,
/// because nothing that is sent meanwhile changes it.
fn push_deltas(
    image: Position,
    (place, had): (&Place, Position),
    track: &TrackView<'_>,
    positions: &mut Vec<Position>,
) -> bool {
    let (tape, begun) = (track.tape, positions.len());
    let mut left = track.span(image).bytes;
    let mut at = tape.record(image).previous;
    // An image that is a message is one of them.
    let mut is_fewer = !tape.record(image).kind.is_live();
    while is_fewer && at >= had {
        is_fewer = at >= tape.tail();
        if is_fewer {
            let record = tape.record(at);
            if record.kind.is_live() {
                let bytes = track.span(at).bytes;
                is_fewer = bytes < left;
                left = left.saturating_sub(bytes);
                if at >= place.at {
                    positions.push(at);
                }
            }
            at = record.previous;
        }
    }
    if !is_fewer {
        positions.truncate(begun);
    }
    is_fewer
}

/// Behind every position.
pub(super) const NEVER: Position = Position::new(u64::MAX);

const _: () = assert!(limits::SEND_PARTS_MAX >= limits::RANGES_PER_TURN);
