//! One tick as one line for people.
//!
//! Never fails for what a tick says or lacks: a field that is not there shows as `?`.

use std::io::{self, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tickwire::client::Message;

use super::text::{Printable, Span};

/// What is known of a tick before its fields are read.
pub(super) struct Heading<'a> {
    pub(super) channel: &'a str,
    pub(super) seq: u64,
    /// When it was published, in nanoseconds since the epoch.
    pub(super) pt_ns: u64,
    pub(super) latency_ns: u64,
}

/// Writes the line: local time of publication, channel, number, what it says, and how old it was when it came.
pub(super) fn write_line(
    out: &mut impl Write,
    heading: &Heading<'_>,
    message: &Message<'_>,
    zone: &TimeZone,
) -> io::Result<()> {
    let time = Timestamp::from_nanosecond(heading.pt_ns.into()).unwrap_or(Timestamp::MAX);
    let time = time.to_zoned(zone.clone());
    write!(
        out,
        "{} {:<CHANNEL_WIDTH$} {:>SEQ_WIDTH$}  ",
        time.strftime("%H:%M:%S%.6f"),
        Printable(heading.channel),
        heading.seq
    )?;
    write_details(out, message)?;
    writeln!(out, "  {}", Span(heading.latency_ns))
}

/// The fields of ticks, each as the text of its JSON value.
#[derive(Default, Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    px: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sz: Option<&'a RawValue>,
    #[serde(borrow, default)]
    side: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    ap: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "as")]
    ask_size: Option<&'a RawValue>,
    #[serde(borrow, default)]
    b: Option<&'a RawValue>,
    #[serde(borrow, default)]
    a: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

fn write_details(out: &mut impl Write, message: &Message<'_>) -> io::Result<()> {
    let details: Details<'_> = serde_json::from_str(message.text).unwrap_or_default();
    match &*message.content.t {
        "trade" => write!(
            out,
            "{} {} x {}",
            plain(details.side),
            plain(details.px),
            plain(details.sz)
        ),
        "bbo" => write!(
            out,
            "bid {} x {}  ask {} x {}",
            plain(details.bp),
            plain(details.bs),
            plain(details.ap),
            plain(details.ask_size)
        ),
        "book" => write!(
            out,
            "{} bids {} asks {}",
            Printable(message.content.k.as_deref().unwrap_or("?")),
            count(details.b),
            count(details.a)
        ),
        "msg" => write!(out, "{}", plain(details.data)),
        other => write!(out, "{}", Printable(other)),
    }
}

/// The text of a value, a string without its quotation marks. Escapes stay as they are: they are fit to print.
fn plain(value: Option<&RawValue>) -> Printable<'_> {
    let text = value.map_or("?", RawValue::get);
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    Printable(inner.unwrap_or(text))
}

/// How many levels a side has; one that is not there has none.
fn count(levels: Option<&RawValue>) -> usize {
    let levels = levels.map_or("[]", RawValue::get);
    // Elements of no size: nothing is allocated.
    serde_json::from_str::<Vec<IgnoredAny>>(levels).map_or(0, |levels| levels.len())
}

/// Room for the usual name, so that columns line up.
const CHANNEL_WIDTH: usize = 16;
/// Room for the usual number.
const SEQ_WIDTH: usize = 8;

#[cfg(test)]
mod tests {
    use tickwire::dialect::native_json::ServerMessage;

    use super::*;

    fn line(text: &str) -> String {
        let message = Message {
            text,
            bytes: text.len(),
            content: ServerMessage::parse(text).unwrap(),
        };
        let heading = Heading {
            channel: message.content.ch.as_deref().unwrap(),
            seq: message.content.seq.unwrap(),
            pt_ns: 1_700_000_000_123_456_789,
            latency_ns: 83_000,
        };
        let mut out = Vec::new();
        write_line(&mut out, &heading, &message, &TimeZone::UTC).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_of_tick_shows_what_matters() {
        for (text, expected) in [
            (
                r#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"px":"67321.10","sz":"0.25","side":"buy"}"#,
                "trade:BTC-USD        5002  buy 67321.10 x 0.25",
            ),
            (
                r#"{"t":"bbo","ch":"bbo:BTC-USD","seq":9,"bp":"1.5","bs":"2","ap":"1.6","as":"3"}"#,
                "bbo:BTC-USD             9  bid 1.5 x 2  ask 1.6 x 3",
            ),
            (
                r#"{"t":"book","ch":"book:X","seq":1,"k":"delta","b":[["1","2"],["3","4"]],"a":[]}"#,
                "book:X                  1  delta bids 2 asks 0",
            ),
            (
                r#"{"t":"msg","ch":"room:42","seq":18,"data":{"hi":"\u001b"}}"#,
                r#"room:42                18  {"hi":"\u001b"}"#,
            ),
            (
                r#"{"t":"new","ch":"x:y","seq":1}"#,
                "x:y                     1  new",
            ),
        ] {
            assert_eq!(line(text), format!("22:13:20.123456 {expected}  83 µs\n"));
        }
    }

    #[test]
    fn a_tick_without_its_fields_or_with_others_is_still_one_line() {
        for (text, expected) in [
            (r#"{"t":"trade","ch":"a:b","seq":1,"px":7}"#, "? 7 x ?"),
            (r#"{"t":"trade","ch":"a:b","seq":1,"px":"1","px":"2"}"#, "? ? x ?"),
            (r#"{"t":"book","ch":"a:b","seq":1,"b":{}}"#, "? bids 0 asks 0"),
            (
                "{\"t\":\"msg\",\"ch\":\"a:b\",\"seq\":1,\"data\":[\n\"\u{9b}\"]}",
                "[\u{fffd}\"\u{fffd}\"]",
            ),
        ] {
            let line = line(text);
            assert!(line.contains(&format!("  {expected}  ")), "{line}");
            assert_eq!(line.lines().count(), 1);
        }
    }
}
