//! Replays of files through the ring: compressed, cut off, missing, and a real capture where there is one.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::super::*;
use super::delta;
use crate::market::{BookUpdate, Decimal, Level, Side, Tick};
use crate::writer::clock::Clock;
use crate::writer::runtime::runtime;
use crate::writer::source::{Event, GzipError, Source, SourceSpec};

/// A file that goes away with its test.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tickwire-capture-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Replays a file, shows each event to `see`, and returns how it ended.
fn replay(path: &Path, speed: Speed, see: &mut dyn FnMut(&Event<'_>)) -> (Source, Result<(), SourceError>) {
    runtime().unwrap().block_on(async {
        let clock = Clock::start();
        let spec = SourceSpec::Capture {
            path: path.to_owned(),
        };
        let mut source = Source::open(&spec, speed).await.unwrap();
        let mut result = Ok(());
        loop {
            match source.next(clock.now()) {
                Next::Event(event) => see(&event),
                Next::Wait => {
                    if let Err(error) = source.wait(clock.now()).await {
                        result = Err(error);
                    }
                }
                Next::End => return (source, result),
            }
        }
    })
}

fn deltas(count: u64) -> String {
    (1..=count)
        .map(|n| delta("btcusdt", n, n, r#"["1.50","2.00"]"#) + "\n")
        .collect()
}

#[test]
fn plain_compressed_and_concatenated_files_play_alike() {
    let text = deltas(20_000);
    let (front, back) = text.split_at(text.len() / 3);
    let files = [
        Temporary::new("plain.gz", text.as_bytes()),
        Temporary::new("compressed.txt", &gzip(text.as_bytes())),
        Temporary::new(
            "members",
            &[gzip(front.as_bytes()), gzip(back.as_bytes())].concat(),
        ),
    ];
    for file in files {
        let mut next = 1;
        let (source, result) = replay(&file.0, Speed::Max, &mut |event| {
            assert_eq!(event.channel, "book:BTCUSDT");
            assert_eq!(event.ts_ns, (1_723_161_601_000 + next) * 1_000_000);
            next += 1;
        });
        assert!(result.is_ok());
        assert_eq!(
            (
                source.tally().books,
                source.tally().bad_lines(),
                source.tally().gaps
            ),
            (20_000, 0, 0)
        );
        let progress = source.progress().unwrap();
        assert_eq!(Some(progress.bytes_read), progress.bytes_total);
        assert_eq!((progress.lines, progress.ticks), (20_000, 20_000));
        assert_eq!(progress.captured_ns(), 19_999_000_000);
    }
}

#[test]
fn a_truncated_file_plays_its_whole_lines_and_then_names_the_byte() {
    let text = deltas(5_000);
    let mut file = gzip(text.as_bytes());
    file.truncate(file.len() / 2);
    let temporary = Temporary::new("truncated", &file);
    let mut events = 0;
    let (source, result) = replay(&temporary.0, Speed::Max, &mut |_| events += 1);
    let offset = file.len() as u64;
    assert!(matches!(
        result,
        Err(SourceError::Gzip(GzipError::Truncated { offset: at })) if at == offset
    ));
    assert!((2_000..4_000).contains(&events), "about half: {events}");
    assert_eq!((source.tally().books, source.tally().bad_lines()), (events, 0));
}

#[test]
fn a_paced_replay_delivers_everything_in_order() {
    let text = deltas(50);
    let temporary = Temporary::new("paced", text.as_bytes());
    let mut last_ns = 0;
    let (source, result) = replay(&temporary.0, "10000".parse().unwrap(), &mut |event| {
        assert!(event.ts_ns > last_ns);
        last_ns = event.ts_ns;
    });
    assert!(result.is_ok());
    assert_eq!(source.tally().books, 50);
}

#[test]
fn what_cannot_be_opened_or_read_says_which_and_why() {
    runtime().unwrap().block_on(async {
        let missing = Path::new("/nonexistent/capture");
        let error = Capture::open(missing, Speed::Max).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot open /nonexistent/capture: "),
            "{error}"
        );
        let error = Capture::open(&std::env::temp_dir(), Speed::Max)
            .await
            .unwrap_err();
        assert!(error.to_string().ends_with(": is a directory"), "{error}");
        // It opens, but nothing is mapped at its first byte.
        let mut unreadable = Capture::open(Path::new("/proc/self/mem"), Speed::Max)
            .await
            .unwrap();
        assert_eq!(unreadable.next(Now::default()), Next::Wait);
        let error = unreadable.wait(Now::default()).await.unwrap_err();
        assert!(matches!(error, SourceError::Read { offset: 0, .. }), "{error}");
        assert_eq!(unreadable.next(Now::default()), Next::End);
    });
}

#[test]
fn a_capture_may_come_out_of_a_pipe() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(deltas(100).as_bytes()).unwrap();
    drop(writer);
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    // Whoever opens the path has an end of the same pipe, and reads to its end.
    let (source, result) = replay(Path::new(&path), Speed::Max, &mut |_| {});
    assert!(result.is_ok());
    assert_eq!(
        (source.tally().books, source.progress().unwrap().bytes_total),
        (100, None)
    );
}

#[test]
fn an_empty_file_ends_at_once() {
    let temporary = Temporary::new("empty", b"");
    let (source, result) = replay(&temporary.0, Speed::REAL_TIME, &mut |_| panic!("no events"));
    assert!(result.is_ok());
    assert_eq!(source.tally(), &Tally::default());
}

/// The real capture: its path is in `TICKWIRE_CAPTURE`, or it lies beside the checkout.
fn real_capture() -> Option<PathBuf> {
    let path = std::env::var_os("TICKWIRE_CAPTURE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/btcusdt_spot_20240809.gz"),
        PathBuf::from,
    );
    if !path.exists() {
        println!(
            "SKIPPED: no capture at {} (set TICKWIRE_CAPTURE to its path)",
            path.display()
        );
        return None;
    }
    Some(path)
}

