//! Replays a recorded capture of Binance spot market data, as fast as it was recorded or at another pace.
//!
//! A capture is a text file, plain or gzip (told by content, not by name), of lines
//! `<receive time, ns since the epoch> <JSON>`:
//!
//! | JSON | becomes | at the time |
//! |---|---|---|
//! | `{"stream":"btcusdt@trade","data":…}` | a trade on `trade:BTCUSDT` | `T` |
//! | `{"stream":"btcusdt@bookTicker","data":…}` | a quote on `bbo:BTCUSDT` | of receipt: the venue gives none |
//! | `{"stream":"btcusdt@depth…","data":…}` with `U`, `u`, `b`, `a` | a delta on `book:BTCUSDT` | `E` |
//! | the same with `lastUpdateId`, `bids`, `asks`, under `data` or beside `stream` | a snapshot on `book:BTCUSDT` | of receipt |
//! | a snapshot without `stream`, bare or under `data` | a snapshot of the file's only symbol | of receipt |
//!
//! A snapshot without `stream` says nothing of its symbol, so it is taken for the one symbol that the lines
//! before it named, and is a bad line when those named none or several. Without a snapshot a book starts empty
//! and knows the levels that deltas have touched. A delta that does not follow the one before is counted as a gap,
//! and the book goes on.
//!
//! It never reorders: lines are delivered in the file's order, each when its receive time is due. Invariant:
//! memory is bounded whatever the file's size and compression.

mod binance;
mod decoder;
mod depth;
mod recording;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_uring::fs::File;

use self::decoder::Decoder;
use self::recording::Recording;
use super::chunks::Chunks;
use super::{Next, SourceError, Speed, Tally};
use crate::base::Now;

/// A capture being replayed.
#[derive(Debug)]
pub struct Capture {
    chunks: Chunks,
    decoder: Decoder,
    /// Bytes of the last chunk that are decoded.
    decoded: usize,
    recording: Recording,
    bytes_total: Option<u64>,
}

/// How far a replay has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the file that were read.
    pub bytes_read: u64,
    /// Bytes of the file; `None` where it has no size, as a pipe has none.
    pub bytes_total: Option<u64>,
    /// Lines read.
    pub lines: u64,
    /// Events delivered.
    pub ticks: u64,
    /// Receive time of the first event, in nanoseconds since the Unix epoch; 0 before it.
    pub first_ns: u64,
    /// Receive time of the event delivered last; 0 before the first.
    pub last_ns: u64,
}

impl Progress {
    /// How much time of the recording was replayed, in nanoseconds.
    #[must_use]
    pub fn captured_ns(&self) -> u64 {
        self.last_ns - self.first_ns
    }
}

impl Capture {
    /// Opens a file. Its first event is due when it is first asked for.
    ///
    /// # Errors
    /// When the kernel cannot open it.
    pub async fn open(path: &Path, speed: Speed) -> Result<Self, SourceError> {
        let open_error = |error| SourceError::Open {
            path: path.to_owned(),
            error,
        };
        let file = File::open(path).await.map_err(open_error)?;
        let status = file.statx().await.map_err(open_error)?;
        let kind = u32::from(status.stx_mode) & libc::S_IFMT;
        if kind == libc::S_IFDIR {
            return Err(open_error(io::ErrorKind::IsADirectory.into()));
        }
        let regular = kind == libc::S_IFREG;
        Ok(Self {
            chunks: Chunks::from_start(file),
            decoder: Decoder::Unknown,
            decoded: 0,
            recording: Recording::new(speed),
            bytes_total: regular.then_some(status.stx_size),
        })
    }

    /// Lends the next event that is due.
    pub fn next(&mut self, now: Now) -> Next<'_> {
        self.recording.next(now)
    }

    /// Waits until the next event is due, or reads on.
    ///
    /// # Errors
    /// When the file cannot be read on; what stood before the fault has been delivered.
    pub async fn wait(&mut self, now: Now) -> Result<(), SourceError> {
        if let Some(wait_ns) = self.recording.due_in_ns(now) {
            tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
        } else if self.recording.needs_bytes() {
            let filled = self.fill().await;
            if filled.is_err() {
                self.recording.abandon();
            }
            return filled;
        }
        Ok(())
    }

    /// The event lent last was refused.
    pub(super) fn refuse(&mut self, now: Now, why: &impl fmt::Display) {
        self.recording.refuse(now, why);
    }

    /// What was delivered, and what could not be.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        self.recording.tally()
    }

    /// How far the replay has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (first_ns, last_ns) = self.recording.captured_ns().unwrap_or_default();
        Progress {
            bytes_read: self.chunks.bytes_read(),
            bytes_total: self.bytes_total,
            lines: self.tally().lines,
            ticks: self.tally().ticks(),
            first_ns,
            last_ns,
        }
    }

    /// Brings new text, or the end.
    async fn fill(&mut self) -> Result<(), SourceError> {
        let lines = self.recording.input();
        loop {
            let rest = self.chunks.chunk().get(self.decoded..).unwrap_or_default();
            let decoded = self.decoder.decode(rest, lines).map_err(SourceError::Gzip)?;
            self.decoded += decoded.consumed;
            if decoded.pushed {
                // Text that needs no reading must not keep the thread from its other work.
                tokio::task::yield_now().await;
                return Ok(());
            }
            if decoded.consumed > 0 {
                continue;
            }
            let offset = self.chunks.bytes_read();
            let chunk = self.chunks.read().await;
            let chunk = chunk.map_err(|error| SourceError::Read { offset, error })?;
            self.decoded = 0;
            if chunk.is_empty() {
                self.decoder.finish(lines).map_err(SourceError::Gzip)?;
                return Ok(());
            }
        }
    }
}
