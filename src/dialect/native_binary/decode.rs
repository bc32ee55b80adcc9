//! Reads a binary message.
//!
//! Never panics, whatever it is given, never reads beyond a length that is stated, and copies nothing but the levels of
//! a book. What a later version appends is skipped: by the length of a block, by that of a level, at the end of a
//! message.
//!
//! Invariant: what is accepted is a tick that [`encode`](super::encode()) can write, and a name that needs no escaping.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::error::Error;
use std::fmt;

use super::layout::{self, book, decimal, group, header, mixed_book, msg, quote, stamp as at, trade};
use crate::dialect::Stamp;
use crate::limits::BOOK_LEVELS_MAX;
use crate::market::{
    BookUpdate, BookUpdateKind, ChannelName, ChannelNameError, Decimal, Level, Quote, Side, Tick, Trade,
};

/// A message that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Message<'a> {
    /// The version of the schema that its writer knows. Where it is later than
    /// [`VERSION`](layout::VERSION), the message may say more than was read.
    pub version: u16,
    /// What it says.
    pub content: Content<'a>,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    /// A tick. The `ts_ns` of a [`Tick::Message`] is 0, for it has none.
    Tick(Stamp<'a>, Tick<'a>),
    /// A message of a kind that is not known here. It can be left alone.
    Unknown {
        /// The number of its template.
        template: u16,
    },
}

impl<'a> Message<'a> {
    /// Reads one message, which is the payload of one binary frame. The levels of a book are put into `levels`, whose
    /// old content is void.
    ///
    /// # Errors
    /// When it is no such message; see [`DecodeError`].
    ///
    /// ```
    /// use tickwire::dialect::Stamp;
    /// use tickwire::dialect::native_binary::{Content, Message, encode};
    /// use tickwire::market::{Decimal, Quote, Tick};
    ///
    /// let one = Decimal::parse("1.0")?;
    /// let quote = Tick::Quote(Quote { bid_price: one, bid_size: one, ask_price: one, ask_size: one });
    /// let stamp = Stamp { channel: "bbo:BTC-USD", seq: 9, ts_ns: 1, pt_ns: 2 };
    /// let (mut bytes, mut levels) = (Vec::new(), Vec::new());
    /// encode(&mut bytes, &stamp, &quote);
    /// assert_eq!(Message::decode(&bytes, &mut levels)?.content, Content::Tick(stamp, quote));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn decode(bytes: &'a [u8], levels: &'a mut Vec<Level>) -> Result<Self, DecodeError> {
        let mut rest = Rest(bytes);
        let head = rest.take(header::BYTES).ok_or(CUT_HEADER)?;
        let word = |offset| Some(u16::from_le_bytes(chunk(head, offset)?));
        let block_bytes = word(header::BLOCK_LENGTH).ok_or(CUT_HEADER)?;
        let template = word(header::TEMPLATE).ok_or(CUT_HEADER)?;
        let schema = word(header::SCHEMA).ok_or(CUT_HEADER)?;
        let version = word(header::VERSION).ok_or(CUT_HEADER)?;
        if schema != layout::SCHEMA {
            return Err(DecodeError::Schema { schema });
        }
        if !TEMPLATES.contains(&template) {
            let content = Content::Unknown { template };
            return Ok(Self { version, content });
        }
        let block = rest
            .take(usize::from(block_bytes))
            .ok_or(DecodeError::Cut { what: "block" })?;
        let (stamp, tick) = read(template, Block(block), &mut rest, levels)?;
        let may_say_more = version > layout::VERSION;
        if !may_say_more && !rest.0.is_empty() {
            return Err(DecodeError::Trailing { bytes: rest.0.len() });
        }
        let content = Content::Tick(stamp, tick);
        Ok(Self { version, content })
    }
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It ends within this part of it.
    Cut {
        /// Which.
        what: &'static str,
    },
    /// It is of another schema.
    Schema {
        /// Which.
        schema: u16,
    },
    /// Its block, or a level, ends before the last field that its template has had from the first version on.
    TooShort {
        /// Which field is missing.
        field: &'static str,
    },
    /// A side of a book has more levels than [`BOOK_LEVELS_MAX`].
    Levels {
        /// How many.
        levels: usize,
    },
    /// A side that is neither buy nor sell.
    Side {
        /// What it is.
        side: u8,
    },
    /// The channel's name is none.
    Channel(ChannelNameError),
    /// This text is not UTF-8.
    NotUtf8 {
        /// Which.
        what: &'static str,
    },
    /// Something follows where the version that the message names has nothing to say.
    Trailing {
        /// How much.
        bytes: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { what } => write!(f, "the message ends within its {what}"),
            Self::Schema { schema } => {
                write!(
                    f,
                    "the message is of schema {schema:#06x}, not {:#06x}",
                    layout::SCHEMA
                )
            }
            Self::TooShort { field } => write!(f, "the block is too short for its {field}"),
            Self::Levels { levels } => {
                write!(
                    f,
                    "a side has {levels} levels, at most {BOOK_LEVELS_MAX} are allowed"
                )
            }
            Self::Side { side } => write!(f, "side {side} is neither buy nor sell"),
            Self::Channel(error) => error.fmt(f),
            Self::NotUtf8 { what } => write!(f, "the {what} is not UTF-8"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow the end of the message"),
        }
    }
}

