//! What is told at the end: how much came, what was missing, how old it was.
//!
//! Invariant: memory is bounded whatever the server says, by the kinds that are told apart and the channels that
//! are judged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hdrhistogram::Histogram;
use tickwire::limits::CHANNELS_MAX;

use crate::text::{Bytes, Printable, Span};

/// Counts of one client.
pub(super) struct Tally {
    messages: u64,
    bytes: u64,
    kinds: BTreeMap<&'static str, u64>,
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
            breaks: BTreeMap::new(),
            latency: new_histogram(),
            skewed: 0,
        }
    }

    /// A message of that kind came.
    pub(super) fn message(&mut self, kind: &'static str, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
        *self.kinds.entry(kind).or_default() += 1;
    }

    /// Messages of a channel are missing.
    pub(super) fn gap(&mut self, channel: &str, from: u64, to: u64) {
        if let Some(breaks) = self.breaks_of(channel) {
            breaks.gaps += 1;
            breaks.missing = breaks
                .missing
                .saturating_add(to.saturating_sub(from))
                .saturating_add(1);
            breaks.first.get_or_insert((from, to));
        }
    }

    /// A number of a channel was there before.
    pub(super) fn back(&mut self, channel: &str) {
        if let Some(breaks) = self.breaks_of(channel) {
            breaks.back += 1;
        }
    }

    /// A tick came, published and arrived at these times; gives its latency in nanoseconds, which is 0 where the
    /// clocks contradict each other.
    pub(super) fn tick(&mut self, published_ns: u64, arrived_ns: u64) -> u64 {
        self.skewed += u64::from(published_ns > arrived_ns);
        let latency = arrived_ns.saturating_sub(published_ns);
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
            .map(|(kind, count)| format!("{kind} {count}"))
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

    /// The breaks of a channel, unless too many have them.
    fn breaks_of(&mut self, channel: &str) -> Option<&mut Breaks> {
        if !self.breaks.contains_key(channel) && self.breaks.len() < CHANNELS_MAX {
            self.breaks.insert(channel.into(), Breaks::default());
        }
        self.breaks.get_mut(channel)
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
        for latency_us in [10_u64, 20, 30, 40] {
            tally.message("trade", 1000);
            tally.tick(1_000_000, 1_000_000 + latency_us * 1000);
        }
        tally.gap("trade:X", 7, 8);
        tally.gap("trade:X", 10, 11);
        assert_eq!(
            tally.summary(2_000_000_000),
            "5 messages, 4.10 kB in 2.00 s, 2/s (hello 1, trade 4); gaps 2 (trade:X: 4 missing in 2, first 7 to 8); \
             latency p50 20 µs, p99 40 µs, p99.9 40 µs, max 40 µs"
        );
    }

    #[test]
    fn numbers_that_go_back_are_named_too() {
        let mut tally = Tally::new();
        tally.gap("trade:X", 5, 5);
        tally.back("trade:X");
        let summary = tally.summary(1);
        let words = "; gaps 1, out of order 1 (trade:X: 1 missing in 1, first 5 to 5, 1 out of order)";
        assert!(summary.contains(words), "{summary}");
    }

    #[test]
    fn a_tick_from_the_future_counts_as_0_and_is_mentioned() {
        let mut tally = Tally::new();
        assert_eq!(tally.tick(5, 3), 0);
        let summary = tally.summary(1);
        assert!(
            summary.contains("max 0 µs; came before they were published, as the clocks differ: 1,"),
            "{summary}"
        );
    }

    #[test]
    fn only_so_many_channels_are_named() {
        let mut tally = Tally::new();
        for number in 0..100 {
            tally.gap(&format!("trade:{number:03}"), 2, 2);
        }
        let summary = tally.summary(1);
        assert!(summary.contains("; gaps 100 (trade:000: 1 missing"), "{summary}");
        assert!(
            summary.contains("trade:007: 1 missing in 1, first 2 to 2; and 92 more channels)"),
            "{summary}"
        );
    }
}
