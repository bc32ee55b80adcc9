//! Messages of this server and of one that says more.

use proptest::prelude::*;

use super::*;
use crate::dialect::Code;
use crate::dialect::native_json::reply::{Ack, write_error};
use crate::dialect::native_json::{Stamp, encode};
use crate::market::{ChannelClass, ChannelName, Tick};

fn nothing(t: &str) -> ServerMessage<'_> {
    ServerMessage {
        t: t.into(),
        id: None,
        ch: None,
        seq: None,
        ts_ns: None,
        pt_ns: None,
        k: None,
        code: None,
        msg: None,
        ok: Vec::new(),
        err: Vec::new(),
    }
}

#[test]
fn a_tick_is_read() {
    let text = r#"{"t":"book","ch":"book:X","k":"snap","seq":7,"ts":1,"pt":2,"b":[],"a":[["1","2"]]}"#;
    let expected = ServerMessage {
        ch: Some("book:X".into()),
        k: Some("snap".into()),
        seq: Some(7),
        ts_ns: Some(1),
        pt_ns: Some(2),
        ..nothing("book")
    };
    let message = ServerMessage::parse(text).unwrap();
    assert_eq!(message, expected);
    assert!(matches!(message.ch, Some(Cow::Borrowed(_))));
}

#[test]
fn what_the_encoder_writes_is_read() {
    let mut out = Vec::new();
    let stamp = Stamp {
        channel: "room:42",
        seq: 3,
        ts_ns: 4,
        pt_ns: 5,
    };
    encode(&mut out, &stamp, &Tick::Message(r#"{"t":"ack","seq":9}"#));
    let message = ServerMessage::parse(str::from_utf8(&out).unwrap()).unwrap();
    let expected = ServerMessage {
        ch: Some("room:42".into()),
        seq: Some(3),
        pt_ns: Some(5),
        ..nothing("msg")
    };
    assert_eq!(message, expected);
}

#[test]
fn an_acknowledgement_is_read() {
    let mut out = Vec::new();
    let mut ack = Ack::new(&mut out, Some(7));
    ack.subscribed(ChannelName::parse("trade:X").unwrap(), ChannelClass::Append, 5001);
    ack.subscribed_pattern("bbo:*", 3);
    ack.refused("x\"", Code::UnknownChannel, "no colon");
    ack.finish();
    let message = ServerMessage::parse(str::from_utf8(&out).unwrap()).unwrap();
    let granted = |ch: &'static str| Granted {
        ch: ch.into(),
        class: None,
        seq: None,
        matches: None,
    };
    let expected = ServerMessage {
        id: Some(7),
        ok: vec![
            Granted {
                class: Some("append".into()),
                seq: Some(5001),
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
        ..nothing("ack")
    };
    assert_eq!(message, expected);
}

#[test]
fn an_error_is_read() {
    let mut out = Vec::new();
    write_error(&mut out, None, Code::BadJson, "é");
    let message = ServerMessage::parse(str::from_utf8(&out).unwrap()).unwrap();
    assert_eq!(
        message,
        ServerMessage {
            code: Some(4001),
            msg: Some("é".into()),
            ..nothing("error")
        }
    );
}

#[test]
fn what_is_not_known_is_tolerated() {
    let text = r#"{"t":"warn","code":"slow","behind_ms":5,"seq":-1,"ch":null,"ok":{},"err":[1],"ts":1.5}"#;
    assert_eq!(ServerMessage::parse(text).unwrap(), nothing("warn"));
    let text = r#"{"t":"ack","ok":[{"ch":"a:b","resume":"replay","why":null}]}"#;
    assert_eq!(ServerMessage::parse(text).unwrap().ok.len(), 1);
}

#[test]
fn what_is_no_message_is_refused() {
    for (text, words) in [
        ("", "EOF while parsing a value at line 1 column 0"),
        ("[]", "expected a JSON object"),
        ("{}", "t: expected a string"),
        (r#"{"t":7}"#, "t: expected a string"),
    ] {
        assert_eq!(ServerMessage::parse(text).unwrap_err().to_string(), words);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), t in "[a-z]{0,6}") {
        prop_assert_eq!(ServerMessage::parse(&text).is_ok(), false, "random text is no object");
        let text = serde_json::json!({ "t": t, "ch": text, "ok": text, "msg": [text] }).to_string();
        let message = ServerMessage::parse(&text).unwrap();
        prop_assert_eq!(&*message.t, t.as_str());
        prop_assert!(message.ch.is_some() && message.msg.is_none() && message.ok.is_empty());
    }
}
