//! What the server says to one client besides its replies: that it is behind, what it is not sent, that a replay is over,
//! that there was nothing to send, that the server goes.
//!
//! Invariant: one notice is one JSON object, and short, whatever it is about.

use super::reply::write_field;
use super::string::{write_number, write_string};
use crate::limits::{HEARTBEAT_CHANNELS_MAX, RETRY_MS_LEAST, RETRY_MS_MOST};

/// Why messages are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapCause {
    /// The client did not read in time.
    Slow,
    /// The server does not have them any more.
    Expired,
}

impl GapCause {
    /// As the message says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Expired => "expired",
        }
    }
}

/// Appends a gap: of `channel`, the messages from the number `from` up to `to` are not sent.
///
/// ```
/// use tickwire::dialect::native_json::{GapCause, write_gap};
///
/// let mut out = Vec::new();
/// write_gap(&mut out, "trade:BTC-USD", 5041, 5100, GapCause::Slow);
/// assert_eq!(out, br#"{"t":"gap","ch":"trade:BTC-USD","from":5041,"to":5100,"why":"slow"}"#);
/// ```
pub fn write_gap(out: &mut Vec<u8>, channel: &str, from: u64, to: u64, why: GapCause) {
    out.extend_from_slice(b"{\"t\":\"gap\",\"ch\":");
    write_string(out, channel);
    write_field(out, "from", from);
    write_field(out, "to", to);
    out.extend_from_slice(b",\"why\":\"");
    out.extend_from_slice(why.as_str().as_bytes());
    out.extend_from_slice(b"\"}");
}

/// Appends a warning: the client is so many milliseconds behind, and will not be sent everything.
///
/// ```
/// use tickwire::dialect::native_json::write_warning;
///
/// let mut out = Vec::new();
/// write_warning(&mut out, 750);
/// assert_eq!(out, br#"{"t":"warn","code":"slow","behind_ms":750}"#);
/// ```
pub fn write_warning(out: &mut Vec<u8>, behind_ms: u64) {
    out.extend_from_slice(b"{\"t\":\"warn\",\"code\":\"slow\"");
    write_field(out, "behind_ms", behind_ms);
    out.push(b'}');
}

/// Appends a heartbeat: nothing was sent for a while, and these are the newest numbers of channels, of which the first
/// [`HEARTBEAT_CHANNELS_MAX`] are told.
///
/// ```
/// use tickwire::dialect::native_json::write_heartbeat;
///
/// let mut out = Vec::new();
/// write_heartbeat(&mut out, 7, [("trade:BTC-USD", 5002), ("room:42", 0)]);
/// assert_eq!(out, br#"{"t":"hb","time":7,"last":{"trade:BTC-USD":5002,"room:42":0}}"#);
/// ```
pub fn write_heartbeat<'a>(out: &mut Vec<u8>, time_ns: u64, last: impl IntoIterator<Item = (&'a str, u64)>) {
    out.extend_from_slice(b"{\"t\":\"hb\"");
    write_field(out, "time", time_ns);
    out.extend_from_slice(b",\"last\":{");
    for (index, (channel, seq)) in last.into_iter().take(HEARTBEAT_CHANNELS_MAX).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, channel);
        out.push(b':');
        write_number(out, seq);
    }
    out.extend_from_slice(b"}}");
}

/// Appends a farewell: the server closes the connection in so many milliseconds, and the client is to come back after a
/// random time within a range that is the same for all.
///
/// ```
/// use tickwire::dialect::native_json::write_shutdown;
///
/// let mut out = Vec::new();
/// write_shutdown(&mut out, 5000);
/// assert_eq!(out, br#"{"t":"shutdown","in_ms":5000,"retry_ms":[500,8000]}"#);
/// ```
pub fn write_shutdown(out: &mut Vec<u8>, in_ms: u64) {
    out.extend_from_slice(b"{\"t\":\"shutdown\"");
    write_field(out, "in_ms", in_ms);
    out.extend_from_slice(b",\"retry_ms\":[");
    write_number(out, RETRY_MS_LEAST);
    out.push(b',');
    write_number(out, RETRY_MS_MOST);
    out.extend_from_slice(b"]}");
}

/// Appends the end of a replay: the client has all that it was to be sent again of `channel`, up to the number `seq`.
///
/// ```
/// use tickwire::dialect::native_json::write_live;
///
/// let mut out = Vec::new();
/// write_live(&mut out, "trade:BTC-USD", 5001);
/// assert_eq!(out, br#"{"t":"live","ch":"trade:BTC-USD","seq":5001}"#);
/// ```
pub fn write_live(out: &mut Vec<u8>, channel: &str, seq: u64) {
    out.extend_from_slice(b"{\"t\":\"live\",\"ch\":");
    write_string(out, channel);
    write_field(out, "seq", seq);
    out.push(b'}');
}
