//! Why a journal cannot be used: one line each, with the file, the place and the cure.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::format::Flaw;
use crate::market::ChannelClass;

/// Why a journal cannot be opened or read.
#[derive(Debug)]
pub enum JournalError {
    /// The directory cannot be made, read or locked.
    Directory {
        /// Which.
        path: PathBuf,
        /// What the kernel answered.
        error: io::Error,
    },
    /// Another server writes this journal.
    Locked {
        /// Its directory.
        path: PathBuf,
    },
    /// A file cannot be read.
    Read {
        /// Which.
        path: PathBuf,
        /// What the kernel answered.
        error: io::Error,
    },
    /// A file cannot be written.
    Write {
        /// Which.
        path: PathBuf,
        /// What the kernel answered.
        error: io::Error,
    },
    /// What was on disk once is so no longer.
    Corrupt {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What is there.
        flaw: Flaw,
    },
    /// A segment is missing between others.
    Gone {
        /// The segment that is not there.
        path: PathBuf,
    },
    /// No segment has the states of all channels.
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// A record cannot be taken back.
    Restore {
        /// The segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// Why.
        why: String,
    },
    /// A channel is of another class than when it was journaled.
    Class {
        /// The directory.
        path: PathBuf,
        /// The channel.
        channel: String,
        /// Of which class it was.
        journaled: ChannelClass,
        /// Of which class it is configured to be.
        configured: ChannelClass,
    },
    /// A server would journal what it reads from its journal.
    Circle {
        /// The directory.
        path: PathBuf,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, error } => write!(
                f,
                "cannot use {} for a journal: {error}; choose a directory that this user may write: --journal DIR",
                path.display()
            ),
            Self::Locked { path } => write!(
                f,
                "another server writes the journal {}; stop it, or choose another directory: --journal DIR",
                path.display()
            ),
            Self::Read { path, error } => write!(
                f,
                "cannot read {}: {error}; a journal's files must be readable and its disk sound",
                path.display()
            ),
            Self::Write { path, error } => write!(
                f,
                "cannot write {}: {error}; give its disk room, or choose another directory: --journal DIR",
                path.display()
            ),
            Self::Corrupt { path, offset, flaw } => write!(
                f,
                "{} is damaged at byte {offset} ({flaw}), where it was whole on disk once; put it back from a copy, or \
                 begin anew without what is in this journal: move its directory away",
                path.display()
            ),
            Self::Gone { path } => write!(
                f,
                "{} is missing, and there are segments before and behind it; put it back from a copy, or move those \
                 before it away",
                path.display()
            ),
            Self::Incomplete { path } => write!(
                f,
                "the segments that are left in {} do not have the state of every channel; put those that were removed \
                 back, or begin anew: move the directory away",
                path.display()
            ),
            Self::Restore { path, offset, why } => write!(
                f,
                "the record at byte {offset} of {} cannot be taken back: {why}; start with a tape as large as it was \
                 when the journal was written (--tape-bytes, --tape-records)",
                path.display()
            ),
            Self::Class {
                path,
                channel,
                journaled,
                configured,
            } => {
                let (journaled, configured) = (journaled.as_str(), configured.as_str());
                write!(
                    f,
                    "{channel} is of class {journaled} in the journal {} and of class {configured} in the configuration; \
                     configure class = \"{journaled}\" for it, or begin another journal: --journal DIR",
                    path.display()
                )
            }
            Self::Circle { path } => write!(
                f,
                "{} cannot be both the source and the journal; journal to another directory: --journal DIR",
                path.display()
            ),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Directory { error, .. } | Self::Read { error, .. } | Self::Write { error, .. } => {
                Some(error)
            }
            Self::Corrupt { flaw, .. } => Some(flaw),
            Self::Locked { .. }
            | Self::Gone { .. }
            | Self::Incomplete { .. }
            | Self::Restore { .. }
            | Self::Class { .. }
            | Self::Circle { .. } => None,
        }
    }
}
