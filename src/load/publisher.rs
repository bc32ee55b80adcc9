//! The publisher: writes ticks where the server takes them, each when it is due.
//!
//! Never waits for the subscribers, and never skips a tick: one that is late, because the server does not take what came
//! before, keeps its intended time.

use super::clock::Clock;
use super::error::LoadError;
use super::mark::Mark;
use super::pace::Pace;
use super::scout::Scout;
use super::tally::Shared;
use super::template::Template;
use super::windows::{new_histogram, note};
use crate::ring::UringBuilder;
use hdrhistogram::Histogram;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};

/// Where ticks go.
#[derive(Debug)]
pub(super) enum Sink {
    /// Lines, to the server's standard input.
    Stdin(ChildStdin),
    /// Lines, to a file or a named pipe.
    File(File),
    /// Messages, on a connection.
    Socket(Box<Scout>),
}

/// Ticks, and where they go.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) sink: Sink,
    pub(super) template: Template,
}

/// How ticks are to come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Bursts a second.
    pub(super) per_second: f64,
    /// Ticks that are due at the same time.
    pub(super) burst: u32,
}

/// A thread that publishes.
#[derive(Debug)]
pub(super) struct Stream {
    stop: Arc<AtomicBool>,
    /// Subscribers that each tick is for.
    expected: Arc<AtomicU32>,
    thread: JoinHandle<Result<(Feed, Histogram<u64>), io::Error>>,
}

impl Feed {
    /// Publishes one burst now, for so many subscribers.
    pub(super) fn publish(
        &mut self,
        at_ns: u64,
        burst: u32,
        expected: u32,
        shared: &Shared,
    ) -> io::Result<()> {
        let mut lines = Vec::with_capacity(burst as usize * (self.template.bytes() + 1));
        for _ in 0..burst {
            let n = shared.board.begin(at_ns, expected);
            let text = self.template.fill(Mark { n, at_ns });
            match &mut self.sink {
                Sink::Stdin(_) | Sink::File(_) => {
                    lines.extend_from_slice(text.as_bytes());
                    lines.push(b'\n');
                }
                Sink::Socket(scout) => scout
                    .say(text)
                    .map_err(|astray| io::Error::other(astray.to_string()))?,
            }
        }
        match &mut self.sink {
            Sink::Stdin(pipe) => pipe.write_all(&lines),
            Sink::File(file) => file.write_all(&lines),
            Sink::Socket(scout) => {
                scout.discard();
                Ok(())
            }
        }
    }

    /// Publishes at this rate on a thread of its own, until told to stop.
    pub(super) fn stream(
        mut self,
        rate: Rate,
        expected: u32,
        shared: Arc<Shared>,
        clock: UringBuilder,
    ) -> Result<Stream, LoadError> {
        let stop = Arc::new(AtomicBool::new(false));
        let expected = Arc::new(AtomicU32::new(expected));
        let (told, subscribers) = (Arc::clone(&stop), Arc::clone(&expected));
        let body = move || {
            let mut clock = Clock::start(clock)?;
            let mut handed_over = new_histogram();
            let mut pace = Pace::new(rate.per_second, clock.now_ns() + LEAD_NS);
            while !told.load(Ordering::Acquire) {
                let now_ns = clock.now_ns();
                let Some(at_ns) = pace.take(now_ns) else {
                    clock.wait_until(pace.next_ns().min(now_ns + LOOK_NS))?;
                    continue;
                };
                self.publish(at_ns, rate.burst, subscribers.load(Ordering::Relaxed), &shared)?;
                note(&mut handed_over, clock.now_ns().saturating_sub(at_ns), 1);
            }
            Ok((self, handed_over))
        };
        let thread = thread::Builder::new().name("publisher".to_owned()).spawn(body);
        Ok(Stream {
            stop,
            expected,
            thread: thread.map_err(LoadError::Thread)?,
        })
    }
}

impl Stream {
    /// From now on ticks are for so many.
    pub(super) fn expect(&self, subscribers: u32) {
        self.expected.store(subscribers, Ordering::Relaxed);
    }

    /// Whether it has stopped by itself, which is a failure.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells it to stop. It may still be held up by a server that takes nothing.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// What it came to, and how late ticks were handed over.
    pub(super) fn join(self) -> Result<(Feed, Histogram<u64>), LoadError> {
        self.stop();
        let ended = self.thread.join().map_err(|_| LoadError::Panicked)?;
        ended.map_err(|error| LoadError::Publish {
            path: "the server".into(),
            error,
        })
    }
}

/// The first tick is due a little after the thread has begun.
const LEAD_NS: u64 = 2_000_000;
/// How often it looks whether it is to stop.
const LOOK_NS: u64 = 50_000_000;
