//! Which records a client that is not live still wants, in tape order.
//!
//! Two walks serve every case. The *scan* goes forward from the client's cursor and keeps what its
//! subscriptions match: it serves a client that was blocked, whose streams are then the same bytes in the same
//! order as everybody's. The *join* goes backwards along single channels, from the newest record to the image
//! that stands for all before it: it serves new subscriptions, and costs what it sends, however far back a quiet
//! channel's image lies. A client has at most one join at a time; it is served before the scan goes on.
//!
//! Neither walk keeps anything per client: where a walk stopped is a position in the client's slot.

use super::client::{Client, NEVER, Place};
use super::range::Range;
use super::subscription::{Subscription, Subscriptions};
use super::topic::TopicId;
use super::{Channel, Hub};
use crate::base::Key;
use crate::limits;
use crate::tape::{ChannelId, Position, Reader, Span, Track};

/// A record that the client wanted is not on the tape any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The name of its channel.
    pub channel: Box<str>,
}

/// What a slice came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caught {
    /// How many of its ranges belong to the join.
    pub joined: usize,
    /// How many records were looked at.
    pub records: usize,
}

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
    channels: Vec<bool>,
    kinds: Vec<bool>,
    all: bool,
}

/// How far a slice may go, and how far it went.
#[derive(Debug)]
struct Slice<'a> {
    ranges: &'a mut Vec<Range>,
    first: usize,
    /// Ranges before this one are not extended.
    part: usize,
    records: usize,
    bytes: usize,
}

impl Hub {
    /// Appends to `ranges` the next slice of what the client `key` wants of its track, moves its place behind it,
    /// and says what it came to.
    ///
    /// A slice ends after [`limits::CATCH_UP_RECORDS`] records, [`limits::CATCH_UP_BYTES`] bytes or
    /// [`limits::SEND_PARTS_MAX`] ranges, so that one client cannot keep the others waiting.
    ///
    /// # Errors
    /// When the tape has let go of a record that the client still wanted; nothing is appended then.
    pub fn catch_up(
        &mut self,
        key: Key,
        tape: &Reader,
        wanted: &mut Wanted,
        ranges: &mut Vec<Range>,
    ) -> Result<Caught, Lost> {
        let Client {
            subscriptions: mine,
            mut place,
            track,
            ..
        } = *self.client(key);
        let track = TrackView { tape, track };
        let (mut rest, mut records) = (NEVER, 0);
        if place.join_next != NEVER {
            rest = self.gather(&mine, &place, tape, wanted)?;
            records = wanted.positions.len();
        }
        self.check_scan(&mine, &mut place, tape)?;
        let mut slice = Slice::new(ranges);
        if place.join_next != NEVER {
            let full_at = wanted
                .positions
                .iter()
                .copied()
                .find(|&at| !slice.take(track.span(at)));
            place.join_next = full_at.unwrap_or(rest);
        }
        let joined = slice.end_part();
        if place.join_next == NEVER {
            self.mark(&mine, wanted, |_| true);
            place.cursor = self.scan(place.cursor, &track, wanted, &mut slice);
            self.unmark(&mine, wanted);
        }
        records += limits::CATCH_UP_RECORDS - slice.records;
        self.client_mut(key).place = place;
        Ok(Caught { joined, records })
    }

    /// Whether all that the client `key` still wants is on the tape.
    ///
    /// # Errors
    /// When something is not.
    pub fn check_lost(&self, key: Key, tape: &Reader, wanted: &mut Wanted) -> Result<(), Lost> {
        let Client {
            subscriptions: mine,
            mut place,
            ..
        } = *self.client(key);
        if place.join_next != NEVER {
            let _rest = self.gather(&mine, &place, tape, wanted)?;
        }
        self.check_scan(&mine, &mut place, tape)
    }

    fn scan(
        &self,
        from: Position,
        track: &TrackView<'_>,
        wanted: &Wanted,
        slice: &mut Slice<'_>,
    ) -> Position {
        let mut at = from;
        while at < self.cursor && slice.records > 0 {
            let record = track.tape.record(at);
            let channel = self.channel(record.channel);
            let wants = record.kind.is_live() && wanted.wants(record.channel, channel);
            if wants && !slice.take(track.span(at)) {
                break;
            }
            slice.records -= 1;
            at = at.next();
        }
        at
    }

