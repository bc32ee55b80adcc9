//! Draining a source into the sequencer until the server ends, and doing what clients ask the writer for in between.
//!
//! Invariant: before this thread rests, every shard that sleeps has been rung for what was appended; and where there is a
//! journal, nothing is shown to a shard that the journal was not given the time to have. A client is told that its message
//! is published when it is shown, and where the journal syncs each message, when it is on disk.

use std::future::pending;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::clock::Clock;
use super::counter::Counter;
use super::ingest::Ingest;
use super::journal::Journal;
use super::publish::{Carried, Publishing, judge};
use super::sequencer::{Sequencer, Unsettled};
use super::source::{Next, Progress, Source, SourceError};
use crate::base::Now;
use crate::limits;

/// A source on its way to the tape.
#[derive(Debug)]
pub struct Feed<B, S, T> {
    /// Where events come from.
    pub source: Source,
    /// Where they go.
    pub sequencer: Sequencer,
    /// What has them before anyone sees them, if there is to be such a thing.
    pub journal: Option<Journal>,
    /// Where clients ask for something.
    pub counter: Counter,
    /// What others publish, if anybody may connect for that.
    pub ingest: Option<Ingest>,
    /// What reads the messages that they publish.
    pub publishing: Publishing,
    /// Rings for the shard of that number.
    pub bell: B,
    /// How many clients have subscribed.
    pub subscribers: S,
    /// Told how the source has ended. Clients are served on.
    pub tell: T,
    /// Nothing of the source is published before so many clients have subscribed.
    pub wait_for: u64,
    /// True when the server ends.
    pub stop: watch::Receiver<bool>,
    /// Told how far the source has come, where it has an end.
    pub progress: watch::Sender<Option<Progress>>,
}

/// How a source has ended.
#[derive(Debug)]
pub enum FeedEnd {
    /// It has nothing more. What it came to, in one line.
    Over(String),
    /// It could not go on. What it had come to, in one line, and why.
    Broken(String, SourceError),
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Stopped,
}

impl<B: FnMut(usize), S: Fn() -> u64, T: FnMut(FeedEnd)> Feed<B, S, T> {
    /// Runs until the server ends. Everything delivered is on the tape and every shard has been rung for it when this returns.
    pub async fn run(mut self) {
        let clock = Clock::start();
        if let Some(journal) = &mut self.journal {
            self.sequencer.hold();
            journal.begin(&mut self.sequencer, clock.now()).await;
        }
        self.drain(&clock).await;
        // What would have been said at the end of an interval is said now.
        let now = clock.now();
        self.sequencer.hurry();
        self.derive(now).await;
        self.show(now).await;
        if let Some(journal) = self.journal.take() {
            journal.close(&mut self.sequencer, clock.now()).await;
        }
        if let Some(ingest) = self.ingest.take() {
            tracing::info!("lines that came in: {}", ingest.tally());
        }
    }

    async fn drain(&mut self, clock: &Clock) {
        if self.wait_for_subscribers(clock).await == Flow::Stopped {
            return;
        }
        let begun = clock.now();
        let mut published = 0_u64;
        loop {
            let now = clock.now();
            if published.is_multiple_of(limits::EVENTS_PER_LOOK) {
                self.attend(now).await;
            }
            match self.source.next(now) {
                Next::Event(event) => {
                    match self.sequencer.publish(&event, now) {
                        Ok(()) => {
                            self.note();
                        }
                        Err(error) => self.source.refuse(now, &error),
                    }
                    self.settle(now).await;
                    self.derive(now).await;
                    published += 1;
                    if self.is_due(published) {
                        self.rest_not(now).await;
                    }
                }
                Next::Wait => {
                    if self.wait(now, begun).await == Flow::Stopped {
                        return;
                    }
                }
                Next::End => {
                    self.show(now).await;
                    let summary = self.source.summary(now.mono_ns - begun.mono_ns).to_string();
                    self.end(FeedEnd::Over(summary));
                }
            }
            if *self.stop.borrow() {
                return;
            }
        }
    }

    /// Nothing of the source is due: shows what there is, and waits for more, for the end of an interval, or for somebody who
    /// asks for something.
    async fn wait(&mut self, now: Now, begun: Now) -> Flow {
        let is_done = self.attend(now).await;
        self.derive(now).await;
        self.show(now).await;
        if !is_done {
            tokio::task::yield_now().await;
            return Flow::On;
        }
        let due_ns = self.sequencer.due_ns();
        let interval = async {
            match due_ns {
                Some(due_ns) => sleep(Duration::from_nanos(due_ns.saturating_sub(now.mono_ns))).await,
                None => pending().await,
            }
        };
        let broken = tokio::select! {
            waited = self.source.wait(now) => waited.err(),
            () = self.counter.rung() => None,
            () = interval => None,
            _ = self.stop.wait_for(|stop| *stop) => return Flow::Stopped,
        };
        if let Some(error) = broken {
            let summary = self.source.summary(now.mono_ns - begun.mono_ns).to_string();
            self.end(FeedEnd::Broken(summary, error));
        }
        Flow::On
    }

