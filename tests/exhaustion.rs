//! Every pool and every bound of a shard, driven to its end over a real ring: who asks for what is not there gets the
//! answer that `limits` and `Pools` name, everybody else is served on, and the shard's memory does not grow.
//!
//! The shard runs on the test's own thread: what it allocates is counted, turn by turn.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;
#[allow(dead_code, reason = "each test uses its part")]
mod stage;

use std::net::TcpStream;
use std::process::Command;

use allocation_counter::measure;
use scene::cannot_serve;
use scene::process::{BINARY, Process};
use scene::raw::{Raw, text as text_frame};
use stage::{Client, Patience, Stage};
use tickwire::base::cost::Part;
use tickwire::connection::Pools;
use tickwire::limits;
use tickwire::ring::ListenerOptions;
use tickwire::shard::Size;

#[test]
fn every_pool_ends_in_its_policy_and_memory_does_not_grow() {
    let Some(mut room) = Room::open() else {
        return;
    };
    let mut inside = room.fill();
    room.no_seat_left();
    room.half_open_handshakes_give_way(&mut inside);
    room.heads_give_way();
    room.messages_give_way(&mut inside);
    room.subscriptions_run_out(&mut inside);
    room.debtors_give_way(&mut inside);
    room.everyone_else_is_served(&mut inside);
    let grown = room.grown;
    assert!(
        grown <= GROWTH_MAX,
        "what was reserved at start suffices, but {grown} bytes were added to it"
    );
}

/// What is reserved when a shard is made is what its plan says, but for lists that grow with subscriptions and what a
/// ring collects.
#[test]
fn a_shard_reserves_at_start_what_its_plan_says() {
    let size = Size::feed(20_000, 2);
    let mut stage = None;
    let made = measure(|| stage = Stage::sized(size, 64, &ListenerOptions::default()));
    if stage.is_none() {
        return;
    }
    let shape = Stage::shape(64);
    let planned: usize = size.costs().iter().map(|cost| cost.bytes()).sum();
    let tape = shape.bytes_max() - shape.track_bytes.iter().sum::<usize>();
    let reserved = usize::try_from(made.bytes_current).expect("something is reserved") - tape;
    let grows: usize = size
        .costs()
        .iter()
        .filter(|cost| cost.part == Part::Subscriptions)
        .map(|cost| cost.bytes())
        .sum();
    assert!(
        reserved <= planned + RING_BYTES_MAX && reserved + grows + INFLATER_BYTES >= planned,
        "{reserved} bytes are reserved, {planned} planned, of which {grows} are of subscriptions"
    );
}

