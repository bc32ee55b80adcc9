//! Where ticks come from: a simulated market, a recorded capture, a journal, lines on standard input, or nowhere, where
//! there are only those that clients publish.
//!
//! A source never numbers, encodes or stores a tick, never reads a clock, and never lends two events at once.
//! Invariant: nothing is lost by stopping. Events leave one by one through [`Source::next`], and what was not
//! asked for stays where it is, also across a [`Source::wait`] that was given up half-way.
//!
//! The loop of whoever drains a source:
//!
//! ```no_run
//! use tickwire::writer::clock::Clock;
//! use tickwire::writer::runtime::runtime;
//! use tickwire::writer::source::{Next, Source, SourceError, Speed};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let spec = "sim:7".parse()?;
//! runtime()?.block_on(async {
//!     let clock = Clock::start();
//!     let mut source = Source::open(&spec, Speed::REAL_TIME).await?;
//!     loop {
//!         match source.next(clock.now()) {
//!             // Here it is appended to the tape. While the tape is full, wait with the event in hand.
//!             Next::Event(event) => println!("{} {:?}", event.channel, event.tick),
//!             // First whoever sleeps is told of what was appended, then this thread may rest.
//!             Next::Wait => source.wait(clock.now()).await?,
//!             Next::End => break,
//!         }
//!     }
//!     println!("{}", source.summary(clock.now().mono_ns));
//!     Ok::<(), SourceError>(())
//! })?;
//! # Ok(())
//! # }
//! ```

mod capture;
mod chunks;
mod gzip;
mod journal;
pub(in crate::writer) mod lines;
mod pace;
mod sim;
mod spec;
mod stdin;
pub(in crate::writer) mod tally;

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::base::Now;
use crate::market::Tick;
use crate::writer::journal::JournalError;

pub use capture::{Capture, Progress};
pub use gzip::GzipError;
pub use journal::JournalReplay;
pub use sim::{Market, Sim};
pub use spec::{SEED_DEFAULT, SourceSpec, SpecError, Speed};
pub use stdin::Stdin;
pub use tally::{BadLine, Fault, Summary, Tally};

/// One tick, on its channel, at its time. Borrows from its source until the next call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event<'a> {
    /// The channel, `kind:symbol`.
    pub channel: &'a str,
    /// When it happened at its venue, in nanoseconds since the Unix epoch.
    pub ts_ns: u64,
    /// What happened.
    pub tick: Tick<'a>,
}

/// What a source has for its caller.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next<'a> {
    /// The next event; it counts as delivered.
    Event(Event<'a>),
    /// Nothing is due, or the source has worked for long enough without finding something. Finish what should not
    /// wait, then call [`Source::wait`].
    Wait,
    /// There will be nothing more.
    End,
}

/// Where ticks come from.
#[derive(Debug)]
pub enum Source {
    /// A simulated market.
    Sim(Box<Sim>),
    /// A recorded file.
    Capture(Box<Capture>),
    /// Native input lines on standard input.
    Stdin(Box<Stdin>),
    /// A journal.
    Journal(Box<JournalReplay>),
    /// None, for ever: there is only what clients publish.
    Silent(Tally),
}

impl Source {
    /// Opens what the command line named. `speed` is the pace of a capture or journal and nothing to the others,
    /// which have their own.
    ///
    /// # Errors
    /// When a file or standard input cannot be opened.
    pub async fn open(spec: &SourceSpec, speed: Speed) -> Result<Self, SourceError> {
        Ok(match spec {
            SourceSpec::Sim { seed } => Self::Sim(Box::new(Sim::new(*seed))),
            SourceSpec::Capture { path } => Self::Capture(Box::new(Capture::open(path, speed).await?)),
            SourceSpec::Stdin => Self::Stdin(Box::new(Stdin::open()?)),
            SourceSpec::Journal { path } => Self::Journal(Box::new(JournalReplay::open(path, speed).await?)),
            SourceSpec::None => Self::silent(),
        })
    }

    /// One that never has anything and never ends.
    #[must_use]
    pub fn silent() -> Self {
        Self::Silent(Tally::default())
    }

