//! permessage-deflate of ticks, a message at a time and without history: ours beside flate2 used anew for each message,
//! and beside `miniz_oxide` used again, which is what flate2 comes with unless told otherwise.
//!
//! A message is one tick, or sixteen in a JSON array. All compress at the same level, 1, with the whole window, and
//! inflate what ours compressed. The others are given the four bytes that RFC 7692 §7.2.1 takes off.

mod ticks;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::stream::InflateState;
use miniz_oxide::{DataFormat, MZFlush};
use std::hint::black_box;
use tickwire::dialect::native_json::encode;
use tickwire::wire::{Deflater, Inflater};

/// Longer than any message here.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
const WINDOW_BITS: u8 = 15;
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

fn deflate(c: &mut Criterion) {
    for batch in [1, 16] {
        let messages = messages(batch);
        let name = if batch == 1 {
            "one tick".to_owned()
        } else {
            format!("{batch} ticks")
        };
        let mut deflater = Deflater::new(WINDOW_BITS);
        // The shortest ticks are no shorter compressed, and are sent as they are.
        let compressed: Vec<(&[u8], Vec<u8>)> = messages
            .iter()
            .filter_map(|message| Some((&**message, [deflater.deflate(message)?, &TAIL].concat())))
            .collect();
        say_sizes(&name, &messages);
        compress(c, &name, &messages);
        inflate(c, &name, &compressed);
    }
}

fn compress(c: &mut Criterion, name: &str, messages: &[Vec<u8>]) {
    let mut group = c.benchmark_group("deflate");
    group.throughput(Throughput::Bytes(total(messages)));
    let mut deflater = Deflater::new(WINDOW_BITS);
    group.bench_function(BenchmarkId::new("tickwire", name), |b| {
        b.iter(|| {
            for message in messages {
                black_box(deflater.deflate(black_box(message)));
            }
        });
    });
    group.bench_function(BenchmarkId::new("naive", name), |b| {
        b.iter(|| {
            for message in messages {
                black_box(naively_compressed(black_box(message)));
            }
        });
    });
    let (mut state, mut out) = miniz();
    group.bench_function(BenchmarkId::new("miniz_oxide", name), |b| {
        b.iter(|| {
            for message in messages {
                black_box(compressed_with_miniz(black_box(message), &mut state, &mut out));
            }
        });
    });
    group.finish();
}

fn inflate(c: &mut Criterion, name: &str, compressed: &[(&[u8], Vec<u8>)]) {
    let mut group = c.benchmark_group("inflate");
    group.throughput(Throughput::Bytes(
        compressed.iter().map(|(message, _)| message.len() as u64).sum(),
    ));
    let mut inflater = Inflater::new(u32::try_from(MESSAGE_BYTES_MAX).expect("it is short"));
    let mut out = vec![0; MESSAGE_BYTES_MAX];
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    for (message, compressed) in compressed {
        assert_eq!(inflater.inflate(without_tail(compressed)), Ok(*message));
        assert_eq!(naively_inflated(compressed), *message);
        assert_eq!(inflated_with_miniz(compressed, &mut state, &mut out), *message);
    }
    group.bench_function(BenchmarkId::new("tickwire", name), |b| {
        b.iter(|| {
            for (_, compressed) in compressed {
                _ = black_box(inflater.inflate(without_tail(black_box(compressed))));
            }
        });
    });
    group.bench_function(BenchmarkId::new("naive", name), |b| {
        b.iter(|| {
            for (_, compressed) in compressed {
                black_box(naively_inflated(black_box(compressed)));
            }
        });
    });
    group.bench_function(BenchmarkId::new("miniz_oxide", name), |b| {
        b.iter(|| {
            for (_, compressed) in compressed {
                black_box(inflated_with_miniz(black_box(compressed), &mut state, &mut out));
            }
        });
    });
    group.finish();
}

/// 64 messages of so many ticks each.
fn messages(batch: usize) -> Vec<Vec<u8>> {
    let events = ticks::events(64 * batch as u64);
    let message = |events: &[ticks::Event]| {
        let mut message = Vec::new();
        for event in events {
            message.push(if message.is_empty() { b'[' } else { b',' });
            encode(&mut message, &event.stamp(), &event.tick());
        }
        if batch == 1 {
            message.remove(0);
        } else {
            message.push(b']');
        }
        message
    };
    events.chunks(batch).map(message).collect()
}

/// Says how short each makes the messages, for speed alone means little.
fn say_sizes(name: &str, messages: &[Vec<u8>]) {
    let mut deflater = Deflater::new(WINDOW_BITS);
    let (mut state, mut out) = miniz();
    let sizes = messages.iter().map(|message| {
        let ours = deflater.deflate(message).map_or(message.len(), <[u8]>::len);
        let theirs = compressed_with_miniz(message, &mut state, &mut out) - TAIL.len();
        (ours, theirs.min(message.len()))
    });
    let (ours, theirs) = sizes.fold((0, 0), |(ours, theirs), (our, their)| {
        (ours + our, theirs + their)
    });
    let total = total(messages);
    eprintln!("{name}: {total} bytes become {ours} with tickwire, {theirs} with miniz_oxide");
}

fn total(messages: &[Vec<u8>]) -> u64 {
    messages.iter().map(|message| message.len() as u64).sum()
}

fn without_tail(compressed: &[u8]) -> &[u8] {
    compressed.strip_suffix(&TAIL).unwrap_or(compressed)
}

fn naively_compressed(message: &[u8]) -> Vec<u8> {
    let mut state = Compress::new_with_window_bits(Compression::fast(), false, WINDOW_BITS);
    let mut out = Vec::with_capacity(message.len() + 64);
    state
        .compress_vec(message, &mut out, FlushCompress::Sync)
        .expect("there is room");
    out
}

fn naively_inflated(compressed: &[u8]) -> Vec<u8> {
    let mut state = Decompress::new(false);
    let mut out = Vec::with_capacity(MESSAGE_BYTES_MAX);
    state
        .decompress_vec(compressed, &mut out, FlushDecompress::Sync)
        .expect("it is valid");
    out
}

fn miniz() -> (CompressorOxide, Vec<u8>) {
    // Negative window bits stand for raw data.
    let flags = create_comp_flags_from_zip_params(1, -i32::from(WINDOW_BITS), 0);
    (CompressorOxide::new(flags), vec![0; 2 * MESSAGE_BYTES_MAX])
}

fn compressed_with_miniz(message: &[u8], state: &mut CompressorOxide, out: &mut [u8]) -> usize {
    state.reset();
    let result = miniz_oxide::deflate::stream::deflate(state, message, out, MZFlush::Sync);
    result.status.expect("there is room");
    result.bytes_written
}

fn inflated_with_miniz<'o>(compressed: &[u8], state: &mut InflateState, out: &'o mut [u8]) -> &'o [u8] {
    state.reset(DataFormat::Raw);
    let result = miniz_oxide::inflate::stream::inflate(state, compressed, out, MZFlush::Sync);
    result.status.expect("it is valid");
    &out[..result.bytes_written]
}

criterion_group!(benches, deflate);
criterion_main!(benches);
