//! What is told at the end: how much came, what was missing, how old it was.
//!
//! Invariant: memory is bounded whatever the server says, by the kinds that are told apart and the channels that
//! are judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use tickwire::client::{Continuity, Step};
use tickwire::market::ChannelClass;

use super::text::{Bytes, Printable, Span};

/// Counts of one connection.
pub(super) struct Tally {
    messages: u64,
    bytes: u64,
    kinds: BTreeMap<Box<str>, u64>,
    continuity: Continuity,
    breaks: BTreeMap<Box<str>, Breaks>,
    /// Nanoseconds from publication to arrival.
    latency: Histogram<u64>,
    /// Ticks that were published later than they arrived.
    skewed: u64,
}

/// Where the numbers of one channel do not follow each other.
#[derive(Debug, Default)]
struct Breaks {
    gaps: u64,
    /// Messages that the gaps swallowed.
    missing: u64,
    /// The first and last number that the first gap swallowed.
    first: Option<(u64, u64)>,
    /// Numbers that were there before.
    back: u64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            messages: 0,
            bytes: 0,
            kinds: BTreeMap::new(),
            continuity: Continuity::default(),
            breaks: BTreeMap::new(),
            latency: new_histogram(),
            skewed: 0,
        }
    }

    /// A message of that kind came.
    pub(super) fn message(&mut self, kind: &str, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
            return;
        }
        let kind = if self.kinds.len() < KINDS_MAX {
            kind
        } else {
            "other"
        };
        *self.kinds.entry(kind.into()).or_default() += 1;
    }

    /// An acknowledgement said where a channel stands.
    pub(super) fn granted(&mut self, channel: &str, class: ChannelClass, seq: u64) {
        self.continuity.granted(channel, class, seq);
    }

    /// A tick came, published and arrived at these times; gives its latency in nanoseconds, which is 0 where the
    /// clocks contradict each other.
    pub(super) fn tick(&mut self, channel: &str, seq: u64, image: bool, times_ns: (u64, u64)) -> u64 {
        match self.continuity.note(channel, seq, image) {
            Step::First | Step::Next | Step::Jump => {}
            Step::Gap { from, to } => {
                let breaks = self.breaks.entry(channel.into()).or_default();
                breaks.gaps += 1;
                breaks.missing = breaks.missing.saturating_add(to - from).saturating_add(1);
                breaks.first.get_or_insert((from, to));
            }
            Step::Back { .. } => self.breaks.entry(channel.into()).or_default().back += 1,
        }
        let (published, arrived) = times_ns;
        self.skewed += u64::from(published > arrived);
        let latency = arrived.saturating_sub(published);
        self.latency.saturating_record(latency);
        latency
    }

    /// All of it in one line.
    pub(super) fn summary(&self, elapsed_ns: u64) -> String {
        let mut line = format!(
            "{} messages, {} in {}, {}/s",
            self.messages,
            Bytes(self.bytes),
            Span(elapsed_ns),
            per_second(self.messages, elapsed_ns)
        );
        let kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|(kind, count)| format!("{} {count}", Printable(kind)))
            .collect();
        if !kinds.is_empty() {
            line += &format!(" ({})", kinds.join(", "));
        }
        self.write_breaks(&mut line);
        if !self.latency.is_empty() {
            let at = |percent| Span(self.latency.value_at_quantile(percent));
            let _ = write!(
                line,
                "; latency p50 {}, p99 {}, p99.9 {}, max {}",
                at(0.5),
                at(0.99),
                at(0.999),
                Span(self.latency.max())
            );
        }
        if self.skewed > 0 {
            let _ = write!(
                line,
                "; came before they were published, as the clocks differ: {}, counted as 0 µs",
                self.skewed
            );
        }
        line
    }

    fn write_breaks(&self, line: &mut String) {
        let gaps: u64 = self.breaks.values().map(|breaks| breaks.gaps).sum();
        let back: u64 = self.breaks.values().map(|breaks| breaks.back).sum();
        let _ = write!(line, "; gaps {gaps}");
        if back > 0 {
            let _ = write!(line, ", out of order {back}");
        }
        if self.breaks.is_empty() {
            return;
        }
        let mut named = Vec::new();
        for (channel, breaks) in self.breaks.iter().take(CHANNELS_NAMED) {
            let mut words = Vec::new();
            if let Some((from, to)) = breaks.first {
                words.push(format!(
                    "{} missing in {}, first {from} to {to}",
                    breaks.missing, breaks.gaps
                ));
            }
            if breaks.back > 0 {
                words.push(format!("{} out of order", breaks.back));
            }
            named.push(format!("{}: {}", Printable(channel), words.join(", ")));
        }
        let more = self.breaks.len().saturating_sub(CHANNELS_NAMED);
        if more > 0 {
            named.push(format!("and {more} more channels"));
        }
        let _ = write!(line, " ({})", named.join("; "));
    }
}

