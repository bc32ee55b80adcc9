//! One shard on the simulator, without faults, where what matters is one exact sequence of events.

use std::io;
use std::sync::{Arc, mpsc};

mod echo;
mod flood;
mod hot;
mod lateness;
mod notices;
mod publish;
mod room;

use super::*;
use crate::connection::Inbox;
use crate::connection::{Bounds, Pools};
use crate::ring::{Client, ClientState, Faults, SimNet, SimRing};
use crate::tape::{self, Shape};

/// A shard, and the net that it is on.
struct Stage {
    net: SimNet,
    shard: Shard<SimRing>,
    writer: tape::Writer,
}

impl Stage {
    fn new(pools: Pools) -> Self {
        Self::of(Site::new(0, "epoch".into()), pools)
    }

    fn of(site: Site, pools: Pools) -> Self {
        Self::with(site, pools, 4)
    }

    fn with(site: Site, pools: Pools, connections: usize) -> Self {
        let size = Size {
            connections,
            subscriptions: 16,
            pools,
            bounds: Bounds::default(),
            hot_receptions: limits::HOT_RECEPTIONS,
            pace: Pace::default(),
        };
        Self::sized(site, size)
    }

    fn sized(site: Site, size: Size) -> Self {
        let net = SimNet::new(1, Faults::default());
        let shape = Shape {
            records: limits::TAPE_RECORDS_MIN,
            track_bytes: vec![limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).unwrap();
        let shard = Shard::new(
            net.ring(),
            readers.remove(0),
            size,
            site,
            Arc::default(),
            Arc::default(),
        );
        Self { net, shard, writer }
    }

    /// Turns the shard until it would only wait.
    fn rest(&mut self) {
        for _ in 0..1000 {
            if self.net.is_idle() && self.shard.is_idle(self.net.now()) {
                return;
            }
            self.shard.turn().unwrap();
            self.shard.invariants();
        }
        panic!("the shard does not come to rest");
    }

    fn upgraded(&mut self) -> Client {
        self.upgraded_with(HEAD)
    }

    fn upgraded_with(&mut self, head: &[u8]) -> Client {
        let mut client = self.net.connect(0);
        client.write(head);
        self.rest();
        let mut answer = Vec::new();
        client.read(&mut answer);
        assert!(answer.starts_with(b"HTTP/1.1 101"));
        client
    }
}

const HEAD: &[u8] = b"GET /v1/ws HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn close_code_of(client: &mut Client) -> Option<u16> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    match bytes[..] {
        [0x88, _, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// A client whose input waits was once received from each time it was gone on with, until its block was full, and
/// each time the whole of that was moved.
#[test]
fn nothing_is_received_from_a_client_whose_input_still_waits() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    // Each is answered with an error that is longer.
    let command = [&[0x81, 0x80 | 60, 0, 0, 0, 0][..], &[b' '; 60]].concat();
    let commands = command.repeat(8000);
    let (mut sent, mut errors) = (0, Vec::new());
    while sent < commands.len() || !(stage.net.is_idle() && stage.shard.is_idle(stage.net.now())) {
        sent += client.write(&commands[sent..]);
        stage.shard.turn().unwrap();
        stage.shard.invariants();
        client.read(&mut errors);
        for key in stage.shard.connections.slots.keys() {
            if let Inbox::Kept { bytes, .. } = stage.shard.connections.slots.get(key).unwrap().inbox {
                assert!(
                    bytes as usize <= limits::RECV_BYTES,
                    "{bytes} bytes wait for an answer"
                );
            }
        }
    }
    let answered = errors
        .windows(11)
        .filter(|part| part == b"\"t\":\"error\"")
        .count();
    assert_eq!(answered, 8000);
}

/// The first bytes of a message were dropped for want of a block, so the rest must not be heard as if it began
/// one.
#[test]
fn who_says_more_after_the_pools_ran_out_of_blocks_harms_nobody() {
    let pools = Pools {
        inbox_small: 0,
        inbox_large: 0,
        ..Pools::default()
    };
    let mut stage = Stage::new(pools);
    let mut client = stage.upgraded();
    client.write(&[0x81, 0xfe, 0x01, 0x00, 0, 0, 0, 0, b'{', b'"']);
    stage.rest();
    assert_eq!(close_code_of(&mut client), Some(1013));
    client.write(b"o");
    stage.rest();
    assert_eq!(
        client.state(),
        ClientState::Ended,
        "our stream ends with the close frame"
    );
    client.finish();
    stage.rest();
    assert!(stage.shard.connections.slots.is_empty());
}

/// The same, when our close frame is already on its way.
#[test]
fn who_begins_a_frame_after_our_close_when_no_block_is_left_harms_nobody() {
    let mut stage = Stage::new(Pools {
        inbox_small: 0,
        inbox_large: 0,
        ..Pools::default()
    });
    let mut client = stage.upgraded();
    client.write(&[0x82, 0x80, 0, 0, 0, 0]);
    stage.rest();
    assert_eq!(close_code_of(&mut client), Some(1003));
    client.write(&[0x89, 0x84, 0, 0, 0, 0]);
    stage.rest();
    client.write(b"p");
    stage.rest();
    client.finish();
    stage.rest();
    assert!(stage.shard.connections.slots.is_empty());
}

/// RFC 6455 §5.5.1 and §7.1.1: the TCP connection is closed, by the server first, and in the end by it alone.
#[test]
fn a_client_that_never_ends_its_stream_is_dropped_when_its_time_is_up() {
    let close = b"\x88\x82\0\0\0\0\x03\xe8";
    for last_words in [&close[..], b"\xff\xff", b"GET / HTTP/1.1\r\nHost: sim\r\n\r\n"] {
        let mut stage = Stage::new(Pools::default());
        let mut client = if last_words.starts_with(b"GET") {
            stage.net.connect(0)
        } else {
            stage.upgraded()
        };
        client.write(last_words);
        stage.rest();
        client.read(&mut Vec::new());
        assert_eq!(client.state(), ClientState::Ended, "our stream ends first");
        assert!(!stage.shard.connections.slots.is_empty());
        client.write(b"and another thing");
        stage.rest();
        assert_eq!(client.state(), ClientState::Ended, "and nothing resets it");
        stage.net.advance(limits::CLOSE_MS * 1_000_000);
        stage.rest();
        assert!(stage.shard.connections.slots.is_empty());
    }
}

/// RFC 6455 §7.2.2: to abort an opening handshake is to close the connection.
#[test]
fn a_handshake_that_takes_too_long_is_refused_or_dropped() {
    for (begun, answer) in [
        ("GET /v1/ws HTTP/1.1\r\nHost: sim\r\n", "HTTP/1.1 408 "),
        ("", ""),
    ] {
        let mut stage = Stage::new(Pools::default());
        let mut client = stage.net.connect(0);
        client.write(begun.as_bytes());
        stage.rest();
        stage.net.advance(limits::HANDSHAKE_MS * 1_000_000);
        stage.rest();
        let mut answered = Vec::new();
        client.read(&mut answered);
        assert!(answered.starts_with(answer.as_bytes()) && answered.is_empty() == answer.is_empty());
        assert_eq!(client.state(), ClientState::Ended);
        client.finish();
        stage.rest();
        assert!(stage.shard.connections.slots.is_empty());
    }
}

/// RFC 6455 §7.1.7: the server logs the problem.
#[test]
fn a_broken_rule_is_logged() {
    let (sender, lines) = mpsc::channel();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_ansi(false)
        .with_writer(move || Lines(sender.clone()))
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        let mut stage = Stage::new(Pools::default());
        let mut client = stage.upgraded();
        client.write(&[0x83, 0x80, 0, 0, 0, 0]);
        stage.rest();
        assert_eq!(close_code_of(&mut client), Some(1002));
    });
    let log: String = lines.try_iter().collect();
    assert!(log.contains("fault=opcode is reserved"), "{log}");
}

/// What is logged, sent to whoever wants to see it.
struct Lines(mpsc::Sender<String>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        self.0.send(line).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
