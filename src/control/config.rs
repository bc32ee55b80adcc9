//! What was asked for, and what that comes to on this machine.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use super::tuning::within;
use super::{Bytes, Plan, StartError, Tuning};
use crate::dialect::Publishers;
use crate::limits;
use crate::market::ChannelRules;
use crate::ring::descriptors::{DescriptorShortage, Registered, TableShortage, raise_descriptor_limit};
use crate::ring::{Descriptors, ListenerOptions, UringOptions};
use crate::shard::{Size, Slack, Terms};
use crate::tape::Shape;
use crate::writer::source::{SourceSpec, Speed};
use crate::writer::{Formats, IngestSpec};
use crate::writer::{JournalError, JournalSpec};

/// What was asked for of a server of ticks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 for any free port.
    pub listen: SocketAddr,
    /// Where metrics and health are told; `None` for nowhere.
    pub admin: Option<SocketAddr>,
    /// How many shards; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
    /// How many connections all shards together serve at once; `None` for as many as the descriptors allow, up to
    /// [`limits::CONNECTIONS_PER_SHARD_DEFAULT`] each.
    pub connections: Option<NonZeroUsize>,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
    /// How many subscriptions there is memory for, for each of these.
    pub subscriptions: NonZeroUsize,
    /// How much memory the plan may come to; `None` for no limit.
    pub memory: Option<Bytes>,
    /// Sockets and pings.
    pub tuning: Tuning,
    /// Seconds without a message after which a subscriber is sent a heartbeat; 0 for never.
    pub heartbeat_seconds: u32,
    /// Seconds for which the server goes on when it has been told to stop.
    pub drain_seconds: u32,
    /// Where ticks come from.
    pub source: SourceSpec,
    /// How fast a capture or a journal is replayed.
    pub speed: Speed,
    /// Where what is published is journaled, and how; `None` for no journal.
    pub journal: Option<JournalSpec>,
    /// Sockets on which others publish lines.
    pub ingest: Vec<IngestSpec>,
    /// Which clients may publish what.
    pub publishers: Arc<Publishers>,
    /// How many clients must have subscribed before the source begins.
    pub wait_for: u64,
    /// What is said of channels.
    pub rules: ChannelRules,
    /// How far behind a client may be on a channel of which nothing else is said.
    pub slack: Slack,
    /// On which other terms clients may be behind, numbered from 1, as `rules` say it.
    pub terms: Vec<Terms>,
    /// The length from which messages are compressed for clients that ask for it; `None` for no compression.
    pub compression: Option<usize>,
    /// Whether messages are also there for clients that would have them in binary.
    pub binary: bool,
    /// Bytes of the tape's track of JSON, a power of two, from which the others' follow.
    pub track_bytes: usize,
    /// Records of the tape's index; a power of two.
    pub records: usize,
}

/// What was asked for of a server that sends every message back.
#[derive(Clone, Debug)]
pub struct EchoConfig {
    /// Where to listen; port 0 for any free port.
    pub listen: SocketAddr,
    /// How many shards; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
    /// How many connections all shards together serve at once; `None` as for a server of ticks.
    pub connections: Option<NonZeroUsize>,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
    /// How much memory the plan may come to; `None` for no limit.
    pub memory: Option<Bytes>,
    /// Sockets and pings.
    pub tuning: Tuning,
    /// Bytes of the longest message.
    pub message_bytes_max: u32,
}

/// What was asked for, with every default filled in.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How many shards.
    pub shards: usize,
    /// How many connections all of them serve together, however the kernel spreads them.
    pub connections: usize,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
    /// How much memory the plan may come to; `None` for no limit.
    pub memory: Option<Bytes>,
    /// What listeners are made with.
    pub listener: ListenerOptions,
    /// How long between the pings of a connection.
    pub ping_interval_ms: u64,
    /// The tape.
    pub shape: Shape,
    /// What for.
    pub purpose: Purpose,
}

/// What a server is there for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// To serve ticks, as was asked for.
    Feed(Box<Config>),
    /// To send every message back.
    Echo {
        /// Bytes of the longest one.
        message_bytes_max: u32,
    },
}

impl Config {
    /// A server of `source` on `listen` with defaults for the rest.
    #[must_use]
    pub fn new(listen: SocketAddr, source: SourceSpec) -> Self {
        Self {
            listen,
            admin: None,
            shards: None,
            connections: None,
            descriptors: Descriptors::default(),
            subscriptions: SUBSCRIPTIONS,
            memory: None,
            tuning: Tuning::default(),
            heartbeat_seconds: HEARTBEAT_SECONDS,
            drain_seconds: 0,
            source,
            speed: Speed::REAL_TIME,
            journal: None,
            ingest: Vec::new(),
            publishers: Arc::default(),
            wait_for: 0,
            rules: ChannelRules::default(),
            slack: Slack::default(),
            terms: Vec::new(),
            compression: None,
            binary: true,
            track_bytes: limits::TRACK_BYTES_DEFAULT,
            records: limits::TAPE_RECORDS_DEFAULT,
        }
    }

