//! Lines that others publish, on real sockets.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use scene::process::Process;
use scene::raw::{Raw, TEXT, text};
use scene::{DEADLINE, cannot_serve};

/// A server on which lines come in, at this address.
fn serve(more: &str) -> (Process, SocketAddr, SocketAddr) {
    let mut server = Process::start(&format!(
        "serve --source none --listen 127.0.0.1:0 --connections 64 --tape-bytes 16777216 --ingest tcp:127.0.0.1:0 {more}"
    ));
    let line = server.line("lines come in on tcp:");
    let (_, at) = line.split_once("tcp:").expect("it says where");
    let lines = at.trim().parse().expect("an address");
    let address = server.address();
    (server, address, lines)
}

/// A publisher that says lines and reads replies.
struct Publisher {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Publisher {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a timeout");
        let replies = BufReader::new(stream.try_clone().expect("a descriptor"));
        Self { stream, replies }
    }

    fn say(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).expect("it is read");
    }

    /// The next reply; nothing at the end.
    fn hear(&mut self) -> Value {
        read(&mut self.replies)
    }
}

fn read(replies: &mut impl std::io::BufRead) -> Value {
    let mut line = String::new();
    replies.read_line(&mut line).expect("a reply in time");
    if line.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&line).expect("JSON")
}

