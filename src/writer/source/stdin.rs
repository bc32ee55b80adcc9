//! Native input lines (NDJSON) on standard input: a pipe, a terminal or a redirected file.
//!
//! It never answers a line and never closes its descriptor before its end. All kinds of descriptor are read
//! by the same operation of the ring: a read at the descriptor's own position, which a pipe and a terminal do not
//! have and a file does. Invariant: a bad line costs itself and nothing else.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::chunks::Chunks;
use super::lines::{Line, Lines};
use super::tally::{BadLine, Fault, Reporter};
use super::{Event, Next, SourceError, Tally};
use crate::base::Now;
use crate::dialect::native_json::{Input, InputError};
use crate::market::Level;

/// Lines from a descriptor, until its end.
#[derive(Debug)]
pub struct Stdin {
    chunks: Chunks,
    lines: Lines,
    levels: Vec<Level>,
    reporter: Reporter,
    /// No whole line is left in `lines`.
    drained: bool,
    broken: bool,
}

impl Stdin {
    /// Standard input.
    ///
    /// # Errors
    /// When it is closed, or no descriptor is left to duplicate it.
    pub fn open() -> Result<Self, SourceError> {
        let descriptor = io::stdin().as_fd().try_clone_to_owned();
        descriptor.map(Self::from).map_err(SourceError::Stdin)
    }

    /// Lends the next event. A line without a time happened at `now.wall_ns`.
    ///
    /// A bad line is told as [`Next::Wait`], and the wait is over at once: so a flood of bad lines cannot keep
    /// the caller from its other work.
    pub fn next(&mut self, now: Now) -> Next<'_> {
        let (bytes, cursor) = self.lines.split();
        let cut = cursor.next(bytes);
        self.reporter.tally.lines = cursor.number();
        let parsed = match cut {
            None => {
                self.drained = true;
                let over = cursor.ended() || self.broken;
                if !over {
                    return Next::Wait;
                }
                self.reporter.finish();
                return Next::End;
            }
            Some((number, Line::TooLong)) => {
                self.reporter.bad_line(now, number, &BadLine::too_long());
                return Next::Wait;
            }
            Some((number, Line::Text(text))) => {
                Input::parse(text, &mut self.levels).map_err(|error| (number, error))
            }
        };
        match parsed {
            Ok(input) => {
                self.reporter.delivered(&input.tick);
                Next::Event(Event {
                    channel: input.channel.as_str(),
                    ts_ns: input.ts_ns.unwrap_or(now.wall_ns),
                    tick: input.tick,
                })
            }
            Err((number, error)) => {
                self.reporter.bad_line(now, number, &error.into());
                Next::Wait
            }
        }
    }

    /// Waits for more bytes, unless lines are left.
    ///
    /// # Errors
    /// When the descriptor cannot be read on. [`Next::End`] follows.
    pub async fn wait(&mut self) -> Result<(), SourceError> {
        if !self.drained {
            tokio::task::yield_now().await;
            return Ok(());
        }
        if self.lines.ended() || self.broken {
            return Ok(());
        }
        let offset = self.chunks.bytes_read();
        match self.chunks.read().await {
            Ok([]) => self.lines.finish(),
            Ok(chunk) => self.lines.push(chunk),
            Err(error) => {
                self.broken = true;
                return Err(SourceError::Read { offset, error });
            }
        }
        self.drained = false;
        Ok(())
    }

    /// The event lent last was refused.
    pub(super) fn refuse(&mut self, now: Now, why: &impl fmt::Display) {
        self.reporter.refused(now, why);
    }

    /// What was delivered, and what could not be.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.reporter.tally
    }
}

/// Any descriptor that can be read, from where it stands.
impl From<OwnedFd> for Stdin {
    fn from(descriptor: OwnedFd) -> Self {
        Self {
            chunks: Chunks::from_here(descriptor),
            lines: Lines::default(),
            levels: Vec::new(),
            reporter: Reporter::default(),
            drained: true,
            broken: false,
        }
    }
}

impl From<InputError> for BadLine {
    fn from(error: InputError) -> Self {
        let fault = match error {
            InputError::NotUtf8 { .. } => Fault::NotUtf8,
            InputError::NotJson(_) => Fault::Json,
            InputError::NotAnObject
            | InputError::Missing { .. }
            | InputError::Twice { .. }
            | InputError::Expected { .. }
            | InputError::TradeIdTooLong { .. } => Fault::Shape,
            InputError::Channel(_) => Fault::Name,
            InputError::Decimal { .. } | InputError::NegativeSize { .. } | InputError::Level { .. } => {
                Fault::Number
            }
            InputError::TooManyLevels { .. } => Fault::Levels,
        };
        Self::new(fault, error.to_string())
    }
}

#[cfg(test)]
mod tests;
