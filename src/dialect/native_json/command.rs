//! What a client asks for.
//!
//! Never looks at what a channel's name says: whether it is one is told for each channel in the reply.
//!
//! Invariant: whatever the text, the answer is a command or an error with a code and a reason, and it carries the
//! request's `id` wherever that could be read.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use serde::Deserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::fields::{self, Fields, ReadError};
use crate::dialect::Code;
use crate::limits::{PING_TIME_BYTES_MAX, PUBLISH_KEY_BYTES_MAX, REQUEST_CHANNELS_MAX};

/// What a client asks for, as far as this version serves it.
///
/// ```
/// use tickwire::dialect::{Code, native_json::Command};
///
/// let Command::Subscribe { id, channels, .. } = Command::parse(r#"{"op":"sub","id":7,"ch":["trade:*"]}"#)? else {
///     unreachable!("it says sub");
/// };
/// assert_eq!((id, channels.as_slice()), (Some(7), &["trade:*".into()][..]));
///
/// let error = Command::parse(r#"{"op":"sing","id":8}"#).unwrap_err();
/// assert_eq!((error.code, error.id), (Code::UnknownOp, Some(8)));
/// # Ok::<(), tickwire::dialect::native_json::CommandError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// `sub`: send what happens on these channels. Each is a name or a pattern, not checked yet.
    Subscribe {
        /// To be given back in the reply.
        id: Option<u64>,
        /// As the client wrote them; at most [`REQUEST_CHANNELS_MAX`].
        channels: Vec<Cow<'a, str>>,
        /// What it has of them already.
        since: Option<Since<'a>>,
    },
    /// `unsub`: send no more of these channels.
    Unsubscribe {
        /// To be given back in the reply.
        id: Option<u64>,
        /// As the client wrote them; at most [`REQUEST_CHANNELS_MAX`].
        channels: Vec<Cow<'a, str>>,
    },
    /// `snap`: send the images of these channels once more.
    Snap {
        /// To be given back in the reply.
        id: Option<u64>,
        /// As the client wrote them; at most [`REQUEST_CHANNELS_MAX`].
        channels: Vec<Cow<'a, str>>,
    },
    /// `list`: say what is subscribed.
    List {
        /// To be given back in the reply.
        id: Option<u64>,
    },
    /// `ping`: answer with the time.
    Ping {
        /// To be given back in the reply.
        id: Option<u64>,
        /// The client's time, a JSON number to be given back digit for digit.
        t0: Option<&'a str>,
    },
    /// `pub`: publish what the request says besides.
    Publish {
        /// To be given back in the reply.
        id: Option<u64>,
        /// Where to, as the client wrote it; not checked yet.
        channel: Cow<'a, str>,
        /// What tells it from others of the same publisher; 1 to [`PUBLISH_KEY_BYTES_MAX`] bytes.
        key: Option<Cow<'a, str>>,
        /// The whole request: what is published is read by [`Input::parse_request`](super::Input::parse_request).
        text: &'a str,
    },
    /// `auth`: say who is there.
    Authenticate {
        /// To be given back in the reply.
        id: Option<u64>,
        /// What proves it.
        token: Cow<'a, str>,
    },
}

/// What a client has of channels that it subscribes to again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since<'a> {
    /// Within which the numbers count.
    pub epoch: Cow<'a, str>,
    /// The number of the last message of each channel.
    pub seqs: HashMap<Cow<'a, str>, u64>,
}

impl<'a> Command<'a> {
    /// Reads one text message.
    ///
    /// `ch` is an array of strings or a single one, and of `pub` a single one. `id`, `since`, `t0` and `key` may be absent or
    /// null. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`Code::BadJson`] when it is not JSON, [`Code::UnknownOp`] when this version serves no such `op`, [`Code::BadSince`]
    /// when `since` does not say within which epoch which numbers were seen, and [`Code::BadRequest`] when any other
    /// field is missing, there twice or ill-typed, or there are too many channels.
    pub fn parse(text: &'a str) -> Result<Self, CommandError> {
        let fields = fields::read(text, &["op", "id", "ch", "t0", "since", "key", "token"])
            .map_err(|error| unread(&error))?;
        let Fields {
            values: [op, id, ch, t0, since, key, token],
            twice,
        } = fields;
        let id = read_id(id)?;
        let asked = Asked {
            text,
            id,
            ch,
            t0,
            since,
            key,
            token,
        };
        asked
            .command(twice, op)
            .map_err(|(code, message)| CommandError { code, id, message })
    }

    /// The channels that it names.
    #[must_use]
    pub fn channels(&self) -> &[Cow<'a, str>] {
        match self {
            Self::Subscribe { channels, .. }
            | Self::Unsubscribe { channels, .. }
            | Self::Snap { channels, .. } => channels,
            Self::List { .. } | Self::Ping { .. } | Self::Publish { .. } | Self::Authenticate { .. } => &[],
        }
    }