    /// On which terms clients may be behind, by number.
    #[must_use]
    pub fn all_terms(&self) -> Vec<Terms> {
        let first = Terms {
            policy: None,
            slack: self.slack,
        };
        std::iter::once(first).chain(self.terms.iter().copied()).collect()
    }

    /// In which forms every message goes on the tape.
    #[must_use]
    pub fn formats(&self) -> Formats {
        Formats {
            deflated: self.compression,
            binary: self.binary,
        }
    }

    /// Fills in the defaults for this machine, and raises this process's limit of descriptors as far as needed.
    ///
    /// # Errors
    /// When this machine cannot give what was asked for, or it takes more memory than was allowed.
    pub fn resolve(self) -> Result<Resolved, StartError> {
        self.check_source()?;
        let asked = self.connections;
        self.draft()?.resolve(asked)
    }

    /// Fills in the defaults and asks nothing of this machine, as for a plan of a server that will run on another one.
    ///
    /// # Errors
    /// When no machine could give what was asked for.
    pub fn draft(self) -> Result<Resolved, StartError> {
        let shards = shards(self.shards)?;
        let shape = Shape {
            records: self.records,
            track_bytes: self.formats().track_bytes(self.track_bytes),
            readers: shards + CONTROL,
        };
        shape.check().map_err(StartError::Tape)?;
        check_size("bytes", self.track_bytes, limits::TRACK_BYTES_MIN)?;
        let (beat, drain) = (self.heartbeat_seconds.into(), self.drain_seconds.into());
        within("--heartbeat-seconds", beat, 0, limits::HEARTBEAT_SECONDS_MOST)?;
        within("--drain-seconds", drain, 0, limits::DRAIN_SECONDS_MOST)?;
        check_size("records", self.records, limits::TAPE_RECORDS_MIN)?;
        self.check_journal()?;
        Ok(Resolved {
            listen: self.listen,
            shards,
            connections: connections(self.connections, shards),
            descriptors: self.descriptors,
            memory: self.memory,
            listener: self.tuning.listener()?,
            ping_interval_ms: self.tuning.ping_interval_ms()?,
            shape,
            purpose: Purpose::Feed(Box::new(self)),
        })
    }
}

