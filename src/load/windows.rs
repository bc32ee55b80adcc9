//! The parts of a run that are reported apart, told from each other by when a message was meant to be sent, and the
//! latencies of each.
//!
//! Invariant: windows follow each other. A message belongs to one of them whenever it arrives, so that what was sent in
//! one and came late in the next counts where it was sent.

use super::line::Group;
use super::pace::Pace;
use crate::limits::LOAD_WINDOWS;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where each window but the first begins.
#[derive(Debug)]
pub(super) struct Windows {
    starts_ns: [AtomicU64; LOAD_WINDOWS - 1],
}

impl Windows {
    pub(super) fn new() -> Self {
        Self {
            starts_ns: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
        }
    }

    /// The window `window` begins at this time; the one before it ends.
    pub(super) fn open(&self, window: usize, start_ns: u64) {
        self.starts_ns[window - 1].store(start_ns, Ordering::Release);
    }

    /// Which window a time lies in.
    pub(super) fn of(&self, at_ns: u64) -> usize {
        self.starts_ns
            .iter()
            .take_while(|start_ns| start_ns.load(Ordering::Acquire) <= at_ns)
            .count()
    }

    /// How many intended times of each window are not used up, of those before `until_ns`.
    pub(super) fn overdue(&self, pace: &Pace, until_ns: u64) -> [u64; LOAD_WINDOWS] {
        let before = |ns: u64| pace.overdue(ns.min(until_ns));
        let mut since = 0;
        std::array::from_fn(|window| {
            let end_ns = self
                .starts_ns
                .get(window)
                .map_or(u64::MAX, |start_ns| start_ns.load(Ordering::Acquire));
            let by_then = before(end_ns);
            by_then - std::mem::replace(&mut since, by_then)
        })
    }
}

/// What a latency is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Row {
    /// A message, to a steady connection.
    Steady,
    /// A message, to a wayward one.
    Wayward,
    /// From the intended tick to its first subscriber.
    First,
    /// To half of them.
    Median,
    /// To the last of them.
    Last,
    /// From the first packet to an open TCP connection.
    Connect,
    /// From the request for a WebSocket to its answer.
    Handshake,
    /// From there to what makes the connection ready.
    Prepare,
    /// A message there and back, on a connection made for it.
    Message,
    /// From our close frame to the server's, or to the end of its stream.
    Close,
    /// From when a connection was meant to begin to its end.
    Whole,
    /// From the storm's beginning to a connection that is ready again.
    ReadyAgain,
    /// From the storm's beginning to its first tick.
    ServedAgain,
}

impl Row {
    const COUNT: usize = 13;

    /// The row of messages to a group.
    pub(super) const fn of(group: Group) -> Self {
        match group {
            Group::Steady => Self::Steady,
            Group::Wayward => Self::Wayward,
        }
    }
}

/// Latencies by what they are of and by window. What was never recorded takes no memory.
#[derive(Debug)]
pub(super) struct Latencies {
    rows: [[Option<Histogram<u64>>; LOAD_WINDOWS]; Row::COUNT],
}

impl Latencies {
    pub(super) fn new() -> Self {
        Self {
            rows: std::array::from_fn(|_| std::array::from_fn(|_| None)),
        }
    }

    /// So many times in one window something took this long.
    pub(super) fn record(&mut self, row: Row, window: usize, latency_ns: u64, count: u64) {
        let histogram = self.rows[row as usize][window].get_or_insert_with(new_histogram);
        note(histogram, latency_ns, count);
    }

    /// Adds what another thread recorded.
    pub(super) fn add(&mut self, other: &Self) {
        for (ours, theirs) in self.rows.iter_mut().flatten().zip(other.rows.iter().flatten()) {
            if let Some(theirs) = theirs {
                // Fails only where a histogram may not grow, and ours may.
                let _grown = ours.get_or_insert_with(new_histogram).add(theirs);
            }
        }
    }

    /// One row of one window.
    pub(super) fn of(&self, row: Row, window: usize) -> Option<&Histogram<u64>> {
        self.rows[row as usize][window].as_ref()
    }
}

/// Notes that something took this long so many times.
pub(super) fn note(histogram: &mut Histogram<u64>, latency_ns: u64, count: u64) {
    // Fails only where a histogram may not grow, and ours may. Saturating would keep it from growing.
    let _grown = histogram.record_n(latency_ns, count);
}

/// Three significant digits of nanoseconds, however many there are.
pub(super) fn new_histogram() -> Histogram<u64> {
    Histogram::new(3).expect("a histogram has up to five digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_belongs_where_it_was_meant_to_be_sent() {
        let windows = Windows::new();
        assert_eq!(windows.of(u64::MAX - 1), 0);
        windows.open(1, 100);
        windows.open(2, 200);
        assert_eq!(
            [0, 99, 100, 199, 200, 9_999].map(|at| windows.of(at)),
            [0, 0, 1, 1, 2, 2]
        );
    }

    #[test]
    fn what_is_overdue_belongs_where_it_was_meant_to_be_sent() {
        let windows = Windows::new();
        windows.open(1, 100);
        windows.open(2, 200);
        // Every tenth nanosecond, of which the first twelve were sent in time.
        let mut pace = Pace::new(1e8, 0);
        (0..12).for_each(|_| assert!(pace.take(110).is_some()));
        assert_eq!(windows.overdue(&pace, 231), [0, 8, 4, 0, 0]);
        assert_eq!(windows.overdue(&pace, 150), [0, 3, 0, 0, 0]);
        assert_eq!(windows.overdue(&pace, 0), [0; LOAD_WINDOWS]);
    }

    #[test]
    fn latencies_of_threads_add_up_by_row_and_window() {
        let (mut a, mut b) = (Latencies::new(), Latencies::new());
        a.record(Row::Steady, 1, 1_000, 2);
        b.record(Row::Steady, 1, 3_000, 1);
        b.record(Row::ServedAgain, 0, 5, 1);
        a.add(&b);
        let steady = a.of(Row::Steady, 1).unwrap();
        assert_eq!((steady.len(), steady.min()), (3, 1_000));
        assert_eq!(a.of(Row::ServedAgain, 0).unwrap().len(), 1);
        assert!(a.of(Row::Steady, 0).is_none());
    }

    #[test]
    fn percentiles_are_those_of_a_sorted_list_within_three_digits() {
        let mut latencies = Latencies::new();
        let mut sorted: Vec<u64> = (1..=10_000).map(|i: u64| i * i * 37).collect();
        for value in &sorted {
            latencies.record(Row::Steady, 1, *value, 1);
        }
        sorted.sort_unstable();
        let histogram = latencies.of(Row::Steady, 1).unwrap();
        for (quantile, rank) in [(0.5, 5_000), (0.99, 9_900), (0.999, 9_990)] {
            let (got, want) = (histogram.value_at_quantile(quantile), sorted[rank - 1]);
            assert!(got.abs_diff(want) * 1000 <= want, "{quantile}: {got} for {want}");
        }
    }
}
