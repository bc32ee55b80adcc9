//! What the server says to one client besides its replies: that it is behind, what it is not sent, that a replay is over.
//!
//! Invariant: one notice is one JSON object, and short, whatever it is about.

use super::reply::write_field;
use super::string::write_string;

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
