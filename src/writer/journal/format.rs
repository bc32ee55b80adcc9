//! The bytes of a segment: a header, then records, each with its length and checksum.
//!
//! Never touches a file, and never trusts a byte that it reads: a length is bounded before it is believed, and nothing is
//! read of a record whose checksum is wrong. `docs/journal.md` has the tables. Invariant: what is read is what was
//! written, or a [`Flaw`].

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::fmt;

use flate2::Crc;

use crate::limits::{
    CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX, FRAME_BYTES_MAX, PUBLISH_KEY_BYTES_MAX, PUBLISHER_NAME_BYTES_MAX,
};
use crate::market::ChannelClass;
use crate::tape::RecordKind;
use crate::writer::sequencer::{Journaled, Remembered};

/// What a segment begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Why it was begun.
    pub begun: Begun,
    /// The number of the segment, from 1; the next one has the next.
    pub segment: u64,
    /// The epoch that its messages were published in.
    pub epoch: u64,
    /// The number of its first message among all that were ever journaled, from 1.
    pub first_message: u64,
    /// Bytes of the segment before it that count; what is behind them, if anything, was never finished.
    pub previous_end: u64,
    /// When it was begun, in nanoseconds since the epoch.
    pub begun_ns: u64,
}

/// Why a segment was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The server started. All states come first.
    Start,
    /// The one before was long enough. States come among the messages.
    Rotation,
    /// The journal could not be written, and now it can: messages are missing before this. All states come first.
    Discontinuity,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// What follows up to the next of these was written at once.
    Batch(Mark),
    /// A number within this segment stands for this channel.
    Channel {
        /// The number.
        number: u32,
        /// What the channel keeps of its past.
        class: ChannelClass,
        /// Whether it is derived from another channel.
        is_derived: bool,
        /// Its name, not checked.
        name: &'a str,
    },
    /// A message as it was published.
    Message(Line<'a>),
    /// What a channel has come to, so that nothing of it is needed that was written before.
    State(Line<'a>),
    /// The message that follows has this key. Where another record follows, the message never came, and the key means
    /// nothing.
    Key(KeyLine<'a>),
    /// A message that was written before, here or in another segment, has this key.
    Remembered(KeyLine<'a>),
    /// Every channel that there was when the segment was begun has its state in it.
    Complete {
        /// How many these were.
        channels: u32,
    },
}

/// How far the journal was on disk, as its writer knew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// All segments before this one.
    pub segment: u64,
    /// So many bytes of this one.
    pub offset: u64,
}

/// A message or state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The channel's number within the segment.
    pub channel: u32,
    /// Why it was on the tape.
    pub kind: RecordKind,
    /// Its number within the channel.
    pub seq: u64,
    /// When it happened, in nanoseconds since the epoch.
    pub ts_ns: u64,
    /// When it was published.
    pub pt_ns: u64,
    /// The message's JSON text, not checked; empty where the state is a number only.
    pub text: &'a str,
}

/// The key of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLine<'a> {
    /// The channel's number within the segment.
    pub channel: u32,
    /// The message's number within the channel.
    pub seq: u64,
    /// When it was published.
    pub pt_ns: u64,
    /// The publisher's name, not checked.
    pub publisher: &'a str,
    /// The key, not checked.
    pub key: &'a str,
}

/// Why bytes are not what should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// They end before the header or record does.
    Short,
    /// They end before what the next segment says there is.
    Missing,
    /// A header does not say that it is one.
    Magic,
    /// A header of another version of the format.
    Version(u16),
    /// No record has this length.
    Length(u32),
    /// The checksum is that of other bytes.
    Checksum,
    /// The checksum is right, but this part has no meaning.
    Field(&'static str),
}

