//! One recorded line of Binance spot: `<receive time, ns> <JSON>`, where the JSON is a message of a combined
//! stream (`{"stream":…,"data":…}`) or a depth snapshot as the REST interface answers it.
//!
//! It keeps no state between lines and allocates nothing for a good one beyond the levels' own scratch. Invariant: a
//! message that is returned is complete and its numbers are the venue's text, digit for digit.
//!
//! Formats: Binance spot API documentation, "WebSocket Streams" (trade, bookTicker, diff. depth) and "Market Data
//! endpoints" (order book).

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::fmt;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::tally::{BadLine, Fault};
use crate::limits::BOOK_LEVELS_MAX;
use crate::market::{Decimal, Level, Quote, Side};

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Message<'a> {
    pub(super) received_ns: u64,
    pub(super) subject: Subject<'a>,
    pub(super) body: Body,
}

/// Which symbol a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    /// The message names it.
    Named(&'a str),
    /// Only its stream does, in lower case.
    Stream(&'a str),
    /// Nothing does: a bare snapshot.
    Unnamed,
}

/// What happened. The levels of a delta or snapshot are in the [`Levels`] given to [`parse`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Body {
    Trade {
        ts_ns: u64,
        id: u64,
        price: Decimal,
        size: Decimal,
        side: Side,
    },
    Quote(Quote),
    Delta {
        ts_ns: u64,
        updates: Updates,
    },
    Snapshot {
        last_update: u64,
    },
}

/// The range of update numbers that a depth delta covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Updates {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// Room for the levels of one line, used again for the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Levels {
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

/// Reads one line.
pub(super) fn parse<'a>(line: &'a [u8], levels: &mut Levels) -> Result<Message<'a>, BadLine> {
    let line = simdutf8::compat::from_utf8(line)
        .map_err(|error| BadLine::new(Fault::NotUtf8, format!("at byte {}", error.valid_up_to())))?;
    let (received_ns, json) = receive_time(line)?;
    let envelope: Envelope<'a> = from_json(json)?;
    let (subject, body) = match envelope {
        Envelope {
            stream: Some(stream),
            data: Some(data),
            ..
        } => streamed(stream, data.get(), levels)?,
        Envelope {
            stream: None,
            data: Some(data),
            ..
        } => {
            let rest: RestSnapshot<'a> = from_json(data.get())?;
            (Subject::Unnamed, snapshot(&rest, levels)?)
        }
        Envelope {
            data: None,
            last_update_id: Some(last_update_id),
            bids: Some(bids),
            asks: Some(asks),
            stream,
        } => {
            let rest = RestSnapshot {
                last_update_id,
                bids,
                asks,
            };
            let subject = match stream {
                Some(stream) => Subject::Stream(split_stream(stream)?.0),
                None => Subject::Unnamed,
            };
            (subject, snapshot(&rest, levels)?)
        }
        Envelope { .. } => {
            return Err(BadLine::new(
                Fault::Shape,
                "neither a combined stream's message (stream, data) nor a snapshot (lastUpdateId, bids, asks)",
            ));
        }
    };
    Ok(Message {
        received_ns,
        subject,
        body,
    })
}

#[derive(Deserialize)]
struct Envelope<'a> {
    stream: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
    #[serde(borrow)]
    bids: Option<&'a RawValue>,
    #[serde(borrow)]
    asks: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RestSnapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    #[serde(borrow)]
    bids: &'a RawValue,
    #[serde(borrow)]
    asks: &'a RawValue,
}

#[derive(Deserialize)]
struct TradeMessage<'a> {
    #[serde(rename = "s")]
    symbol: &'a str,
    #[serde(rename = "t")]
    id: u64,
    #[serde(rename = "p")]
    price: &'a str,
    #[serde(rename = "q")]
    size: &'a str,
    #[serde(rename = "T")]
    time_ms: u64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

#[derive(Deserialize)]
struct TickerMessage<'a> {
    #[serde(rename = "s")]
    symbol: &'a str,
    #[serde(rename = "b")]
    bid_price: &'a str,
    #[serde(rename = "B")]
    bid_size: &'a str,
    #[serde(rename = "a")]
    ask_price: &'a str,
    #[serde(rename = "A")]
    ask_size: &'a str,
}

#[derive(Deserialize)]
struct DepthMessage<'a> {
    #[serde(rename = "s")]
    symbol: &'a str,
    #[serde(rename = "E")]
    time_ms: u64,
    #[serde(rename = "U")]
    first: u64,
    #[serde(rename = "u")]
    last: u64,
    #[serde(rename = "b", borrow)]
    bids: &'a RawValue,
    #[serde(rename = "a", borrow)]
    asks: &'a RawValue,
}

/// Tells a snapshot from a delta, which may come on the same stream.
#[derive(Deserialize)]
struct Probe {
    #[serde(rename = "lastUpdateId")]
    last_update_id: Option<u64>,
}

fn receive_time(line: &str) -> Result<(u64, &str), BadLine> {
    let (time, json) = line
        .split_once(' ')
        .ok_or_else(|| BadLine::new(Fault::ReceiveTime, "no space behind the receive time"))?;
    let digits = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
    match time.parse() {
        Ok(time) if digits => Ok((time, json)),
        _ => Err(BadLine::new(
            Fault::ReceiveTime,
            format!("{:?} is no time in nanoseconds", clip(time)),
        )),
    }
}

