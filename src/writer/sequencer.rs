//! The one place that decides order: each event gets its channel's next number, is encoded once, and goes on the
//! tape.
//!
//! It never waits and never reads a clock. Two invariants make it trustworthy: an event that is refused has
//! changed nothing, and whatever the tape lets go of, each channel's state (its newest quote, its book) and its
//! number are still on it.
//!
//! [`publish`](Sequencer::publish) accepts or refuses an event; [`settle`](Sequencer::settle) brings what was
//! accepted onto the tape, and may have to be called again when a reader still pins the room for it.

mod derived;
mod refusal;

use std::collections::{HashMap, HashSet};

use super::channel::Channel;
use super::derived::Schedule;
use super::formats::{Formats, NATIVE_JSON, TRACKS};
use super::images::{Bytes, DERIVED, Image, Images, PUBLISHED};
use super::press::{self, Frames, Press};
use super::source::Event;
use crate::base::Now;
use crate::dialect::Stamp;
use crate::limits;
use crate::market::{
    Book, BookUpdate, BookUpdateKind, Changes, ChannelClass, ChannelName, ChannelRules, Level, Tick, Touched,
};
use crate::tape::{ChannelId, Class, Entry, Full, Position, Record, RecordKind, Track, Writer};

pub use derived::{DeriveError, Late};
pub use refusal::PublishError;

/// Numbers, encodes and appends.
#[derive(Debug)]
pub struct Sequencer {
    tape: Writer,
    ids: HashMap<Box<str>, ChannelId>,
    kinds: HashSet<Box<str>>,
    channels: Vec<Channel>,
    /// What decides of which class a channel is when it is opened.
    rules: ChannelRules,
    /// What is accepted and not yet on the tape, oldest first.
    staged: Vec<Staged>,
    /// What holds the frames of that.
    press: Press,
    levels: Vec<Level>,
    /// Those of published channels, and those of derived ones.
    images: [Images; 2],
    /// How many derived channels there are.
    derived: usize,
    schedule: Schedule,
    /// What the event that was accepted last may have changed of its book, where somebody is to be told.
    touched: Touched,
    changes: Changes,
    keys: Keys,
    pt_ns: u64,
}

/// One record to be appended.
#[derive(Clone, Debug)]
struct Staged {
    entry: Entry,
    frames: Frames,
}

/// Why there is no room yet for what is staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// This reader still pins it. It will not for long: settle again.
    Pinned {
        /// The number of that reader.
        reader: usize,
    },
    /// What was retired for it has not been shown: [`show`](Sequencer::show), and settle again.
    Held,
}

impl Sequencer {
    /// Begins `tape`, which holds JSON alone.
    ///
    /// # Panics
    /// As [`writing`](Self::writing).
    #[must_use]
    pub fn new(tape: Writer) -> Self {
        Self::writing(tape, Formats::default())
    }

    /// Begins `tape`, which holds every message in these forms.
    ///
    /// # Panics
    /// When the tape has less than [`TAPE_RECORDS_MIN`](limits::TAPE_RECORDS_MIN) records, or a track less than
    /// [`TRACK_BYTES_MIN`](limits::TRACK_BYTES_MIN) bytes: room could not be counted on, see [`settle`](Self::settle).
    /// Also when that of compressed JSON is shorter than that of JSON.
    #[must_use]
    pub fn writing(tape: Writer, formats: Formats) -> Self {
        let binary_track = formats.binary_track();
        let track_bytes = |track| tape.track_bytes(track);
        assert!(
            tape.records() >= limits::TAPE_RECORDS_MIN
                && track_bytes(NATIVE_JSON) >= limits::TRACK_BYTES_MIN
                && binary_track.is_none_or(|track| track_bytes(track) >= limits::TRACK_BYTES_MIN),
            "the tape holds what the sequencer must keep"
        );
        assert!(
            formats
                .deflated_track()
                .is_none_or(|track| track_bytes(track) >= track_bytes(NATIVE_JSON)),
            "whatever fits on the track of JSON fits on the one that is compressed"
        );
        let images = |part: fn(usize) -> usize| {
            Images::new(Bytes {
                json: part(track_bytes(NATIVE_JSON)),
                binary: binary_track.map_or(0, |track| part(track_bytes(track))),
            })
        };
        let images = [images(published_part), images(derived_part)];
        Self {
            tape,
            ids: HashMap::new(),
            kinds: HashSet::new(),
            channels: Vec::new(),
            rules: ChannelRules::default(),
            staged: Vec::new(),
            press: Press::new(formats),
            levels: Vec::new(),
            images,
            derived: 0,
            schedule: Schedule::default(),
            touched: Touched::default(),
            changes: Changes::default(),
            keys: Keys::default(),
            pt_ns: 0,
        }
    }