impl Header {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(match self.begun {
            Begun::Start => 1,
            Begun::Rotation => 2,
            Begun::Discontinuity => 3,
        });
        out.extend_from_slice(&[0; 5]);
        for number in [
            self.segment,
            self.epoch,
            self.first_message,
            self.previous_end,
            self.begun_ns,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        let sum = checksum(&[&out]);
        out.extend_from_slice(&sum.to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads what [`bytes`](Self::bytes) wrote.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(Flaw::Short)?;
        let (rest, sum) = bytes.split_last_chunk().ok_or(Flaw::Short)?;
        let mut fields = Fields(rest);
        if fields.chunk::<8>()? != MAGIC {
            return Err(Flaw::Magic);
        }
        if checksum(&[rest]) != u32::from_le_bytes(*sum) {
            return Err(Flaw::Checksum);
        }
        let version = u16::from_le_bytes(fields.chunk()?);
        // The first version had no keys, and is the same for the rest.
        if !(VERSION_OLDEST..=VERSION).contains(&version) {
            return Err(Flaw::Version(version));
        }
        let begun = match fields.byte()? {
            1 => Begun::Start,
            2 => Begun::Rotation,
            3 => Begun::Discontinuity,
            _ => return Err(Flaw::Field("the reason for which a segment was begun")),
        };
        fields.chunk::<5>()?;
        Ok(Self {
            begun,
            segment: fields.number()?,
            epoch: fields.number()?,
            first_message: fields.number()?,
            previous_end: fields.number()?,
            begun_ns: fields.number()?,
        })
    }
}

impl Record<'_> {
    /// Reads the record that `bytes` begin with, and says how long it is.
    ///
    /// # Errors
    /// When there is none. [`Flaw::Short`] where more bytes might make one.
    pub fn read(bytes: &[u8]) -> Result<(Record<'_>, usize), Flaw> {
        let mut fields = Fields(bytes);
        let length: [u8; 4] = fields.chunk()?;
        let bytes_of_body = u32::from_le_bytes(length);
        let size = usize::try_from(bytes_of_body).unwrap_or(usize::MAX);
        if !(1..=BODY_BYTES_MAX).contains(&size) {
            return Err(Flaw::Length(bytes_of_body));
        }
        let sum = u32::from_le_bytes(fields.chunk()?);
        let body = fields.0.get(..size).ok_or(Flaw::Short)?;
        if checksum(&[&length, body]) != sum {
            return Err(Flaw::Checksum);
        }
        // Whole as it is, it may still be short of what it must say.
        let record = read_body(body).map_err(|flaw| {
            if flaw == Flaw::Short {
                Flaw::Field("a field")
            } else {
                flaw
            }
        })?;
        Ok((record, size.saturating_add(PREFIX_BYTES)))
    }
}

/// Writes the beginning of a batch over the [`BATCH_BYTES`] bytes at the front of `out`, as far as there are so many.
pub fn write_batch(out: &mut [u8], mark: Mark) {
    let mut bytes = Vec::with_capacity(BATCH_BYTES);
    push(&mut bytes, |body| {
        body.push(BATCH);
        body.extend_from_slice(&BATCH_MAGIC);
        body.extend_from_slice(&mark.segment.to_le_bytes());
        body.extend_from_slice(&mark.offset.to_le_bytes());
    });
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = from;
    }
}

/// Appends what a channel's number within the segment stands for.
pub fn push_channel(out: &mut Vec<u8>, number: u32, class: ChannelClass, is_derived: bool, name: &str) {
    push(out, |body| {
        body.push(CHANNEL);
        body.extend_from_slice(&number.to_le_bytes());
        let class = match class {
            ChannelClass::Append => 1,
            ChannelClass::Replace => 2,
            ChannelClass::Book => 3,
        };
        body.push(if is_derived { class | IS_DERIVED } else { class });
        body.extend_from_slice(name.as_bytes());
    });
}

/// Appends a message, or a state where the record is one written again.
pub fn push_line(out: &mut Vec<u8>, line: &Journaled<'_>) {
    push(out, |body| {
        body.push(if line.kind.is_live() { MESSAGE } else { STATE });
        body.push(match line.kind {
            RecordKind::Live => 1,
            RecordKind::State => 2,
            RecordKind::Image => 3,
            RecordKind::Mark => 4,
        });
        body.extend_from_slice(&line.channel.number().to_le_bytes());
        for number in [line.seq, line.ts_ns, line.pt_ns] {
            body.extend_from_slice(&number.to_le_bytes());
        }
        body.extend_from_slice(line.text);
    });
}

