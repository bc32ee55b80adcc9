//! Hours of market, as fast as they can be read: the recording again and again through one server, whose memory stays
//! what it was and whose silent channel still has its image.
//!
//! `TICKWIRE_HOURS=12 cargo test --release --test live_hours` plays so many.

#[allow(dead_code, reason = "each test uses its part")]
mod recording;
#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use serde_json::Value;

use scene::cannot_serve;
use scene::process::Process;
use scene::raw::{Raw, TEXT, UPGRADE, text};

#[test]
fn hours_of_market_leave_the_memory_as_it_was_and_a_silent_channel_its_image() {
    if cannot_serve() {
        return;
    }
    let Some(path) = recording::path() else { return };
    let asked = std::env::var("TICKWIRE_HOURS").ok();
    let hours: u64 = asked.map_or(1, |hours| hours.parse().expect("TICKWIRE_HOURS is a number"));
    let rounds = (hours * 3600).div_ceil(RECORDED_SECONDS);
    let recorded = std::fs::read(path).expect("the capture can be read");
    let pipe = std::env::temp_dir().join(format!("tickwire-live-hours-{}", std::process::id()));
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo is everywhere").success());
    let mut server = Process::start(&format!(
        "serve --source capture:{} --speed max --wait 2 --listen 127.0.0.1:0 --shards 2 --connections 16 --binary on \
         --tape-bytes 16777216 --tape-records 16384",
        pipe.display()
    ));
    let address = server.address();
    // One reads all the time, and one does not.
    let mut reader = subscribe(address, "*");
    let mut sleeper = subscribe(address, "*");
    // Waits until the server has it open.
    let mut input = OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("the server reads it");
    std::fs::remove_file(&pipe).expect("it is there");
    let reader = thread::spawn(move || {
        let mut counts = Counts::default();
        while !counts.is_over() {
            counts.take(&mut reader);
        }
        counts
    });
    let mut memory = Vec::new();
    input.write_all(&gzip(SILENT)).expect("the server reads on");
    for _ in 0..rounds {
        input.write_all(&recorded).expect("the server reads on");
        memory.push(server.memory("VmRSS"));
    }
    input.write_all(&gzip(LAST)).expect("the server reads on");
    drop(input);
    let counts = reader.join().expect("it has read everything");
    memory.push(server.memory("VmRSS"));
    // The first rounds touch the whole tape for the first time; what the last one leaves is measured when it was read.
    let settled = memory[memory.len() / 4];
    let most = memory[memory.len() / 4..].iter().max().expect("there are rounds");
    println!(
        "{rounds} rounds, {counts:?}; resident {settled} bytes after a quarter of them, at most {most} from there on"
    );
    assert!(*most <= settled + GROWTH_BYTES, "{memory:?}");
    let silent = subscribe(address, "bbo:ETHUSDT").frame();
    let silent: Value = serde_json::from_str(silent.text()).expect("JSON");
    assert_eq!(
        (&silent["ch"], &silent["seq"], &silent["bp"]),
        (&"bbo:ETHUSDT".into(), &1.into(), &"2600.10".into())
    );
    let mut late = Counts::default();
    while !late.is_over() {
        late.take(&mut sleeper);
    }
    let trades = rounds * TRADES;
    for counts in [&counts, &late] {
        assert_eq!(
            counts.trades + counts.missed,
            trades,
            "each trade came or was told: {counts:?}"
        );
    }
    server.signal("USR1");
    let silent = server.line("history: bbo:ETHUSDT: ");
    assert!(silent.ends_with("none of 1 messages"), "{silent}");
    server.signal("TERM");
    assert!(server.wait().status.success());
}

/// What has come to a subscriber.
#[derive(Debug, Default)]
struct Counts {
    trades: u64,
    /// Trades that it was told that it misses.
    missed: u64,
    others: u64,
    last_seen: bool,
}

impl Counts {
    /// Whether it has the last message that there is. What is older may follow where it was behind, but no trade.
    fn is_over(&self) -> bool {
        self.last_seen
    }

    fn take(&mut self, raw: &mut Raw) {
        let frame = raw.frame();
        if frame.opcode != TEXT {
            return;
        }
        let text = frame.text();
        // Most of millions: what it is stands at the beginning, and the number in front of the third comma.
        if text.starts_with("{\"t\":\"trade\"") {
            let next = self.trades + self.missed + 1;
            let is_next = text.contains(&format!("\"seq\":{next},"));
            assert!(is_next || text.contains(LAST_CHANNEL), "{next}: {text}");
            if is_next && !text.contains(LAST_CHANNEL) {
                self.trades += 1;
            } else {
                self.last_seen = true;
            }
        } else if text.starts_with("{\"t\":\"gap\"") {
            let gap: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(gap["from"], self.trades + self.missed + 1, "{gap}");
            self.missed = gap["to"].as_u64().expect("a number") - self.trades;
        } else {
            self.others += 1;
        }
    }
}

/// One that has subscribed to a channel or pattern.
fn subscribe(address: SocketAddr, channel: &str) -> Raw {
    let mut raw = Raw::connect(address);
    raw.send(UPGRADE.as_bytes());
    raw.opened();
    assert!(raw.frame().text().starts_with("{\"t\":\"hello\""));
    raw.send(&text(&format!("{{\"op\":\"sub\",\"ch\":\"{channel}\"}}")));
    let ack = raw.frame();
    assert!(ack.text().ends_with("\"err\":[]}"), "{ack:?}");
    raw
}

fn gzip(line: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder
        .write_all(line.as_bytes())
        .expect("vectors take everything");
    encoder.finish().expect("vectors take everything")
}

/// Of the recording, and trades in it.
const RECORDED_SECONDS: u64 = 302;
const TRADES: u64 = 10_147;
/// What the allocator and the kernel's accounting may differ by.
const GROWTH_BYTES: usize = 512 * 1024;
/// The only message of its channel.
const SILENT: &str = "1723161600000000000 {\"stream\":\"ethusdt@bookTicker\",\"data\":{\"u\":1,\"s\":\"ETHUSDT\",\
    \"b\":\"2600.10\",\"B\":\"1\",\"a\":\"2600.20\",\"A\":\"2\"}}\n";
/// The last message of all.
const LAST: &str = "1723161900000000000 {\"stream\":\"ethusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161900000,\
    \"s\":\"ETHUSDT\",\"t\":1,\"p\":\"2600.10\",\"q\":\"1\",\"T\":1723161900000,\"m\":true}}\n";
const LAST_CHANNEL: &str = "\"ch\":\"trade:ETHUSDT\"";
