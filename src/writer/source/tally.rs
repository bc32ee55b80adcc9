//! What a source has delivered and what it could not, counted, and told without flooding the log.
//!
//! It never stops a source: a bad line is skipped. Invariant: every bad line and every gap is counted, whether
//! or not a warning about it was written.

use std::fmt;

use crate::base::Now;
use crate::limits::{SOURCE_LINE_BYTES_MAX, SOURCE_WARNINGS_PER_SECOND};
use crate::market::Tick;

/// Why a line is bad, and what exactly was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The kind of fault.
    pub fault: Fault,
    /// What was found, for a person.
    pub detail: String,
}

/// The kinds of fault that a line can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Longer than [`SOURCE_LINE_BYTES_MAX`](crate::limits::SOURCE_LINE_BYTES_MAX).
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// A line of a capture that does not begin with its receive time in nanoseconds and a space.
    ReceiveTime,
    /// Not JSON.
    Json,
    /// JSON, but a field is missing, doubled or of the wrong type.
    Shape,
    /// A kind of message, or a stream of a venue, that is not carried.
    Kind,
    /// A symbol or a channel name that cannot be used, or that two parts of the line disagree about.
    Name,
    /// A price, a size or a time that is no number of ours.
    Number,
    /// More levels than a book may have.
    Levels,
    /// A snapshot that cannot be brought up to date with the deltas before it.
    Snapshot,
    /// A line that says something proper, which the sequencer cannot take.
    Refused,
    /// A line that a publisher has left unfinished.
    Torn,
}

/// Counts of one source since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Lines, bad and blank ones included.
    pub lines: u64,
    /// Trades delivered.
    pub trades: u64,
    /// Quotes delivered.
    pub quotes: u64,
    /// Book snapshots and deltas delivered.
    pub books: u64,
    /// Other messages delivered.
    pub messages: u64,
    /// Book deltas that did not follow the one before, and holes in a journal.
    pub gaps: u64,
    /// Book deltas that a snapshot had made obsolete; they are not delivered.
    pub stale: u64,
    bad: [u64; Fault::ALL.len()],
}

/// A [`Tally`] and the time it took: what to say at the end.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// The counts.
    pub tally: &'a Tally,
    /// How long it took, in nanoseconds.
    pub elapsed_ns: u64,
    /// How much recorded time was replayed, in nanoseconds.
    pub captured_ns: Option<u64>,
}

/// A [`Tally`] that warns while it counts.
#[derive(Debug, Default)]
pub(in crate::writer) struct Reporter {
    pub(in crate::writer) tally: Tally,
    /// What was delivered last, if nothing was said about it since.
    last: Option<Delivered>,
    window_start_ns: u64,
    warnings: u64,
    withheld: u64,
}

/// What a delivered event was counted as.
#[derive(Clone, Copy, Debug)]
enum Delivered {
    Trade,
    Quote,
    Book,
    Message,
}

impl BadLine {
    /// A fault and what was found, cut short: the line's author may have chosen the words.
    pub(in crate::writer) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        Self { fault, detail }
    }

    pub(in crate::writer) fn too_long() -> Self {
        Self::new(Fault::TooLong, format!("more than {SOURCE_LINE_BYTES_MAX} bytes"))
    }
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.fault, self.detail)
    }
}

impl std::error::Error for BadLine {}

impl Fault {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::TooLong,
        Self::NotUtf8,
        Self::ReceiveTime,
        Self::Json,
        Self::Shape,
        Self::Kind,
        Self::Name,
        Self::Number,
        Self::Levels,
        Self::Snapshot,
        Self::Refused,
        Self::Torn,
    ];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "line too long",
            Self::NotUtf8 => "not UTF-8",
            Self::ReceiveTime => "bad receive time",
            Self::Json => "not JSON",
            Self::Shape => "bad field",
            Self::Kind => "unknown kind",
            Self::Name => "bad name",
            Self::Number => "bad number",
            Self::Levels => "too many levels",
            Self::Snapshot => "unusable snapshot",
            Self::Refused => "refused",
            Self::Torn => "torn line",
        })
    }
}

impl Tally {
    /// Events delivered, of every kind.
    #[must_use]
    pub fn ticks(&self) -> u64 {
        self.trades + self.quotes + self.books + self.messages
    }

    /// Lines that could not be used.
    #[must_use]
    pub fn bad_lines(&self) -> u64 {
        self.bad.iter().sum()
    }

    /// Lines that could not be used for one reason.
    #[must_use]
    pub fn bad(&self, fault: Fault) -> u64 {
        self.bad[fault as usize]
    }

    fn of(&mut self, delivered: Delivered) -> &mut u64 {
        match delivered {
            Delivered::Trade => &mut self.trades,
            Delivered::Quote => &mut self.quotes,
            Delivered::Book => &mut self.books,
            Delivered::Message => &mut self.messages,
        }
    }
}

/// One line: how many lines, and what became of them.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines > 0 {
            write!(f, "{} lines, ", self.lines)?;
        }
        write!(
            f,
            "{} ticks ({} trades, {} quotes, {} books, {} messages), {} bad lines",
            self.ticks(),
            self.trades,
            self.quotes,
            self.books,
            self.messages,
            self.bad_lines()
        )?;
        let mut open = " (";
        for fault in Fault::ALL.into_iter().filter(|&fault| self.bad(fault) > 0) {
            write!(f, "{open}{fault}: {}", self.bad(fault))?;
            open = ", ";
        }
        if self.bad_lines() > 0 {
            f.write_str(")")?;
        }
        if self.gaps > 0 {
            write!(f, ", {} gaps", self.gaps)?;
        }
        if self.stale > 0 {
            write!(f, ", {} stale deltas", self.stale)?;
        }
        Ok(())
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ns: u64| format!("{}.{:03} s", ns / 1_000_000_000, ns / 1_000_000 % 1_000);
        write!(f, "{}, in {}", self.tally, seconds(self.elapsed_ns))?;
        match self.captured_ns {
            Some(ns) => write!(f, " ({} recorded)", seconds(ns)),
            None => Ok(()),
        }
    }
}