/// Appends the key of the message that is appended next: before it, so that no message is ever written without its key.
pub fn push_key(out: &mut Vec<u8>, key: &Remembered) {
    push_key_as(out, KEY, key);
}

/// Appends the key of a message that was written before.
pub fn push_remembered(out: &mut Vec<u8>, key: &Remembered) {
    push_key_as(out, REMEMBERED, key);
}

fn push_key_as(out: &mut Vec<u8>, kind: u8, remembered: &Remembered) {
    let Remembered { publisher, key, kept } = remembered;
    // Both are bounded where they come from, as an assertion below says.
    let Ok(name_bytes) = u8::try_from(publisher.len()) else {
        return;
    };
    push(out, |body| {
        body.push(kind);
        body.extend_from_slice(&kept.channel.number().to_le_bytes());
        body.extend_from_slice(&kept.seq.to_le_bytes());
        body.extend_from_slice(&kept.pt_ns.to_le_bytes());
        body.push(name_bytes);
        body.extend_from_slice(publisher.as_bytes());
        body.extend_from_slice(key.as_bytes());
    });
}

/// Appends that the states of so many channels are in the segment.
pub fn push_complete(out: &mut Vec<u8>, channels: u32) {
    push(out, |body| {
        body.push(COMPLETE);
        body.extend_from_slice(&channels.to_le_bytes());
    });
}

/// The furthest mark among the batches that begin anywhere in `bytes`, which need not begin with a record.
#[must_use]
pub fn furthest_mark(bytes: &[u8]) -> Option<Mark> {
    let marks = memchr::memmem::find_iter(bytes, &BATCH_MAGIC).filter_map(|found| {
        let start = found.checked_sub(PREFIX_BYTES.saturating_add(1))?;
        match Record::read(bytes.get(start..)?) {
            Ok((Record::Batch(mark), _)) => Some(mark),
            Ok(_) | Err(_) => None,
        }
    });
    marks.max()
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the file ends in the middle of it"),
            Self::Missing => f.write_str("the next segment counts more than there is"),
            Self::Magic => f.write_str("it is no segment of a journal"),
            Self::Version(version) => write!(f, "it is of version {version} of the format, not {VERSION}"),
            Self::Length(bytes) => write!(f, "no record has {bytes} bytes"),
            Self::Checksum => f.write_str("its checksum is wrong"),
            Self::Field(what) => write!(f, "{what} has no meaning"),
        }
    }
}

impl std::error::Error for Flaw {}

/// Reads what a record says; it says nothing else.
fn read_body(body: &[u8]) -> Result<Record<'_>, Flaw> {
    let mut fields = Fields(body);
    let record = match fields.byte()? {
        BATCH => {
            if fields.chunk::<8>()? != BATCH_MAGIC {
                return Err(Flaw::Field("a batch"));
            }
            Record::Batch(Mark {
                segment: fields.number()?,
                offset: fields.number()?,
            })
        }
        CHANNEL => {
            let number = fields.channel()?;
            let class = fields.byte()?;
            let is_derived = class & IS_DERIVED != 0;
            let class = match class & !IS_DERIVED {
                1 if is_derived => return Err(Flaw::Field("a class")),
                1 => ChannelClass::Append,
                2 => ChannelClass::Replace,
                3 => ChannelClass::Book,
                _ => return Err(Flaw::Field("a class")),
            };
            let name = fields.text("a channel's name")?;
            if name.len() > CHANNEL_NAME_BYTES_MAX {
                return Err(Flaw::Field("a channel's name"));
            }
            Record::Channel {
                number,
                class,
                is_derived,
                name,
            }
        }
        MESSAGE => Record::Message(fields.line(true)?),
        STATE => Record::State(fields.line(false)?),
        KEY => Record::Key(fields.key()?),
        REMEMBERED => Record::Remembered(fields.key()?),
        COMPLETE => Record::Complete {
            channels: u32::from_le_bytes(fields.chunk()?),
        },
        _ => return Err(Flaw::Field("a record's type")),
    };
    if fields.0.is_empty() {
        Ok(record)
    } else {
        Err(Flaw::Field("what is behind a record's last field"))
    }
}

