//! Replays a journal, as fast as it was published or at another pace.
//!
//! It never writes to the journal, nor locks it: a server may be writing it, and then its present end is the end. Numbers
//! and times of publication are not taken over, for a replay is published anew. Where segments are missing at the
//! beginning, a channel begins with the first state that there is of it. Invariant: events come in the order in which
//! they were published, each when its time of publication is due.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio_uring::fs::File;

use super::chunks::Chunks;
use super::pace::Pace;
use super::tally::{BadLine, Fault, Reporter};
use super::{Event, Next, Progress, SourceError, Speed, Tally};
use crate::base::Now;
use crate::limits::CHANNELS_MAX;
use crate::market::Level;
use crate::tape::RecordKind;
use crate::writer::journal::Directory;
use crate::writer::journal::format::{Line, Record};
use crate::writer::journal::roll::Roll;
use crate::writer::journal::scan::{Scanned, Scanner};

/// A journal being replayed.
#[derive(Debug)]
pub struct JournalReplay {
    directory: Directory,
    /// The segments that are left, the next one last.
    segments: Vec<u64>,
    chunks: Option<Chunks>,
    bytes_before: u64,
    bytes_total: u64,
    scanner: Scanner,
    /// What was read is used up, and this segment is over.
    drained: bool,
    finished: bool,
    over: bool,
    roll: Roll,
    levels: Vec<Level>,
    /// The newest number of each channel that has begun.
    begun: HashMap<Box<str>, u64>,
    ready: Option<Ready>,
    /// The text of the line that is ready, or was lent last.
    text: String,
    pace: Pace,
    reporter: Reporter,
}

/// A line that may not be due yet.
#[derive(Clone, Copy, Debug)]
struct Ready {
    channel: u32,
    seq: u64,
    ts_ns: u64,
    pt_ns: u64,
}

impl JournalReplay {
    /// Opens the journal in this directory. Its first event is due when it is first asked for.
    ///
    /// # Errors
    /// When it cannot be read, or has no segment.
    pub async fn open(path: &Path, speed: Speed) -> Result<Self, SourceError> {
        let directory = Directory::new(path);
        let mut segments = directory.segments().map_err(SourceError::Journal)?;
        if segments.is_empty() {
            return Err(SourceError::NoJournal { path: path.into() });
        }
        let mut bytes_total = 0;
        for &segment in &segments {
            let status = std::fs::metadata(directory.segment(segment));
            // A server that writes it may have removed one meanwhile.
            bytes_total += status.map_or(0, |status| status.len());
        }
        segments.reverse();
        Ok(Self {
            directory,
            segments,
            chunks: None,
            bytes_before: 0,
            bytes_total,
            scanner: Scanner::default(),
            drained: true,
            finished: true,
            over: false,
            roll: Roll::default(),
            levels: Vec::new(),
            begun: HashMap::new(),
            ready: None,
            text: String::new(),
            pace: Pace::new(speed),
            reporter: Reporter::default(),
        })
    }

