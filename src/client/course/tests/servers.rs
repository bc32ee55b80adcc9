//! What servers may say that is wrong, new or left out.

use super::*;
use crate::limits::CLIENT_RETRY_MS_TOLD_LEAST;

#[test]
fn a_second_greeting_of_a_connection_is_a_fault_of_the_servers_and_changes_nothing() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X"]);
    side.asked();
    side.answer(id, &[append("trade:X", 4)], &[]);
    assert_eq!(side.hear(&hello("f")), Heard::GreetedAgain);
    assert_eq!(side.course.places().unwrap().epoch, "e");
    assert_eq!(side.asked(), [json!(null); 0]);
    side.break_off();
    assert_eq!(side.connect("e"), Heard::Greeted(Continuation::Same));
}

#[test]
fn messages_of_types_that_are_not_known_are_left_alone_and_counted_where_they_are_of_a_channel() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X"]);
    side.asked();
    side.answer(id, &[append("trade:X", 4)], &[]);
    // Its number may be any.
    for text in [
        r#"{"t":"halt","ch":"trade:X","seq":99}"#,
        r#"{"t":"halt","ch":"trade:X","seq":1}"#,
        r#"{"t":"halt","ch":["trade:X"],"seq":"x","pt":1}"#,
        r#"{"t":"news"}"#,
    ] {
        assert_eq!(side.hear(text), Heard::Told, "{text}");
    }
    let cross = |seq: u64| format!(r#"{{"t":"cross","ch":"trade:X","seq":{seq},"pt":1,"px":"7"}}"#);
    assert_eq!(side.hear(&cross(5)), Heard::Told);
    assert_eq!(side.trade("trade:X", 6), Heard::Told);
    let hole = |from, to| Heard::Hole {
        channel: "trade:X".into(),
        from,
        to,
    };
    assert_eq!(
        side.hear(&cross(9)),
        hole(7, 8),
        "what is missing before it is told"
    );
    side.course.pass_unread();
    assert_eq!(side.trade("trade:X", 8), Heard::Unexplained { from: 7, to: 7 });
    assert_eq!(side.trade("trade:X", 8), Heard::Told);
}

#[test]
fn a_server_that_asks_to_be_connected_to_at_once_is_not() {
    let mut side = Side::new();
    for _ in 0..20 {
        side.connect("e");
        side.hear(r#"{"t":"shutdown","in_ms":0,"retry_ms":[0,0]}"#);
        assert_eq!(side.break_off(), CLIENT_RETRY_MS_TOLD_LEAST);
    }
}

#[test]
fn quotes_of_a_pattern_replace_each_other_where_the_server_does_not_say_that_they_do_not() {
    let mut side = Side::new();
    let quote = |name: &str, seq: u64| {
        format!(
            r#"{{"t":"bbo","ch":"{name}","seq":{seq},"ts":1,"pt":2,"bp":"1","bs":"1","ap":"2","as":"1"}}"#
        )
    };
    side.connect("e");
    let id = side.subscribe(&["bbo:*"]);
    side.asked();
    side.answer(id, &[json!({"ch": "bbo:*", "match": 2})], &[]);
    side.hear(&quote("bbo:Y", 7));
    assert_eq!(side.hear(&quote("bbo:Y", 9)), Heard::Told);
    side.break_off();
    // The next server's are of other classes.
    side.connect_to(&hello_with("f", &json!({"bbo:*": "append", "bbo:Y": "replace"})));
    for name in ["bbo:Y", "bbo:Z"] {
        side.hear(&quote(name, 1));
    }
    assert_eq!(side.hear(&quote("bbo:Y", 3)), Heard::Told);
    let hole = Heard::Hole {
        channel: "bbo:Z".into(),
        from: 2,
        to: 2,
    };
    assert_eq!(side.hear(&quote("bbo:Z", 3)), hole, "each of these counts");
}

#[test]
fn quotes_of_a_pattern_are_not_taken_to_replace_each_other_where_the_server_says_nothing() {
    let mut side = Side::new();
    let quote = |seq: u64| {
        format!(r#"{{"t":"bbo","ch":"bbo:Z","seq":{seq},"ts":1,"pt":2,"bp":"1","bs":"1","ap":"2","as":"1"}}"#)
    };
    side.connect_to(&hello_with("e", &json!(null)));
    let id = side.subscribe(&["bbo:*"]);
    side.asked();
    side.answer(id, &[json!({"ch": "bbo:*", "match": 1})], &[]);
    side.hear(&quote(7));
    assert_eq!(side.hear(&quote(9)), Heard::Unexplained { from: 8, to: 8 });
    assert_eq!(side.hear(&quote(9)), Heard::Told);
    side.break_off();
    side.connect_to(&hello_with("e", &json!(null)));
    assert_eq!(side.hear(&quote(12)), Heard::Away { from: 10, to: 11 });
    assert_eq!(side.hear(&quote(12)), Heard::Told);
    // The server's word for one of them is in force from there on.
    let id = side.subscribe(&["bbo:Z"]);
    side.asked();
    let class = |class: &str| json!({"ch": "bbo:Z", "class": class, "seq": 12});
    side.answer(id, &[class("replace")], &[]);
    assert_eq!(side.hear(&quote(20)), Heard::Told);
    side.answer(id, &[], &[]);
    let id = side.subscribe(&["bbo:Z"]);
    side.asked();
    side.answer(id, &[class("append")], &[]);
    assert!(matches!(
        side.hear(&quote(22)),
        Heard::Hole { from: 21, to: 21, .. }
    ));
}
