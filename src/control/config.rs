//! What was asked for, and what that comes to on this machine.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;

use super::StartError;
use crate::limits;
use crate::ring::descriptors::{DescriptorShortage, raise_descriptor_limit};
use crate::ring::{Descriptors, UringOptions};
use crate::shard::Size;
use crate::tape::Shape;
use crate::writer::source::{SourceSpec, Speed};

/// What was asked for of a server of ticks.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 for any free port.
    pub listen: SocketAddr,
    /// How many shards; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
    /// How many connections each shard serves at once; `None` for as many as the descriptors allow, up to
    /// [`limits::CONNECTIONS_PER_SHARD_DEFAULT`].
    pub connections: Option<NonZeroUsize>,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
    /// Where ticks come from.
    pub source: SourceSpec,
    /// How fast a capture is replayed.
    pub speed: Speed,
    /// How many clients must have subscribed before the source begins.
    pub wait_for: u64,
    /// The length from which messages are compressed for clients that ask for it; `None` for no compression.
    pub compression: Option<usize>,
    /// Bytes of each of the tape's tracks; a power of two.
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
    /// How many connections each shard serves at once; `None` as for a server of ticks.
    pub connections: Option<NonZeroUsize>,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
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
    /// How many connections each of them serves.
    pub connections: usize,
    /// Whose descriptors their sockets are.
    pub descriptors: Descriptors,
    /// The tape.
    pub shape: Shape,
    /// What for.
    pub purpose: Purpose,
}

/// What a server is there for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// To serve ticks, as was asked for.
    Feed(Config),
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
            shards: None,
            connections: None,
            descriptors: Descriptors::default(),
            source,
            speed: Speed::REAL_TIME,
            wait_for: 0,
            compression: None,
            track_bytes: limits::TRACK_BYTES_DEFAULT,
            records: limits::TAPE_RECORDS_DEFAULT,
        }
    }

    /// Fills in the defaults, and raises this process's limit of descriptors as far as needed.
    ///
    /// # Errors
    /// When this machine cannot give what was asked for.
    pub fn resolve(self) -> Result<Resolved, StartError> {
        let shards = shards(self.shards);
        let shape = Shape {
            records: self.records,
            // With compression there is a second one, for those who ask for it.
            track_bytes: vec![self.track_bytes; 1 + usize::from(self.compression.is_some())],
            readers: shards,
        };
        shape.check().map_err(StartError::Tape)?;
        check_size("bytes", self.track_bytes, limits::TRACK_BYTES_MIN)?;
        check_size("records", self.records, limits::TAPE_RECORDS_MIN)?;
        let connections =
            connections(self.connections, shards, self.descriptors).map_err(StartError::Descriptors)?;
        Ok(Resolved {
            listen: self.listen,
            shards,
            connections,
            descriptors: self.descriptors,
            shape,
            purpose: Purpose::Feed(self),
        })
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
            message_bytes_max: limits::ECHO_MESSAGE_BYTES_DEFAULT,
        }
    }

    /// Fills in the defaults, and raises this process's limit of descriptors as far as needed.
    ///
    /// # Errors
    /// When this machine cannot give what was asked for.
    pub fn resolve(self) -> Result<Resolved, StartError> {
        let message_bytes_max = self.message_bytes_max;
        if !(1..=limits::ECHO_MESSAGE_BYTES_MOST).contains(&message_bytes_max) {
            return Err(StartError::MessageBytes {
                asked: message_bytes_max,
            });
        }
        let shards = shards(self.shards);
        let shape = Shape::smallest(shards);
        shape.check().map_err(StartError::Tape)?;
        let connections =
            connections(self.connections, shards, self.descriptors).map_err(StartError::Descriptors)?;
        Ok(Resolved {
            listen: self.listen,
            shards,
            connections,
            descriptors: self.descriptors,
            shape,
            purpose: Purpose::Echo { message_bytes_max },
        })
    }
}

impl Resolved {
    /// How large each shard is.
    #[must_use]
    pub fn size(&self) -> Size {
        match &self.purpose {
            Purpose::Feed(_) => Size::feed(self.connections),
            Purpose::Echo { message_bytes_max } => Size::echo(self.connections, *message_bytes_max),
        }
    }

    /// How large each shard's ring is, and its table of descriptors where it has one.
    #[must_use]
    pub fn ring_options(&self) -> UringOptions {
        UringOptions {
            registered_slots: self.descriptors.registered_slots(self.connections),
            ..UringOptions::default()
        }
    }

    /// Bytes of memory that the tape takes when it is full, and all shards at their busiest: the plan of what clients
    /// can make the server use, whatever they send.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.shape.bytes_max() + self.shards * self.size().bytes_max()
    }
}

/// How many shards: as many as was asked for, or else one for each core.
fn shards(asked: Option<NonZeroUsize>) -> usize {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked.map_or(cores.min(limits::SHARDS_MAX), NonZeroUsize::get)
}

/// The sequencer counts on room for the longest event and an image ahead of the head.
fn check_size(what: &'static str, asked: usize, least: usize) -> Result<(), StartError> {
    if asked < least {
        return Err(StartError::TapeTooSmall { what, asked, least });
    }
    Ok(())
}

/// How many connections each shard serves: as many as was asked for or not at all, or else as many as go.
fn connections(
    asked: Option<NonZeroUsize>,
    shards: usize,
    descriptors: Descriptors,
) -> Result<usize, DescriptorShortage> {
    let needed = |connections: usize| descriptors.needed(shards as u64, connections as u64);
    if let Some(asked) = asked {
        let raised = raise_descriptor_limit(needed(asked.get()));
        return match raised {
            Ok(_) => Ok(asked.get()),
            Err(shortage) => {
                let registered = Descriptors::Registered.needed(shards as u64, asked.get() as u64);
                Err(DescriptorShortage {
                    registered_would_do: descriptors == Descriptors::Process && registered <= shortage.hard,
                    ..shortage
                })
            }
        };
    }
    let most = limits::CONNECTIONS_PER_SHARD_DEFAULT;
    match raise_descriptor_limit(needed(most)) {
        Ok(_) => Ok(most),
        Err(shortage) if shortage.errno.is_none() && shortage.hard >= needed(1) => {
            raise_descriptor_limit(shortage.hard)?;
            let within = descriptors.connections_within(shortage.hard, shards as u64);
            Ok(usize::try_from(within).unwrap_or(most).min(most))
        }
        Err(shortage) => Err(shortage),
    }
}
