//! Requests that are not HTTP/1.1, ask for something else, or hide something else in themselves.

use tickwire::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX, TARGET_BYTES_MAX};

use crate::row::Answer::{Opens, Silence, Status};
use crate::row::{Answer, Line, Opening, Row};
use crate::scene::raw::{FIN, PING, UPGRADE, masked};

/// What both services answer alike.
pub(crate) fn rows() -> Vec<Row> {
    [
        request_lines(),
        targets(),
        hosts(),
        field_lines(),
        sizes(),
        smuggling(),
        requests_behind(),
        no_requests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn request_lines() -> Vec<Row> {
    REQUEST_LINES
        .into_iter()
        .map(|(name, rule, line, answer)| row(name, rule, line_instead(line), answer))
        .collect()
}

const REQUEST_LINES: [(&str, &str, &str, Answer); 17] = [
    (
        "method POST",
        "RFC 6455 §4.2.1: GET",
        "POST /v1/ws HTTP/1.1",
        Status(405, "Allow: GET\r\n"),
    ),
    (
        "method HEAD",
        "RFC 6455 §4.2.1: GET",
        "HEAD /v1/ws HTTP/1.1",
        Status(405, "Content-Length: 0\r\n"),
    ),
    (
        "method CONNECT",
        "RFC 8441 is for HTTP/2",
        "CONNECT /v1/ws HTTP/1.1",
        Status(405, "Allow: GET\r\n"),
    ),
    (
        "method get",
        "RFC 9110 §9.1: methods have a case",
        "get /v1/ws HTTP/1.1",
        Status(405, "Allow: GET\r\n"),
    ),
    (
        "method that is no token",
        "RFC 9112 §3",
        "G(T /v1/ws HTTP/1.1",
        Status(400, "request line"),
    ),
    (
        "HTTP/1.0",
        "RFC 6455 §4.2.1: HTTP/1.1 or higher",
        "GET /v1/ws HTTP/1.0",
        Status(400, "HTTP/1.1 is needed"),
    ),
    (
        "HTTP/0.9",
        "RFC 9110 §15.6.6",
        "GET /v1/ws HTTP/0.9",
        Status(505, "only HTTP/1.1"),
    ),
    (
        "HTTP/2.0",
        "RFC 9110 §15.6.6",
        "GET /v1/ws HTTP/2.0",
        Status(505, "only HTTP/1.1"),
    ),
    (
        "the greeting of HTTP/2",
        "RFC 9110 §15.6.6",
        "PRI * HTTP/2.0",
        Status(505, "only HTTP/1.1"),
    ),
    (
        "a later minor version",
        "RFC 9110 §2.5: is answered as 1.1",
        "GET /v1/ws HTTP/1.9",
        OPENS,
    ),
    (
        "version in lower case",
        "RFC 9112 §2.3: versions have a case",
        "GET /v1/ws http/1.1",
        Status(400, "request line"),
    ),
    (
        "version of two digits",
        "RFC 9112 §2.3",
        "GET /v1/ws HTTP/1.10",
        Status(400, "request line"),
    ),
    (
        "no version",
        "RFC 9112 §3",
        "GET /v1/ws",
        Status(400, "request line"),
    ),
    (
        "two spaces",
        "RFC 9112 §3: single spaces",
        "GET  /v1/ws HTTP/1.1",
        Status(400, "request line"),
    ),
    (
        "tabs",
        "RFC 9112 §3: single spaces",
        "GET\t/v1/ws\tHTTP/1.1",
        Status(400, "request line"),
    ),
    (
        "a space behind",
        "RFC 9112 §3",
        "GET /v1/ws HTTP/1.1 ",
        Status(400, "request line"),
    ),
    (
        "a bare CR in the request line",
        "RFC 9112 §2.2: invalid",
        "GET /v1/ws\r HTTP/1.1",
        Status(400, ""),
    ),
];

fn targets() -> Vec<Row> {
    let long = |bytes: usize| format!("/v1/ws?{}", "x".repeat(bytes - "/v1/ws?".len()));
    let long_rule = "RFC 9110 §15.5.15: 414 beyond the limit";
    TARGETS
        .into_iter()
        .map(|(name, rule, target, answer)| row(name, rule, UPGRADE.replace("/v1/ws", target), answer))
        .chain([
            row(
                "a target of the greatest length",
                long_rule,
                UPGRADE.replace("/v1/ws", &long(TARGET_BYTES_MAX)),
                OPENS,
            ),
            row(
                "a target one byte longer",
                long_rule,
                UPGRADE.replace("/v1/ws", &long(TARGET_BYTES_MAX + 1)),
                Status(414, "too long"),
            ),
            row(
                "a target without end",
                long_rule,
                format!("GET /{}", "x".repeat(1 << 20)),
                Status(414, "too long"),
            ),
        ])
        .collect()
}

const TARGETS: [(&str, &str, &str, Answer); 13] = [
    (
        "absolute form",
        "RFC 9112 §3.2.2: MUST accept",
        "http://somewhere.else/v1/ws",
        OPENS,
    ),
    (
        "absolute form of a WebSocket",
        "RFC 6455 §4.2.1",
        "ws://localhost:80/v1/ws",
        OPENS,
    ),
    (
        "absolute form with a user",
        "RFC 9110 §4.2.4",
        "http://me:pw@localhost/v1/ws",
        Status(400, "Host"),
    ),
    (
        "absolute form without a host",
        "RFC 9110 §4.2.1: MUST reject",
        "http:///v1/ws",
        Status(400, "Host"),
    ),
    (
        "another scheme",
        FORM,
        "ftp://localhost/v1/ws",
        Status(400, "neither a path nor a URL"),
    ),
    (
        "authority form",
        FORM,
        "localhost:80",
        Status(400, "neither a path nor a URL"),
    ),
    (
        "asterisk form",
        FORM,
        "*",
        Status(400, "neither a path nor a URL"),
    ),
    (
        "a fragment",
        "RFC 6455 §3: MUST NOT be used",
        "/v1/ws#here",
        Status(400, "forbidden byte"),
    ),
    (
        "a byte beyond ASCII",
        BYTE,
        "/v1/ws?\u{e9}",
        Status(400, "forbidden byte"),
    ),
    ("NUL", BYTE, "/v1/ws?\0", Status(400, "forbidden byte")),
    (
        "half an encoding",
        ENCODING,
        "/v1/ws?ch=%4",
        Status(400, "percent-encoding"),
    ),
    (
        "an encoding that is none",
        ENCODING,
        "/v1/ws?ch=%zz",
        Status(400, "percent-encoding"),
    ),
    (
        "an encoding of half a character",
        "RFC 3986 §2.5: UTF-8",
        "/v1/ws?ch=%c3",
        Status(400, "percent-encoding"),
    ),
];
const FORM: &str = "RFC 9112 §3.2: a server is asked in origin form, or in absolute form";
const BYTE: &str = "RFC 3986 §2: no target has such a byte";
const ENCODING: &str = "RFC 3986 §2.1: a percent-encoding has two hexadecimal digits";

fn hosts() -> Vec<Row> {
    let rule = "RFC 9112 §3.2: MUST be 400 without exactly one valid Host";
    [
        ("no Host", "", "Host is missing"),
        (
            "two Hosts",
            "Host: localhost\r\nHost: localhost\r\n",
            "more than once",
        ),
        ("an empty Host", "Host:\r\n", "Host is not"),
        ("a Host with a space", "Host: local host\r\n", "Host is not"),
        ("a Host with a path", "Host: localhost/v1\r\n", "Host is not"),
        ("a Host with a user", "Host: me@localhost\r\n", "Host is not"),
    ]
    .into_iter()
    .map(|(name, host, words)| {
        row(
            name,
            rule,
            UPGRADE.replace("Host: localhost\r\n", host),
            Status(400, words),
        )
    })
    .collect()
}

fn field_lines() -> Vec<Row> {
    let fold = "RFC 9112 §5.2: a server MUST reject obs-fold, or mend it; this one rejects";
    let colon = "RFC 9112 §5.1: MUST be 400 with white space between name and colon";
    let value = "RFC 9110 §5.5: CR, LF and NUL MUST be rejected or replaced; this server rejects";
    let end = "RFC 9112 §2.2: a bare LF MAY end a line; here it does not";
    let name = "RFC 9110 §5.1: a field name is a token";
    [
        ("a folded field", fold, "X: a\r\n b", "folded"),
        ("a field folded with a tab", fold, "X: a\r\n\tb", "folded"),
        (
            "a fold that hides a field",
            fold,
            "X: a\r\n Sec-WebSocket-Version: 13",
            "folded",
        ),
        ("a first field that is folded", fold, " X: a", "folded"),
        ("a space before the colon", colon, "X : a", "field name"),
        ("a tab before the colon", colon, "X\t: a", "field name"),
        ("a bare LF", end, "X: a\nY: b", "carriage return"),
        ("an empty line of a bare LF", end, "X: a\n", "carriage return"),
        ("a bare CR", value, "X: a\rY: b", "control character"),
        ("CR CR LF", value, "X: a\r", "control character"),
        ("NUL in a value", value, "X: a\0b", "control character"),
        (
            "a control character in a value",
            value,
            "X: \x1b[2J",
            "control character",
        ),
        ("DEL in a value", value, "X: \x7f", "control character"),
        ("NUL in a name", name, "X\0: a", "field name"),
        ("no colon", name, "X", "field name"),
        ("no name", name, ": a", "field name"),
        ("a name in brackets", name, "(X): a", "field name"),
        ("a name beyond ASCII", name, "\u{dc}: a", "field name"),
    ]
    .into_iter()
    .map(|(name, rule, line, words)| row(name, rule, plus_first(line), Status(400, words)))
    .collect()
}

fn sizes() -> Vec<Row> {
    let rule = "RFC 6585 §5: 431 beyond the limit";
    let own_fields = UPGRADE.lines().count() - 2;
    let fields = |count: usize| plus_first(&vec!["X: y"; count - own_fields].join("\r\n"));
    let head = |bytes: usize| {
        plus_first(&format!(
            "X: {}",
            "y".repeat(bytes - UPGRADE.len() - "X: \r\n".len())
        ))
    };
    vec![
        row("as many fields as may be", rule, fields(HEAD_FIELDS_MAX), OPENS),
        row(
            "one field more",
            rule,
            fields(HEAD_FIELDS_MAX + 1),
            Status(431, "too many fields"),
        ),
        row("a head of the greatest length", rule, head(HEAD_BYTES_MAX), OPENS),
        row(
            "a head one byte longer",
            rule,
            head(HEAD_BYTES_MAX + 1),
            Status(431, "head is too long"),
        ),
        row(
            "a field of a mebibyte",
            rule,
            head(1 << 20),
            Status(431, "head is too long"),
        ),
        row(
            "a field without end",
            rule,
            format!("{}X: {}", &UPGRADE[..UPGRADE.len() - 2], "y".repeat(1 << 20)),
            Status(431, "head is too long"),
        ),
    ]
}

/// Requests in which two readers could find two bodies, or two requests.
fn smuggling() -> Vec<Row> {
    let behind = |line: &str, more: &str| format!("{}{more}", plus(line));
    vec![
        row("a body", BODY, behind("Content-Length: 5", "hello"), REFUSED),
        row(
            "an empty body",
            "RFC 9110 §8.6: 0 is no body",
            plus("Content-Length: 0"),
            OPENS,
        ),
        row("a length with a sign", BODY, plus("Content-Length: +0"), REFUSED),
        row("a length with zeros", BODY, plus("Content-Length: 00"), REFUSED),
        row(
            "two lengths",
            BODY,
            plus("Content-Length: 0\r\nContent-Length: 44"),
            REFUSED,
        ),
        row("two lengths in one", BODY, plus("Content-Length: 0, 44"), REFUSED),
        row(
            "chunks",
            BODY,
            behind("Transfer-Encoding: chunked", "0\r\n\r\n"),
            REFUSED,
        ),
        row(
            "chunks that another reader may not see",
            BODY,
            behind("Transfer-Encoding: xchunked", "0\r\n\r\n"),
            REFUSED,
        ),
        row(
            "a length and chunks, and a request in the one body",
            "RFC 9112 §6.3: ought to be handled as an error",
            behind(
                "Content-Length: 4\r\nTransfer-Encoding: chunked",
                &format!("0\r\n\r\n{SECOND}"),
            ),
            REFUSED,
        ),
    ]
}

fn requests_behind() -> Vec<Row> {
    vec![
        row(
            "a request behind one that is refused",
            "RFC 9112 §9.6: after \"close\" nothing more is processed",
            format!("{}{SECOND}", UPGRADE.replace("Host: localhost\r\n", "")),
            Status(400, "Host is missing"),
        ),
        row(
            "a request behind one that is answered",
            "RFC 9112 §9.6: after \"close\" nothing more is processed",
            format!("{SECOND}{SECOND}"),
            Status(200, "ok\n"),
        ),
        row(
            "a body for the health check",
            BODY,
            format!("{}Content-Length: 1\r\n\r\nx", &SECOND[..SECOND.len() - 2]),
            REFUSED,
        ),
    ]
}

const BODY: &str = "RFC 9112 §11.2: what another reader could take for a request is not read behind another";
const SECOND: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
const REFUSED: Answer = Status(400, "a request with a body");

fn no_requests() -> Vec<Row> {
    let http = "RFC 9112 §3: a request line begins with a token";
    let frame_first = [&masked(FIN | PING, b"")[..], UPGRADE.as_bytes()].concat();
    let mut rows = vec![
        row(
            "a TLS greeting",
            http,
            *b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            Status(400, "request line"),
        ),
        row(
            "a frame before the handshake",
            http,
            frame_first,
            Status(400, "request line"),
        ),
        row(
            "an empty line first",
            "RFC 9112 §2.2: SHOULD be ignored by who serves several requests",
            format!("\r\n{UPGRADE}"),
            Status(400, "request line"),
        ),
        row(
            "nothing at all",
            "RFC 9112 §9.5: a client may close at any time",
            "",
            Silence,
        ),
        row(
            "half a request and no more",
            "RFC 9112 §8: an incomplete request is not answered",
            &UPGRADE[..40],
            Silence,
        ),
    ];
    let mut pieces = row(
        "a request byte by byte, with a frame behind it",
        "RFC 6455 §4.2.2: the server answers what it has received, however that was cut",
        "",
        OPENS,
    );
    pieces.sent = UPGRADE.bytes().map(|byte| vec![byte]).collect();
    rows.push(pieces);
    rows
}

/// A row that begins on a fresh connection.
pub(crate) fn row(
    name: impl Into<String>,
    rule: &'static str,
    sent: impl Into<Vec<u8>>,
    answer: Answer,
) -> Row {
    crate::row::row(name, rule, Opening::None, sent, answer)
}

/// The answer to the good request.
pub(crate) const OPENS: Answer = Opens(Line::Is("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));

/// The good request with another request line.
fn line_instead(line: &str) -> String {
    UPGRADE.replace("GET /v1/ws HTTP/1.1", line)
}

/// The good request with these lines behind its own.
pub(crate) fn plus(lines: &str) -> String {
    UPGRADE.replace("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"))
}

/// The good request with these lines before its own.
fn plus_first(lines: &str) -> String {
    UPGRADE.replacen("\r\n", &format!("\r\n{lines}\r\n"), 1)
}
