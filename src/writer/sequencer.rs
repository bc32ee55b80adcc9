//! The one place that decides order: each event gets its channel's next number, is encoded once, and goes on the
//! tape.
//!
//! It never waits and never reads a clock. Two invariants make it trustworthy: an event that is refused has
//! changed nothing, and whatever the tape lets go of, each channel's state (its newest quote, its book) and its
//! number are still on it.
//!
//! [`publish`](Sequencer::publish) accepts or refuses an event; [`settle`](Sequencer::settle) brings what was
//! accepted onto the tape, and may have to be called again when a reader still pins the room for it.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::channel::Channel;
use super::source::Event;
use crate::base::Now;
use crate::dialect::native_json::{Stamp, encode};
use crate::limits;
use crate::market::{
    BookError, BookUpdateKind, ChannelClass, ChannelName, ChannelNameError, Decimal, Level, Tick,
};
use crate::tape::{ChannelId, Class, DeclareError, Entry, Full, Position, Record, RecordKind, Track, Writer};
use crate::wire::{Opcode, server_header};

/// Numbers, encodes and appends.
#[derive(Debug)]
pub struct Sequencer {
    tape: Writer,
    ids: HashMap<Box<str>, ChannelId>,
    channels: Vec<Channel>,
    /// What is accepted and not yet on the tape, oldest first.
    staged: Vec<Staged>,
    /// The frames of what is staged.
    frames: Vec<u8>,
    levels: Vec<Level>,
    /// Bytes that the images of all channels may come to.
    images: ImageBudget,
    pt_ns: u64,
}

/// One record to be appended.
#[derive(Clone, Debug)]
struct Staged {
    entry: Entry,
    frame: Range<usize>,
}

/// Room for images. The tape holds every channel's image at all times, so together they may take only a part of it.
#[derive(Clone, Copy, Debug)]
struct ImageBudget {
    bytes: usize,
    bytes_max: usize,
}

/// A reader still pins the room for what is staged. It will not for long: settle again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The number of that reader.
    pub reader: usize,
}

impl Sequencer {
    /// Continues `tape`.
    #[must_use]
    pub fn new(tape: Writer) -> Self {
        let bytes_max = tape.track_bytes(NATIVE_JSON) / IMAGES_DIVISOR;
        Self {
            tape,
            ids: HashMap::new(),
            channels: Vec::new(),
            staged: Vec::new(),
            frames: Vec::new(),
            levels: Vec::new(),
            images: ImageBudget { bytes: 0, bytes_max },
            pt_ns: 0,
        }
    }

    /// Accepts an event: the channel's next number is its own.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    ///
    /// # Panics
    /// When something is staged: [`settle`](Self::settle) comes between two events.
    pub fn publish(&mut self, event: &Event<'_>, now: Now) -> Result<(), PublishError> {
        assert!(self.staged.is_empty(), "an event is settled before the next one");
        let name = ChannelName::parse(event.channel).map_err(PublishError::Name)?;
        check_kind(name, &event.tick)?;
        self.pt_ns = self.pt_ns.max(now.wall_ns);
        let id = self.channel(name)?;
        let published = match event.tick {
            Tick::Book(_) => self.stage_book(id, event),
            Tick::Trade(_) | Tick::Quote(_) | Tick::Message(_) => self.stage_message(id, event),
        };
        if published.is_err() {
            self.staged.clear();
            self.frames.clear();
        }
        published
    }

    /// Brings what is staged onto the tape, and clears the room ahead of its head.
    ///
    /// # Errors
    /// When a reader still pins that room; call again.
    pub fn settle(&mut self) -> Result<(), Pinned> {
        self.append_staged()?;
        while self.is_short_of_room() {
            let Some((position, record)) = self.tape.oldest() else {
                break;
            };
            self.keep(position, &record);
            self.append_staged()?;
            self.tape.retire_oldest();
        }
        Ok(())
    }

    /// Rings for each reader that sleeps. Due before resting.
    pub fn wake_readers(&mut self, bell: impl FnMut(usize)) {
        self.tape.wake_parked(bell);
    }

    /// The tape.
    #[must_use]
    pub fn tape(&self) -> &Writer {
        &self.tape
    }

