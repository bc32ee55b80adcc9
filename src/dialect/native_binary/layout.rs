//! Where each field of each message stands.
//!
//! Plain numbers, which `docs/tickwire-v1-bin.xml` states for everybody else; a test compares the two. Offsets count
//! from the beginning of the block, which follows the header.
//!
//! Invariant: what a version has laid down never moves. A later one appends: fields to a block, lengths with their bytes
//! to a message.

/// The schema that this is, in the header of every message: `TW` where it stands.
pub const SCHEMA: u16 = 0x5754;
/// The version of the schema that is written here.
pub const VERSION: u16 = 0;

/// What every message begins with: the length of its block, its template, schema and version, 16 bits each.
pub mod header {
    /// Bytes of the block that follows.
    pub const BLOCK_LENGTH: usize = 0;
    /// Which message it is.
    pub const TEMPLATE: usize = 2;
    /// [`SCHEMA`](super::SCHEMA).
    pub const SCHEMA: usize = 4;
    /// [`VERSION`](super::VERSION), or a later one.
    pub const VERSION: usize = 6;
    /// Bytes of all that.
    pub const BYTES: usize = 8;
}

/// What every block of every template begins with.
pub mod stamp {
    /// The number within the channel, 64 bits.
    pub const SEQ: usize = 0;
    /// When it was published, 64 bits of nanoseconds since the epoch.
    pub const PT: usize = 8;
    /// When it happened, likewise; not in a [`msg`](super::msg).
    pub const TS: usize = 16;
}

/// A number: 64 bits of a signed mantissa, 8 bits of a signed power of ten.
pub mod decimal {
    /// The mantissa.
    pub const MANTISSA: usize = 0;
    /// The power of ten.
    pub const EXPONENT: usize = 8;
    /// Bytes of both.
    pub const BYTES: usize = 9;
}

/// A trade. Behind the block: the channel, and the venue's name for the trade, which may be empty.
pub mod trade {
    /// Its number.
    pub const TEMPLATE: u16 = 1;
    /// The price, a [`decimal`](super::decimal).
    pub const PRICE: usize = 24;
    /// The size, a decimal.
    pub const SIZE: usize = 33;
    /// The aggressor's side: [`BUY`] or [`SELL`].
    pub const SIDE: usize = 42;
    /// Bytes of the block.
    pub const BLOCK: usize = 43;
    /// The buyer crossed the spread.
    pub const BUY: u8 = 1;
    /// The seller did.
    pub const SELL: u8 = 2;
}

/// A best bid and offer, four decimals. Behind the block: the channel.
pub mod quote {
    /// Its number.
    pub const TEMPLATE: u16 = 2;
    /// The bid's price.
    pub const BID_PRICE: usize = 24;
    /// The bid's size.
    pub const BID_SIZE: usize = 33;
    /// The ask's price.
    pub const ASK_PRICE: usize = 42;
    /// The ask's size.
    pub const ASK_SIZE: usize = 51;
    /// Bytes of the block.
    pub const BLOCK: usize = 60;
}

/// A book whose prices are all written with as many decimal places, and whose sizes are: nearly every one. Behind the
/// block: bids, asks, the channel.
pub mod book {
    /// The number of a whole book.
    pub const SNAPSHOT: u16 = 3;
    /// The number of a change of single levels.
    pub const DELTA: u16 = 4;
    /// The power of ten of every price, 8 bits.
    pub const PRICE_EXPONENT: usize = 24;
    /// The power of ten of every size, 8 bits.
    pub const SIZE_EXPONENT: usize = 25;
    /// Bytes of the block.
    pub const BLOCK: usize = 26;
    /// In a level, the mantissa of its price, 64 bits.
    pub const LEVEL_PRICE: usize = 0;
    /// The mantissa of its size.
    pub const LEVEL_SIZE: usize = 8;
    /// Bytes of a level.
    pub const LEVEL: usize = 16;
}

/// A book of other numbers: each level says its powers of ten itself. Otherwise as [`book`].
pub mod mixed_book {
    /// The number of a whole book.
    pub const SNAPSHOT: u16 = 5;
    /// The number of a change of single levels.
    pub const DELTA: u16 = 6;
    /// Bytes of the block.
    pub const BLOCK: usize = 24;
    /// In a level, its price, a decimal.
    pub const LEVEL_PRICE: usize = 0;
    /// Its size, a decimal.
    pub const LEVEL_SIZE: usize = 9;
    /// Bytes of a level.
    pub const LEVEL: usize = 18;
}

/// Any other message. Behind the block: the channel, and the publisher's own JSON.
pub mod msg {
    /// Its number.
    pub const TEMPLATE: u16 = 7;
    /// Bytes of the block.
    pub const BLOCK: usize = 16;
}

/// What stands before the levels of one side: bytes of a level, and how many there are, 16 bits each.
pub mod group {
    /// Bytes of a level.
    pub const BLOCK_LENGTH: usize = 0;
    /// How many.
    pub const COUNT: usize = 2;
    /// Bytes of both.
    pub const BYTES: usize = 4;
}

/// Numbers that are kept for what is JSON text as yet: a gap, the end of a replay, a heartbeat.
pub const RESERVED: [u16; 3] = [16, 17, 18];
/// Bytes of the length before a channel's name and before a trade's.
pub const NAME_LENGTH: usize = 1;
/// Bytes of the length before a publisher's JSON.
pub const DATA_LENGTH: usize = 4;
