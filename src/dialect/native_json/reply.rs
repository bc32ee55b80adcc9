//! What the server says to one client: the greeting and the answers to its requests.
//!
//! Never trusts a text that came from a peer: it is escaped, and cut where it is long.
//!
//! Invariant: whatever a peer wrote, one reply is one JSON object, and one to a request of at most
//! [`REQUEST_CHANNELS_MAX`](crate::limits::REQUEST_CHANNELS_MAX) channels has at most
//! [`REPLY_BYTES_MAX`](crate::limits::REPLY_BYTES_MAX) bytes.

use super::classes::Classes;
use super::string::{write_number, write_string, write_string_cut};
use crate::dialect::Code;
use crate::limits::{ACK_REASON_BYTES_MAX, ERROR_REASON_BYTES_MAX, REPLY_NAME_BYTES_MAX};
use crate::market::{ChannelClass, ChannelName};

/// What the server says first.
///
/// ```
/// use tickwire::dialect::native_json::{Classes, Hello, HelloLimits};
///
/// let limits = HelloLimits { subscriptions: 1024, message_bytes: 65536, requests_per_s: Some(50) };
/// let classes = Classes::default();
/// let hello =
///     Hello { connection: "c1", epoch: "e1", time_ns: 7, heartbeat_ms: Some(15_000), limits, classes: &classes };
/// let mut out = Vec::new();
/// hello.write_to(&mut out);
/// assert_eq!(
///     String::from_utf8(out).unwrap(),
///     r#"{"t":"hello","v":1,"conn":"c1","epoch":"e1","time":7,"hb":15000,"limits":{"subs":1024,"msg":65536,"rate":50}}"#
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// The server's name for the connection, as it stands in its log.
    pub connection: &'a str,
    /// Within it, the numbers of a channel are contiguous.
    pub epoch: &'a str,
    /// The server's time, in nanoseconds since the epoch of Unix.
    pub time_ns: u64,
    /// After how long a silence a heartbeat is sent; `None` where none ever is.
    pub heartbeat_ms: Option<u64>,
    /// What the client may do.
    pub limits: HelloLimits,
    /// Of which class channels are, where that is not their kind's.
    pub classes: &'a Classes,
}

/// What a client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloLimits {
    /// Subscriptions of the connection.
    pub subscriptions: u32,
    /// Bytes of one message to the server.
    pub message_bytes: u64,
    /// Requests a second; `None` where nobody counts.
    pub requests_per_s: Option<u32>,
}

impl Hello<'_> {
    /// Appends the message.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"t\":\"hello\",\"v\":1,\"conn\":");
        write_string(out, self.connection);
        out.extend_from_slice(b",\"epoch\":");
        write_string(out, self.epoch);
        write_field(out, "time", self.time_ns);
        write_optional(out, "hb", self.heartbeat_ms);
        out.extend_from_slice(b",\"limits\":{\"subs\":");
        write_number(out, self.limits.subscriptions);
        write_field(out, "msg", self.limits.message_bytes);
        write_optional(out, "rate", self.limits.requests_per_s);
        out.push(b'}');
        self.classes.write_to(out);
        out.push(b'}');
    }
}

/// How a client goes on that has something of a channel already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It is sent what it misses, and then `live`.
    Replay,
    /// It is sent the channel's state.
    Snap(ResumeFault),
    /// It is told what it misses, sent what is left of that, and then `live`.
    Gap(ResumeFault),
}

/// Why a client is not sent all that it misses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeFault {
    /// The server does not have it any more.
    Expired,
    /// Its numbers are of another epoch.
    Epoch,
}

impl ResumeFault {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
        }
    }
}