    /// Checks that every channel's number and state are on the tape. For tests: it walks everything.
    ///
    /// # Panics
    /// When one is not.
    pub fn invariants(&self) {
        let tail = self.tape.tail();
        for channel in self.channels.iter().filter(|channel| channel.seq > 0) {
            let name = channel.name();
            assert!(channel.newest >= tail, "the tape holds a record of {name}");
            let stateful = channel.class != ChannelClass::Append;
            assert!(
                !stateful || channel.image >= tail,
                "the tape holds an image of {name}"
            );
        }
    }

    fn channel(&mut self, name: ChannelName<'_>) -> Result<ChannelId, PublishError> {
        if let Some(&id) = self.ids.get(name.as_str()) {
            return Ok(id);
        }
        let channels_max = self.tape.records() / IMAGES_DIVISOR;
        if self.channels.len() >= channels_max {
            return Err(PublishError::Channels { channels_max });
        }
        let class = ChannelClass::default_for_kind(name.kind());
        let id = self
            .tape
            .declare(name.as_str(), tape_class(class))
            .map_err(PublishError::Declare)?;
        self.ids.insert(name.as_str().into(), id);
        self.channels.push(Channel::new(name, class));
        Ok(id)
    }

    /// A trade, a quote or any other message stands for itself.
    fn stage_message(&mut self, id: ChannelId, event: &Event<'_>) -> Result<(), PublishError> {
        let channel = &self.channels[id.index()];
        let kind = match channel.class {
            ChannelClass::Replace => RecordKind::State,
            ChannelClass::Append | ChannelClass::Book => RecordKind::Live,
        };
        let entry = self.entry(id, kind, channel.seq + 1, event.ts_ns);
        let bytes = self.stage(entry, &event.tick)?;
        let channel = &mut self.channels[id.index()];
        if kind == RecordKind::State {
            self.images.replace(&mut channel.image_bytes, bytes)?;
        }
        channel.seq += 1;
        Ok(())
    }

    /// A book's delta changes the writer's own copy of the book, from which the images come. The first message of
    /// a book is always a snapshot, so that every delta has one before it.
    fn stage_book(&mut self, id: ChannelId, event: &Event<'_>) -> Result<(), PublishError> {
        let Tick::Book(update) = event.tick else {
            return Ok(());
        };
        let channel = &mut self.channels[id.index()];
        let (bids, asks) = channel.book.level_counts();
        let levels = update.bids.len() + update.asks.len() + bids + asks;
        if !self.images.allows(channel.image_bytes, levels * LEVEL_BYTES_MAX) {
            return Err(PublishError::ImagesFull);
        }
        let (seq, first) = (channel.seq + 1, channel.seq == 0);
        let entry = self.entry(id, RecordKind::Live, seq, event.ts_ns);
        let snapshot = first || update.kind == BookUpdateKind::Snapshot;
        if snapshot {
            self.channels[id.index()]
                .book
                .apply(&update)
                .map_err(PublishError::Book)?;
            self.channels[id.index()].seq = seq;
            return self.stage_image(
                id,
                Entry {
                    kind: RecordKind::State,
                    ..entry
                },
            );
        }
        let bytes = self.stage(entry, &event.tick)?;
        let channel = &mut self.channels[id.index()];
        channel.book.apply(&update).map_err(PublishError::Book)?;
        channel.seq = seq;
        channel.ts_ns = event.ts_ns;
        if channel.is_image_due(bytes) {
            self.stage_image(
                id,
                Entry {
                    kind: RecordKind::Image,
                    ..entry
                },
            )?;
        }
        Ok(())
    }

    /// Stages the whole book of a channel.
    fn stage_image(&mut self, id: ChannelId, entry: Entry) -> Result<(), PublishError> {
        let mut levels = std::mem::take(&mut self.levels);
        let snapshot = Tick::Book(self.channels[id.index()].book.snapshot(&mut levels));
        let staged = self.stage(entry, &snapshot);
        self.levels = levels;
        let channel = &mut self.channels[id.index()];
        self.images.bytes -= channel.image_bytes;
        channel.begin_image(staged?, entry.ts_ns);
        self.images.bytes += channel.image_bytes;
        Ok(())
    }

