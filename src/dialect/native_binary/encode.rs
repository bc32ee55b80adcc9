//! Writes a tick as the one binary message that all its subscribers get.
//!
//! Never allocates when `out` has room, never rounds or rescales a number, and writes nothing that depends on who reads
//! it.
//!
//! Invariant: what is appended is one whole message of [`VERSION`](layout::VERSION), without a byte to spare.

use super::layout::{self, book, decimal, group, header, mixed_book, msg, quote, stamp as at, trade};
use crate::dialect::Stamp;
use crate::market::{BookUpdate, BookUpdateKind, ChannelName, Decimal, Level, Quote, Side, Tick, Trade};

/// Appends the message.
///
/// A message has no `ts`, as in JSON. The value of [`Tick::Message`] must be JSON text, for it is copied as it is.
///
/// # Panics
/// When the channel's name or a trade's is longer than 255 bytes, a side has more than 65,535 levels, or a message's
/// value is longer than 4 GiB. The writer accepts nothing that comes near.
///
/// ```
/// use tickwire::dialect::Stamp;
/// use tickwire::dialect::native_binary::encode;
/// use tickwire::market::Tick;
///
/// let stamp = Stamp { channel: "room:42", seq: 18, ts_ns: 5, pt_ns: 6 };
/// let mut out = Vec::new();
/// encode(&mut out, &stamp, &Tick::Message("[1]"));
/// assert_eq!(out[..8], [16, 0, 7, 0, b'T', b'W', 0, 0]);
/// assert_eq!(out[24..], *b"\x07room:42\x03\0\0\0[1]");
/// ```
pub fn encode(out: &mut Vec<u8>, stamp: &Stamp<'_>, tick: &Tick<'_>) {
    debug_assert!(
        ChannelName::parse(stamp.channel).is_ok(),
        "{:?} is no channel name",
        stamp.channel
    );
    match tick {
        Tick::Trade(trade) => encode_trade(out, stamp, trade),
        Tick::Quote(quote) => encode_quote(out, stamp, quote),
        Tick::Book(update) => match Exponents::common(update) {
            Some(exponents) => encode_book(out, stamp, update, exponents),
            None => encode_mixed_book(out, stamp, update),
        },
        Tick::Message(data) => encode_msg(out, stamp, data),
    }
}

fn encode_trade(out: &mut Vec<u8>, stamp: &Stamp<'_>, trade: &Trade<'_>) {
    const BYTES: usize = header::BYTES + trade::BLOCK;
    out.reserve(BYTES + 2 * layout::NAME_LENGTH + stamp.channel.len() + trade.id.len());
    let mut bytes = opened::<BYTES>(trade::TEMPLATE, stamp);
    put_ts(&mut bytes, stamp);
    put_decimal(&mut bytes, trade::PRICE, trade.price);
    put_decimal(&mut bytes, trade::SIZE, trade.size);
    let side = match trade.side {
        Side::Buy => trade::BUY,
        Side::Sell => trade::SELL,
    };
    put(&mut bytes, header::BYTES + trade::SIDE, [side]);
    out.extend_from_slice(&bytes);
    write_name(out, stamp.channel);
    write_name(out, trade.id);
}

fn encode_quote(out: &mut Vec<u8>, stamp: &Stamp<'_>, quote: &Quote) {
    const BYTES: usize = header::BYTES + quote::BLOCK;
    out.reserve(BYTES + layout::NAME_LENGTH + stamp.channel.len());
    let mut bytes = opened::<BYTES>(quote::TEMPLATE, stamp);
    put_ts(&mut bytes, stamp);
    put_decimal(&mut bytes, quote::BID_PRICE, quote.bid_price);
    put_decimal(&mut bytes, quote::BID_SIZE, quote.bid_size);
    put_decimal(&mut bytes, quote::ASK_PRICE, quote.ask_price);
    put_decimal(&mut bytes, quote::ASK_SIZE, quote.ask_size);
    out.extend_from_slice(&bytes);
    write_name(out, stamp.channel);
}

fn encode_book(out: &mut Vec<u8>, stamp: &Stamp<'_>, update: &BookUpdate<'_>, exponents: Exponents) {
    const BYTES: usize = header::BYTES + book::BLOCK;
    reserve_book(out, stamp, update, BYTES, book::LEVEL);
    let template = match update.kind {
        BookUpdateKind::Snapshot => book::SNAPSHOT,
        BookUpdateKind::Delta => book::DELTA,
    };
    let mut bytes = opened::<BYTES>(template, stamp);
    put_ts(&mut bytes, stamp);
    put(
        &mut bytes,
        header::BYTES + book::PRICE_EXPONENT,
        exponents.price.to_le_bytes(),
    );
    put(
        &mut bytes,
        header::BYTES + book::SIZE_EXPONENT,
        exponents.size.to_le_bytes(),
    );
    out.extend_from_slice(&bytes);
    for levels in [update.bids, update.asks] {
        write_group(out, book::LEVEL, levels);
        out.extend(levels.iter().flat_map(|level| {
            let mut bytes = [0; book::LEVEL];
            put(
                &mut bytes,
                book::LEVEL_PRICE,
                level.price.mantissa().to_le_bytes(),
            );
            put(&mut bytes, book::LEVEL_SIZE, level.size.mantissa().to_le_bytes());
            bytes
        }));
    }
    write_name(out, stamp.channel);
}

