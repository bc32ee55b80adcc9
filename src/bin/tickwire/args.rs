//! What can be typed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tickwire::control::{self, Bytes, Config, ConfigFile, EchoConfig, Resolved, StartError};
use tickwire::limits;
use tickwire::market::{ChannelNameError, Pattern};
use tickwire::ring::Descriptors;
use tickwire::shard::Slack;
use tickwire::writer::IngestSpec;
use tickwire::writer::journal::{Age, JournalSpec, SyncPolicy};
use tickwire::writer::source::{SEED_DEFAULT, SourceSpec, Speed};

use crate::{bench, publish, sub};

/// A WebSocket market-data server on io_uring: one tick, one copy in memory, every subscriber.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a simulated market on this machine, and say what to type next.
    Demo(Demo),
    /// Serve ticks from a source.
    Serve(Serve),
    /// Serve a journal's ticks once more.
    Replay(Replay),
    /// Send every message back as it came, on every path: for conformance and benchmarks.
    Echo(Echo),
    /// Say what the memory of a server may come to, line by line, and start none.
    Plan(Examined),
    /// Check whether this machine has what a server needs, and say what mends it where it has not.
    Doctor(Examined),
    /// Subscribe to channels and print what comes.
    Sub(sub::Args),
    /// Publish lines on channels of a server.
    Pub(publish::Args),
    /// Put a WebSocket server under load.
    Bench(Box<bench::Args>),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// The same seed, the same market.
    #[arg(long, default_value_t = SEED_DEFAULT)]
    pub(crate) seed: u64,
    /// Threads that serve clients [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<NonZeroUsize>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where ticks come from: sim, sim:SEED, capture:PATH (recorded Binance lines, gzip or plain), journal:DIR, stdin
    /// (one JSON object a line), or none (there is what clients publish). It must stand here or in the configuration.
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Option<SourceSpec>,
    /// Say whether the configuration is in order, and serve nothing.
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) serving: Serving,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// The directory of the journal.
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    #[command(flatten)]
    pub(crate) serving: Serving,
}

/// How ticks are served, wherever they come from.
#[derive(Debug, clap::Args)]
pub(crate) struct Serving {
    /// Where to listen [default: 127.0.0.1:9001].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// How fast a capture or journal is replayed: 1 is as it was recorded, max is as fast as it goes [default: 1].
    #[arg(long, value_name = "N|max")]
    pub(crate) speed: Option<Speed>,
    /// Begin when so many clients have subscribed [default: 0].
    #[arg(long, value_name = "CLIENTS")]
    pub(crate) wait: Option<u64>,
    #[command(flatten)]
    pub(crate) size: Size,
    #[command(flatten)]
    pub(crate) feed: Feed,
    #[command(flatten)]
    pub(crate) tuning: Tuning,
}

/// What a server journals.
#[derive(Debug, clap::Args)]
pub(crate) struct Journal {
    /// Journal what is published to files in this directory, and go on from them at the next start [default: no journal].
    #[arg(long, value_name = "DIR", help_heading = JOURNAL)]
    pub(crate) journal: Option<PathBuf>,
    /// When the journal is synced to its disk: each (before anyone sees a message), never (when the operating system
    /// gets to it), or how often: 100ms, 1s [default: 100ms].
    #[arg(long, value_name = "each|TIME|never", help_heading = JOURNAL)]
    pub(crate) journal_sync: Option<SyncPolicy>,
    /// Bytes of messages in one of its files [default: 64M].
    #[arg(long, value_name = "BYTES", help_heading = JOURNAL)]
    pub(crate) journal_segment: Option<Bytes>,
    /// Bytes of all of them, beyond which the oldest are removed [default: 1G].
    #[arg(long, value_name = "BYTES", help_heading = JOURNAL)]
    pub(crate) journal_keep: Option<Bytes>,
    /// How old they may become: 30m, 12h, 7d [default: any age].
    #[arg(long, value_name = "TIME", help_heading = JOURNAL)]
    pub(crate) journal_age: Option<Age>,
}

