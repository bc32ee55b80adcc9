//! What is printed, told and counted for the messages of a server.

use std::ops::ControlFlow;

use clap::Parser;
use jiff::tz::TimeZone;
use tickwire::client::{Disconnected, Event, Received};
use tickwire::dialect::native_json::ServerMessage;
use tickwire::wire::CloseCode;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn args(words: &[&str]) -> Args {
    Line::try_parse_from([&["sub", "ws://h"], words].concat())
        .unwrap()
        .args
}

fn follower(words: &[&str], requests: usize) -> Follower<Vec<u8>> {
    Follower::new(&args(words), requests, TimeZone::UTC, Vec::new())
}

fn hear(follower: &mut Follower<impl Write>, text: &str) -> ControlFlow<()> {
    let mut levels = Vec::new();
    let event = ServerMessage::parse(text, &mut levels).unwrap().into();
    let bytes = text.len();
    follower.hear(&Received { event, text, bytes }, 5_000)
}

/// What the client says itself.
fn hear_own(follower: &mut Follower<impl Write>, event: Event<'_>) -> ControlFlow<()> {
    let received = Received {
        event,
        text: "",
        bytes: 0,
    };
    follower.hear(&received, 5_000)
}

const HELLO: &str = r#"{"t":"hello","v":1,"conn":"a","epoch":"e","time":1,"limits":{"subs":1,"msg":1}}"#;

fn trade(seq: u64) -> String {
    format!(r#"{{"t":"trade","ch":"trade:X","seq":{seq},"ts":1,"pt":2000,"px":"7","sz":"1","side":"sell"}}"#)
}

#[test]
fn ticks_are_printed_in_the_shape_that_was_asked_for() {
    for (words, printed) in [
        (
            &[][..],
            "00:00:00.000002 trade:X                 1  sell 7 x 1  3 µs\n".to_owned(),
        ),
        (&["--json"], format!("{}\n", trade(1))),
        (&["--quiet"], String::new()),
        (&["--quiet", "--json"], String::new()),
    ] {
        let mut out = Vec::new();
        let mut follower = Follower::new(&args(words), 1, TimeZone::UTC, &mut out);
        assert!(hear(&mut follower, HELLO).is_continue());
        assert!(hear(&mut follower, &trade(1)).is_continue());
        assert_eq!(String::from_utf8(out).unwrap(), printed);
    }
}

#[test]
fn json_with_line_breaks_is_printed_as_one_line_of_the_same_meaning() {
    let mut out = Vec::new();
    let mut follower = Follower::new(&args(&["--json"]), 1, TimeZone::UTC, &mut out);
    let text = "{\"t\":\"msg\",\r\n\"ch\":\"a:b\",\"seq\":1,\"pt\":1,\"data\":[\n1]}\n";
    assert!(hear(&mut follower, text).is_continue());
    let printed = String::from_utf8(out).unwrap();
    assert_eq!(printed.lines().count(), 1);
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&printed), value(text));
}

#[test]
fn the_tick_that_completes_the_count_is_the_last() {
    let mut follower = follower(&["--count", "2"], 1);
    assert!(hear(&mut follower, HELLO).is_continue());
    assert!(hear(&mut follower, &trade(1)).is_continue());
    assert!(follower.take_outcome().is_none());
    assert!(hear(&mut follower, &trade(2)).is_break());
    assert!(matches!(follower.take_outcome(), Some(Ok(()))));
}

#[test]
fn refusals_are_told_and_end_it_only_when_nothing_was_granted() {
    let refusal = r#"{"t":"ack","id":1,"ok":[],"err":[{"ch":"x","code":4004,"msg":"no colon"}]}"#;
    let words = ["x was refused: 4004 no colon"];

    let mut nothing = follower(&[], 1);
    assert!(hear(&mut nothing, refusal).is_break());
    assert_eq!(nothing.take_notices().collect::<Vec<_>>(), words);
    assert!(matches!(
        nothing.take_outcome(),
        Some(Err(SubError::NothingSubscribed))
    ));

    let granted = r#"{"t":"ack","ok":[{"ch":"trade:*","match":0}],"err":[]}"#;
    for answers in [[refusal, granted], [granted, refusal]] {
        let mut something = follower(&[], 2);
        for answer in answers {
            assert!(hear(&mut something, answer).is_continue());
        }
        assert_eq!(something.take_notices().collect::<Vec<_>>(), words);
    }

    let mut failed = follower(&[], 1);
    assert!(
        hear(
            &mut failed,
            r#"{"t":"error","id":1,"code":4006,"msg":"too fast"}"#
        )
        .is_break()
    );
    assert_eq!(
        failed.take_notices().collect::<Vec<_>>(),
        ["the server says: 4006 too fast"]
    );
}

