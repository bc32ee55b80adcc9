//! Requests, whole and in pieces, good and bad.

use super::*;
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, TARGET_BYTES_MAX};
use proptest::prelude::*;

fn parse(head: &[u8]) -> Result<Option<(Request<'_>, usize)>, Refusal> {
    Request::parse(head, &mut HeadScan::default())
}

/// A request of this first line and these fields, each without its end.
fn head(lines: &[&str]) -> Vec<u8> {
    format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes()
}

#[test]
fn a_request_is_found_when_its_last_byte_arrives_and_not_before() {
    let head = b"GET /v1/ws?ch=a HTTP/1.1\r\nHost: h\r\nX-Empty:\r\n\r\n";
    let mut scan = HeadScan::default();
    for arrived in 0..head.len() {
        assert_eq!(Request::parse(&head[..arrived], &mut scan), Ok(None));
    }
    let behind = [&head[..], b"GET"].concat();
    let (request, head_bytes) = Request::parse(&behind, &mut scan).unwrap().unwrap();
    assert_eq!(head_bytes, head.len());
    assert_eq!((request.method(), request.host()), ("GET", "h"));
    assert_eq!(
        (request.target().path(), request.target().query()),
        ("/v1/ws", "ch=a")
    );
    assert_eq!(request.fields().sole("x-empty"), Ok(Some(&b""[..])));
}

#[test]
fn an_absolute_form_overrules_the_host_field() {
    let head = head(&["GET http://a:1/p?q HTTP/1.1", "Host: b"]);
    let (request, _) = parse(&head).unwrap().unwrap();
    assert_eq!((request.host(), request.target().path()), ("a:1", "/p"));
}

#[test]
fn a_higher_minor_version_and_an_empty_body_are_fine() {
    assert!(parse(&head(&["GET / HTTP/1.9", "Host: [::1]:80", "content-length: 0"])).is_ok());
}

#[test]
fn each_rule_has_its_own_refusal() {
    let table: &[(&[&str], Refusal)] = &[
        (&["GET / HTTP/1.0", "Host: h"], Refusal::HttpTooOld),
        (&["GET / HTTP/2.0", "Host: h"], Refusal::HttpVersion),
        (&["GET / HTTP/0.9", "Host: h"], Refusal::HttpVersion),
        (&["GET / HTTP/1.", "Host: h"], Refusal::RequestLine),
        (&["GET / HTTP/1.11", "Host: h"], Refusal::RequestLine),
        (&["GET / http/1.1", "Host: h"], Refusal::RequestLine),
        (&["GET /", "Host: h"], Refusal::RequestLine),
        (&["GET  / HTTP/1.1", "Host: h"], Refusal::RequestLine),
        (&["GET / HTTP/1.1 ", "Host: h"], Refusal::RequestLine),
        (&["GET\t/ HTTP/1.1", "Host: h"], Refusal::RequestLine),
        (&["G(T / HTTP/1.1", "Host: h"], Refusal::RequestLine),
        (&["\r\nGET / HTTP/1.1", "Host: h"], Refusal::RequestLine),
        (&["GET * HTTP/1.1", "Host: h"], Refusal::TargetForm),
        (&["GET h:1 HTTP/1.1", "Host: h"], Refusal::TargetForm),
        (&["GET /\u{e9} HTTP/1.1", "Host: h"], Refusal::TargetByte),
        (&["GET /\r HTTP/1.1", "Host: h"], Refusal::TargetByte),
        (&["GET /?a=%zz HTTP/1.1", "Host: h"], Refusal::TargetEncoding),
        (&["GET / HTTP/1.1"], Refusal::HostMissing),
        (&["GET / HTTP/1.1", "Host: h", "host: h"], Refusal::HostRepeated),
        (&["GET / HTTP/1.1", "Host:"], Refusal::HostInvalid),
        (&["GET / HTTP/1.1", "Host: a/b"], Refusal::HostInvalid),
        (&["GET / HTTP/1.1", "Host: u@b"], Refusal::HostInvalid),
        (&["GET http:/// HTTP/1.1", "Host: h"], Refusal::HostInvalid),
        (&["GET / HTTP/1.1", "Host: h", "Content-Length: 1"], Refusal::Body),
        (
            &["GET / HTTP/1.1", "Host: h", "Content-Length: -0"],
            Refusal::Body,
        ),
        (
            &[
                "GET / HTTP/1.1",
                "Host: h",
                "Content-Length: 0",
                "Content-Length: 0",
            ],
            Refusal::Body,
        ),
        (
            &["GET / HTTP/1.1", "Host: h", "Transfer-Encoding: chunked"],
            Refusal::Body,
        ),
        (
            &["GET / HTTP/1.1", "Host: h", "a: b", " c"],
            Refusal::Head(HeadFault::FoldedField),
        ),
        (
            &["GET / HTTP/1.1", "Host : h"],
            Refusal::Head(HeadFault::FieldName),
        ),
        (
            &["GET / HTTP/1.1", "Host: h", "a: \0"],
            Refusal::Head(HeadFault::FieldValue),
        ),
        (
            &["GET / HTTP/1.1\nHost: h"],
            Refusal::Head(HeadFault::BareLineFeed),
        ),
    ];
    for (lines, refusal) in table {
        assert_eq!(parse(&head(lines)), Err(*refusal), "{lines:?}");
    }
}

