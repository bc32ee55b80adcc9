//! One tick as one line for people.
//!
//! Never steers a terminal: what a peer wrote is shown without control characters.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tickwire::dialect::Stamp;
use tickwire::market::{BookUpdateKind, Side, Tick};

use crate::text::{Printable, Span};

/// What a line begins and ends with.
pub(super) struct Heading<'a> {
    pub(super) stamp: &'a Stamp<'a>,
    pub(super) latency_ns: u64,
}

/// Writes the line: local time of publication, channel, number, what it says, and how old it was when it came.
pub(super) fn write_line(
    out: &mut impl Write,
    heading: &Heading<'_>,
    tick: &Tick<'_>,
    zone: &TimeZone,
) -> io::Result<()> {
    let stamp = heading.stamp;
    let time = Timestamp::from_nanosecond(stamp.pt_ns.into()).unwrap_or(Timestamp::MAX);
    let time = time.to_zoned(zone.clone());
    write!(
        out,
        "{} {:<CHANNEL_WIDTH$} {:>SEQ_WIDTH$}  ",
        time.strftime("%H:%M:%S%.6f"),
        stamp.channel,
        stamp.seq
    )?;
    match tick {
        Tick::Trade(trade) => {
            let side = match trade.side {
                Side::Buy => "buy",
                Side::Sell => "sell",
            };
            write!(out, "{side} {} x {}", trade.price, trade.size)?;
        }
        Tick::Quote(quote) => write!(
            out,
            "bid {} x {}  ask {} x {}",
            quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size
        )?,
        Tick::Book(update) => {
            let kind = match update.kind {
                BookUpdateKind::Snapshot => "snap",
                BookUpdateKind::Delta => "delta",
            };
            write!(
                out,
                "{kind} bids {} asks {}",
                update.bids.len(),
                update.asks.len()
            )?;
        }
        Tick::Message(data) => write!(out, "{}", Printable(data))?,
    }
    writeln!(out, "  {}", Span(heading.latency_ns))
}

/// Room for the usual name, so that columns line up.
const CHANNEL_WIDTH: usize = 16;
/// Room for the usual number.
const SEQ_WIDTH: usize = 8;

#[cfg(test)]
mod tests {
    use tickwire::client::Event;
    use tickwire::dialect::native_json::ServerMessage;

    use super::*;

    fn line(text: &str) -> String {
        let mut levels = Vec::new();
        let event = Event::from(ServerMessage::parse(text, &mut levels).unwrap());
        let (stamp, tick) = event.tick().unwrap();
        let heading = Heading {
            stamp: &stamp,
            latency_ns: 83_000,
        };
        let mut out = Vec::new();
        write_line(&mut out, &heading, &tick, &TimeZone::UTC).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_of_tick_shows_what_matters() {
        let pt = 1_700_000_000_123_456_789_u64;
        for (text, expected) in [
            (
                r#""t":"trade","ch":"trade:BTC-USD","seq":5002,"px":"67321.10","sz":"0.25","side":"buy""#,
                "trade:BTC-USD        5002  buy 67321.10 x 0.25",
            ),
            (
                r#""t":"bbo","ch":"bbo:BTC-USD","seq":9,"bp":"1.5","bs":"2","ap":"1.6","as":"3""#,
                "bbo:BTC-USD             9  bid 1.5 x 2  ask 1.6 x 3",
            ),
            (
                r#""t":"book","ch":"book:X","seq":1,"k":"delta","b":[["1","2"],["3","4"]],"a":[]"#,
                "book:X                  1  delta bids 2 asks 0",
            ),
            (
                r#""t":"msg","ch":"room:42","seq":18,"data":{"hi":"\u001b"}"#,
                r#"room:42                18  {"hi":"\u001b"}"#,
            ),
            (
                "\"t\":\"msg\",\"ch\":\"a:b\",\"seq\":1,\"data\":[\n\"\u{9b}\"]",
                "a:b                     1  [\u{fffd}\"\u{fffd}\"]",
            ),
        ] {
            let text = format!("{{{text},\"pt\":{pt}}}");
            assert_eq!(line(&text), format!("22:13:20.123456 {expected}  83 µs\n"));
        }
    }
}
