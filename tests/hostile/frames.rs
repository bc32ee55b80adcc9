//! Frames that break a rule, and frames at the very edge of one.

use tickwire::limits::{CONTROL_BYTES_MAX, MESSAGE_BYTES_MAX};

use crate::row::Answer::{Closes, Frames, Says, Silence};
use crate::row::{Answer, Opening, Row};
use crate::scene::raw::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, masked, text, unmasked};

/// What both services answer alike.
pub(crate) fn rows() -> Vec<Row> {
    [
        masks(),
        reserved_bits(),
        reserved_opcodes(),
        control_frames(),
        message_order(),
        closes(),
        close_bodies(),
        lengths(),
        text_that_is_none(),
        right_behind_the_handshake(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(crate) fn rows_of_the_feed() -> Vec<Row> {
    let mut longest = br#"{"op":"ping","id":1}"#.to_vec();
    longest.resize(MESSAGE_BYTES_MAX, b' ');
    let (first, second) = longest.split_at(9);
    let pong = r#"{"t":"pong","id":1"#;
    let cut = [masked(TEXT, first), masked(FIN | CONTINUATION, second)].concat();
    vec![
        row(
            "a binary message",
            "RFC 6455 §7.4.1: 1003",
            masked(FIN | BINARY, b"x"),
            Closes(1003, "commands are text messages"),
        ),
        row(
            "a message of the greatest length",
            LIMIT,
            masked(FIN | TEXT, &longest),
            Says(pong),
        ),
        row("the same in fragments", LIMIT, cut, Says(pong)),
        row(
            "an empty message",
            "RFC 6455 §5.6: a message may be empty; as a command it is no JSON",
            text(""),
            Says(r#"{"t":"error","code":4001"#),
        ),
    ]
}

/// What goes through, seen to come back as it went.
pub(crate) fn rows_of_the_echo() -> Vec<Row> {
    let longest = vec![b'x'; MESSAGE_BYTES_MAX];
    let (first, second) = longest.split_at(9);
    let cut = [
        masked(BINARY, first),
        masked(CONTINUATION, b""),
        masked(FIN | PING, b"amid"),
        masked(FIN | CONTINUATION, second),
    ];
    let mut rows = vec![
        row(
            "an empty message",
            "RFC 6455 §5.6",
            text(""),
            Frames(vec![(TEXT, Vec::new())]),
        ),
        row(
            "a message of the greatest length",
            LIMIT,
            masked(FIN | TEXT, &longest),
            Frames(vec![(TEXT, longest.clone())]),
        ),
        row(
            "the same in fragments, one of them empty, and a ping between them",
            "RFC 6455 §5.4",
            cut.concat(),
            Frames(vec![(PONG, b"amid".to_vec()), (BINARY, longest.clone())]),
        ),
        row(
            "a binary message that is no text",
            "RFC 6455 §5.6: binary data is anybody's",
            masked(FIN | BINARY, b"\xff\xfe\x00"),
            Frames(vec![(BINARY, b"\xff\xfe\x00".to_vec())]),
        ),
    ];
    let characters = "a\u{e9}\u{20ac}\u{10348}\u{10ffff}\0";
    for cut in 0..=characters.len() {
        let (first, second) = characters.as_bytes().split_at(cut);
        let sent = [masked(TEXT, first), masked(FIN | CONTINUATION, second)].concat();
        rows.push(row(
            format!("characters cut into two frames at byte {cut}"),
            "RFC 6455 §5.6: a fragment may end amid a character",
            sent,
            Frames(vec![(TEXT, characters.as_bytes().to_vec())]),
        ));
    }
    rows
}

fn masks() -> Vec<Row> {
    let rule = "RFC 6455 §5.1: a server MUST close on a frame that is not masked";
    let closes = Closes(1002, "client frame is not masked");
    let mut rows: Vec<Row> = [
        (TEXT, "text"),
        (BINARY, "binary"),
        (PING, "ping"),
        (PONG, "pong"),
        (CLOSE, "close"),
    ]
    .into_iter()
    .map(|(opcode, name)| {
        row(
            format!("an unmasked {name} frame"),
            rule,
            unmasked(FIN | opcode, b""),
            closes.clone(),
        )
    })
    .collect();
    rows.push(row(
        "an unmasked continuation",
        rule,
        [masked(TEXT, b"a"), unmasked(FIN | CONTINUATION, b"b")].concat(),
        closes,
    ));
    rows
}

fn reserved_bits() -> Vec<Row> {
    let rule = "RFC 6455 §5.2: reserved bits MUST be 0 unless an extension gives them a meaning";
    let closes = Closes(1002, "reserved bit is set");
    let opcodes = [
        (TEXT, "text"),
        (BINARY, "binary"),
        (PING, "ping"),
        (PONG, "pong"),
        (CLOSE, "close"),
    ];
    let mut rows = Vec::new();
    for bits in 1..8_u8 {
        for (opcode, name) in opcodes {
            let sent = masked(FIN | bits << 4 | opcode, b"");
            rows.push(row(
                format!("reserved bits {bits:03b} on a {name} frame"),
                rule,
                sent,
                closes.clone(),
            ));
        }
        let sent = [masked(TEXT, b"a"), masked(FIN | bits << 4, b"b")].concat();
        rows.push(row(
            format!("reserved bits {bits:03b} on a continuation"),
            rule,
            sent,
            closes.clone(),
        ));
    }
    rows
}

fn reserved_opcodes() -> Vec<Row> {
    let rule = "RFC 6455 §5.2: an unknown opcode MUST fail the connection";
    let mut rows = Vec::new();
    for opcode in (3..8).chain(11..16) {
        for (fin, name) in [(FIN, "final"), (0, "fragmented")] {
            rows.push(row(
                format!("opcode {opcode}, {name}"),
                rule,
                masked(fin | opcode, b""),
                Closes(1002, "opcode is reserved"),
            ));
        }
    }
    rows.push(row(
        "a reserved opcode amid a message",
        rule,
        [masked(TEXT, b"a"), masked(FIN | 3, b"b")].concat(),
        Closes(1002, "opcode is reserved"),
    ));
    rows
}

fn control_frames() -> Vec<Row> {
    let long = "RFC 6455 §5.5: a control frame MUST have at most 125 bytes";
    let cut = "RFC 6455 §5.5: a control frame MUST NOT be fragmented";
    let mut rows = Vec::new();
    for (opcode, name) in [(CLOSE, "close"), (PING, "ping"), (PONG, "pong")] {
        let too_long = Closes(1002, "control frame exceeds 125 bytes");
        for bytes in [126, 65_536] {
            let sent = masked(FIN | opcode, &vec![0; bytes]);
            rows.push(row(
                format!("a {name} of {bytes} bytes"),
                long,
                sent,
                too_long.clone(),
            ));
        }
        // What its first two bytes show is not waited for.
        rows.push(row(
            format!("the first two bytes of a long {name}"),
            long,
            [FIN | opcode, 0xfe],
            too_long,
        ));
        let fragmented = Closes(1002, "control frame is fragmented");
        rows.push(row(
            format!("a fragment of a {name}"),
            cut,
            masked(opcode, b""),
            fragmented,
        ));
    }
    let ping = vec![7; CONTROL_BYTES_MAX];
    rows.push(row(
        "a ping of 125 bytes",
        long,
        masked(FIN | PING, &ping),
        Frames(vec![(PONG, ping)]),
    ));
    rows.push(row(
        "a pong that nobody asked for",
        "RFC 6455 §5.5.3: no answer is expected",
        masked(FIN | PONG, b"x"),
        Frames(vec![]),
    ));
    rows
}

fn message_order() -> Vec<Row> {
    let interleaved = "RFC 6455 §5.4: fragments of one message MUST NOT be interleaved with another's";
    let alone = "RFC 6455 §5.4: a continuation continues a message";
    let mut rows = Vec::new();
    for (fin, name) in [(FIN, "final"), (0, "not final")] {
        for opcode in [TEXT, BINARY] {
            let sent = [masked(TEXT, b"a"), masked(fin | opcode, b"b")].concat();
            let closes = Closes(1002, "message begins inside another message");
            rows.push(row(
                format!("opcode {opcode}, {name}, amid a message"),
                interleaved,
                sent,
                closes,
            ));
        }
        let closes = Closes(1002, "continuation frame without a message");
        rows.push(row(
            format!("a continuation, {name}, first of all"),
            alone,
            masked(fin, b""),
            closes.clone(),
        ));
        let sent = [text(r#"{"op":"sing"}"#), masked(fin, b"")].concat();
        let mut late = row(
            format!("a continuation, {name}, behind a whole message"),
            alone,
            sent,
            closes,
        );
        late.sent.insert(0, masked(FIN | PONG, b""));
        rows.push(late);
    }
    rows
}

fn closes() -> Vec<Row> {
    let rule = "RFC 6455 §7.4: such a code MUST NOT be sent";
    let bad = [
        0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1017, 1100, 1999, 2000, 2500, 2999, 5000, 9999, 65_535,
    ];
    let mut rows: Vec<Row> = bad
        .into_iter()
        .map(|code: u16| {
            let sent = masked(FIN | CLOSE, &code.to_be_bytes());
            row(
                format!("close code {code}"),
                rule,
                sent,
                Closes(1002, "close code may not be sent"),
            )
        })
        .collect();
    for code in [
        1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999_u16,
    ] {
        let payload = [&code.to_be_bytes()[..], "why not?".as_bytes()].concat();
        rows.push(row(
            format!("close code {code}"),
            "RFC 6455 §5.5.1: a close frame is answered with one, its code echoed",
            masked(FIN | CLOSE, &payload),
            Closes(code, "why not?"),
        ));
    }
    rows
}

fn close_bodies() -> Vec<Row> {
    let longest = [&1000_u16.to_be_bytes()[..], LONGEST_REASON.as_bytes()].concat();
    vec![
        row(
            "a close frame of one byte",
            "RFC 6455 §5.5.1: a body begins with two bytes",
            masked(FIN | CLOSE, b"\x03"),
            Closes(1002, "close frame holds half a code"),
        ),
        row(
            "a reason that is not UTF-8",
            "RFC 6455 §5.5.1, §8.1",
            masked(FIN | CLOSE, b"\x03\xe8\xff"),
            Closes(1007, "close reason is not UTF-8"),
        ),
        row(
            "a reason cut amid a character",
            "RFC 6455 §5.5.1, §8.1",
            masked(FIN | CLOSE, b"\x03\xe8\xe2\x82"),
            Closes(1007, "close reason is not UTF-8"),
        ),
        row(
            "a bad code and a bad reason",
            "RFC 6455 §7.4: the code comes first",
            masked(FIN | CLOSE, b"\x03\xed\xff"),
            Closes(1002, "close code may not be sent"),
        ),
        row(
            "a reason of the greatest length",
            "RFC 6455 §5.5",
            masked(FIN | CLOSE, &longest),
            Closes(1000, LONGEST_REASON),
        ),
        row(
            "a frame behind a close frame",
            "RFC 6455 §5.5.1: nothing is sent after it, so nothing is read",
            [masked(FIN | CLOSE, b"\x03\xe8"), unmasked(FIN | 3, b"")].concat(),
            Closes(1000, ""),
        ),
        row(
            "a close amid a message",
            "RFC 6455 §5.4: control frames may stand amid fragments",
            [masked(TEXT, b"a"), masked(FIN | CLOSE, b"\x03\xe8")].concat(),
            Closes(1000, ""),
        ),
    ]
}

fn lengths() -> Vec<Row> {
    let least = "RFC 6455 §5.2: the least number of bytes MUST be used";
    let highest = "RFC 6455 §5.2: the most significant bit MUST be 0";
    let not_least = Closes(1002, "payload length is not in its shortest form");
    let too_high = Closes(1002, "payload length has its highest bit set");
    let too_big = Closes(1009, "message exceeds the limit");
    let in_16 = |length: u16| [&[FIN | TEXT, 0x80 | 126][..], &length.to_be_bytes(), &[0; 4]].concat();
    let in_64 = |first: u8, length: u64| [&[first, 0x80 | 127][..], &length.to_be_bytes(), &[0; 4]].concat();
    let mut rows = Vec::new();
    for length in [0, 1, 125] {
        rows.push(row(
            format!("{length} in 16 bits"),
            least,
            in_16(length),
            not_least.clone(),
        ));
    }
    for length in [0, 125, 126, 65_535] {
        rows.push(row(
            format!("{length} in 64 bits"),
            least,
            in_64(FIN | TEXT, length),
            not_least.clone(),
        ));
    }
    for (name, length) in [("2^63", 1 << 63), ("2^64 - 1", u64::MAX)] {
        rows.push(row(
            format!("a length of {name}"),
            highest,
            in_64(FIN | TEXT, length),
            too_high.clone(),
        ));
    }
    let limit = MESSAGE_BYTES_MAX as u64;
    for (name, length) in [
        ("2^63 - 1", (1 << 63) - 1),
        ("2^32", 1 << 32),
        ("the limit and one", limit + 1),
    ] {
        for (first, kind) in [
            (FIN | TEXT, "text"),
            (FIN | BINARY, "binary"),
            (TEXT, "a fragment"),
        ] {
            rows.push(row(
                format!("{name} bytes of {kind}"),
                LIMIT,
                in_64(first, length),
                too_big.clone(),
            ));
        }
    }
    let fragments = [
        masked(TEXT, &vec![b' '; MESSAGE_BYTES_MAX]),
        masked(FIN | CONTINUATION, b" "),
    ];
    rows.push(row(
        "one byte too many in the last fragment",
        LIMIT,
        fragments.concat(),
        too_big.clone(),
    ));
    let many = [masked(TEXT, b" "), masked(CONTINUATION, &[b' '; 1023]).repeat(65)];
    rows.push(row("fragments without end", LIMIT, many.concat(), too_big));
    rows
}

fn text_that_is_none() -> Vec<Row> {
    let rule = "RFC 6455 §8.1: text that is not UTF-8 MUST fail the connection";
    let closes = Closes(1007, "text message is not UTF-8");
    let bad: [(&str, &[u8]); 10] = [
        ("a byte that UTF-8 has not", b"\xff"),
        ("a lone continuation byte", b"\x80"),
        ("a character cut short", b"\xe2\x82"),
        ("a character cut short by another", b"\xe2\x82a"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong NUL in three bytes", b"\xe0\x80\x80"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("a character beyond the last", b"\xf4\x90\x80\x80"),
        ("a character of five bytes", b"\xf8\x88\x80\x80\x80"),
    ];
    let mut rows = Vec::new();
    for (name, bytes) in bad {
        let said = [b"so far so good ", bytes].concat();
        rows.push(row(name, rule, masked(FIN | TEXT, &said), closes.clone()));
        let (first, second) = said.split_at(said.len() - 1);
        let cut = [masked(TEXT, first), masked(FIN | CONTINUATION, second)].concat();
        rows.push(row(format!("{name}, in two frames"), rule, cut, closes.clone()));
    }
    // What is wrong already is not waited for: neither the rest of the frame nor the rest of the message comes.
    let early = "RFC 6455 §8.1; failing at the first bad byte is what the Autobahn|Testsuite calls fail-fast";
    let long = masked(FIN | TEXT, &[&b"good \xf4\x90"[..], &[b' '; 1000]].concat());
    rows.push(row(
        "the beginning of a bad frame",
        early,
        &long[..20],
        closes.clone(),
    ));
    rows.push(row(
        "a bad fragment",
        early,
        masked(TEXT, b"\xed\xa0\x80"),
        closes.clone(),
    ));
    let cut = [
        masked(TEXT, b"good"),
        masked(CONTINUATION, b"\xc3"),
        masked(CONTINUATION, b"("),
    ]
    .concat();
    rows.push(row(
        "a fragment that breaks the character before it",
        early,
        cut,
        closes,
    ));
    rows
}

/// What comes in the segment of the request, before its answer.
fn right_behind_the_handshake() -> Vec<Row> {
    let rule = "RFC 6455 §4.1: a stream knows no segments; what follows the request is frames";
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut rows = vec![
        row(
            "a ping",
            rule,
            masked(FIN | PING, b"early"),
            Frames(vec![(PONG, b"early".to_vec())]),
        ),
        row("nothing", rule, "", Frames(vec![])),
        row(
            "an unmasked frame",
            rule,
            unmasked(FIN | TEXT, b"{}"),
            Closes(1002, "client frame is not masked"),
        ),
        row(
            "another request",
            rule,
            request,
            Closes(1002, "client frame is not masked"),
        ),
        row(
            "a close",
            rule,
            masked(FIN | CLOSE, b"\x03\xe8"),
            Closes(1000, ""),
        ),
    ];
    let mut cut = row(
        "half a ping, and then its rest",
        rule,
        "",
        Frames(vec![(PONG, b"early".to_vec())]),
    );
    cut.sent = masked(FIN | PING, b"early")
        .chunks(3)
        .map(<[u8]>::to_vec)
        .collect();
    rows.push(cut);
    for row in &mut rows {
        row.name.insert_str(0, "right behind the handshake: ");
        row.opening = Opening::Together;
    }
    rows.push(row(
        "a frame cut by the end of the stream",
        "RFC 6455 §7.1.4: the connection is closed",
        &text("{}")[..4],
        Silence,
    ));
    rows
}

/// A row that begins on an open connection.
fn row(name: impl Into<String>, rule: &'static str, sent: impl Into<Vec<u8>>, answer: Answer) -> Row {
    crate::row::row(name, rule, Opening::Plain, sent, answer)
}

const LIMIT: &str = "RFC 6455 §10.4: a limit on frames and on messages put together; §7.4.1: 1009";
/// 123 bytes, the last of a character of two.
const LONGEST_REASON: &str = "................................................................................\
    .........................................\u{e9}";