#[test]
fn what_is_not_http_is_refused_at_its_first_byte() {
    for first in [b"\x16".as_slice(), b"\0", b" ", b"\r", b"\xff", b"{"] {
        assert_eq!(parse(first), Err(Refusal::RequestLine));
    }
    assert_eq!(parse(b""), Ok(None));
    assert_eq!(parse(b"G"), Ok(None));
}

#[test]
fn limits_hold_to_the_byte() {
    let target = |bytes: usize| head(&[&format!("GET /{} HTTP/1.1", "a".repeat(bytes - 1)), "Host: h"]);
    assert!(parse(&target(TARGET_BYTES_MAX)).is_ok());
    assert_eq!(parse(&target(TARGET_BYTES_MAX + 1)), Err(Refusal::TargetTooLong));

    let fields = |count: usize| {
        let mut lines = vec!["GET / HTTP/1.1", "Host: h"];
        lines.resize(count + 1, "a: b");
        head(&lines)
    };
    assert!(parse(&fields(HEAD_FIELDS_MAX)).is_ok());
    assert_eq!(
        parse(&fields(HEAD_FIELDS_MAX + 1)),
        Err(Refusal::Head(HeadFault::TooManyFields))
    );

    let whole = |bytes: usize| {
        let padding = bytes - head(&["GET / HTTP/1.1", "Host: h", "a: "]).len();
        head(&[
            "GET / HTTP/1.1",
            "Host: h",
            &format!("a: {}", "b".repeat(padding)),
        ])
    };
    assert!(parse(&whole(HEAD_BYTES_MAX)).is_ok());
    assert_eq!(
        parse(&whole(HEAD_BYTES_MAX + 1)),
        Err(Refusal::Head(HeadFault::TooLong))
    );
}

#[test]
fn a_request_line_without_end_is_a_target_that_is_too_long() {
    let endless = [b"GET /".as_slice(), &[b'a'; HEAD_BYTES_MAX]].concat();
    let mut scan = HeadScan::default();
    assert_eq!(
        Request::parse(&endless[..HEAD_BYTES_MAX - 1], &mut scan),
        Ok(None)
    );
    assert_eq!(
        Request::parse(&endless[..HEAD_BYTES_MAX], &mut scan),
        Err(Refusal::TargetTooLong)
    );
}

#[test]
fn an_endless_request_line_is_the_same_sin_when_more_has_arrived_at_once() {
    let more = [b"GET /".as_slice(), &[b'a'; HEAD_BYTES_MAX], b" HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(parse(&more[..HEAD_BYTES_MAX]), Err(Refusal::TargetTooLong));
    assert_eq!(parse(&more), Err(Refusal::TargetTooLong));
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let _ = parse(&[b"GET / HTTP/1.1\r\n", &bytes[..], b"\r\n\r\n"].concat());
    }

    #[test]
    fn the_split_of_the_head_does_not_matter(
        at in any::<prop::sample::Index>(), bad: u8, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut head = head(&["GET /v1/ws HTTP/1.1", "Host: h", "Upgrade: websocket"]);
        let at = at.index(head.len());
        head[at] = bad;
        let whole = parse(&head);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(head.len())).collect();
        cuts.sort_unstable();
        let mut scan = HeadScan::default();
        for cut in cuts {
            match Request::parse(&head[..cut], &mut scan) {
                Ok(None) => {}
                early => {
                    prop_assert_eq!(early, whole);
                    return Ok(());
                }
            }
        }
        prop_assert_eq!(Request::parse(&head, &mut scan), whole);
    }
}
