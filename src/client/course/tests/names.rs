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
