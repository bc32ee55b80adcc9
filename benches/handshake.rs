//! The opening handshake on the server's side: a head parsed, and a request turned into the response that opens it.
//!
//! httparse only finds the parts of a head: it looks for neither host nor body nor target. tungstenite parses with
//! httparse, copies what it found into an `http::Request`, and answers that; it knows neither subprotocols nor origins
//! here. The naive version splits a `String` into lines and a map.

use base64::Engine as _;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha1::{Digest as _, Sha1};
use std::collections::HashMap;
use std::hint::black_box;
use tickwire::wire::{HeadScan, Request, Upgrade};
use tungstenite::handshake::machine::TryParse as _;
use tungstenite::handshake::server;

/// What a program sends that follows a market.
const PROGRAM: &str = "GET /v1/ws?ch=trade:BTC-USD HTTP/1.1\r\nHost: ticks.example.com:9001\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: tickwire.v1.json\r\n\r\n";

/// What a browser sends for a page.
const BROWSER: &str = "GET /v1/ws?ch=trade:BTC-USD HTTP/1.1\r\nHost: ticks.example.com\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: https://charts.example.com\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
    Cookie: theme=dark; session=c2Vzc2lvbi1pZC1vZi1hLXZpc2l0b3I; consent=1\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: tickwire.v1.json\r\n\r\n";

fn handshake(c: &mut Criterion) {
    let mut group = c.benchmark_group("head");
    for (client, head) in [("program", PROGRAM), ("browser", BROWSER)] {
        let fields = head.matches("\r\n").count() - 2;
        assert_eq!(
            (parse_with_tickwire(head), parse_with_httparse(head)),
            (fields, fields)
        );
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(BenchmarkId::new("tickwire", client), |b| {
            b.iter(|| parse_with_tickwire(black_box(head)));
        });
        group.bench_function(BenchmarkId::new("naive", client), |b| {
            b.iter(|| parse_naively(black_box(head)).len());
        });
        group.bench_function(BenchmarkId::new("httparse", client), |b| {
            b.iter(|| parse_with_httparse(black_box(head)));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("handshake");
    let mut out = Vec::new();
    for (client, head) in [("program", PROGRAM), ("browser", BROWSER)] {
        for answer in [answer_with_tickwire, answer_with_tungstenite, answer_naively] {
            out.clear();
            answer(head, &mut out);
            let response = String::from_utf8_lossy(&out).to_ascii_lowercase();
            let accept = "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
            assert!(
                response.starts_with("http/1.1 101 ") && response.contains(accept),
                "{response}"
            );
        }
        let mut measure = |name, answer: fn(&str, &mut Vec<u8>)| {
            group.bench_function(BenchmarkId::new(name, client), |b| {
                b.iter(|| {
                    out.clear();
                    answer(black_box(head), &mut out);
                });
            });
        };
        measure("tickwire", answer_with_tickwire);
        measure("naive", answer_naively);
        measure("tungstenite", answer_with_tungstenite);
    }
    group.finish();
}

fn parse_with_tickwire(head: &str) -> usize {
    let parsed = Request::parse(head.as_bytes(), &mut HeadScan::default()).expect("the head is valid");
    let (request, _) = parsed.expect("the head is whole");
    black_box(request).fields().iter().count()
}

fn parse_with_httparse(head: &str) -> usize {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let status = request.parse(head.as_bytes()).expect("the head is valid");
    assert!(status.is_complete());
    black_box(request).headers.len()
}

fn parse_naively(head: &str) -> HashMap<String, String> {
    let lines = head.lines().skip(1).filter(|line| !line.is_empty());
    let fields = lines.map(|line| line.split_once(": ").expect("a field has a colon"));
    fields
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

fn answer_with_tickwire(head: &str, out: &mut Vec<u8>) {
    let parsed = Request::parse(head.as_bytes(), &mut HeadScan::default()).expect("the head is valid");
    let (request, _) = parsed.expect("the head is whole");
    let upgrade = Upgrade::parse(request).expect("it asks for a WebSocket");
    let protocol = upgrade.protocols().next();
    upgrade.accept(protocol, None, out);
}

fn answer_with_tungstenite(head: &str, out: &mut Vec<u8>) {
    let parsed = server::Request::try_parse(head.as_bytes()).expect("the head is valid");
    let (_, request) = parsed.expect("the head is whole");
    let response = server::create_response(&request).expect("it asks for a WebSocket");
    server::write_response(out, &response).expect("a vector takes everything");
}

fn answer_naively(head: &str, out: &mut Vec<u8>) {
    let fields = parse_naively(head);
    assert_eq!(fields["upgrade"].to_lowercase(), "websocket");
    assert_eq!(fields["sec-websocket-version"], "13");
    let keyed = format!(
        "{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
        fields["sec-websocket-key"]
    );
    let accept = base64::engine::general_purpose::STANDARD.encode(Sha1::digest(keyed.as_bytes()));
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: {}\r\n\r\n",
        fields["sec-websocket-protocol"]
    );
    out.extend_from_slice(response.as_bytes());
}

criterion_group!(benches, handshake);
criterion_main!(benches);