    /// Lends the next event that is due.
    ///
    /// A line that says nothing is told as [`Next::Wait`], and the wait is over at once.
    pub fn next(&mut self, now: Now) -> Next<'_> {
        if self.ready.is_none() && !self.drained {
            self.read(now);
        }
        let Some(ready) = self.ready else {
            return if self.over { Next::End } else { Next::Wait };
        };
        if self.pace.due_ns(ready.pt_ns, now) > now.mono_ns {
            return Next::Wait;
        }
        self.ready = None;
        self.pace.played(ready.pt_ns);
        let line = Line {
            channel: ready.channel,
            kind: RecordKind::Live,
            seq: ready.seq,
            ts_ns: ready.ts_ns,
            pt_ns: ready.pt_ns,
            text: &self.text,
        };
        let restored = self.roll.restored(&line, &mut self.levels);
        let restored = restored.map(|restored| restored.tick.map(|tick| (restored.channel, tick)));
        match restored {
            Ok(Some((channel, tick))) => {
                self.reporter.delivered(&tick);
                let ts_ns = ready.ts_ns;
                Next::Event(Event { channel, ts_ns, tick })
            }
            Ok(None) => Next::Wait,
            Err(flaw) => {
                let lines = self.reporter.tally.lines;
                let bad = BadLine::new(Fault::Shape, flaw.to_string());
                self.reporter.bad_line(now, lines, &bad);
                Next::Wait
            }
        }
    }

    /// Waits until the next event is due, or reads on.
    ///
    /// # Errors
    /// When a segment cannot be read on; what stood before has been delivered.
    pub async fn wait(&mut self, now: Now) -> Result<(), SourceError> {
        if let Some(ready) = self.ready {
            let wait_ns = self.pace.due_ns(ready.pt_ns, now).saturating_sub(now.mono_ns);
            tokio::time::sleep(Duration::from_nanos(wait_ns)).await;
            return Ok(());
        }
        if !self.drained || self.over {
            tokio::task::yield_now().await;
            return Ok(());
        }
        let filled = self.fill().await;
        if filled.is_err() {
            self.over = true;
            self.reporter.finish();
        }
        filled
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

    /// How far the replay has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (first_ns, last_ns) = self.pace.span_ns().unwrap_or_default();
        Progress {
            bytes_read: self.bytes_before + self.chunks.as_ref().map_or(0, Chunks::bytes_read),
            bytes_total: Some(self.bytes_total),
            lines: self.tally().lines,
            ticks: self.tally().ticks(),
            first_ns,
            last_ns,
        }
    }

    /// Reads records until one is an event, or there are none.
    fn read(&mut self, now: Now) {
        loop {
            let offset = self.scanner.offset();
            match self.scanner.scan() {
                Scanned::Record(Record::Channel { number, name, .. }) => self.roll.call(number, name),
                Scanned::Record(Record::Message(line) | Record::State(line)) => {
                    self.reporter.tally.lines += 1;
                    let Some(name) = self.roll.name(line.channel) else {
                        continue;
                    };
                    let place = place(&mut self.begun, name, &line);
                    if let Place::BehindGap { expected } = place {
                        let lines = self.reporter.tally.lines;
                        self.reporter.gap(now, lines, name, expected, line.seq);
                    }
                    if place != Place::Nowhere && line.kind != RecordKind::Mark {
                        self.ready = Some(Ready {
                            channel: line.channel,
                            seq: line.seq,
                            ts_ns: line.ts_ns,
                            pt_ns: line.pt_ns,
                        });
                        self.text.clear();
                        self.text.push_str(line.text);
                        return;
                    }
                }
                Scanned::Header(_)
                | Scanned::Record(
                    Record::Batch(_) | Record::Key(_) | Record::Remembered(_) | Record::Complete { .. },
                ) => {}
                Scanned::More => break,
                Scanned::End => {
                    self.finished = true;
                    break;
                }
                Scanned::Flawed(flaw) => {
                    // Behind the newest segment's last record that is what a kill leaves, or what is being written.
                    if !self.segments.is_empty() {
                        let detail = format!("a segment ends at byte {offset}: {flaw}");
                        let lines = self.reporter.tally.lines;
                        self.reporter
                            .bad_line(now, lines, &BadLine::new(Fault::Shape, detail));
                    }
                    self.finished = true;
                    break;
                }
            }
        }
        self.drained = true;
    }

    /// Brings the next bytes, of this segment or of the next one.
    async fn fill(&mut self) -> Result<(), SourceError> {
        if self.finished {
            return self.turn().await;
        }
        let Some(chunks) = &mut self.chunks else {
            return Ok(());
        };
        let offset = chunks.bytes_read();
        let chunk = chunks.read().await;
        match chunk.map_err(|error| SourceError::Read { offset, error })? {
            [] => self.scanner.finish(),
            chunk => self.scanner.push(chunk),
        }
        self.drained = false;
        Ok(())
    }

    /// Turns to the next segment.
    async fn turn(&mut self) -> Result<(), SourceError> {
        let Some(&segment) = self.segments.last() else {
            self.over = true;
            self.reporter.finish();
            return Ok(());
        };
        let path = self.directory.segment(segment);
        let file = match File::open(&path).await {
            Ok(file) => Some(file),
            // A server that writes it has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(SourceError::Open { path, error }),
        };
        self.segments.pop();
        let before = std::mem::replace(&mut self.chunks, file.map(Chunks::from_start));
        self.bytes_before += before.map_or(0, |chunks| chunks.bytes_read());
        self.finished = self.chunks.is_none();
        self.scanner = Scanner::default();
        self.roll.clear();
        Ok(())
    }
}

/// What a line is to its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Known already, or nothing that it could add to.
    Nowhere,
    /// The next, or what the channel begins with.
    Next,
    /// A state that stands for more than what was there.
    BehindGap {
        /// The number that was not there.
        expected: u64,
    },
}

fn place(begun: &mut HashMap<Box<str>, u64>, name: &str, line: &Line<'_>) -> Place {
    let seq = begun.get(name).copied().unwrap_or(0);
    let stands_alone = line.kind.is_image() || line.kind == RecordKind::Mark;
    let follows = seq.checked_add(1) == Some(line.seq);
    if line.seq <= seq || !stands_alone && !follows {
        return Place::Nowhere;
    }
    let room = begun.len() < CHANNELS_MAX;
    match begun.get_mut(name) {
        Some(seq) => *seq = line.seq,
        None if room => drop(begun.insert(name.into(), line.seq)),
        None => return Place::Nowhere,
    }
    if seq == 0 || follows {
        Place::Next
    } else {
        Place::BehindGap { expected: seq + 1 }
    }
}