/// Three significant digits up to an hour; what is older counts as an hour.
fn new_histogram() -> Histogram<u64> {
    match Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("the bounds are constants that fit: {error}"),
    }
}

/// How many in a second, rounded down.
fn per_second(count: u64, elapsed_ns: u64) -> u128 {
    u128::from(count) * 1_000_000_000 / u128::from(elapsed_ns.max(1))
}

/// Kinds of message that are counted apart.
const KINDS_MAX: usize = 32;
/// Channels whose breaks are told in full.
const CHANNELS_NAMED: usize = 8;
/// An hour.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_tells_counts_gaps_and_latencies() {
        let mut tally = Tally::new();
        tally.message("hello", 100);
        for (seq, latency_us) in [(5_u64, 10_u64), (6, 20), (9, 30), (12, 40)] {
            tally.message("trade", 1000);
            tally.tick("trade:X", seq, false, (1_000_000, 1_000_000 + latency_us * 1000));
        }
        assert_eq!(
            tally.summary(2_000_000_000),
            "5 messages, 4.10 kB in 2.00 s, 2/s (hello 1, trade 4); gaps 2 (trade:X: 4 missing in 2, first 7 to 8); \
             latency p50 20 µs, p99 40 µs, p99.9 40 µs, max 40 µs"
        );
    }

    #[test]
    fn replaced_quotes_and_book_images_are_no_gaps() {
        let mut tally = Tally::new();
        tally.granted("stat:X", ChannelClass::Replace, 3);
        for (channel, seq, image) in [
            ("bbo:X", 1, false),
            ("bbo:X", 7, false),
            ("stat:X", 3, false),
            ("stat:X", 9, false),
            ("book:X", 4, true),
            ("book:X", 5, false),
            ("book:X", 9, true),
        ] {
            tally.tick(channel, seq, image, (0, 0));
        }
        assert!(tally.summary(1).contains("; gaps 0;"), "{}", tally.summary(1));
    }

    #[test]
    fn numbers_that_go_back_are_named_too() {
        let mut tally = Tally::new();
        tally.granted("trade:X", ChannelClass::Append, 4);
        tally.tick("trade:X", 6, false, (0, 0));
        tally.tick("trade:X", 6, false, (0, 0));
        let summary = tally.summary(1);
        let words = "; gaps 1, out of order 1 (trade:X: 1 missing in 1, first 5 to 5, 1 out of order);";
        assert!(summary.contains(words), "{summary}");
    }

    #[test]
    fn a_tick_from_the_future_counts_as_0_and_is_mentioned() {
        let mut tally = Tally::new();
        assert_eq!(tally.tick("trade:X", 1, false, (5, 3)), 0);
        let summary = tally.summary(1);
        assert!(
            summary.contains("max 0 µs; came before they were published, as the clocks differ: 1,"),
            "{summary}"
        );
    }

    #[test]
    fn only_so_many_kinds_and_channels_are_named() {
        let mut tally = Tally::new();
        for number in 0..100 {
            tally.message(&format!("kind{number:03}"), 1);
            let channel = format!("trade:{number:03}");
            tally.tick(&channel, 1, false, (0, 0));
            tally.tick(&channel, 3, false, (0, 0));
        }
        let summary = tally.summary(1);
        assert!(summary.contains("kind031 1, other 68)"), "{summary}");
        assert!(summary.contains("; gaps 100 (trade:000: 1 missing"), "{summary}");
        assert!(
            summary.contains("trade:007: 1 missing in 1, first 2 to 2; and 92 more channels)"),
            "{summary}"
        );
    }
}