/// How large a server is.
#[derive(Debug, clap::Args)]
pub(crate) struct Size {
    /// Threads that serve clients [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<NonZeroUsize>,
    /// Connections that all of them serve together; beyond, 503 is the answer [default: as many as descriptors allow, up
    /// to 16384 a shard].
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<NonZeroUsize>,
    /// Whose descriptors connections take: the process's, whose limit all shards share, or registered ones of each
    /// shard's own, which that limit bounds shard by shard (Linux 6.8) [default: process].
    #[arg(long, value_name = "process|registered")]
    pub(crate) descriptors: Option<DescriptorsArg>,
    /// Start only if the plan of memory comes to no more: 512M, 4G [default: no limit, and a warning where this machine
    /// or its control group has less].
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<Bytes>,
}

/// What a server of ticks keeps.
#[derive(Debug, clap::Args)]
pub(crate) struct Feed {
    /// A file, in TOML, that says what this command line does not, and of which class channels are.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Subscriptions that there is memory for, for each connection [default: 16].
    #[arg(long, value_name = "N")]
    pub(crate) subscriptions: Option<NonZeroUsize>,
    /// Compress messages for clients that ask for permessage-deflate: once for all of them, on a track of its own
    /// that takes as much memory as the first [default: off].
    #[arg(long, value_name = "off|on")]
    pub(crate) compression: Option<Switch>,
    /// Shorter messages are sent as they are [default: 512].
    #[arg(long, value_name = "BYTES")]
    pub(crate) compression_threshold: Option<usize>,
    /// Serve tickwire.v1.bin too: each message once more in binary, for all clients that ask for it, on a track of its own
    /// that takes half as much memory as the first [default: on].
    #[arg(long, value_name = "off|on")]
    pub(crate) binary: Option<Switch>,
    /// Bytes of recent messages that the tape holds; a power of two [default: 67108864].
    #[arg(long, value_name = "BYTES")]
    pub(crate) tape_bytes: Option<usize>,
    /// Recent messages that the tape holds; a power of two [default: 262144].
    #[arg(long, value_name = "N")]
    pub(crate) tape_records: Option<usize>,
    /// Milliseconds by which a client may be behind before it skips what is out of date: old quotes and states of
    /// books [default: 500].
    #[arg(long, value_name = "MS")]
    pub(crate) behind_ms: Option<u64>,
    /// Bytes by which it may be [default: 256K].
    #[arg(long, value_name = "BYTES")]
    pub(crate) behind_bytes: Option<Bytes>,
    /// Send a heartbeat to a subscriber to whom nothing was sent for so long; 0 for never [default: 15].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) heartbeat_seconds: Option<u32>,
    /// When told to stop, tell clients and answer 503, and serve on for so long before closing them [default: 0].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_seconds: Option<u32>,
    /// Tell metrics (/metrics, for Prometheus) and health (/healthz) here, in HTTP [default: nowhere].
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin: Option<SocketAddr>,
    /// Publish lines that come in on this socket (one JSON object a line): tcp:ADDR:PORT or unix:PATH. May be given again.
    #[arg(long, value_name = "SOCKET")]
    pub(crate) ingest: Vec<IngestSpec>,
    /// Let every client publish on these channels: room:42, room:*, or * for all. May be given again [default: nobody
    /// publishes].
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    pub(crate) publish: Vec<String>,
    #[command(flatten)]
    pub(crate) journal: Journal,
}