#[test]
fn what_is_missing_is_told_and_counted() {
    let mut follower = follower(&[], 1);
    let granted = r#"{"t":"ack","id":1,"ok":[{"ch":"trade:X","class":"append","seq":4}],"err":[]}"#;
    assert!(hear(&mut follower, granted).is_continue());
    let gap = r#"{"t":"gap","ch":"trade:X","from":5,"to":6,"why":"slow"}"#;
    assert!(hear(&mut follower, gap).is_continue());
    assert!(hear(&mut follower, &trade(7)).is_continue());
    let missing = Event::Missing {
        channel: "trade:X".into(),
        from: 8,
        to: 8,
    };
    assert!(hear_own(&mut follower, missing).is_continue());
    assert_eq!(
        follower.take_notices().collect::<Vec<_>>(),
        [
            "trade:X: 5 to 6 will not come: they were not read in time",
            "trade:X: 8 to 8 did not come and nothing was said about it; connecting again to ask for them",
        ]
    );
    let summary = follower.summary(1_000_000_000);
    assert!(
        summary.contains("gaps 2 (trade:X: 3 missing in 2, first 5 to 6)"),
        "{summary}"
    );
    assert!(
        summary.contains("(ack 1, gap 1, trade 1)") && summary.contains("max 3 µs"),
        "{summary}"
    );
}

#[test]
fn what_the_server_announces_is_told() {
    let mut follower = follower(&[], 1);
    for (notice, words) in [
        (
            r#"{"t":"warn","code":"slow","behind_ms":750}"#,
            "the server says: this client is 750.00 ms behind, and is not sent everything until it has caught up",
        ),
        (
            r#"{"t":"shutdown","in_ms":5000,"retry_ms":[500,8000]}"#,
            "the server says: it shuts down in 5.00 s",
        ),
    ] {
        assert!(hear(&mut follower, notice).is_continue());
        assert_eq!(follower.take_notices().collect::<Vec<_>>(), [words]);
    }
    let heartbeat = r#"{"t":"hb","time":7,"last":{"trade:X":2}}"#;
    assert!(hear(&mut follower, heartbeat).is_continue());
    assert_eq!(follower.take_notices().count(), 0, "a heartbeat is no news");
}

#[test]
fn a_connection_that_breaks_is_told_and_ends_it_only_when_the_server_is_done() {
    let lost = || {
        Event::Disconnected(Disconnected {
            why: ClientError::Cut,
            retry_in: Duration::from_millis(300),
        })
    };
    let done = || {
        Event::Disconnected(Disconnected {
            why: ClientError::Closed {
                code: Some(CloseCode::NORMAL),
                reason: String::new(),
            },
            retry_in: Duration::from_millis(300),
        })
    };
    let mut open_ended = follower(&[], 1);
    assert!(hear_own(&mut open_ended, lost()).is_continue());
    let notices: Vec<_> = open_ended.take_notices().collect();
    assert!(notices[0].ends_with("trying again in 300.00 ms"), "{notices:?}");
    assert!(hear_own(&mut open_ended, done()).is_break());
    assert!(matches!(open_ended.take_outcome(), Some(Ok(()))));
    for words in [["--count", "5"], ["--for", "5"]] {
        let mut limited = follower(&words, 1);
        assert!(hear_own(&mut limited, done()).is_continue());
    }
}

#[test]
fn an_output_that_takes_no_more_ends_it() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut follower = Follower::new(&args(&[]), 1, TimeZone::UTC, Closed);
    assert!(hear(&mut follower, &trade(1)).is_break());
    let Some(Err(SubError::Output(error))) = follower.take_outcome() else {
        panic!("it goes on");
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn seconds_are_positive_and_bounded() {
    assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_seconds("3"), Ok(Duration::from_secs(3)));
    for text in ["", "x", "0", "-1", "inf", "NaN", "1e300", "99999999999"] {
        assert!(parse_seconds(text).is_err(), "{text}");
    }
}

#[test]
fn without_any_channel_nothing_is_tried() {
    assert!(matches!(run(&args(&[])), Err(SubError::NoChannel)));
}
