//! The journal of a running server.
//!
//! Messages are noted as the sequencer accepts them, and committed, many at once, before anyone sees them. A disk that
//! refuses, or takes too long, ends the journaling and not the feed. Invariant: what readers were shown is in the
//! journal's file, and under the policy `each` on its disk, or else the journal stands as [`Standing::Missing`].

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_uring::buf::BoundedBuf as _;
use tokio_uring::fs::{File, remove_file};

use super::background::{Background, Reached};
use super::directory::Directory;
use super::epoch::{EpochFile, Standing, boot};
use super::format::{
    BATCH_BYTES, Begun, HEADER_BYTES, Header, Mark, push_channel, push_complete, push_key, push_line,
    push_remembered, write_batch,
};
use super::policy::{JournalSpec, SyncPolicy};
use super::recovery::{Kept, Opened};
use crate::base::{JournalCensus, Now};
use crate::limits;
use crate::writer::sequencer::{Journaled, Remembered, Sequencer};

/// A journal being written.
pub struct Journal {
    spec: JournalSpec,
    directory: Directory,
    epoch: u64,
    background: Rc<Background>,
    tasks: [JoinHandle<()>; 2],
    /// How the journal stands, which is written over the same bytes each time.
    standing: Option<Rc<File>>,
    segment: Option<Segment>,
    /// Room for a header and for the beginning of a batch, and what was noted since the last one.
    batch: Vec<u8>,
    /// Messages accepted since then, whether or not they were noted.
    accepted: u64,
    /// Channels that have a number in the segment.
    called: Vec<bool>,
    scratch: Vec<u8>,
    next_segment: u64,
    previous_end: u64,
    next_message: u64,
    kept: VecDeque<Kept>,
    /// Why the next segment that is not begun by rotation will be, and when it may be at the earliest.
    begun: Begun,
    retry_ns: u64,
    /// From which message on it is not known to be on disk what was written before journaling ended; until somebody asks.
    lost: Option<u64>,
    /// The messages that were noted and that no segment has since journaling ended last: they stay unsafe, whatever is on disk
    /// behind them.
    gone: Range<u64>,
    census: Arc<JournalCensus>,
}

/// The segment being written.
struct Segment {
    number: u64,
    file: Rc<File>,
    begun: Begun,
    begun_ns: u64,
    /// Bytes written, and how many of these are of messages.
    bytes: u64,
    message_bytes: u64,
    /// The next channel whose state is to be written into it, and the first that it need not have.
    states: usize,
    states_end: usize,
    /// Keys that were remembered when it was begun and are not in it yet.
    keys: VecDeque<Remembered>,
    /// All of them are.
    complete: bool,
}

/// Why journaling ends.
#[derive(Debug)]
struct Failure {
    what: &'static str,
    error: io::Error,
}

impl Journal {
    /// Goes on with what was opened, on the runtime of the calling thread.
    #[must_use]
    pub fn start(opened: Opened, census: Arc<JournalCensus>) -> Self {
        let Opened {
            spec,
            directory,
            epoch,
            next_segment,
            previous_end,
            next_message,
            kept,
            recovered: _,
        } = opened;
        let background = Background::new(directory.clone(), spec.segment_bytes, Arc::clone(&census));
        let background = Rc::new(background);
        let tasks = [
            tokio_uring::spawn(Rc::clone(&background).open()),
            tokio_uring::spawn(Rc::clone(&background).sync(spec.sync)),
        ];
        // Opened now, since there may be no descriptor left when it is needed.
        let standing = fs::OpenOptions::new().write(true).open(directory.epoch_file());
        background.want(next_segment);
        census.messages.set(next_message.saturating_sub(1));
        Self {
            epoch,
            background,
            tasks,
            standing: standing.ok().map(|file| Rc::new(File::from_std(file))),
            segment: None,
            batch: vec![0; BEGINNING_BYTES],
            accepted: 0,
            called: Vec::new(),
            scratch: Vec::new(),
            next_segment,
            previous_end,
            next_message,
            kept: kept.into(),
            begun: Begun::Start,
            retry_ns: 0,
            lost: None,
            gone: 0..0,
            census,
            spec,
            directory,
        }
    }

    /// Begins the first segment, with what the sequencer has taken back.
    pub async fn begin(&mut self, sequencer: &mut Sequencer, now: Now) {
        let failure = match timeout(STALL, self.background.opened()).await {
            Ok(Ok(())) => return self.commit(sequencer, now).await,
            Ok(Err(error)) => Failure {
                what: "its next segment cannot be made",
                error,
            },
            Err(_) => Failure::stalled("its next segment cannot be made"),
        };
        self.give_up(&failure, now).await;
    }

