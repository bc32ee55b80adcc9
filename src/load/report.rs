//! What a run came to: one tree of figures, shown to people as lines and to programs as JSON.
//!
//! Never says in one form what it does not say in the other. In JSON a figure's name ends with its unit.

use super::windows::Latencies;
use super::windows::Row;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use std::fmt;

/// Everything that is told about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which scenario it was.
    pub scenario: &'static str,
    /// Figures that belong together, in the order in which they are told.
    pub sections: Vec<Section>,
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What they are about.
    pub name: &'static str,
    /// Each with its name, without a unit.
    pub figures: Vec<(String, Figure)>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub enum Figure {
    /// How many.
    Count(u64),
    /// How many a second.
    Rate(f64),
    /// How long, in nanoseconds.
    Span(u64),
    /// How many bytes, which may be a share.
    Bytes(f64),
    /// A share of the whole, from 0 to 1.
    Share(f64),
    /// Words.
    Text(String),
    /// Latencies.
    Latency(Quantiles),
}

/// The quantiles of a histogram, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// How many latencies there were.
    pub count: u64,
    /// The least.
    pub min_ns: u64,
    /// Half of them were at most this.
    pub p50_ns: u64,
    /// Nine in ten.
    pub p90_ns: u64,
    /// Ninety-nine in a hundred.
    pub p99_ns: u64,
    /// All but one in a thousand.
    pub p99_9_ns: u64,
    /// All but one in ten thousand.
    pub p99_99_ns: u64,
    /// The greatest.
    pub max_ns: u64,
}

impl Quantiles {
    /// Those of a histogram.
    pub(super) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile);
        Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            p99_99_ns: at(0.9999),
            max_ns: histogram.max(),
        }
    }
}

impl Section {
    /// Nothing yet about `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            figures: Vec::new(),
        }
    }

    /// Tells one more figure.
    pub fn tell(&mut self, name: &str, figure: Figure) {
        self.figures.push((name.to_owned(), figure));
    }

    /// Tells how many.
    pub fn count(&mut self, name: &str, count: u64) {
        self.tell(name, Figure::Count(count));
    }

    /// Tells the latencies of a row in a window, where there are any.
    pub(super) fn latency(&mut self, name: &str, latencies: &Latencies, row: Row, window: usize) {
        // What never took any time, such as waiting for nothing, is not worth a line.
        if let Some(histogram) = latencies.of(row, window).filter(|histogram| histogram.max() > 0) {
            self.tell(name, Figure::Latency(Quantiles::of(histogram)));
        }
    }
}

impl Report {
    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("scenario".to_owned(), json!(self.scenario));
        object.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
        for section in &self.sections {
            let figures = section.figures.iter().map(|(name, figure)| {
                let (unit, value) = figure.to_json();
                (format!("{name}{unit}"), value)
            });
            object.insert(section.name.to_owned(), Value::Object(figures.collect()));
        }
        Value::Object(object)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.scenario)?;
        let names = self.sections.iter().flat_map(|section| &section.figures);
        let width = names.map(|(name, _)| name.len()).max().unwrap_or_default();
        for section in self.sections.iter().filter(|section| !section.figures.is_empty()) {
            write!(f, "\n\n{}", section.name.replace('_', " "))?;
            for (name, figure) in &section.figures {
                write!(f, "\n  {:width$}  {figure}", name.replace('_', " "))?;
            }
        }
        Ok(())
    }
}

impl Figure {
    fn to_json(&self) -> (&'static str, Value) {
        match self {
            Self::Count(count) => ("", json!(count)),
            Self::Rate(rate) => ("_per_s", json!(round(*rate))),
            Self::Span(span_ns) => ("_ns", json!(span_ns)),
            Self::Bytes(bytes) => ("_bytes", json!(round(*bytes))),
            Self::Share(share) => ("_share", json!((share * 1e4).round() / 1e4)),
            Self::Text(text) => ("", json!(text)),
            Self::Latency(quantiles) => ("", quantiles.to_json()),
        }
    }
}

