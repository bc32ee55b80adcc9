//! Requests that are HTTP, but no opening handshake of RFC 6455.

use tickwire::limits::PROTOCOLS_OFFERED_MAX;

use crate::handshakes::{OPENS, plus, row};
use crate::row::Answer::{Opens, Status};
use crate::row::{Line, Row};
use crate::scene::raw::UPGRADE;

/// What both services answer alike.
pub(crate) fn rows() -> Vec<Row> {
    [
        upgrade_fields(),
        keys(),
        versions(),
        subprotocols(),
        extensions_malformed(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn rows_of_the_feed() -> Vec<Row> {
    let elsewhere = UPGRADE.replace("/v1/ws", "/v1/ws/");
    let unspoken = plus("Sec-WebSocket-Protocol: chat, graphql-ws");
    vec![
        row(
            "another path",
            "RFC 9110 §15.5.5: nothing is there",
            elsewhere,
            Status(404, "nothing is served at this path"),
        ),
        row(
            "subprotocols that nobody speaks",
            "RFC 6455 §4.2.2: none of them is chosen; this server says so at once",
            unspoken,
            Status(400, "tickwire.v1.json"),
        ),
        row(
            "a good extension that is not served",
            "RFC 6455 §9.1: what is not accepted is left out",
            plus("Sec-WebSocket-Extensions: permessage-deflate"),
            Opens(Line::Lacks("Sec-WebSocket-Extensions")),
        ),
    ]
}

/// Offers that are declined, and others beside them that are not.
pub(crate) fn rows_of_the_echo() -> Vec<Row> {
    let rule =
        "RFC 7692 §7.1: an offer with a parameter that is unknown, repeated or out of range is declined";
    let declined = [
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        "permessage-deflate; mystery",
        "permessage-deflate; mystery=1; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=1000000000000000000000",
        "permessage-deflate; server_max_window_bits=\"08\"",
        "permessage-deflate; client_max_window_bits=0x0f",
        "permessage-deflate; client_max_window_bits=-9",
        "permessage-deflate; client_max_window_bits=+9",
        "permessage-deflate; client_max_window_bits=015",
        "Permessage-Deflate",
        "x-webkit-deflate-frame",
        "permessage-bzip2, foo; bar=baz",
    ];
    let declined = declined.map(|offer| {
        row(
            format!("offer: {offer}"),
            rule,
            plus(&format!("Sec-WebSocket-Extensions: {offer}")),
            Opens(Line::Lacks("Sec-WebSocket-Extensions")),
        )
    });
    let accepted = [
        "permessage-deflate; mystery, permessage-deflate",
        "permessage-deflate; server_max_window_bits=08, permessage-deflate",
        "foo; bar=\"baz\", permessage-deflate",
        "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate; mystery",
    ];
    let accepted = accepted.map(|offer| {
        row(
            format!("offer: {}", offer.escape_debug()),
            "RFC 7692 §5.1: the first offer that can be accepted is",
            plus(&format!("Sec-WebSocket-Extensions: {offer}")),
            Opens(Line::Is(
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                 client_no_context_takeover",
            )),
        )
    });
    declined.into_iter().chain(accepted).collect()
}

fn upgrade_fields() -> Vec<Row> {
    let upgrade = "RFC 6455 §4.2.1, item 3: Upgrade contains \"websocket\"";
    let connection = "RFC 6455 §4.2.1, item 4: Connection contains \"Upgrade\"";
    let told = "Sec-WebSocket-Version: 13\r\n";
    vec![
        row("no Upgrade", upgrade, without("Upgrade:"), Status(426, told)),
        row(
            "another Upgrade",
            upgrade,
            with("Upgrade:", "Upgrade: h2c"),
            Status(426, told),
        ),
        row(
            "almost the Upgrade",
            upgrade,
            with("Upgrade:", "Upgrade: websockets"),
            Status(426, told),
        ),
        row(
            "one Upgrade of several",
            upgrade,
            with("Upgrade:", "Upgrade: h2c, WebSocket"),
            OPENS,
        ),
        row(
            "no Connection",
            connection,
            without("Connection:"),
            Status(400, "Connection does not list"),
        ),
        row(
            "another Connection",
            connection,
            with("Connection:", "Connection: keep-alive"),
            Status(400, "Connection does not list"),
        ),
        row(
            "Connection in two fields",
            connection,
            with("Connection:", "Connection: keep-alive\r\nconnection: ,uPGRADE"),
            OPENS,
        ),
        row(
            "two Origins",
            "RFC 6454 §7.3: no more than one",
            plus("Origin: https://a\r\nOrigin: https://b"),
            Status(400, "Origin is repeated"),
        ),
    ]
}

fn keys() -> Vec<Row> {
    let rule = "RFC 6455 §4.2.1, item 5: 16 bytes in base64, and §11.3.1: once";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    [
        ("no key", String::new(), "Sec-WebSocket-Key is missing"),
        ("two keys", format!("{key}\r\n{key}\r\n"), "more than once"),
        (
            "an empty key",
            "Sec-WebSocket-Key:\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a key without padding",
            format!("{}\r\n", &key[..key.len() - 2]),
            "not 16 bytes",
        ),
        (
            "a key of 15 bytes",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a key of 17 bytes",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXM=\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a key of another alphabet",
            "Sec-WebSocket-Key: -_-_-_-_-_-_-_-_-_-_-A==\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a key with a space",
            "Sec-WebSocket-Key: dGhlIHNhbXBs ZSBub25jZQ=\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a list of keys",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, x\r\n".to_owned(),
            "not 16 bytes",
        ),
        (
            "a key without end",
            format!("Sec-WebSocket-Key: {}\r\n", "A".repeat(4096)),
            "not 16 bytes",
        ),
    ]
    .into_iter()
    .map(|(name, line, words)| {
        row(
            name,
            rule,
            UPGRADE.replace(&format!("{key}\r\n"), &line),
            Status(400, words),
        )
    })
    .collect()
}

fn versions() -> Vec<Row> {
    let rule = "RFC 6455 §4.2.2 and §4.4: 426, and the version that is spoken";
    let versions = [
        "8",
        "0",
        "14",
        "013",
        "+13",
        "13.0",
        "0x0d",
        "1 3",
        "13;",
        "\"13\"",
        "13, 13",
        "13, 8",
        "8, 13",
        "thirteen",
        "\u{661}\u{663}",
        "",
    ];
    let told = Status(426, "Sec-WebSocket-Version: 13\r\n");
    let mut rows: Vec<Row> = versions
        .into_iter()
        .map(|version| {
            let line = format!("Sec-WebSocket-Version: {version}");
            row(
                format!("version {version:?}"),
                rule,
                with("Sec-WebSocket-Version:", &line),
                told.clone(),
            )
        })
        .collect();
    rows.push(row(
        "no version",
        rule,
        without("Sec-WebSocket-Version:"),
        told.clone(),
    ));
    rows.push(row(
        "the version twice",
        rule,
        plus("Sec-WebSocket-Version: 13"),
        told,
    ));
    rows
}

fn subprotocols() -> Vec<Row> {
    let token = "RFC 6455 §4.1, item 10: tokens, each once";
    let many: Vec<String> = (0..=PROTOCOLS_OFFERED_MAX)
        .map(|number| format!("p{number}"))
        .collect();
    [
        (
            "a subprotocol that is no token",
            token,
            "chat, gr@ph".to_owned(),
            "not a token",
        ),
        (
            "a subprotocol twice",
            token,
            "tickwire.v1.json, tickwire.v1.json".to_owned(),
            "twice",
        ),
        (
            "no subprotocol",
            "RFC 6455 §4.3: one or more",
            ",".to_owned(),
            "not a token",
        ),
        (
            "subprotocols without end",
            "RFC 6455 §10.4: limits",
            many.join(","),
            "too many subprotocols",
        ),
    ]
    .into_iter()
    .map(|(name, rule, offer, words)| {
        row(
            name,
            rule,
            plus(&format!("Sec-WebSocket-Protocol: {offer}")),
            Status(400, words),
        )
    })
    .collect()
}

/// What is no list of extensions cannot be declined one by one.
fn extensions_malformed() -> Vec<Row> {
    let rule = "RFC 6455 §9.1: a value that breaks the grammar MUST fail the connection";
    [
        "permessage-deflate;",
        "permessage-deflate; =1",
        "permessage-deflate; a=",
        "permessage-deflate; a=\"b",
        "permessage-deflate; a=\"\"",
        "permessage-deflate; a=\"b,c\"",
        "permessage-deflate; a b",
        "permessage deflate",
        "\"permessage-deflate\"",
    ]
    .into_iter()
    .map(|offer| {
        row(
            format!("extensions: {offer}"),
            rule,
            plus(&format!("Sec-WebSocket-Extensions: {offer}")),
            Status(400, "is not a list of extensions"),
        )
    })
    .collect()
}

/// The good request with these lines in place of the one that begins so.
fn with(begins: &str, lines: &str) -> String {
    let replaced: Vec<&str> = UPGRADE
        .split("\r\n")
        .map(|line| if line.starts_with(begins) { lines } else { line })
        .collect();
    replaced.join("\r\n")
}

fn without(begins: &str) -> String {
    UPGRADE
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with(begins))
        .collect()
}