fn encode_mixed_book(out: &mut Vec<u8>, stamp: &Stamp<'_>, update: &BookUpdate<'_>) {
    const BYTES: usize = header::BYTES + mixed_book::BLOCK;
    reserve_book(out, stamp, update, BYTES, mixed_book::LEVEL);
    let template = match update.kind {
        BookUpdateKind::Snapshot => mixed_book::SNAPSHOT,
        BookUpdateKind::Delta => mixed_book::DELTA,
    };
    let mut bytes = opened::<BYTES>(template, stamp);
    put_ts(&mut bytes, stamp);
    out.extend_from_slice(&bytes);
    for levels in [update.bids, update.asks] {
        write_group(out, mixed_book::LEVEL, levels);
        for level in levels {
            let mut bytes = [0; mixed_book::LEVEL];
            put(&mut bytes, mixed_book::LEVEL_PRICE, decimal_bytes(level.price));
            put(&mut bytes, mixed_book::LEVEL_SIZE, decimal_bytes(level.size));
            out.extend_from_slice(&bytes);
        }
    }
    write_name(out, stamp.channel);
}

fn encode_msg(out: &mut Vec<u8>, stamp: &Stamp<'_>, data: &str) {
    const BYTES: usize = header::BYTES + msg::BLOCK;
    out.reserve(BYTES + layout::NAME_LENGTH + stamp.channel.len() + layout::DATA_LENGTH + data.len());
    out.extend_from_slice(&opened::<BYTES>(msg::TEMPLATE, stamp));
    write_name(out, stamp.channel);
    let length = u32::try_from(data.len()).expect("a message fits into a frame of the tape");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(data.as_bytes());
}

/// The powers of ten that all levels of a book share.
#[derive(Clone, Copy, Debug)]
struct Exponents {
    price: i8,
    size: i8,
}

impl Exponents {
    /// Those of `update`, if there are any. They are only ever taken as they are: a number of another power could be
    /// brought to it, but would be written with another number of zeros by whoever prints it.
    fn common(update: &BookUpdate<'_>) -> Option<Self> {
        let mut levels = update.bids.iter().chain(update.asks).map(Self::of);
        let first = levels.next().unwrap_or(Self { price: 0, size: 0 });
        levels
            .all(|other| other.price == first.price && other.size == first.size)
            .then_some(first)
    }

    fn of(level: &Level) -> Self {
        Self {
            price: level.price.exponent(),
            size: level.size.exponent(),
        }
    }
}

/// A header and a block that begins as all do, of `N` bytes together.
fn opened<const N: usize>(template: u16, stamp: &Stamp<'_>) -> [u8; N] {
    const { assert!(N >= header::BYTES + at::TS && N - header::BYTES <= u16::MAX as usize) };
    let mut bytes = [0; N];
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the assertion above says that it fits"
    )]
    let block = (N - header::BYTES) as u16;
    put(&mut bytes, header::BLOCK_LENGTH, block.to_le_bytes());
    put(&mut bytes, header::TEMPLATE, template.to_le_bytes());
    put(&mut bytes, header::SCHEMA, layout::SCHEMA.to_le_bytes());
    put(&mut bytes, header::VERSION, layout::VERSION.to_le_bytes());
    put(&mut bytes, header::BYTES + at::SEQ, stamp.seq.to_le_bytes());
    put(&mut bytes, header::BYTES + at::PT, stamp.pt_ns.to_le_bytes());
    bytes
}

fn put_ts(bytes: &mut [u8], stamp: &Stamp<'_>) {
    put(bytes, header::BYTES + at::TS, stamp.ts_ns.to_le_bytes());
}

/// Writes a number at an offset of the block.
fn put_decimal(bytes: &mut [u8], offset: usize, value: Decimal) {
    put(bytes, header::BYTES + offset, decimal_bytes(value));
}

fn decimal_bytes(value: Decimal) -> [u8; decimal::BYTES] {
    let mut bytes = [0; decimal::BYTES];
    put(&mut bytes, decimal::MANTISSA, value.mantissa().to_le_bytes());
    put(&mut bytes, decimal::EXPONENT, value.exponent().to_le_bytes());
    bytes
}

#[inline]
fn put<const N: usize>(bytes: &mut [u8], offset: usize, value: [u8; N]) {
    bytes[offset..offset + N].copy_from_slice(&value);
}

fn reserve_book(out: &mut Vec<u8>, stamp: &Stamp<'_>, update: &BookUpdate<'_>, fixed: usize, level: usize) {
    let levels = update.bids.len() + update.asks.len();
    out.reserve(fixed + 2 * group::BYTES + level * levels + layout::NAME_LENGTH + stamp.channel.len());
}

/// Writes what stands before the levels of a side.
fn write_group(out: &mut Vec<u8>, level_bytes: usize, levels: &[Level]) {
    let count = u16::try_from(levels.len()).expect("a side of a book has a bounded number of levels");
    let level_bytes = u16::try_from(level_bytes).expect("a level has some bytes");
    let mut bytes = [0; group::BYTES];
    put(&mut bytes, group::BLOCK_LENGTH, level_bytes.to_le_bytes());
    put(&mut bytes, group::COUNT, count.to_le_bytes());
    out.extend_from_slice(&bytes);
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("names of channels and trades are bounded"));
    out.extend_from_slice(name.as_bytes());
}