    /// The same for channels of which this is said.
    #[must_use]
    pub fn ruled_by(self, rules: ChannelRules) -> Self {
        Self { rules, ..self }
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
        self.keys.forget_newest();
        let name = ChannelName::parse(event.channel).map_err(PublishError::Name)?;
        refusal::check(name, &event.tick)?;
        let known = self.ids.get(name.as_str()).copied();
        if !known.is_some_and(|id| self.channels[id.index()].is_published()) && self.is_derived(name) {
            return Err(PublishError::Derived);
        }
        self.pt_ns = self.pt_ns.max(now.wall_ns);
        let id = known.map_or_else(|| self.open(name), Ok)?;
        let mut published = match event.tick {
            Tick::Book(update) => self.stage_book(id, event.ts_ns, &update),
            Tick::Trade(_) | Tick::Quote(_) | Tick::Message(_) => self.stage_message(id, event),
        };
        if known.is_none() {
            published = published.and_then(|()| self.declare(name));
        }
        match published {
            Ok(()) => self.tell_followers(id, &event.tick, now),
            Err(_) => {
                self.unstage();
                if known.is_none() {
                    self.abandon_opened();
                }
            }
        }
        published
    }

    /// Forgets what is staged: it was refused.
    fn unstage(&mut self) {
        self.staged.clear();
        self.press.clear();
    }

    /// Has a channel of this name, with its first message still to come.
    ///
    /// # Errors
    /// When it is no name, or there are as many channels as there may be.
    ///
    /// # Panics
    /// When something is staged.
    pub fn open_channel(&mut self, name: &str) -> Result<(), PublishError> {
        assert!(self.staged.is_empty(), "an event is settled before the next one");
        let name = ChannelName::parse(name).map_err(PublishError::Name)?;
        if self.ids.contains_key(name.as_str()) {
            return Ok(());
        }
        if self.is_derived(name) {
            return Err(PublishError::Derived);
        }
        self.open(name)?;
        let declared = self.declare(name);
        if declared.is_err() {
            self.abandon_opened();
        }
        declared
    }