impl Config {
    fn check_journal(&self) -> Result<(), StartError> {
        let (least, most) = (
            limits::JOURNAL_SEGMENT_BYTES_LEAST,
            limits::JOURNAL_SEGMENT_BYTES_MOST,
        );
        let allowed = u64::from(least)..=u64::from(most);
        match self.journal.as_ref().map(|journal| journal.segment_bytes) {
            Some(asked) if !allowed.contains(&asked) => Err(StartError::OutOfRange {
                option: "--journal-segment",
                asked,
                least,
                most,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// A journal that is its own source would never end.
    fn check_source(&self) -> Result<(), StartError> {
        let (Some(journal), SourceSpec::Journal { path }) = (&self.journal, &self.source) else {
            return Ok(());
        };
        // A directory that cannot be found is not the other one.
        let same = match (path.canonicalize(), journal.directory.canonicalize()) {
            (Ok(source), Ok(journal)) => source == journal,
            (Ok(_) | Err(_), Ok(_) | Err(_)) => *path == journal.directory,
        };
        if same {
            return Err(StartError::Journal(JournalError::Circle { path: path.clone() }));
        }
        Ok(())
    }
}

impl EchoConfig {
    /// An echo on `listen` with defaults for the rest.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            shards: None,
            connections: None,
            descriptors: Descriptors::default(),
            memory: None,
            tuning: Tuning::default(),
            message_bytes_max: limits::ECHO_MESSAGE_BYTES_DEFAULT,
        }
    }

    /// As [`Config::resolve`].
    ///
    /// # Errors
    /// When this machine cannot give what was asked for, or it takes more memory than was allowed.
    pub fn resolve(self) -> Result<Resolved, StartError> {
        let asked = self.connections;
        self.draft()?.resolve(asked)
    }

    /// As [`Config::draft`].
    ///
    /// # Errors
    /// When no machine could give what was asked for.
    pub fn draft(self) -> Result<Resolved, StartError> {
        let message_bytes_max = self.message_bytes_max;
        if !(1..=limits::ECHO_MESSAGE_BYTES_MOST).contains(&message_bytes_max) {
            return Err(StartError::MessageBytes {
                asked: message_bytes_max,
            });
        }
        let shards = shards(self.shards)?;
        let shape = Shape::smallest(shards);
        shape.check().map_err(StartError::Tape)?;
        Ok(Resolved {
            listen: self.listen,
            shards,
            connections: connections(self.connections, shards),
            descriptors: self.descriptors,
            memory: self.memory,
            listener: self.tuning.listener()?,
            ping_interval_ms: self.tuning.ping_interval_ms()?,
            shape,
            purpose: Purpose::Echo { message_bytes_max },
        })
    }
}

impl Resolved {
    /// How large each shard is.
    #[must_use]
    pub fn size(&self) -> Size {
        let connections = self.connections_per_shard();
        match &self.purpose {
            Purpose::Feed(config) => Size::feed(connections, config.subscriptions.get()),
            Purpose::Echo { message_bytes_max } => Size::echo(connections, *message_bytes_max),
        }
    }

    /// How many connections each shard serves: its even share of all, and some more, because the kernel spreads them by
    /// a hash and not evenly.
    #[must_use]
    pub fn connections_per_shard(&self) -> usize {
        per_shard(self.connections, self.shards)
    }

    /// What the process's limit of descriptors must be.
    #[must_use]
    pub fn descriptors_needed(&self) -> u64 {
        let (shards, connections) = (self.shards as u64, self.connections_per_shard() as u64);
        self.descriptors.needed(shards, connections)
    }

    /// How large each shard's ring is, and its table of descriptors where it has one.
    #[must_use]
    pub fn ring_options(&self) -> UringOptions {
        UringOptions {
            registered_slots: self.descriptors.registered_slots(self.connections_per_shard()),
            ..UringOptions::default()
        }
    }

    /// Whether registered descriptors would do where the process's limit is `limit`, and with how many shards.
    #[must_use]
    pub fn registered(&self, limit: u64) -> Registered {
        let would_do = |shards: &usize| {
            let connections = per_shard(self.connections, *shards);
            let needed = Descriptors::Registered.needed(*shards as u64, connections as u64);
            needed <= limit && Descriptors::Registered.excess_slots(connections).is_none()
        };
        match (self.shards..=limits::SHARDS_MAX).find(would_do) {
            None => Registered::Never,
            Some(shards) if shards == self.shards => Registered::AsItIs,
            Some(shards) => Registered::WithShards(shards),
        }
    }

    /// Checks that the kernel makes tables as large as each shard's, where it has one.
    ///
    /// # Errors
    /// When no kernel does.
    pub fn check_table(&self) -> Result<(), TableShortage> {
        let Some(slots) = self.descriptors.excess_slots(self.connections_per_shard()) else {
            return Ok(());
        };
        let shards = match self.registered(u64::MAX) {
            Registered::WithShards(shards) => Some(shards),
            Registered::AsItIs | Registered::Never => None,
        };
        Err(TableShortage { slots, shards })
    }

    /// What its memory may come to.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan::of(self)
    }

    /// The same for so many connections.
    #[must_use]
    pub fn with_connections(&self, connections: usize) -> Self {
        Self {
            connections,
            ..self.clone()
        }
    }

    /// The same on this machine: with descriptors for all connections, or for as many as go where it was not said how
    /// many there are to be.
    fn resolve(self, asked: Option<NonZeroUsize>) -> Result<Self, StartError> {
        // No limit that could be raised would help.
        self.check_table().map_err(StartError::Table)?;
        let resolved = match raise_descriptor_limit(self.descriptors_needed()) {
            Ok(_) => self,
            Err(shortage) if asked.is_none() => self.with_descriptors(&shortage)?,
            Err(shortage) => {
                return Err(StartError::Descriptors(DescriptorShortage {
                    registered: self.registered(shortage.hard),
                    ..shortage
                }));
            }
        };
        resolved.plan().check()?;
        Ok(resolved)
    }

    /// The same with as many connections as this machine has descriptors for.
    fn with_descriptors(self, shortage: &DescriptorShortage) -> Result<Self, StartError> {
        let hard = shortage.hard;
        let fits = |connections| self.with_connections(connections).descriptors_needed() <= hard;
        let most = most(self.connections, fits);
        if most == 0 || shortage.errno.is_some() {
            return Err(StartError::Descriptors(*shortage));
        }
        raise_descriptor_limit(hard).map_err(StartError::Descriptors)?;
        Ok(self.with_connections(most))
    }
}

/// The greatest number up to `most` that fits, where every smaller one fits too; 0 where none does.
pub(super) fn most(most: usize, fits: impl Fn(usize) -> bool) -> usize {
    let (mut fitting, mut beyond) = (0, most.saturating_add(1));
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        if fits(middle) {
            fitting = middle;
        } else {
            beyond = middle;
        }
    }
    fitting
}