fn subscriber(address: SocketAddr) -> Raw {
    let mut raw = Raw::open(address);
    raw.send(&text(r#"{"op":"sub","ch":"*"}"#));
    assert_eq!(message(&mut raw)["t"], "ack");
    raw
}

fn message(raw: &mut Raw) -> Value {
    loop {
        let frame = raw.frame();
        if frame.opcode == TEXT {
            return serde_json::from_str(frame.text()).expect("JSON");
        }
    }
}

#[test]
fn lines_are_published_and_those_with_a_number_are_acknowledged_in_order() {
    if cannot_serve() {
        return;
    }
    let (_server, address, lines) = serve("");
    let mut subscriber = subscriber(address);
    let mut publisher = Publisher::connect(lines);
    publisher
        .say("{\"id\":1,\"ch\":\"room:1\",\"t\":\"msg\",\"data\":1}\r\n\n{\"ch\":\"room:1\",\"data\":2}\n");
    publisher.say("{\"id\":2,\"ch\":\"trade:X\",\"t\":\"trade\",\"px\":1.50,\"sz\":\"2\",\"side\":\"buy\"}\n{\"id\":3,\"ch\":\"ro");
    assert_eq!(
        publisher.hear(),
        json!({"t": "ack", "id": 1, "ch": "room:1", "seq": 1})
    );
    assert_eq!(
        publisher.hear(),
        json!({"t": "ack", "id": 2, "ch": "trade:X", "seq": 1})
    );
    publisher.say("om:1\",\"data\":3}\n");
    assert_eq!(
        publisher.hear(),
        json!({"t": "ack", "id": 3, "ch": "room:1", "seq": 3})
    );
    for (ch, seq) in [("room:1", 1), ("room:1", 2), ("trade:X", 1), ("room:1", 3)] {
        let message = message(&mut subscriber);
        assert_eq!((&message["ch"], &message["seq"]), (&json!(ch), &json!(seq)));
    }
}

#[test]
fn a_bad_line_is_answered_with_its_number_and_stops_nothing() {
    if cannot_serve() {
        return;
    }
    let (mut server, _, lines) = serve("");
    let mut publisher = Publisher::connect(lines);
    let long = "x".repeat(tickwire::limits::SOURCE_LINE_BYTES_MAX + 1);
    for (line, words) in [
        ("{", "not JSON"),
        ("[1]", "JSON object"),
        (r#"{"ch":"room:1"}"#, "data"),
        (r#"{"ch":"room","data":1}"#, "colon"),
        (r#"{"ch":"trade:X","data":1}"#, "trades"),
        (r#"{"id":-1,"ch":"room:1","data":1}"#, "id"),
        (r#"{"id":7,"ch":"room:1","data":1,"key":""}"#, "key"),
        (&long, "too long"),
    ] {
        publisher.say(line);
        publisher.say("\n");
        let error = publisher.hear();
        assert_eq!(error["t"], "error", "{error}");
        assert!(
            error["msg"].as_str().is_some_and(|msg| msg.contains(words)),
            "{words}: {error}"
        );
    }
    publisher.say("{\"id\":9,\"ch\":\"room:1\",\"data\":1}\n{\"ch\":\"room:1\",\"data\":");
    assert_eq!(
        publisher.hear(),
        json!({"t": "ack", "id": 9, "ch": "room:1", "seq": 1})
    );
    publisher
        .stream
        .shutdown(std::net::Shutdown::Write)
        .expect("connected");
    let torn = publisher.hear();
    assert_eq!(
        (&torn["t"], &torn["line"]),
        (&json!("error"), &json!(10)),
        "{torn}"
    );
    assert_eq!(publisher.hear(), Value::Null, "and that is all");
    server.line("bad line skipped");
}

#[test]
fn a_publisher_that_is_gone_has_published_every_line_that_it_ended() {
    if cannot_serve() {
        return;
    }
    let (_server, address, lines) = serve("");
    let mut subscriber = subscriber(address);
    let mut publisher = Publisher::connect(lines);
    let all: String = (1..=5000)
        .map(|n| format!("{{\"ch\":\"room:1\",\"data\":{n}}}\n"))
        .collect();
    publisher.say(&all);
    publisher.say("{\"ch\":\"room:1\",\"data\":5001}");
    drop(publisher);
    for seq in 1..=5000 {
        assert_eq!(message(&mut subscriber)["seq"], json!(seq));
    }
    let mut next = Publisher::connect(lines);
    next.say("{\"id\":1,\"ch\":\"room:1\",\"data\":0}\n");
    assert_eq!(next.hear()["seq"], json!(5001), "the torn line was not published");
}

#[test]
fn a_flood_from_one_publisher_does_not_keep_another_waiting_and_a_silent_one_disturbs_nobody() {
    if cannot_serve() {
        return;
    }
    let (_server, _, lines) = serve("");
    let silent = Publisher::connect(lines);
    let mut flood = Publisher::connect(lines);
    let line = format!(
        "{{\"id\":1,\"ch\":\"flood:1\",\"data\":\"{}\"}}\n",
        "x".repeat(200)
    );
    let flooding = std::thread::spawn(move || {
        // It never reads its replies, so that in the end nothing more is taken from it.
        let _ = flood
            .stream
            .set_write_timeout(Some(std::time::Duration::from_millis(500)));
        while flood.stream.write_all(line.as_bytes()).is_ok() {}
        flood
    });
    let mut publisher = Publisher::connect(lines);
    for id in 1..=200 {
        publisher.say(&format!("{{\"id\":{id},\"ch\":\"room:1\",\"data\":{id}}}\n"));
        assert_eq!(publisher.hear()["seq"], json!(id));
    }
    let mut flood = flooding.join().expect("its socket fills up");
    assert_eq!(flood.hear()["seq"], json!(1), "its replies are still there");
    drop(silent);
}

#[test]
fn a_key_is_published_once_also_by_the_next_connection() {
    if cannot_serve() {
        return;
    }
    let (_server, _, lines) = serve("");
    for id in 1..=2 {
        let mut publisher = Publisher::connect(lines);
        publisher.say(&format!(
            "{{\"id\":{id},\"ch\":\"room:1\",\"data\":1,\"key\":\"k\"}}\n"
        ));
        assert_eq!(
            publisher.hear(),
            json!({"t": "ack", "id": id, "ch": "room:1", "seq": 1})
        );
    }
}

#[test]
fn there_are_so_many_publishers_and_one_more_is_told_so() {
    if cannot_serve() {
        return;
    }
    let (_server, _, lines) = serve("");
    let publish = |publisher: &mut Publisher| {
        publisher.say("{\"id\":1,\"ch\":\"room:1\",\"data\":1}\n");
        publisher.hear()
    };
    let mut all: Vec<Publisher> = Vec::new();
    for _ in 0..tickwire::limits::INGEST_CONNECTIONS_MAX {
        let mut publisher = Publisher::connect(lines);
        assert_eq!(publish(&mut publisher)["t"], "ack");
        all.push(publisher);
    }
    assert_eq!(Publisher::connect(lines).hear()["code"], 4009);
    all.pop();
    // Its place is free when the server has seen that it is gone.
    let mut again = (0..10_000).map(|_| {
        let mut publisher = Publisher::connect(lines);
        let reply = publish(&mut publisher);
        std::thread::yield_now();
        reply["t"] == "ack"
    });
    assert!(again.any(|served| served));
}

#[test]
fn a_unix_socket_that_was_left_behind_is_replaced_and_is_gone_when_the_server_is() {
    if cannot_serve() {
        return;
    }
    let path = std::env::temp_dir().join(format!("tickwire-ingest-{}.sock", std::process::id()));
    let path = SocketPath(path);
    drop(std::os::unix::net::UnixListener::bind(&path.0).expect("a path"));
    let start = || {
        Process::start(&format!(
            "serve --source none --listen 127.0.0.1:0 --connections 64 --ingest unix:{}",
            path.0.display()
        ))
    };
    let mut server = start();
    server.address();
    let mut stream = UnixStream::connect(&path.0).expect("it listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    stream
        .write_all(b"{\"id\":1,\"ch\":\"room:1\",\"data\":1}\n")
        .expect("it is read");
    let mut replies = BufReader::new(stream.try_clone().expect("a descriptor"));
    assert_eq!(
        read(&mut replies),
        json!({"t": "ack", "id": 1, "ch": "room:1", "seq": 1})
    );
    let refused = start().wait();
    assert!(
        refused.stderr.contains("somebody listens there already"),
        "{}",
        refused.stderr
    );
    server.signal("TERM");
    server.wait();
    assert!(!path.0.exists());
    std::fs::write(&path.0, "a file").expect("a path");
    let refused = start().wait();
    assert!(refused.stderr.contains("no socket"), "{}", refused.stderr);
}

struct SocketPath(PathBuf);

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
