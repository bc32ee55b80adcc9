//! Unmasking: ours beside the naive loop, a peer's, and a plain copy of as many bytes.
//!
//! The bytes of one measurement begin at each of 16 neighbouring addresses in turn, so that no alignment is favoured.
//! Unmasking works in place, reading and writing the same bytes. The copy reads as many from one buffer and writes
//! them to another: it is the yardstick, for nothing that touches each byte can be expected to be faster.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const ALIGNMENTS: usize = 16;

fn mask(c: &mut Criterion) {
    let mut group = c.benchmark_group("mask");
    for bytes in [16_usize, 64, 125, 256, 1024, 4096, 16 * 1024, 64 * 1024] {
        group.throughput(Throughput::Bytes((ALIGNMENTS * bytes) as u64));
        let mut buffer = vec![0x5a_u8; bytes + ALIGNMENTS];
        group.bench_function(BenchmarkId::new("tickwire", bytes), |b| {
            let unmask = |bytes: &mut [u8]| _ = tickwire::wire::unmask(bytes, KEY);
            b.iter(|| at_each_alignment(&mut buffer, unmask));
        });
        group.bench_function(BenchmarkId::new("naive", bytes), |b| {
            b.iter(|| at_each_alignment(&mut buffer, |bytes| naive(bytes, KEY)));
        });
        group.bench_function(BenchmarkId::new("fastwebsockets", bytes), |b| {
            b.iter(|| at_each_alignment(&mut buffer, |bytes| fastwebsockets::unmask(bytes, KEY)));
        });
        let source = vec![0xa5_u8; bytes + ALIGNMENTS];
        group.bench_function(BenchmarkId::new("copy", bytes), |b| {
            let copy = |into: &mut [u8]| into.copy_from_slice(black_box(&source[..bytes]));
            b.iter(|| at_each_alignment(&mut buffer, copy));
        });
    }
    group.finish();
}

/// Does `work` on all of the buffer but 16 bytes, which are left out at its front and back in every proportion.
fn at_each_alignment(buffer: &mut [u8], work: impl Fn(&mut [u8])) {
    let bytes = buffer.len() - ALIGNMENTS;
    for offset in 0..ALIGNMENTS {
        work(black_box(&mut buffer[offset..offset + bytes]));
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
