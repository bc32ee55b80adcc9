//! The course of a client against a server that is played by hand, and against one that is played by chance.

use serde_json::{Value, json};

use super::*;

mod names;
mod played;
mod servers;

/// A client, what it is told, and what it asks.
struct Side {
    course: Course,
    now_ms: u64,
}

impl Side {
    fn new() -> Self {
        Self {
            course: Course::new(1, "prefix"),
            now_ms: 5_000_000,
        }
    }

    fn connect(&mut self, epoch: &str) -> Heard {
        self.connect_to(&hello(epoch))
    }

    /// To a server that greets like this.
    fn connect_to(&mut self, hello: &str) -> Heard {
        self.course.opened(self.now_ms);
        self.hear(hello)
    }

    fn break_off(&mut self) -> u64 {
        self.course.lost(self.now_ms, None)
    }

    fn hear(&mut self, text: &str) -> Heard {
        let mut levels = Vec::new();
        let message = ServerMessage::parse(text, &mut levels).unwrap();
        self.course.received(self.now_ms);
        self.course.hear(&message, self.now_ms)
    }

    /// All requests that are due.
    fn asked(&mut self) -> Vec<Value> {
        let mut asked = Vec::new();
        while let Poll::Ready(text) = self.course.poll_request(self.now_ms) {
            asked.push(serde_json::from_str(&text).unwrap());
        }
        asked
    }

    /// The only request that is due.
    fn asked_one(&mut self) -> Value {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked[0].clone()
    }

    fn subscribe(&mut self, channels: &[&str]) -> u64 {
        let channels = channels.iter().map(|channel| (*channel).into());
        self.course.ask(Op::Subscribe(channels.collect())).unwrap()
    }

    fn answer(&mut self, id: u64, ok: &[Value], err: &[(&str, u16)]) -> Heard {
        let err: Vec<Value> = err
            .iter()
            .map(|(channel, code)| json!({"ch": channel, "code": code, "msg": "no"}))
            .collect();
        self.hear(&json!({"t": "ack", "id": id, "ok": ok, "err": err}).to_string())
    }

    fn trade(&mut self, channel: &str, seq: u64) -> Heard {
        self.hear(&trade(channel, seq))
    }
}

/// The same where all is said of classes that `classes` is.
fn hello_with(epoch: &str, classes: &Value) -> String {
    let mut hello: Value = serde_json::from_str(&hello(epoch)).unwrap();
    hello["classes"] = classes.clone();
    hello.to_string()
}

fn hello(epoch: &str) -> String {
    let limits = json!({"subs": 1024, "msg": 65536, "rate": 50});
    json!({"t": "hello", "v": 1, "conn": "c", "epoch": epoch, "time": 1, "hb": 1000, "limits": limits})
        .to_string()
}

fn trade(channel: &str, seq: u64) -> String {
    json!({
        "t": "trade", "ch": channel, "seq": seq, "ts": 1, "pt": 2, "px": "7", "sz": "1", "side": "buy",
    })
    .to_string()
}

fn append(channel: &str, seq: u64) -> Value {
    json!({"ch": channel, "class": "append", "seq": seq})
}