    /// The source has ended: from now on there is only what clients ask for.
    fn end(&mut self, end: FeedEnd) {
        self.source = Source::silent();
        (self.tell)(end);
    }

    async fn wait_for_subscribers(&mut self, clock: &Clock) -> Flow {
        while (self.subscribers)() < self.wait_for {
            let now = clock.now();
            self.attend(now).await;
            self.derive(now).await;
            self.show(now).await;
            tokio::select! {
                () = sleep(POLL) => {}
                _ = self.stop.wait_for(|stop| *stop) => return Flow::Stopped,
            }
        }
        Flow::On
    }

    /// Does what clients have asked for and publishes lines, so much at once. Says whether that was all.
    async fn attend(&mut self, now: Now) -> bool {
        let no_errands = self.attend_to_errands(now).await;
        self.attend_to_lines(now).await && no_errands
    }

    async fn attend_to_lines(&mut self, now: Now) -> bool {
        for _ in 0..limits::INGEST_LINES_PER_BATCH {
            let Some(ingest) = &mut self.ingest else {
                return true;
            };
            let (publishing, sequencer) = (&mut self.publishing, &mut self.sequencer);
            let taken = ingest.take(now, |text, label| {
                publishing.publish_line(text, label, sequencer, now)
            });
            let Some((line, Carried { outcome, journaled })) = taken else {
                return !ingest.has_lines();
            };
            let journaled = self.note().or(journaled);
            self.settle(now).await;
            if let Some(ingest) = &mut self.ingest {
                ingest.note(line, outcome, journaled, now);
            }
            self.derive(now).await;
            if self.journal.as_ref().is_some_and(Journal::is_due) {
                break;
            }
        }
        self.show(now).await;
        false
    }

    async fn attend_to_errands(&mut self, now: Now) -> bool {
        for _ in 0..limits::ERRANDS_PER_BATCH {
            let Some(taken) = self.counter.take() else {
                return true;
            };
            let Carried { outcome, journaled } = self.publishing.carry_out(&taken, &mut self.sequencer, now);
            let journaled = self.note().or(journaled);
            self.settle(now).await;
            self.counter.note(taken, outcome, journaled);
            self.derive(now).await;
            if self.journal.as_ref().is_some_and(Journal::is_due) {
                break;
            }
        }
        self.show(now).await;
        false
    }

    /// Publishes what follows from what was published, as far as it is due.
    async fn derive(&mut self, now: Now) {
        while let Some(derived) = self.sequencer.derive(now) {
            if let Err(late) = derived {
                let name = self.sequencer.name(late.channel);
                tracing::warn!("{name}: {}; it is late, and tried again", late.why);
                continue;
            }
            self.note();
            self.settle(now).await;
            if self.journal.as_ref().is_some_and(Journal::is_due) {
                self.show(now).await;
            }
        }
    }

    /// The journal takes what was just accepted, if anything was; says which number it has there.
    fn note(&mut self) -> Option<u64> {
        let (journal, message) = (self.journal.as_mut()?, self.sequencer.accepted()?);
        let number = journal.note(&message, self.sequencer.accepted_key().as_ref());
        self.sequencer.journaled_as(number);
        number
    }

    /// Whether so much was published that it is to be shown, however much more there is.
    fn is_due(&self, published: u64) -> bool {
        match &self.journal {
            Some(journal) => journal.is_due(),
            None => published.is_multiple_of(limits::EVENTS_PER_BELL),
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
                sleep(POLL).await;
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

    /// Lets readers see what was published, once the journal has it, rings for those that sleep, and tells those who
    /// published it.
    async fn show(&mut self, now: Now) {
        if let Some(journal) = &mut self.journal {
            journal.commit(&mut self.sequencer, now).await;
            if let Some(first) = journal.take_lost() {
                self.sequencer.lost_from(first);
            }
            self.sequencer.show();
        }
        self.ring();
        let journal = self.journal.as_ref();
        let judge = |message| journal.and_then(|journal| judge(journal, message));
        if self.counter.has_news() {
            self.counter.tell(judge);
        }
        if let Some(ingest) = self.ingest.as_mut().filter(|ingest| ingest.has_news()) {
            ingest.tell(judge);
        }
    }

    fn ring(&mut self) {
        self.sequencer.wake_readers(&mut self.bell);
    }
}

/// Between looks at what other threads do.
const POLL: Duration = Duration::from_millis(1);
/// How often to try again at once before sleeping.
const YIELDS: u32 = 64;
