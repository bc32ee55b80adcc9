//! Draining a source into the sequencer until it ends or the server does.
//!
//! Invariant: before this thread rests, every shard that sleeps has been rung for what was appended; and where there is a
//! journal, nothing is shown to a shard that the journal was not given the time to have.

use std::time::Duration;

use tokio::sync::watch;

use super::clock::Clock;
use super::journal::Journal;
use super::sequencer::{Sequencer, Unsettled};
use super::source::{Next, Progress, Source, SourceError};
use crate::base::Now;
use crate::limits;

/// A source on its way to the tape.
#[derive(Debug)]
pub struct Feed<B, S> {
    /// Where events come from.
    pub source: Source,
    /// Where they go.
    pub sequencer: Sequencer,
    /// What has them before anyone sees them, if there is to be such a thing.
    pub journal: Option<Journal>,
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
    /// How many messages were published, refused ones included.
    pub published: u64,
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
        if let Some(journal) = &mut self.journal {
            self.sequencer.hold();
            journal.begin(&mut self.sequencer, clock.now()).await;
        }
        let end = self.drain(&clock).await;
        if let Some(journal) = self.journal.take() {
            journal.close(&mut self.sequencer, clock.now()).await;
        }
        end
    }

    async fn drain(&mut self, clock: &Clock) -> FeedEnd {
        if !self.wait_for_subscribers().await {
            return FeedEnd::Stopped;
        }
        let begun = clock.now();
        loop {
            let now = clock.now();
            match self.source.next(now) {
                Next::Event(event) => {
                    if let Err(error) = self.sequencer.publish(&event, now) {
                        self.source.refuse(now, &error);
                    }
                    self.go_on(now).await;
                    self.derive(now).await;
                }
                Next::Wait => {
                    self.derive(now).await;
                    self.show(now).await;
                    let elapsed_ns = now.mono_ns - begun.mono_ns;
                    let due = self.sequencer.due_ns().map(|due_ns| {
                        let wait_ns = due_ns.saturating_sub(now.mono_ns);
                        tokio::time::sleep(Duration::from_nanos(wait_ns))
                    });
                    tokio::select! {
                        waited = self.source.wait(now) => if let Err(error) = waited {
                            return FeedEnd::Broken(self.source.summary(elapsed_ns).to_string(), error);
                        },
                        () = async {
                            match due {
                                Some(due) => due.await,
                                None => std::future::pending().await,
                            }
                        } => {}
                        _ = self.stop.wait_for(|stop| *stop) => return FeedEnd::Stopped,
                    }
                }
                Next::End => {
                    self.sequencer.hurry();
                    self.derive(now).await;
                    self.show(now).await;
                    return FeedEnd::Over(self.source.summary(now.mono_ns - begun.mono_ns).to_string());
                }
            }
            if *self.stop.borrow() {
                self.show(now).await;
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

    /// Goes on behind a message that was accepted, if it was: the journal takes it, it goes on the tape, and where so much
    /// was published that it is to be shown, that is done, however much more there is.
    async fn go_on(&mut self, now: Now) {
        if let (Some(journal), Some(message)) = (&mut self.journal, self.sequencer.accepted()) {
            journal.note(&message);
        }
        self.settle(now).await;
        self.published += 1;
        let is_due = match &self.journal {
            Some(journal) => journal.is_due(),
            None => self.published.is_multiple_of(limits::EVENTS_PER_BELL),
        };
        if is_due {
            self.rest_not(now).await;
        }
    }

    /// Publishes what follows from what was published, as far as it is due.
    async fn derive(&mut self, now: Now) {
        while let Some(derived) = self.sequencer.derive(now) {
            if let Err(late) = derived {
                let name = self.sequencer.name(late.channel);
                tracing::warn!("{name}: {}; it is late, and is tried again", late.why);
                continue;
            }
            self.go_on(now).await;
        }
    }

    /// Brings what was published onto the tape, waiting for readers that are in the way: they are mid-turn, so for
    /// microseconds as a rule.
    async fn settle(&mut self, now: Now) {
        let mut tries = 0_u32;
        while let Err(unsettled) = self.sequencer.settle() {
            match unsettled {
                Unsettled::Held => self.show(now).await,
                Unsettled::Pinned { .. } => self.ring(),
            }
            tries += 1;
            if tries < YIELDS {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Amid a burst: shows what there is, tells how far it has come, and gives the runtime a turn, without waiting for
    /// anything but the journal.
    async fn rest_not(&mut self, now: Now) {
        self.show(now).await;
        if let Some(progress) = self.source.progress() {
            self.progress.send_replace(Some(progress));
        }
        tokio::task::yield_now().await;
    }

    /// Lets readers see what was published, once the journal has it, and rings for those that sleep.
    async fn show(&mut self, now: Now) {
        if let Some(journal) = &mut self.journal {
            journal.commit(&mut self.sequencer, now).await;
            self.sequencer.show();
        }
        self.ring();
    }

    fn ring(&mut self) {
        self.sequencer.wake_readers(&mut self.bell);
    }
}

/// Between looks at what other threads do.
const POLL: Duration = Duration::from_millis(1);
/// How often to try again at once before sleeping.
const YIELDS: u32 = 64;
