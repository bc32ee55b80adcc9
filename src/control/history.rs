//! How far back the tape reaches: of each channel, the oldest message that a client can still be sent.
//!
//! Nothing is kept of it while messages are published: whoever asks has the tape's index walked once, on the control
//! thread, from the head backwards. Never holds the writer up: a pin lasts for a bounded number of records.
//!
//! Invariant: what is known is what a `since` would have found when the last slice of a walk was read that saw everything.

use std::cmp::Reverse;
use std::fmt;

use crate::base::Now;
use crate::limits;
use crate::tape::{ChannelId, Position, Reader};

/// The control thread's view of the tape.
#[derive(Debug)]
pub struct History {
    reader: Reader,
    walk: Walk,
    /// What the last walk found that saw everything.
    known: Vec<Seen>,
    /// When that was finished last, in the nanoseconds of the monotonic clock.
    walked_ns: Option<u64>,
}

/// One channel's messages on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon<'a> {
    /// Its name.
    pub channel: &'a str,
    /// The number of its newest message; 0 before the first.
    pub newest_seq: u64,
    /// The oldest message that is on the tape. `None` when all have left it: then there is its state, and where it has no
    /// such thing, its number.
    pub oldest: Option<Oldest>,
}

/// A message that a client can still be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    /// Its number within its channel.
    pub seq: u64,
    /// When it was published, in nanoseconds since the epoch.
    pub pt_ns: u64,
    position: Position,
}

impl History {
    /// What this reader sees. It is pinned only while the tape is walked.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            walk: Walk::default(),
            known: Vec::new(),
            walked_ns: None,
        }
    }

    /// Walks the tape, letting other tasks run between slices.
    pub async fn walk(&mut self, now: Now) {
        self.walk_by(limits::HISTORY_RECORDS_PER_PIN, now).await;
    }

    /// The same by so many records under one pin.
    async fn walk_by(&mut self, records_max: usize, now: Now) {
        self.walk.begin();
        let mut slices = 0;
        let is_whole = loop {
            if self.walk.slice(&mut self.reader, records_max) {
                break true;
            }
            slices += 1;
            if slices > self.walk.slices_max(records_max) {
                break false;
            }
            tokio::task::yield_now().await;
        };
        if is_whole {
            self.known.clone_from(&self.walk.channels);
        } else {
            // What was found before has to do, but for numbers.
            self.known.resize(self.walk.channels.len(), Seen::default());
            for (known, seen) in self.known.iter_mut().zip(&self.walk.channels) {
                known.newest_seq = seen.newest_seq;
            }
        }
        self.walked_ns = Some(now.mono_ns);
    }

    /// The same, unless it was done a moment ago.
    pub async fn refresh(&mut self, now: Now) {
        let is_fresh =
            |walked_ns| now.mono_ns.saturating_sub(walked_ns) < limits::HISTORY_FRESH_MS * 1_000_000;
        if !self.walked_ns.is_some_and(is_fresh) {
            self.walk(now).await;
        }
    }

    /// Of each channel the messages that are on the tape, in the order in which channels were opened.
    pub fn horizons(&self) -> impl ExactSizeIterator<Item = Horizon<'_>> {
        let channels = self.known.iter().enumerate();
        channels.map(|(channel, seen)| Horizon {
            channel: self.reader.channel(id(channel)).name,
            newest_seq: seen.newest_seq,
            oldest: seen.oldest,
        })
    }

    /// How many records are on the tape.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.walk.records
    }

    /// How many have left it.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.walk.retired
    }

    /// When the oldest message on the tape was published; `None` when there is none.
    #[must_use]
    pub fn reach_ns(&self) -> Option<u64> {
        let oldest = self.known.iter().filter_map(|seen| seen.oldest);
        oldest.map(|oldest| oldest.pt_ns).min()
    }

    /// Says in the log how far back the tape reaches, and of the channels with the shortest history how far that does.
    pub fn report(&self, now: Now) {
        let ago = |pt_ns: u64| Seconds(now.wall_ns.saturating_sub(pt_ns));
        let mut horizons: Vec<Horizon<'_>> = self.horizons().collect();
        let (records, channels) = (self.records(), horizons.len());
        match self.reach_ns() {
            Some(pt_ns) => tracing::info!(
                "history: {records} records of {channels} channels, back to {} ago",
                ago(pt_ns)
            ),
            None => tracing::info!("history: {records} records of {channels} channels, no message"),
        }
        // Those of whom nothing is left first, then the latest beginning.
        horizons.sort_by_key(|horizon| horizon.oldest.map(|oldest| Reverse(oldest.pt_ns)));
        for horizon in horizons.iter().take(limits::HISTORY_LINES_MAX) {
            let Horizon {
                channel,
                newest_seq,
                oldest,
            } = horizon;
            match oldest {
                Some(Oldest { seq, pt_ns, .. }) => tracing::info!(
                    "history: {channel}: messages {seq} to {newest_seq}, back to {} ago",
                    ago(*pt_ns)
                ),
                None => tracing::info!("history: {channel}: none of {newest_seq} messages"),
            }
        }
        let more = channels.saturating_sub(limits::HISTORY_LINES_MAX);
        if more > 0 {
            tracing::info!("history: and {more} channels that reach further back");
        }
    }
}