    /// The number that the reply gives back.
    #[must_use]
    pub const fn id(&self) -> Option<u64> {
        match self {
            Self::Subscribe { id, .. }
            | Self::Unsubscribe { id, .. }
            | Self::Snap { id, .. }
            | Self::List { id }
            | Self::Ping { id, .. }
            | Self::Publish { id, .. }
            | Self::Authenticate { id, .. } => *id,
        }
    }
}

/// What a line that is to be published says about itself, beside the message.
///
/// ```
/// use tickwire::dialect::native_json::Label;
///
/// let label = Label::read(r#"{"id":3,"ch":"room:42","t":"msg","data":1,"key":"k"}"#)?;
/// assert_eq!((label.id, label.channel.as_deref(), label.key.as_deref()), (Some(3), Some("room:42"), Some("k")));
/// # Ok::<(), tickwire::dialect::native_json::CommandError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label<'a> {
    /// To be given back in the reply.
    pub id: Option<u64>,
    /// Where it goes, where that could be read; not checked.
    pub channel: Option<Cow<'a, str>>,
    /// What tells it from others of the same publisher.
    pub key: Option<Cow<'a, str>>,
}

impl<'a> Label<'a> {
    /// Reads what one line says about itself.
    ///
    /// # Errors
    /// When it is not JSON, or `id` or `key` is ill-typed or there twice.
    pub fn read(text: &'a str) -> Result<Self, CommandError> {
        let fields = fields::read(text, &["id", "ch", "key"]).map_err(|error| unread(&error))?;
        let Fields {
            values: [id, ch, key],
            twice,
        } = fields;
        let id = read_id(id)?;
        let failed = |(code, message)| CommandError { code, id, message };
        if let Some(name) = twice {
            return Err(failed(bad_request(format!("{name}: given twice"))));
        }
        let key = key.filter(|key| *key != "null").map(read_key).transpose();
        Ok(Self {
            id,
            channel: ch.and_then(fields::string),
            key: key.map_err(failed)?,
        })
    }
}

/// The fields of a request, each as it stands.
struct Asked<'a> {
    text: &'a str,
    id: Option<u64>,
    ch: Option<&'a str>,
    t0: Option<&'a str>,
    since: Option<&'a str>,
    key: Option<&'a str>,
    token: Option<&'a str>,
}

impl<'a> Asked<'a> {
    fn command(self, twice: Option<&str>, op: Option<&'a str>) -> Result<Command<'a>, Fault> {
        let Self {
            text,
            id,
            ch,
            t0,
            since,
            key,
            token,
        } = self;
        if let Some(name) = twice {
            return Err(bad_request(format!("{name}: given twice")));
        }
        let op = op.ok_or_else(|| bad_request("op: missing".to_owned()))?;
        let op = fields::string(op).ok_or_else(|| expected("op", "a string", op))?;
        match &*op {
            "sub" => Ok(Command::Subscribe {
                id,
                channels: read_channels(ch)?,
                since: since
                    .filter(|since| *since != "null")
                    .map(read_since)
                    .transpose()?,
            }),
            "unsub" => Ok(Command::Unsubscribe {
                id,
                channels: read_channels(ch)?,
            }),
            "snap" => Ok(Command::Snap {
                id,
                channels: read_channels(ch)?,
            }),
            "list" => Ok(Command::List { id }),
            "ping" => Ok(Command::Ping {
                id,
                t0: t0.filter(|t0| *t0 != "null").map(read_time).transpose()?,
            }),
            "pub" => Ok(Command::Publish {
                id,
                channel: read_channel(ch)?,
                key: key.filter(|key| *key != "null").map(read_key).transpose()?,
                text,
            }),
            "auth" => Ok(Command::Authenticate {
                id,
                token: read_token(token)?,
            }),
            other => Err((
                Code::UnknownOp,
                format!("op: {:?} is not known; this server serves {OPS}", cut(other)),
            )),
        }
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The code for the reply.
    pub code: Code,
    /// The request's own number, where it could be read.
    pub id: Option<u64>,
    /// What is wrong, and where.
    pub message: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for CommandError {}

/// What is wrong with a request whose `id` is known.
type Fault = (Code, String);

fn unread(error: &ReadError) -> CommandError {
    let (code, message) = match error {
        ReadError::NotAnObject => bad_request("expected a JSON object".to_owned()),
        ReadError::NotJson(error) => (Code::BadJson, error.to_string()),
    };
    CommandError {
        code,
        id: None,
        message,
    }
}

fn read_id(id: Option<&str>) -> Result<Option<u64>, CommandError> {
    match id {
        None | Some("null") => Ok(None),
        Some(value) => fields::unsigned(value).map(Some).ok_or_else(|| {
            let (code, message) = expected("id", "an unsigned integer of 64 bits", value);
            CommandError {
                code,
                id: None,
                message,
            }
        }),
    }
}

fn read_time(value: &str) -> Result<&str, Fault> {
    if !value.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(expected("t0", "a number", value));
    }
    if value.len() > PING_TIME_BYTES_MAX {
        return Err(bad_request(format!(
            "t0: a number of {} bytes, at most {PING_TIME_BYTES_MAX} are given back",
            value.len()
        )));
    }
    Ok(value)
}

fn read_channels(ch: Option<&str>) -> Result<Vec<Cow<'_, str>>, Fault> {
    let ch = ch.ok_or_else(|| bad_request("ch: missing".to_owned()))?;
    if let Some(channel) = fields::string(ch) {
        return Ok(vec![channel]);
    }
    let read = serde_json::Deserializer::from_str(ch).deserialize_seq(ChannelsVisitor);
    read.unwrap_or_else(|_| Err(expected("ch", "an array of strings", ch)))
}

fn read_channel(ch: Option<&str>) -> Result<Cow<'_, str>, Fault> {
    let ch = ch.ok_or_else(|| bad_request("ch: missing".to_owned()))?;
    fields::string(ch).ok_or_else(|| expected("ch", "a string", ch))
}

