//! RFC 6455 and HTTP over real sockets: the door, the closing handshake, and what the server does with those who
//! break the rules.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::num::NonZeroUsize;

use serde_json::json;
use tickwire::control::Config;
use tickwire::limits;
use tickwire::writer::source::SourceSpec;

use scene::raw::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Raw, TEXT, UPGRADE, masked, text, unmasked};
use scene::served::{Served, market, small};
use scene::socket::{Closed, Socket};
use scene::{block_on, cannot_serve};

#[test]
fn a_broken_rule_is_answered_with_its_close_code_and_reason() {
    let Some(served) = market() else { return };
    for (name, bytes, code, reason) in broken_rules() {
        let mut raw = Raw::open(served.address());
        raw.send(&bytes);
        let close = raw.control();
        assert_eq!(close.closes(), (code, reason), "{name}");
        // After our close frame the server reads ours; a fault ends the stream without it.
        raw.send(&masked(FIN | CLOSE, &code.to_be_bytes()));
        assert!(raw.is_over(), "{name}: nothing follows a close frame");
    }
}

/// What is sent, and the close code and reason that answer it.
fn broken_rules() -> [(&'static str, Vec<u8>, u16, &'static str); 12] {
    let long = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
    [
        (
            "binary",
            masked(FIN | BINARY, b"x"),
            1003,
            "commands are text messages",
        ),
        (
            "not UTF-8",
            masked(FIN | TEXT, b"\xff"),
            1007,
            "text message is not UTF-8",
        ),
        (
            "unmasked",
            unmasked(FIN | TEXT, b"{}"),
            1002,
            "client frame is not masked",
        ),
        (
            "too long",
            masked(FIN | TEXT, &long),
            1009,
            "message exceeds the limit",
        ),
        (
            "reserved bit",
            masked(FIN | 0x40 | TEXT, b"{}"),
            1002,
            "reserved bit is set",
        ),
        (
            "reserved opcode",
            masked(FIN | 3, b""),
            1002,
            "opcode is reserved",
        ),
        (
            "long ping",
            masked(FIN | PING, &[0; 126]),
            1002,
            "control frame exceeds 125 bytes",
        ),
        ("cut ping", masked(PING, b""), 1002, "control frame is fragmented"),
        (
            "lone continuation",
            masked(FIN | CONTINUATION, b""),
            1002,
            "continuation frame without a message",
        ),
        (
            "half a code",
            masked(FIN | CLOSE, b"\x03"),
            1002,
            "close frame holds half a code",
        ),
        (
            "forbidden code",
            masked(FIN | CLOSE, &1005_u16.to_be_bytes()),
            1002,
            "close code may not be sent",
        ),
        (
            "bad reason",
            masked(FIN | CLOSE, b"\x03\xe8\xff"),
            1007,
            "close reason is not UTF-8",
        ),
    ]
}

