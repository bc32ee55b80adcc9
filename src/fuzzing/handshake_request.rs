//! A client's opening handshake: accepted exactly when every requirement holds, however it was split.

use super::extensions::read_list;
use super::head::{Head, assert_closes, edited, is_authority, is_token};
use super::input::Input;
use crate::limits::{PROTOCOLS_OFFERED_MAX, TARGET_BYTES_MAX};
use crate::wire::{HeadScan, Protocol, Refusal, Request, Upgrade};
use sha1::{Digest as _, Sha1};

/// A request for a WebSocket, as a server reads it (RFC 6455 §4.2).
///
/// # Panics
/// When a property does not hold.
pub fn handshake_request(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let bytes = edited(&mut input, GOOD, SPARE);

    let whole = Request::parse(&bytes, &mut HeadScan::default());
    let mut scan = HeadScan::default();
    let arrivals = cuts.arrivals(&bytes);
    let split = arrivals
        .into_iter()
        .map(|arrived| Request::parse(arrived, &mut scan));
    let split = split.into_iter().find(|verdict| *verdict != Ok(None));
    assert_eq!(split.unwrap_or(Ok(None)), whole, "the split decided");

    let meets_every_requirement = Head::read(&bytes).is_some_and(|head| naive(&head));
    let upgrade = match whole {
        Ok(None) => {
            assert!(!bytes.windows(4).any(|four| four == b"\r\n\r\n"), "it is whole");
            return;
        }
        Ok(Some((request, head_bytes))) => {
            assert_eq!(&bytes[head_bytes - 4..head_bytes], b"\r\n\r\n");
            Upgrade::parse(request)
        }
        Err(refusal) => Err(refusal),
    };
    match upgrade {
        Ok(upgrade) => {
            assert!(meets_every_requirement, "accepted: {}", bytes.escape_ascii());
            let offered: Vec<_> = upgrade.protocols().collect();
            assert_answers(&upgrade, None);
            assert_answers(&upgrade, offered.last().copied());
        }
        Err(refusal) => {
            assert!(!meets_every_requirement, "{refusal}: {}", bytes.escape_ascii());
            assert_refuses(refusal);
        }
    }
}

