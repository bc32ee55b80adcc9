//! Shards with descriptors of their own: how many clients they serve, and what becomes of those beyond.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::num::NonZeroUsize;
use std::process::Command;

use tickwire::control::Config;
use tickwire::limits::{REFUSALS_PER_SHARD, REGISTERED_AHEAD};
use tickwire::ring::Descriptors;
use tickwire::ring::descriptors::raise_descriptor_limit;
use tickwire::writer::source::SourceSpec;

use scene::process::{BINARY, Process};
use scene::raw::{BINARY as BINARY_FRAME, Raw, UPGRADE};
use scene::served::{Served, small};
use scene::socket::{Closed, Socket};
use scene::{block_on, cannot_register};

/// The built server in a process that may hold [`LIMIT`] descriptors.
fn limited(arguments: &str) -> Process {
    let serve = format!("ulimit -n {LIMIT}; exec '{BINARY}' {arguments} --listen 127.0.0.1:0");
    Process::spawn(Command::new("sh").args(["-c", &serve]))
}

#[test]
fn a_server_serves_more_clients_than_it_may_hold_descriptors_and_parts_with_each() {
    if cannot_register() {
        return;
    }
    if let Err(shortage) = raise_descriptor_limit(CLIENTS as u64 + 200) {
        return println!("SKIPPED: {shortage}");
    }
    let mut process = limited(&format!(
        "serve --source sim --descriptors registered --shards 8 --connections {CLIENTS}"
    ));
    let address = process.address();
    block_on(async {
        let mut sockets = Vec::new();
        while sockets.len() < CLIENTS {
            let mut socket = Socket::connect(address, "?ch=trade:*").await;
            assert_eq!(socket.json().await["t"], "hello");
            assert_eq!(socket.json().await["t"], "ack");
            sockets.push(socket);
        }
        assert!(process.descriptors() < LIMIT / 2, "clients take none");
        for socket in &mut sockets {
            assert_eq!(socket.json().await["t"], "trade");
        }
        process.signal("TERM");
        for mut socket in sockets {
            let closed = socket.last_words().await;
            let expected = Closed {
                code: 1012,
                reason: "server is shutting down".to_owned(),
            };
            assert_eq!(closed, expected);
        }
    });
    let ended = process.wait();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn connections_beyond_a_shards_limit_are_told_so_and_a_slot_that_is_free_is_taken() {
    if cannot_register() {
        return;
    }
    let served = Served::start(Config {
        connections: NonZeroUsize::new(2),
        descriptors: Descriptors::Registered,
        ..small(SourceSpec::Sim { seed: 1 })
    });
    block_on(async {
        let mut first = Socket::connect(served.address(), "?ch=trade:*").await;
        let mut second = Socket::connect(served.address(), "?ch=trade:*").await;
        for socket in [&mut first, &mut second] {
            assert_eq!(socket.json().await["t"], "hello");
            assert_eq!(socket.json().await["t"], "ack");
        }
        // More than the table has slots, one after the other: each slot is given back.
        for _ in 0..2 * (2 + REFUSALS_PER_SHARD + REGISTERED_AHEAD) {
            let mut raw = Raw::connect(served.address());
            raw.send(UPGRADE.as_bytes());
            let response = String::from_utf8(raw.rest()).expect("a response is text");
            assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
        }
        assert_eq!(first.close(1000, "").await.code, 1000);
        loop {
            let mut raw = Raw::connect(served.address());
            raw.send(UPGRADE.as_bytes());
            if raw.head().starts_with("HTTP/1.1 101 ") {
                break;
            }
        }
        assert_eq!(second.json().await["t"], "trade");
    });
}

#[test]
fn an_echo_may_have_them_too() {
    if cannot_register() {
        return;
    }
    let mut process =
        Process::start("echo --descriptors registered --shards 1 --connections 2 --listen 127.0.0.1:0");
    let mut raw = Raw::connect(process.address());
    raw.send(UPGRADE.as_bytes());
    raw.opened();
    raw.send(&scene::raw::masked(scene::raw::FIN | BINARY_FRAME, b"hello"));
    let frame = raw.frame();
    assert_eq!(frame.payload, b"hello");
    process.signal("TERM");
    drop(raw);
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn who_would_have_enough_descriptors_of_each_shards_own_is_told() {
    let ended = limited(&format!("serve --source sim --shards 8 --connections {CLIENTS}")).wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("--descriptors registered; serve fewer"),
        "{ended:?}"
    );
    let ended = limited(&format!(
        "serve --source sim --shards 8 --descriptors registered --connections {}",
        2 * CLIENTS
    ))
    .wait();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains(&format!(
            "the hard limit is {LIMIT}; let each of more shards have its own:"
        )),
        "{ended:?}"
    );
}

/// Descriptors that the server's process may hold.
const LIMIT: usize = 800;
/// More than that, and not too many for eight tables of so many descriptors, however the kernel spreads them.
const CLIENTS: usize = 1000;