    /// Brings what is staged onto the tape, and clears the room ahead of its head.
    ///
    /// # Errors
    /// When that room is not to be had yet, and what to do before calling again.
    pub fn settle(&mut self) -> Result<(), Unsettled> {
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
            let stateful = channel.class != ChannelClass::Append && !channel.is_dormant();
            assert!(
                !stateful || channel.image >= tail,
                "the tape holds an image of {name}"
            );
        }
        for account in [PUBLISHED, DERIVED] {
            let counted = self
                .channels
                .iter()
                .filter(|channel| channel.account() == account);
            self.images[account].invariants(counted.map(|channel| channel.image_bytes));
        }
        self.derived_invariants();
    }

    /// Opens a channel for its first message. It is declared when that is accepted.
    fn open(&mut self, name: ChannelName<'_>) -> Result<ChannelId, PublishError> {
        let channels_max = (self.tape.records() / IMAGES_DIVISOR).min(limits::CHANNELS_MAX);
        if self.channels.len() - self.derived >= channels_max {
            return Err(PublishError::Channels { channels_max });
        }
        if self.kinds.len() >= limits::KINDS_MAX && !self.kinds.contains(name.kind()) {
            return Err(PublishError::Kinds);
        }
        let number =
            u32::try_from(self.channels.len()).map_err(|_| PublishError::Channels { channels_max })?;
        self.channels.push(Channel::new(name, self.rules.class(name)));
        Ok(ChannelId::new(number))
    }

    /// Tells the readers of the channel that was opened last.
    fn declare(&mut self, name: ChannelName<'_>) -> Result<(), PublishError> {
        let opened = &self.channels[self.channels.len() - 1];
        let (class, terms) = (tape_class(opened.class), self.rules.of(name).terms);
        let id = if opened.is_published() {
            self.tape.declare_on(name.as_str(), class, terms)
        } else {
            self.tape.declare_unlisted(name.as_str(), class, terms)
        };
        let id = id.map_err(PublishError::Declare)?;
        debug_assert_eq!(
            id.index() + 1,
            self.channels.len(),
            "channels are numbered in order"
        );
        self.ids.insert(name.as_str().into(), id);
        // A derived channel is of its base's kind.
        if !self.kinds.contains(name.kind()) {
            self.kinds.insert(name.kind().into());
        }
        Ok(())
    }

    /// Forgets the channel that was opened last: its first message was refused.
    fn abandon_opened(&mut self) {
        if let Some(mut channel) = self.channels.pop() {
            self.images[channel.account()].replace(&mut channel.image_bytes, Image::default());
            self.derived -= usize::from(!channel.is_published());
        }
    }

    /// A trade, a quote or any other message stands for itself.
    fn stage_message(&mut self, id: ChannelId, event: &Event<'_>) -> Result<(), PublishError> {
        let channel = &self.channels[id.index()];
        let kind = match channel.class {
            ChannelClass::Replace => RecordKind::State,
            ChannelClass::Append | ChannelClass::Book => RecordKind::Live,
        };
        let entry = self.entry(id, kind, channel.seq + 1, event.ts_ns);
        self.stage_alone(entry, &event.tick)
    }

    fn stage_alone(&mut self, entry: Entry, tick: &Tick<'_>) -> Result<(), PublishError> {
        let bytes = self.stage(entry, tick)?;
        let channel = &mut self.channels[entry.channel.index()];
        if entry.kind.is_image() {
            let image = Image::of_message(bytes);
            let images = &mut self.images[channel.account()];
            images.check(channel.image_bytes, image)?;
            images.replace(&mut channel.image_bytes, image);
        }
        channel.seq = entry.seq;
        Ok(())
    }

    /// A book's delta changes the writer's own copy of the book, from which the images come. The first message of
    /// a book is always a snapshot, so that every delta has one before it.
    fn stage_book(&mut self, id: ChannelId, ts_ns: u64, update: &BookUpdate<'_>) -> Result<(), PublishError> {
        let seq = self.channels[id.index()].seq + 1;
        if seq == 1 || update.kind == BookUpdateKind::Snapshot {
            let entry = self.entry(id, RecordKind::State, seq, ts_ns);
            self.stage_snapshot(entry, update)
        } else {
            let entry = self.entry(id, RecordKind::Live, seq, ts_ns);
            self.stage_delta(entry, update)
        }
    }

    fn stage_snapshot(&mut self, entry: Entry, update: &BookUpdate<'_>) -> Result<(), PublishError> {
        let mut book = Book::new();
        book.apply(update).map_err(PublishError::Book)?;
        let image = self.stage_image(entry, &book)?;
        let channel = &mut self.channels[entry.channel.index()];
        let images = &mut self.images[channel.account()];
        images.check(channel.image_bytes, image)?;
        images.replace(&mut channel.image_bytes, image);
        channel.book = book;
        channel.seq = entry.seq;
        channel.begin_image(entry.ts_ns);
        Ok(())
    }

    fn stage_delta(&mut self, entry: Entry, update: &BookUpdate<'_>) -> Result<(), PublishError> {
        let bytes = self.stage(entry, &Tick::Book(*update))?;
        let channel = &mut self.channels[entry.channel.index()];
        let (bids, asks) = channel.book.level_counts();
        let levels = update.bids.len() + update.asks.len() + bids + asks;
        let image = channel.image_bytes.with_delta(bytes, levels);
        let images = &mut self.images[channel.account()];
        images.check(channel.image_bytes, image)?;
        channel.book.apply(update).map_err(PublishError::Book)?;
        images.replace(&mut channel.image_bytes, image);
        channel.seq = entry.seq;
        channel.ts_ns = entry.ts_ns;
        if channel.is_image_due(bytes) {
            self.renew_image(Entry {
                kind: RecordKind::Image,
                ..entry
            });
        }
        Ok(())
    }

    /// Stages the whole book of a channel as it is.
    fn renew_image(&mut self, entry: Entry) {
        let book = std::mem::take(&mut self.channels[entry.channel.index()].book);
        let image = self.stage_image(entry, &book);
        let image = image.expect("a book fits into a frame, as an assertion in images.rs says");
        let channel = &mut self.channels[entry.channel.index()];
        channel.book = book;
        self.images[channel.account()].replace(&mut channel.image_bytes, image);
        channel.begin_image(entry.ts_ns);
    }

    fn stage_image(&mut self, entry: Entry, book: &Book) -> Result<Image, PublishError> {
        let mut levels = std::mem::take(&mut self.levels);
        let staged = self.stage(entry, &Tick::Book(book.snapshot(&mut levels)));
        self.levels = levels;
        staged.map(|bytes| Image::of_book(bytes, &entry))
    }

    /// Encodes one record; says how long its frames are.
    fn stage(&mut self, entry: Entry, tick: &Tick<'_>) -> Result<Bytes, PublishError> {
        let channel = self.channels[entry.channel.index()].name();
        let stamp = Stamp {
            channel,
            seq: entry.seq,
            ts_ns: entry.ts_ns,
            pt_ns: entry.pt_ns,
        };
        let (frames, bytes) = self.press.print(&stamp, tick)?;
        self.staged.push(Staged { entry, frames });
        Ok(bytes)
    }

    fn stage_mark(&mut self, entry: Entry) {
        self.staged.push(Staged {
            entry,
            frames: press::NOTHING,
        });
    }

    fn append_staged(&mut self) -> Result<(), Unsettled> {
        let mut appended = 0;
        let result = self.staged.iter().try_for_each(|staged| {
            let mut frames = [EMPTY; TRACKS];
            let frames = self.press.read(&staged.frames, &mut frames);
            match self.tape.append(staged.entry, frames) {
                Ok(position) => {
                    self.channels[staged.entry.channel.index()].appended(staged.entry.kind, position);
                    appended += 1;
                    Ok(())
                }
                Err(Full::Pinned { reader }) => Err(Unsettled::Pinned { reader }),
                Err(Full::Held) => Err(Unsettled::Held),
                Err(Full::Unretired) => {
                    unreachable!("the room ahead of the head holds an event and its image")
                }
            }
        });
        self.staged.drain(..appended);
        if self.staged.is_empty() {
            self.press.clear();
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
            class if class == ChannelClass::Append || channel.is_dormant() => {
                if channel.newest == position {
                    let kind = RecordKind::Mark;
                    self.stage_mark(Entry { kind, ..kept });
                }
            }
            ChannelClass::Replace if channel.newest == position => {
                let frames = self.press.reprint(&self.tape, position);
                self.staged.push(Staged { entry: kept, frames });
            }
            ChannelClass::Book if channel.image == position => {
                let image = Entry {
                    seq: channel.seq,
                    ts_ns: channel.ts_ns,
                    pt_ns: self.pt_ns,
                    ..kept
                };
                self.renew_image(image);
            }
            ChannelClass::Append | ChannelClass::Replace | ChannelClass::Book => {}
        }
    }

    /// Whether the room ahead of the head might not do for the next event and all that clearing room again may
    /// have to keep. Keeping a record takes its room before it frees any, and a book's image may have grown.
    fn is_short_of_room(&self) -> bool {
        let growth = self.images[PUBLISHED].growth() + self.images[DERIVED].growth();
        let is_short = |track: Track, growth| {
            let bytes_ahead = (self.tape.track_bytes(track) / MARGIN_DIVISOR).max(BYTES_AHEAD_MIN);
            self.tape.free_bytes(track) < bytes_ahead + growth
        };
        let binary_track = self.press.formats().binary_track();
        self.tape.free_records() < self.tape.records() / MARGIN_DIVISOR
            || is_short(NATIVE_JSON, growth.json)
            || binary_track.is_some_and(|track| is_short(track, growth.binary))
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

fn tape_class(class: ChannelClass) -> Class {
    match class {
        ChannelClass::Append => Class::Append,
        ChannelClass::Replace => Class::Replace,
        ChannelClass::Book => Class::Book,
    }
}

/// Bytes of a track that the images of published channels take at most.
const fn published_part(track_bytes: usize) -> usize {
    track_bytes / IMAGES_DIVISOR
}

/// The same of derived channels: together they leave the room that is needed ahead.
const fn derived_part(track_bytes: usize) -> usize {
    track_bytes / (2 * IMAGES_DIVISOR) - limits::FRAME_BYTES_MAX
}

/// What bytes must be there at least for images that take so many at most. Each may have to be written before the one
/// that it replaces is let go of.
const fn bytes_needed(track_bytes: usize) -> usize {
    let margin = track_bytes / MARGIN_DIVISOR;
    let ahead = if margin > BYTES_AHEAD_MIN {
        margin
    } else {
        BYTES_AHEAD_MIN
    };
    2 * (published_part(track_bytes) + derived_part(track_bytes)) + ahead + 2 * limits::FRAME_BYTES_MAX
}

/// Images take at most one part in so many of the tape, in bytes and in records, and those of derived channels some more,
/// or keeping them would leave no room for anything else.
const IMAGES_DIVISOR: usize = 4;
const EMPTY: &[u8] = &[];
const MARGIN_DIVISOR: usize = limits::TAPE_MARGIN_DIVISOR;
/// The longest event, the image that it is due, the growth of the next image that it causes, and one record that is
/// kept before room for it is freed.
const BYTES_AHEAD_MIN: usize = 4 * limits::FRAME_BYTES_MAX;
/// Likewise: an event, the image that it is due, and one record that is kept.
const RECORDS_AHEAD_MIN: usize = 3;

const _: () = assert!(
    limits::TRACK_BYTES_MIN >= bytes_needed(limits::TRACK_BYTES_MIN)
        && 2 * limits::TRACK_BYTES_MIN >= bytes_needed(2 * limits::TRACK_BYTES_MIN)
        && limits::TRACK_BYTES_DEFAULT >= bytes_needed(limits::TRACK_BYTES_DEFAULT)
        && 1 << 40 >= bytes_needed(1 << 40),
    "room is always found: images, their growth, the room ahead, and an event with its image fit"
);
const _: () = assert!(
    IMAGES_DIVISOR * limits::DERIVED_RECORDS_DIVISOR > 2 * (IMAGES_DIVISOR + limits::DERIVED_RECORDS_DIVISOR)
        && MARGIN_DIVISOR >= IMAGES_DIVISOR,
    "less than half of the index is for what is kept of channels, and less than half of the rest for the margin"
);
const _: () = assert!(limits::TAPE_RECORDS_MIN / MARGIN_DIVISOR >= RECORDS_AHEAD_MIN);
const _: () = assert!(MARGIN_DIVISOR > 2 && IMAGES_DIVISOR > 2);

mod journaled;
mod keys;
#[cfg(test)]
mod tests;

pub use journaled::{Journaled, Restored};
use keys::Keys;
pub use keys::{KEY_BYTES, Kept, Keyed, Published, Remembered, RestoredKeys};
