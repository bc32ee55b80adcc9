//! Who a client says to be, and what it publishes meanwhile.

use super::*;

#[test]
fn nothing_is_published_before_the_server_has_taken_the_token() {
    let mut side = Side::new();
    side.course.authenticate("secret");
    let first = side.course.publish("room:42", "1", None).unwrap();
    side.connect("e");
    let auth = side.asked_one();
    assert_eq!(auth["op"], "auth");
    side.hear(&format!(r#"{{"t":"ack","id":{},"name":"desk"}}"#, auth["id"]));
    assert_eq!(side.asked_one()["id"], first);
    // It is said anew on each connection, and what was not answered waits for that as well.
    side.break_off();
    side.connect("e");
    assert_eq!(side.asked_one()["op"], "auth");
}

#[test]
fn a_refused_token_is_told_and_so_is_each_publication_that_was_to_go_out_under_its_name() {
    let mut side = Side::new();
    side.course.authenticate("secret");
    let before = [1, 2].map(|_| side.course.publish("room:42", "1", None).unwrap());
    let list = side.course.ask(Op::List).unwrap();
    side.connect("e");
    let auth = side.asked_one()["id"].as_u64().unwrap();
    let refused = |id| format!(r#"{{"t":"error","id":{id},"code":4007,"msg":"nobody has this token"}}"#);
    assert_eq!(side.hear(&refused(auth)), Heard::Answered { again: true });
    let after = side.course.publish("room:42", "1", None).unwrap();
    assert_eq!(side.course.unanswered(), 4);
    for id in [before[0], before[1], after] {
        assert!(side.course.has_nameless());
        let told = side.course.take_nameless().unwrap();
        assert_eq!(
            (told.id, told.code, &*told.msg),
            (Some(id), 4007, "nobody has this token")
        );
    }
    assert_eq!(side.course.take_nameless(), None);
    // All else goes on, and nothing that was refused comes back.
    assert_eq!(side.asked_one()["id"], list);
    side.answer(list, &[], &[]);
    assert_eq!(side.course.unanswered(), 0);
    // Another token, and another connection, are new chances.
    side.course.authenticate("another");
    let next = side.course.publish("room:42", "1", None).unwrap();
    let auth = side.asked_one();
    assert_eq!(
        (&auth["token"], side.course.has_nameless()),
        (&json!("another"), false)
    );
    side.hear(&format!(r#"{{"t":"ack","id":{},"name":"desk"}}"#, auth["id"]));
    assert_eq!(side.asked_one()["id"], next);
}

#[test]
fn of_what_was_sent_before_nobody_says_that_it_was_not_published() {
    let mut side = Side::new();
    side.course.authenticate("secret");
    side.connect("e");
    let auth = side.asked_one()["id"].clone();
    side.hear(&format!(r#"{{"t":"ack","id":{auth},"name":"desk"}}"#));
    let sent = side.course.publish("room:42", "1", None).unwrap();
    assert_eq!(side.asked_one()["id"], sent);
    side.break_off();
    let unsent = side.course.publish("room:42", "2", None).unwrap();
    side.connect("e");
    let auth = side.asked_one()["id"].clone();
    side.hear(&json!({"t": "error", "id": auth, "code": 4007, "msg": "no"}).to_string());
    let told: Vec<_> = std::iter::from_fn(|| side.course.take_nameless())
        .map(|told| (told.id.unwrap(), told.msg.into_owned()))
        .collect();
    let doubtful = "no; but it was sent on a connection that broke, and may have been published";
    assert_eq!(told, [(sent, doubtful.to_owned()), (unsent, "no".to_owned())]);
}

#[test]
fn of_two_tokens_the_later_one_counts() {
    let mut side = Side::new();
    side.connect("e");
    side.course.authenticate("a");
    side.course.authenticate("b");
    let auth = side.asked_one();
    assert_eq!(auth["token"], "b");
    side.hear(&format!(r#"{{"t":"ack","id":{},"name":"desk"}}"#, auth["id"]));
    let published = side.course.publish("room:42", "1", None).unwrap();
    assert_eq!(side.asked_one()["id"], published);
}

#[test]
fn publications_that_a_refused_token_refuses_are_bounded_as_all_requests_are() {
    let mut side = Side::new();
    side.course.authenticate("secret");
    side.connect("e");
    let auth = side.asked_one()["id"].clone();
    side.hear(&json!({"t": "error", "id": auth, "code": 4007, "msg": "no"}).to_string());
    let made = (0..).take_while(|_| side.course.publish("room:42", "1", None).is_ok());
    assert_eq!(made.count(), CLIENT_REQUESTS_MAX);
    side.course.take_nameless();
    assert!(side.course.publish("room:42", "1", None).is_ok());
}