/// The limit of descriptors: a server that has just as many as its plan says it needs turns a crowd away that is far
/// larger, keeps within them, and serves those it has room for.
#[test]
fn a_crowd_does_not_bring_a_server_to_its_limit_of_descriptors() {
    if cannot_serve() {
        return;
    }
    let size = "--shards 1 --connections 8";
    let plan = Command::new(BINARY)
        .args(format!("plan --json {size}").split(' '))
        .output()
        .expect("the binary is built");
    let plan: serde_json::Value = serde_json::from_slice(&plan.stdout).expect("JSON");
    let needed = plan["descriptors"].as_u64().expect("a number");
    let serve = format!("ulimit -n {needed}; exec '{BINARY}' serve --source sim --listen 127.0.0.1:0 {size}");
    let mut process = Process::spawn(Command::new("sh").args(["-c", &serve]));
    let address = process.address();
    let mut inside: Vec<Raw> = (0..4).map(|_| Raw::open(address)).collect();
    let crowd: Vec<TcpStream> = (0..1000)
        .map(|_| TcpStream::connect(address).expect("the backlog has room"))
        .collect();
    for raw in &mut inside {
        raw.send(&text_frame(r#"{"op":"ping","id":1}"#));
        assert!(raw.frame().text().starts_with(r#"{"t":"pong","id":1"#));
    }
    let mut late = Raw::open_amid_a_crowd(address);
    late.send(&text_frame(r#"{"op":"ping","id":2}"#));
    assert!(late.frame().text().starts_with(r#"{"t":"pong","id":2"#));
    let held = process.descriptors() as u64;
    assert!(held <= needed, "{held} of {needed} descriptors");
    let said = process.said().join("\n");
    assert!(!said.contains("accepting paused"), "{said}");
    drop(crowd);
}

/// A shard with little of everything.
#[derive(Debug)]
struct Room {
    stage: Stage,
    /// Bytes that the shard holds more than when it was made.
    grown: i64,
}

impl Room {
    fn open() -> Option<Self> {
        let pools = Pools {
            inbox_small: SMALL,
            inbox_large: LARGE,
            heads: HEADS,
            // For all that one client may be owed, and for what some who do not read are.
            outbox: limits::OUTBOX_BYTES_MAX / Pools::default().outbox_block_bytes + 64,
            ..Pools::default()
        };
        let size = Size {
            subscriptions: SEATS + SPARE_SUBSCRIPTIONS,
            pools,
            ..Size::feed(SEATS, 1)
        };
        let options = ListenerOptions {
            send_buffer_bytes: limits::SOCKET_BUFFER_BYTES_LEAST,
            unsent_bytes: limits::SOCKET_BUFFER_BYTES_LEAST / 2,
            ..ListenerOptions::default()
        };
        let mut stage = Stage::sized(size, 64 * 1024, &options)?;
        stage.publish_trade();
        stage.publish(1);
        Some(Self { stage, grown: 0 })
    }

    /// A seat and a subscription for as many as there are.
    fn fill(&mut self) -> Vec<Client> {
        let request = upgrade("?ch=note:X");
        (0..SEATS)
            .map(|_| {
                let mut client = self.stage.knock(request.as_bytes());
                self.until("a seat", || {
                    client.read();
                    contains(client.unread(), br#""t":"ack""#)
                });
                client.forget();
                client
            })
            .collect()
    }

    /// The limit of connections: 503, and when to come back.
    fn no_seat_left(&mut self) {
        let mut late = self.stage.knock(upgrade("").as_bytes());
        self.until_ended(&mut late);
        let answer = String::from_utf8_lossy(late.unread()).into_owned();
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.contains("Retry-After: 1\r\n"),
            "{answer}"
        );
    }

    /// The slots: whoever has stood longest in a handshake is dropped unanswered, and who is quick is answered.
    fn half_open_handshakes_give_way(&mut self, inside: &mut [Client]) {
        let refused = self.stage.census.refused.read();
        let mut silent: Vec<Client> = (0..3 * limits::REFUSALS_PER_SHARD)
            .map(|_| {
                let client = self.stage.knock(b"");
                self.turn();
                client
            })
            .collect();
        let mut quick = self.stage.knock(b"GET /healthz HTTP/1.1\r\nHost: stage\r\n\r\n");
        self.until_ended(&mut quick);
        assert!(quick.unread().starts_with(b"HTTP/1.1 200 "));
        self.until_ended(&mut silent[0]);
        assert!(silent[0].unread().is_empty(), "dropped without a word");
        assert!(self.stage.census.refused.read() > refused);
        assert!(inside.iter_mut().all(|client| !client.read() && !client.ended));
        drop(silent);
        self.settle();
    }

    /// The blocks for heads: the oldest is refused with 503.
    fn heads_give_way(&mut self) {
        let half = &upgrade("")[..40];
        let mut knocking: Vec<Client> = (0..=HEADS)
            .map(|_| {
                let client = self.stage.knock(half.as_bytes());
                self.settle();
                client
            })
            .collect();
        self.until_ended(&mut knocking[0]);
        assert!(knocking[0].unread().starts_with(b"HTTP/1.1 503 "));
        assert!(
            knocking[1..]
                .iter_mut()
                .all(|client| !client.read() && !client.ended)
        );
        drop(knocking);
        self.settle();
    }

    /// The blocks for messages, short and long: the oldest is closed with 1013.
    fn messages_give_way(&mut self, inside: &mut Vec<Client>) {
        let begun = [&[0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0][..], b"{"].concat();
        let long = [&begun[..], &[b' '; 8 * 1024]].concat();
        for (bytes, blocks) in [(long, LARGE), (begun, SMALL + LARGE)] {
            for client in &mut inside[..=blocks] {
                assert_eq!(client.send(&bytes), bytes.len());
                self.settle();
            }
            self.until_ended(&mut inside[0]);
            assert_eq!(close_code(inside[0].unread()), Some(1013));
            assert!(
                inside[1..]
                    .iter_mut()
                    .all(|client| !client.read() && !client.ended)
            );
            inside.drain(..=blocks);
            self.settle();
        }
    }

    /// The subscriptions: error 4503 for those that have no room, while the others are acknowledged.
    fn subscriptions_run_out(&mut self, inside: &mut [Client]) {
        let patterns = br#"{"op":"sub","id":7,"ch":["*","trade:*","bbo:*","book:*","note:*"]}"#;
        let command = text(patterns);
        let (mut ok, mut overloaded) = (0, 0);
        for client in inside.iter_mut() {
            assert_eq!(client.send(&command), command.len());
            self.until("an answer", || {
                client.read();
                contains(client.unread(), br#""id":7"#)
            });
            let answer = String::from_utf8_lossy(client.unread()).into_owned();
            overloaded += answer.matches("4503").count();
            ok += usize::from(!answer.contains("4503"));
            client.forget();
        }
        assert!(
            ok > 0 && overloaded > 0,
            "{ok} had all they asked for, {overloaded} had not"
        );
        self.settle();
    }

    /// The blocks for replies: whoever has been owed much for longest is dropped, and could not be told.
    fn debtors_give_way(&mut self, inside: &mut Vec<Client>) {
        let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[7; 125]].concat();
        let pings = ping.repeat(400);
        let patience = Patience::begin();
        let debtors = inside.len() / 2;
        let connections = self.stage.census.connections.read();
        while self.stage.census.connections.read() == connections {
            for client in &mut inside[..debtors] {
                // They never read. What does not fit waits, in pieces that are whole again with the next.
                let sent = client.send(&pings);
                if sent % ping.len() > 0 {
                    let rest = &ping[sent % ping.len()..];
                    let mut left = rest;
                    while !left.is_empty() && self.stage.census.connections.read() == connections {
                        left = &left[client.send(left)..];
                        self.turn();
                    }
                }
                self.turn();
            }
            patience.check("somebody gives way");
        }
        inside.drain(..debtors);
        self.settle();
    }

    /// Whoever is left gets the next message, and its pong.
    fn everyone_else_is_served(&mut self, inside: &mut [Client]) {
        assert!(inside.len() > SEATS / 4);
        for client in inside.iter_mut() {
            client.read();
            client.forget();
        }
        self.stage.publish(100);
        for client in inside {
            self.until("the next message", || {
                client.read();
                contains(client.unread(), &[b'x'; 100])
            });
            assert!(!client.ended);
        }
    }

    /// One turn, counted.
    fn turn(&mut self) {
        self.stage.wake();
        let spent = measure(|| self.stage.shard.turn().expect("the ring is whole"));
        self.grown += spent.bytes_current;
        assert!(spent.bytes_max <= TURN_BYTES_MAX, "{spent:?}");
    }

    /// Turns until something is so.
    fn until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Patience::begin();
        while !is_so() {
            self.turn();
            patience.check(what);
        }
    }

    fn until_ended(&mut self, client: &mut Client) {
        self.until("the end of a stream", || {
            client.read();
            client.ended
        });
    }

    /// Turns until what was sent has surely arrived and been heard.
    fn settle(&mut self) {
        for _ in 0..8 {
            self.turn();
        }
        self.stage.shard.invariants();
    }
}

fn upgrade(query: &str) -> String {
    format!(
        "GET /v1/ws{query} HTTP/1.1\r\nHost: stage\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// A masked text message of at most 125 bytes.
fn text(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("a short command");
    assert!(length < 126);
    [&[0x81, 0x80 | length, 0, 0, 0, 0][..], payload].concat()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The code of a close frame at the end of what was received.
fn close_code(bytes: &[u8]) -> Option<u16> {
    let at = bytes
        .windows(2)
        .rposition(|window| window[0] == 0x88 && window[1] < 126)?;
    let code = bytes.get(at + 2..at + 4)?;
    Some(u16::from_be_bytes([code[0], code[1]]))
}

const SEATS: usize = 200;
const SPARE_SUBSCRIPTIONS: usize = 40;
const SMALL: usize = 8;
const LARGE: usize = 4;
const HEADS: usize = 8;
/// The lists of subscribers grow with subscriptions, and what is known of channels with channels.
const GROWTH_MAX: i64 = 64 * 1024;
/// What a turn may borrow of the allocator, for a line of the log or an answer.
const TURN_BYTES_MAX: u64 = 64 * 1024;
/// What a ring collects is its own, and so is the little that has no line in the plan.
const RING_BYTES_MAX: usize = 1024 * 1024;
/// A shard that does not offer compression has none.
const INFLATER_BYTES: usize = 256 * 1024;
