//! Compressed messages (RFC 7692) that are wrong, or far longer than they look.

use flate2::{Compress, Compression, FlushCompress};
use tickwire::limits::{DEFLATE_STREAMS_MAX, MESSAGE_BYTES_MAX};

use crate::row::Answer::{Closes, Frames};
use crate::row::{Answer, Opening, Row};
use crate::scene::raw::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, masked};

pub(crate) fn rows() -> Vec<Row> {
    [messages(), first_bits(), bad_data(), bad_text(), bombs()]
        .into_iter()
        .flatten()
        .collect()
}

/// What is right, at its edges.
fn messages() -> Vec<Row> {
    let longest = vec![b'x'; MESSAGE_BYTES_MAX];
    let deflated = deflate(&longest);
    let (first, second) = deflated.split_at(5);
    let cut = [
        masked(RSV1 | TEXT, first),
        masked(FIN | PING, b"amid"),
        masked(CONTINUATION, b""),
        masked(FIN | CONTINUATION, second),
    ];
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    let echoed = |payload: &[u8]| Frames(vec![(TEXT, payload.to_vec())]);
    vec![
        row(
            "the example",
            "RFC 7692 §7.2.3.1",
            masked(FIN | RSV1 | TEXT, hello),
            echoed(b"Hello"),
        ),
        row(
            "the example of a stored block",
            "RFC 7692 §7.2.3.3",
            masked(FIN | RSV1 | TEXT, b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
            echoed(b"Hello"),
        ),
        row(
            "the example of a final block",
            "RFC 7692 §7.2.3.4",
            masked(FIN | RSV1 | TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
            echoed(b"Hello"),
        ),
        row(
            "a plain message",
            "RFC 7692 §6: any message may go uncompressed",
            masked(FIN | TEXT, b"plain"),
            echoed(b"plain"),
        ),
        row(
            "an empty message",
            "RFC 7692 §7.2.3.6",
            masked(FIN | RSV1 | TEXT, b"\x00"),
            echoed(b""),
        ),
        row(
            "a message of the greatest length",
            LIMIT,
            masked(FIN | RSV1 | TEXT, &deflated),
            echoed(&longest),
        ),
        row(
            "the same in fragments, with a ping between them",
            "RFC 7692 §6.1: the first frame is marked, the others are not",
            cut.concat(),
            Frames(vec![(PONG, b"amid".to_vec()), (TEXT, longest)]),
        ),
    ]
}

fn first_bits() -> Vec<Row> {
    let control = Closes(1002, "control frame is marked as compressed");
    let other = Closes(1002, "reserved bit is set");
    let rule = "RFC 7692 §6.1: the bit is for the first frame of a data message, and no other";
    let mut rows: Vec<Row> = [(PING, "ping"), (PONG, "pong"), (CLOSE, "close")]
        .into_iter()
        .map(|(opcode, name)| {
            row(
                format!("a compressed {name}"),
                rule,
                masked(FIN | RSV1 | opcode, b""),
                control.clone(),
            )
        })
        .collect();
    for (first, name) in [(TEXT, "plain"), (RSV1 | TEXT, "compressed")] {
        let sent = [masked(first, b"\x00"), masked(FIN | RSV1, b"\x00")].concat();
        let closes = Closes(1002, "continuation frame is marked as compressed");
        rows.push(row(
            format!("the bit on the continuation of a {name} message"),
            rule,
            sent,
            closes,
        ));
    }
    for bits in [0x10, 0x20, 0x30, 0x50, 0x60, 0x70] {
        let sent = masked(FIN | bits | TEXT, b"\x00");
        rows.push(row(
            format!("first byte's bits {bits:#x}"),
            "RFC 6455 §5.2",
            sent,
            other.clone(),
        ));
    }
    rows
}

fn bad_data() -> Vec<Row> {
    let rule = "RFC 7692 §7.2.2: what cannot be inflated; RFC 6455 §7.4.1: 1007";
    let bad: [(&str, &[u8]); 8] = [
        ("nothing", b""),
        ("a block type that is reserved", b"\x07"),
        (
            "a stored block whose lengths differ",
            b"\x00\x05\x00\x00\x00Hello",
        ),
        ("a stored block cut short", b"\x00\x05\x00\xfa\xffHel"),
        ("a distance before the beginning", b"\x4b\x04\x42\x00"),
        (
            "codes that are over-subscribed",
            b"\x04\x80\xff\xff\xff\xff\xff\xff",
        ),
        ("a block that never ends", b"\xf2\x48\xcd\xc9\xc9"),
        ("text that is no deflate data", b"Hello, world"),
    ];
    bad.into_iter()
        .map(|(name, data)| {
            let closes = Closes(1007, "compressed message is not deflate data");
            row(name, rule, masked(FIN | RSV1 | BINARY, data), closes)
        })
        .collect()
}

fn bad_text() -> Vec<Row> {
    let rule = "RFC 7692 §7.2.2, RFC 6455 §8.1: it is what comes out that must be UTF-8";
    let closes = Closes(1007, "text message is not UTF-8");
    let bad = deflate(b"good \xed\xa0\x80");
    let (first, second) = bad.split_at(4);
    let good = deflate("\u{20ac}".repeat(50).as_bytes());
    let cut: Vec<Vec<u8>> = good.iter().map(|byte| masked(CONTINUATION, &[*byte])).collect();
    vec![
        row(
            "text that is none",
            rule,
            masked(FIN | RSV1 | TEXT, &bad),
            closes.clone(),
        ),
        row(
            "the same in fragments",
            rule,
            [masked(RSV1 | TEXT, first), masked(FIN | CONTINUATION, second)].concat(),
            closes,
        ),
        row(
            "good text whose compressed bytes are cut anywhere",
            rule,
            [
                masked(RSV1 | TEXT, b""),
                cut.concat(),
                masked(FIN | CONTINUATION, b""),
            ]
            .concat(),
            Frames(vec![(TEXT, "\u{20ac}".repeat(50).into_bytes())]),
        ),
    ]
}

fn bombs() -> Vec<Row> {
    let closes = Closes(1009, "message exceeds the limit");
    let one_more = deflate(&vec![b'x'; MESSAGE_BYTES_MAX + 1]);
    let bomb = |kibibytes: usize| zeros(kibibytes * 1024);
    let streams = [deflate_final(b"x"), b"\x00".to_vec()].concat();
    let fragment =
        |(index, data): (usize, &[u8])| masked(if index == 0 { RSV1 | BINARY } else { CONTINUATION }, data);
    let nested: Vec<u8> = bomb(64).chunks(16).enumerate().flat_map(fragment).collect();
    let streams_rule = "RFC 7692 §7.2.3.4: final blocks may follow each other; RFC 6455 §10.4: limits";
    vec![
        row(
            "one byte too many",
            LIMIT,
            masked(FIN | RSV1 | BINARY, &one_more),
            closes.clone(),
        ),
        row(
            "a kibibyte that stands for a mebibyte",
            LIMIT,
            masked(FIN | RSV1 | BINARY, &bomb(1)),
            closes.clone(),
        ),
        row(
            "64 KiB that stand for 64 MiB",
            LIMIT,
            masked(FIN | RSV1 | BINARY, &bomb(64)),
            closes.clone(),
        ),
        row(
            "10 MiB that stand for 10 GiB",
            LIMIT,
            masked(FIN | RSV1 | BINARY, &bomb(10 * 1024)),
            closes.clone(),
        ),
        row(
            "a bomb in fragments of 16 bytes",
            LIMIT,
            [nested, masked(FIN | CONTINUATION, b"")].concat(),
            closes.clone(),
        ),
        row(
            "a bomb in fragments that never end",
            LIMIT,
            [
                masked(RSV1 | BINARY, b""),
                masked(CONTINUATION, &[0; 1024]).repeat(1024),
            ]
            .concat(),
            closes,
        ),
        row(
            "deflate streams without end",
            streams_rule,
            masked(FIN | RSV1 | BINARY, &streams.repeat(DEFLATE_STREAMS_MAX + 1)),
            Closes(1007, "compressed message is not deflate data"),
        ),
    ]
}

/// Data that inflates to about a thousand times its length: zeros, in blocks that each end at a byte.
pub(crate) fn zeros(bytes: usize) -> Vec<u8> {
    let mebibyte = vec![0; 1 << 20];
    let mut compress = Compress::new(Compression::best(), false);
    let mut chunk = || {
        let mut out = Vec::with_capacity(1 << 16);
        compress
            .compress_vec(&mebibyte, &mut out, FlushCompress::Sync)
            .expect("zeros can be compressed");
        out
    };
    // The second one begins with a full window, as every other after it does, and so is the same as these.
    let (first, second) = (chunk(), chunk());
    let times = bytes.saturating_sub(first.len()) / second.len();
    let mut data = [first, second.repeat(times)].concat();
    // RFC 7692 §7.2.1: the four bytes that a flush ends with are left out.
    data.truncate(data.len() - 4);
    data
}

fn deflate(message: &[u8]) -> Vec<u8> {
    let mut data = compressed(message, FlushCompress::Sync);
    data.truncate(data.len() - 4);
    data
}

/// A deflate stream that ends with a final block.
fn deflate_final(message: &[u8]) -> Vec<u8> {
    compressed(message, FlushCompress::Finish)
}

fn compressed(message: &[u8], flush: FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1024);
    Compress::new(Compression::default(), false)
        .compress_vec(message, &mut out, flush)
        .expect("anything can be compressed");
    out
}

/// A row that begins on a connection on which permessage-deflate was agreed.
fn row(name: impl Into<String>, rule: &'static str, sent: impl Into<Vec<u8>>, answer: Answer) -> Row {
    crate::row::row(name, rule, Opening::Deflate, sent, answer)
}

const RSV1: u8 = 0x40;
const LIMIT: &str = "RFC 6455 §10.4: the limit holds for what comes out; §7.4.1: 1009";
