//! Messages of this server and of one that says more.

use proptest::prelude::*;

use super::*;
use crate::dialect::Code;
use crate::dialect::native_json::reply::{Ack, write_error};
use crate::dialect::native_json::{
    Classes, GapCause, Hello, HelloLimits, Pong, Resume, ResumeFault, Stamp, encode, write_gap,
    write_heartbeat, write_live, write_shutdown, write_warning,
};
use crate::market::{BookUpdate, BookUpdateKind, ChannelClass, ChannelName, Decimal, Quote, Side, Trade};

/// Hands what is read to `check`.
fn read(text: &str, check: impl FnOnce(ServerMessage<'_>)) {
    let mut levels = vec![
        Level {
            price: Decimal::ZERO,
            size: Decimal::ZERO
        };
        3
    ];
    check(ServerMessage::parse(text, &mut levels).unwrap());
}

fn read_written(write: impl FnOnce(&mut Vec<u8>), check: impl FnOnce(ServerMessage<'_>)) {
    let mut out = Vec::new();
    write(&mut out);
    read(str::from_utf8(&out).unwrap(), check);
}

fn other(t: &'static str) -> Other<'static> {
    Other {
        t: t.into(),
        ch: None,
        seq: None,
        pt_ns: None,
    }
}

#[test]
fn what_the_encoder_writes_is_read() {
    let level = |price| Level {
        price: Decimal::new(price, -1),
        size: Decimal::new(7, 0),
    };
    let (bids, asks) = ([level(1), level(2)], [level(3)]);
    let book = |kind| {
        Tick::Book(BookUpdate {
            kind,
            bids: &bids,
            asks: &asks,
        })
    };
    let price = Decimal::new(61_685_990, -3);
    let stamp = |channel, ts_ns| Stamp {
        channel,
        seq: 3,
        ts_ns,
        pt_ns: u64::MAX,
    };
    for (stamp, tick) in [
        (stamp("book:X", 1), book(BookUpdateKind::Snapshot)),
        (stamp("book:X", 1), book(BookUpdateKind::Delta)),
        (
            stamp("trade:X", 9),
            Tick::Trade(Trade {
                price,
                size: Decimal::new(1, 0),
                side: Side::Sell,
                id: "a1",
            }),
        ),
        (
            stamp("bbo:X", 9),
            Tick::Quote(Quote {
                bid_price: price,
                bid_size: price,
                ask_price: price,
                ask_size: Decimal::ZERO,
            }),
        ),
        (stamp("room:42", 0), Tick::Message(r#"{"t":"ack","seq":9}"#)),
    ] {
        read_written(
            |out| encode(out, &stamp, &tick),
            |message| assert_eq!(message, ServerMessage::Tick(stamp, tick)),
        );
    }
}

#[test]
fn an_acknowledgement_is_read() {
    let write = |out: &mut Vec<u8>| {
        let mut ack = Ack::new(out, Some(7));
        let name = ChannelName::parse("trade:X").unwrap();
        ack.resumed(
            name,
            ChannelClass::Append,
            5001,
            Resume::Gap(ResumeFault::Expired),
        );
        ack.subscribed_pattern("bbo:*", 3);
        ack.refused("x\"", Code::UnknownChannel, "no colon");
        ack.finish();
    };
    let granted = |ch: &'static str| Granted {
        ch: ch.into(),
        class: None,
        seq: None,
        resume: None,
        why: None,
        matches: None,
    };
    let expected = Answer {
        id: Some(7),
        ok: vec![
            Granted {
                class: Some("append".into()),
                seq: Some(5001),
                resume: Some("gap".into()),
                why: Some("expired".into()),
                ..granted("trade:X")
            },
            Granted {
                matches: Some(3),
                ..granted("bbo:*")
            },
        ],
        err: vec![Refused {
            ch: "x\"".into(),
            code: 4004,
            msg: "no colon".into(),
        }],
    };
    read_written(write, |message| assert_eq!(message, ServerMessage::Ack(expected)));
    let text = r#"{"t":"ack","id":11,"ch":"room:42","seq":17}"#;
    let published = Published {
        id: Some(11),
        ch: "room:42".into(),
        seq: 17,
    };
    read(text, |message| {
        assert_eq!(message, ServerMessage::Published(published));
    });
}

#[test]
fn a_greeting_is_read() {
    let limits = HelloLimits {
        subscriptions: 1,
        message_bytes: 2,
        requests_per_s: None,
    };
    let hello = Hello {
        connection: "c",
        epoch: "e",
        time_ns: 3,
        heartbeat_ms: Some(4),
        limits,
        classes: &Classes::default(),
    };
    read_written(
        |out| hello.write_to(out),
        |message| {
            let ServerMessage::Hello(greeting) = message else {
                panic!("{message:?}");
            };
            assert_eq!((&*greeting.connection, &*greeting.epoch), ("c", "e"));
            assert_eq!((greeting.time_ns, greeting.heartbeat_ms), (3, Some(4)));
            let Allowed {
                subscriptions,
                message_bytes,
                requests_per_s,
            } = greeting.limits;
            assert_eq!((subscriptions, message_bytes, requests_per_s), (1, 2, None));
        },
    );
}

#[test]
fn answers_and_notices_are_read() {
    let pong = Pong {
        id: Some(1),
        t0: Some("1.50"),
        t1_ns: 2,
        t2_ns: 3,
    };
    read_written(
        |out| pong.write_to(out),
        |message| {
            let seen = PongSeen {
                id: Some(1),
                t0: Some("1.50"),
                t1_ns: 2,
                t2_ns: 3,
            };
            assert_eq!(message, ServerMessage::Pong(seen));
        },
    );
    read_written(
        |out| write_error(out, None, Code::BadJson, "é"),
        |message| {
            let refused = RequestRefused {
                id: None,
                code: 4001,
                msg: "é".into(),
            };
            assert_eq!(message, ServerMessage::Error(refused));
        },
    );
    read_written(
        |out| write_gap(out, "a:b", 1, 2, GapCause::Slow),
        |message| {
            let gap = GapSeen {
                ch: "a:b".into(),
                from: 1,
                to: 2,
                why: "slow".into(),
            };
            assert_eq!(message, ServerMessage::Gap(gap));
        },
    );
}

#[test]
fn what_a_server_says_of_itself_is_read() {
    read_written(
        |out| write_live(out, "a:b", 5),
        |message| {
            assert_eq!(
                message,
                ServerMessage::Live(LiveSeen {
                    ch: "a:b".into(),
                    seq: 5
                })
            );
        },
    );
    read_written(
        |out| write_heartbeat(out, 7, [("a:b", 5)]),
        |message| {
            let last = BTreeMap::from([("a:b".to_owned(), 5)]);
            assert_eq!(
                message,
                ServerMessage::Heartbeat(HeartbeatSeen { time_ns: 7, last })
            );
        },
    );
    read_written(
        |out| write_warning(out, 750),
        |message| assert_eq!(message, ServerMessage::Warning(WarningSeen { behind_ms: 750 })),
    );
    read_written(
        |out| write_shutdown(out, 5),
        |message| {
            let ServerMessage::Shutdown(shutdown) = message else {
                panic!("{message:?}");
            };
            assert!(shutdown.in_ms == 5 && shutdown.retry_ms.0 < shutdown.retry_ms.1);
        },
    );
}

#[test]
fn what_is_not_known_is_tolerated() {
    for (text, expected) in [
        (r#"{"t":"new","seq":-1,"ch":null,"ok":{}}"#, other("new")),
        (
            r#"{"t":"trade","ch":"trade:X","seq":5,"pt":1,"px":"1","sz":"1","side":"up"}"#,
            Other {
                ch: Some("trade:X".into()),
                seq: Some(5),
                pt_ns: Some(1),
                ..other("trade")
            },
        ),
        (r#"{"t":"warn","code":"slow"}"#, other("warn")),
        (r#"{"t":"hello"}"#, other("hello")),
    ] {
        read(text, |message| {
            assert_eq!(message, ServerMessage::Other(expected));
        });
    }
    let text = r#"{"t":"ack","ok":[{"ch":"a:b","resume":"again","why":null,"x":1}],"y":[]}"#;
    read(text, |message| {
        let ServerMessage::Ack(answer) = message else {
            panic!("{message:?}");
        };
        assert_eq!(answer.ok.len(), 1);
    });
}

#[test]
fn what_is_no_message_is_refused() {
    for (text, words) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "expected a JSON object"),
        ("{}", "t: expected a string"),
        (r#"{"t":7}"#, "t: expected a string"),
    ] {
        let error = ServerMessage::parse(text, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), words);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), t in "[a-z]{0,6}") {
        let mut levels = Vec::new();
        prop_assert!(ServerMessage::parse(&text, &mut levels).is_err(), "random text is no object");
        let text = serde_json::json!({ "t": t, "ch": text, "ok": text, "msg": [text] }).to_string();
        let message = ServerMessage::parse(&text, &mut levels).unwrap();
        let ServerMessage::Other(other) = message else {
            panic!("{message:?}");
        };
        prop_assert!(*other.t == t && other.ch.is_some());
    }
}
