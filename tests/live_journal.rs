//! Servers with a journal as processes of their own: killed in the middle of everything, and out of room.
//!
//! `TICKWIRE_KILLS=100 cargo test --test live_journal` kills as often as that.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{ChildStdin, Command};
use std::thread::{self, JoinHandle};

use serde_json::Value;

use scene::cannot_serve;
use scene::folder::Folder;
use scene::process::{BINARY, Process, run};
use scene::raw::{CLOSE, Raw, TEXT, UPGRADE, text};

/// A client that keeps what it saw: each number's text.
struct Witness {
    raw: Raw,
    epoch: String,
}

impl Witness {
    /// One that has subscribed to everything, for a channel cannot be named before it speaks.
    fn subscribe(address: SocketAddr) -> Self {
        let mut raw = Raw::connect(address);
        raw.send(UPGRADE.as_bytes());
        raw.opened();
        let hello: Value = serde_json::from_str(raw.frame().text()).expect("JSON");
        raw.send(&text(r#"{"op":"sub","id":1,"ch":["*"]}"#));
        let ack = raw.frame();
        assert!(ack.text().starts_with("{\"t\":\"ack\""), "{ack:?}");
        let epoch = hello["epoch"].as_str().expect("hello has an epoch").to_owned();
        Self { raw, epoch }
    }

    /// The next message of a channel, with its number.
    fn next(&mut self) -> (u64, String) {
        self.next_or_close().expect("it is not closed yet")
    }

    /// The same; `None` when the server says goodbye.
    fn next_or_close(&mut self) -> Option<(u64, String)> {
        loop {
            let frame = self.raw.frame();
            if frame.opcode == CLOSE {
                return None;
            }
            if frame.opcode != TEXT {
                continue;
            }
            let message: Value = serde_json::from_str(frame.text()).expect("JSON");
            if message["t"] == "msg" {
                return Some((
                    message["seq"].as_u64().expect("a number"),
                    frame.text().to_owned(),
                ));
            }
        }
    }
}

/// Says something on a channel, again and again and never the same, until nobody listens.
fn talk(mut input: ChildStdin, run: usize) -> JoinHandle<()> {
    thread::spawn(move || {
        for count in 0_u64.. {
            let line = format!(
                "{{\"ch\":\"room:0\",\"t\":\"msg\",\"data\":\"run {run}, {count}, {}\"}}\n",
                "x".repeat(100)
            );
            if input.write_all(line.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn kills_are_survived(sync: &str, kills: usize) {
    let folder = Folder::new(&format!("journal-{sync}"));
    let mut seen: BTreeMap<u64, String> = BTreeMap::new();
    let mut epoch = None;
    for run in 0..kills {
        let mut server = Process::start(&format!(
            "serve --source stdin --listen 127.0.0.1:0 --shards 1 --journal {} --journal-sync {sync} \
             --journal-segment 256K",
            folder.display()
        ));
        let address = server.address();
        let mut witness = Witness::subscribe(address);
        let talker = talk(server.stdin(), run);
        let epoch = epoch.get_or_insert_with(|| witness.epoch.clone());
        assert_eq!(*epoch, witness.epoch, "the epoch goes on");
        let newest = seen.last_key_value().map_or(0, |(seq, _)| *seq);
        let mut last = None;
        // Another moment each time.
        for _ in 0..200 + run * 37 % 501 {
            let (seq, message) = witness.next();
            assert!(
                seq > newest,
                "number {seq} was given before, {newest} was the newest"
            );
            assert!(last.is_none_or(|last| seq == last + 1), "{seq} follows {last:?}");
            last = Some(seq);
            seen.insert(seq, message);
        }
        server.signal("KILL");
        drop(server.wait());
        talker.join().expect("it ends with the server");
    }
    let journaled = folder.journaled("room:0");
    for (seq, message) in &seen {
        assert_eq!(
            journaled.get(seq),
            Some(message),
            "what was seen is in the journal"
        );
    }
    assert!(
        journaled.keys().copied().eq(1..=journaled.len() as u64),
        "and nothing is missing"
    );
}

fn kills() -> usize {
    let asked = std::env::var("TICKWIRE_KILLS").ok();
    asked.map_or(4, |kills| kills.parse().expect("TICKWIRE_KILLS is a number"))
}

#[test]
fn no_number_is_given_twice_however_often_a_server_that_syncs_each_is_killed() {
    if !cannot_serve() {
        kills_are_survived("each", kills());
    }
}

#[test]
fn a_kill_takes_nothing_from_a_server_that_syncs_now_and_then_either() {
    if !cannot_serve() {
        kills_are_survived("50ms", kills());
    }
}

/// Starts a server whose files may be as long as the smallest tape is, which is a file too, and no longer.
fn limited(folder: &Folder) -> Process {
    let bytes = tickwire::limits::TRACK_BYTES_MIN;
    // A shell counts in blocks of 512 bytes, or of 1,024.
    let serve = format!(
        "ulimit -f {} && exec '{BINARY}' serve --source stdin --listen 127.0.0.1:0 --shards 1 --tape-bytes {bytes} \
         --journal {} --journal-sync each",
        bytes / 512,
        folder.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &serve]);
    Process::spawn(&mut command)
}

fn health(address: SocketAddr) -> String {
    let mut raw = Raw::connect(address);
    raw.send(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
    String::from_utf8(raw.rest()).expect("text")
}

#[test]
fn a_disk_without_room_ends_the_journaling_and_not_the_feed_and_room_brings_it_back() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("journal-room");
    // There is room again in the next file.
    let mut server = limited(&folder);
    let address = server.address();
    let mut witness = Witness::subscribe(address);
    let talker = talk(server.stdin(), 0);
    let reader = thread::spawn(move || {
        let (mut count, mut last) = (0_u64, 0);
        while let Some((seq, _)) = witness.next_or_close() {
            assert!(last == 0 || seq == last + 1, "{seq} follows {last}");
            (count, last) = (count + 1, seq);
        }
        (witness.epoch, count, last)
    });
    server.line("NOT journaled");
    server.line("goes on with segment 2");
    server.signal("TERM");
    let ended = server.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    talker.join().expect("it ends with the server");
    let (epoch, count, last) = reader.join().expect("every message came");
    assert!(count > 1000, "{count} messages");
    let journaled = folder.journaled("room:0");
    assert!(
        !journaled.keys().copied().eq(1..=last),
        "some could not be written"
    );
    // What was published meanwhile is gone, but its numbers are not given again within the epoch.
    let mut server = Process::start(&format!(
        "serve --source stdin --listen 127.0.0.1:0 --shards 1 --journal {}",
        folder.display()
    ));
    let mut witness = Witness::subscribe(server.address());
    let _talker = talk(server.stdin(), 1);
    let (next, _) = witness.next();
    assert!(
        next > last || witness.epoch != epoch,
        "number {next} was given before, {last} was the newest"
    );
}

#[test]
fn a_server_that_is_killed_while_it_does_not_journal_comes_back_in_another_epoch() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("journal-epoch");
    let mut server = limited(&folder);
    let address = server.address();
    let mut witness = Witness::subscribe(address);
    // The file that it writes stays, and there will be no other.
    let moved = Folder::new("journal-epoch-moved");
    std::fs::rename(folder.path(), moved.path()).expect("it can be renamed");
    let talker = talk(server.stdin(), 0);
    server.line("NOT journaled");
    witness.next();
    assert!(health(address).ends_with("ok, but not journaling\n"));
    server.signal("KILL");
    drop(server.wait());
    talker.join().expect("it ends with the server");
    let folder = moved;
    let mut server = Process::start(&format!(
        "serve --source stdin --listen 127.0.0.1:0 --shards 1 --journal {}",
        folder.display()
    ));
    let address = server.address();
    let after = Witness::subscribe(address);
    assert_ne!(after.epoch, witness.epoch);
    assert!(health(address).ends_with("\nok\n"));
}

#[test]
fn a_journal_is_replayed_as_a_source() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("journal-replay");
    let mut server = Process::start(&format!(
        "serve --source stdin --listen 127.0.0.1:0 --shards 1 --journal {}",
        folder.display()
    ));
    let mut witness = Witness::subscribe(server.address());
    let mut input = server.stdin();
    for n in 0..10 {
        writeln!(input, r#"{{"ch":"room:0","t":"msg","data":{n}}}"#).expect("it listens");
    }
    drop(input);
    for _ in 0..10 {
        witness.next();
    }
    server.signal("TERM");
    server.wait();
    let mut replay = Process::start(&format!(
        "replay {} --speed max --wait 1 --listen 127.0.0.1:0 --shards 1",
        folder.display()
    ));
    let mut witness = Witness::subscribe(replay.address());
    for n in 0..10 {
        let (seq, message) = witness.next();
        assert_eq!(seq, n + 1);
        assert!(message.ends_with(&format!("\"data\":{n}}}")), "{message}");
    }
    replay.line("10 lines, 10 ticks");
    let circle = run(&format!(
        "serve --source journal:{0} --journal {0}",
        folder.display()
    ));
    assert!(
        circle
            .stderr
            .contains("cannot be both the source and the journal"),
        "{}",
        circle.stderr
    );
}
