//! Writes a tick as the one JSON text that all its subscribers get.
//!
//! Never allocates when `out` has room, and writes nothing that depends on who reads it.
//!
//! Invariant: what is appended is one JSON object without white space of its own, keys in the order of the protocol.

use super::string::{write_number, write_string};
use crate::dialect::Stamp;
use crate::market::{BookUpdate, BookUpdateKind, ChannelName, Decimal, Level, Quote, Side, Tick, Trade};

/// Appends the message.
///
/// A trade without an id has no `tid`. A message has no `ts`: its publisher puts into `data` what it wants to say.
/// The value of [`Tick::Message`] must be JSON text, for it is copied as it is.
///
/// ```
/// use tickwire::dialect::native_json::{Stamp, encode};
/// use tickwire::market::Tick;
///
/// let stamp = Stamp { channel: "room:42", seq: 18, ts_ns: 5, pt_ns: 6 };
/// let mut out = Vec::new();
/// encode(&mut out, &stamp, &Tick::Message(r#"{"hi":1}"#));
/// assert_eq!(out, br#"{"t":"msg","ch":"room:42","seq":18,"pt":6,"data":{"hi":1}}"#);
/// ```
pub fn encode(out: &mut Vec<u8>, stamp: &Stamp<'_>, tick: &Tick<'_>) {
    debug_assert!(
        ChannelName::parse(stamp.channel).is_ok(),
        "{:?} is no channel name",
        stamp.channel
    );
    match tick {
        Tick::Trade(trade) => encode_trade(out, stamp, trade),
        Tick::Quote(quote) => encode_quote(out, stamp, quote),
        Tick::Book(update) => encode_book(out, stamp, update),
        Tick::Message(data) => {
            out.reserve(ENVELOPE_BYTES + data.len());
            open(out, "msg", stamp);
            write_field(out, "seq", stamp.seq);
            write_field(out, "pt", stamp.pt_ns);
            out.extend_from_slice(b",\"data\":");
            out.extend_from_slice(data.as_bytes());
        }
    }
    out.push(b'}');
}

fn encode_trade(out: &mut Vec<u8>, stamp: &Stamp<'_>, trade: &Trade<'_>) {
    out.reserve(ENVELOPE_BYTES + 2 * DECIMAL_BYTES + trade.id.len());
    open(out, "trade", stamp);
    write_numbers(out, stamp);
    write_decimal(out, "px", trade.price);
    write_decimal(out, "sz", trade.size);
    out.extend_from_slice(match trade.side {
        Side::Buy => b",\"side\":\"buy\"",
        Side::Sell => b",\"side\":\"sell\"",
    });
    if !trade.id.is_empty() {
        out.extend_from_slice(b",\"tid\":");
        write_string(out, trade.id);
    }
}

fn encode_quote(out: &mut Vec<u8>, stamp: &Stamp<'_>, quote: &Quote) {
    out.reserve(ENVELOPE_BYTES + 4 * DECIMAL_BYTES);
    open(out, "bbo", stamp);
    write_numbers(out, stamp);
    write_decimal(out, "bp", quote.bid_price);
    write_decimal(out, "bs", quote.bid_size);
    write_decimal(out, "ap", quote.ask_price);
    write_decimal(out, "as", quote.ask_size);
}

fn encode_book(out: &mut Vec<u8>, stamp: &Stamp<'_>, update: &BookUpdate<'_>) {
    out.reserve(ENVELOPE_BYTES + 2 * DECIMAL_BYTES * (update.bids.len() + update.asks.len()));
    open(out, "book", stamp);
    out.extend_from_slice(match update.kind {
        BookUpdateKind::Snapshot => b",\"k\":\"snap\"",
        BookUpdateKind::Delta => b",\"k\":\"delta\"",
    });
    write_numbers(out, stamp);
    write_levels(out, "b", update.bids);
    write_levels(out, "a", update.asks);
}

/// Writes the type and the channel.
fn open(out: &mut Vec<u8>, t: &str, stamp: &Stamp<'_>) {
    for part in ["{\"t\":\"", t, "\",\"ch\":\"", stamp.channel, "\""] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_numbers(out: &mut Vec<u8>, stamp: &Stamp<'_>) {
    write_field(out, "seq", stamp.seq);
    write_field(out, "ts", stamp.ts_ns);
    write_field(out, "pt", stamp.pt_ns);
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_field(out: &mut Vec<u8>, key: &str, value: u64) {
    write_key(out, key);
    write_number(out, value);
}

fn write_decimal(out: &mut Vec<u8>, key: &str, value: Decimal) {
    write_key(out, key);
    out.push(b'"');
    value.write_to(out);
    out.push(b'"');
}

fn write_levels(out: &mut Vec<u8>, key: &str, levels: &[Level]) {
    write_key(out, key);
    out.push(b'[');
    for (index, level) in levels.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"[\"" } else { b",[\"" });
        level.price.write_to(out);
        out.extend_from_slice(b"\",\"");
        level.size.write_to(out);
        out.extend_from_slice(b"\"]");
    }
    out.push(b']');
}

/// Room for everything but decimals and a publisher's own text: keys, channel name, three numbers of 20 digits.
const ENVELOPE_BYTES: usize = 224;
/// Room for one decimal of the usual length, with its key or brackets.
const DECIMAL_BYTES: usize = 28;

#[cfg(test)]
mod tests;
