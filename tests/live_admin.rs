//! The admin port of servers that are processes of their own, asked by a client of a few lines: what it says, and that
//! nobody who is slow or speaks no HTTP keeps others from being answered.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{ChildStdin, Command};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tickwire::limits;

use scene::folder::Folder;
use scene::process::{BINARY, Process, run};
use scene::raw::{Raw, UPGRADE, text};
use scene::{DEADLINE, cannot_serve};

/// A server, and its two addresses.
struct Watched {
    server: Process,
    feed: SocketAddr,
    admin: SocketAddr,
}

impl Watched {
    fn start(rest: &str) -> Self {
        Self::of(Process::start(&format!("serve {OPTIONS} {rest}")))
    }

    fn of(mut server: Process) -> Self {
        let feed = server.address();
        let line = server.line("metrics on http://");
        let (_, address) = line.split_once("http://").expect("just found");
        let address = address.strip_suffix("/metrics").expect("they have a path");
        let admin = address.parse().expect("an address");
        Self { server, feed, admin }
    }

    fn metrics(&self) -> BTreeMap<String, f64> {
        let (head, body) = ask(self.admin, &get("/metrics", "*/*"));
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        let metrics = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        });
        metrics.collect()
    }

    /// The metrics when a condition holds.
    fn when(&self, what: &str, holds: impl Fn(&BTreeMap<String, f64>) -> bool) -> BTreeMap<String, f64> {
        let (_kept, nothing) = mpsc::channel::<()>();
        for _ in 0..LOOKS {
            let metrics = self.metrics();
            if holds(&metrics) {
                return metrics;
            }
            let _ = nothing.recv_timeout(PAUSE);
        }
        panic!("never {what}: {:#?}", self.metrics());
    }
}

fn get(path: &str, accept: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\nAccept: {accept}\r\n\r\n")
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
}

/// Everything up to the end of the stream, however it ends.
fn rest(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    String::from_utf8(bytes).expect("text")
}

/// The head and the body of the answer to a request.
fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).expect("it is read");
    let answer = rest(&stream);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no head: {answer:?}"));
    (head.to_owned() + "\r\n", body.to_owned())
}

fn open(address: SocketAddr) -> (Raw, Value) {
    let mut raw = Raw::connect(address);
    raw.send(UPGRADE.as_bytes());
    raw.opened();
    let hello = serde_json::from_str(raw.frame().text()).expect("JSON");
    (raw, hello)
}