fn same_text(decimal: Decimal, json: &Value) {
    assert_eq!(decimal.to_string(), json.as_str().unwrap());
}

fn same_levels(levels: &[Level], json: &Value) {
    let json = json.as_array().unwrap();
    assert_eq!(levels.len(), json.len());
    for (level, pair) in levels.iter().zip(json) {
        same_text(level.price, &pair[0]);
        same_text(level.size, &pair[1]);
    }
}

#[test]
fn a_real_capture_plays_whole_and_every_number_keeps_its_text() {
    let Some(path) = real_capture() else { return };
    let mut text = String::new();
    let file = std::fs::File::open(&path).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::MultiGzDecoder::new(file), &mut text).unwrap();
    let mut lines = text.lines();
    let (source, result) = replay(&path, Speed::Max, &mut |event| {
        let (received, json) = lines.next().unwrap().split_once(' ').unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        let data = &json["data"];
        let ts_ns = |field: &str| data[field].as_u64().unwrap() * 1_000_000;
        match event.tick {
            Tick::Trade(trade) => {
                assert_eq!((event.channel, event.ts_ns), ("trade:BTCUSDT", ts_ns("T")));
                same_text(trade.price, &data["p"]);
                same_text(trade.size, &data["q"]);
                assert_eq!(trade.side == Side::Sell, data["m"].as_bool().unwrap());
                assert_eq!(trade.id, data["t"].to_string());
            }
            Tick::Quote(quote) => {
                assert_eq!(
                    (event.channel, event.ts_ns),
                    ("bbo:BTCUSDT", received.parse().unwrap())
                );
                same_text(quote.bid_price, &data["b"]);
                same_text(quote.bid_size, &data["B"]);
                same_text(quote.ask_price, &data["a"]);
                same_text(quote.ask_size, &data["A"]);
            }
            Tick::Book(BookUpdate { bids, asks, .. }) => {
                assert_eq!((event.channel, event.ts_ns), ("book:BTCUSDT", ts_ns("E")));
                same_levels(bids, &data["b"]);
                same_levels(asks, &data["a"]);
            }
            Tick::Message(_) => panic!("a capture has no messages"),
        }
    });
    assert!(result.is_ok() && lines.next().is_none());
    let tally = source.tally();
    assert_eq!((tally.quotes, tally.trades, tally.books), (45_134, 10_147, 3_044));
    assert_eq!(
        (tally.lines, tally.bad_lines(), tally.gaps, tally.stale),
        (58_325, 0, 0, 0)
    );
    assert_eq!(source.progress().unwrap().captured_ns() / 1_000_000_000, 304);
}
