//! What can be typed.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::{Parser, Subcommand};
use tickwire::control::{Config, EchoConfig};
use tickwire::limits;
use tickwire::ring::Descriptors;
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
    /// Send every message back as it came, on every path: for conformance and benchmarks.
    Echo(Echo),
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
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Where ticks come from: sim, sim:SEED, capture:PATH (recorded Binance lines, gzip or plain), or stdin (one
    /// JSON object a line).
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: SourceSpec,
    /// How fast a capture is replayed: 1 is as it was recorded, max is as fast as it goes.
    #[arg(long, default_value = "1", value_name = "N|max")]
    pub(crate) speed: Speed,
    /// Begin when so many clients have subscribed.
    #[arg(long, default_value_t = 0, value_name = "CLIENTS")]
    pub(crate) wait: u64,
    /// Threads that serve clients [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<NonZeroUsize>,
    /// Connections that each shard serves; one more is answered 503 [default: as many as descriptors allow].
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<NonZeroUsize>,
    /// Whose descriptors connections take: the process's, whose limit all shards share, or registered ones of each
    /// shard's own, which that limit bounds shard by shard (Linux 6.8).
    #[arg(long, default_value = "process", value_name = "process|registered")]
    pub(crate) descriptors: DescriptorsArg,
    /// Compress messages for clients that ask for permessage-deflate: once for all of them, on a track of its own
    /// that takes as much memory as the first.
    #[arg(long, default_value = "off", value_name = "off|on")]
    pub(crate) compression: Compression,
    /// Shorter messages are sent as they are.
    #[arg(long, default_value_t = limits::COMPRESSION_THRESHOLD_DEFAULT, value_name = "BYTES")]
    pub(crate) compression_threshold: usize,
    /// Bytes of recent messages that the tape holds; a power of two.
    #[arg(long, default_value_t = limits::TRACK_BYTES_DEFAULT, value_name = "BYTES")]
    pub(crate) tape_bytes: usize,
    /// Recent messages that the tape holds; a power of two.
    #[arg(long, default_value_t = limits::TAPE_RECORDS_DEFAULT, value_name = "N")]
    pub(crate) tape_records: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Compression {
    Off,
    On,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum DescriptorsArg {
    Process,
    Registered,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Echo {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9001", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Threads that serve clients [default: one per core].
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<NonZeroUsize>,
    /// Connections that each shard serves; one more is answered 503 [default: as many as descriptors allow].
    #[arg(long, value_name = "N")]
    pub(crate) connections: Option<NonZeroUsize>,
    /// Whose descriptors connections take: the process's, whose limit all shards share, or registered ones of each
    /// shard's own, which that limit bounds shard by shard (Linux 6.8).
    #[arg(long, default_value = "process", value_name = "process|registered")]
    pub(crate) descriptors: DescriptorsArg,
    /// Bytes of the longest message; a longer one closes its connection with 1009.
    #[arg(long, default_value_t = limits::ECHO_MESSAGE_BYTES_DEFAULT, value_name = "BYTES")]
    pub(crate) message_bytes: u32,
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
        Config {
            listen: self.listen,
            shards: self.shards,
            connections: self.connections,
            descriptors: self.descriptors.into(),
            source: self.source.clone(),
            speed: self.speed,
            wait_for: self.wait,
            compression: (self.compression == Compression::On).then_some(self.compression_threshold),
            track_bytes: self.tape_bytes,
            records: self.tape_records,
        }
    }
}

impl Echo {
    pub(crate) fn config(&self) -> EchoConfig {
        EchoConfig {
            listen: self.listen,
            shards: self.shards,
            connections: self.connections,
            descriptors: self.descriptors.into(),
            message_bytes_max: self.message_bytes,
        }
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