#[test]
fn a_message_in_fragments_counts_as_one_and_its_length_is_that_of_all() {
    let Some(served) = market() else { return };
    let mut raw = Raw::open(served.address());
    let mut bytes = masked(TEXT, br#"{"op":"ping","#);
    bytes.extend(masked(FIN | PING, b"between"));
    bytes.extend(masked(FIN | CONTINUATION, br#""id":1}"#));
    raw.send(&bytes);
    assert_eq!(raw.frame().payload, b"between");
    assert!(raw.frame().text().starts_with(r#"{"t":"pong","id":1"#));
    raw.send(&masked(TEXT, &vec![b' '; limits::MESSAGE_BYTES_MAX]));
    raw.send(&masked(FIN | CONTINUATION, b" "));
    assert_eq!(raw.control().closes().0, 1009);
}

#[test]
fn a_frame_that_arrives_byte_by_byte_is_a_frame() {
    let Some(served) = market() else { return };
    let mut raw = Raw::connect(served.address());
    for byte in UPGRADE.bytes() {
        raw.send(&[byte]);
    }
    raw.opened();
    assert!(raw.frame().text().starts_with(r#"{"t":"hello""#));
    for byte in text(r#"{"op":"ping","id":1}"#) {
        raw.send(&[byte]);
    }
    assert!(raw.frame().text().starts_with(r#"{"t":"pong","id":1"#));
}

#[test]
fn a_ping_is_answered_with_its_payload_also_amid_ticks() {
    let Some(served) = market() else { return };
    let mut raw = Raw::open(served.address());
    raw.send(&text(r#"{"op":"sub","ch":"*"}"#));
    for payload in [&b""[..], b"x", &[7; 125]] {
        raw.send(&masked(FIN | PING, payload));
        let pong = raw.control();
        assert_eq!((pong.opcode, &pong.payload[..]), (PONG, payload));
    }
    raw.send(&masked(FIN | PONG, b"unasked"));
    raw.send(&masked(FIN | PING, b"after"));
    assert_eq!(raw.control().payload, b"after", "an unasked pong is no fault");
}

#[test]
fn a_close_is_echoed_and_the_stream_ends() {
    let Some(served) = market() else { return };
    block_on(async {
        for (code, query) in [
            (1000, ""),
            (1001, "?ch=*"),
            (3000, "?ch=book:*"),
            (4999, "?ch=trade:*"),
        ] {
            let mut socket = Socket::connect(served.address(), query).await;
            assert_eq!(socket.json().await["t"], "hello");
            assert_eq!(socket.close(code, "bye").await.code, code);
        }
    });
    let mut raw = Raw::open(served.address());
    raw.send(&masked(FIN | CLOSE, b""));
    let close = raw.control();
    assert_eq!(
        (close.opcode, close.payload.len()),
        (CLOSE, 0),
        "no code is echoed as no code"
    );
    assert!(raw.is_over());
}

#[test]
fn a_stop_closes_every_client_as_a_restart_does_and_answers_are_waited_for() {
    let Some(mut served) = market() else { return };
    block_on(async {
        let mut sockets = Vec::new();
        for query in ["", "?ch=*", "?ch=book:BTC-USD"] {
            let mut socket = Socket::connect(served.address(), query).await;
            assert_eq!(socket.json().await["t"], "hello");
            sockets.push(socket);
        }
        served.server().stop();
        for mut socket in sockets {
            let closed = socket.last_words().await;
            assert_eq!(
                closed,
                Closed {
                    code: 1012,
                    reason: "server is shutting down".to_owned()
                }
            );
        }
        while served.server_mut().news().await.is_some() {}
    });
}

#[test]
fn what_is_no_handshake_is_refused_with_the_status_that_says_why() {
    let Some(served) = market() else { return };
    for (request, status, part) in no_handshakes() {
        let mut raw = Raw::connect(served.address());
        raw.send(request.as_bytes());
        let response = String::from_utf8(raw.rest()).expect("a response is text");
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{status}: {response}"
        );
        assert!(
            response.contains("Connection: close") && response.contains(part),
            "{part}: {response}"
        );
    }
    let mut raw = Raw::connect(served.address());
    raw.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(
        raw.head().starts_with("HTTP/1.1 400 "),
        "a TLS greeting is answered at once"
    );
}

/// A request, the status that answers it, and a part of the answer.
fn no_handshakes() -> [(String, &'static str, &'static str); 14] {
    let without = |line: &str| UPGRADE.replace(line, "");
    let version = "Sec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let offered = "Sec-WebSocket-Protocol: chat, graphql-ws\r\n\r\n";
    let unknown = UPGRADE.replace("\r\n\r\n", &format!("\r\n{offered}"));
    let old = UPGRADE.replace("Version: 13", "Version: 8");
    let fields = UPGRADE.replace("\r\n\r\n", &format!("\r\n{}\r\n", "X: y\r\n".repeat(65)));
    let long = UPGRADE.replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "y".repeat(9000)));
    let far = UPGRADE.replace("/v1/ws", &format!("/v1/ws?ch={}", "a".repeat(5000)));
    [
        (
            UPGRADE.replace("/v1/ws", "/"),
            "404 Not Found",
            "nothing is served at this path",
        ),
        (
            UPGRADE.replace("/v1/ws", "/v1/ws/"),
            "404 Not Found",
            "nothing is served at this path",
        ),
        (
            UPGRADE.replace("GET", "POST"),
            "405 Method Not Allowed",
            "Allow: GET\r\n",
        ),
        (without(key), "400 Bad Request", "Sec-WebSocket-Key is missing"),
        (
            UPGRADE.replace("dGhl", "dGh"),
            "400 Bad Request",
            "Sec-WebSocket-Key is not 16 bytes",
        ),
        (
            without("Connection: Upgrade\r\n"),
            "400 Bad Request",
            "Connection does not list upgrade",
        ),
        (
            without("Host: localhost\r\n"),
            "400 Bad Request",
            "Host is missing",
        ),
        (
            without("Upgrade: websocket\r\n"),
            "426 Upgrade Required",
            "Sec-WebSocket-Version: 13\r\n",
        ),
        (
            without(version),
            "426 Upgrade Required",
            "Sec-WebSocket-Version: 13\r\n",
        ),
        (old, "426 Upgrade Required", "Sec-WebSocket-Version: 13\r\n"),
        (unknown, "400 Bad Request", "tickwire.v1.json"),
        (fields, "431 Request Header Fields Too Large", ""),
        (long, "431 Request Header Fields Too Large", ""),
        (far, "414 URI Too Long", ""),
    ]
}

#[test]
fn health_is_told_to_who_asks_also_when_it_hangs_up_after_asking() {
    let Some(served) = market() else { return };
    for ends in [false, true] {
        let mut raw = Raw::connect(served.address());
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if ends {
            raw.end();
        }
        let response = String::from_utf8(raw.rest()).expect("a response is text");
        assert!(
            response.starts_with("HTTP/1.1 200 OK\r\n") && response.ends_with("\r\n\r\nok\n"),
            "{response}"
        );
    }
    let mut raw = Raw::connect(served.address());
    raw.send(b"DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(raw.head().starts_with("HTTP/1.1 405 "));
}

#[test]
fn one_connection_too_many_is_told_when_to_come_back_and_the_others_are_served_on() {
    if cannot_serve() {
        return;
    }
    let config = Config {
        connections: NonZeroUsize::new(2),
        ..small(SourceSpec::Sim { seed: 1 })
    };
    let served = Served::start(config);
    block_on(async {
        let mut first = Socket::connect(served.address(), "?ch=trade:*").await;
        let mut second = Socket::connect(served.address(), "?ch=trade:*").await;
        for socket in [&mut first, &mut second] {
            assert_eq!(socket.json().await["t"], "hello");
            assert_eq!(socket.json().await["t"], "ack");
        }
        for _ in 0..5 {
            let mut raw = Raw::connect(served.address());
            raw.send(UPGRADE.as_bytes());
            let response = String::from_utf8(raw.rest()).expect("a response is text");
            assert!(
                response.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
                "{response}"
            );
            assert!(response.contains("Retry-After: 1\r\n"), "{response}");
        }
        let before = (first.json().await, second.json().await);
        assert_eq!(
            (&before.0["t"], &before.1["t"]),
            (&json!("trade"), &json!("trade"))
        );
        first.close(1000, "").await;
        // Its slot is free once the kernel has reported its last poll.
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(
                attempts < 100_000,
                "the slot of a client that has gone is never free"
            );
            let mut raw = Raw::connect(served.address());
            raw.send(UPGRADE.as_bytes());
            let head = raw.head();
            if head.starts_with("HTTP/1.1 101 ") {
                break;
            }
            assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        }
        assert_eq!(second.json().await["t"], "trade");
    });
}

#[test]
fn the_subprotocol_is_chosen_from_what_is_offered() {
    let Some(served) = market() else { return };
    let offer = "Sec-WebSocket-Protocol: chat, tickwire.v1.json\r\n\r\n";
    let mut raw = Raw::connect(served.address());
    raw.send(UPGRADE.replace("\r\n\r\n", &format!("\r\n{offer}")).as_bytes());
    let head = raw.head().to_ascii_lowercase();
    assert!(
        head.contains("sec-websocket-protocol: tickwire.v1.json\r\n"),
        "{head}"
    );
    let mut raw = Raw::connect(served.address());
    raw.send(UPGRADE.as_bytes());
    assert!(
        !raw.head().to_ascii_lowercase().contains("sec-websocket-protocol"),
        "none was offered"
    );
}