/// RFC 6455 §4.2.2: the answer that a client is to take for the one that it asked for.
fn assert_answers(upgrade: &Upgrade<'_>, selected: Option<Protocol<'_>>) {
    let mut answer = Vec::new();
    upgrade.accept(selected, None, &mut answer);
    let head = Head::read(&answer).expect("an answer has a head");
    assert_eq!(head.bytes, answer.len(), "and nothing else");
    assert_eq!(head.start_line, b"HTTP/1.1 101 Switching Protocols");
    assert_eq!(head.list("upgrade"), ["websocket"]);
    assert_eq!(head.list("connection"), ["upgrade"]);
    let key = upgrade.request().fields().sole("Sec-WebSocket-Key");
    let key = key.ok().flatten().expect("an accepted request has one key");
    let digest = Sha1::digest([key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat());
    assert_eq!(head.once("sec-websocket-accept"), Some(&base64(&digest)[..]));
    let protocol = selected.map(|protocol| protocol.name().as_bytes());
    assert_eq!(head.once("sec-websocket-protocol"), protocol);
    assert!(head.all("sec-websocket-extensions").is_empty());
}

fn assert_refuses(refusal: Refusal) {
    let mut response = Vec::new();
    refusal.write(&mut response);
    let head = assert_closes(&response, refusal.status());
    // RFC 9110 §15.5.6 and §15.5.22, RFC 6455 §4.4: what the client has to know to do better.
    match refusal.status() {
        405 => assert_eq!(head.once("allow"), Some(&b"GET"[..])),
        426 => {
            assert_eq!(head.list("upgrade"), ["websocket"]);
            assert_eq!(head.once("sec-websocket-version"), Some(&b"13"[..]));
        }
        _ => {}
    }
}

/// RFC 6455 §4.2.1 once more, item by item, on a head that was read naively.
fn naive(head: &Head) -> bool {
    let [method, target, version] = head.start_line.split(|byte| *byte == b' ').collect::<Vec<_>>()[..]
    else {
        return false;
    };
    let minor = version.strip_prefix(b"HTTP/1.");
    let version_is_high_enough = matches!(minor, Some([b'1'..=b'9']));
    let host_is_one = head.once("host").is_some_and(is_authority);
    let has_no_body = head.all("transfer-encoding").is_empty()
        && (head.all("content-length").is_empty() || head.once("content-length") == Some(b"0"));
    let origins = head.all("origin");
    let origin_is_text = |origin: &&[u8]| origin.iter().all(|byte| (b' '..=b'~').contains(byte));
    let mut protocols = head.elements("sec-websocket-protocol");
    let offered = protocols.len();
    let list_has_an_element = offered > 0 || head.all("sec-websocket-protocol").is_empty();
    let protocols_are_tokens = protocols.iter().all(|protocol| is_token(protocol));
    protocols.sort_unstable();
    protocols.dedup();

    method == b"GET"
        && is_target(target)
        && version_is_high_enough
        && host_is_one
        && has_no_body
        && head.list("upgrade").contains(&"websocket".to_owned())
        && head.list("connection").contains(&"upgrade".to_owned())
        && head.once("sec-websocket-key").is_some_and(is_key)
        && head.once("sec-websocket-version") == Some(b"13")
        && origins.len() <= 1
        && origins.iter().all(origin_is_text)
        && list_has_an_element
        && protocols_are_tokens
        && protocols.len() == offered
        && offered <= PROTOCOLS_OFFERED_MAX
        && head
            .all("sec-websocket-extensions")
            .iter()
            .all(|value| read_list(value).is_some())
}

/// RFC 9112 §3.2, origin form or absolute form, with percent-encodings that stand for UTF-8.
fn is_target(target: &[u8]) -> bool {
    let Ok(target) = std::str::from_utf8(target) else {
        return false;
    };
    let path = if target.starts_with('/') {
        target
    } else {
        let lower = target.to_ascii_lowercase();
        let schemes = ["http://", "https://", "ws://", "wss://"];
        let Some(scheme) = schemes.iter().find(|scheme| lower.starts_with(**scheme)) else {
            return false;
        };
        let rest = &target[scheme.len()..];
        let authority: String = rest.chars().take_while(|c| !"/?".contains(*c)).collect();
        if !is_authority(authority.as_bytes()) {
            return false;
        }
        &rest[authority.len()..]
    };
    target.len() <= TARGET_BYTES_MAX
        && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
        && decodes(path)
}

fn decodes(path: &str) -> bool {
    let mut pieces = path.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        match piece.as_bytes() {
            [high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.extend(u8::from_str_radix(&piece[..2], 16));
                bytes.extend_from_slice(rest);
            }
            _ => return false,
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}

/// Whether a key stands for 16 bytes: 22 digits of six bits, of which the last four mean nothing and may be set, and the
/// padding (RFC 4648 §4, RFC 6455 §4.3).
fn is_key(key: &[u8]) -> bool {
    let digits = key.strip_suffix(b"==").unwrap_or_default();
    digits.len() == 22 && digits.iter().all(|digit| BASE64.contains(digit))
}

/// RFC 4648 §4, bit by bit.
fn base64(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    let digit = |bits: &[u8]| {
        let value = (0..6).fold(0, |value, at| value << 1 | bits.get(at).copied().unwrap_or(0));
        BASE64[usize::from(value)]
    };
    let mut text: Vec<u8> = bits.chunks(6).map(digit).collect();
    text.resize(text.len().next_multiple_of(4), b'=');
    text
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const GOOD: &[&str] = &[
    "GET /v1/ws?ch=trade:BTC-USD HTTP/1.1",
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Origin: http://example.com",
    "Sec-WebSocket-Protocol: chat, superchat",
    "Sec-WebSocket-Version: 13",
];

/// Lines that make a good head bad, or leave it good in an unusual way.
const SPARE: &[&str] = &[
    "GET http://example.com/chat HTTP/1.1",
    "GET ws://h:80?ch=%E2%82%AC HTTP/1.9",
    "GET /%c3%28 HTTP/1.1",
    "GET / HTTP/1.0",
    "GET / HTTP/2.0",
    "GET * HTTP/1.1",
    "POST /v1/ws HTTP/1.1",
    "HOST:\t[::1]:80 ",
    "Host: user@example.com",
    "upgrade: h2c, WebSocket",
    "Upgrade: h2c",
    "connection: UPGRADE",
    "Connection: close",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==",
    "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version: 8",
    "Sec-WebSocket-Version: 13, 8",
    "Origin: null",
    "Origin: \u{e9}",
    "Sec-WebSocket-Protocol: ,a,, b\t,",
    "Sec-WebSocket-Protocol: chat",
    "Sec-WebSocket-Protocol: a b",
    "Sec-WebSocket-Protocol: 0,1,2,3,4,5,6,7,8,9,A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=\"10\", x",
    "Sec-WebSocket-Extensions: a; b=\"c, d\"",
    "Sec-WebSocket-Extensions: ,",
    "Content-Length: 0",
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    " folded",
    "\tfolded",
    "No-Colon",
    "Space : before",
    ": nameless",
    "",
    "X: \u{1b}[0m",
    "X: \r",
    "X: \n",
    "X: \0",
];