    /// Finds the first positions of the join, oldest first, from `place.join_next` on, as many as a slice takes: for each
    /// channel that only the joining subscriptions match, what [`chain`] finds. Says where the rest begins.
    fn gather(
        &self,
        mine: &Subscriptions,
        place: &Place,
        tape: &Reader,
        wanted: &mut Wanted,
    ) -> Result<Position, Lost> {
        wanted.positions.clear();
        self.mark(mine, wanted, |subscription| !subscription.joining());
        let (mut result, mut rest) = (Ok(()), NEVER);
        for subscription in self.pool.iter(mine).filter(|subscription| subscription.joining()) {
            for (id, channel) in self.matching(subscription.topic()) {
                if result.is_ok() && !wanted.wants(id, channel) {
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

    /// Moves a scan that the tape has overtaken to the tail, if nothing that it wanted was between the two.
    fn check_scan(&self, mine: &Subscriptions, place: &mut Place, tape: &Reader) -> Result<(), Lost> {
        if place.cursor >= tape.tail() {
            return Ok(());
        }
        for subscription in self.pool.iter(mine) {
            for (_, channel) in self.matching(subscription.topic()) {
                if fell_since(channel, place.cursor, tape) {
                    return Err(Lost {
                        channel: channel.name().into(),
                    });
                }
            }
        }
        place.cursor = tape.tail();
        Ok(())
    }

    fn matching(&self, topic: TopicId) -> impl Iterator<Item = (ChannelId, &Channel)> + '_ {
        let (first, end, kind) = match topic {
            TopicId::Channel(id) => (id.index(), id.index() + 1, None),
            TopicId::Kind(kind) => (0, self.channels.len(), Some(kind)),
            TopicId::All => (0, self.channels.len(), None),
        };
        let ids = (0..).map(ChannelId::new).skip(first);
        ids.zip(&self.channels[first..end])
            .filter(move |(_, channel)| kind.is_none_or(|kind| channel.kind() == kind))
    }

    /// Notes what those of the client's subscriptions want that pass `which`.
    fn mark(&self, mine: &Subscriptions, wanted: &mut Wanted, which: impl Fn(&Subscription) -> bool) {
        wanted.channels.resize(self.channels.len(), false);
        wanted.kinds.resize(self.kinds.len(), false);
        for subscription in self.pool.iter(mine).filter(|subscription| which(subscription)) {
            *wanted.topic(subscription.topic()) = true;
        }
    }

    fn unmark(&self, mine: &Subscriptions, wanted: &mut Wanted) {
        for subscription in self.pool.iter(mine) {
            *wanted.topic(subscription.topic()) = false;
        }
    }
}

impl Wanted {
    fn topic(&mut self, topic: TopicId) -> &mut bool {
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

    fn wants(&self, id: ChannelId, channel: &Channel) -> bool {
        self.all || self.channels[id.index()] || self.kinds[channel.kind() as usize]
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
            part: first,
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
            if let Some(last) = self.ranges[self.part..].last_mut()
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

    /// Says how many ranges there are, and keeps what follows apart from them: a cut is in the one or the other.
    fn end_part(&mut self) -> usize {
        self.part = self.ranges.len();
        self.len()
    }
}

/// Pushes the positions of `channel` that a client joining at `place` wants and was not served yet: the newest
/// image before it joined, and every live record between the two.
fn chain(channel: &Channel, place: &Place, tape: &Reader, positions: &mut Vec<Position>) -> Result<(), Lost> {
    if channel.image().is_none() {
        return Ok(());
    }
    let mut at = channel.newest();
    if at == channel.image() && tape.tail() <= at && place.join_next <= at && at < place.cursor {
        // Nothing has come since: no need to look at the tape, where these are far apart.
        positions.push(at);
        return Ok(());
    }
    while at >= place.join_next {
        if at < tape.tail() {
            return Err(Lost {
                channel: channel.name().into(),
            });
        }
        let record = tape.record(at);
        if at < place.cursor {
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

/// Whether a record of `channel` at or behind `since` has fallen off the tape. An image or a mark that fell
/// counts, for what stood before it is not known any more.
fn fell_since(channel: &Channel, since: Position, tape: &Reader) -> bool {
    let mut at = channel.newest();
    while at >= tape.tail() {
        at = tape.record(at).previous;
    }
    at >= since
}

const _: () = assert!(limits::SEND_PARTS_MAX >= limits::RANGES_PER_TURN);
