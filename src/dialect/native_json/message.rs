//! What a client reads from a message of the server.
//!
//! Never refuses a message for a type or field that it does not know: a newer server may say more. A message of a known
//! type that lacks what it needs reads as one of an unknown type.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use serde::Deserialize;

use super::classes::Told;
use super::fields::{self, Fields, ReadError};
use super::input::read_tick;
use crate::dialect::Stamp;
use crate::market::{ChannelName, Level, Tick};

/// A message of the server.
///
/// ```
/// use tickwire::dialect::native_json::ServerMessage;
/// use tickwire::market::Tick;
///
/// let text = r#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"ts":1,"pt":2,"px":"7.50","sz":"1","side":"buy"}"#;
/// let mut levels = Vec::new();
/// let ServerMessage::Tick(stamp, Tick::Trade(trade)) = ServerMessage::parse(text, &mut levels)? else {
///     unreachable!("it says trade");
/// };
/// assert_eq!((stamp.channel, stamp.seq, trade.price.to_string()), ("trade:BTC-USD", 5002, "7.50".to_owned()));
/// # Ok::<(), tickwire::dialect::native_json::MessageError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ServerMessage<'a> {
    /// `hello`: the first of every connection.
    Hello(Greeting<'a>),
    /// `trade`, `bbo`, `book` or `msg`. The `ts_ns` of a [`Tick::Message`] is 0, for it has none.
    Tick(Stamp<'a>, Tick<'a>),
    /// `ack`: what became of a request about channels.
    Ack(Answer<'a>),
    /// `ack` of a `pub`: what was to be published is.
    Published(Published<'a>),
    /// `pong`.
    Pong(PongSeen<'a>),
    /// `error`: nothing was done about a request.
    Error(RequestRefused<'a>),
    /// `gap`: messages of a channel are not sent.
    Gap(GapSeen<'a>),
    /// `live`: a replay is over.
    Live(LiveSeen<'a>),
    /// `hb`: nothing was sent for a while.
    Heartbeat(HeartbeatSeen),
    /// `warn`: the client is behind.
    Warning(WarningSeen),
    /// `shutdown`: the server goes.
    Shutdown(ShutdownSeen),
    /// Of a type that is not known here, or not in the form that is.
    Other(Other<'a>),
}

/// What a server says first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Greeting<'a> {
    /// The server's name for the connection.
    #[serde(borrow, rename = "conn")]
    pub connection: Cow<'a, str>,
    /// Within it, the numbers of a channel are contiguous.
    #[serde(borrow)]
    pub epoch: Cow<'a, str>,
    /// The server's time, in nanoseconds since the epoch of Unix.
    #[serde(rename = "time")]
    pub time_ns: u64,
    /// After how many milliseconds of silence a heartbeat is sent; none where none ever is.
    #[serde(default, rename = "hb")]
    pub heartbeat_ms: Option<u64>,
    /// What the client may do.
    pub limits: Allowed,
    /// Of which class channels are.
    #[serde(default = "Told::usual")]
    pub classes: Told,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Allowed {
    /// Subscriptions of the connection.
    #[serde(rename = "subs")]
    pub subscriptions: u64,
    /// Bytes of one message to the server.
    #[serde(rename = "msg")]
    pub message_bytes: u64,
    /// Requests a second; none where nobody counts.
    #[serde(default, rename = "rate")]
    pub requests_per_s: Option<u64>,
}

/// What became of the channels of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Answer<'a> {
    /// The number of the request.
    #[serde(default)]
    pub id: Option<u64>,
    /// What is granted.
    #[serde(borrow, default)]
    pub ok: Vec<Granted<'a>>,
    /// What is refused.
    #[serde(borrow, default)]
    pub err: Vec<Refused<'a>>,
}

/// A channel or pattern that a request was heard for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Granted<'a> {
    /// The channel or pattern.
    #[serde(borrow)]
    pub ch: Cow<'a, str>,
    /// `append`, `replace` or `book`; absent for a pattern.
    #[serde(borrow, default)]
    pub class: Option<Cow<'a, str>>,
    /// The channel's newest number.
    #[serde(default)]
    pub seq: Option<u64>,
    /// `replay`, `snap` or `gap`: how a client goes on that has something of the channel.
    #[serde(borrow, default)]
    pub resume: Option<Cow<'a, str>>,
    /// `expired` or `epoch`: why it is not sent all that it misses.
    #[serde(borrow, default)]
    pub why: Option<Cow<'a, str>>,
    /// How many channels a pattern matches.
    #[serde(default, rename = "match")]
    pub matches: Option<u64>,
}

/// A channel that a request was refused for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Refused<'a> {
    /// The channel, as far as the server gave it back.
    #[serde(borrow)]
    pub ch: Cow<'a, str>,
    /// The number of the error.
    pub code: u16,
    /// Its words.
    #[serde(borrow)]
    pub msg: Cow<'a, str>,
}

/// What was published by request.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Published<'a> {
    /// The number of the request.
    #[serde(default)]
    pub id: Option<u64>,
    /// The channel.
    #[serde(borrow)]
    pub ch: Cow<'a, str>,
    /// The number that the message has there.
    pub seq: u64,
}

/// The answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct PongSeen<'a> {
    /// The number of the request.
    #[serde(default)]
    pub id: Option<u64>,
    /// The client's time, digit for digit.
    #[serde(borrow, default, deserialize_with = "raw")]
    pub t0: Option<&'a str>,
    /// When the ping arrived, in nanoseconds since the epoch.
    #[serde(rename = "t1")]
    pub t1_ns: u64,
    /// When it was answered.
    #[serde(rename = "t2")]
    pub t2_ns: u64,
}

/// A request that nothing was done about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RequestRefused<'a> {
    /// The number of the request, where the server could read it.
    #[serde(default)]
    pub id: Option<u64>,
    /// The number of the error.
    pub code: u16,
    /// Its words.
    #[serde(borrow)]
    pub msg: Cow<'a, str>,
}

/// Messages that are not sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct GapSeen<'a> {
    /// Their channel.
    #[serde(borrow)]
    pub ch: Cow<'a, str>,
    /// The number of the first.
    pub from: u64,
    /// The number of the last.
    pub to: u64,
    /// `slow`, `expired` or `publisher`.
    #[serde(borrow)]
    pub why: Cow<'a, str>,
}

