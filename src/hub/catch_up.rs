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
    channels_from: Vec<Position>,
    kinds_from: Vec<Position>,
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
    /// and says how many of the ranges belong to the join.
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
    ) -> Result<usize, Lost> {
        let Client {
            subscriptions: mine,
            mut place,
            track,
            ..
        } = *self.client(key);
        let track = TrackView { tape, track };
        if place.join_next != NEVER {
            self.gather(&mine, &place, tape, wanted)?;
        }
        self.check_scan(&mine, &mut place, tape)?;
        let mut slice = Slice::new(ranges);
        if place.join_next != NEVER {
            let full_at = wanted
                .positions
                .iter()
                .copied()
                .find(|&at| !slice.take(track.span(at)));
            place.join_next = full_at.unwrap_or(NEVER);
        }
        let joined = slice.end_part();
        if place.join_next == NEVER {
            self.mark(&mine, wanted, |subscription| {
                if subscription.joining() {
                    place.joined_at
                } else {
                    Position::FIRST
                }
            });
            place.cursor = self.scan(place.cursor, &track, wanted, &mut slice);
            self.unmark(&mine, wanted);
        }
        self.client_mut(key).place = place;
        Ok(joined)
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
            self.gather(&mine, &place, tape, wanted)?;
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
            if record.kind.is_live()
                && at >= wanted.from(record.channel, channel)
                && !slice.take(track.span(at))
            {
                break;
            }
            slice.records -= 1;
            at = at.next();
        }
        at
    }

    /// Finds the positions of the join, oldest first, from `place.join_next` on: for each channel that only the
    /// joining subscriptions match, what [`chain`] finds.
    fn gather(
        &self,
        mine: &Subscriptions,
        place: &Place,
        tape: &Reader,
        wanted: &mut Wanted,
    ) -> Result<(), Lost> {
        wanted.positions.clear();
        self.mark(mine, wanted, |subscription| {
            if subscription.joining() {
                NEVER
            } else {
                Position::FIRST
            }
        });
        let mut result = Ok(());
        for subscription in self.pool.iter(mine).filter(|subscription| subscription.joining()) {
            for (id, channel) in self.matching(subscription.topic()) {
                        if result.is_ok() && wanted.from(id, channel) == NEVER {
                    result = chain(channel, place, tape, &mut wanted.positions);
                }
            }
        }
        self.unmark(mine, wanted);
        wanted.positions.sort_unstable();
        wanted.positions.dedup();
        result
    }

    /// Moves a scan that the tape has overtaken to the tail, if nothing that it wanted was between the two.
    fn check_scan(&self, mine: &Subscriptions, place: &mut Place, tape: &Reader) -> Result<(), Lost> {
        if place.cursor >= tape.tail() {
            return Ok(());
        }
        for subscription in self.pool.iter(mine) {
            let since = if subscription.joining() {
                place.cursor.max(place.joined_at)
            } else {
                place.cursor
            };
            for (_, channel) in self.matching(subscription.topic()) {
                if fell_since(channel, since, tape) {
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

    fn mark(&self, mine: &Subscriptions, wanted: &mut Wanted, from: impl Fn(&Subscription) -> Position) {
        wanted.channels_from.resize(self.channels.len(), NEVER);
        wanted.kinds_from.resize(self.kinds.len() + 1, NEVER);
        for subscription in self.pool.iter(mine) {
            let mark = wanted.mark(subscription.topic());
            *mark = (*mark).min(from(subscription));
        }
    }

    fn unmark(&self, mine: &Subscriptions, wanted: &mut Wanted) {
        for subscription in self.pool.iter(mine) {
            *wanted.mark(subscription.topic()) = NEVER;
        }
    }
}

impl Wanted {
    /// Where the wish for a topic begins; [`NEVER`] for no wish.
    fn mark(&mut self, topic: TopicId) -> &mut Position {
        match topic {
            TopicId::Channel(id) => &mut self.channels_from[id.index()],
            TopicId::Kind(kind) => &mut self.kinds_from[kind as usize + 1],
            TopicId::All => &mut self.kinds_from[0],
        }
    }

    fn from(&self, id: ChannelId, channel: &Channel) -> Position {
        self.channels_from[id.index()]
            .min(self.kinds_from[channel.kind() as usize + 1])
            .min(self.kinds_from[0])
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
    while at >= place.join_next {
        if at < tape.tail() {
            return Err(Lost {
                channel: channel.name().into(),
            });
        }
        let record = tape.record(at);
        if at < place.joined_at {
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
