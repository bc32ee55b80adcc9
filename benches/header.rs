//! Reading frame headers: ours beside a naive reading and tungstenite's.
//!
//! Ours alone checks the reserved bits, the rules for control frames, the mask bit and the shortest form of the length
//! while it reads; tungstenite checks the opcode here and the rest later, the naive reading nothing at all.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::io::Cursor;
use tickwire::base::Prng;
use tickwire::wire::{Direction, FrameHeader, Opcode};

const HEADERS: usize = 1000;

fn header(c: &mut Criterion) {
    let mut group = c.benchmark_group("header");
    group.throughput(Throughput::Elements(HEADERS as u64));
    for (lengths, mixed) in [("short", false), ("short, 16 and 64 bits", true)] {
        let bytes = headers(mixed);
        let sum = with_tickwire(&bytes);
        assert_eq!((with_tungstenite(&bytes), naively(&bytes)), (sum, sum));
        group.bench_function(BenchmarkId::new("tickwire", lengths), |b| {
            b.iter(|| with_tickwire(black_box(&bytes)));
        });
        group.bench_function(BenchmarkId::new("naive", lengths), |b| {
            b.iter(|| naively(black_box(&bytes)));
        });
        group.bench_function(BenchmarkId::new("tungstenite", lengths), |b| {
            b.iter(|| with_tungstenite(black_box(&bytes)));
        });
    }
    group.finish();
}

/// Headers of a client's frames, one behind the other, without their payloads.
fn headers(mixed: bool) -> Vec<u8> {
    let mut prng = Prng::new(6455);
    let mut bytes = Vec::new();
    for _ in 0..HEADERS {
        let below = if mixed { [126, 65_536, 1 << 20] } else { [126; 3] };
        let [a, b, c, d, ..] = prng.next_u64().to_ne_bytes();
        let width = usize::try_from(prng.below(3)).unwrap_or(0);
        let payload_bytes = prng.below(below[width]);
        let opcode = match prng.below(10) {
            0 if payload_bytes < 126 => Opcode::Ping,
            1 => Opcode::Binary,
            _ => Opcode::Text,
        };
        let header = FrameHeader {
            fin: true,
            compressed: false,
            opcode,
            mask: Some([a, b, c, d]),
            payload_bytes,
        };
        bytes.extend_from_slice(header.encode().as_slice());
    }
    bytes
}

fn with_tickwire(bytes: &[u8]) -> u64 {
    let (mut rest, mut sum) = (bytes, 0);
    while let Some((header, header_bytes)) =
        FrameHeader::decode(rest, Direction::ToServer, false).expect("the headers are valid")
    {
        sum += black_box(header).payload_bytes;
        rest = &rest[header_bytes..];
    }
    sum
}

fn with_tungstenite(bytes: &[u8]) -> u64 {
    let (mut cursor, mut sum) = (Cursor::new(bytes), 0);
    while let Some((header, payload_bytes)) =
        tungstenite::protocol::frame::FrameHeader::parse(&mut cursor).expect("the headers are valid")
    {
        black_box(header);
        sum += payload_bytes;
    }
    sum
}

fn naively(bytes: &[u8]) -> u64 {
    let (mut at, mut sum) = (0, 0);
    while at < bytes.len() {
        let (first, second) = (bytes[at], bytes[at + 1]);
        let length_bytes = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mut length = if length_bytes == 0 {
            u64::from(second & 0x7f)
        } else {
            0
        };
        for byte in &bytes[at + 2..at + 2 + length_bytes] {
            length = length << 8 | u64::from(*byte);
        }
        at += 2 + length_bytes;
        let key = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        at += 4;
        sum += black_box((first & 0x80 != 0, first & 0x0f, key, length)).3;
    }
    sum
}

criterion_group!(benches, header);
criterion_main!(benches);