fn read_key(key: &str) -> Result<Cow<'_, str>, Fault> {
    let text = fields::string(key).ok_or_else(|| expected("key", "a string", key))?;
    if !(1..=PUBLISH_KEY_BYTES_MAX).contains(&text.len()) {
        return Err(bad_request(format!(
            "key: {} bytes, from 1 to {PUBLISH_KEY_BYTES_MAX} are allowed",
            text.len()
        )));
    }
    Ok(text)
}

/// A token that is none is not shown to anybody.
fn read_token(token: Option<&str>) -> Result<Cow<'_, str>, Fault> {
    token
        .and_then(fields::string)
        .ok_or_else(|| bad_request("token: expected a string".to_owned()))
}

fn read_since(value: &str) -> Result<Since<'_>, Fault> {
    let bad = |message: String| (Code::BadSince, message);
    let read = serde_json::Deserializer::from_str(value).deserialize_map(EntriesVisitor);
    let mut entries = read.map_err(|_| bad(format!("since: expected an object, found {}", cut(value))))?;
    let epoch = entries
        .remove("epoch")
        .and_then(|epoch| fields::string(epoch.get()));
    let epoch = epoch.ok_or_else(|| bad("since.epoch: expected a string".to_owned()))?;
    if entries.len() > REQUEST_CHANNELS_MAX {
        return Err(bad(format!("since: more than {REQUEST_CHANNELS_MAX} channels")));
    }
    let mut seqs = HashMap::with_capacity(entries.len());
    for (channel, value) in entries {
        let seq = fields::unsigned(value.get()).ok_or_else(|| {
            let (channel, found) = (cut(&channel), cut(value.get()));
            bad(format!(
                "since.{channel}: expected an unsigned integer of 64 bits, found {found}"
            ))
        })?;
        seqs.insert(channel, seq);
    }
    Ok(Since { epoch, seqs })
}

/// Reads an object's fields, each as it stands; of two of the same name the latter counts.
struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = HashMap<Cow<'de, str>, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = HashMap::new();
        while let Some((name, value)) = map.next_entry::<Cow<'de, str>, &'de RawValue>()? {
            entries.insert(name, value);
        }
        Ok(entries)
    }
}

/// Reads the array to its end even when one of its elements is at fault: the fault is the value.
struct ChannelsVisitor;

impl<'de> Visitor<'de> for ChannelsVisitor {
    type Value = Result<Vec<Cow<'de, str>>, Fault>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut channels = Vec::new();
        let mut fault = None;
        while let Some(value) = seq.next_element::<&'de RawValue>()? {
            let place = channels.len();
            match fields::string(value.get()) {
                _ if fault.is_some() => {}
                _ if place == REQUEST_CHANNELS_MAX => fault = Some(too_many_channels()),
                None => fault = Some(expected(&format!("ch[{place}]"), "a string", value.get())),
                Some(channel) => channels.push(channel),
            }
        }
        Ok(fault.map_or(Ok(channels), Err))
    }
}

fn expected(field: &str, what: &str, found: &str) -> Fault {
    bad_request(format!("{field}: expected {what}, found {}", cut(found)))
}

pub(super) fn too_many_channels() -> Fault {
    bad_request(format!("ch: more than {REQUEST_CHANNELS_MAX} channels"))
}

pub(super) const fn bad_request(message: String) -> Fault {
    (Code::BadRequest, message)
}

/// The first characters of what a peer wrote, enough to recognise it by.
fn cut(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(FOUND_CHARS_MAX) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", text.get(..at).unwrap_or_default())),
    }
}

/// Characters of a peer's own text that an error shows it.
const FOUND_CHARS_MAX: usize = 40;

/// What this version serves, for those who asked for something else.
const OPS: &str = "sub, unsub, snap, list, ping, pub and auth";

#[cfg(test)]
mod tests;