impl Quantiles {
    fn to_json(self) -> Value {
        json!({
            "count": self.count,
            "min_ns": self.min_ns,
            "p50_ns": self.p50_ns,
            "p90_ns": self.p90_ns,
            "p99_ns": self.p99_ns,
            "p99_9_ns": self.p99_9_ns,
            "p99_99_ns": self.p99_99_ns,
            "max_ns": self.max_ns,
        })
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{}", Grouped(*count)),
            Self::Rate(rate) => write!(f, "{}/s", Decimal(*rate)),
            Self::Span(span_ns) => write!(f, "{}", Span(*span_ns)),
            Self::Bytes(bytes) if bytes.abs() >= MEBIBYTE => write!(f, "{} MiB", Decimal(bytes / MEBIBYTE)),
            Self::Bytes(bytes) => write!(f, "{} B", Decimal(*bytes)),
            Self::Share(share) => write!(f, "{:.1} %", share * 100.0),
            Self::Text(text) => f.write_str(text),
            Self::Latency(quantiles) => write!(f, "{quantiles}"),
        }
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("p50", self.p50_ns),
            ("p90", self.p90_ns),
            ("p99", self.p99_ns),
            ("p99.9", self.p99_9_ns),
            ("max", self.max_ns),
        ];
        for (name, span_ns) in parts {
            write!(f, "{name} {:<9} ", Span(span_ns).to_string())?;
        }
        write!(f, "of {}", Grouped(self.count))
    }
}

/// A span in the unit that suits it, three digits of it.
struct Span(u64);

impl fmt::Display for Span {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0 as f64;
        let (value, unit) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => (ns / 1e3, "µs"),
            1_000_000..1_000_000_000 => (ns / 1e6, "ms"),
            _ => (ns / 1e9, "s"),
        };
        let digits = match value {
            ..10.0 => 2,
            ..100.0 => 1,
            _ => 0,
        };
        f.pad(&format!("{value:.digits$} {unit}"))
    }
}

/// A count with its thousands set apart.
struct Grouped(u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A number that need not be whole: the greater, the fewer places.
struct Decimal(f64);

impl fmt::Display for Decimal {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is shown as a whole number where it is great, and its sign is told apart"
    )]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.abs() < 100.0 {
            return write!(f, "{:.1}", self.0);
        }
        let sign = if self.0 < 0.0 { "-" } else { "" };
        write!(f, "{sign}{}", Grouped(self.0.abs().round() as u64))
    }
}

/// To a thousandth.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[cfg(test)]
mod tests {
    use super::super::windows::{new_histogram, note};
    use super::*;

    fn sample() -> Report {
        let mut histogram = new_histogram();
        for value in 1..=1000_u64 {
            note(&mut histogram, value * 1_000, 1);
        }
        let mut connections = Section::new("connections");
        connections.count("opened", 1_234_567);
        connections.tell("server", Figure::Text("ws://localhost/".to_owned()));
        let mut ticks = Section::new("all_ticks");
        ticks.tell("rate", Figure::Rate(1_000.25));
        ticks.tell("took", Figure::Span(1_500_000_000));
        ticks.tell("memory", Figure::Bytes(-12.34));
        ticks.tell("all", Figure::Bytes(3.0 * MEBIBYTE));
        ticks.tell("cpu", Figure::Share(0.25));
        ticks.tell("last", Figure::Latency(Quantiles::of(&histogram)));
        Report {
            scenario: "fanout",
            sections: vec![connections, ticks, Section::new("empty")],
        }
    }

    #[test]
    fn people_get_lines() {
        let want = "\
fanout

connections
  opened  1,234,567
  server  ws://localhost/

all ticks
  rate    1,000/s
  took    1.50 s
  memory  -12.3 B
  all     3.0 MiB
  cpu     25.0 %
  last    p50 500 µs    p90 900 µs    p99 990 µs    p99.9 999 µs    max 1.00 ms   of 1,000";
        assert_eq!(sample().to_string(), want);
    }

    #[test]
    fn programs_get_json_with_units() {
        let want = json!({
            "scenario": "fanout",
            "version": env!("CARGO_PKG_VERSION"),
            "connections": {"opened": 1_234_567, "server": "ws://localhost/"},
            "all_ticks": {
                "rate_per_s": 1_000.25,
                "took_ns": 1_500_000_000,
                "memory_bytes": -12.34,
                "all_bytes": 3_145_728.0,
                "cpu_share": 0.25,
                "last": {
                    "count": 1000, "min_ns": 1_000, "p50_ns": 500_223, "p90_ns": 900_095, "p99_ns": 990_207,
                    "p99_9_ns": 999_423, "p99_99_ns": 1_000_447, "max_ns": 1_000_447,
                },
            },
            "empty": {},
        });
        assert_eq!(sample().to_json(), want);
    }

    #[test]
    fn a_span_is_told_in_the_unit_that_suits_it() {
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (123_456_789, "123 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(Span(ns).to_string(), text);
        }
    }
}
