//! Clients that send as fast as they can, for as long as they are let.

use std::io::Write as _;
use std::net::SocketAddr;
use std::{io, thread};

use crate::bystander::Bystander;
use crate::scene::cannot_serve;
use crate::scene::process::Process;
use crate::scene::raw::{CONTINUATION, FIN, PING, PONG, Raw, TEXT, masked, text};

/// What is sent again and again.
struct Flood {
    name: &'static str,
    begins: Vec<u8>,
    unit: Vec<u8>,
    /// Why the server closes it, with 4006.
    reason: &'static str,
}

/// All of this is legal by RFC 6455, whose §10.4 leaves limits to the server; PROTOCOL.md's 4006 says what they are
/// called.
fn floods() -> Vec<Flood> {
    let frames = "too many frames";
    let fragments = |payload: &[u8]| (masked(TEXT, b""), masked(CONTINUATION, payload));
    let (begins, empty) = fragments(b"");
    let (_, short) = fragments(b" ");
    let list = text(r#"{"op":"list","id":1}"#);
    vec![
        Flood {
            name: "empty pings",
            begins: vec![],
            unit: masked(FIN | PING, b""),
            reason: frames,
        },
        Flood {
            name: "long pings",
            begins: vec![],
            unit: masked(FIN | PING, &[7; 125]),
            reason: frames,
        },
        Flood {
            name: "pongs",
            begins: vec![],
            unit: masked(FIN | PONG, b""),
            reason: frames,
        },
        Flood {
            name: "empty fragments",
            begins: begins.clone(),
            unit: empty,
            reason: frames,
        },
        Flood {
            name: "fragments of a byte",
            begins,
            unit: short,
            reason: frames,
        },
        Flood {
            name: "empty messages",
            begins: vec![],
            unit: text(""),
            reason: frames,
        },
        Flood {
            name: "commands",
            begins: vec![],
            unit: list,
            reason: frames,
        },
        Flood {
            name: "messages that it may not publish",
            begins: vec![],
            unit: text(r#"{"op":"pub","id":1,"ch":"room:1","data":1}"#),
            reason: frames,
        },
        Flood {
            name: "guesses of a token",
            begins: vec![],
            unit: text(r#"{"op":"auth","id":1,"token":"0123456789abcdef"}"#),
            reason: frames,
        },
        Flood {
            name: "long messages that are no command",
            begins: vec![],
            unit: text(&" ".repeat(60_000)),
            reason: frames,
        },
    ]
}

#[test]
fn floods_are_closed_with_a_code_and_nobody_else_misses_a_tick() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --shards 1 --connections 64");
    let address = process.address();
    let bystander = Bystander::begin(address);
    bystander.answered(CALM_PINGS);
    bystander.attacked();
    let mut table = Vec::new();
    for flood in floods() {
        let (sent, answered) = flood.rage(address);
        table.push(format!(
            "    {}: closed with 4006 after at least {sent} bytes, {answered} frames answered",
            flood.name
        ));
    }
    bystander.answered(1);
    let [calm, attacked] = bystander.end();
    assert!(calm.ticks > 0 && attacked.ticks > 0, "{calm:?} {attacked:?}");
    report(&format!(
        "floods, one after the other:\n{}\n    a bystander, on the same shard: {}",
        table.join("\n"),
        compare(&calm, &attacked)
    ));
}

/// Who may publish is bounded by what the server takes, and by nothing else.
#[test]
fn a_flood_of_messages_is_held_up_in_its_own_socket_and_loses_nothing() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(
        "serve --source sim --listen 127.0.0.1:0 --shards 1 --connections 64 --publish room:*",
    );
    let address = process.address();
    let bystander = Bystander::begin(address);
    bystander.answered(CALM_PINGS);
    bystander.attacked();
    let mut raw = Raw::open(address);
    let mut twin = raw.twin();
    let data = "x".repeat(1000);
    let sender = thread::spawn(move || {
        for id in 0..MESSAGES {
            twin.send(&text(&format!(
                r#"{{"op":"pub","id":{id},"ch":"room:1","data":"{data}"}}"#
            )));
        }
    });
    // It reads nothing until others have been served meanwhile.
    bystander.answered(20);
    for id in 0..MESSAGES {
        let ack = format!(r#"{{"t":"ack","id":{id},"ch":"room:1","seq":{}}}"#, id + 1);
        let frame = loop {
            let frame = raw.frame();
            if frame.opcode == TEXT {
                break frame;
            }
        };
        assert_eq!(frame.text(), ack);
    }
    sender.join().expect("all is taken");
    let [calm, attacked] = bystander.end();
    assert!(calm.ticks > 0 && attacked.ticks > 0, "{calm:?} {attacked:?}");
    report(&format!(
        "{MESSAGES} messages published as fast as they go: {}",
        compare(&calm, &attacked)
    ));
}

/// Many times what fits into sockets.
const MESSAGES: u64 = 20_000;

#[test]
fn commands_that_are_refused_for_seconds_on_end_are_not_refused_for_ever() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source sim --listen 127.0.0.1:0 --shards 1 --connections 64");
    let address = process.address();
    let mut raw = Raw::open(address);
    // One command after the other, each when the one before was answered: no faster than the server, and fewer frames
    // than are too many, for every reply is waited for until a tick later.
    let mut ticks = Raw::open(address);
    ticks.send(&text(r#"{"op":"sub","ch":"*"}"#));
    let mut errors = 0_u64;
    loop {
        raw.send(&text(r#"{"op":"list"}"#));
        let frame = raw.frame();
        if frame.opcode == TEXT {
            errors += u64::from(frame.text().contains("\"code\":4006"));
            ticks.frame();
            continue;
        }
        assert_eq!(frame.closes(), (4006, "too many commands for too long"));
        break;
    }
    assert!(errors > 10, "{errors} were refused before");
}

impl Flood {
    /// Sends until the server has closed the connection. Says how many bytes went out until then, and how many frames
    /// came back.
    fn rage(&self, address: SocketAddr) -> (usize, usize) {
        let mut raw = Raw::open(address);
        raw.send(&self.begins);
        let mut twin = raw.twin();
        let block = self.unit.repeat(1 + 16 * 1024 / self.unit.len());
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while twin.sends(&block) {
                sent += block.len();
            }
            sent
        });
        let mut answered = 0;
        let close = loop {
            let frame = raw.frame();
            if frame.opcode == crate::scene::raw::CLOSE {
                break frame;
            }
            answered += 1;
        };
        assert_eq!(close.closes(), (4006, self.reason), "{}", self.name);
        assert!(raw.is_over(), "{}: nothing follows a close frame", self.name);
        // The server has ended its stream, and hangs up when it has waited long enough for the end of ours.
        (sender.join().expect("it only sends"), answered)
    }
}

/// How the second compares with the first, without a judgement.
pub(crate) fn compare(calm: &crate::bystander::Heard, attacked: &crate::bystander::Heard) -> String {
    let ratio = |hundredths| {
        attacked.percentile(hundredths).as_secs_f64() / calm.percentile(hundredths).as_secs_f64()
    };
    format!(
        "{} ticks and {} pings before, {} and {} during, none missing; \
         round trips during to before: median x{:.2}, 99th x{:.2}; \
         before {:?} and {:?}, during {:?} and {:?}",
        calm.ticks,
        calm.pings(),
        attacked.ticks,
        attacked.pings(),
        ratio(50),
        ratio(99),
        calm.percentile(50),
        calm.percentile(99),
        attacked.percentile(50),
        attacked.percentile(99),
    )
}

/// Says what was measured, around the test runner, which keeps what a test that passes prints to itself.
pub(crate) fn report(text: &str) {
    let _ = writeln!(io::stderr(), "MEASURED: {text}");
}

/// Answered before any harm is done.
pub(crate) const CALM_PINGS: u64 = 300;
