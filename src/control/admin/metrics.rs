//! The metrics of a server of ticks, as Prometheus scrapes them.
//!
//! Never counts anything: all numbers are others', read once a scrape. Invariant: the number of series is bounded, and a
//! channel that is reported once is reported for as long as the server runs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeMetric, MetricEncoder, prometheus_text, text,
};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use super::Vitals;
use crate::base::census::Gauge;
use crate::base::{Census, JournalCensus, Now};
use crate::control::history::{History, Horizon};
use crate::limits;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As all tools read them.
    Plain,
    /// As those read them that say so.
    OpenMetrics,
}

/// All that a scrape says.
#[derive(Debug)]
pub(super) struct Scrape {
    shards: Vec<Arc<Census>>,
    journal: Option<Arc<JournalCensus>>,
    records: u64,
    retired: u64,
    horizon_seconds: f64,
    /// How many channels there are, and what is said of some of them.
    channels_all: u64,
    channels: Vec<Channel>,
}

/// What is said of a channel.
#[derive(Debug)]
struct Channel {
    name: String,
    seq: u64,
    /// One more when no message is on the tape.
    oldest_seq: u64,
    horizon_seconds: f64,
}

impl Format {
    /// The media type.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Scrape {
    /// What there is to say now.
    pub(super) fn of(vitals: &Vitals, history: &History, now: Now) -> Self {
        let ago = |pt_ns| Duration::from_nanos(now.wall_ns.saturating_sub(pt_ns)).as_secs_f64();
        let said = |horizon: Horizon<'_>| Channel {
            name: horizon.channel.to_owned(),
            seq: horizon.newest_seq,
            oldest_seq: horizon.oldest.map_or(horizon.newest_seq + 1, |oldest| oldest.seq),
            horizon_seconds: horizon.oldest.map_or(0.0, |oldest| ago(oldest.pt_ns)),
        };
        let horizons = history.horizons();
        Self {
            shards: vitals.shards.clone(),
            journal: vitals.journal.clone(),
            records: history.records(),
            retired: history.retired(),
            horizon_seconds: history.reach_ns().map_or(0.0, ago),
            channels_all: horizons.len() as u64,
            // Those that were opened first. Any choice that changes from one scrape to the next would make new series each
            // time, which is what the bound is there to prevent.
            channels: horizons.take(limits::ADMIN_CHANNELS_MAX).map(said).collect(),
        }
    }

    /// Writes it.
    pub(super) fn write(self, format: Format, out: &mut String) -> fmt::Result {
        let mut registry = Registry::with_prefix("tickwire");
        registry.register_collector(Box::new(self));
        match format {
            Format::Plain => prometheus_text::encode(out, &registry),
            Format::OpenMetrics => text::encode(out, &registry),
        }
    }

    fn write_shards(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, kind, gauge) in SHARD {
            let mut family = encoder.encode_descriptor(name, help, None, *kind)?;
            for (shard, census) in self.shards.iter().enumerate() {
                let labels = [("shard", shard)];
                let value = gauge(census).read();
                let series = family.encode_family(&labels)?;
                number(*kind, value, series)?;
            }
        }
        Ok(())
    }

    fn write_journal(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(journal) = &self.journal else {
            return Ok(());
        };
        for (name, help, unit, kind, value) in JOURNAL {
            let value = value(journal).read();
            let metric = encoder.encode_descriptor(name, help, unit.as_ref(), *kind)?;
            number(*kind, value, metric)?;
        }
        Ok(())
    }

    fn write_tape(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        one(
            encoder,
            "tape_records",
            "Records on the tape",
            None,
            &ConstGauge::new(self.records),
        )?;
        let help = "Records that have left the tape";
        one(
            encoder,
            "tape_retired",
            help,
            None,
            &ConstCounter::new(self.retired),
        )?;
        let help = "Age of the oldest message on the tape; 0 without one";
        let horizon = ConstGauge::new(self.horizon_seconds);
        one(encoder, "tape_horizon", help, Some(&Unit::Seconds), &horizon)?;
        one(
            encoder,
            "channels",
            "Channels",
            None,
            &ConstGauge::new(self.channels_all),
        )?;
        let left_out = self.channels_all - self.channels.len() as u64;
        let help = "Channels of which no metric says anything";
        one(
            encoder,
            "channels_left_out",
            help,
            None,
            &ConstGauge::new(left_out),
        )
    }

    /// One metric of each channel that is reported.
    fn write_channels<N: EncodeGaugeValue>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help, unit): (&str, &str, Option<&Unit>),
        value: impl Fn(&Channel) -> N,
    ) -> fmt::Result {
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for channel in &self.channels {
            let labels = [("channel", channel.name.as_str())];
            let mut series = family.encode_family(&labels)?;
            series.encode_gauge(&value(channel))?;
        }
        Ok(())
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.write_shards(encoder)?;
        self.write_journal(encoder)?;
        self.write_tape(encoder)?;
        let help = "Number of the newest message of the channel; 0 before the first";
        self.write_channels(encoder, ("channel_seq", help, None), |channel| channel.seq)?;
        let help =
            "Number of the channel's oldest message on the tape, or that of its next one when none is there";
        self.write_channels(encoder, ("channel_oldest_seq", help, None), |channel| {
            channel.oldest_seq
        })?;
        let help = "Age of the channel's oldest message on the tape; 0 when none is there";
        let horizon = ("channel_horizon", help, Some(&Unit::Seconds));
        self.write_channels(encoder, horizon, |channel| channel.horizon_seconds)
    }
}

/// A number that only grows, or one that does not.
fn number(kind: MetricType, value: u64, metric: MetricEncoder<'_>) -> fmt::Result {
    if matches!(kind, MetricType::Counter) {
        ConstCounter::new(value).encode(metric)
    } else {
        ConstGauge::new(value).encode(metric)
    }
}

