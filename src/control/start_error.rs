//! Why there is no server: one line each, with the cure.

use std::fmt;
use std::io;

use super::{ConfigFileError, MemoryShortage};
use crate::limits;
use crate::ring::descriptors::{DescriptorShortage, TableShortage};
use crate::ring::{Errno, ListenError, Unavailable};
use crate::tape::TapeError;
use crate::writer::JournalError;
use crate::writer::ingest::IngestError;
use crate::writer::source::SourceError;

/// Why the server did not start, or did not go on.
#[derive(Debug)]
pub enum StartError {
    /// Something in the configuration file is wrong.
    ConfigFile(ConfigFileError),
    /// Nothing says where ticks come from.
    NoSource,
    /// How something is journaled is said, and not where.
    NoJournal {
        /// What says how.
        option: &'static str,
    },
    /// The kernel gives no ring.
    Ring(Unavailable),
    /// The address cannot be listened on.
    Listen(ListenError),
    /// The admin port's address cannot be listened on.
    Admin(ListenError),
    /// The process may not hold enough descriptors.
    Descriptors(DescriptorShortage),
    /// A shard's table of registered descriptors cannot be as large as it would have to be.
    Table(TableShortage),
    /// The tape cannot be laid.
    Tape(TapeError),
    /// The tape would not hold what it must.
    TapeTooSmall {
        /// Its bytes or its records.
        what: &'static str,
        /// How many were asked for.
        asked: usize,
        /// The least that there may be.
        least: usize,
    },
    /// A knob is set beyond its range.
    OutOfRange {
        /// Which.
        option: &'static str,
        /// To what.
        asked: u64,
        /// The least that it may be.
        least: u32,
        /// The most that it may be.
        most: u32,
    },
    /// The plan of memory comes to more than was allowed.
    Memory(MemoryShortage),
    /// An echo's longest message would be of no bytes, or of more than there is memory for.
    MessageBytes {
        /// What was asked for.
        asked: u32,
    },
    /// The source cannot be opened.
    Source(SourceError),
    /// Lines cannot come in where they were to.
    Ingest(IngestError),
    /// The journal cannot be gone on with.
    Journal(JournalError),
    /// The writer's runtime cannot be started.
    Runtime(io::Error),
    /// A thread cannot be started.
    Thread(io::Error),
    /// A shard's ring broke while it ran.
    Shard {
        /// Which shard.
        shard: usize,
        /// What the kernel said.
        errno: Errno,
    },
    /// A thread panicked: a defect of ours.
    Panic {
        /// Which thread.
        thread: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigFile(error) => error.fmt(f),
            Self::NoSource => f.write_str(
                "nothing says where ticks come from; say it: --source SOURCE, or source = \"SOURCE\" in the configuration",
            ),
            Self::NoJournal { option } => write!(
                f,
                "{option} says how to journal, and nothing says where; say it: --journal DIR, or leave {option} out"
            ),
            Self::Ring(error) => error.fmt(f),
            Self::Listen(error) => error.fmt(f),
            Self::Admin(error) => write!(f, "--admin: {error}"),
            Self::Descriptors(error) => error.fmt(f),
            Self::Table(error) => error.fmt(f),
            Self::Tape(error) => error.fmt(f),
            Self::TapeTooSmall { what, asked, least } => {
                write!(
                    f,
                    "a tape of {asked} {what} is too small; give it at least {least}: --tape-{what} {least}"
                )
            }
            Self::MessageBytes { asked } => {
                let most = limits::ECHO_MESSAGE_BYTES_MOST;
                write!(
                    f,
                    "messages of up to {asked} bytes cannot be echoed; choose from 1 to {most}: --message-bytes {most}"
                )
            }
            Self::OutOfRange {
                option,
                asked,
                least,
                most,
            } => write!(
                f,
                "{option} {asked} is out of range; choose from {least} to {most}"
            ),
            Self::Memory(shortage) => shortage.fmt(f),
            Self::Source(error) => error.fmt(f),
            Self::Ingest(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Runtime(error) => write!(f, "the writer's io_uring cannot be set up: {error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}; raise the limit: ulimit -u"),
            Self::Shard { shard, errno } => write!(f, "shard {shard} cannot go on: its ring broke ({errno})"),
            Self::Panic { thread } => write!(
                f,
                "{thread} stopped by a defect; please report what it said above"
            ),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::ConfigFile(error) => Some(error),
            Self::Ring(error) => Some(error),
            Self::Listen(error) | Self::Admin(error) => Some(error),
            Self::Descriptors(error) => Some(error),
            Self::Table(error) => Some(error),
            Self::Tape(error) => Some(error),
            Self::Source(error) => Some(error),
            Self::Ingest(error) => Some(error),
            Self::Journal(error) => Some(error),
            Self::Runtime(error) | Self::Thread(error) => Some(error),
            Self::Memory(error) => Some(error),
            Self::NoSource
            | Self::NoJournal { .. }
            | Self::TapeTooSmall { .. }
            | Self::OutOfRange { .. }
            | Self::MessageBytes { .. }
            | Self::Shard { .. }
            | Self::Panic { .. } => None,
        }
    }
}
