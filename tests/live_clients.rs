//! The built binary and a client that we did not write, as a user would put them together; `tests/foreign/run` does
//! the same with clients of other languages.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::HashMap;

use scene::process::Process;
use scene::socket::Socket;
use scene::{block_on, cannot_serve};

#[test]
fn a_foreign_client_receives_five_hundred_trades_with_consecutive_numbers() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --connections 8");
    let address = process.address();
    block_on(async {
        let mut socket = Socket::connect(address, "").await;
        assert_eq!(socket.json().await["t"], "hello");
        socket.send(r#"{"op":"sub","id":1,"ch":["trade:*"]}"#).await;
        let ack = socket.json().await;
        assert_eq!((&ack["t"], &ack["id"]), (&"ack".into(), &1.into()));
        let mut newest: HashMap<String, u64> = HashMap::new();
        for _ in 0..500 {
            let tick = socket.json().await;
            assert_eq!(tick["t"], "trade", "{tick}");
            let channel = tick["ch"].as_str().expect("a channel").to_owned();
            let seq = tick["seq"].as_u64().expect("a number");
            if let Some(before) = newest.insert(channel, seq) {
                assert_eq!(seq, before + 1, "{tick}");
            }
        }
        assert!(newest.len() > 1, "more than one symbol is traded");
        socket.send(r#"{"op":"unsub","id":2,"ch":["trade:*"]}"#).await;
        assert_eq!(socket.json_of("ack").await["id"], 2);
        assert_eq!(socket.close(1000, "done").await.code, 1000);
    });
    process.signal("TERM");
    assert_eq!(process.wait().status.code(), Some(0));
}
