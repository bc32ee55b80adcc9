//! Decoding what clients send: `Session` beside a naive decoder and three others, each driven as it is meant to be.
//!
//! All read the same bytes from the same connection in memory, which arrive in the same pieces; all unmask, validate
//! text, put fragments together and answer pings. Before anything is measured they must agree on what they read.

mod decoders;
mod talk;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use talk::link::Link;

fn session(c: &mut Criterion) {
    let commands = talk::commands(1000);
    let single = one_by_one(&commands);
    let total = 1024 * 1024;
    // What the stream is, and the sizes of the pieces it arrives in.
    let talks = [
        ("commands", commands.clone(), vec![usize::MAX / 2]),
        ("one command at a time", commands.clone(), single),
        (
            "commands in odd pieces",
            commands,
            vec![1, 509, 3, 61, 1021, 7, 251],
        ),
        (
            "messages of 4 KiB",
            talk::long_messages(4096, total),
            vec![usize::MAX / 2],
        ),
        (
            "messages of 64 KiB",
            talk::long_messages(64 * 1024, total),
            vec![usize::MAX / 2],
        ),
    ];
    let mut group = c.benchmark_group("session");
    for (talk, stream, pieces) in talks {
        group.throughput(Throughput::Bytes(stream.len() as u64));
        let mut expected = None;
        for (name, new) in decoders::ALL {
            let mut decoder = new(Link::new(stream.clone(), pieces.clone()));
            let tally = decoder.pass();
            assert_eq!(
                *expected.get_or_insert(tally),
                tally,
                "{name} reads {talk} as the others do"
            );
            assert_eq!(decoder.pass(), tally, "{name} reads {talk} again as before");
            group.bench_function(BenchmarkId::new(name, talk), |b| b.iter(|| decoder.pass()));
        }
    }
    group.finish();
}

/// The lengths of the frames of a stream of short ones.
fn one_by_one(stream: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut rest = stream;
    while let Some((header, header_bytes)) =
        tickwire::wire::FrameHeader::decode(rest, tickwire::wire::Direction::ToServer, false)
            .expect("it is valid")
    {
        let length = header_bytes + usize::try_from(header.payload_bytes).expect("it is short");
        lengths.push(length);
        rest = &rest[length..];
    }
    lengths
}

criterion_group!(benches, session);
criterion_main!(benches);
