//! Draining a source into the sequencer until it ends or the server does.
//!
//! Invariant: before this thread rests, every shard that sleeps has been rung for what was appended.

use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;
use super::sequencer::Sequencer;
use super::source::{Next, Progress, Source, SourceError};
use crate::limits;

/// A source on its way to the tape.
#[derive(Debug)]
pub struct Feed<B, S> {
    /// Where events come from.
    pub source: Source,
    /// Where they go.
    pub sequencer: Sequencer,
    /// Rings for the shard of that number.
    pub bell: B,
    /// How many clients have subscribed.
    pub subscribers: S,
    /// Nothing is published before so many clients have subscribed.
    pub wait_for: u64,
    /// True when the server ends.
    pub stop: watch::Receiver<bool>,
    /// Told how far the source has come, where it has an end.
    pub progress: watch::Sender<Option<Progress>>,
}

/// How a feed has ended.
#[derive(Debug)]
pub enum FeedEnd {
    /// The source has nothing more. What it came to, in one line.
    Over(String),
    /// The source could not go on. What it had come to, in one line, and why.
    Broken(String, SourceError),
    /// The server ended first.
    Stopped,
}

impl<B: FnMut(usize), S: Fn() -> u64> Feed<B, S> {
    /// Runs to the end. Everything delivered is on the tape and every shard has been rung for it when this returns.
    pub async fn run(mut self) -> FeedEnd {
        let clock = Clock::start();
        if !self.wait_for_subscribers().await {
            return FeedEnd::Stopped;
        }
        let begun = clock.now();
        let mut published = 0_u64;
        loop {
            let now = clock.now();
            match self.source.next(now) {
                Next::Event(event) => {
                    if let Err(error) = self.sequencer.publish(&event, now) {
                        self.source.refuse(now, &error);
                    }
                    self.settle().await;
                    published += 1;
                    if published.is_multiple_of(limits::EVENTS_PER_BELL) {
                        self.rest_not().await;
                    }
                }
                Next::Wait => {
                    self.ring();
                    let elapsed_ns = now.mono_ns - begun.mono_ns;
                    tokio::select! {
                        waited = self.source.wait(now) => if let Err(error) = waited {
                            return FeedEnd::Broken(self.source.summary(elapsed_ns).to_string(), error);
                        },
                        _ = self.stop.wait_for(|stop| *stop) => return FeedEnd::Stopped,
                    }
                }
                Next::End => {
                    self.ring();
                    return FeedEnd::Over(self.source.summary(now.mono_ns - begun.mono_ns).to_string());
                }
            }
            if *self.stop.borrow() {
                self.ring();
                return FeedEnd::Stopped;
            }
        }
    }

    /// False when the server ended first.
    async fn wait_for_subscribers(&mut self) -> bool {
        while (self.subscribers)() < self.wait_for {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                _ = self.stop.wait_for(|stop| *stop) => return false,
            }
        }
        true
    }

    /// Brings what was published onto the tape, waiting for readers that are in the way: they are mid-turn, so for
    /// microseconds as a rule.
    async fn settle(&mut self) {
        let mut tries = 0_u32;
        while self.sequencer.settle().is_err() {
            self.ring();
            tries += 1;
            if tries < YIELDS {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Amid a burst: rings, tells how far it has come, and gives the runtime a turn, without waiting for anything.
    async fn rest_not(&mut self) {
        self.ring();
        if let Some(progress) = self.source.progress() {
            self.progress.send_replace(Some(progress));
        }
        tokio::task::yield_now().await;
    }

    fn ring(&mut self) {
        self.sequencer.wake_readers(&mut self.bell);
    }
}

/// Between looks at what other threads do.
const POLL: Duration = Duration::from_millis(1);
/// How often to try again at once before sleeping.
const YIELDS: u32 = 64;
