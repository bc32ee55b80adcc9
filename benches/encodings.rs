//! The two forms of the native language beside each other: what it takes to write a tick, to read one, and to publish one
//! on a tape with one track or with both.
//!
//! Both readers give the same typed tick with all its levels: JSON as a line of a source is read, binary as a client reads
//! it. How long the messages are is what `tests/recorded_sizes.rs` says, on a real recording.

mod ticks;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use ticks::{Event, What};
use tickwire::base::Now;
use tickwire::dialect::native_binary::{self, Content, Message};
use tickwire::dialect::native_json::{self, Input};
use tickwire::limits;
use tickwire::tape::{self, Shape};
use tickwire::writer::{Formats, Sequencer, source};

fn encodings(c: &mut Criterion) {
    let events = ticks::events(4096);
    for (kind, is_one) in KINDS {
        let events: Vec<&Event> = events
            .iter()
            .filter(|event| is_one(&event.what))
            .take(64)
            .collect();
        write(c, kind, &events);
        read(c, kind, &events);
    }
    publish(c, &events);
}

fn write(c: &mut Criterion, kind: &str, events: &[&Event]) {
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(events.len() as u64));
    let mut out = Vec::new();
    group.bench_function(BenchmarkId::new("json", kind), |b| {
        b.iter(|| {
            for event in events {
                out.clear();
                native_json::encode(&mut out, &event.stamp(), &black_box(event).tick());
                black_box(&out);
            }
        });
    });
    group.bench_function(BenchmarkId::new("binary", kind), |b| {
        b.iter(|| {
            for event in events {
                out.clear();
                native_binary::encode(&mut out, &event.stamp(), &black_box(event).tick());
                black_box(&out);
            }
        });
    });
    group.finish();
}

fn read(c: &mut Criterion, kind: &str, events: &[&Event]) {
    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(events.len() as u64));
    let mut levels = Vec::new();
    let texts: Vec<Vec<u8>> = events
        .iter()
        .map(|event| {
            let mut out = Vec::new();
            native_json::encode(&mut out, &event.stamp(), &event.tick());
            assert_eq!(
                Input::parse(&out, &mut levels).expect("a tick is a line").tick,
                event.tick()
            );
            out
        })
        .collect();
    let messages: Vec<Vec<u8>> = events
        .iter()
        .map(|event| {
            let mut out = Vec::new();
            native_binary::encode(&mut out, &event.stamp(), &event.tick());
            let content = Message::decode(&out, &mut levels).expect("it is one").content;
            assert_eq!(content, Content::Tick(event.stamp(), event.tick()));
            out
        })
        .collect();
    group.bench_function(BenchmarkId::new("json", kind), |b| {
        b.iter(|| {
            for text in &texts {
                _ = black_box(Input::parse(black_box(text), &mut levels));
            }
        });
    });
    group.bench_function(BenchmarkId::new("binary", kind), |b| {
        b.iter(|| {
            for message in &messages {
                _ = black_box(Message::decode(black_box(message), &mut levels));
            }
        });
    });
    group.finish();
}

/// All that the writer does for a tick: number it, write it in every form, and put it on a tape that nobody reads.
fn publish(c: &mut Criterion, events: &[Event]) {
    let mut group = c.benchmark_group("publish");
    group.throughput(Throughput::Elements(events.len() as u64));
    for (name, deflated, binary) in [
        ("json", None, false),
        ("json and binary", None, true),
        (
            "json and compressed",
            Some(limits::COMPRESSION_THRESHOLD_DEFAULT),
            false,
        ),
    ] {
        let formats = Formats { deflated, binary };
        let shape = Shape {
            records: limits::TAPE_RECORDS_DEFAULT,
            track_bytes: vec![limits::TRACK_BYTES_DEFAULT; formats.tracks()],
            readers: 1,
        };
        let (writer, _readers) = tape::new(&shape).expect("a tape");
        let mut sequencer = Sequencer::writing(writer, formats);
        let now = Now {
            mono_ns: 0,
            wall_ns: 1_723_161_600_001_000_000,
        };
        group.bench_function(name, |b| {
            b.iter(|| {
                for event in events {
                    let event = source::Event {
                        channel: &event.channel,
                        ts_ns: event.ts_ns,
                        tick: event.tick(),
                    };
                    sequencer
                        .publish(&event, now)
                        .expect("there is nothing wrong with it");
                    sequencer.settle().expect("nobody reads");
                }
            });
        });
    }
    group.finish();
}

/// What ticks are called, and which are so.
type Kind = (&'static str, fn(&What) -> bool);

const KINDS: [Kind; 3] = [
    ("trade", |what| matches!(what, What::Trade { .. })),
    ("quote", |what| matches!(what, What::Quote(_))),
    ("book delta", |what| matches!(what, What::Delta { .. })),
];

/// The server's, for those that allocate.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, encodings);
criterion_main!(benches);
