//! Lines that others publish: NDJSON on TCP and Unix sockets, from several publishers at once.
//!
//! It never numbers anything: lines are taken from here by the feed, one after the other, a line of each publisher in its
//! turn. Nothing is read from a publisher while lines of its are here, so that whoever publishes faster than the tape's
//! readers take it in is held up by its own socket. Invariant: a line that cannot be published costs itself, and whatever
//! the publisher does, it costs no more than [`memory_bytes`].
//!
//! - [`spec`]: what the command line says;
//! - `socket`: listeners and connections;
//! - `publisher`: one connection.

mod publisher;
mod socket;
pub mod spec;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::source::Tally;
use super::source::tally::{BadLine, Fault, Reporter};
use crate::base::Now;
use crate::dialect::Code;
use crate::dialect::errand::Outcome;
use crate::dialect::native_json::Label;
use crate::dialect::native_json::reply::{write_line_error, write_published};
use crate::limits;
use crate::writer::source::lines::Line;
use publisher::{Publisher, Turn};
use socket::{Listener, SocketFile, Stream};

pub use socket::IngestError;
pub use spec::IngestSpec;

/// Every publisher that is connected, and those that may.
pub struct Ingest {
    room: Rc<Room>,
    /// What came of lines and was not told yet.
    done: Vec<Done>,
    reporter: Reporter,
    accepting: Vec<JoinHandle<()>>,
    _files: Vec<SocketFile>,
}

/// What the feed and the tasks of all publishers share.
struct Room {
    /// Those that have lines.
    queue: RefCell<VecDeque<Rc<Publisher>>>,
    /// Told when somebody stands there.
    bell: Arc<Notify>,
    open: Cell<usize>,
    opened: Cell<u64>,
}

/// What came of a line.
struct Done {
    publisher: Rc<Publisher>,
    line: u64,
    label: OwnLabel,
    outcome: Outcome,
    journaled: Option<u64>,
}

/// What a line calls itself, kept until it is answered.
#[derive(Debug, Default)]
struct OwnLabel {
    id: Option<u64>,
    channel: Box<str>,
}

/// A line that was taken.
pub struct TakenLine {
    publisher: Rc<Publisher>,
    number: u64,
    label: OwnLabel,
}

impl Ingest {
    /// Listens where it was said, and rings `bell` when there are lines. Must be called on the runtime.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub fn open(specs: &[IngestSpec], bell: Arc<Notify>) -> Result<Self, IngestError> {
        let room = Rc::new(Room::new(bell));
        let (mut accepting, mut files) = (Vec::new(), Vec::new());
        for spec in specs {
            let listener = Listener::bind(spec)?;
            if let IngestSpec::Unix(path) = spec {
                files.push(SocketFile(path.clone()));
            }
            tracing::info!("lines come in on {}", listener.address(spec));
            accepting.push(tokio_uring::spawn(accept(listener, Rc::clone(&room))));
        }
        Ok(Self {
            room,
            done: Vec::new(),
            reporter: Reporter::default(),
            accepting,
            _files: files,
        })
    }

    /// Takes the next line that there is, of each publisher in its turn, and has `publish` publish its text. Lines that are
    /// none are dealt with on the way, some of them at once.
    pub fn take<T>(
        &mut self,
        now: Now,
        mut publish: impl FnMut(&str, &Label<'_>) -> T,
    ) -> Option<(TakenLine, T)> {
        for _ in 0..limits::INGEST_LINES_PER_BATCH {
            let publisher = self.room.next()?;
            if publisher.is_long() {
                publisher.stall();
                continue;
            }
            let reporter = &mut self.reporter;
            let turn = publisher.turn(|number, line| {
                reporter.tally.lines += 1;
                read(line).map_or_else(
                    |bad| Err((number, bad)),
                    |(text, label)| Ok((number, OwnLabel::of(&label), publish(text, &label))),
                )
            });
            match turn {
                Turn::Taken(Ok((number, label, published))) => {
                    self.room.queue(&publisher);
                    publisher.expect();
                    let taken = TakenLine {
                        publisher,
                        number,
                        label,
                    };
                    return Some((taken, published));
                }
                Turn::Taken(Err((number, bad))) => {
                    self.room.queue(&publisher);
                    self.refuse(publisher, number, &bad, now);
                }
                Turn::Torn { number } => {
                    self.reporter.tally.lines += 1;
                    self.room.queue(&publisher);
                    let bad = BadLine::new(Fault::Torn, "the stream has ended within it");
                    self.refuse(publisher, number, &bad, now);
                }
                Turn::Drained => publisher.read_on(),
            }
        }
        None
    }

    /// Whether anybody has lines.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        !self.room.queue.borrow().is_empty()
    }

    /// Notes what came of a line, and which number its message has in the journal.
    pub fn note(&mut self, taken: TakenLine, outcome: Outcome, journaled: Option<u64>, now: Now) {
        let TakenLine {
            publisher,
            number,
            label,
        } = taken;
        if let Outcome::Refused { message, .. } = &outcome {
            let bad = BadLine::new(Fault::Refused, message.as_str());
            self.reporter.bad_line(now, number, &bad);
        }
        self.done.push(Done {
            publisher,
            line: number,
            label,
            outcome,
            journaled,
        });
    }

    /// Whether anything came of lines that was not told yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.done.is_empty()
    }

    /// Tells what came of lines, as [`Counter::tell`](super::Counter::tell) does of errands.
    pub fn tell(&mut self, judge: impl Fn(Option<u64>) -> Option<Outcome>) {
        for done in self.done.drain(..) {
            let Done {
                publisher,
                line,
                label: OwnLabel { id, channel },
                outcome,
                journaled,
            } = done;
            publisher.reply(|out| match outcome.judged(journaled, &judge) {
                // Who gives no number wants no answer.
                Outcome::Published { .. } if id.is_none() => {}
                // Nobody asks for that here.
                Outcome::Opened | Outcome::Derived { .. } | Outcome::Dismissed => {}
                Outcome::Published { seq } => {
                    write_published(out, id, &channel, seq);
                    out.push(b'\n');
                }
                Outcome::Refused { code, message } => {
                    write_line_error(out, id, line, code, &message);
                    out.push(b'\n');
                }
            });
        }
    }

    /// What was published, and what could not be.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.reporter.tally
    }

    /// A line that says nothing is answered in its turn.
    fn refuse(&mut self, publisher: Rc<Publisher>, line: u64, bad: &BadLine, now: Now) {
        tracing::debug!(publisher = publisher.number, line, "a bad line");
        self.reporter.bad_line(now, line, bad);
        publisher.expect();
        self.done.push(Done {
            publisher,
            line,
            label: OwnLabel::default(),
            outcome: Outcome::Refused {
                code: Code::BadRequest,
                message: bad.to_string(),
            },
            journaled: None,
        });
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        for task in &self.accepting {
            task.abort();
        }
    }
}