/// An acknowledgement, written as the channels of the request are dealt with, in any order.
///
/// ```
/// use tickwire::dialect::{Code, native_json::Ack};
/// use tickwire::market::{ChannelClass, ChannelName};
///
/// let mut out = Vec::new();
/// let mut ack = Ack::new(&mut out, Some(7));
/// ack.refused("x", Code::UnknownChannel, "expected kind:symbol, found no colon");
/// ack.subscribed(ChannelName::parse("trade:BTC-USD")?, ChannelClass::Append, 5001);
/// ack.finish();
/// assert_eq!(
///     String::from_utf8(out).unwrap(),
///     concat!(
///         r#"{"t":"ack","id":7,"ok":[{"ch":"trade:BTC-USD","class":"append","seq":5001}],"#,
///         r#""err":[{"ch":"x","code":4004,"msg":"expected kind:symbol, found no colon"}]}"#
///     )
/// );
/// # Ok::<(), tickwire::market::ChannelNameError>(())
/// ```
#[derive(Debug)]
#[must_use = "an acknowledgement is a whole message only after `finish`"]
pub struct Ack<'a> {
    out: &'a mut Vec<u8>,
    /// Entries of `err`, which stand behind all of `ok`. Nothing is allocated while all goes well.
    refused: Vec<u8>,
    /// Whether `ok` has an entry.
    any_ok: bool,
}

impl<'a> Ack<'a> {
    /// Begins an acknowledgement of the request with that `id`.
    pub fn new(out: &'a mut Vec<u8>, id: Option<u64>) -> Self {
        out.extend_from_slice(b"{\"t\":\"ack\"");
        write_optional(out, "id", id);
        out.extend_from_slice(b",\"ok\":[");
        Self {
            out,
            refused: Vec::new(),
            any_ok: false,
        }
    }

    /// The channel is subscribed, and `seq` is the number of its newest message. An append channel goes on with the
    /// one after it; any other begins with an image, and what follows that, up to `seq` and beyond.
    pub fn subscribed(&mut self, channel: ChannelName<'_>, class: ChannelClass, seq: u64) {
        self.granted(channel, class, seq);
        self.out.push(b'}');
    }

    /// The same for a channel of which the client has something already.
    pub fn resumed(&mut self, channel: ChannelName<'_>, class: ChannelClass, seq: u64, resume: Resume) {
        self.granted(channel, class, seq);
        let (how, why) = match resume {
            Resume::Replay => ("replay", None),
            Resume::Snap(why) => ("snap", Some(why)),
            Resume::Gap(why) => ("gap", Some(why)),
        };
        for part in [",\"resume\":\"", how, "\""] {
            self.out.extend_from_slice(part.as_bytes());
        }
        if let Some(why) = why {
            for part in [",\"why\":\"", why.as_str(), "\""] {
                self.out.extend_from_slice(part.as_bytes());
            }
        }
        self.out.push(b'}');
    }

    fn granted(&mut self, channel: ChannelName<'_>, class: ChannelClass, seq: u64) {
        self.begin_ok(channel.as_str());
        self.out.extend_from_slice(b",\"class\":\"");
        self.out.extend_from_slice(class.as_str().as_bytes());
        self.out.push(b'"');
        write_field(self.out, "seq", seq);
    }

    /// The pattern is subscribed; it matches that many channels at present.
    pub fn subscribed_pattern(&mut self, pattern: &str, matches: u64) {
        self.begin_ok(pattern);
        write_field(self.out, "match", matches);
        self.out.push(b'}');
    }

    /// The channel or pattern is no longer subscribed, or is one of those that `list` asked for.
    pub fn named(&mut self, channel: &str) {
        self.begin_ok(channel);
        self.out.push(b'}');
    }

    /// Nothing was done about this channel. `channel` may be any text that a peer wrote.
    pub fn refused(&mut self, channel: &str, code: Code, message: &str) {
        let refused = &mut self.refused;
        if !refused.is_empty() {
            refused.push(b',');
        }
        refused.extend_from_slice(b"{\"ch\":");
        write_string_cut(refused, channel, REPLY_NAME_BYTES_MAX);
        write_field(refused, "code", code.value());
        refused.extend_from_slice(b",\"msg\":");
        write_string_cut(refused, message, ACK_REASON_BYTES_MAX);
        refused.push(b'}');
    }

    /// Ends the message.
    pub fn finish(self) {
        self.out.extend_from_slice(b"],\"err\":[");
        self.out.extend_from_slice(&self.refused);
        self.out.extend_from_slice(b"]}");
    }

    fn begin_ok(&mut self, channel: &str) {
        if self.any_ok {
            self.out.push(b',');
        }
        self.any_ok = true;
        self.out.extend_from_slice(b"{\"ch\":");
        write_string_cut(self.out, channel, REPLY_NAME_BYTES_MAX);
    }
}

