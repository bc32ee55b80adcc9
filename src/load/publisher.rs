//! The publisher: writes ticks where the server takes them, each when it is due.
//!
//! Never waits for the subscribers, and never skips a tick: one that is late, because the server does not take what came
//! before, keeps its intended time, and one that was still to come when it had to stop is counted. Invariant: how many
//! bursts have begun is known to others even while a server that takes nothing holds it up.

use super::clock::Clock;
use super::error::LoadError;
use super::mark::Mark;
use super::pace::Pace;
use super::scout::Scout;
use super::tally::Shared;
use super::template::Template;
use super::windows::{Windows, new_histogram, note};
use crate::limits::LOAD_WINDOWS;
use crate::ring::UringBuilder;
use hdrhistogram::Histogram;
use std::fs::File;
use std::io::{self, Write as _};
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
    told: Arc<Told>,
    /// When all bursts are due, from the first on.
    pace: Pace,
    burst: u32,
    /// When it was told to stop.
    stopped_ns: u64,
    thread: JoinHandle<Result<(Feed, Histogram<u64>), io::Error>>,
}

/// What the thread and its owner tell each other.
#[derive(Debug, Default)]
struct Told {
    stop: AtomicBool,
    /// Subscribers that each tick is for.
    expected: AtomicU32,
    /// Bursts begun.
    begun: AtomicU64,
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

    /// Publishes at this rate from `now_ns` on, on a thread of its own, until told to stop.
    pub(super) fn stream(
        mut self,
        rate: Rate,
        expected: u32,
        shared: Arc<Shared>,
        (clock, now_ns): (UringBuilder, u64),
    ) -> Result<Stream, LoadError> {
        let told = Arc::new(Told::default());
        told.expected.store(expected, Ordering::Relaxed);
        let all = Pace::new(rate.per_second, now_ns + LEAD_NS);
        let theirs = Arc::clone(&told);
        let body = move || {
            let mut clock = Clock::start(clock)?;
            let mut handed_over = new_histogram();
            let mut pace = all;
            while !theirs.stop.load(Ordering::Acquire) {
                let now_ns = clock.now_ns();
                let Some(at_ns) = pace.take(now_ns) else {
                    clock.wait_until(pace.next_ns().min(now_ns + LOOK_NS))?;
                    continue;
                };
                theirs.begun.fetch_add(1, Ordering::Release);
                let expected = theirs.expected.load(Ordering::Relaxed);
                self.publish(at_ns, rate.burst, expected, &shared)?;
                note(&mut handed_over, clock.now_ns().saturating_sub(at_ns), 1);
            }
            Ok((self, handed_over))
        };
        let thread = thread::Builder::new().name("publisher".to_owned()).spawn(body);
        Ok(Stream {
            told,
            pace: all,
            burst: rate.burst,
            stopped_ns: u64::MAX,
            thread: thread.map_err(LoadError::Thread)?,
        })
    }
}

impl Stream {
    /// From now on ticks are for so many.
    pub(super) fn expect(&self, subscribers: u32) {
        self.told.expected.store(subscribers, Ordering::Relaxed);
    }

    /// Whether it has stopped by itself, which is a failure.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }

    /// Tells it to stop. It may still be held up by a server that takes nothing.
    pub(super) fn stop(&mut self, now_ns: u64) {
        self.told.stop.store(true, Ordering::Release);
        self.stopped_ns = now_ns;
    }

    /// Ticks that were due before it was told to stop and have not begun, by window. They never will, once it has
    /// stopped or is held up.
    pub(super) fn never_sent(&self, windows: &Windows) -> [u64; LOAD_WINDOWS] {
        let begun = self.told.begun.load(Ordering::Acquire);
        let bursts = windows.overdue(&self.pace.after(begun), self.stopped_ns);
        bursts.map(|bursts| bursts * u64::from(self.burst))
    }

    /// What it came to, and how late ticks were handed over.
    pub(super) fn join(self) -> Result<(Feed, Histogram<u64>), LoadError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::probe;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;

    #[test]
    fn ticks_that_were_due_while_the_server_took_none_are_counted() {
        let clock = match probe() {
            Ok(capabilities) => Clock::builder(&capabilities).unwrap(),
            Err(unavailable) => return eprintln!("SKIPPED: {unavailable}"),
        };
        let (mut reader, writer) = io::pipe().unwrap();
        let feed = Feed {
            sink: Sink::File(File::from(OwnedFd::from(writer))),
            // More than a pipe holds, so that nothing comes after the first burst.
            template: Template::new("{mark}{pad}", 1024 * 1024).unwrap(),
        };
        let rate = Rate {
            per_second: 1.0,
            burst: 3,
        };
        let shared = Arc::new(Shared::new());
        let second_ns = 1_000_000_000;
        shared.windows.open(1, 5 * second_ns);
        // Time began with the machine, so that all that follows is due.
        let mut stream = feed.stream(rate, 0, Arc::clone(&shared), (clock, 0)).unwrap();
        reader.read_exact(&mut [0]).unwrap();
        stream.stop(10 * second_ns);
        assert_eq!(shared.board.begun(), 3);
        assert_eq!(stream.never_sent(&shared.windows), [3 * 4, 3 * 5, 0, 0, 0]);
        drop(reader);
        let error = stream.join().unwrap_err();
        assert!(matches!(error, LoadError::Publish { .. }), "{error}");
    }
}
