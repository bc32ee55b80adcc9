//! How far back the tape reaches: of each channel, the oldest message that a client can still be sent.
//!
//! Nothing is kept for this: whoever asks has the tape's index walked once. Invariant: what is reported is what a `since` would find.

use super::sequencer::Sequencer;
use crate::base::Now;
use crate::limits;
use crate::tape::ChannelId;

/// One channel's messages on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon<'a> {
    /// Its name.
    pub channel: &'a str,
    /// The number of its newest message; 0 before the first.
    pub newest_seq: u64,
    /// The number of the oldest message that is on the tape, and when that was published, in nanoseconds since the epoch.
    /// `None` when all have left it: then there is its state, and where it has no such thing, its number.
    pub oldest: Option<(u64, u64)>,
}

impl Sequencer {
    /// Of each channel the messages that are on the tape.
    #[must_use]
    pub fn horizons(&self) -> Vec<Horizon<'_>> {
        let mut oldest = vec![None; self.channels()];
        let tape = self.tape();
        let mut at = tape.tail();
        while at < tape.head() {
            let record = tape.record(at);
            if record.kind.is_live() {
                oldest[record.channel.index()].get_or_insert((record.seq, record.pt_ns));
            }
            at = at.next();
        }
        let channels = (0..).map(ChannelId::new).zip(oldest);
        let horizons = channels.map(|(channel, oldest)| Horizon {
            channel: self.name(channel),
            newest_seq: self.seq(channel),
            oldest,
        });
        horizons.collect()
    }

    /// Says in the log how far back the tape reaches, and of the channels with the shortest history how far that does.
    pub fn report_history(&self, now: Now) {
        let ago = |pt_ns: u64| Seconds(now.wall_ns.saturating_sub(pt_ns));
        let mut horizons = self.horizons();
        let reach = horizons
            .iter()
            .filter_map(|horizon| horizon.oldest)
            .map(|(_, pt_ns)| pt_ns);
        let records = self.tape().head().number() - self.tape().tail().number();
        match reach.min() {
            Some(pt_ns) => tracing::info!(
                "history: {records} records of {} channels, back to {} ago",
                horizons.len(),
                ago(pt_ns)
            ),
            None => tracing::info!(
                "history: {records} records of {} channels, no message",
                horizons.len()
            ),
        }
        // Those of whom nothing is left first, then the latest beginning.
        horizons.sort_by_key(|horizon| horizon.oldest.map(|(_, pt_ns)| std::cmp::Reverse(pt_ns)));
        for horizon in horizons.iter().take(limits::HISTORY_LINES_MAX) {
            let Horizon {
                channel,
                newest_seq,
                oldest,
            } = horizon;
            match oldest {
                Some((seq, pt_ns)) => {
                    tracing::info!(
                        "history: {channel}: messages {seq} to {newest_seq}, back to {} ago",
                        ago(*pt_ns)
                    );
                }
                None => tracing::info!("history: {channel}: none of {newest_seq} messages"),
            }
        }
        if let Some(more) = horizons
            .len()
            .checked_sub(limits::HISTORY_LINES_MAX)
            .filter(|more| *more > 0)
        {
            tracing::info!("history: and {more} channels that reach further back");
        }
    }
}

/// So many nanoseconds, as seconds with one decimal.
struct Seconds(u64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = self.0 / 100_000_000;
        write!(f, "{}.{} s", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::market::Tick;
    use crate::tape::{self, Shape};
    use crate::writer::source::Event;

    fn at(ms: u64) -> Now {
        Now {
            mono_ns: ms * 1_000_000,
            wall_ns: ms * 1_000_000,
        }
    }

    #[test]
    fn each_channels_oldest_message_is_the_first_that_the_tape_still_has() {
        let shape = Shape {
            records: limits::TAPE_RECORDS_MIN,
            track_bytes: vec![limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, _reader) = tape::new(&shape).unwrap();
        let mut sequencer = Sequencer::new(writer);
        let mut published: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for ms in 1..=2 * limits::TAPE_RECORDS_MIN as u64 {
            // One speaks rarely, and one never again.
            let channel = match ms {
                1 => "room:silent",
                _ if ms % 97 == 0 => "room:rare",
                _ => "room:busy",
            };
            let event = Event {
                channel,
                ts_ns: 0,
                tick: Tick::Message("1"),
            };
            sequencer.publish(&event, at(ms)).unwrap();
            sequencer.settle().unwrap();
            published.entry(channel.to_owned()).or_default().push(ms);
        }
        let mut records = 0;
        for Horizon {
            channel,
            newest_seq,
            oldest,
        } in sequencer.horizons()
        {
            let times = &published[channel];
            assert_eq!(newest_seq, times.len() as u64);
            if let Some((seq, pt_ns)) = oldest {
                assert_eq!(
                    pt_ns,
                    times[usize::try_from(seq).unwrap() - 1] * 1_000_000,
                    "{channel}"
                );
                records += newest_seq + 1 - seq;
            }
            assert_eq!(oldest.is_none(), channel == "room:silent", "{channel}");
        }
        let on_tape = sequencer.tape().head().number() - sequencer.tape().tail().number();
        // The silent one's number was written again.
        assert_eq!(records + 1, on_tape);
        sequencer.report_history(at(10_000));
    }

    #[test]
    fn seconds_have_one_decimal() {
        assert_eq!(Seconds(12_345_678_901).to_string(), "12.3 s");
        assert_eq!(Seconds(0).to_string(), "0.0 s");
    }
}
