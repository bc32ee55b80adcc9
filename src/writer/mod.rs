//! The one place that decides order: events come from a source, get their channel's next number, are encoded once
//! and go on the tape.
//!
//! It runs on a thread of its own, on tokio-uring, because what it waits for is a few busy files and sockets. It
//! waits for a shard only when that shard still reads what would be overwritten.
//!
//! - [`source`]: where events come from;
//! - [`sequencer`]: numbers, encodes, appends, and keeps every channel's state on the tape;
//! - `derived`: when channels that follow from others are due;
//! - [`formats`]: in which forms, and on which tracks;
//! - `press`, `compression`: the frames of each message, one for each track;
//! - [`journal`]: what was published, on disk before anyone sees it;
//! - [`feed`]: drains the one into the other;
//! - [`counter`], [`publish`]: what clients ask the writer for, and the messages that they publish;
//! - [`ingest`]: lines that others publish, on sockets of their own;
//! - [`runtime`], [`clock`]: what the thread stands on.

mod channel;
pub mod clock;
mod compression;
pub mod counter;
mod derived;
pub mod feed;
pub mod formats;
mod images;
pub mod ingest;
pub mod journal;
mod press;
pub mod publish;
pub mod runtime;
pub mod sequencer;
pub mod source;

pub use clock::Clock;
pub use counter::Counter;
pub use feed::{Feed, FeedEnd};
pub use formats::Formats;
pub use ingest::{Ingest, IngestSpec};
pub use journal::{Journal, JournalError, JournalSpec};
pub use publish::Publishing;
pub use sequencer::{PublishError, Sequencer, Unsettled};