    /// Encodes one record; says how long its frame is.
    fn stage(&mut self, entry: Entry, tick: &Tick<'_>) -> Result<usize, PublishError> {
        let start = self.frames.len();
        self.frames.resize(start + HEADER_BYTES_MAX, 0);
        let channel = self.channels[entry.channel.index()].name();
        let stamp = Stamp {
            channel,
            seq: entry.seq,
            ts_ns: entry.ts_ns,
            pt_ns: entry.pt_ns,
        };
        encode(&mut self.frames, &stamp, tick);
        let payload = start + HEADER_BYTES_MAX;
        let header = server_header(Opcode::Text, self.frames.len() - payload);
        let header = header.as_slice();
        let first = payload - header.len();
        self.frames[first..payload].copy_from_slice(header);
        let bytes = self.frames.len() - first;
        if bytes > limits::FRAME_BYTES_MAX {
            return Err(PublishError::TooLong { bytes });
        }
        self.staged.push(Staged {
            entry,
            frame: first..self.frames.len(),
        });
        Ok(bytes)
    }

    fn append_staged(&mut self) -> Result<(), Pinned> {
        let mut appended = 0;
        let result = self.staged.iter().try_for_each(|staged| {
            match self
                .tape
                .append(staged.entry, &[&self.frames[staged.frame.clone()]])
            {
                Ok(position) => {
                    self.channels[staged.entry.channel.index()].appended(staged.entry.kind, position);
                    appended += 1;
                    Ok(())
                }
                Err(Full::Pinned { reader }) => Err(Pinned { reader }),
                Err(Full::Unretired) => {
                    unreachable!("the room ahead of the head holds an event and its image")
                }
            }
        });
        self.staged.drain(..appended);
        if self.staged.is_empty() {
            self.frames.clear();
        }
        result
    }

    /// The record at `position` is about to be let go: whatever of its channel would be lost with it is staged to
    /// be written again.
    fn keep(&mut self, position: Position, record: &Record) {
        let channel = &self.channels[record.channel.index()];
        let kept = Entry {
            channel: record.channel,
            kind: RecordKind::Image,
            seq: record.seq,
            ts_ns: record.ts_ns,
            pt_ns: record.pt_ns,
        };
        match channel.class {
            ChannelClass::Append if channel.newest == position => {
                self.staged.push(Staged {
                    entry: Entry {
                        kind: RecordKind::Mark,
                        ..kept
                    },
                    frame: 0..0,
                });
            }
            ChannelClass::Replace if channel.newest == position => {
                let start = self.frames.len();
                self.frames
                    .extend_from_slice(self.tape.frame(NATIVE_JSON, position));
                self.staged.push(Staged {
                    entry: kept,
                    frame: start..self.frames.len(),
                });
            }
            ChannelClass::Book if channel.image == position => {
                let image = Entry {
                    seq: channel.seq,
                    ts_ns: channel.ts_ns,
                    pt_ns: self.pt_ns,
                    ..kept
                };
                let staged = self.stage_image(record.channel, image);
                debug_assert!(staged.is_ok(), "a book that was accepted fits into a frame");
            }
            ChannelClass::Append | ChannelClass::Replace | ChannelClass::Book => {}
        }
    }

    fn is_short_of_room(&self) -> bool {
        let records = self.tape.records();
        self.tape.free_records() < (records / MARGIN_DIVISOR).max(4)
            || self.tape.free_bytes(NATIVE_JSON) < self.tape.track_bytes(NATIVE_JSON) / MARGIN_DIVISOR
    }

    fn entry(&self, channel: ChannelId, kind: RecordKind, seq: u64, ts_ns: u64) -> Entry {
        Entry {
            channel,
            kind,
            seq,
            ts_ns,
            pt_ns: self.pt_ns,
        }
    }
}

impl ImageBudget {
    fn allows(&self, old_bytes: usize, new_bytes: usize) -> bool {
        self.bytes - old_bytes + new_bytes <= self.bytes_max
    }

    /// A channel's image is now so long.
    fn replace(&mut self, image_bytes: &mut usize, bytes: usize) -> Result<(), PublishError> {
        if bytes > *image_bytes && !self.allows(*image_bytes, bytes) {
            return Err(PublishError::ImagesFull);
        }
        self.bytes = self.bytes - *image_bytes + bytes;
        *image_bytes = bytes;
        Ok(())
    }
}

