//! Validating text: `Utf8` beside a table walked byte by byte, the standard library and simdutf8.
//!
//! `Utf8` takes text in pieces, cut anywhere. The others take whole text only, so where it comes in pieces they are
//! given a vector that the pieces were appended to: that is what their users must do.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tickwire::wire::Utf8;

fn utf8(c: &mut Criterion) {
    let command = r#"{"op":"sub","id":17,"ch":["trade:BTC-USD","bbo:BTC-USD"]}"#;
    let mixed = r#"{"op":"sub","id":17,"ch":["misc:Zürich","misc:東京","misc:🚀"]}"#;
    let texts = [
        ("ASCII, 40", sized(command, 40)),
        ("ASCII, 120", sized(command, 120)),
        ("ASCII, 4096", sized(command, 4096)),
        ("ASCII, 65536", sized(command, 65536)),
        ("mixed, 120", sized(mixed, 120)),
        ("mixed, 4096", sized(mixed, 4096)),
    ];
    let mut group = c.benchmark_group("utf8");
    for (name, text) in &texts {
        let bytes = text.as_bytes();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("tickwire", name), |b| {
            b.iter(|| in_pieces([black_box(bytes)]));
        });
        group.bench_function(BenchmarkId::new("naive", name), |b| {
            b.iter(|| byte_by_byte(black_box(bytes)));
        });
        group.bench_function(BenchmarkId::new("std", name), |b| {
            b.iter(|| std::str::from_utf8(black_box(bytes)).is_ok());
        });
        group.bench_function(BenchmarkId::new("simdutf8", name), |b| {
            b.iter(|| simdutf8::basic::from_utf8(black_box(bytes)).is_ok());
        });
    }
    group.finish();

    let mut group = c.benchmark_group("utf8 in pieces");
    for (name, text) in &texts[3..] {
        for piece in [125, 1021] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece).collect();
            let name = format!("{name} in {piece}s");
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new("tickwire", &name), |b| {
                b.iter(|| in_pieces(black_box(&pieces).iter().copied()));
            });
            group.bench_function(BenchmarkId::new("naive", &name), |b| {
                b.iter(|| byte_by_byte(&black_box(&pieces).concat()));
            });
            group.bench_function(BenchmarkId::new("std", &name), |b| {
                b.iter(|| std::str::from_utf8(&black_box(&pieces).concat()).is_ok());
            });
            group.bench_function(BenchmarkId::new("simdutf8", &name), |b| {
                b.iter(|| simdutf8::basic::from_utf8(&black_box(&pieces).concat()).is_ok());
            });
        }
    }
    group.finish();
}

/// The text over and over, cut at the last character that ends within this many bytes, and filled up.
fn sized(text: &str, bytes: usize) -> String {
    let mut long = text.repeat(bytes / text.len() + 1);
    long.truncate(long.floor_char_boundary(bytes));
    long.extend(std::iter::repeat_n(' ', bytes - long.len()));
    long
}

fn in_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> bool {
    let mut utf8 = Utf8::new();
    pieces.into_iter().all(|piece| utf8.push(piece).is_ok()) && utf8.is_complete()
}

/// RFC 3629 §4, a byte at a time.
fn byte_by_byte(bytes: &[u8]) -> bool {
    let (mut lacking, mut range) = (0, 0x80..=0xbf);
    for byte in bytes {
        if lacking > 0 {
            if !range.contains(byte) {
                return false;
            }
            lacking -= 1;
            range = 0x80..=0xbf;
            continue;
        }
        (lacking, range) = match byte {
            0x00..=0x7f => (0, 0x80..=0xbf),
            0xc2..=0xdf => (1, 0x80..=0xbf),
            0xe0 => (2, 0xa0..=0xbf),
            0xed => (2, 0x80..=0x9f),
            0xe1..=0xef => (2, 0x80..=0xbf),
            0xf0 => (3, 0x90..=0xbf),
            0xf1..=0xf3 => (3, 0x80..=0xbf),
            0xf4 => (3, 0x80..=0x8f),
            _ => return false,
        };
    }
    lacking == 0
}

criterion_group!(benches, utf8);
criterion_main!(benches);
