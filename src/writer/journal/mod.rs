//! The journal: what is published, on disk before anyone sees it, so that numbers, states and history outlive the server.
//!
//! Never makes the feed wait for longer than [`JOURNAL_STALL_MS`](crate::limits::JOURNAL_STALL_MS): a disk that does not
//! keep up ends the journaling, loudly, and not the feed. Invariant: within an epoch no number is ever given to two
//! contents, whatever was killed, lost its power or was full.
//!
//! - [`mod@format`]: the bytes of records; [`scan`]: a segment from its first to its last good one; [`roll`]: what they say;
//! - [`policy`]: what the command line says;
//! - [`directory`], [`epoch`]: the files, and how the last server left them;
//! - [`recovery`]: bringing the sequencer to where it was;
//! - [`live`], `background`: writing.
//!
//! `docs/journal.md` is the reference.

mod background;
pub mod directory;
pub mod epoch;
pub mod error;
pub mod format;
pub mod live;
pub mod policy;
pub mod recovery;
pub mod roll;
pub mod scan;

#[cfg(test)]
mod tests;

pub use directory::{Directory, Lock};
pub use error::JournalError;
pub use live::Journal;
pub use policy::{Age, JournalSpec, SyncPolicy};
pub use recovery::{Opened, Recovered, open};

use crate::limits;

/// The most that is written at once and may be torn: a batch that is due, the message that made it so, and states.
const BATCH_BYTES_MOST: u64 =
    (limits::JOURNAL_BATCH_BYTES + limits::JOURNAL_CHECKPOINT_BYTES + 3 * format::RECORD_BYTES_MAX) as u64;

/// What the writer's thread holds for its journal, at most: a batch, and what it is written from.
#[must_use]
pub const fn memory_bytes() -> usize {
    limits::JOURNAL_BATCH_BYTES
        + limits::JOURNAL_CHECKPOINT_BYTES
        + 4 * format::RECORD_BYTES_MAX
        + limits::CHANNELS_MAX
}
