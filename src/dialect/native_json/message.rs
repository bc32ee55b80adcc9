//! What a client reads from a message of the server.
//!
//! Never refuses a message for a type or field that it does not know: a newer server may say more. A field whose
//! form is not the expected one reads as absent.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::Deserialize;

use super::fields::{self, Fields, ReadError};
use crate::dialect::Stamp;
use crate::market::{BookUpdateKind, Tick};

/// A message of the server, as far as a client needs to understand it to show and count it.
///
/// ```
/// use tickwire::dialect::native_json::ServerMessage;
///
/// let message = ServerMessage::parse(r#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"ts":1,"pt":2,"px":"7"}"#)?;
/// assert_eq!((&*message.t, message.ch.as_deref(), message.seq), ("trade", Some("trade:BTC-USD"), Some(5002)));
/// # Ok::<(), tickwire::dialect::native_json::MessageError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerMessage<'a> {
    /// What kind of message it is.
    pub t: Cow<'a, str>,
    /// The request that it answers.
    pub id: Option<u64>,
    /// The channel.
    pub ch: Option<Cow<'a, str>>,
    /// The number within the channel.
    pub seq: Option<u64>,
    /// When it happened, in nanoseconds since the epoch.
    pub ts_ns: Option<u64>,
    /// When it was published, in nanoseconds since the epoch.
    pub pt_ns: Option<u64>,
    /// `snap` or `delta`, of a book.
    pub k: Option<Cow<'a, str>>,
    /// The number of an error.
    pub code: Option<u16>,
    /// The words of an error.
    pub msg: Option<Cow<'a, str>>,
    /// What an acknowledgement grants.
    pub ok: Vec<Granted<'a>>,
    /// What an acknowledgement refuses.
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

impl<'a> ServerMessage<'a> {
    /// Reads one text message.
    ///
    /// # Errors
    /// When it is not a JSON object or has no type `t`.
    pub fn parse(text: &'a str) -> Result<Self, MessageError> {
        let names = &[
            "t", "id", "ch", "seq", "ts", "pt", "k", "code", "msg", "ok", "err",
        ];
        let Fields {
            values: [t, id, ch, seq, ts, pt, k, code, msg, ok, err],
            ..
        } = fields::read(text, names)?;
        Ok(Self {
            t: t.and_then(fields::string).ok_or(MessageError::NoType)?,
            id: id.and_then(fields::unsigned),
            ch: ch.and_then(fields::string),
            seq: seq.and_then(fields::unsigned),
            ts_ns: ts.and_then(fields::unsigned),
            pt_ns: pt.and_then(fields::unsigned),
            k: k.and_then(fields::string),
            code: code.and_then(|code| code.parse().ok()),
            msg: msg.and_then(fields::string),
            ok: entries(ok),
            err: entries(err),
        })
    }

    /// What [`encode`](super::encode()) would say of this tick.
    ///
    /// ```
    /// use tickwire::dialect::Stamp;
    /// use tickwire::dialect::native_json::{ServerMessage, encode};
    /// use tickwire::market::Tick;
    ///
    /// let (stamp, tick) = (Stamp { channel: "room:42", seq: 18, ts_ns: 0, pt_ns: 6 }, Tick::Message("1"));
    /// let mut text = Vec::new();
    /// encode(&mut text, &stamp, &tick);
    /// assert_eq!(ServerMessage::of_tick(&stamp, &tick), ServerMessage::parse(str::from_utf8(&text)?)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn of_tick(stamp: &Stamp<'a>, tick: &Tick<'_>) -> Self {
        let (t, k) = match tick {
            Tick::Trade(_) => ("trade", None),
            Tick::Quote(_) => ("bbo", None),
            Tick::Book(update) => match update.kind {
                BookUpdateKind::Snapshot => ("book", Some("snap".into())),
                BookUpdateKind::Delta => ("book", Some("delta".into())),
            },
            Tick::Message(_) => ("msg", None),
        };
        Self {
            t: t.into(),
            id: None,
            ch: Some(stamp.channel.into()),
            seq: Some(stamp.seq),
            ts_ns: (!matches!(tick, Tick::Message(_))).then_some(stamp.ts_ns),
            pt_ns: Some(stamp.pt_ns),
            k,
            code: None,
            msg: None,
            ok: Vec::new(),
            err: Vec::new(),
        }
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

fn entries<'a, T: Deserialize<'a>>(value: Option<&'a str>) -> Vec<T> {
    value
        .and_then(|value| serde_json::from_str(value).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