/// How many of so many connections one of so many shards has room for.
fn per_shard(connections: usize, shards: usize) -> usize {
    let even = connections.div_ceil(shards);
    let deviation = even.isqrt() + 1;
    let spread = even.saturating_add(limits::SPREAD_DEVIATIONS * deviation);
    spread.min(connections)
}

/// How many shards: as many as was asked for, or else one for each core.
fn shards(asked: Option<NonZeroUsize>) -> Result<usize, StartError> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let shards = asked.map_or(cores.min(limits::SHARDS_MAX), NonZeroUsize::get);
    within("--shards", shards as u64, 1, SHARDS_MOST)?;
    Ok(shards)
}

/// How many connections: as many as was asked for, or else as many as every shard has room for.
fn connections(asked: Option<NonZeroUsize>, shards: usize) -> usize {
    let most = limits::CONNECTIONS_PER_SHARD_DEFAULT.saturating_mul(shards);
    asked.map_or(most, NonZeroUsize::get)
}

/// The sequencer counts on room for the longest event and an image ahead of the head.
fn check_size(what: &'static str, asked: usize, least: usize) -> Result<(), StartError> {
    if asked < least {
        return Err(StartError::TapeTooSmall { what, asked, least });
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limits.rs keeps it far below 32 bits"
)]
const HEARTBEAT_SECONDS: u32 = (limits::HEARTBEAT_MS / 1000) as u32;
#[expect(
    clippy::cast_possible_truncation,
    reason = "limits.rs keeps it far below 32 bits"
)]
const SHARDS_MOST: u32 = limits::SHARDS_MAX as u32;
/// Beside the shards, the control thread reads the tape.
const CONTROL: usize = 1;
const SUBSCRIPTIONS: NonZeroUsize =
    NonZeroUsize::new(limits::SUBSCRIPTIONS_PER_CONNECTION_PLANNED).expect("limits.rs plans some");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::source::SEED_DEFAULT;

    fn resolved(connections: usize, shards: usize) -> Resolved {
        let config = Config {
            shards: NonZeroUsize::new(shards),
            connections: NonZeroUsize::new(connections),
            ..Config::new(
                SocketAddr::from(([127, 0, 0, 1], 0)),
                SourceSpec::Sim { seed: SEED_DEFAULT },
            )
        };
        config.draft().unwrap()
    }

    #[test]
    fn a_shard_has_room_for_its_share_and_what_chance_may_add() {
        let per_shard = |connections, shards| resolved(connections, shards).connections_per_shard();
        assert_eq!(per_shard(1_000_000, 1), 1_000_000);
        assert_eq!(per_shard(64, 2), 64, "of a few, all may come to one shard");
        assert_eq!(per_shard(1_000_000, 2), 500_000 + 6 * 708);
        assert_eq!(per_shard(1_000_000, 50), 20_000 + 6 * 142);
        assert_eq!(per_shard(1, 256), 1);
    }

    #[test]
    fn as_many_shards_are_named_as_keep_each_table_as_small_as_it_must_be() {
        let many = resolved(1_200_000, 1);
        assert_eq!(many.registered(u64::MAX), Registered::WithShards(2));
        assert_eq!(many.registered(20_000), Registered::WithShards(65));
        assert_eq!(
            many.registered(1000),
            Registered::Never,
            "shards need some themselves"
        );
        assert_eq!(many.check_table(), Ok(()), "there is none");
        let registered = |connections, shards| Resolved {
            descriptors: Descriptors::Registered,
            ..resolved(connections, shards)
        };
        let shortage = registered(1_200_000, 1).check_table().unwrap_err();
        assert_eq!(shortage.shards, Some(2));
        let more = registered(1_200_000, 2);
        assert_eq!(
            (more.check_table(), more.registered(u64::MAX)),
            (Ok(()), Registered::AsItIs)
        );
        let hopeless = registered(usize::MAX, 256).check_table().unwrap_err();
        assert_eq!(hopeless.shards, None);
    }

    #[test]
    fn the_greatest_that_fits_is_found() {
        for limit in 0..20 {
            assert_eq!(most(12, |value| value <= limit), limit.min(12));
        }
    }
}