/// The end of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LiveSeen<'a> {
    /// The channel.
    #[serde(borrow)]
    pub ch: Cow<'a, str>,
    /// The number up to which everything was sent.
    pub seq: u64,
}

/// That nothing was sent for a while.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct HeartbeatSeen {
    /// The server's time, in nanoseconds since the epoch.
    #[serde(rename = "time")]
    pub time_ns: u64,
    /// The newest number of each channel that was subscribed by name.
    #[serde(default)]
    pub last: BTreeMap<String, u64>,
}

/// That the client is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct WarningSeen {
    /// By how many milliseconds.
    pub behind_ms: u64,
}

/// That the server goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct ShutdownSeen {
    /// In how many milliseconds it closes the connection.
    pub in_ms: u64,
    /// The least and the most milliseconds to wait, from then on, before coming back.
    pub retry_ms: (u64, u64),
}

/// A message that says something that is not known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other<'a> {
    /// Its type.
    pub t: Cow<'a, str>,
    /// The channel that it is of, if it says so.
    pub ch: Option<Cow<'a, str>>,
    /// Its number there.
    pub seq: Option<u64>,
    /// When it was published, in nanoseconds since the epoch: only what was published on a channel says so.
    pub pt_ns: Option<u64>,
}

impl<'a> ServerMessage<'a> {
    /// Reads one text message. The levels of a book are put into `levels`, whose old content is void.
    ///
    /// # Errors
    /// When it is not a JSON object or has no type `t`.
    pub fn parse(text: &'a str, levels: &'a mut Vec<Level>) -> Result<Self, MessageError> {
        let Fields {
            values: [t, ch, seq, ts, pt, said @ ..],
            ..
        } = fields::read(text, &NAMES)?;
        let kind = t.and_then(fields::string).ok_or(MessageError::NoType)?;
        let seq = seq.and_then(fields::unsigned);
        let read = match &*kind {
            "trade" | "bbo" | "book" | "msg" => {
                let stamp = stamp(ch, seq, ts, pt);
                let tick = stamp.and_then(|stamp| Some((stamp, read_tick(t, said, levels).ok()?)));
                tick.map(|(stamp, tick)| Self::Tick(stamp, tick))
            }
            "hello" => control(text).map(Self::Hello),
            "ack" if seq.is_some() => control(text).map(Self::Published),
            "ack" => control(text).map(Self::Ack),
            "pong" => control(text).map(Self::Pong),
            "error" => control(text).map(Self::Error),
            "gap" => control(text).map(Self::Gap),
            "live" => control(text).map(Self::Live),
            "hb" => control(text).map(Self::Heartbeat),
            "warn" => control(text).map(Self::Warning),
            "shutdown" => control(text).map(Self::Shutdown),
            _ => None,
        };
        Ok(read.unwrap_or_else(|| {
            Self::Other(Other {
                t: kind,
                ch: ch.and_then(fields::string),
                seq,
                pt_ns: pt.and_then(fields::unsigned),
            })
        }))
    }
}

/// Why a message cannot be read.
#[derive(Debug)]
pub enum MessageError {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// It is JSON, but not an object.
    NotAnObject,
    /// It does not say what it is.
    NoType,
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "{error}"),
            Self::NotAnObject => f.write_str("expected a JSON object"),
            Self::NoType => f.write_str("t: expected a string"),
        }
    }
}

impl Error for MessageError {}

impl From<ReadError> for MessageError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotAnObject => Self::NotAnObject,
            ReadError::NotJson(error) => Self::NotJson(error),
        }
    }
}

/// What a tick has besides what happened.
fn stamp<'a>(ch: Option<&'a str>, seq: Option<u64>, ts: Option<&str>, pt: Option<&str>) -> Option<Stamp<'a>> {
    // A name needs no escapes, so that it stands in the message as it is.
    let Cow::Borrowed(channel) = ch.and_then(fields::string)? else {
        return None;
    };
    Some(Stamp {
        channel: ChannelName::parse(channel).ok()?.as_str(),
        seq: seq?,
        ts_ns: ts.and_then(fields::unsigned).unwrap_or(0),
        pt_ns: pt.and_then(fields::unsigned)?,
    })
}

/// A message that is no tick. They are few, and read once more for it.
fn control<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    serde_json::from_str(text).ok()
}

/// The text of a value.
fn raw<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de str>, D::Error> {
    <&serde_json::value::RawValue>::deserialize(deserializer).map(|value| Some(value.get()))
}

/// All that a tick may say: what is asked for first stands first, and what [`read_tick`] wants stands behind it.
const NAMES: [&str; 17] = [
    "t", "ch", "seq", "ts", "pt", "px", "sz", "side", "tid", "bp", "bs", "ap", "as", "k", "b", "a", "data",
];

#[cfg(test)]
mod tests;