/// What has not been read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (chunk, rest) = self.0.split_first_chunk().ok_or(Flaw::Short)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u64, Flaw> {
        self.chunk().map(u64::from_le_bytes)
    }

    fn channel(&mut self) -> Result<u32, Flaw> {
        let number = u32::from_le_bytes(self.chunk()?);
        if usize::try_from(number).is_ok_and(|number| number < CHANNELS_MAX) {
            Ok(number)
        } else {
            Err(Flaw::Field("a channel's number"))
        }
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Flaw> {
        let bytes = std::mem::take(&mut self.0);
        simdutf8::basic::from_utf8(bytes).map_err(|_| Flaw::Field(what))
    }

    fn key(&mut self) -> Result<KeyLine<'a>, Flaw> {
        let (channel, seq, pt_ns) = (self.channel()?, self.number()?, self.number()?);
        let name_bytes = usize::from(self.byte()?);
        let (name, key) = self.0.split_at_checked(name_bytes).ok_or(Flaw::Short)?;
        if name.len() > PUBLISHER_NAME_BYTES_MAX || key.len() > PUBLISH_KEY_BYTES_MAX {
            return Err(Flaw::Field("a message's key"));
        }
        self.0 = name;
        let publisher = self.text("a publisher's name")?;
        self.0 = key;
        let key = self.text("a message's key")?;
        Ok(KeyLine {
            channel,
            seq,
            pt_ns,
            publisher,
            key,
        })
    }

    fn line(&mut self, live: bool) -> Result<Line<'a>, Flaw> {
        let kind = match self.byte()? {
            1 => RecordKind::Live,
            2 => RecordKind::State,
            3 => RecordKind::Image,
            4 => RecordKind::Mark,
            _ => return Err(Flaw::Field("a record's kind")),
        };
        if kind.is_live() != live {
            return Err(Flaw::Field("a record's kind"));
        }
        Ok(Line {
            channel: self.channel()?,
            kind,
            seq: self.number()?,
            ts_ns: self.number()?,
            pt_ns: self.number()?,
            text: self.text("a message's text")?,
        })
    }
}

/// Appends a record whose body `write` appends.
fn push(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    write(out);
    let Some((prefix, body)) = out
        .get_mut(start..)
        .and_then(|record| record.split_first_chunk_mut::<PREFIX_BYTES>())
    else {
        return;
    };
    // What is journaled is bounded by the tape's frames, as the assertion below says.
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    let sum = checksum(&[&length, body]).to_le_bytes();
    for (to, from) in prefix.iter_mut().zip(length.into_iter().chain(sum)) {
        *to = from;
    }
}

/// CRC-32 as gzip and Ethernet have it.
fn checksum(parts: &[&[u8]]) -> u32 {
    let mut crc = Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}

const MAGIC: [u8; 8] = *b"TICKJRNL";
const VERSION: u16 = 2;
const VERSION_OLDEST: u16 = 1;
/// Begins with a byte that no UTF-8 has, so that no text is mistaken for it.
const BATCH_MAGIC: [u8; 8] = *b"\xFFTBATCH\xFF";

/// Beside the class of a derived channel.
const IS_DERIVED: u8 = 4;

const BATCH: u8 = 1;
const CHANNEL: u8 = 2;
const MESSAGE: u8 = 3;
const STATE: u8 = 4;
const COMPLETE: u8 = 5;
const KEY: u8 = 6;
const REMEMBERED: u8 = 7;

/// Bytes of a [`Header`].
pub const HEADER_BYTES: usize = 64;
/// Bytes of a [`Record::Batch`].
pub const BATCH_BYTES: usize = PREFIX_BYTES + 1 + 8 + 16;
/// Length and checksum.
const PREFIX_BYTES: usize = 8;
/// A line without its text.
const LINE_BYTES: usize = 2 + 4 + 24;
const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX + LINE_BYTES;
/// Bytes of the longest record.
pub const RECORD_BYTES_MAX: usize = BODY_BYTES_MAX + PREFIX_BYTES;

const _: () = assert!(BODY_BYTES_MAX < u32::MAX as usize);
const _: () = assert!(PUBLISHER_NAME_BYTES_MAX <= u8::MAX as usize);

#[cfg(test)]
mod tests;