    /// Takes a message that was accepted. It is written by the next [`commit`](Self::commit).
    /// Says which number it has, if it is going to be written at all.
    pub fn note(&mut self, message: &Journaled<'_>, key: Option<&Remembered>) -> Option<u64> {
        self.accepted += 1;
        let segment = self.segment.as_mut()?;
        let before = self.batch.len();
        call(&mut self.batch, &mut self.called, message);
        if let Some(key) = key {
            push_key(&mut self.batch, key);
        }
        push_line(&mut self.batch, message);
        segment.message_bytes += (self.batch.len() - before) as u64;
        let number = self.next_message;
        self.census.messages.set(number);
        self.next_message += 1;
        Some(number)
    }

    /// Whether the message of that number, which was committed, is as safe as it is to be before whoever published it is told
    /// so: on disk, where each message is synced; there and nowhere else a machine that goes down takes nothing. Under the
    /// other policies it is as safe as what everybody sees.
    #[must_use]
    pub fn keeps(&self, message: Option<u64>) -> bool {
        self.spec.sync != SyncPolicy::Each
            || message
                .is_some_and(|number| number <= self.census.durable.read() && !self.gone.contains(&number))
    }

    /// Whether so much was noted that it is time to commit, however much more there is to come.
    #[must_use]
    pub fn is_due(&self) -> bool {
        let most = match self.segment {
            Some(_) => limits::JOURNAL_BATCH_MESSAGES,
            None => limits::EVENTS_PER_BELL,
        };
        self.accepted >= most || self.batch.len() >= limits::JOURNAL_BATCH_BYTES
    }

    /// Where journaling has ended since this was asked last: the number from which on messages cannot be counted on, though
    /// later ones may be on disk again.
    pub fn take_lost(&mut self) -> Option<u64> {
        self.lost.take()
    }

    /// Writes what was noted; under the policy `each`, syncs it. Behind this it may be shown: whatever could not be
    /// written is known to be missing.
    pub async fn commit(&mut self, sequencer: &mut Sequencer, now: Now) {
        self.accepted = 0;
        if let Err(failure) = self.try_commit(sequencer, now).await {
            self.give_up(&failure, now).await;
        }
    }

    /// Writes and syncs everything, and says that nothing is missing.
    pub async fn close(mut self, sequencer: &mut Sequencer, now: Now) {
        self.commit(sequencer, now).await;
        if let Some(segment) = &self.segment {
            let (path, bytes) = (self.directory.segment(segment.number), segment.bytes);
            let finished = timeout(STALL, self.background.sync_finished()).await;
            let closed = match finished {
                Ok(Ok(())) => self.sync().await,
                Ok(Err(error)) => Err(Failure {
                    what: "it cannot be synced",
                    error,
                }),
                Err(_) => Err(Failure::stalled("it cannot be synced")),
            };
            // Gives back the room that was set aside; where that fails, the next start does it.
            let cut = fs::OpenOptions::new().write(true).open(path);
            let _ = cut.and_then(|file| file.set_len(bytes));
            match closed {
                Ok(()) => drop(self.stand(Standing::Closed).await),
                Err(failure) => self.give_up(&failure, now).await,
            }
        }
    }

    async fn try_commit(&mut self, sequencer: &mut Sequencer, now: Now) -> Result<(), Failure> {
        if self.segment.is_none() {
            return self.begin_anew(sequencer, now).await;
        }
        if let Some(error) = self.background.take_failure() {
            return Err(Failure {
                what: "it cannot be synced",
                error,
            });
        }
        if sequencer.is_settled() {
            self.note_states(sequencer, limits::JOURNAL_CHECKPOINT_BYTES);
        }
        if self.batch.len() > BEGINNING_BYTES {
            self.write().await?;
            if self.spec.sync == SyncPolicy::Each {
                self.sync().await?;
            }
            self.rotate(sequencer, now);
        }
        self.retire(now);
        Ok(())
    }

    /// Begins a segment that needs none before it, if one is ready: all states first.
    async fn begin_anew(&mut self, sequencer: &mut Sequencer, now: Now) -> Result<(), Failure> {
        if !sequencer.is_settled() || now.mono_ns < self.retry_ns {
            return Ok(());
        }
        let Some((number, file)) = self.background.take_ready() else {
            return Ok(());
        };
        self.begin_segment(self.begun, number, file, sequencer, now);
        loop {
            self.note_states(sequencer, limits::JOURNAL_BATCH_BYTES);
            self.write().await?;
            if self.segment.as_ref().is_none_or(|segment| segment.complete) {
                break;
            }
        }
        self.sync().await?;
        if self.begun == Begun::Discontinuity {
            self.stand(Standing::under(self.spec.sync)).await?;
            tracing::warn!(
                "journal {}: goes on with segment {number}; what was published meanwhile is not in it",
                self.directory.path().display()
            );
        }
        self.begun = Begun::Discontinuity;
        self.census.missing.set(0);
        Ok(())
    }

