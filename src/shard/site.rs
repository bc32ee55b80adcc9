//! What a shard offers to those who connect, what it tells them all, and where it answers.

use std::sync::Arc;

use super::deflaters::Deflaters;
use crate::base::JournalCensus;
use crate::dialect::errand::ShardEnd;
use crate::dialect::native_json::Classes;
use crate::dialect::{Encoding, Publishers};
use crate::hub::{Slack, Terms};
use crate::limits::{HEARTBEAT_MS, PING_INTERVAL_MS, REPLY_BYTES_MAX, TRACK_WINDOW_BITS};
use crate::tape::Track;
use crate::wire::{DeflatePolicy, Inflater, Opcode, server_header};

/// The kinds of channel that exist before their first message.
pub const KINDS: [&str; 3] = ["trade", "bbo", "book"];
/// Where subscribers connect.
pub const FEED_PATH: &str = "/v1/ws";
/// Where load balancers ask.
pub const HEALTH_PATH: &str = "/healthz";
/// The languages that may be spoken, with the one that is always spoken first.
pub const PROTOCOLS: &[&str] = &[Encoding::Json.subprotocol(), Encoding::Binary.subprotocol()];

/// Bytes that there is room for in what is being written: the longest reply, and what surrounds it.
pub(super) const SCRATCH_BYTES: usize = 2 * REPLY_BYTES_MAX;

/// What those get who connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Service {
    /// Ticks, on [`FEED_PATH`]: text messages are commands, and the shard's hub carries them out.
    #[default]
    Feed,
    /// Their own messages, on every path: text and binary come back as they came. For conformance and benchmarks, on
    /// the same code as the feed: only what a request head and a message come to differs.
    Echo,
}

/// One shard's view of the server it is part of, and the scratch in which it writes.
#[derive(Debug, Default)]
pub struct Site {
    /// Which shard this is.
    pub shard: usize,
    /// What it offers.
    pub service: Service,
    /// Connections that are served at once; one more is told to come back later.
    pub connections_max: usize,
    /// Bytes of a client's message. Beyond: close 1009.
    pub message_bytes_max: u32,
    /// How long such a message may be under way. Beyond: close 1008.
    pub message_ms: u64,
    /// How long between the pings of a connection. One that leaves
    /// [so many](crate::limits::PINGS_UNANSWERED_MAX) of them unanswered is closed 4014.
    pub ping_interval_ms: u64,
    /// After how long a silence a subscriber is sent a heartbeat; `None` where nobody ever is.
    pub heartbeat_ms: Option<u64>,
    /// How long it goes on when it has been told to stop, so that clients and balancers can turn elsewhere.
    pub drain_ms: u64,
    /// Sequence numbers count within this epoch; it changes when their continuity is lost.
    pub epoch: Box<str>,
    /// On which terms clients may be behind: those of the number that a channel has, or the first, if it is not there.
    pub terms: Vec<Terms>,
    /// Of which class channels are, where that is not their kind's.
    pub classes: Classes,
    /// What the server's journal counts, where it has one.
    pub journal: Option<Arc<JournalCensus>>,
    /// Who may publish what.
    pub publishers: Arc<Publishers>,
    /// How the writer is asked for something; `None` where there is none.
    pub way: Option<ShardEnd>,
    /// The track of the native JSON language.
    pub track: Track,
    /// The same for those who agreed on permessage-deflate.
    pub track_deflated: Track,
    /// The track of the native binary language, where that is spoken.
    pub track_binary: Option<Track>,
    /// What is agreed on about compression with those who ask for it; `None` where it is not offered.
    pub deflate: Option<DeflatePolicy>,
    /// Inflates what they send.
    pub(super) inflater: Option<Box<Inflater>>,
    /// Whether it has been told to stop.
    pub(super) is_leaving: bool,
    /// Connections that are open.
    pub(super) open: usize,
    /// How many have ever been opened, which names the next one.
    pub(super) opened: u64,
    /// A message being written.
    pub(super) text: Vec<u8>,
    /// Frames being written.
    pub(super) frame: Vec<u8>,
    /// Compress what is written for one client alone.
    pub(super) deflaters: Deflaters,
}

impl Site {
    /// What the shard of that number tells the clients of its feed.
    #[must_use]
    pub fn new(shard: usize, epoch: Box<str>) -> Self {
        Self {
            shard,
            ping_interval_ms: PING_INTERVAL_MS,
            heartbeat_ms: Some(HEARTBEAT_MS),
            epoch,
            ..Self::default()
        }
    }

