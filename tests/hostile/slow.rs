//! Clients that take their time, for ever, and clients that are gone without a word.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::scene::cannot_serve;
use crate::scene::process::Process;
use crate::scene::raw::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Raw, TEXT, UPGRADE, masked, text};

/// What is sent drop by drop, until the server has had enough.
struct Drip {
    name: &'static str,
    rule: &'static str,
    /// Whether the connection is open before it begins.
    opened: bool,
    begins: Vec<u8>,
    /// Sent again and again.
    drop: Vec<u8>,
    end: End,
}

/// How the server ends it.
#[derive(Clone, Copy, Debug)]
enum End {
    Status(&'static str),
    Closes(u16, &'static str),
    Silence,
}

#[test]
fn whoever_takes_too_long_is_told_so() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --shards 2 --connections 64");
    let address = process.address();
    let mut patient = Raw::open(address);
    thread::scope(|scope| {
        for drip in slow_requests().into_iter().chain(slow_messages()) {
            scope.spawn(move || drip.fall(address));
        }
    });
    // Who says nothing between messages is left alone.
    patient.send(&masked(FIN | PING, b"still there"));
    assert_eq!(patient.control().payload, b"still there");
    process.signal("TERM");
    assert!(process.wait().status.success(), "the server ends in order");
}

fn slow_requests() -> Vec<Drip> {
    let rule = "RFC 9110 §15.5.9: 408 when a request did not arrive in time";
    let end = End::Status("HTTP/1.1 408 Request Timeout\r\n");
    let slow = |name, begins: &str, drop: &str| Drip {
        name,
        rule,
        opened: false,
        begins: begins.into(),
        drop: drop.into(),
        end,
    };
    vec![
        slow("a request byte by byte", "GET /", "x"),
        slow(
            "a request line by line",
            &UPGRADE[..UPGRADE.len() - 2],
            "X: y\r\n",
        ),
        slow("half a request", &UPGRADE[..50], ""),
        Drip {
            rule: "RFC 9112 §9.5: a server may close a connection that is idle",
            end: End::Silence,
            ..slow("nothing", "", "")
        },
    ]
}

fn slow_messages() -> Vec<Drip> {
    let slow = |name, begins: &[u8], drop: &[u8]| Drip {
        name,
        rule: "RFC 6455 §7.4.1: 1008 for a policy of the server's own: a message has its time",
        opened: true,
        begins: begins.into(),
        drop: drop.into(),
        end: End::Closes(1008, "a message took too long to arrive"),
    };
    let long = masked(FIN | TEXT, &[b' '; 5000]);
    let fragment = masked(TEXT, b"{");
    vec![
        slow("a frame byte by byte", &long[..8], b" "),
        slow(
            "a frame that outgrows a small block, and stays",
            &long[..4500],
            b"",
        ),
        slow("half the header of a ping", &[FIN | PING], b""),
        slow("fragments without end", &fragment, &masked(CONTINUATION, b" ")),
        slow("pongs amid a message", &fragment, &masked(FIN | PONG, b"")),
    ]
}

impl Drip {
    fn fall(&self, address: SocketAddr) {
        let mut raw = if self.opened {
            Raw::open(address)
        } else {
            Raw::connect(address)
        };
        raw.send(&self.begins);
        while !raw.hears_within(PACE) {
            raw.send(&self.drop);
        }
        let Self { name, rule, end, .. } = self;
        match *end {
            End::Status(line) => {
                let head = raw.head();
                assert!(head.starts_with(line), "{name} ({rule}): {end:?}, but {head}");
            }
            End::Closes(code, reason) => {
                let frame = raw.control();
                assert_eq!(frame.closes(), (code, reason), "{name} ({rule})");
                assert!(raw.is_over(), "{name}: nothing follows a close frame");
            }
            End::Silence => assert!(raw.is_over(), "{name} ({rule})"),
        }
    }
}

#[test]
fn whoever_resets_its_connection_leaves_nothing_behind() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --shards 2 --connections 64");
    let address = process.address();
    let mut patient = Raw::open(address);
    let before = process.descriptors();
    for round in 0..20 {
        for (opened, sent) in moments() {
            let mut raw = if opened {
                Raw::open(address)
            } else {
                Raw::connect(address)
            };
            raw.send(&sent);
            if round % 2 == 0 {
                // A round trip later the server has seen what was sent; otherwise the reset may overtake it.
                patient.send(&masked(FIN | PING, b""));
                assert_eq!(patient.control().opcode, PONG);
            }
            raw.reset();
        }
    }
    // Each of these takes a while; the server needs far less to see that they are gone.
    let mut rounds = 0;
    while process.descriptors() > before {
        rounds += 1;
        assert!(
            rounds < 100_000,
            "{} descriptors, {before} before",
            process.descriptors()
        );
        patient.send(&masked(FIN | PONG, b""));
        thread::yield_now();
    }
}

/// When a connection is reset: whether it was open, and what it sent last.
fn moments() -> Vec<(bool, Vec<u8>)> {
    vec![
        (false, vec![]),
        (false, UPGRADE[..50].into()),
        (false, UPGRADE.into()),
        (false, [UPGRADE.as_bytes(), &text("{")[..3]].concat()),
        (true, vec![FIN | TEXT]),
        (true, masked(FIN | TEXT, &[b' '; 60_000])[..50_000].to_vec()),
        (true, masked(TEXT, b"{")),
        (true, text(r#"{"op":"sub","id":1,"ch":["*"]}"#)),
        (true, masked(FIN | PING, b"x").repeat(100)),
        (true, masked(FIN | BINARY, b"")),
        (true, masked(FIN | CLOSE, b"\x03\xe8")),
    ]
}

/// Between two drops.
const PACE: Duration = Duration::from_millis(50);
