//! What can be typed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use tickwire::control::{self, Bytes, Config, EchoConfig, Resolved, StartError};
use tickwire::dialect::Publishers;
use tickwire::dialect::publisher::Grants;
use tickwire::limits;
use tickwire::market::{ChannelNameError, Pattern};
use tickwire::ring::Descriptors;
use tickwire::shard::Slack;
use tickwire::writer::IngestSpec;
use tickwire::writer::journal::{Age, JournalSpec, SyncPolicy};
use tickwire::writer::source::{SEED_DEFAULT, SourceSpec, Speed};

use crate::{bench, sub};

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
    /// (one JSON object a line), or none (there is what clients publish).
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: SourceSpec,
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
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// How fast a capture or journal is replayed: 1 is as it was recorded, max is as fast as it goes.
    #[arg(long, default_value = "1", value_name = "N|max")]
    pub(crate) speed: Speed,
    /// Begin when so many clients have subscribed.
    #[arg(long, default_value_t = 0, value_name = "CLIENTS")]
    pub(crate) wait: u64,
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
    #[arg(long, value_name = "each|TIME|never", requires = "journal", help_heading = JOURNAL)]
    pub(crate) journal_sync: Option<SyncPolicy>,
    /// Bytes of messages in one of its files [default: 64M].
    #[arg(long, value_name = "BYTES", requires = "journal", help_heading = JOURNAL)]
    pub(crate) journal_segment: Option<Bytes>,
    /// Bytes of all of them, beyond which the oldest are removed [default: 1G].
    #[arg(long, value_name = "BYTES", requires = "journal", help_heading = JOURNAL)]
    pub(crate) journal_keep: Option<Bytes>,
    /// How old they may become: 30m, 12h, 7d [default: any age].
    #[arg(long, value_name = "TIME", requires = "journal", help_heading = JOURNAL)]
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
    /// shard's own, which that limit bounds shard by shard (Linux 6.8).
    #[arg(long, default_value = "process", value_name = "process|registered")]
    pub(crate) descriptors: DescriptorsArg,
    /// Start only if the plan of memory comes to no more: 512M, 4G [default: no limit, and a warning where this machine
    /// or its control group has less].
    #[arg(long, value_name = "BYTES")]
    pub(crate) memory: Option<Bytes>,
}

/// What a server of ticks keeps.
#[derive(Debug, clap::Args)]
pub(crate) struct Feed {
    /// Subscriptions that there is memory for, for each connection.
    #[arg(long, default_value_t = subscriptions_default(), value_name = "N")]
    pub(crate) subscriptions: NonZeroUsize,
    /// Compress messages for clients that ask for permessage-deflate: once for all of them, on a track of its own
    /// that takes as much memory as the first.
    #[arg(long, default_value = "off", value_name = "off|on")]
    pub(crate) compression: Switch,
    /// Shorter messages are sent as they are.
    #[arg(long, default_value_t = limits::COMPRESSION_THRESHOLD_DEFAULT, value_name = "BYTES")]
    pub(crate) compression_threshold: usize,
    /// Serve tickwire.v1.bin too: each message once more in binary, for all clients that ask for it, on a track of its own
    /// that takes half as much memory as the first.
    #[arg(long, default_value = "on", value_name = "off|on")]
    pub(crate) binary: Switch,
    /// Bytes of recent messages that the tape holds; a power of two.
    #[arg(long, default_value_t = limits::TRACK_BYTES_DEFAULT, value_name = "BYTES")]
    pub(crate) tape_bytes: usize,
    /// Recent messages that the tape holds; a power of two.
    #[arg(long, default_value_t = limits::TAPE_RECORDS_DEFAULT, value_name = "N")]
    pub(crate) tape_records: usize,
    /// Milliseconds by which a client may be behind before it skips what is out of date: old quotes and states of books.
    #[arg(long, default_value_t = limits::BEHIND_MS, value_name = "MS")]
    pub(crate) behind_ms: u64,
    /// Bytes by which it may be.
    #[arg(long, default_value = "256K", value_name = "BYTES")]
    pub(crate) behind_bytes: Bytes,
    /// Send a heartbeat to a subscriber to whom nothing was sent for so long; 0 for never [default: 15].
    #[arg(long, value_name = "SECONDS")]
    pub(crate) heartbeat_seconds: Option<u32>,
    /// When told to stop, tell clients and answer 503, and serve on for so long before closing them.
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub(crate) drain_seconds: u32,
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
    /// Connections that may wait to be accepted, on each shard's listener.
    #[arg(long, default_value_t = limits::LISTEN_BACKLOG, value_name = "N", help_heading = KERNEL)]
    pub(crate) backlog: u32,
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
    /// Where it would listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
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
    pub(crate) fn config(&self) -> Config {
        self.serving.config(self.source.clone())
    }
}

