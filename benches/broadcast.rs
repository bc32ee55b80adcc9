//! A tick made a frame that is broadcast: ours beside `format!`, and serde_json with two peers' frames.
//!
//! All write the same bytes, into a vector that is used again. Ours writes header and text into place; the others make
//! a text first and a frame of it then, which copies it.

mod ticks;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Serialize, Serializer};
use std::hint::black_box;
use ticks::{Event, What};
use tickwire::dialect::native_json::encode;
use tickwire::limits::SERVER_HEADER_BYTES_MAX;
use tickwire::market::{Decimal, Level, Side};
use tickwire::wire::{Opcode, server_header};

fn broadcast(c: &mut Criterion) {
    let events = ticks::events(64);
    let writers: [(&str, Write); 4] = [
        ("tickwire", with_tickwire),
        ("naive", naively),
        ("serde_json and tungstenite", with_tungstenite),
        ("serde_json and fastwebsockets", with_fastwebsockets),
    ];
    let mut group = c.benchmark_group("broadcast");
    group.throughput(Throughput::Elements(events.len() as u64));
    for (name, write) in writers {
        let (mut ours, mut out) = (Vec::new(), Vec::new());
        for event in &events {
            let (start, theirs) = (with_tickwire(event, &mut ours), write(event, &mut out));
            assert_eq!(
                out[theirs..].escape_ascii().to_string(),
                ours[start..].escape_ascii().to_string()
            );
        }
        group.bench_function(name, |b| {
            b.iter(|| {
                for event in &events {
                    black_box(write(black_box(event), &mut out));
                }
            });
        });
    }
    group.finish();
}

/// Writes one frame in place of what the vector holds, and says where in it the frame begins.
type Write = fn(&Event, &mut Vec<u8>) -> usize;

/// As the sequencer does: the text behind room for the longest header, and the header up against it.
fn with_tickwire(event: &Event, out: &mut Vec<u8>) -> usize {
    out.clear();
    out.resize(SERVER_HEADER_BYTES_MAX, 0);
    encode(out, &event.stamp(), &event.tick());
    let header = server_header(Opcode::Text, out.len() - SERVER_HEADER_BYTES_MAX);
    let header = header.as_slice();
    let start = SERVER_HEADER_BYTES_MAX - header.len();
    out[start..SERVER_HEADER_BYTES_MAX].copy_from_slice(header);
    start
}

fn naively(event: &Event, out: &mut Vec<u8>) -> usize {
    let numbers = format!(
        r#""seq":{},"ts":{},"pt":{}"#,
        event.seq,
        event.ts_ns,
        event.stamp().pt_ns
    );
    let levels = |levels: &[Level]| {
        let level = |level: &Level| format!(r#"["{}","{}"]"#, level.price, level.size);
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    let body = match &event.what {
        What::Trade {
            price,
            size,
            side,
            id,
        } => {
            let side = if *side == Side::Buy { "buy" } else { "sell" };
            format!(r#"{numbers},"px":"{price}","sz":"{size}","side":"{side}","tid":"{id}""#)
        }
        What::Quote(quote) => format!(
            r#"{numbers},"bp":"{}","bs":"{}","ap":"{}","as":"{}""#,
            quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size
        ),
        What::Delta { bids, asks } => {
            format!(
                r#""k":"delta",{numbers},"b":[{}],"a":[{}]"#,
                levels(bids),
                levels(asks)
            )
        }
    };
    let (kind, _) = event.channel.split_once(':').expect("a channel has a kind");
    let text = format!(r#"{{"t":"{kind}","ch":"{}",{body}}}"#, event.channel);
    out.clear();
    out.push(0x81);
    match u16::try_from(text.len()).expect("a tick is short") {
        length @ 0..126 => out.push(length.to_be_bytes()[1]),
        length => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
    0
}

fn with_tungstenite(event: &Event, out: &mut Vec<u8>) -> usize {
    use tungstenite::protocol::frame::Frame;
    use tungstenite::protocol::frame::coding::{Data, OpCode};
    let frame = Frame::message(json(event), OpCode::Data(Data::Text), true);
    out.clear();
    frame.format(out).expect("a vector takes everything");
    0
}

fn with_fastwebsockets(event: &Event, out: &mut Vec<u8>) -> usize {
    let mut frame = fastwebsockets::Frame::text(json(event).into());
    let bytes = frame.write(out).len();
    out.truncate(bytes);
    0
}

/// The message as serde writes it.
#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    Trade {
        t: &'a str,
        ch: &'a str,
        seq: u64,
        ts: u64,
        pt: u64,
        px: Text<'a>,
        sz: Text<'a>,
        side: &'a str,
        tid: &'a str,
    },
    Quote {
        t: &'a str,
        ch: &'a str,
        seq: u64,
        ts: u64,
        pt: u64,
        bp: Text<'a>,
        bs: Text<'a>,
        ap: Text<'a>,
        r#as: Text<'a>,
    },
    Delta {
        t: &'a str,
        ch: &'a str,
        k: &'a str,
        seq: u64,
        ts: u64,
        pt: u64,
        b: Levels<'a>,
        a: Levels<'a>,
    },
}

/// A decimal as a string, written without an allocation.
struct Text<'a>(&'a Decimal);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

/// Levels as pairs of strings, without a vector of them.
struct Levels<'a>(&'a [Level]);

impl Serialize for Levels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs = self.0.iter().map(|level| [Text(&level.price), Text(&level.size)]);
        serializer.collect_seq(pairs)
    }
}

fn json(event: &Event) -> Vec<u8> {
    let (ch, seq, ts, pt) = (&*event.channel, event.seq, event.ts_ns, event.stamp().pt_ns);
    let message = match &event.what {
        What::Trade {
            price,
            size,
            side,
            id,
        } => Message::Trade {
            t: "trade",
            ch,
            seq,
            ts,
            pt,
            px: Text(price),
            sz: Text(size),
            side: if *side == Side::Buy { "buy" } else { "sell" },
            tid: id,
        },
        What::Quote(quote) => Message::Quote {
            t: "bbo",
            ch,
            seq,
            ts,
            pt,
            bp: Text(&quote.bid_price),
            bs: Text(&quote.bid_size),
            ap: Text(&quote.ask_price),
            r#as: Text(&quote.ask_size),
        },
        What::Delta { bids, asks } => Message::Delta {
            t: "book",
            ch,
            k: "delta",
            seq,
            ts,
            pt,
            b: Levels(bids),
            a: Levels(asks),
        },
    };
    serde_json::to_vec(&message).expect("it is plain data")
}

criterion_group!(benches, broadcast);
criterion_main!(benches);
