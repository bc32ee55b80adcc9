//! Replies, line by line, and as another parser reads them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::limits::{CHANNEL_NAME_BYTES_MAX, REPLY_BYTES_MAX, REQUEST_CHANNELS_MAX};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn hello_leaves_out_what_the_server_does_not_do() {
    let limits = HelloLimits {
        subscriptions: 1,
        message_bytes: 2,
        requests_per_s: None,
    };
    let hello = Hello {
        connection: "a\"b",
        epoch: "e",
        time_ns: u64::MAX,
        heartbeat_ms: None,
        limits,
        classes: &Classes::default(),
    };
    assert_eq!(
        written(|out| hello.write_to(out)),
        r#"{"t":"hello","v":1,"conn":"a\"b","epoch":"e","time":18446744073709551615,"limits":{"subs":1,"msg":2}}"#
    );
}

#[test]
fn an_acknowledgement_sorts_what_was_heard_from_what_was_not() {
    let text = written(|out| {
        let mut ack = Ack::new(out, Some(7));
        ack.subscribed(ChannelName::parse("bbo:A").unwrap(), ChannelClass::Replace, 0);
        ack.refused("x\n\"", Code::UnknownChannel, "no colon");
        ack.subscribed_pattern("trade:*", 12);
        ack.refused("a:b", Code::TooManySubscriptions, "");
        ack.named("book:A");
        ack.finish();
    });
    assert_eq!(
        text,
        concat!(
            r#"{"t":"ack","id":7,"ok":[{"ch":"bbo:A","class":"replace","seq":0},{"ch":"trade:*","match":12},"#,
            r#"{"ch":"book:A"}],"err":[{"ch":"x\n\"","code":4004,"msg":"no colon"},{"ch":"a:b","code":4005,"msg":""}]}"#
        )
    );
    let empty = written(|out| Ack::new(out, None).finish());
    assert_eq!(empty, r#"{"t":"ack","ok":[],"err":[]}"#);
}

#[test]
fn an_error_says_whom_it_answers_where_that_is_known() {
    let error = |id| written(|out| write_error(out, id, Code::BadJson, "it's \\ bad"));
    assert_eq!(
        error(Some(0)),
        r#"{"t":"error","id":0,"code":4001,"msg":"it's \\ bad"}"#
    );
    assert_eq!(error(None), r#"{"t":"error","code":4001,"msg":"it's \\ bad"}"#);
}

#[test]
fn a_pong_gives_the_time_back_digit_for_digit() {
    let pong = Pong {
        id: None,
        t0: Some("-1.50e+3"),
        t1_ns: 1,
        t2_ns: 2,
    };
    assert_eq!(
        written(|out| pong.write_to(out)),
        r#"{"t":"pong","t0":-1.50e+3,"t1":1,"t2":2}"#
    );
    let pong = Pong { t0: None, ..pong };
    assert_eq!(written(|out| pong.write_to(out)), r#"{"t":"pong","t1":1,"t2":2}"#);
}

#[test]
fn the_worst_acknowledgements_keep_within_their_bound() {
    let worst_name = "\u{1}".repeat(64 * 1024);
    let refused = written(|out| {
        let mut ack = Ack::new(out, Some(u64::MAX));
        (0..REQUEST_CHANNELS_MAX).for_each(|_| ack.refused(&worst_name, Code::Overloaded, &worst_name));
        ack.finish();
    });
    assert!(refused.len() <= REPLY_BYTES_MAX, "{}", refused.len());

    let longest = format!("k:{}", "x".repeat(CHANNEL_NAME_BYTES_MAX - 2));
    let name = ChannelName::parse(&longest).unwrap();
    let subscribed = written(|out| {
        let mut ack = Ack::new(out, Some(u64::MAX));
        (0..REQUEST_CHANNELS_MAX).for_each(|_| ack.subscribed(name, ChannelClass::Replace, u64::MAX));
        ack.finish();
    });
    assert!(subscribed.len() <= REPLY_BYTES_MAX, "{}", subscribed.len());
    assert_eq!(
        value(&subscribed)["ok"][0]["ch"],
        longest,
        "a good name is never cut"
    );
}

proptest! {
    #[test]
    fn whatever_a_peer_wrote_a_reply_is_valid_json(
        name in any::<String>(), message in "([\\x00-\\x7f]|\\PC){0,800}", id in any::<Option<u64>>(), seq in any::<u64>(),
    ) {
        let ack = value(&written(|out| {
            let mut ack = Ack::new(out, id);
            ack.refused(&name, Code::UnknownChannel, &message);
            ack.subscribed(ChannelName::parse("a:b").unwrap(), ChannelClass::Book, seq);
            ack.finish();
        }));
        prop_assert_eq!(&ack["id"], &id.map_or(Value::Null, Value::from));
        prop_assert_eq!(&ack["ok"], &json!([{ "ch": "a:b", "class": "book", "seq": seq }]));
        prop_assert_eq!(&ack["err"][0]["code"], 4004);
        let error = value(&written(|out| write_error(out, id, Code::BadRequest, &message)));
        let hello = value(&written(|out| {
            let limits = HelloLimits { subscriptions: 1, message_bytes: 2, requests_per_s: Some(3) };
            let hello = Hello { connection: &name, epoch: &name, time_ns: seq, heartbeat_ms: Some(1), limits, classes: &Classes::default() };
            hello.write_to(out);
        }));
        prop_assert_eq!((&hello["conn"], &hello["epoch"], &hello["time"]), (&json!(name), &json!(name), &json!(seq)));
        for (given, sent) in [(&name, &ack["err"][0]["ch"]), (&message, &ack["err"][0]["msg"]), (&message, &error["msg"])] {
            let sent = sent.as_str().unwrap();
            prop_assert!(sent == given || given.starts_with(sent.strip_suffix('…').unwrap()));
        }
    }
}