impl Replay {
    pub(crate) fn config(&self) -> Config {
        let path = self.directory.clone();
        self.serving.config(SourceSpec::Journal { path })
    }
}

impl Serving {
    fn config(&self, source: SourceSpec) -> Config {
        Config {
            listen: self.listen,
            source,
            speed: self.speed,
            wait_for: self.wait,
            ..feed(&self.size, &self.feed, &self.tuning)
        }
    }
}

impl Feed {
    /// Whoever may publish. Patterns have been checked one by one, and nobody has a token.
    fn publishers(&self) -> Publishers {
        let anyone = Grants::parse(self.publish.iter().map(String::as_str));
        Publishers::new(anyone.unwrap_or_default(), Vec::new()).unwrap_or_default()
    }
}

impl Journal {
    fn spec(&self) -> Option<JournalSpec> {
        let default = JournalSpec::new(self.journal.clone()?);
        Some(JournalSpec {
            sync: self.journal_sync.unwrap_or(default.sync),
            segment_bytes: self
                .journal_segment
                .map_or(default.segment_bytes, |bytes| bytes.0),
            retain_bytes: self
                .journal_keep
                .map_or(default.retain_bytes, |bytes| Some(bytes.0)),
            retain_age: self.journal_age.or(default.retain_age),
            ..default
        })
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
        let drafted = if self.echo {
            echo(&self.size, &self.tuning, self.message_bytes).draft()?
        } else {
            feed(&self.size, &self.feed, &self.tuning).draft()?
        };
        Ok(Resolved {
            listen: self.listen,
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

impl Tuning {
    fn resolve(&self) -> control::Tuning {
        let default = control::Tuning::default();
        control::Tuning {
            send_buffer: self.send_buffer.unwrap_or(default.send_buffer),
            unsent: self.unsent,
            receive_buffer: self.receive_buffer,
            backlog: self.backlog,
            ping_seconds: self.ping_seconds.unwrap_or(default.ping_seconds),
        }
    }
}

/// A server of ticks of this size, for the rest as it comes.
fn feed(size: &Size, feed: &Feed, tuning: &Tuning) -> Config {
    let default = feed_default();
    Config {
        shards: size.shards,
        connections: size.connections,
        descriptors: size.descriptors.into(),
        memory: size.memory,
        subscriptions: feed.subscriptions,
        slack: Slack {
            ms: feed.behind_ms,
            bytes: feed.behind_bytes.0,
        },
        compression: (feed.compression == Switch::On).then_some(feed.compression_threshold),
        binary: feed.binary == Switch::On,
        track_bytes: feed.tape_bytes,
        records: feed.tape_records,
        heartbeat_seconds: feed.heartbeat_seconds.unwrap_or(default.heartbeat_seconds),
        drain_seconds: feed.drain_seconds,
        journal: feed.journal.spec(),
        ingest: feed.ingest.clone(),
        publishers: Arc::new(feed.publishers()),
        tuning: tuning.resolve(),
        ..default
    }
}

/// A pattern, as it was written.
fn pattern(text: &str) -> Result<String, ChannelNameError> {
    Pattern::parse(text).map(|_| text.to_owned())
}

/// Likewise an echo.
fn echo(size: &Size, tuning: &Tuning, message_bytes_max: u32) -> EchoConfig {
    EchoConfig {
        shards: size.shards,
        connections: size.connections,
        descriptors: size.descriptors.into(),
        memory: size.memory,
        tuning: tuning.resolve(),
        message_bytes_max,
        ..EchoConfig::new(ANYWHERE)
    }
}

fn subscriptions_default() -> NonZeroUsize {
    feed_default().subscriptions
}

/// A server of ticks as it comes.
fn feed_default() -> Config {
    Config::new(ANYWHERE, SourceSpec::Sim { seed: SEED_DEFAULT })
}

/// Any free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const KERNEL: &str = "Sockets and pings";
const JOURNAL: &str = "Journal";
