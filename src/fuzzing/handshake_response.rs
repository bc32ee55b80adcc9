//! A server's answer to our handshake: accepted exactly when it is the one that was asked for.

use super::head::{Head, edited};
use super::input::Input;
use crate::wire::{HeadScan, Offer, Rejection};

/// The answer to a request for a WebSocket, as a client reads it (RFC 6455 §4.1).
///
/// # Panics
/// When a property does not hold.
pub fn handshake_response(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let bytes = edited(&mut input, GOOD, SPARE);
    let offer = Offer::new("server.example.com", "/chat", PROTOCOLS, *b"the sample nonce");
    let offer = offer.expect("the offer is a good one");

    let whole = offer.read(&bytes, &mut HeadScan::default());
    let mut scan = HeadScan::default();
    let arrivals = cuts.arrivals(&bytes);
    let split = arrivals.into_iter().map(|arrived| offer.read(arrived, &mut scan));
    let split = split
        .into_iter()
        .find(|verdict| *verdict != Ok(None))
        .unwrap_or(Ok(None));
    assert_eq!(
        split.clone().map_err(unsaid),
        whole.clone().map_err(unsaid),
        "the split decided"
    );

    let expected = Head::read(&bytes).and_then(|head| naive(&head));
    match whole {
        Ok(None) => assert!(!bytes.windows(4).any(|four| four == b"\r\n\r\n"), "it is whole"),
        Ok(Some(accepted)) => {
            let accepted = (accepted.protocol, accepted.head_bytes);
            assert_eq!(Some(accepted), expected, "accepted: {}", bytes.escape_ascii());
        }
        Err(rejection) => {
            assert_eq!(expected, None, "{rejection}: {}", bytes.escape_ascii());
            assert_is_fit_to_print(&rejection);
        }
    }
}

/// A rejection less the words that came with it: of the content only that is told which came with the head.
fn unsaid(mut rejection: Rejection) -> Rejection {
    if let Rejection::Status { said, .. } = &mut rejection {
        said.clear();
    }
    rejection
}

fn assert_is_fit_to_print(rejection: &Rejection) {
    let words = rejection.to_string();
    assert!(!words.chars().any(char::is_control), "{words:?}");
    // Two pieces of at most 200 bytes, each of which may become a character of three bytes.
    assert!(words.len() <= 1300, "{words:?}");
}

/// RFC 6455 §4.1, the list of what a client must validate, on a head that was read naively: what was selected, and
/// where the frames begin.
fn naive(head: &Head) -> Option<(Option<&'static str>, usize)> {
    let [
        b'H',
        b'T',
        b'T',
        b'P',
        b'/',
        b'1',
        b'.',
        b'1'..=b'9',
        b' ',
        b'1',
        b'0',
        b'1',
        reason @ ..,
    ] = &head.start_line[..]
    else {
        return None;
    };
    let selected = match head.all("sec-websocket-protocol")[..] {
        [] => None,
        [name] => Some(*PROTOCOLS.iter().find(|offered| offered.as_bytes() == name)?),
        _ => return None,
    };
    let is_the_one = (reason.is_empty() || reason.starts_with(b" "))
        && head
            .once("upgrade")
            .is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket"))
        && head.list("connection").contains(&"upgrade".to_owned())
        && head.once("sec-websocket-accept") == Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        && head.all("sec-websocket-extensions").is_empty();
    is_the_one.then_some((selected, head.bytes))
}

const PROTOCOLS: &[&str] = &["chat", "superchat"];

const GOOD: &[&str] = &[
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "Sec-WebSocket-Protocol: chat",
];

/// Lines that make a good head bad, or leave it good in an unusual way.
const SPARE: &[&str] = &[
    "HTTP/1.1 101",
    "HTTP/1.9 101 ",
    "HTTP/1.0 101 Switching Protocols",
    "HTTP/1.1 1O1 Switching Protocols",
    "HTTP/1.1 1010",
    "HTTP/1.1 101 \r",
    "HTTP/1.1 503 Service Unavailable",
    "HTTP/1.1 999 \u{e9}",
    "HTTP/1.1 302 Found",
    "upgrade:\tWebSocket ",
    "Upgrade: websocket, h2c",
    "connection: close , UPGRADE",
    "Connection: close",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xoo=",
    "sec-websocket-protocol: superchat",
    "Sec-WebSocket-Protocol: chat, superchat",
    "Sec-WebSocket-Protocol:",
    "Sec-WebSocket-Extensions: permessage-deflate",
    "Sec-WebSocket-Extensions:",
    "Set-Cookie: a=b; Path=/",
    " folded",
    "Space : before",
    ": nameless",
    "",
    "X: \u{1b}[0m",
    "X: \r",
    "X: \n",
    "X: \0",
];
