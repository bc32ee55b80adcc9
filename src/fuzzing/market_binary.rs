//! Binary ticks: read as the tables of `docs/binary.md` say, and written again without a digit changed.

use crate::dialect::Stamp;
use crate::dialect::native_binary::{Content, DecodeError, Message, encode};
use crate::dialect::native_json::{self, Input};
use crate::limits::{BOOK_LEVELS_MAX, DECIMAL_DIGITS_MAX, TRADE_ID_BYTES_MAX};
use crate::market::{BookUpdate, BookUpdateKind, ChannelName, Decimal, Level, Quote, Side, Tick, Trade};

/// One binary message.
///
/// # Panics
/// When a property does not hold.
pub fn market_binary(data: &[u8]) {
    let (mut fresh, mut used) = (Vec::new(), vec![LEVEL; 3]);
    let read = Message::decode(data, &mut fresh);
    assert_eq!(read, Message::decode(data, &mut used), "old levels are void");
    let naive = Naive::read(data);
    match read {
        Ok(message) => {
            let naive = naive.expect("what is accepted is a message");
            assert_eq!(message.version, naive.version);
            match message.content {
                Content::Unknown { template } => {
                    assert_eq!((template, naive.said), (naive.template, Said::Unknown));
                }
                Content::Tick(stamp, tick) => {
                    let levels = [&naive.sides[0], &naive.sides[1]].map(Vec::as_slice);
                    assert_eq!(
                        naive.said,
                        Said::of(&tick, [stamp.seq, stamp.pt_ns, stamp.ts_ns], stamp.channel)
                    );
                    if let Tick::Book(update) = tick {
                        assert_same_levels(levels[0], update.bids);
                        assert_same_levels(levels[1], update.asks);
                    }
                    assert_is_written_alike(&stamp, &tick);
                }
            }
        }
        Err(error) => {
            assert!(naive.is_none(), "{error}");
            assert_names_what_it_means(&error, data);
        }
    }
}

/// The tick is written so that it is read as the same, and in JSON too, where JSON can say it.
fn assert_is_written_alike(stamp: &Stamp<'_>, tick: &Tick<'_>) {
    let (mut bytes, mut levels) = (Vec::new(), Vec::new());
    encode(&mut bytes, stamp, tick);
    let again = Message::decode(&bytes, &mut levels).expect("what is written can be read");
    assert_eq!(again.content, Content::Tick(*stamp, *tick));
    let Content::Tick(stamp_again, tick_again) = again.content else {
        unreachable!("it was compared with one");
    };
    let line = |stamp, tick| {
        let mut line = Vec::new();
        native_json::encode(&mut line, stamp, tick);
        line
    };
    let text = line(stamp, tick);
    assert_eq!(text, line(&stamp_again, &tick_again), "a digit was lost");
    if is_a_line(tick) {
        let mut levels = Vec::new();
        let input = Input::parse(&text, &mut levels).expect("a tick in JSON is a line");
        assert_eq!((input.channel.as_str(), input.tick), (stamp.channel, *tick));
    }
}

/// Whether the tick is one that a line of a source can say: not every number has so few digits, for one thing.
fn is_a_line(tick: &Tick<'_>) -> bool {
    let number = |decimal: &Decimal| {
        let digits = decimal.to_string();
        let digits = digits.trim_start_matches(['-', '0', '.']).replace('.', "");
        digits.len() <= DECIMAL_DIGITS_MAX
    };
    let size = |decimal: &Decimal| number(decimal) && !decimal.is_negative();
    match tick {
        Tick::Trade(trade) => {
            let id = trade.id;
            let plain = !id.bytes().any(|byte| byte < 0x20 || matches!(byte, b'"' | b'\\'));
            plain && id.len() <= TRADE_ID_BYTES_MAX && number(&trade.price) && size(&trade.size)
        }
        Tick::Quote(quote) => {
            number(&quote.bid_price)
                && size(&quote.bid_size)
                && number(&quote.ask_price)
                && size(&quote.ask_size)
        }
        Tick::Book(update) => {
            let mut levels = update.bids.iter().chain(update.asks);
            levels.all(|level| number(&level.price) && size(&level.size))
        }
        // The publisher's JSON is whatever the server says it is.
        Tick::Message(_) => false,
    }
}

fn assert_same_levels(naive: &[Level], levels: &[Level]) {
    assert_eq!(naive.len(), levels.len());
    for (naive, level) in naive.iter().zip(levels) {
        assert!(naive.price.same_text(level.price) && naive.size.same_text(level.size));
    }
}

/// An error is said in one line, and what it says of the message is so.
fn assert_names_what_it_means(error: &DecodeError, message: &[u8]) {
    let words = error.to_string();
    assert!(!words.is_empty() && words.len() < 300, "{words}");
    match error {
        DecodeError::Schema { schema } => assert_eq!(message[4..6], schema.to_le_bytes()),
        DecodeError::Levels { levels } => assert!(*levels > BOOK_LEVELS_MAX),
        DecodeError::Trailing { bytes } => assert!((1..message.len()).contains(bytes)),
        DecodeError::Side { side } => assert!(message.contains(side) && !(1..=2).contains(side)),
        DecodeError::Cut { .. }
        | DecodeError::TooShort { .. }
        | DecodeError::Channel(_)
        | DecodeError::NotUtf8 { .. } => {}
    }
}