impl Error for DecodeError {}

/// Reads all that follows a header.
fn read<'a>(
    template: u16,
    block: Block<'a>,
    rest: &mut Rest<'a>,
    levels: &'a mut Vec<Level>,
) -> Result<(Stamp<'a>, Tick<'a>), DecodeError> {
    let seq = block.unsigned(at::SEQ, "seq")?;
    let pt_ns = block.unsigned(at::PT, "pt")?;
    let ts_ns = if template == msg::TEMPLATE {
        0
    } else {
        block.unsigned(at::TS, "ts")?
    };
    let stamp = |channel| Stamp {
        channel,
        seq,
        ts_ns,
        pt_ns,
    };
    match template {
        trade::TEMPLATE => {
            let (price, size) = (
                block.decimal(trade::PRICE, "price")?,
                block.decimal(trade::SIZE, "size")?,
            );
            let side = match block.byte(trade::SIDE, "side")? {
                trade::BUY => Side::Buy,
                trade::SELL => Side::Sell,
                side => return Err(DecodeError::Side { side }),
            };
            let channel = rest.channel()?;
            let id = rest.name("trade's name")?;
            let trade = Trade {
                price,
                size,
                side,
                id,
            };
            Ok((stamp(channel), Tick::Trade(trade)))
        }
        quote::TEMPLATE => {
            let quote = Quote {
                bid_price: block.decimal(quote::BID_PRICE, "bid price")?,
                bid_size: block.decimal(quote::BID_SIZE, "bid size")?,
                ask_price: block.decimal(quote::ASK_PRICE, "ask price")?,
                ask_size: block.decimal(quote::ASK_SIZE, "ask size")?,
            };
            Ok((stamp(rest.channel()?), Tick::Quote(quote)))
        }
        msg::TEMPLATE => {
            let channel = rest.channel()?;
            Ok((stamp(channel), Tick::Message(rest.data()?)))
        }
        _ => {
            let kind = match template {
                book::SNAPSHOT | mixed_book::SNAPSHOT => BookUpdateKind::Snapshot,
                _ => BookUpdateKind::Delta,
            };
            let shape = match template {
                book::SNAPSHOT | book::DELTA => LevelShape::Uniform {
                    price: block.exponent(book::PRICE_EXPONENT, "price exponent")?,
                    size: block.exponent(book::SIZE_EXPONENT, "size exponent")?,
                },
                _ => LevelShape::Mixed,
            };
            levels.clear();
            rest.side(shape, levels)?;
            let bid_count = levels.len();
            rest.side(shape, levels)?;
            let channel = rest.channel()?;
            let (bids, asks) = levels.split_at_checked(bid_count).unwrap_or_default();
            Ok((stamp(channel), Tick::Book(BookUpdate { kind, bids, asks })))
        }
    }
}

/// How the levels of a book are written.
#[derive(Clone, Copy, Debug)]
enum LevelShape {
    /// Mantissas, whose powers of ten stand in the block.
    Uniform { price: i8, size: i8 },
    /// Decimals.
    Mixed,
}

/// The fixed part of a message, or of a level.
#[derive(Clone, Copy, Debug)]
struct Block<'a>(&'a [u8]);