#[test]
fn nothing_is_asked_before_the_server_has_greeted_and_then_first_who_the_client_is() {
    let mut side = Side::new();
    side.subscribe(&["trade:X"]);
    side.course.authenticate("secret");
    assert_eq!(side.asked(), [json!(null); 0]);
    side.course.opened(side.now_ms);
    assert_eq!(side.asked(), [json!(null); 0]);
    assert_eq!(side.hear(&hello("e")), Heard::Greeted(Continuation::First));
    let asked = side.asked();
    assert_eq!(asked[0], json!({"op": "auth", "id": 2, "token": "secret"}));
    assert_eq!(asked[1], json!({"op": "sub", "id": 1, "ch": ["trade:X"]}));
    assert_eq!(
        side.hear(r#"{"t":"ack","id":2,"name":"desk"}"#),
        Heard::Answered { again: true }
    );
    // Another token goes out at once, and alone from then on.
    side.course.authenticate("another");
    assert_eq!(side.asked_one()["token"], "another");
    side.break_off();
    side.connect("e");
    assert_eq!(side.asked()[0]["token"], "another");
}

#[test]
fn who_comes_back_resumes_channels_from_the_last_message_that_was_handed_out_and_begins_patterns_anew() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["bbo:*", "trade:X", "trade:Y"]);
    side.asked();
    let pattern = json!({"ch": "bbo:*", "match": 1});
    let granted = [pattern, append("trade:X", 4), append("trade:Y", 9)];
    assert_eq!(side.answer(id, &granted, &[]), Heard::Answered { again: false });
    side.trade("trade:X", 5);
    side.hear(r#"{"t":"bbo","ch":"bbo:Z","seq":7,"ts":1,"pt":2,"bp":"1","bs":"1","ap":"2","as":"1"}"#);
    side.break_off();
    assert_eq!(side.connect("e"), Heard::Greeted(Continuation::Same));
    let asked = side.asked();
    let since = json!({"epoch": "e", "trade:X": 5, "trade:Y": 9});
    assert_eq!(
        asked,
        [
            json!({"op": "sub", "id": 2, "ch": ["trade:X", "trade:Y"], "since": since}),
            json!({"op": "sub", "id": 3, "ch": ["bbo:*"]}),
        ]
    );
    let mut granted = append("trade:X", 7);
    granted["resume"] = "replay".into();
    assert_eq!(side.answer(2, &[granted], &[]), Heard::Answered { again: true });
    assert_eq!(side.trade("trade:X", 6), Heard::Told);
    assert_eq!(side.trade("trade:X", 7), Heard::Told);
    assert_eq!(side.hear(r#"{"t":"live","ch":"trade:X","seq":7}"#), Heard::Told);
}

#[test]
fn another_epoch_is_told_and_makes_what_was_known_void() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X"]);
    side.asked();
    side.answer(id, &[append("trade:X", 4)], &[]);
    side.break_off();
    assert_eq!(side.connect("f"), Heard::Greeted(Continuation::Anew));
    // All of the new epoch is still to come.
    let since = json!({"epoch": "f", "trade:X": 0});
    assert_eq!(
        side.asked_one(),
        json!({"op": "sub", "id": 2, "ch": ["trade:X"], "since": since})
    );
    let mut granted = append("trade:X", 1);
    granted["resume"] = "replay".into();
    side.answer(2, &[granted], &[]);
    assert_eq!(side.trade("trade:X", 1), Heard::Told);
}

#[test]
fn places_of_another_process_are_where_the_first_subscription_goes_on() {
    let mut side = Side::new();
    let seqs = [("trade:X".to_owned(), 8)].into();
    side.course.since(Places {
        epoch: "e".to_owned(),
        seqs,
    });
    side.subscribe(&["trade:X", "trade:Y"]);
    assert_eq!(side.connect("e"), Heard::Greeted(Continuation::Same));
    assert_eq!(side.asked_one()["since"], json!({"epoch": "e", "trade:X": 8}));
}

#[test]
fn what_was_not_answered_when_the_connection_broke_is_asked_again_and_published_under_the_same_key() {
    let mut side = Side::new();
    side.connect("e");
    let first = side.course.publish("room:42", " 1 ", None).unwrap();
    side.course.publish("room:42", "2", Some("mine")).unwrap();
    let list = side.course.ask(Op::List).unwrap();
    let before = side.asked();
    assert_eq!(
        before[0],
        json!({"op": "pub", "id": first, "ch": "room:42", "key": "prefix-1", "data": 1})
    );
    assert_eq!(before[1]["key"], "mine");
    let ack = format!(r#"{{"t":"ack","id":{first},"ch":"room:42","seq":1}}"#);
    assert_eq!(side.hear(&ack), Heard::Answered { again: false });
    side.break_off();
    side.connect("e");
    assert_eq!(side.asked(), before[1..]);
    assert_eq!(side.course.unanswered(), 2);
    side.answer(list, &[], &[]);
    assert_eq!(side.course.unanswered(), 1);
}

#[test]
fn a_line_is_published_with_all_its_fields_as_they_are_written() {
    let mut side = Side::new();
    side.connect("e");
    let line = r#" {"ch":"trade:X", "t":"trade", "px":7.50, "sz":"1", "side":"buy"} "#;
    side.course.publish_line(line, None).unwrap();
    let Poll::Ready(text) = side.course.poll_request(side.now_ms) else {
        panic!("it is ready");
    };
    assert_eq!(
        text,
        r#"{"op":"pub","id":1,"key":"prefix-1","ch":"trade:X", "t":"trade", "px":7.50, "sz":"1", "side":"buy"}"#
    );
    for (line, words) in [("{}", "ch: missing"), ("[]", "expected a JSON object")] {
        let error = side.course.publish_line(line, None).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(matches!(
        side.course.publish("room", "1", None),
        Err(RequestError::Channel(_))
    ));
    assert!(matches!(
        side.course.publish("room:42", "{", None),
        Err(RequestError::NotJson(_))
    ));
}

#[test]
fn requests_that_no_server_would_take_are_not_made() {
    let mut side = Side::new();
    let many = vec!["a:b".into(); REQUEST_CHANNELS_MAX + 1];
    let error = side.course.ask(Op::Subscribe(many)).unwrap_err();
    assert!(matches!(error, RequestError::TooManyChannels { .. }), "{error}");
    let error = side
        .course
        .publish("a:b", &"7".repeat(MESSAGE_BYTES_MAX), None)
        .unwrap_err();
    assert!(matches!(error, RequestError::TooLong { .. }), "{error}");
    let made = (0..).take_while(|_| side.course.ask(Op::List).is_ok()).count();
    assert_eq!(made, side.course.unanswered());
    let error = side.course.ask(Op::List).unwrap_err();
    assert!(matches!(error, RequestError::TooManyUnanswered { .. }), "{error}");
}

#[test]
fn a_channel_that_is_not_there_when_the_client_comes_back_is_asked_for_until_it_is() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X", "trade:Y", "trade:Z", "trade:W"]);
    side.asked();
    let names = ["trade:X", "trade:Y", "trade:Z"];
    side.answer(id, &names.map(|name| append(name, 4)), &[("trade:W", 4004)]);
    side.break_off();
    side.connect("e");
    let id = side.asked_one()["id"].as_u64().unwrap();
    // Numbers that are ahead of the server's, a channel without a name yet, and one that is forbidden now.
    side.answer(
        id,
        &[],
        &[("trade:X", 4010), ("trade:Y", 4004), ("trade:Z", 4003)],
    );
    assert_eq!(side.course.deadline_ms(), side.now_ms + CLIENT_REFUSED_RETRY_MS);
    assert_eq!(side.asked(), [json!(null); 0]);
    side.now_ms += CLIENT_REFUSED_RETRY_MS;
    let again = side.asked();
    let asked = again.iter().find(|asked| asked["op"] == "sub").unwrap();
    assert_eq!(asked["ch"], json!(["trade:X", "trade:Y"]));
    assert_eq!(
        asked["since"],
        json!({"epoch": "e", "trade:Y": 4}),
        "X begins anew"
    );
    side.break_off();
    side.connect("e");
    assert_eq!(
        side.asked_one()["ch"],
        json!(["trade:X", "trade:Y"]),
        "Z is given up"
    );
}

#[test]
fn ended_subscriptions_are_not_begun_again() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X", "trade:*"]);
    side.asked();
    side.answer(
        id,
        &[append("trade:X", 4), json!({"ch": "trade:*", "match": 2})],
        &[],
    );
    side.trade("trade:Y", 7);
    let id = side.course.ask(Op::Unsubscribe(vec!["trade:*".into()])).unwrap();
    side.asked();
    side.answer(id, &[json!({"ch": "trade:*"})], &[]);
    // What is not known any more may begin anywhere.
    assert_eq!(side.trade("trade:Y", 70), Heard::Told);
    assert!(matches!(side.trade("trade:X", 70), Heard::Hole { .. }));
    side.break_off();
    side.connect("e");
    assert_eq!(side.asked_one()["ch"], json!(["trade:X"]));
}

#[test]
fn many_channels_come_back_in_requests_that_a_server_can_take() {
    let mut side = Side::new();
    side.connect("e");
    let names: Vec<String> = (0..1000)
        .map(|n| format!("trade:{}-{n:04}", "x".repeat(50)))
        .collect();
    for names in names.chunks(500) {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let id = side.subscribe(&names);
        side.now_ms += 2_000;
        side.asked();
        let granted: Vec<Value> = names.iter().map(|name| append(name, u64::MAX / 2)).collect();
        side.answer(id, &granted, &[]);
    }
    side.break_off();
    side.connect("e");
    let mut asked = Vec::new();
    for _ in 0..10 {
        while let Poll::Ready(text) = side.course.poll_request(side.now_ms) {
            assert!(text.len() <= MESSAGE_BYTES_MAX, "{}", text.len());
            let request: Value = serde_json::from_str(&text).unwrap();
            asked.extend(request["ch"].as_array().into_iter().flatten().cloned());
            side.course.received(side.now_ms);
        }
        side.now_ms += 500;
    }
    assert_eq!(asked.len(), names.len());
}

#[test]
fn requests_keep_to_the_rate_of_the_server_and_what_was_too_fast_all_the_same_is_asked_again() {
    let mut side = Side::new();
    side.connect("e");
    for _ in 0..60 {
        side.course.ask(Op::List).unwrap();
    }
    let first = side.asked().len();
    assert!((40..=50).contains(&first), "{first}");
    let Poll::At(later) = side.course.poll_request(side.now_ms) else {
        panic!("there are others");
    };
    assert!(later > side.now_ms && later <= side.now_ms + 1_100);
    side.now_ms += 1_100;
    assert_eq!(side.asked().len(), 60 - first);
    let refused = |id| format!(r#"{{"t":"error","id":{id},"code":4006,"msg":"too fast"}}"#);
    assert_eq!(side.hear(&refused(60)), Heard::Postponed);
    assert_eq!(
        side.course.poll_request(side.now_ms),
        Poll::At(side.now_ms + 1_000)
    );
    side.now_ms += 1_000;
    assert_eq!(side.asked_one()["id"], 60);
}

#[test]
fn publications_do_not_count_towards_the_rate() {
    let mut side = Side::new();
    side.connect("e");
    for _ in 0..500 {
        side.course.publish("room:42", "1", None).unwrap();
    }
    assert_eq!(side.asked().len(), 500);
}

#[test]
fn a_server_that_goes_is_not_asked_any_more_what_the_next_one_can_do() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.course.publish("room:42", "1", None).unwrap();
    let other = side.course.publish("room:42", "2", None).unwrap();
    side.asked();
    let refused = |id| format!(r#"{{"t":"error","id":{id},"code":4503,"msg":"overloaded"}}"#);
    assert_eq!(side.hear(&refused(id)), Heard::Answered { again: false });
    side.hear(r#"{"t":"shutdown","in_ms":5000,"retry_ms":[500,8000]}"#);
    assert_eq!(side.hear(&refused(other)), Heard::Postponed);
    let wait_ms = side.break_off();
    assert!((500..=8_000).contains(&wait_ms), "{wait_ms}");
    side.connect("e");
    assert_eq!(side.asked_one()["id"], other);
}

#[test]
fn waits_grow_with_failures_and_are_short_again_after_a_connection_that_held() {
    let mut side = Side::new();
    let longest = (0..12).map(|_| side.break_off()).max().unwrap();
    assert!(longest > 2_000, "{longest}");
    side.connect("e");
    side.now_ms += CLIENT_STEADY_MS - 1;
    let wait_ms = (0..50)
        .map(|_| side.course.clone_wait(side.now_ms))
        .max()
        .unwrap();
    assert!(
        wait_ms > 2_000,
        "a connection that broke at once is a failure: {wait_ms}"
    );
    side.connect("e");
    side.now_ms += CLIENT_STEADY_MS;
    assert!(side.break_off() <= 500);
    let wait_ms = side.course.lost(side.now_ms, Some(7));
    assert!((7_000..=8_000).contains(&wait_ms), "{wait_ms}");
}

impl Course {
    /// What a loss would come to, were it to happen now.
    fn clone_wait(&mut self, now_ms: u64) -> u64 {
        let phase = self.phase;
        let wait_ms = self.lost(now_ms, None);
        self.phase = phase;
        wait_ms
    }
}

#[test]
fn a_silent_server_is_asked_for_a_sign_of_life_and_taken_for_dead_without_one() {
    let mut side = Side::new();
    side.connect("e");
    let begin = side.now_ms;
    assert_eq!(side.course.deadline_ms(), begin + 2_000);
    side.now_ms = begin + 2_000;
    assert_eq!(side.asked_one()["op"], "ping");
    assert_eq!(side.course.deadline_ms(), begin + 3_000);
    side.now_ms = begin + 3_000;
    assert!(
        !side.course.is_dead(side.now_ms),
        "messages may be there that nobody has looked for"
    );
    assert_eq!(side.course.deadline_ms(), begin + 3_000 + CLIENT_DOUBT_MS);
    side.now_ms += CLIENT_DOUBT_MS;
    assert!(side.course.is_dead(side.now_ms));
    // Any message will do.
    side.hear(r#"{"t":"pong","id":1,"t1":1,"t2":1}"#);
    assert!(!side.course.is_dead(side.now_ms));
    assert_eq!(side.course.deadline_ms(), side.now_ms + 2_000);
    // Who comes back after an hour looks first.
    side.now_ms += 3_600_000;
    assert!(!side.course.is_dead(side.now_ms));
    side.now_ms += 3_600_000;
    assert!(!side.course.is_dead(side.now_ms));
}

#[test]
fn a_server_that_does_not_greet_is_taken_for_dead() {
    let mut side = Side::new();
    side.course.opened(side.now_ms);
    side.now_ms = side.course.deadline_ms();
    assert!(!side.course.is_dead(side.now_ms));
    side.now_ms = side.course.deadline_ms();
    assert!(side.course.is_dead(side.now_ms));
}

#[test]
fn a_heartbeat_shows_what_did_not_come() {
    let mut side = Side::new();
    side.connect("e");
    let id = side.subscribe(&["trade:X"]);
    side.asked();
    side.answer(id, &[append("trade:X", 4)], &[]);
    side.trade("trade:X", 5);
    assert_eq!(
        side.hear(r#"{"t":"hb","time":7,"last":{"trade:X":5,"room:42":0}}"#),
        Heard::Told
    );
    let hole = Heard::Hole {
        channel: "trade:X".into(),
        from: 6,
        to: 8,
    };
    assert_eq!(
        side.hear(r#"{"t":"hb","time":7,"last":{"room:42":0,"trade:X":8}}"#),
        hole
    );
}

#[test]
fn a_tick_in_a_form_that_is_not_known_counts_as_one_that_came() {
    let mut side = Side::new();
    side.connect("e");
    side.trade("trade:X", 5);
    assert_eq!(
        side.hear(r#"{"t":"trade","ch":"trade:X","seq":6,"pt":1,"px":{}}"#),
        Heard::Told
    );
    assert_eq!(side.trade("trade:X", 7), Heard::Told);
}
