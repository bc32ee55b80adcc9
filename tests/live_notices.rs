//! What the server says by itself, over real sockets: heartbeats, and that it goes.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::io::Write as _;

use serde_json::json;

use scene::process::Process;
use scene::raw::{Raw, UPGRADE};
use scene::socket::{Closed, Socket};
use scene::{block_on, cannot_serve};

#[test]
fn a_silent_channel_is_shown_to_be_alive() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(&format!("{SERVE} --heartbeat-seconds 1"));
    let (address, mut stdin) = (process.address(), process.stdin());
    block_on(async {
        let mut socket = subscribed(address, &mut stdin).await;
        let mut last = json!(null);
        for _ in 0..2 {
            let heartbeat = socket.json_of("hb").await;
            assert!(heartbeat["time"].as_u64() > last.as_u64(), "{heartbeat}");
            assert_eq!(heartbeat["last"], json!({"trade:X": 1}));
            last = heartbeat["time"].clone();
        }
        stdin.write_all(TRADE.as_bytes()).expect("the server reads");
        assert_eq!(socket.json_of("trade").await["seq"], 2);
        assert_eq!(socket.json_of("hb").await["last"], json!({"trade:X": 2}));
    });
    process.signal("TERM");
    drop(stdin);
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn a_server_with_time_to_stop_says_so_and_closes_as_a_restart_does() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --shards 2 --drain-seconds 1");
    let address = process.address();
    block_on(async {
        let mut socket = Socket::connect(address, "?ch=*").await;
        assert_eq!(socket.json().await["t"], "hello");
        process.signal("TERM");
        let shutdown = socket.json_of("shutdown").await;
        assert_eq!(
            shutdown,
            json!({"t": "shutdown", "in_ms": 1000, "retry_ms": [500, 8000]})
        );
        let closed = socket.last_words().await;
        let expected = Closed {
            code: 1012,
            reason: "server is shutting down".to_owned(),
        };
        assert_eq!(closed, expected);
    });
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn until_then_it_serves_on_and_turns_newcomers_away_and_a_second_signal_ends_it() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(&format!("{SERVE} --drain-seconds 3600"));
    let (address, mut stdin) = (process.address(), process.stdin());
    block_on(async {
        let mut socket = subscribed(address, &mut stdin).await;
        process.signal("TERM");
        assert_eq!(socket.json_of("shutdown").await["in_ms"], 3_600_000);
        for request in ["GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", UPGRADE] {
            let mut raw = Raw::connect(address);
            raw.send(request.as_bytes());
            let response = String::from_utf8(raw.rest()).expect("a response is text");
            assert!(
                response.starts_with("HTTP/1.1 503 ") && response.contains("Retry-After: "),
                "{response}"
            );
        }
        stdin.write_all(TRADE.as_bytes()).expect("the server reads");
        assert_eq!(socket.json_of("trade").await["seq"], 2);
        socket.send(r#"{"op":"ping","id":1}"#).await;
        assert_eq!(socket.json_of("pong").await["id"], 1);
    });
    process.signal("TERM");
    assert_eq!(process.wait().status.code(), Some(130));
}

/// A client of the channel, on which there was one trade.
async fn subscribed(address: std::net::SocketAddr, stdin: &mut std::process::ChildStdin) -> Socket {
    let mut socket = Socket::connect(address, "?ch=trade:*").await;
    assert_eq!(socket.json().await["t"], "hello");
    assert_eq!(socket.json().await["t"], "ack");
    stdin.write_all(TRADE.as_bytes()).expect("the server reads");
    assert_eq!(socket.json_of("trade").await["seq"], 1);
    socket.send(r#"{"op":"sub","ch":"trade:X"}"#).await;
    assert_eq!(socket.json_of("ack").await["ok"][0]["seq"], 1);
    socket
}

/// One shard, so that nobody waits on another's listener.
const SERVE: &str = "serve --source stdin --listen 127.0.0.1:0 --shards 1 --connections 8";
const TRADE: &str = "{\"ch\":\"trade:X\",\"t\":\"trade\",\"px\":\"1\",\"sz\":\"1\",\"side\":\"buy\"}\n";