impl Block<'_> {
    fn field<const N: usize>(self, offset: usize, field: &'static str) -> Result<[u8; N], DecodeError> {
        chunk(self.0, offset).ok_or(DecodeError::TooShort { field })
    }

    fn byte(self, offset: usize, field: &'static str) -> Result<u8, DecodeError> {
        self.field(offset, field).map(u8::from_le_bytes)
    }

    fn exponent(self, offset: usize, field: &'static str) -> Result<i8, DecodeError> {
        self.field(offset, field).map(i8::from_le_bytes)
    }

    fn unsigned(self, offset: usize, field: &'static str) -> Result<u64, DecodeError> {
        self.field(offset, field).map(u64::from_le_bytes)
    }

    fn mantissa(self, offset: usize, field: &'static str) -> Result<i64, DecodeError> {
        self.field(offset, field).map(i64::from_le_bytes)
    }

    fn decimal(self, offset: usize, field: &'static str) -> Result<Decimal, DecodeError> {
        let mantissa = self.mantissa(offset.saturating_add(decimal::MANTISSA), field)?;
        let exponent = self.exponent(offset.saturating_add(decimal::EXPONENT), field)?;
        Ok(Decimal::new(mantissa, exponent))
    }

    fn level(self, shape: LevelShape) -> Result<Level, DecodeError> {
        match shape {
            LevelShape::Uniform { price, size } => Ok(Level {
                price: Decimal::new(self.mantissa(book::LEVEL_PRICE, "level's price")?, price),
                size: Decimal::new(self.mantissa(book::LEVEL_SIZE, "level's size")?, size),
            }),
            LevelShape::Mixed => Ok(Level {
                price: self.decimal(mixed_book::LEVEL_PRICE, "level's price")?,
                size: self.decimal(mixed_book::LEVEL_SIZE, "level's size")?,
            }),
        }
    }
}

/// What has not been read yet.
#[derive(Debug)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    /// The levels of one side, which are added to `levels`.
    fn side(&mut self, shape: LevelShape, levels: &mut Vec<Level>) -> Result<(), DecodeError> {
        let cut = DecodeError::Cut { what: "levels" };
        let head = self.take(group::BYTES).ok_or(cut)?;
        let word = |offset| Some(usize::from(u16::from_le_bytes(chunk(head, offset)?)));
        let level_bytes = word(group::BLOCK_LENGTH).ok_or(cut)?;
        let count = word(group::COUNT).ok_or(cut)?;
        if count > BOOK_LEVELS_MAX {
            return Err(DecodeError::Levels { levels: count });
        }
        let bytes = level_bytes.checked_mul(count).ok_or(cut)?;
        let side = self.take(bytes).ok_or(cut)?;
        if count > 0 && level_bytes == 0 {
            return Err(DecodeError::TooShort {
                field: "level's price",
            });
        }
        levels.reserve(count);
        for level in side.chunks_exact(level_bytes.max(1)) {
            levels.push(Block(level).level(shape)?);
        }
        Ok(())
    }

    fn channel(&mut self) -> Result<&'a str, DecodeError> {
        let name = self.name("channel")?;
        ChannelName::parse(name).map_err(DecodeError::Channel)?;
        Ok(name)
    }

    fn name(&mut self, what: &'static str) -> Result<&'a str, DecodeError> {
        let length = self.take(layout::NAME_LENGTH).and_then(|bytes| chunk(bytes, 0));
        let length = length.map(|bytes| usize::from(u8::from_le_bytes(bytes)));
        self.text(length, what)
    }

    fn data(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.take(layout::DATA_LENGTH).and_then(|bytes| chunk(bytes, 0));
        let length = length.and_then(|bytes| usize::try_from(u32::from_le_bytes(bytes)).ok());
        self.text(length, "data")
    }

    fn text(&mut self, length: Option<usize>, what: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = length.and_then(|bytes| self.take(bytes));
        let bytes = bytes.ok_or(DecodeError::Cut { what })?;
        simdutf8::basic::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8 { what })
    }
}

/// The `N` bytes at an offset, if they are there.
#[inline]
fn chunk<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

const CUT_HEADER: DecodeError = DecodeError::Cut { what: "header" };

/// All that are known.
const TEMPLATES: [u16; 7] = [
    trade::TEMPLATE,
    quote::TEMPLATE,
    book::SNAPSHOT,
    book::DELTA,
    mixed_book::SNAPSHOT,
    mixed_book::DELTA,
    msg::TEMPLATE,
];
