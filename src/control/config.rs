//! What was asked for, and what that comes to on this machine.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;

use super::StartError;
use crate::limits;
use crate::ring::descriptors::{DescriptorShortage, descriptors_needed, raise_descriptor_limit};
use crate::tape::Shape;
use crate::writer::source::{SourceSpec, Speed};

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 for any free port.
    pub listen: SocketAddr,
    /// How many shards; `None` for one per core.
    pub shards: Option<NonZeroUsize>,
    /// How many connections each shard serves at once; `None` for as many as the descriptors allow, up to
    /// [`limits::CONNECTIONS_PER_SHARD_DEFAULT`].
    pub connections: Option<NonZeroUsize>,
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

/// The same, with every default filled in.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// As asked for.
    pub config: Config,
    /// How many shards.
    pub shards: usize,
    /// How many connections each of them serves.
    pub connections: usize,
    /// The tape.
    pub shape: Shape,
}

impl Config {
    /// A server of `source` on `listen` with defaults for the rest.
    #[must_use]
    pub fn new(listen: SocketAddr, source: SourceSpec) -> Self {
        Self {
            listen,
            shards: None,
            connections: None,
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
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let shards = self
            .shards
            .map_or(cores.min(limits::SHARDS_MAX), NonZeroUsize::get);
        let shape = Shape {
            records: self.records,
            // With compression there is a second one, for those who ask for it.
            track_bytes: vec![self.track_bytes; 1 + usize::from(self.compression.is_some())],
            readers: shards,
        };
        shape.check().map_err(StartError::Tape)?;
        check_size("bytes", self.track_bytes, limits::TRACK_BYTES_MIN)?;
        check_size("records", self.records, limits::TAPE_RECORDS_MIN)?;
        let connections = connections(self.connections, shards).map_err(StartError::Descriptors)?;
        Ok(Resolved {
            shards,
            connections,
            shape,
            config: self,
        })
    }
}

/// The sequencer counts on room for the longest event and an image ahead of the head.
fn check_size(what: &'static str, asked: usize, least: usize) -> Result<(), StartError> {
    if asked < least {
        return Err(StartError::TapeTooSmall { what, asked, least });
    }
    Ok(())
}

/// How many connections each shard serves: as many as was asked for or not at all, or else as many as go.
fn connections(asked: Option<NonZeroUsize>, shards: usize) -> Result<usize, DescriptorShortage> {
    let needed = |connections: usize| descriptors_needed(shards as u64, connections as u64);
    if let Some(asked) = asked {
        return raise_descriptor_limit(needed(asked.get())).map(|_| asked.get());
    }
    let most = limits::CONNECTIONS_PER_SHARD_DEFAULT;
    match raise_descriptor_limit(needed(most)) {
        Ok(_) => Ok(most),
        Err(shortage) if shortage.errno.is_none() && shortage.hard >= needed(1) => {
            raise_descriptor_limit(shortage.hard)?;
            let spare = usize::try_from(shortage.hard - needed(0)).unwrap_or(most);
            Ok((spare / shards).min(most))
        }
        Err(shortage) => Err(shortage),
    }
}