    /// The same where channels are of these classes.
    #[must_use]
    pub fn classed(self, classes: Classes) -> Self {
        Self { classes, ..self }
    }

    /// The same where `track` holds every message compressed for all who agree on its window.
    #[must_use]
    pub fn compressing(self, track: Track) -> Self {
        Self {
            track_deflated: track,
            deflate: Some(DeflatePolicy {
                server_window_bits_min: TRACK_WINDOW_BITS,
                server_window_bits_max: TRACK_WINDOW_BITS,
                ..DeflatePolicy::default()
            }),
            ..self
        }
    }

    /// The same for clients that may be so far behind, whatever the channel.
    #[must_use]
    pub fn with_slack(self, slack: Slack) -> Self {
        self.on_terms(vec![Terms { policy: None, slack }])
    }

    /// The same for clients that may be behind on these terms, by the numbers that channels have.
    #[must_use]
    pub fn on_terms(self, terms: Vec<Terms>) -> Self {
        Self { terms, ..self }
    }

    /// The same where `track` holds every message in binary.
    #[must_use]
    pub fn speaking_binary(self, track: Track) -> Self {
        Self {
            track_binary: Some(track),
            ..self
        }
    }

    /// The languages that are spoken.
    #[must_use]
    pub fn protocols(&self) -> &'static [&'static str] {
        match self.track_binary {
            Some(_) => PROTOCOLS,
            None => &PROTOCOLS[..1],
        }
    }

    /// The same with so long between the pings of a connection.
    #[must_use]
    pub fn pinging(self, ping_interval_ms: u64) -> Self {
        Self {
            ping_interval_ms,
            ..self
        }
    }

    /// The same with a heartbeat after so long a silence, or with none.
    #[must_use]
    pub fn beating(self, heartbeat_ms: Option<u64>) -> Self {
        Self { heartbeat_ms, ..self }
    }

    /// The same that goes on for so long when it has been told to stop.
    #[must_use]
    pub fn draining(self, drain_ms: u64) -> Self {
        Self { drain_ms, ..self }
    }

    /// The same of a server that journals what it publishes.
    #[must_use]
    pub fn journaled(self, census: Arc<JournalCensus>) -> Self {
        Self {
            journal: Some(census),
            ..self
        }
    }

    /// The same of a server whose writer does this way what clients ask for, and publishes what these publishers say.
    #[must_use]
    pub fn asking(self, way: ShardEnd, publishers: Arc<Publishers>) -> Self {
        Self {
            publishers,
            way: Some(way),
            ..self
        }
    }

    /// The kinds of channel that a client may subscribe to before there is a channel of them.
    pub(super) fn kinds(&self) -> Vec<&str> {
        KINDS.into_iter().chain(self.publishers.kinds()).collect()
    }

    /// The way to the writer, and the rest.
    pub(super) fn without_way(mut self) -> (Option<ShardEnd>, Self) {
        (self.way.take(), self)
    }

    /// What a load balancer is told.
    pub(super) fn health(&self) -> &'static str {
        health(self.journal.as_deref())
    }

    /// The same of a shard that echoes. Whoever asks for compression has it, each message by itself.
    #[must_use]
    pub fn echo(shard: usize) -> Self {
        Self {
            shard,
            service: Service::Echo,
            ping_interval_ms: PING_INTERVAL_MS,
            deflate: Some(DeflatePolicy::default()),
            ..Self::default()
        }
    }

    /// Adds a frame of the message in the scratch to those in the scratch.
    pub(super) fn frame_text(&mut self) {
        let header = server_header(Opcode::Text, self.text.len());
        self.frame.extend_from_slice(header.as_slice());
        self.frame.extend_from_slice(&self.text);
    }

    /// The same of the message that `write` writes.
    pub(super) fn notice(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.text.clear();
        write(&mut self.text);
        self.frame_text();
    }
}

/// What a load balancer is told of a feed with this journal. One that is not journaled, as it should be, is a feed still.
#[must_use]
pub fn health(journal: Option<&JournalCensus>) -> &'static str {
    match journal {
        Some(journal) if journal.missing.read() > 0 => "ok, but not journaling\n",
        Some(_) | None => "ok\n",
    }
}