fn say(input: &mut ChildStdin, channel: &str, count: usize) {
    for n in 0..count {
        writeln!(input, r#"{{"ch":"{channel}","t":"msg","data":{n}}}"#).expect("it listens");
    }
}

#[test]
fn metrics_follow_what_is_published_and_health_is_told() {
    if cannot_serve() {
        return;
    }
    let mut watched = Watched::start("");
    let mut input = watched.server.stdin();
    let before = watched.metrics();
    assert_eq!(before["tickwire_subscribers{shard=\"0\"}"], 0.0);
    assert_eq!(
        (before["tickwire_tape_records"], before["tickwire_channels"]),
        (0.0, 0.0)
    );
    assert!(
        !before.contains_key("tickwire_journal_missing"),
        "there is no journal"
    );
    let (mut raw, _) = open(watched.feed);
    raw.send(&text(r#"{"op":"sub","ch":"*"}"#));
    raw.frame();
    say(&mut input, "room:0", 10);
    (0..10).for_each(|_| drop(raw.frame()));
    let metrics = watched.when("ten messages", |metrics| {
        metrics.get("tickwire_channel_seq{channel=\"room:0\"}") == Some(&10.0)
    });
    assert_eq!(metrics["tickwire_channel_oldest_seq{channel=\"room:0\"}"], 1.0);
    assert_eq!(metrics["tickwire_tape_records"], 10.0);
    assert_eq!(metrics["tickwire_tape_retired_total"], 0.0);
    assert_eq!(metrics["tickwire_channels_left_out"], 0.0);
    assert_eq!(metrics["tickwire_connections{shard=\"0\"}"], 1.0);
    assert_eq!(metrics["tickwire_subscribers{shard=\"0\"}"], 1.0);
    assert!(
        metrics["tickwire_sends_total{shard=\"0\"}"] >= 1.0,
        "{metrics:#?}"
    );
    let reach = metrics["tickwire_tape_horizon_seconds"];
    assert!(reach > 0.0);
    assert_eq!(
        metrics["tickwire_channel_horizon_seconds{channel=\"room:0\"}"],
        reach
    );

    let (head, body) = ask(
        watched.admin,
        &get("/metrics", "application/openmetrics-text;version=1.0.0"),
    );
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"), "{body}");
    let (head, body) = ask(watched.admin, &get("/healthz", "*/*"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
    let (head, _) = ask(watched.admin, &get("/", "*/*"));
    assert!(head.starts_with("HTTP/1.1 404 "), "{head}");
    let (head, _) = ask(watched.admin, "POST /metrics HTTP/1.1\r\nHost: here\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 405 ") && head.contains("allow: GET\r\n"),
        "{head}"
    );
    watched.server.signal("USR1");
    let line = watched.server.line("history: room:0: ");
    assert!(line.contains("messages 1 to 10"), "{line}");
    watched.server.signal("TERM");
    assert!(watched.server.wait().status.success());
}

#[test]
fn the_horizon_is_that_of_a_since_when_the_tape_is_lapped() {
    if cannot_serve() {
        return;
    }
    let mut watched = Watched::start("--tape-records 64 --tape-bytes 16777216");
    let mut input = watched.server.stdin();
    say(&mut input, "room:silent", 1);
    say(&mut input, "room:0", 1000);
    let metrics = watched.when("a thousand messages", |metrics| {
        metrics.get("tickwire_channel_seq{channel=\"room:0\"}") == Some(&1000.0)
    });
    assert!(metrics["tickwire_tape_records"] <= 64.0);
    assert!(metrics["tickwire_tape_retired_total"] > 900.0);
    assert_eq!(metrics["tickwire_channel_seq{channel=\"room:silent\"}"], 1.0);
    assert_eq!(
        metrics["tickwire_channel_oldest_seq{channel=\"room:silent\"}"], 2.0,
        "none is left"
    );
    assert_eq!(
        metrics["tickwire_channel_horizon_seconds{channel=\"room:silent\"}"],
        0.0
    );
    let oldest = metrics["tickwire_channel_oldest_seq{channel=\"room:0\"}"];
    assert!(oldest > 900.0, "{oldest}");
    let (mut raw, hello) = open(watched.feed);
    for (seen, resume) in [(oldest - 1.0, "replay"), (oldest - 2.0, "gap")] {
        let since = format!("{{\"epoch\":{},\"room:0\":{seen}}}", hello["epoch"]);
        raw.send(&text(&format!(
            r#"{{"op":"sub","id":1,"ch":"room:0","since":{since}}}"#
        )));
        let ack = raw.frame();
        assert!(
            ack.text().contains(&format!("\"resume\":\"{resume}\"")),
            "{seen}: {ack:?}"
        );
        drop(raw);
        (raw, _) = open(watched.feed);
    }
}

#[test]
fn a_journal_without_room_is_told_as_missing_by_metrics_and_health() {
    if cannot_serve() {
        return;
    }
    let (folder, moved) = (Folder::new("admin-room"), Folder::new("admin-moved"));
    let bytes = limits::TRACK_BYTES_MIN;
    // Files may be as long as the smallest tape is, which is a file too; a shell counts in blocks of 512 bytes, or of 1,024.
    let serve = format!(
        "ulimit -f {} && exec '{BINARY}' serve {OPTIONS} --tape-bytes {bytes} --journal {} --journal-sync each",
        bytes / 512,
        folder.display()
    );
    let mut command = Command::new("sh");
    command.args(["-c", &serve]);
    let mut watched = Watched::of(Process::spawn(&mut command));
    let mut input = watched.server.stdin();
    say(&mut input, "room:0", 3);
    let metrics = watched.when("three messages on disk", |metrics| {
        metrics["tickwire_journal_durable"] >= 3.0
    });
    assert_eq!(metrics["tickwire_journal_taken"], 3.0);
    assert_eq!(
        (
            metrics["tickwire_journal_missing"],
            metrics["tickwire_journal_failures_total"]
        ),
        (0.0, 0.0)
    );
    assert!(metrics["tickwire_journal_written_bytes_total"] > 0.0);
    assert!(metrics["tickwire_journal_syncs_total"] > 0.0);
    assert_eq!(ask(watched.admin, &get("/healthz", "*/*")).1, "ok\n");
    // The file that it writes stays, and there will be no other.
    std::fs::rename(folder.path(), moved.path()).expect("it can be renamed");
    let line = format!(
        "{{\"ch\":\"room:0\",\"t\":\"msg\",\"data\":\"{}\"}}\n",
        "x".repeat(100_000)
    );
    let talker = std::thread::spawn(move || while input.write_all(line.as_bytes()).is_ok() {});
    watched.server.line("NOT journaled");
    let metrics = watched.when("missing", |metrics| metrics["tickwire_journal_missing"] == 1.0);
    assert!(metrics["tickwire_journal_failures_total"] >= 1.0);
    let (head, body) = ask(watched.admin, &get("/healthz", "*/*"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, "ok, but not journaling\n");
    watched.server.signal("KILL");
    drop(watched.server.wait());
    talker.join().expect("it ends with the server");
}

#[test]
fn whoever_is_slow_or_speaks_no_http_is_dropped_and_others_wait_their_turn() {
    if cannot_serve() {
        return;
    }
    let mut watched = Watched::start("");
    let mut input = watched.server.stdin();
    let (head, _) = ask(watched.admin, "\0\u{1}garbage\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let (head, _) = ask(
        watched.admin,
        &format!(
            "GET /{} HTTP/1.1\r\n\r\n",
            "x".repeat(limits::ADMIN_HEAD_BYTES_MAX)
        ),
    );
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    // All places are taken by those who say nothing, or not all that they should.
    let slow: Vec<TcpStream> = (0..limits::ADMIN_CONNECTIONS_MAX)
        .map(|n| {
            let mut stream = connect(watched.admin);
            if n % 2 == 0 {
                stream
                    .write_all(b"GET /metrics HTTP/1.1\r\nHost:")
                    .expect("it is read");
            }
            stream
        })
        .collect();
    let mut waiting = connect(watched.admin);
    waiting
        .write_all(get("/healthz", "*/*").as_bytes())
        .expect("it fits into the socket");
    // Meanwhile the feed goes on.
    let (mut raw, _) = open(watched.feed);
    raw.send(&text(r#"{"op":"sub","ch":"*"}"#));
    raw.frame();
    say(&mut input, "room:0", 1);
    assert!(raw.frame().text().contains("\"seq\":1"));
    let is_answered = has_arrived(&waiting);
    assert!(
        !is_answered || slow.iter().any(has_arrived),
        "it is answered only when somebody has gone"
    );
    let answer = rest(&waiting);
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    for stream in &slow {
        let last = rest(stream);
        assert!(last.is_empty() || last.starts_with("HTTP/1.1 408 "), "{last}");
    }
    let taken = watched.metrics();
    assert_eq!(
        taken["tickwire_connections{shard=\"0\"}"], 1.0,
        "the admin port's are not among them"
    );
}

/// Whether bytes, or the end of the stream, are there to be read.
fn has_arrived(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).expect("a socket");
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).expect("a socket");
    !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn balancers_are_told_of_a_server_that_is_about_to_end() {
    if cannot_serve() {
        return;
    }
    let watched = Watched::start("--drain-seconds 600");
    watched.server.signal("TERM");
    let (_kept, nothing) = mpsc::channel::<()>();
    let told = (0..LOOKS).any(|_| {
        let (head, body) = ask(watched.admin, &get("/healthz", "*/*"));
        let is_told = head.starts_with("HTTP/1.1 503 ") && head.contains("retry-after: ");
        assert!(is_told || body == "ok\n", "{head}{body}");
        let _ = nothing.recv_timeout(if is_told { Duration::ZERO } else { PAUSE });
        is_told
    });
    assert!(told);
}

#[test]
fn an_address_that_is_taken_is_refused() {
    if cannot_serve() {
        return;
    }
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("bound");
    let ended = run(&format!(
        "serve --source none --listen 127.0.0.1:0 --shards 1 --admin {address}"
    ));
    assert!(!ended.status.success());
    let line = format!("--admin: cannot listen on {address}: the address is in use");
    assert!(ended.stderr.contains(&line), "{}", ended.stderr);
}

const OPTIONS: &str = "--source stdin --listen 127.0.0.1:0 --admin 127.0.0.1:0 --shards 1 --connections 64";
/// Between two looks at what changes by itself, and how many there are before it should have.
const PAUSE: Duration = Duration::from_millis(50);
const LOOKS: usize = 3_600;
