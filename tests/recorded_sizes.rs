//! How long a real recording's messages are in each form: what stands on the tracks of a tape, frame headers included.
//!
//! `cargo test --test recorded_sizes -- --nocapture` says so in a table.

#[allow(dead_code, reason = "each test uses its part")]
mod recording;

use std::collections::BTreeMap;

use tickwire::base::Now;
use tickwire::limits;
use tickwire::tape::{self, RecordKind, Shape, Track};
use tickwire::writer::formats::NATIVE_JSON;
use tickwire::writer::source::{Next, Source, SourceSpec, Speed};
use tickwire::writer::{Formats, Sequencer, runtime};

/// Messages of one kind, and the bytes of all their frames on each track.
#[derive(Debug, Default)]
struct Sizes {
    messages: u64,
    bytes: Vec<u64>,
}

#[test]
fn a_recording_is_shorter_in_binary_than_in_json_whatever_is_recorded() {
    let Some(path) = recording::path() else { return };
    let runtime = match runtime::runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("SKIPPED: there is no io_uring: {error}");
            return;
        }
    };
    for threshold in [limits::COMPRESSION_THRESHOLD_DEFAULT, 0] {
        let formats = Formats {
            deflated: Some(threshold),
            binary: true,
        };
        let spec = SourceSpec::Capture { path: path.clone() };
        let sizes = runtime.block_on(sizes(&spec, formats));
        println!("compressed from {threshold} bytes on:");
        println!("| kind | messages | JSON | JSON, compressed | binary |");
        for (kind, Sizes { messages, bytes }) in &sizes {
            // Tenths of a byte.
            let mean: Vec<u64> = bytes
                .iter()
                .map(|bytes| (10 * bytes + messages / 2) / messages)
                .collect();
            let cells: Vec<String> = mean
                .iter()
                .map(|mean| format!("{}.{}", mean / 10, mean % 10))
                .collect();
            println!("| {kind} | {messages} | {} |", cells.join(" | "));
            let [json, deflated, binary] = mean[..] else {
                panic!("three tracks");
            };
            assert!(deflated <= json);
            assert!(
                10 * binary < 7 * json,
                "{kind}: {binary} and {json} tenths of a byte"
            );
        }
        assert_eq!(sizes.len(), 4, "{sizes:?}");
    }
}

/// Publishes the recording, and looks at every record.
async fn sizes(spec: &SourceSpec, formats: Formats) -> BTreeMap<&'static str, Sizes> {
    let mut source = Source::open(spec, Speed::Max).await.expect("the capture opens");
    let shape = Shape {
        records: limits::TAPE_RECORDS_DEFAULT,
        track_bytes: vec![limits::TRACK_BYTES_DEFAULT; formats.tracks()],
        readers: 1,
    };
    let (writer, _readers) = tape::new(&shape).expect("a tape");
    let mut sequencer = Sequencer::writing(writer, formats);
    let deflated = formats.deflated_track().expect("there is one");
    let binary = formats.binary_track().expect("there is one");
    let mut sizes: BTreeMap<&'static str, Sizes> = BTreeMap::new();
    let mut now = Now::default();
    loop {
        match source.next(now) {
            Next::Event(event) => {
                now.mono_ns += 1;
                now.wall_ns = now.wall_ns.max(event.ts_ns + 3_141_592);
                let kind = match event.channel.split_once(':') {
                    Some(("trade", _)) => "trade",
                    Some(("bbo", _)) => "quote",
                    _ => "book delta",
                };
                let first = sequencer.tape().head();
                sequencer.publish(&event, now).expect("it was recorded so");
                sequencer.settle().expect("nobody reads");
                let mut position = first;
                while position < sequencer.tape().head() {
                    let record = sequencer.tape().record(position);
                    let kind = match record.kind {
                        RecordKind::Live => kind,
                        RecordKind::State if kind == "quote" => kind,
                        RecordKind::State | RecordKind::Image => "book image",
                        RecordKind::Mark => unreachable!("the tape is not full"),
                    };
                    let entry = sizes.entry(kind).or_default();
                    entry.messages += 1;
                    entry.bytes.resize(3, 0);
                    let track = |track: Track| u64::from(sequencer.tape().span(track, position).bytes);
                    for (sum, bytes) in entry
                        .bytes
                        .iter_mut()
                        .zip([NATIVE_JSON, deflated, binary].map(track))
                    {
                        *sum += bytes;
                    }
                    position = position.next();
                }
            }
            Next::Wait => source.wait(now).await.expect("the capture is read on"),
            Next::End => return sizes,
        }
    }
}