impl Reporter {
    /// Counts a bad line, and warns about it unless the log has had enough for this second.
    pub(in crate::writer) fn bad_line(&mut self, now: Now, number: u64, bad: &BadLine) {
        self.tally.bad[bad.fault as usize] += 1;
        if self.may_warn(now) {
            tracing::warn!(line = number, fault = %bad.fault, detail = bad.detail, "bad line skipped");
        }
    }

    /// Counts an event that is delivered.
    pub(in crate::writer) fn delivered(&mut self, tick: &Tick<'_>) {
        let delivered = match tick {
            Tick::Trade(_) => Delivered::Trade,
            Tick::Quote(_) => Delivered::Quote,
            Tick::Book(_) => Delivered::Book,
            Tick::Message(_) => Delivered::Message,
        };
        *self.tally.of(delivered) += 1;
        self.last = Some(delivered);
    }

    /// Counts the line delivered last as bad, and not as delivered: its event was refused.
    pub(in crate::writer) fn refused(&mut self, now: Now, why: &impl fmt::Display) {
        if let Some(delivered) = self.last.take() {
            *self.tally.of(delivered) -= 1;
        }
        let bad = BadLine::new(Fault::Refused, why.to_string());
        self.bad_line(now, self.tally.lines, &bad);
    }

    /// Counts a delta that does not follow the one before; the book goes on.
    pub(in crate::writer) fn gap(&mut self, now: Now, number: u64, symbol: &str, expected: u64, found: u64) {
        self.tally.gaps += 1;
        if self.may_warn(now) {
            tracing::warn!(line = number, symbol, expected, found, "there is a gap");
        }
    }

    /// Tells what was withheld and not told yet.
    pub(in crate::writer) fn finish(&mut self) {
        let withheld = std::mem::take(&mut self.withheld);
        if withheld > 0 {
            tracing::warn!(withheld, "more such warnings were withheld");
        }
    }

    fn may_warn(&mut self, now: Now) -> bool {
        if now.mono_ns.saturating_sub(self.window_start_ns) >= WINDOW_NS {
            self.window_start_ns = now.mono_ns;
            self.warnings = 0;
            self.finish();
        }
        if self.warnings == SOURCE_WARNINGS_PER_SECOND {
            self.withheld += 1;
            return false;
        }
        self.warnings += 1;
        true
    }
}

/// Bytes of a stranger's words that the log repeats.
const DETAIL_BYTES_MAX: usize = 200;
const WINDOW_NS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(mono_ns: u64) -> Now {
        Now { mono_ns, wall_ns: 0 }
    }

    #[test]
    fn a_flood_of_bad_lines_is_counted_in_full_and_told_in_part() {
        let mut reporter = Reporter::default();
        let bad = BadLine::new(Fault::Json, "x");
        let told = (0..1_000_000)
            .filter(|number| {
                reporter.bad_line(at(number * 1_000), *number, &bad);
                reporter.withheld == 0
            })
            .count();
        assert_eq!(reporter.tally.bad(Fault::Json), 1_000_000);
        assert_eq!(told as u64, SOURCE_WARNINGS_PER_SECOND);
        assert_eq!(reporter.withheld, 1_000_000 - SOURCE_WARNINGS_PER_SECOND);
        reporter.gap(at(2 * WINDOW_NS), 1, "X", 1, 3);
        assert_eq!((reporter.withheld, reporter.warnings), (0, 1));
    }

    #[test]
    fn a_long_detail_is_cut_between_two_characters() {
        let bad = BadLine::new(Fault::Json, "é".repeat(DETAIL_BYTES_MAX) + "x");
        assert_eq!(bad.detail, "é".repeat(DETAIL_BYTES_MAX / 2));
        let odd = BadLine::new(Fault::Json, "x".to_owned() + &"é".repeat(DETAIL_BYTES_MAX));
        assert_eq!(odd.detail.len(), DETAIL_BYTES_MAX - 1);
    }

    #[test]
    fn the_summary_names_each_reason() {
        let mut reporter = Reporter::default();
        reporter.tally.lines = 3;
        for fault in [Fault::Json, Fault::Name, Fault::Json] {
            reporter.bad_line(at(0), 1, &BadLine::new(fault, ""));
        }
        assert_eq!(
            reporter.tally.to_string(),
            "3 lines, 0 ticks (0 trades, 0 quotes, 0 books, 0 messages), 3 bad lines (not JSON: 2, bad name: 1)"
        );
        let tally = &Tally::default();
        let summary = Summary {
            tally,
            elapsed_ns: 1_234_567_890,
            captured_ns: Some(61_000_000_000),
        };
        assert_eq!(
            summary.to_string(),
            "0 ticks (0 trades, 0 quotes, 0 books, 0 messages), 0 bad lines, in 1.234 s (61.000 s recorded)"
        );
    }

    #[test]
    fn faults_are_numbered_as_they_are_listed() {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, index);
        }
    }
}