/// Sockets and pings.
#[derive(Debug, clap::Args)]
pub(crate) struct Tuning {
    /// Bytes of a socket's send buffer (SO_SNDBUF), which the kernel doubles [default: 128K].
    #[arg(long, value_name = "BYTES", help_heading = KERNEL)]
    pub(crate) send_buffer: Option<Bytes>,
    /// Bytes of it that may be unsent (TCP_NOTSENT_LOWAT); what is beyond waits on the tape [default: half of it].
    #[arg(long, value_name = "BYTES", help_heading = KERNEL)]
    pub(crate) unsent: Option<Bytes>,
    /// Bytes of a socket's receive buffer (SO_RCVBUF), which the kernel doubles [default: the kernel's, which grow].
    #[arg(long, value_name = "BYTES", help_heading = KERNEL)]
    pub(crate) receive_buffer: Option<Bytes>,
    /// Connections that may wait to be accepted, on each shard's listener [default: 4096].
    #[arg(long, value_name = "N", help_heading = KERNEL)]
    pub(crate) backlog: Option<u32>,
    /// Seconds between the pings of a connection; one that leaves three in a row unanswered is closed [default: 20].
    #[arg(long, value_name = "SECONDS", help_heading = KERNEL)]
    pub(crate) ping_seconds: Option<u32>,
}