/// Appends an error: nothing was done about the request with that `id`.
pub fn write_error(out: &mut Vec<u8>, id: Option<u64>, code: Code, message: &str) {
    out.extend_from_slice(b"{\"t\":\"error\"");
    write_optional(out, "id", id);
    write_field(out, "code", code.value());
    out.extend_from_slice(b",\"msg\":");
    write_string_cut(out, message, ERROR_REASON_BYTES_MAX);
    out.push(b'}');
}

/// Appends the answer to a `pub`: the message is number `seq` of its channel.
///
/// ```
/// use tickwire::dialect::native_json::reply::write_published;
///
/// let mut out = Vec::new();
/// write_published(&mut out, Some(11), "room:42", 17);
/// assert_eq!(out, br#"{"t":"ack","id":11,"ch":"room:42","seq":17}"#);
/// ```
pub fn write_published(out: &mut Vec<u8>, id: Option<u64>, channel: &str, seq: u64) {
    out.extend_from_slice(b"{\"t\":\"ack\"");
    write_optional(out, "id", id);
    out.extend_from_slice(b",\"ch\":");
    write_string_cut(out, channel, REPLY_NAME_BYTES_MAX);
    write_field(out, "seq", seq);
    out.push(b'}');
}

/// Appends that nothing was published of line number `line`.
///
/// ```
/// use tickwire::dialect::{Code, native_json::reply::write_line_error};
///
/// let mut out = Vec::new();
/// write_line_error(&mut out, None, 7, Code::BadRequest, "ch: missing");
/// assert_eq!(out, br#"{"t":"error","line":7,"code":4000,"msg":"ch: missing"}"#);
/// ```
pub fn write_line_error(out: &mut Vec<u8>, id: Option<u64>, line: u64, code: Code, message: &str) {
    out.extend_from_slice(b"{\"t\":\"error\"");
    write_optional(out, "id", id);
    write_field(out, "line", line);
    write_field(out, "code", code.value());
    out.extend_from_slice(b",\"msg\":");
    write_string_cut(out, message, ERROR_REASON_BYTES_MAX);
    out.push(b'}');
}

/// Appends the answer to an `auth`: the client is who it says.
///
/// ```
/// use tickwire::dialect::native_json::reply::write_welcome;
///
/// let mut out = Vec::new();
/// write_welcome(&mut out, Some(1), "desk");
/// assert_eq!(out, br#"{"t":"ack","id":1,"name":"desk"}"#);
/// ```
pub fn write_welcome(out: &mut Vec<u8>, id: Option<u64>, name: &str) {
    out.extend_from_slice(b"{\"t\":\"ack\"");
    write_optional(out, "id", id);
    out.extend_from_slice(b",\"name\":");
    write_string(out, name);
    out.push(b'}');
}

/// The answer to a `ping`.
///
/// ```
/// use tickwire::dialect::native_json::Pong;
///
/// let mut out = Vec::new();
/// Pong { id: Some(12), t0: Some("1.50"), t1_ns: 8, t2_ns: 9 }.write_to(&mut out);
/// assert_eq!(out, br#"{"t":"pong","id":12,"t0":1.50,"t1":8,"t2":9}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong<'a> {
    /// The request's.
    pub id: Option<u64>,
    /// The client's time, a JSON number as the client wrote it.
    pub t0: Option<&'a str>,
    /// When the ping arrived, in nanoseconds since the epoch.
    pub t1_ns: u64,
    /// When this answer was written, in nanoseconds since the epoch.
    pub t2_ns: u64,
}

impl Pong<'_> {
    /// Appends the message.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"t\":\"pong\"");
        write_optional(out, "id", self.id);
        if let Some(t0) = self.t0 {
            out.extend_from_slice(b",\"t0\":");
            out.extend_from_slice(t0.as_bytes());
        }
        write_field(out, "t1", self.t1_ns);
        write_field(out, "t2", self.t2_ns);
        out.push(b'}');
    }
}

fn write_optional<I: itoa::Integer>(out: &mut Vec<u8>, key: &str, value: Option<I>) {
    if let Some(value) = value {
        write_field(out, key, value);
    }
}

pub(super) fn write_field<I: itoa::Integer>(out: &mut Vec<u8>, key: &str, value: I) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
    write_number(out, value);
}

#[cfg(test)]
mod tests;