/// A message as somebody reads it who has the page and no hurry.
struct Naive {
    version: u16,
    template: u16,
    said: Said,
    sides: [Vec<Level>; 2],
}

/// What it says, levels apart, in texts of our own.
#[derive(Debug, PartialEq)]
enum Said {
    Unknown,
    Tick(String),
}

impl Said {
    fn of(tick: &Tick<'_>, numbers: [u64; 3], channel: &str) -> Self {
        let d = |decimal: Decimal| format!("{}e{}", decimal.mantissa(), decimal.exponent());
        let fields = match tick {
            Tick::Trade(Trade {
                price,
                size,
                side,
                id,
            }) => format!("trade {} {} {side:?} {id:?}", d(*price), d(*size)),
            Tick::Quote(Quote {
                bid_price,
                bid_size,
                ask_price,
                ask_size,
            }) => {
                let numbers = [bid_price, bid_size, ask_price, ask_size].map(|number| d(*number));
                format!("quote {}", numbers.join(" "))
            }
            Tick::Book(update) => format!("book {:?}", update.kind),
            Tick::Message(data) => format!("msg {data:?}"),
        };
        Self::Tick(format!("{channel} {numbers:?} {fields}"))
    }
}

impl Naive {
    fn read(message: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let (block_bytes, template, schema, version) = (word(0)?, word(2)?, word(4)?, word(6)?);
        let mut naive = Self {
            version,
            template,
            said: Said::Unknown,
            sides: Default::default(),
        };
        if schema != 22356 {
            return None;
        }
        if !(1..=7).contains(&template) {
            return Some(naive);
        }
        let block = message.get(8..8 + usize::from(block_bytes))?;
        let mut at = 8 + block.len();
        let shortest = [43, 60, 26, 26, 24, 24, 16][usize::from(template) - 1];
        if block.len() < shortest {
            return None;
        }
        let ts = if template == 7 { 0 } else { u64_at(block, 16) };
        let numbers = [u64_at(block, 0), u64_at(block, 8), ts];
        let kind = match template {
            3 | 5 => BookUpdateKind::Snapshot,
            _ => BookUpdateKind::Delta,
        };
        if (3..=6).contains(&template) {
            naive.read_sides(message, block, &mut at)?;
        }
        let channel = text(message, &mut at, 1)?;
        ChannelName::parse(channel).ok()?;
        let tick = match template {
            1 => Tick::Trade(Trade {
                price: decimal_at(block, 24),
                size: decimal_at(block, 33),
                side: [Side::Buy, Side::Sell]
                    .into_iter()
                    .nth(usize::from(block[42]).checked_sub(1)?)?,
                id: text(message, &mut at, 1)?,
            }),
            2 => Tick::Quote(Quote {
                bid_price: decimal_at(block, 24),
                bid_size: decimal_at(block, 33),
                ask_price: decimal_at(block, 42),
                ask_size: decimal_at(block, 51),
            }),
            7 => Tick::Message(text(message, &mut at, 4)?),
            _ => Tick::Book(BookUpdate {
                kind,
                bids: &[],
                asks: &[],
            }),
        };
        if version == 0 && at != message.len() {
            return None;
        }
        naive.said = Said::of(&tick, numbers, channel);
        Some(naive)
    }

    /// Bids and asks, which begin at `at`.
    fn read_sides(&mut self, message: &[u8], block: &[u8], at: &mut usize) -> Option<()> {
        let word = |at: usize| Some(u16::from_le_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let mixed = self.template > 4;
        for side in &mut self.sides {
            let (level_bytes, count) = (usize::from(word(*at)?), usize::from(word(*at + 2)?));
            *at += 4;
            if count > BOOK_LEVELS_MAX || (count > 0 && level_bytes < if mixed { 18 } else { 16 }) {
                return None;
            }
            for _ in 0..count {
                let level = message.get(*at..*at + level_bytes)?;
                *at += level_bytes;
                side.push(if mixed {
                    Level {
                        price: decimal_at(level, 0),
                        size: decimal_at(level, 9),
                    }
                } else {
                    Level {
                        price: Decimal::new(i64_at(level, 0), i8_at(block, 24)),
                        size: Decimal::new(i64_at(level, 8), i8_at(block, 25)),
                    }
                });
            }
        }
        Some(())
    }
}

/// A text whose length is written in so many bytes.
fn text<'a>(message: &'a [u8], at: &mut usize, length_bytes: usize) -> Option<&'a str> {
    let length = message.get(*at..*at + length_bytes)?;
    let length = length
        .iter()
        .rev()
        .fold(0, |length, byte| length << 8 | usize::from(*byte));
    let from = *at + length_bytes;
    *at = from + length;
    str::from_utf8(message.get(from..*at)?).ok()
}

fn u64_at(block: &[u8], at: usize) -> u64 {
    block[at..at + 8]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn i64_at(block: &[u8], at: usize) -> i64 {
    u64_at(block, at).cast_signed()
}

fn i8_at(block: &[u8], at: usize) -> i8 {
    block[at].cast_signed()
}

fn decimal_at(block: &[u8], at: usize) -> Decimal {
    Decimal::new(i64_at(block, at), i8_at(block, at + 8))
}

/// What a caller left in its list.
const LEVEL: Level = Level {
    price: Decimal::new(1, 0),
    size: Decimal::new(1, 0),
};