/// Why an event is refused.
#[derive(Clone, Debug, PartialEq)]
pub enum PublishError {
    /// Its channel has no proper name.
    Name(ChannelNameError),
    /// Its channel is of a kind that holds other things.
    Kind {
        /// What the kind holds.
        expected: &'static str,
    },
    /// A number is too fine or too coarse: its text would be longer than
    /// [`DECIMAL_TEXT_BYTES_MAX`](limits::DECIMAL_TEXT_BYTES_MAX).
    Precision,
    /// Its channel would be one too many for the server.
    Declare(DeclareError),
    /// Its channel would be one too many for a tape of this size.
    Channels {
        /// How many there may be.
        channels_max: usize,
    },
    /// It does not fit the book.
    Book(BookError),
    /// Its frame would be longer than [`FRAME_BYTES_MAX`](limits::FRAME_BYTES_MAX).
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// The states of all channels together take as much of the tape as they may.
    ImagesFull,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::Kind { expected } => write!(f, "a channel of this kind holds {expected}"),
            Self::Precision => {
                let places = limits::DECIMAL_EXPONENT_MAX;
                write!(
                    f,
                    "a number has more than {places} digits before or behind its point"
                )
            }
            Self::Declare(error) => error.fmt(f),
            Self::Channels { channels_max } => {
                write!(
                    f,
                    "the tape's index has room for {channels_max} channels; give it more records"
                )
            }
            Self::Book(error) => error.fmt(f),
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "the message would take {bytes} bytes of {}",
                    limits::FRAME_BYTES_MAX
                )
            }
            Self::ImagesFull => write!(
                f,
                "the channels' states fill their part of the tape; give it a larger one"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

/// The kinds with a meaning of their own hold what they say, and nothing else holds that.
fn check_kind(name: ChannelName<'_>, tick: &Tick<'_>) -> Result<(), PublishError> {
    let (expected, fits) = match name.kind() {
        "trade" => ("trades", matches!(tick, Tick::Trade(_))),
        "bbo" => ("quotes", matches!(tick, Tick::Quote(_))),
        "book" => ("books", matches!(tick, Tick::Book(_))),
        _ => ("messages", matches!(tick, Tick::Message(_))),
    };
    if !fits {
        return Err(PublishError::Kind { expected });
    }
    let printable = |number: Decimal| number.exponent().unsigned_abs() <= limits::DECIMAL_EXPONENT_MAX;
    let level = |level: &Level| printable(level.price) && printable(level.size);
    let printable = match tick {
        Tick::Trade(trade) => printable(trade.price) && printable(trade.size),
        Tick::Quote(quote) => [quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size]
            .into_iter()
            .all(printable),
        Tick::Book(update) => update.bids.iter().chain(update.asks).all(level),
        Tick::Message(_) => true,
    };
    if printable {
        Ok(())
    } else {
        Err(PublishError::Precision)
    }
}

fn tape_class(class: ChannelClass) -> Class {
    match class {
        ChannelClass::Append => Class::Append,
        ChannelClass::Replace => Class::Replace,
        ChannelClass::Book => Class::Book,
    }
}

/// The track of the native JSON language.
pub const NATIVE_JSON: Track = Track::new(0);

/// The longest header of a frame that we send: no mask (RFC 6455 §5.2).
const HEADER_BYTES_MAX: usize = 10;
/// Images take at most one part in so many of the tape, in bytes and in records, or keeping them would leave no room
/// for anything else.
const IMAGES_DIVISOR: usize = 4;
/// `["price","size"],`
const LEVEL_BYTES_MAX: usize = 2 * limits::DECIMAL_TEXT_BYTES_MAX + 8;
const MARGIN_DIVISOR: usize = limits::TAPE_MARGIN_DIVISOR;

const _: () = assert!(
    2 * limits::BOOK_LEVELS_MAX * LEVEL_BYTES_MAX + 1024 <= limits::FRAME_BYTES_MAX,
    "a full book fits into one frame"
);
const _: () = assert!(
    limits::TRACK_BYTES_MIN / MARGIN_DIVISOR >= 2 * limits::FRAME_BYTES_MAX,
    "the room ahead of the head holds the longest event and an image"
);
