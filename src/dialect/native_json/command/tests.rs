//! Requests as clients write them, well and badly.

use proptest::prelude::*;

use super::*;

fn names(names: &[&'static str]) -> Vec<Cow<'static, str>> {
    names.iter().map(|name| Cow::Borrowed(*name)).collect()
}

fn refusal(text: &str) -> (u16, Option<u64>, String) {
    let error = Command::parse(text).unwrap_err();
    (error.code.value(), error.id, error.message)
}

#[test]
fn each_request_of_the_protocol_is_read() {
    for (text, command) in [
        (
            r#"{"op":"sub","id":7,"ch":["trade:BTC-USD","book:*"],"since":{"epoch":"e","trade:BTC-USD":4800}}"#,
            Command::Subscribe {
                id: Some(7),
                channels: names(&["trade:BTC-USD", "book:*"]),
                since: Some(Since {
                    epoch: "e".into(),
                    seqs: HashMap::from([("trade:BTC-USD".into(), 4800)]),
                }),
            },
        ),
        (
            r#"{"op":"sub","ch":"*"}"#,
            Command::Subscribe {
                id: None,
                channels: names(&["*"]),
                since: None,
            },
        ),
        (
            r#" {"ch" : [ "a:b" ] , "id" : 8, "op":"unsub" } "#,
            Command::Unsubscribe {
                id: Some(8),
                channels: names(&["a:b"]),
            },
        ),
        (
            r#"{"op":"sub","ch":[],"id":null}"#,
            Command::Subscribe {
                id: None,
                channels: vec![],
                since: None,
            },
        ),
        (
            r#"{"op":"list","id":18446744073709551615}"#,
            Command::List { id: Some(u64::MAX) },
        ),
        (
            r#"{"op":"ping","id":12,"t0":-1.50e3}"#,
            Command::Ping {
                id: Some(12),
                t0: Some("-1.50e3"),
            },
        ),
        (r#"{"op":"ping"}"#, Command::Ping { id: None, t0: None }),
        (
            r#"{"op":"ping","id":null,"t0":null}"#,
            Command::Ping { id: None, t0: None },
        ),
        // What no name may have is for the reply to say: here it is a string like any other.
        (
            r#"{"op":"sub","ch":["a\u003ab","\"",""]}"#,
            Command::Subscribe {
                id: None,
                channels: names(&["a:b", "\"", ""]),
                since: None,
            },
        ),
        // Unknown fields may be anything at all.
        (
            r#"{"op":"list","x":1e999,"y":{"op":"sub","id":1},"z":"\ud800"}"#,
            Command::List { id: None },
        ),
    ] {
        assert_eq!(Command::parse(text).as_ref(), Ok(&command), "{text}");
    }
    assert_eq!(Command::parse(r#"{"op":"ping","id":12}"#).unwrap().id(), Some(12));
}

/// A request that is refused, the code and `id` of the refusal, and its words.
type Refusal<'a> = (&'a str, u16, Option<u64>, &'a str);

fn assert_refused(cases: &[Refusal<'_>]) {
    for (text, code, id, words) in cases {
        assert_eq!(refusal(text), (*code, *id, (*words).to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_object_is_bad_json_or_a_bad_request() {
    assert_refused(&[
        ("", 4001, None, "EOF while parsing a value at line 1 column 0"),
        ("hello", 4001, None, "expected value at line 1 column 1"),
        (
            r#"{"op":"sub","id":7,"#,
            4001,
            None,
            "EOF while parsing a value at line 1 column 19",
        ),
        (
            r#"{"op":"list"} x"#,
            4001,
            None,
            "trailing characters at line 1 column 15",
        ),
        (
            r#"{"op":"list","x":01}"#,
            4001,
            None,
            "invalid number at line 1 column 19",
        ),
        (r#"[1,"sub"]"#, 4000, None, "expected a JSON object"),
        (r#""sub""#, 4000, None, "expected a JSON object"),
        ("7", 4000, None, "expected a JSON object"),
    ]);
}

#[test]
fn a_field_at_fault_is_named_and_the_id_given_back() {
    let long_time = format!(r#"{{"op":"ping","id":1,"t0":{}}}"#, "1".repeat(65));
    assert_refused(&[
        ("{}", 4000, None, "op: missing"),
        (
            r#"{"id":7,"op":null}"#,
            4000,
            Some(7),
            "op: expected a string, found null",
        ),
        (
            r#"{"op":"\ud800","id":7}"#,
            4000,
            Some(7),
            r#"op: expected a string, found "\ud800""#,
        ),
        (r#"{"op":"sub","id":7}"#, 4000, Some(7), "ch: missing"),
        (
            r#"{"op":"sub","id":7,"ch":{}}"#,
            4000,
            Some(7),
            "ch: expected an array of strings, found {}",
        ),
        (
            r#"{"op":"unsub","id":7,"ch":["a:b",null]}"#,
            4000,
            Some(7),
            "ch[1]: expected a string, found null",
        ),
        (
            r#"{"op":"sub","id":7,"ch":["a",[["c"]],5]}"#,
            4000,
            Some(7),
            r#"ch[1]: expected a string, found [["c"]]"#,
        ),
        (
            r#"{"op":"list","id":7,"op":"sub"}"#,
            4000,
            Some(7),
            "op: given twice",
        ),
        (r#"{"op":"list","id":7,"id":8}"#, 4000, Some(7), "id: given twice"),
        (
            r#"{"op":"ping","id":7,"t0":"x"}"#,
            4000,
            Some(7),
            r#"t0: expected a number, found "x""#,
        ),
        (
            &long_time,
            4000,
            Some(1),
            "t0: a number of 65 bytes, at most 64 are given back",
        ),
    ]);
}

#[test]
fn an_id_is_an_unsigned_integer_of_64_bits() {
    for id in [
        "-1",
        "-0",
        "1.0",
        "1e3",
        "\"7\"",
        "true",
        "[7]",
        "18446744073709551616",
    ] {
        let words = format!("id: expected an unsigned integer of 64 bits, found {id}");
        assert_eq!(
            refusal(&format!(r#"{{"op":"list","id":{id}}}"#)),
            (4000, None, words)
        );
    }
}

#[test]
fn a_snap_is_read() {
    let command = Command::Snap {
        id: Some(10),
        channels: names(&["book:BTC-USD"]),
    };
    assert_eq!(
        Command::parse(r#"{"op":"snap","id":10,"ch":["book:BTC-USD"]}"#),
        Ok(command)
    );
}

#[test]
fn an_op_that_is_not_served_is_named() {
    let long_op = format!(r#"{{"op":"{}"}}"#, "é".repeat(60_000));
    let long_words = format!(
        "op: \"{}…\" is not known; this server serves sub, unsub, snap, list, ping, pub and auth",
        "é".repeat(40)
    );
    assert_refused(&[
        (
            r#"{"op":"Sub","id":7}"#,
            4002,
            Some(7),
            r#"op: "Sub" is not known; this server serves sub, unsub, snap, list, ping, pub and auth"#,
        ),
        (&long_op, 4002, None, &long_words),
    ]);
    let error = Command::parse(r#"{"op":"sing"}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("4002 unknown op: op: \"sing\" is not known")
    );
}

#[test]
fn what_is_published_is_in_the_request_and_a_key_or_token_is_a_string() {
    let text = r#"{"op":"pub","id":1,"ch":"room:1","data":{"a":[1]},"key":"k"}"#;
    let expected = Command::Publish {
        id: Some(1),
        channel: "room:1".into(),
        key: Some("k".into()),
        text,
    };
    assert_eq!(Command::parse(text), Ok(expected));
    let keyless = Command::parse(r#"{"op":"pub","ch":"x","key":null}"#).unwrap();
    assert!(matches!(&keyless, Command::Publish { channel, key: None, .. } if channel == "x"));
    let long = format!(r#"{{"op":"pub","ch":"x","key":"{}"}}"#, "k".repeat(65));
    assert_refused(&[
        (r#"{"op":"pub","id":2}"#, 4000, Some(2), "ch: missing"),
        (
            r#"{"op":"pub","ch":["a:b"]}"#,
            4000,
            None,
            r#"ch: expected a string, found ["a:b"]"#,
        ),
        (
            r#"{"op":"pub","ch":"x","key":7}"#,
            4000,
            None,
            "key: expected a string, found 7",
        ),
        (
            r#"{"op":"pub","ch":"x","key":""}"#,
            4000,
            None,
            "key: 0 bytes, from 1 to 64 are allowed",
        ),
        (&long, 4000, None, "key: 65 bytes, from 1 to 64 are allowed"),
        (
            r#"{"op":"auth","token":7}"#,
            4000,
            None,
            "token: expected a string",
        ),
    ]);
}

#[test]
fn more_channels_than_one_request_may_name_are_refused() {
    let request = |count: usize| {
        format!(
            r#"{{"op":"sub","id":1,"ch":[{}]}}"#,
            vec![r#""a:b""#; count].join(",")
        )
    };
    let text = request(REQUEST_CHANNELS_MAX);
    let Command::Subscribe { channels, .. } = Command::parse(&text).unwrap() else {
        panic!("no subscription")
    };
    assert_eq!(channels.len(), REQUEST_CHANNELS_MAX);
    let words = "ch: more than 1024 channels".to_owned();
    assert_eq!(
        refusal(&request(REQUEST_CHANNELS_MAX + 1)),
        (4000, Some(1), words)
    );
}

#[test]
fn deep_nesting_is_skipped_over_or_refused() {
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(
        Command::parse(&format!(r#"{{"op":"list","x":{deep}}}"#)),
        Ok(Command::List { id: None })
    );
    assert_eq!(refusal(&deep).0, 4000);
    let (code, id, words) = refusal(&format!(r#"{{"op":"sub","id":1,"ch":[{deep}]}}"#));
    assert_eq!((code, id), (4000, Some(1)));
    assert_eq!(
        words,
        format!("ch[0]: expected a string, found {}…", "[".repeat(40))
    );
}

#[test]
fn names_without_escapes_are_borrowed() {
    let Command::Subscribe { channels, .. } = Command::parse(r#"{"op":"sub","ch":["a:b","c:d"]}"#).unwrap()
    else {
        panic!("not a subscription");
    };
    assert!(channels.iter().all(|channel| matches!(channel, Cow::Borrowed(_))));
}

/// Pieces of requests, which make sense in some orders.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"op\"",
        "\"id\"",
        "\"ch\"",
        "\"t0\"",
        "\"sub\"",
        "\"ping\"",
        "7",
        "-1",
        "1e9",
        "null",
        "true",
        "\"a:b\"",
        "\"\\u0000\"",
        "\"",
        "\\",
        " ",
        "é",
        "\u{0}",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_answered_as_an_independent_reader_expects(text in prop_oneof![any_text(), any::<String>()]) {
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        match (Command::parse(&text), value) {
            (Ok(_), value) => prop_assert!(value.is_ok_and(|value| value["op"].is_string())),
            (Err(error), value) => {
                prop_assert!(!error.message.is_empty());
                if error.code == Code::BadJson {
                    prop_assert!(value.is_err());
                }
            }
        }
    }

    #[test]
    fn a_request_says_what_was_written_into_it(id in any::<Option<u64>>(), channels in prop::collection::vec(any::<String>(), 0..5)) {
        let text = serde_json::json!({ "ch": channels, "op": "sub", "id": id, "other": [1, { "op": 2 }] }).to_string();
        let channels = channels.into_iter().map(Cow::Owned).collect();
        prop_assert_eq!(Command::parse(&text), Ok(Command::Subscribe { id, channels, since: None }));
    }
}
