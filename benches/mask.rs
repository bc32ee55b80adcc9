//! Unmasking: ours beside the naive loop, a peer's, and a plain copy of as many bytes.
//!
//! Every alignment has its turn in each measurement: payloads begin at each of 16 neighbouring addresses as often. Short
//! ones lie apart as in a buffer of frames, so that none is read while its bytes are still on their way to memory.
//! Unmasking works in place: it reads and writes the same bytes. The copy reads as many from one buffer and writes
//! them to another.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const ALIGNMENTS: usize = 16;
/// From this length on payloads lie over each other, one byte apart, so that they stay in the processor's caches.
const LONG_BYTES: usize = 2048;

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for bytes in [16_usize, 64, 125, 256, 1024, 4096, 16 * 1024, 64 * 1024] {
        group.throughput(Throughput::Bytes((ALIGNMENTS * bytes) as u64));
        let mut buffer = vec![0x5a_u8; ALIGNMENTS * stride(bytes) + bytes];
        group.bench_function(BenchmarkId::new("tickwire", bytes), |b| {
            let unmask = |bytes: &mut [u8]| _ = tickwire::wire::unmask(bytes, black_box(KEY));
            b.iter(|| at_each_alignment(&mut buffer, bytes, unmask));
        });
        group.bench_function(BenchmarkId::new("naive", bytes), |b| {
            b.iter(|| at_each_alignment(&mut buffer, bytes, |bytes| naive(bytes, black_box(KEY))));
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |b| {
            let unmask = |bytes: &mut [u8]| fastwebsockets::unmask(bytes, black_box(KEY));
            b.iter(|| at_each_alignment(&mut buffer, bytes, unmask));
        });
        let source = vec![0xa5_u8; bytes];
        group.bench_function(BenchmarkId::new("copy", bytes), |b| {
            let copy = |into: &mut [u8]| into.copy_from_slice(black_box(&source));
            b.iter(|| at_each_alignment(&mut buffer, bytes, copy));
        });
    }
    group.finish();
}

/// Does `work` on 16 payloads, each of another alignment.
fn at_each_alignment(buffer: &mut [u8], bytes: usize, work: impl Fn(&mut [u8])) {
    for start in (0..ALIGNMENTS).map(|place| place * stride(bytes)) {
        work(black_box(&mut buffer[start..start + bytes]));
    }
}

/// From the beginning of one payload to that of the next.
const fn stride(bytes: usize) -> usize {
    if bytes < LONG_BYTES {
        bytes.next_multiple_of(ALIGNMENTS) + 4 * ALIGNMENTS + 1
    } else {
        1
    }
}

/// RFC 6455 §5.3, word for word.
fn naive(bytes: &mut [u8], key: [u8; 4]) {
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte ^= key[i % 4];
    }
}

criterion_group!(benches, mask);
criterion_main!(benches);