impl fmt::Debug for TakenLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakenLine")
            .field("publisher", &self.publisher.number)
            .field("number", &self.number)
            .field("label", &self.label)
            .finish()
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("open", &self.room.open.get())
            .field("tally", self.tally())
            .finish_non_exhaustive()
    }
}

impl Room {
    fn new(bell: Arc<Notify>) -> Self {
        Self {
            queue: RefCell::default(),
            bell,
            open: Cell::new(0),
            opened: Cell::new(0),
        }
    }

    /// The publisher has lines, or may have.
    fn queue(&self, publisher: &Rc<Publisher>) {
        if publisher.enter_queue() {
            self.queue.borrow_mut().push_back(Rc::clone(publisher));
            self.bell.notify_one();
        }
    }

    fn next(&self) -> Option<Rc<Publisher>> {
        let publisher = self.queue.borrow_mut().pop_front()?;
        publisher.leave_queue();
        Some(publisher)
    }
}

impl OwnLabel {
    fn of(label: &Label<'_>) -> Self {
        Self {
            id: label.id,
            channel: label.channel.as_deref().unwrap_or_default().into(),
        }
    }
}

/// What all of it may come to.
#[must_use]
pub const fn memory_bytes() -> usize {
    // A line that is not whole yet and what was read last stand in a vector that has doubled.
    let lines = 2 * (limits::SOURCE_LINE_BYTES_MAX + limits::SOURCE_READ_BYTES);
    let replies = 2 * (limits::INGEST_REPLY_BYTES_PAUSE + 64 * 1024);
    limits::INGEST_CONNECTIONS_MAX * (lines + limits::SOURCE_READ_BYTES + replies)
}

/// Lets publishers in, for ever.
async fn accept(listener: Listener, room: Rc<Room>) {
    loop {
        match listener.accept().await {
            Ok(stream) if room.open.get() < limits::INGEST_CONNECTIONS_MAX => {
                // Counted here: a task that was made has not begun yet.
                room.open.set(room.open.get() + 1);
                tokio_uring::spawn(serve(stream, Rc::clone(&room)));
            }
            Ok(stream) => turn_away(stream).await,
            Err(error) => {
                tracing::warn!(%error, "publishers wait to be let in");
                tokio::time::sleep(Duration::from_millis(limits::ACCEPT_PAUSE_MS)).await;
            }
        }
    }
}

/// One publisher, from its first line to its last reply.
async fn serve(stream: Stream, room: Rc<Room>) {
    let number = room.opened.get() + 1;
    room.opened.set(number);
    tracing::info!(publisher = number, "a publisher has connected");
    let publisher = Rc::new(Publisher::new(number, stream));
    let talking = tokio_uring::spawn(Rc::clone(&publisher).talk(Rc::clone(&room)));
    publisher.listen(Rc::clone(&room)).await;
    // What ends early are tasks of a server that ends.
    let _ = talking.await;
    room.open.set(room.open.get() - 1);
    tracing::info!(publisher = number, "a publisher has gone");
}

/// There are too many publishers. This one's socket has room for the reason.
async fn turn_away(stream: Stream) {
    let mut reason = Vec::new();
    let most = limits::INGEST_CONNECTIONS_MAX;
    let message = format!("{most} publishers are connected already");
    write_line_error(&mut reason, None, 0, Code::ConnectionLimit, &message);
    reason.push(b'\n');
    let _ = stream.write_all(reason).await;
}

/// The text of a line, and what it calls itself.
fn read<'a>(line: Line<'a>) -> Result<(&'a str, Label<'a>), BadLine> {
    let Line::Text(bytes) = line else {
        return Err(BadLine::too_long());
    };
    let text = simdutf8::basic::from_utf8(bytes).map_err(|_| {
        let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        BadLine::new(Fault::NotUtf8, format!("not UTF-8 at byte {at}"))
    })?;
    let label = Label::read(text).map_err(|error| {
        let fault = if error.code == Code::BadJson {
            Fault::Json
        } else {
            Fault::Shape
        };
        BadLine::new(fault, error.message)
    })?;
    Ok((text, label))
}