/// A metric without labels.
fn one(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &(impl EncodeMetric + TypedMetric),
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, unit, metric.metric_type())?)
}

type OfShard = fn(&Census) -> &Gauge;
type OfJournal = fn(&JournalCensus) -> &Gauge;

/// What each shard counts. Counters get `_total` behind their names.
const SHARD: &[(&str, &str, MetricType, OfShard)] = &[
    (
        "connections",
        "Connections that hold a slot",
        MetricType::Gauge,
        |census| &census.connections,
    ),
    (
        "subscribers",
        "Connections with a subscription",
        MetricType::Gauge,
        |census| &census.subscribers,
    ),
    (
        "connections_accepted",
        "Connections accepted",
        MetricType::Counter,
        |census| &census.accepted,
    ),
    (
        "connections_refused",
        "Connections answered 503 or closed unanswered for want of a slot",
        MetricType::Counter,
        |census| &census.refused,
    ),
    (
        "clients_lost",
        "Connections closed 4008",
        MetricType::Counter,
        |census| &census.lost,
    ),
    (
        "clients_conflated",
        "Times a client skipped what was out of date",
        MetricType::Counter,
        |census| &census.conflated,
    ),
    (
        "clients_lapsed",
        "Times a client gave up what the tape was about to let go of",
        MetricType::Counter,
        |census| &census.lapsed,
    ),
    (
        "sends",
        "Sends that went out whole",
        MetricType::Counter,
        |census| &census.sends,
    ),
    (
        "sends_short",
        "Sends that a socket took in part or not at all",
        MetricType::Counter,
        |census| &census.sends_short,
    ),
    (
        "shard_overtaken",
        "Times more was written than the shard could send",
        MetricType::Counter,
        |census| &census.overtaken,
    ),
];

/// What a journal counts.
const JOURNAL: &[(&str, &str, Option<Unit>, MetricType, OfJournal)] = &[
    (
        "journal_missing",
        "1 while what is published is not journaled",
        None,
        MetricType::Gauge,
        |journal| &journal.missing,
    ),
    (
        "journal_taken",
        "Number of the newest message that the journal was given",
        None,
        MetricType::Gauge,
        |journal| &journal.messages,
    ),
    (
        "journal_durable",
        "Number up to which all messages are on disk, but those that a failure took",
        None,
        MetricType::Gauge,
        |journal| &journal.durable,
    ),
    (
        "journal_written",
        "Bytes written to the journal",
        Some(Unit::Bytes),
        MetricType::Counter,
        |journal| &journal.bytes,
    ),
    (
        "journal_syncs",
        "Syncs of the journal",
        None,
        MetricType::Counter,
        |journal| &journal.syncs,
    ),
    (
        "journal_failures",
        "Times that the journal could not be gone on with",
        None,
        MetricType::Counter,
        |journal| &journal.failures,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(shards: usize, names: impl Iterator<Item = String>) -> Scrape {
        let channels = names.map(|name| Channel {
            name,
            seq: u64::MAX,
            oldest_seq: u64::MAX,
            horizon_seconds: Duration::from_nanos(u64::MAX).as_secs_f64(),
        });
        let channels: Vec<Channel> = channels.collect();
        let count = |gauge: &Gauge| gauge.set(u64::MAX);
        let census = || {
            let census = Census::default();
            SHARD.iter().for_each(|(.., gauge)| count(gauge(&census)));
            Arc::new(census)
        };
        let journal = JournalCensus::default();
        JOURNAL.iter().for_each(|(.., value)| count(value(&journal)));
        Scrape {
            shards: (0..shards).map(|_| census()).collect(),
            journal: Some(Arc::new(journal)),
            records: u64::MAX,
            retired: u64::MAX,
            horizon_seconds: 1.5,
            channels_all: limits::CHANNELS_MAX as u64,
            channels,
        }
    }

    fn written(scrape: Scrape, format: Format) -> String {
        let mut text = String::new();
        scrape.write(format, &mut text).unwrap();
        text
    }

    #[test]
    fn an_answer_has_room_for_all_that_there_can_be() {
        // Each byte of such a name is written as two.
        let name = |n: usize| format!("{n:05}:{}", "\"".repeat(limits::CHANNEL_NAME_BYTES_MAX - 6));
        for format in [Format::Plain, Format::OpenMetrics] {
            let most = scrape(limits::SHARDS_MAX, (0..limits::ADMIN_CHANNELS_MAX).map(name));
            let text = written(most, format);
            assert!(text.len() <= limits::ADMIN_ANSWER_BYTES, "{} bytes", text.len());
            assert!(text.contains("tickwire_channels_left_out 64536\n"));
        }
    }

    #[test]
    fn a_name_cannot_end_its_label() {
        let text = written(scrape(1, std::iter::once("a:\"} 1\\".to_owned())), Format::Plain);
        let line = "tickwire_channel_seq{channel=\"a:\\\"} 1\\\\\"} 18446744073709551615\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn both_forms_say_the_same() {
        let values = |format| {
            let text = written(scrape(2, std::iter::once("a:b".to_owned())), format);
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let plain = values(Format::Plain);
        assert_eq!(plain, values(Format::OpenMetrics));
        for line in [
            "tickwire_connections{shard=\"1\"} 18446744073709551615",
            "tickwire_sends_total{shard=\"0\"} 18446744073709551615",
            "tickwire_journal_missing 18446744073709551615",
            "tickwire_journal_written_bytes_total 18446744073709551615",
            "tickwire_tape_horizon_seconds 1.5",
        ] {
            assert!(plain.iter().any(|written| written == line), "{line}: {plain:#?}");
        }
    }
}