fn streamed<'a>(stream: &'a str, data: &'a str, levels: &mut Levels) -> Result<(Subject<'a>, Body), BadLine> {
    let (stream_symbol, kind) = split_stream(stream)?;
    let (symbol, body) = match kind {
        "trade" => trade(data)?,
        "bookTicker" => ticker(data)?,
        // Not `depth20` and its like: the top of a book cannot stand for the book.
        _ if kind == "depth" || kind.starts_with("depth@") => {
            if from_json::<Probe>(data)?.last_update_id.is_some() {
                let rest: RestSnapshot<'a> = from_json(data)?;
                return Ok((Subject::Stream(stream_symbol), snapshot(&rest, levels)?));
            }
            depth(data, levels)?
        }
        _ => {
            return Err(BadLine::new(
                Fault::Kind,
                format!("the stream {:?} is not carried", clip(stream)),
            ));
        }
    };
    if !symbol.eq_ignore_ascii_case(stream_symbol) {
        let detail = format!("the stream {:?} carries symbol {:?}", clip(stream), clip(symbol));
        return Err(BadLine::new(Fault::Name, detail));
    }
    Ok((Subject::Named(symbol), body))
}

fn split_stream(stream: &str) -> Result<(&str, &str), BadLine> {
    stream.split_once('@').ok_or_else(|| {
        BadLine::new(
            Fault::Kind,
            format!("the stream {:?} is not carried", clip(stream)),
        )
    })
}

fn trade(data: &str) -> Result<(&str, Body), BadLine> {
    let message: TradeMessage<'_> = from_json(data)?;
    let body = Body::Trade {
        ts_ns: nanoseconds(message.time_ms)?,
        id: message.id,
        price: number(message.price)?,
        size: size(message.size)?,
        // The maker rested in the book, so it was the other one who crossed the spread.
        side: if message.buyer_is_maker {
            Side::Sell
        } else {
            Side::Buy
        },
    };
    Ok((message.symbol, body))
}

fn ticker(data: &str) -> Result<(&str, Body), BadLine> {
    let message: TickerMessage<'_> = from_json(data)?;
    let body = Body::Quote(Quote {
        bid_price: number(message.bid_price)?,
        bid_size: size(message.bid_size)?,
        ask_price: number(message.ask_price)?,
        ask_size: size(message.ask_size)?,
    });
    Ok((message.symbol, body))
}

fn depth<'a>(data: &'a str, levels: &mut Levels) -> Result<(&'a str, Body), BadLine> {
    let message: DepthMessage<'a> = from_json(data)?;
    if message.first > message.last {
        let detail = format!("updates {} to {}", message.first, message.last);
        return Err(BadLine::new(Fault::Number, detail));
    }
    levels.read(message.bids, message.asks)?;
    let body = Body::Delta {
        ts_ns: nanoseconds(message.time_ms)?,
        updates: Updates {
            first: message.first,
            last: message.last,
        },
    };
    Ok((message.symbol, body))
}

fn snapshot(rest: &RestSnapshot<'_>, levels: &mut Levels) -> Result<Body, BadLine> {
    levels.read(rest.bids, rest.asks)?;
    Ok(Body::Snapshot {
        last_update: rest.last_update_id,
    })
}

fn nanoseconds(ms: u64) -> Result<u64, BadLine> {
    ms.checked_mul(1_000_000)
        .ok_or_else(|| BadLine::new(Fault::Number, format!("{ms} ms is no time")))
}

fn number(text: &str) -> Result<Decimal, BadLine> {
    Decimal::parse(text).map_err(|error| BadLine::new(Fault::Number, format!("{:?}: {error}", clip(text))))
}

fn size(text: &str) -> Result<Decimal, BadLine> {
    let size = number(text)?;
    if size.is_negative() {
        return Err(BadLine::new(Fault::Number, format!("the size {text} is below 0")));
    }
    Ok(size)
}

fn from_json<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, BadLine> {
    serde_json::from_str(json).map_err(|error| {
        let fault = if error.is_data() {
            Fault::Shape
        } else {
            Fault::Json
        };
        BadLine::new(fault, error.to_string())
    })
}

/// As much of a stranger's text as a log should repeat.
fn clip(text: &str) -> &str {
    match text.char_indices().nth(CLIP_CHARS) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

impl Levels {
    fn read(&mut self, bids: &RawValue, asks: &RawValue) -> Result<(), BadLine> {
        for (raw, into) in [(bids, &mut self.bids), (asks, &mut self.asks)] {
            into.clear();
            let mut bad = None;
            let mut json = serde_json::Deserializer::from_str(raw.get());
            let side = SideSeed {
                levels: into,
                bad: &mut bad,
            };
            if let Err(error) = side.deserialize(&mut json) {
                return Err(bad.unwrap_or_else(|| BadLine::new(Fault::Shape, error.to_string())));
            }
        }
        Ok(())
    }
}

/// Reads `[["price","size"],…]` into a vector that is already there. JSON's own errors cannot carry ours, so
/// those are left in `bad`.
struct SideSeed<'s> {
    levels: &'s mut Vec<Level>,
    bad: &'s mut Option<BadLine>,
}

impl<'de> DeserializeSeed<'de> for SideSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SideSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of [\"price\", \"size\"]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some((price, size_text)) = seq.next_element::<(&str, &str)>()? {
            let level = if self.levels.len() < BOOK_LEVELS_MAX {
                number(price).and_then(|price| {
                    Ok(Level {
                        price,
                        size: size(size_text)?,
                    })
                })
            } else {
                Err(BadLine::new(
                    Fault::Levels,
                    format!("more than {BOOK_LEVELS_MAX} on one side"),
                ))
            };
            match level {
                Ok(level) => self.levels.push(level),
                Err(bad) => {
                    *self.bad = Some(bad);
                    return Err(serde::de::Error::custom("a bad level"));
                }
            }
        }
        Ok(())
    }
}

/// Characters of a stranger's text that a warning repeats.
const CLIP_CHARS: usize = 40;
