//! `tickwire.v1.bin` on real sockets: ticks say the same as in JSON, to the byte, and all else is JSON.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tickwire::control::Config;
use tickwire::dialect::native_binary::{Content, Message};
use tickwire::market::Tick;
use tickwire::writer::source::SourceSpec;

use scene::cannot_serve;
use scene::process::{BINARY, Process, run};
use scene::raw::{BINARY as BINARY_FRAME, FIN, Raw, UPGRADE, masked, text};
use scene::served::{Served, small};

/// `tickwire sub`, whose standard output is kept.
fn subscriber(address: SocketAddr, words: &str) -> Child {
    Command::new(BINARY)
        .args(["sub", &format!("ws://{address}"), "*", "--json"])
        .args(words.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary is built")
}

/// What it printed, once it ends by itself.
fn printed(child: Child) -> (String, String) {
    let output = child.wait_with_output().expect("a child can be waited for");
    assert!(output.status.success(), "{output:?}");
    let lines = |bytes| String::from_utf8(bytes).expect("what is printed is text");
    (lines(output.stdout), lines(output.stderr))
}

/// Ticks of every kind, in every writing of a number.
fn lines() -> String {
    let mut lines = String::new();
    for number in 0..300 {
        let zeros = "0".repeat(number % 5);
        for line in [
            format!(
                r#"{{"ch":"trade:X","t":"trade","ts":{number},"px":"{number}.5{zeros}","sz":"1{zeros}","side":"sell","tid":"é{number}"}}"#
            ),
            format!(r#"{{"ch":"trade:Y","t":"trade","px":{number},"sz":0.50,"side":"buy"}}"#),
            format!(
                r#"{{"ch":"bbo:X","t":"bbo","bp":"-1.{zeros}5","bs":"0.{zeros}0","ap":"0","as":"123456789012345678"}}"#
            ),
            format!(
                r#"{{"ch":"book:X","t":"book","k":"delta","b":[["{number}.5","1"],["{number}.50","2.{zeros}5"]],"a":[["9{number}","1e3"]]}}"#
            ),
            format!(
                r#"{{"ch":"book:Y","t":"book","k":"{}","b":[["{number}.50","1.25"]],"a":[["9{number}.00","0.00"]]}}"#,
                if number % 40 == 0 { "snap" } else { "delta" }
            ),
            format!(r#"{{"ch":"room:X","t":"msg","data":{{ "n" : [{number}, "\u00e9é"] }}}}"#),
        ] {
            writeln!(lines, "{line}").expect("strings take everything");
        }
    }
    lines
}

#[test]
fn a_subscriber_in_binary_prints_the_same_lines_as_one_in_json_to_the_byte() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(
        "serve --source stdin --wait 4 --listen 127.0.0.1:0 --shards 2 --connections 16 \
         --tape-bytes 16777216 --binary on --compression on --compression-threshold 100",
    );
    let address = process.address();
    let from_the_start = "--count 1800";
    let subscribers = [
        "",
        "--encoding bin",
        "--compression",
        "--encoding bin --compression",
    ]
    .map(|words| subscriber(address, &format!("{from_the_start} {words}")));
    let mut stdin = process.stdin();
    stdin.write_all(lines().as_bytes()).expect("the server reads");
    stdin.flush().expect("the server reads");
    let [plain, binary, compressed, both] = subscribers.map(printed);
    assert_eq!(plain.0.lines().count(), 1800);
    for (kind, count) in [("trade", 600), ("bbo", 300), ("book", 600), ("msg", 300)] {
        let begins = format!("{{\"t\":\"{kind}\",");
        let found = plain.0.lines().filter(|line| line.starts_with(&begins)).count();
        assert_eq!(found, count, "{kind}");
    }
    for other in [&binary, &compressed, &both] {
        assert!(other.0 == plain.0, "the lines differ");
        assert!(other.1.contains("gaps 0"), "{}", other.1);
    }

    // Who joins now begins with images, of a quote and of two books, and with what the books have become since.
    let joined = ["", "--encoding bin"].map(|words| subscriber(address, &format!("--count 3 {words}")));
    let [plain, binary] = joined.map(|child| printed(child).0);
    assert_eq!(plain.lines().count(), 3);
    assert!(plain.contains("\"k\":\"snap\""), "{plain}");
    assert_eq!(plain, binary);
    process.signal("TERM");
    drop(stdin);
    assert_eq!(process.wait().status.code(), Some(0));
}

/// Opens a connection with these header fields; gives the head of the answer.
fn open(address: SocketAddr, fields: &str) -> (Raw, String) {
    let mut raw = Raw::connect(address);
    raw.send(
        UPGRADE
            .replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"))
            .as_bytes(),
    );
    let head = raw.head().to_ascii_lowercase();
    (raw, head)
}

fn market(binary: bool) -> Served {
    Served::start(Config {
        binary,
        compression: Some(0),
        ..small(SourceSpec::Sim { seed: 1 })
    })
}

#[test]
fn the_first_language_of_the_clients_list_that_is_served_is_spoken() {
    if cannot_serve() {
        return;
    }
    let (bilingual, other) = (market(true), market(false));
    for (server, offered, chosen) in [
        (&bilingual, "tickwire.v1.bin", "tickwire.v1.bin"),
        (
            &bilingual,
            "tickwire.v9, tickwire.v1.bin, tickwire.v1.json",
            "tickwire.v1.bin",
        ),
        (
            &bilingual,
            "tickwire.v1.json, tickwire.v1.bin",
            "tickwire.v1.json",
        ),
        (&other, "tickwire.v1.bin, tickwire.v1.json", "tickwire.v1.json"),
    ] {
        let (_raw, head) = open(server.address(), &format!("Sec-WebSocket-Protocol: {offered}"));
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(
            head.contains(&format!("sec-websocket-protocol: {chosen}\r\n")),
            "{head}"
        );
    }
    let refused = |server: &Served, offered: &str| {
        let mut raw = Raw::connect(server.address());
        let fields = format!("\r\nSec-WebSocket-Protocol: {offered}\r\n\r\n");
        raw.send(UPGRADE.replace("\r\n\r\n", &fields).as_bytes());
        String::from_utf8(raw.rest()).expect("a response is text")
    };
    let answer = refused(&other, "tickwire.v1.bin");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(
        answer.contains("tickwire.v1.json") && !answer.contains("v1.bin"),
        "{answer}"
    );
    let answer = refused(&bilingual, "chat");
    assert!(
        answer.contains("tickwire.v1.json") && answer.contains("tickwire.v1.bin"),
        "{answer}"
    );
    let ended = run(&format!(
        "sub ws://{} trade:* --encoding bin --count 1",
        other.address()
    ));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("tickwire.v1.json"), "{ended:?}");
}

#[test]
fn ticks_are_binary_frames_and_all_else_is_text_without_compression() {
    if cannot_serve() {
        return;
    }
    let served = market(true);
    let fields = "Sec-WebSocket-Protocol: tickwire.v1.bin\r\nSec-WebSocket-Extensions: permessage-deflate";
    let (mut raw, head) = open(served.address(), fields);
    assert!(!head.contains("sec-websocket-extensions"), "{head}");
    assert!(raw.frame().text().starts_with("{\"t\":\"hello\""));
    raw.send(&text(r#"{"op":"sub","id":1,"ch":["trade:*","bbo:*","book:*"]}"#));
    assert!(raw.frame().text().starts_with("{\"t\":\"ack\",\"id\":1,"));
    let (mut levels, mut kinds) = (Vec::new(), [0; 3]);
    while kinds.contains(&0) {
        let frame = raw.frame();
        assert_eq!(frame.opcode, BINARY_FRAME, "{frame:?}");
        let message = Message::decode(&frame.payload, &mut levels).expect("a tick can be read");
        let Content::Tick(_, tick) = message.content else {
            panic!("{message:?}");
        };
        match tick {
            Tick::Trade(_) => kinds[0] += 1,
            Tick::Quote(_) => kinds[1] += 1,
            Tick::Book(_) => kinds[2] += 1,
            Tick::Message(_) => panic!("nobody says anything"),
        }
    }
    raw.send(&text(r#"{"op":"sing","id":2}"#));
    let answer = loop {
        let frame = raw.frame();
        if frame.opcode != BINARY_FRAME {
            break frame;
        }
    };
    assert!(answer.text().contains("4002"), "{answer:?}");
    // Commands are text in this language too.
    raw.send(&masked(FIN | BINARY_FRAME, b"binary"));
    let closed = loop {
        let frame = raw.frame();
        if frame.opcode != BINARY_FRAME {
            break frame;
        }
    };
    assert_eq!(closed.closes().0, 1003);
}