    fn begin_segment(&mut self, begun: Begun, number: u64, file: Rc<File>, sequencer: &Sequencer, now: Now) {
        let header = Header {
            begun,
            segment: number,
            epoch: self.epoch,
            first_message: self.next_message,
            previous_end: self.previous_end,
            begun_ns: now.wall_ns,
        };
        self.clear_batch();
        self.batch[..HEADER_BYTES].copy_from_slice(&header.bytes());
        self.called.clear();
        self.background.turn_to(number, &file);
        self.next_segment = number + 1;
        self.segment = Some(Segment {
            number,
            file,
            begun,
            begun_ns: now.wall_ns,
            bytes: 0,
            message_bytes: 0,
            states: 0,
            states_end: sequencer.channels(),
            // A message that is in no segment is to be published again, so its key is in none either.
            keys: sequencer
                .keys()
                .into_iter()
                .filter(|key| key.kept.journaled.is_some())
                .collect(),
            complete: false,
        });
    }

    /// Adds states that the segment does not have yet, about so many bytes of them.
    fn note_states(&mut self, sequencer: &mut Sequencer, bytes: usize) {
        let Some(segment) = self.segment.as_mut().filter(|segment| !segment.complete) else {
            return;
        };
        let enough = self.batch.len() + bytes;
        while segment.states < segment.states_end && self.batch.len() < enough {
            if let Some(state) = sequencer.state(segment.states, &mut self.scratch) {
                call(&mut self.batch, &mut self.called, &state);
                push_line(&mut self.batch, &state);
            }
            segment.states += 1;
        }
        // Every channel that they are about has its state before them, and with that its number in the segment.
        while segment.states == segment.states_end && self.batch.len() < enough {
            let Some(key) = segment.keys.pop_front() else {
                break;
            };
            push_remembered(&mut self.batch, &key);
        }
        if segment.states == segment.states_end && segment.keys.is_empty() {
            segment.complete = true;
            let channels = u32::try_from(segment.states_end).unwrap_or(u32::MAX);
            push_complete(&mut self.batch, channels);
        }
    }

    /// Writes the batch.
    async fn write(&mut self) -> Result<(), Failure> {
        let Some(segment) = &mut self.segment else {
            return Ok(());
        };
        let what = "it cannot be written";
        write_batch(&mut self.batch[HEADER_BYTES..], self.background.synced());
        // A segment's first batch has its header before it.
        let start = if segment.bytes == 0 { 0 } else { HEADER_BYTES };
        let batch = std::mem::take(&mut self.batch);
        let bytes = (batch.len() - start) as u64;
        let file = Rc::clone(&segment.file);
        let written = timeout(STALL, file.write_all_at(batch.slice(start..), segment.bytes)).await;
        let Ok((result, batch)) = written else {
            return Err(Failure::stalled(what));
        };
        result.map_err(|error| Failure { what, error })?;
        segment.bytes += bytes;
        self.census.bytes.add(bytes);
        self.background.wrote(segment.reached(self.next_message));
        self.batch = batch.into_inner();
        self.clear_batch();
        Ok(())
    }

    /// Syncs what is written.
    async fn sync(&self) -> Result<(), Failure> {
        let Some(segment) = &self.segment else {
            return Ok(());
        };
        let what = "it cannot be synced";
        let synced = timeout(STALL, segment.file.sync_data()).await;
        synced
            .map_err(|_| Failure::stalled(what))?
            .map_err(|error| Failure { what, error })?;
        self.background.synced_to(segment.reached(self.next_message));
        Ok(())
    }

    /// Turns to the next segment when this one is long enough and that one is ready.
    fn rotate(&mut self, sequencer: &Sequencer, now: Now) {
        let Some(segment) = &self.segment else {
            return;
        };
        if segment.message_bytes >= self.spec.segment_bytes / 4 * 3 {
            self.background.want(self.next_segment);
        }
        if segment.message_bytes < self.spec.segment_bytes || !segment.complete {
            return;
        }
        let Some((number, file)) = self.background.take_ready() else {
            return;
        };
        self.kept.push_back(segment.kept());
        self.previous_end = segment.bytes;
        self.begin_segment(Begun::Rotation, number, file, sequencer, now);
    }

