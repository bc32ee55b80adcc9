//! What is not accepted, and why: seen before anything changes.

use std::fmt;

use crate::limits;
use crate::market::{BookError, BookSide, ChannelName, ChannelNameError, Decimal, Level, Tick};
use crate::tape::DeclareError;

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
    /// A trade's name is longer than [`TRADE_ID_BYTES_MAX`](limits::TRADE_ID_BYTES_MAX).
    TradeId {
        /// How long.
        bytes: usize,
    },
    /// Its channel would be one too many for the server.
    Declare(DeclareError),
    /// Its channel would be one too many for a tape of this size.
    Channels {
        /// How many there may be.
        channels_max: usize,
    },
    /// Its kind would be one more than [`KINDS_MAX`](limits::KINDS_MAX).
    Kinds,
    /// It does not fit the book.
    Book(BookError),
    /// Its frame would be longer than [`FRAME_BYTES_MAX`](limits::FRAME_BYTES_MAX).
    TooLong {
        /// How long.
        bytes: usize,
    },
    /// The states of all channels together take as much of the tape as they may.
    ImagesFull,
    /// Its publisher has published another message with the same key, on another channel.
    Key,
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
            Self::TradeId { bytes } => {
                write!(
                    f,
                    "the trade's name has {bytes} bytes, at most {} are allowed",
                    limits::TRADE_ID_BYTES_MAX
                )
            }
            Self::Declare(error) => error.fmt(f),
            Self::Channels { channels_max } => {
                write!(
                    f,
                    "the tape's index has room for {channels_max} channels; give it more records"
                )
            }
            Self::Kinds => write!(f, "there are {} kinds of channel already", limits::KINDS_MAX),
            Self::Book(error) => error.fmt(f),
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "the message would take {bytes} bytes of {}",
                    limits::FRAME_BYTES_MAX
                )
            }
            Self::Key => f.write_str("key: it stands for a message on another channel"),
            Self::ImagesFull => write!(
                f,
                "the channels' states fill their part of the tape; give it a larger one"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

/// The kinds with a meaning of their own hold what they say, and nothing else holds that; and what a tick says, every
/// language can write.
pub(super) fn check(name: ChannelName<'_>, tick: &Tick<'_>) -> Result<(), PublishError> {
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
    if !printable {
        return Err(PublishError::Precision);
    }
    match tick {
        Tick::Trade(trade) if trade.id.len() > limits::TRADE_ID_BYTES_MAX => Err(PublishError::TradeId {
            bytes: trade.id.len(),
        }),
        Tick::Book(update) => {
            let sides = [(BookSide::Bid, update.bids), (BookSide::Ask, update.asks)];
            match sides
                .into_iter()
                .find(|(_, levels)| levels.len() > limits::BOOK_LEVELS_MAX)
            {
                Some((side, levels)) => Err(PublishError::Book(BookError::BookLevelsFull {
                    side,
                    levels: levels.len(),
                })),
                None => Ok(()),
            }
        }
        Tick::Trade(_) | Tick::Quote(_) | Tick::Message(_) => Ok(()),
    }
}