/// A server that something is to be said about.
#[derive(Debug, clap::Args)]
pub(crate) struct Examined {
    #[command(flatten)]
    pub(crate) server: Server,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A server that is not to be started.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Where it would listen [default: 127.0.0.1:9001].
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) size: Size,
    #[command(flatten)]
    pub(crate) feed: Feed,
    #[command(flatten)]
    pub(crate) tuning: Tuning,
    /// Of an echo, not of a feed.
    #[arg(long)]
    pub(crate) echo: bool,
    /// Bytes of the longest message to an echo.
    #[arg(long, default_value_t = limits::ECHO_MESSAGE_BYTES_DEFAULT, value_name = "BYTES", requires = "echo")]
    pub(crate) message_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DescriptorsArg {
    Process,
    Registered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Switch {
    Off,
    On,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Echo {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) size: Size,
    /// Bytes of the longest message; a longer one closes its connection with 1009.
    #[arg(long, default_value_t = limits::ECHO_MESSAGE_BYTES_DEFAULT, value_name = "BYTES")]
    pub(crate) message_bytes: u32,
    #[command(flatten)]
    pub(crate) tuning: Tuning,
}

impl Demo {
    pub(crate) fn config(&self) -> Config {
        Config {
            shards: self.shards,
            ..Config::new(self.listen, SourceSpec::Sim { seed: self.seed })
        }
    }
}

impl Serve {
    /// What was asked for: the command line, and where it says nothing, the configuration.
    pub(crate) fn config(&self) -> Result<Config, StartError> {
        self.serving.config(self.source.clone())
    }
}

impl Replay {
    pub(crate) fn config(&self) -> Result<Config, StartError> {
        let path = self.directory.clone();
        self.serving.config(Some(SourceSpec::Journal { path }))
    }
}

impl Serving {
    fn config(&self, source: Option<SourceSpec>) -> Result<Config, StartError> {
        let file = self.feed.file()?;
        let config = feed(&self.size, &self.feed, &self.tuning, &file)?;
        Ok(Config {
            listen: self.listen.or(file.listen).unwrap_or(LISTEN),
            source: source.or(file.source).ok_or(StartError::NoSource)?,
            speed: self.speed.or(file.speed).unwrap_or(config.speed),
            wait_for: self.wait.or(file.wait).unwrap_or(config.wait_for),
            ..config
        })
    }
}

impl Feed {
    fn file(&self) -> Result<ConfigFile, StartError> {
        let loaded = self.config.as_deref().map(ConfigFile::load).transpose();
        loaded
            .map(Option::unwrap_or_default)
            .map_err(StartError::ConfigFile)
    }
}

impl Feed {
    /// Where lines come in: what is said here counts, and else what the file says.
    fn ingest(&self, file: &ConfigFile) -> Result<Vec<IngestSpec>, StartError> {
        if !self.ingest.is_empty() {
            return Ok(self.ingest.clone());
        }
        file.ingest().map_err(StartError::ConfigFile)
    }
}

impl Journal {
    fn spec(&self, file: &ConfigFile) -> Result<Option<JournalSpec>, StartError> {
        let sync = self.journal_sync.or(file.journal_sync);
        let segment = self.journal_segment.or(file.journal_segment);
        let keep = self.journal_keep.or(file.journal_keep);
        let age = self.journal_age.or(file.journal_age);
        let Some(directory) = self.journal.clone().or_else(|| file.journal.clone()) else {
            let said = [
                ("--journal-sync", sync.is_some()),
                ("--journal-segment", segment.is_some()),
                ("--journal-keep", keep.is_some()),
                ("--journal-age", age.is_some()),
            ];
            return match said.into_iter().find(|(_, is_said)| *is_said) {
                Some((option, _)) => Err(StartError::NoJournal { option }),
                None => Ok(None),
            };
        };
        let default = JournalSpec::new(directory);
        Ok(Some(JournalSpec {
            sync: sync.unwrap_or(default.sync),
            segment_bytes: segment.map_or(default.segment_bytes, |bytes| bytes.0),
            retain_bytes: keep.map_or(default.retain_bytes, |bytes| Some(bytes.0)),
            retain_age: age.or(default.retain_age),
            ..default
        }))
    }
}

impl Echo {
    pub(crate) fn config(&self) -> EchoConfig {
        EchoConfig {
            listen: self.listen,
            ..echo(&self.size, &self.tuning, self.message_bytes)
        }
    }
}

impl Server {
    /// What it would come to, on any machine.
    pub(crate) fn draft(&self) -> Result<Resolved, StartError> {
        let file = self.feed.file()?;
        let drafted = if self.echo {
            echo(&self.size, &self.tuning, self.message_bytes).draft()?
        } else {
            feed(&self.size, &self.feed, &self.tuning, &file)?.draft()?
        };
        Ok(Resolved {
            listen: self.listen.or(file.listen).unwrap_or(LISTEN),
            ..drafted
        })
    }
}

impl From<DescriptorsArg> for Descriptors {
    fn from(asked: DescriptorsArg) -> Self {
        match asked {
            DescriptorsArg::Process => Self::Process,
            DescriptorsArg::Registered => Self::Registered,
        }
    }
}

impl Switch {
    const fn is_on(self) -> bool {
        matches!(self, Self::On)
    }
}

impl Tuning {
    fn resolve(&self, file: &ConfigFile) -> control::Tuning {
        let default = control::Tuning::default();
        let send_buffer = self.send_buffer.or(file.send_buffer);
        let ping_seconds = self.ping_seconds.or(file.ping_seconds);
        control::Tuning {
            send_buffer: send_buffer.unwrap_or(default.send_buffer),
            unsent: self.unsent.or(file.unsent),
            receive_buffer: self.receive_buffer.or(file.receive_buffer),
            backlog: self.backlog.or(file.backlog).unwrap_or(default.backlog),
            ping_seconds: ping_seconds.unwrap_or(default.ping_seconds),
        }
    }
}

impl Size {
    fn descriptors(&self, file: &ConfigFile) -> Descriptors {
        let asked = self.descriptors.map(Descriptors::from);
        let asked = asked.or(file.descriptors.map(Descriptors::from));
        asked.unwrap_or_default()
    }
}

/// A server of ticks of this size, for the rest as the file has it, or as it comes.
fn feed(size: &Size, feed: &Feed, tuning: &Tuning, file: &ConfigFile) -> Result<Config, StartError> {
    let default = Config::new(ANYWHERE, SourceSpec::Sim { seed: SEED_DEFAULT });
    let slack = Slack {
        ms: feed.behind_ms.or(file.behind_ms).unwrap_or(default.slack.ms),
        bytes: feed
            .behind_bytes
            .or(file.behind_bytes)
            .map_or(default.slack.bytes, |bytes| bytes.0),
    };
    let channels = file.channels(slack).map_err(StartError::ConfigFile)?;
    let is_compressing = feed.compression.map(Switch::is_on).or(file.compression);
    let threshold = feed.compression_threshold.or(file.compression_threshold);
    let threshold = threshold.unwrap_or(limits::COMPRESSION_THRESHOLD_DEFAULT);
    let binary = feed.binary.map(Switch::is_on).or(file.binary);
    let heartbeat_seconds = feed.heartbeat_seconds.or(file.heartbeat_seconds);
    let drain_seconds = feed.drain_seconds.or(file.drain_seconds);
    Ok(Config {
        admin: feed.admin.or(file.admin),
        shards: size.shards.or(file.shards),
        connections: size.connections.or(file.connections),
        descriptors: size.descriptors(file),
        memory: size.memory.or(file.memory),
        subscriptions: feed
            .subscriptions
            .or(file.subscriptions)
            .unwrap_or(default.subscriptions),
        rules: channels.rules,
        slack,
        terms: channels.terms,
        compression: is_compressing.unwrap_or(false).then_some(threshold),
        binary: binary.unwrap_or(default.binary),
        track_bytes: feed.tape_bytes.or(file.tape_bytes).unwrap_or(default.track_bytes),
        records: feed.tape_records.or(file.tape_records).unwrap_or(default.records),
        heartbeat_seconds: heartbeat_seconds.unwrap_or(default.heartbeat_seconds),
        drain_seconds: drain_seconds.unwrap_or(default.drain_seconds),
        journal: feed.journal.spec(file)?,
        ingest: feed.ingest(file)?,
        publishers: Arc::new(file.publishers(&feed.publish).map_err(StartError::ConfigFile)?),
        tuning: tuning.resolve(file),
        ..default
    })
}

/// A pattern, as it was written.
fn pattern(text: &str) -> Result<String, ChannelNameError> {
    Pattern::parse(text).map(|_| text.to_owned())
}

/// Likewise an echo, of which no file says anything.
fn echo(size: &Size, tuning: &Tuning, message_bytes_max: u32) -> EchoConfig {
    let nothing = ConfigFile::default();
    EchoConfig {
        shards: size.shards,
        connections: size.connections,
        descriptors: size.descriptors(&nothing),
        memory: size.memory,
        tuning: tuning.resolve(&nothing),
        message_bytes_max,
        ..EchoConfig::new(ANYWHERE)
    }
}

/// Where a server listens that is told nothing else.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);
/// Any free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const KERNEL: &str = "Sockets and pings";
const JOURNAL: &str = "Journal";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_defaults_that_help_names_are_those_that_hold() {
        let command = Args::command();
        let serve = command.find_subcommand("serve").expect("a command");
        let config = Config::new(LISTEN, SourceSpec::Sim { seed: SEED_DEFAULT });
        for (option, default) in [
            ("listen", LISTEN.to_string()),
            ("speed", config.speed.to_string()),
            ("wait", config.wait_for.to_string()),
            ("subscriptions", config.subscriptions.to_string()),
            (
                "compression_threshold",
                limits::COMPRESSION_THRESHOLD_DEFAULT.to_string(),
            ),
            ("tape_bytes", config.track_bytes.to_string()),
            ("tape_records", config.records.to_string()),
            ("behind_ms", config.slack.ms.to_string()),
            ("behind_bytes", format!("{}K", config.slack.bytes / 1024)),
            ("heartbeat_seconds", config.heartbeat_seconds.to_string()),
            ("drain_seconds", config.drain_seconds.to_string()),
            ("backlog", config.tuning.backlog.to_string()),
            ("ping_seconds", config.tuning.ping_seconds.to_string()),
        ] {
            let named = serve.get_arguments().find(|named| named.get_id() == option);
            let help = named.and_then(|named| named.get_help()).map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{option} is not explained"));
            assert!(
                help.contains(&format!("default: {default}")),
                "{option} {default}: {help}"
            );
        }
    }
}