    /// Has segments removed that are not to be kept and that the state of no channel depends on.
    fn retire(&mut self, now: Now) {
        let Some(segment) = &self.segment else {
            return;
        };
        // The newest of the others has all states, if this one does not yet.
        let needed = usize::from(!segment.complete);
        while self.kept.len() > needed {
            let bytes: u64 = self.kept.iter().map(|kept| kept.bytes).sum();
            let next = self.kept.get(1).map_or(segment.begun_ns, |kept| kept.begun_ns);
            let too_many = self
                .spec
                .retain_bytes
                .is_some_and(|most| bytes.saturating_add(segment.bytes) > most);
            let too_old = self
                .spec
                .retain_age
                .is_some_and(|age| next.saturating_add(age.ns) < now.wall_ns);
            if !too_many && !too_old {
                break;
            }
            if let Some(kept) = self.kept.pop_front() {
                self.background.doom(kept.segment);
            }
        }
    }

    /// Ends the journaling until there is a segment again, and says so where the next start will see it.
    async fn give_up(&mut self, failure: &Failure, now: Now) {
        let path = self.directory.path().display();
        if self.census.missing.read() == 0 {
            tracing::error!(
                "journal {path}: {failure}; the feed goes on and is NOT journaled until it can be again"
            );
        }
        self.census.missing.set(1);
        let lost = self.census.durable.read() + 1;
        self.lost = Some(lost);
        self.gone = lost..self.next_message;
        self.census.failures.add(1);
        self.begun = Begun::Discontinuity;
        self.retry_ns = now.mono_ns + 1_000_000 * limits::JOURNAL_RETRY_MS;
        if let Some(segment) = self.segment.take() {
            if segment.begun != Begun::Rotation && !segment.complete {
                // It has no message: the next attempt is the same segment anew.
                self.next_segment = segment.number;
            } else {
                self.previous_end = segment.bytes;
                self.kept.push_back(segment.kept());
            }
        }
        self.clear_batch();
        self.background.abandon();
        self.background.want(self.next_segment);
        if self.stand(Standing::Missing).await.is_err() {
            // Not knowing how it was left is as good. To remove a file needs no room either.
            let epoch = self.directory.epoch_file();
            if !matches!(timeout(STALL, remove_file(&epoch)).await, Ok(Ok(()))) {
                tracing::error!(
                    "{}: cannot be written or removed; remove it before a server is started on this journal again",
                    epoch.display()
                );
            }
        }
    }

    /// Says how the journal stands, on disk when this returns.
    async fn stand(&self, standing: Standing) -> Result<(), Failure> {
        let what = "how it stands cannot be written";
        let missing = || Failure {
            what,
            error: io::ErrorKind::NotFound.into(),
        };
        let file = self.standing.as_ref().ok_or_else(missing)?;
        let bytes = EpochFile {
            epoch: self.epoch,
            standing,
            boot: boot(),
        }
        .bytes();
        let written = timeout(STALL, async {
            file.write_all_at(bytes, 0).await.0?;
            file.sync_data().await
        });
        let result = written.await.map_err(|_| Failure::stalled(what))?;
        result.map_err(|error| Failure { what, error })
    }

    fn clear_batch(&mut self) {
        self.batch.clear();
        self.batch.resize(BEGINNING_BYTES, 0);
    }
}

impl Segment {
    fn kept(&self) -> Kept {
        Kept {
            segment: self.number,
            bytes: self.bytes,
            begun_ns: self.begun_ns,
        }
    }

    /// How far the journal is written, when `next_message` is the next.
    fn reached(&self, next_message: u64) -> Reached {
        Reached {
            mark: Mark {
                segment: self.number,
                offset: self.bytes,
            },
            message: next_message - 1,
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("spec", &self.spec)
            .field("segment", &self.segment.as_ref().map(|segment| segment.number))
            .field("next_message", &self.next_message)
            .finish_non_exhaustive()
    }
}

impl Failure {
    fn stalled(what: &'static str) -> Self {
        let ms = limits::JOURNAL_STALL_MS;
        Self {
            what,
            error: io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the disk took more than {ms} ms"),
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

/// Gives the channel of a line a number in the segment, where it has none yet.
fn call(batch: &mut Vec<u8>, called: &mut Vec<bool>, line: &Journaled<'_>) {
    let at = line.channel.index();
    if called.len() <= at {
        called.resize(at + 1, false);
    }
    if !called[at] {
        called[at] = true;
        push_channel(
            batch,
            line.channel.number(),
            line.class,
            line.is_derived,
            line.name,
        );
    }
}

/// How long the feed waits for the disk.
const STALL: Duration = Duration::from_millis(limits::JOURNAL_STALL_MS);
/// What each batch has room for at its front.
const BEGINNING_BYTES: usize = HEADER_BYTES + BATCH_BYTES;