/// What has been seen of the tape: all from `low` up to `high`, and of that what has not left it since.
#[derive(Debug, Default)]
struct Walk {
    low: Position,
    high: Position,
    channels: Vec<Seen>,
    records: u64,
    retired: u64,
}

/// What has been seen of a channel.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    newest_seq: u64,
    oldest: Option<Oldest>,
}

impl Walk {
    /// Forgets what was seen, but for numbers, which only grow.
    fn begin(&mut self) {
        (self.low, self.high) = (Position::NONE, Position::NONE);
        for seen in &mut self.channels {
            seen.oldest = None;
        }
    }

    /// Reads at most so many records under one pin. Says whether all that is on the tape has been seen then.
    ///
    /// The walk goes down to the tail, because what the tail passes meanwhile need not be read. What is appended
    /// meanwhile is taken in first: a channel's only record may have gone from the one end to the other.
    fn slice(&mut self, reader: &mut Reader, records_max: usize) -> bool {
        reader.pin();
        let (tail, head) = (reader.tail(), reader.head());
        self.records = head.number() - tail.number();
        self.retired = tail.number() - Position::FIRST.number();
        self.channels.resize(reader.channels() as usize, Seen::default());
        if self.high.is_none() || self.is_overtaken(tail) {
            self.begin();
            (self.low, self.high) = (head, head);
        }
        (self.low, self.high) = (self.low.max(tail), self.high.max(tail));
        let mut left = records_max;
        while self.high < head && left > 0 {
            self.see(reader, self.high);
            self.high = self.high.next();
            left -= 1;
        }
        while self.low > tail && left > 0 {
            self.low = Position::new(self.low.number() - 1);
            self.see(reader, self.low);
            left -= 1;
        }
        reader.leave();
        self.low == tail && self.high == head
    }

    fn see(&mut self, reader: &Reader, position: Position) {
        let record = reader.record(position);
        let seen = &mut self.channels[record.channel.index()];
        seen.newest_seq = seen.newest_seq.max(record.seq);
        let is_older = seen.oldest.is_none_or(|oldest| position < oldest.position);
        if record.kind.is_live() && is_older {
            seen.oldest = Some(Oldest {
                seq: record.seq,
                pt_ns: record.pt_ns,
                position,
            });
        }
    }

    /// Whether a channel's oldest message has left the tape since it was seen, so that which one is the oldest now is not
    /// known. The writer comes that far between two slices only where few were left to be read.
    fn is_overtaken(&self, tail: Position) -> bool {
        let has_left = |seen: &Seen| seen.oldest.is_some_and(|oldest| oldest.position < tail);
        self.low < tail && self.channels.iter().any(has_left)
    }

    /// After so many slices what was seen has to do.
    fn slices_max(&self, records_max: usize) -> u64 {
        limits::HISTORY_WALKS_MAX * (self.records / records_max as u64 + 1)
    }
}

/// What a channel costs here: what is known of it, and what a walk has seen.
pub(super) const CHANNEL_BYTES: usize = 2 * size_of::<Seen>();

fn id(channel: usize) -> ChannelId {
    ChannelId::new(u32::try_from(channel).expect("channels are numbered in 32 bits"))
}

/// So many nanoseconds, as seconds with one decimal.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 / 100_000_000;
        write!(f, "{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests;