    /// Lends the next event that is due at `now`, without waiting for anything.
    pub fn next(&mut self, now: Now) -> Next<'_> {
        match self {
            Self::Sim(sim) => sim.next(now),
            Self::Capture(capture) => capture.next(now),
            Self::Stdin(stdin) => stdin.next(now),
            Self::Journal(journal) => journal.next(now),
            Self::Silent(_) => Next::Wait,
        }
    }

    /// The event lent last was refused: its line counts as bad, and a warning names it.
    pub fn refuse(&mut self, now: Now, why: &impl fmt::Display) {
        match self {
            Self::Sim(sim) => sim.refuse(now, why),
            Self::Capture(capture) => capture.refuse(now, why),
            Self::Stdin(stdin) => stdin.refuse(now, why),
            Self::Journal(journal) => journal.refuse(now, why),
            Self::Silent(_) => {}
        }
    }

    /// Waits until [`Self::next`] may have something. May be dropped at any time: nothing is lost.
    ///
    /// # Errors
    /// When the source cannot go on. Everything before the fault has been delivered, and [`Next::End`] follows.
    pub async fn wait(&mut self, now: Now) -> Result<(), SourceError> {
        match self {
            Self::Sim(sim) => sim.wait(now).await,
            Self::Capture(capture) => capture.wait(now).await?,
            Self::Stdin(stdin) => stdin.wait().await?,
            Self::Journal(journal) => journal.wait(now).await?,
            Self::Silent(_) => std::future::pending().await,
        }
        Ok(())
    }

    /// What was delivered, and what could not be.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        match self {
            Self::Sim(sim) => sim.tally(),
            Self::Capture(capture) => capture.tally(),
            Self::Stdin(stdin) => stdin.tally(),
            Self::Journal(journal) => journal.tally(),
            Self::Silent(tally) => tally,
        }
    }

    /// What to say at the end, after `elapsed_ns` nanoseconds.
    #[must_use]
    pub fn summary(&self, elapsed_ns: u64) -> Summary<'_> {
        Summary {
            tally: self.tally(),
            elapsed_ns,
            captured_ns: self.progress().map(|progress| progress.captured_ns()),
        }
    }

    /// How far a source with an end has come.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        match self {
            Self::Capture(capture) => Some(capture.progress()),
            Self::Journal(journal) => Some(journal.progress()),
            Self::Sim(_) | Self::Stdin(_) | Self::Silent(_) => None,
        }
    }
}

/// Why a source cannot be opened or cannot go on.
#[derive(Debug)]
pub enum SourceError {
    /// The file cannot be opened.
    Open {
        /// Which file.
        path: PathBuf,
        /// What the kernel answered.
        error: io::Error,
    },
    /// The file cannot be read.
    Read {
        /// Bytes read before.
        offset: u64,
        /// What the kernel answered.
        error: io::Error,
    },
    /// The file is no sound gzip file.
    Gzip(GzipError),
    /// Standard input cannot be opened.
    Stdin(io::Error),
    /// The journal cannot be read.
    Journal(JournalError),
    /// The directory has no journal in it.
    NoJournal {
        /// Which directory.
        path: PathBuf,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, error } => write!(f, "cannot open {}: {error}", path.display()),
            Self::Read { offset, error } => write!(f, "cannot read the source behind byte {offset}: {error}"),
            Self::Gzip(error) => error.fmt(f),
            Self::Stdin(error) => write!(f, "cannot open standard input: {error}"),
            Self::Journal(error) => error.fmt(f),
            Self::NoJournal { path } => write!(
                f,
                "{} has no journal in it; name a directory that a server was given with --journal",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SourceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { error, .. } | Self::Read { error, .. } | Self::Stdin(error) => Some(error),
            Self::Gzip(error) => Some(error),
            Self::Journal(error) => Some(error),
            Self::NoJournal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::clock::Clock;
    use crate::writer::runtime::runtime;

    #[test]
    fn a_simulated_market_goes_on_as_its_time_comes() {
        runtime().unwrap().block_on(async {
            let clock = Clock::start();
            let mut source = Source::open(&SourceSpec::Sim { seed: 3 }, Speed::Max)
                .await
                .unwrap();
            let (mut events, mut waits) = (0, 0);
            while events < 30 {
                match source.next(clock.now()) {
                    Next::Event(_) => events += 1,
                    Next::Wait => {
                        waits += 1;
                        source.wait(clock.now()).await.unwrap();
                    }
                    Next::End => panic!("the market never closes"),
                }
            }
            assert!(waits > 0, "more than its opening is not due at once");
            assert_eq!((source.tally().ticks(), source.progress()), (30, None));
        });
    }
}
