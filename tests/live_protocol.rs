//! The native protocol, over real sockets: what each command is answered, and what a subscriber gets.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::io::Write as _;

use serde_json::{Value, json};
use tickwire::control::Config;
use tickwire::writer::source::{SourceSpec, Speed};
use tokio_tungstenite::tungstenite::Message;

use scene::raw::{FIN, PING, Raw, UPGRADE, masked, text};
use scene::served::{Served, market, small};
use scene::socket::Socket;
use scene::{block_on, cannot_serve, within};

#[test]
fn the_greeting_says_who_is_there_and_what_it_allows() {
    let Some(served) = market() else { return };
    block_on(async {
        let mut first = Socket::connect(served.address(), "").await;
        let mut second = Socket::connect(served.address(), "").await;
        let (one, other) = (first.json().await, second.json().await);
        assert_eq!((&one["t"], &one["v"]), (&json!("hello"), &json!(1)));
        assert_eq!(one["limits"], json!({"subs": 1024, "msg": 65536, "rate": 50}));
        assert!(one["time"].as_u64() > Some(1_700_000_000_000_000_000), "{one}");
        assert_ne!(one["conn"], other["conn"], "each connection has a name");
        assert_eq!(one["epoch"], other["epoch"], "the server has one epoch");
    });
}

#[test]
fn each_command_has_one_answer_in_order() {
    let Some(served) = market() else { return };
    block_on(async {
        let mut socket = Socket::connect(served.address(), "").await;
        assert_eq!(socket.json().await["t"], "hello");
        socket.send(r#"{"op":"sub","id":1,"ch":["nothing:here"]}"#).await;
        socket.send(r#"{"op":"list","id":2}"#).await;
        socket.send(r#"{"op":"ping","id":3,"t0":1.50}"#).await;
        socket.send(r#"{"op":"sing","id":4}"#).await;
        socket.send("{").await;
        socket.send(r#"{"op":"sub","id":5}"#).await;
        socket.send(r#"{"op":"sub","id":6,"ch":["BTC-USD","*:*"]}"#).await;
        let unknown = json!([{"ch": "nothing:here", "code": 4004, "msg": "no such channel"}]);
        assert_eq!(
            socket.json().await,
            json!({"t": "ack", "id": 1, "ok": [], "err": unknown})
        );
        assert_eq!(
            socket.json().await,
            json!({"t": "ack", "id": 2, "ok": [], "err": []})
        );
        let pong = socket.text().await;
        assert!(
            pong.starts_with(r#"{"t":"pong","id":3,"t0":1.50,"t1":"#),
            "digit for digit: {pong}"
        );
        let error = socket.json().await;
        assert_eq!(
            (&error["t"], &error["id"], &error["code"]),
            (&"error".into(), &4.into(), &4002.into())
        );
        assert!(
            error["msg"]
                .as_str()
                .is_some_and(|msg| msg.contains("sub, unsub, snap, list, ping, pub and auth")),
            "{error}"
        );
        assert_eq!(socket.json().await["code"], 4001, "not JSON");
        let error = socket.json().await;
        assert_eq!(
            (&error["id"], &error["code"], &error["msg"]),
            (&5.into(), &4000.into(), &"ch: missing".into())
        );
        let codes = socket.json().await["err"].as_array().map(|errors| {
            errors
                .iter()
                .map(|error| error["code"].clone())
                .collect::<Vec<_>>()
        });
        assert_eq!(codes, Some(vec![json!(4004), json!(4004)]));
    });
}

#[test]
fn a_subscription_begins_with_its_answer_and_ends_with_its_answer() {
    let Some(served) = market() else { return };
    block_on(async {
        let mut socket = Socket::connect(served.address(), "").await;
        assert_eq!(socket.json().await["t"], "hello");
        socket
            .send(r#"{"op":"sub","id":1,"ch":["trade:*","bbo:*"]}"#)
            .await;
        let ack = socket.json().await;
        assert_eq!(
            (&ack["t"], &ack["id"]),
            (&"ack".into(), &1.into()),
            "before the first frame"
        );
        assert_eq!(ack["ok"][0]["ch"], "trade:*");
        for _ in 0..20 {
            let tick = socket.json().await;
            assert!(tick["t"] == "trade" || tick["t"] == "bbo", "{tick}");
        }
        socket.send(r#"{"op":"list","id":2}"#).await;
        let list = socket.json_of("ack").await;
        let listed: Vec<&Value> = list["ok"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| &entry["ch"])
            .collect();
        assert_eq!(listed, [&json!("bbo:*"), &json!("trade:*")]);
        socket
            .send(r#"{"op":"unsub","id":3,"ch":["bbo:*","book:*"]}"#)
            .await;
        let ack = socket.json_of("ack").await;
        assert_eq!(ack["ok"], json!([{"ch": "bbo:*"}]));
        assert_eq!(
            ack["err"],
            json!([{"ch": "book:*", "code": 4004, "msg": "not subscribed"}])
        );
        for _ in 0..20 {
            assert_eq!(socket.json().await["t"], "trade", "no quote after the answer");
        }
        socket.send(r#"{"op":"unsub","id":4,"ch":"trade:*"}"#).await;
        assert_eq!(socket.json_of("ack").await["id"], 4);
        socket.send(r#"{"op":"ping","id":5}"#).await;
        assert_eq!(
            socket.json().await["t"],
            "pong",
            "nothing at all after the answer"
        );
    });
}

#[test]
fn a_newcomer_to_a_quote_or_a_book_has_its_state_first_and_every_change_after_it() {
    let Some(served) = market() else { return };
    block_on(async {
        let mut first = Socket::connect(served.address(), "?ch=bbo:*,book:*").await;
        // By then both channels exist and have a past.
        let mut books = 0;
        while books < 60 {
            let tick = first.json().await;
            books += u32::from(tick["ch"] == "book:BTC-USD");
        }
        let mut socket = Socket::connect(served.address(), "").await;
        assert_eq!(socket.json().await["t"], "hello");
        socket
            .send(r#"{"op":"sub","id":1,"ch":["bbo:BTC-USD","book:BTC-USD"]}"#)
            .await;
        let ack = socket.json().await;
        assert_eq!(ack["ok"][0]["class"], "replace");
        assert_eq!(ack["ok"][1]["class"], "book");
        let mut newest: [Option<u64>; 2] = [None, None];
        let mut seen = [0, 0];
        while seen[0] < 20 || seen[1] < 20 {
            let tick = socket.json().await;
            let which = usize::from(tick["ch"] == "book:BTC-USD");
            let seq = tick["seq"].as_u64().expect("every tick has a number");
            match newest[which] {
                None if which == 1 => {
                    assert_eq!(tick["k"], "snap", "{tick}");
                    assert!(
                        tick["b"].as_array().is_some_and(|bids| !bids.is_empty()),
                        "{tick}"
                    );
                    assert!(
                        seq <= ack["ok"][1]["seq"].as_u64().unwrap_or(0) && seq > 1,
                        "{tick}"
                    );
                }
                None => assert_eq!(
                    tick["seq"], ack["ok"][0]["seq"],
                    "the quote of the answer: {tick}"
                ),
                Some(before) => {
                    assert_eq!(seq, before + 1, "{tick}");
                    assert!(which == 0 || tick["k"] == "delta", "{tick}");
                }
            }
            newest[which] = Some(seq);
            seen[which] += 1;
        }
    });
}

#[test]
fn more_channels_than_a_request_may_name_are_refused() {
    let Some(served) = market() else { return };
    let mut raw = Raw::open(served.address());
    let channels = |count: usize| format!("[{}]", vec!["\"a:b\""; count].join(","));
    raw.send(&text(&format!(
        r#"{{"op":"sub","id":1,"ch":{}}}"#,
        channels(1025)
    )));
    let error: Value = serde_json::from_str(raw.frame().text()).expect("JSON");
    assert_eq!(
        (&error["t"], &error["id"], &error["code"]),
        (&"error".into(), &1.into(), &4000.into())
    );
    raw.send(&text(&format!(
        r#"{{"op":"sub","id":2,"ch":{}}}"#,
        channels(1024)
    )));
    let ack: Value = serde_json::from_str(raw.frame().text()).expect("JSON");
    assert_eq!(ack["err"].as_array().map(Vec::len), Some(1024));
}

#[test]
fn more_subscriptions_than_a_connection_may_have_are_refused_one_by_one() {
    if cannot_serve() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("tickwire-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("many_symbols");
    let mut file = std::fs::File::create(&path).expect("a file");
    for symbol in 0..1100 {
        let trade = json!({"e": "trade", "E": 1, "s": format!("S{symbol}"), "t": 1, "p": "1.0", "q": "1.0",
            "T": 1, "m": true, "M": true});
        let line = json!({"stream": format!("s{symbol}@trade"), "data": trade});
        writeln!(file, "1723161600000000000 {line}").expect("written");
    }
    drop(file);
    let config = Config {
        speed: Speed::Max,
        ..small(SourceSpec::Capture { path })
    };
    let served = Served::start(config);
    block_on(async {
        let mut socket = Socket::connect(served.address(), "?ch=trade:*").await;
        assert_eq!(socket.json().await["t"], "hello");
        assert_eq!(socket.json().await["t"], "ack");
        // The whole file is on the tape once its last symbol has a number.
        within("the whole file", async {
            loop {
                socket.send(r#"{"op":"sub","id":7,"ch":["trade:S1099"]}"#).await;
                let ack = socket.json_of("ack").await;
                if ack["ok"].as_array().is_some_and(|ok| ok.len() == 1) {
                    break;
                }
                // Fifty commands a second are allowed; this is no test of that.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        })
        .await;
        let names: Vec<String> = (0..1024).map(|symbol| format!("trade:S{symbol}")).collect();
        socket
            .send(&json!({"op": "sub", "id": 8, "ch": names}).to_string())
            .await;
        let ack = socket.json_of("ack").await;
        // Two there were before.
        assert_eq!(ack["ok"].as_array().map(Vec::len), Some(1022));
        let errors = ack["err"].as_array().cloned().unwrap_or_default();
        assert_eq!(errors.len(), 2);
        assert!(errors.iter().all(|error| error["code"] == 4005), "{errors:?}");
    });
    drop(served);
    std::fs::remove_dir_all(directory).expect("removed");
}

#[test]
fn a_client_that_asks_too_often_is_told_so_and_nothing_else_happens_to_it() {
    let Some(served) = market() else { return };
    let mut raw = Raw::open(served.address());
    // At most two seconds are touched by what arrives at once, of fifty commands each.
    let burst: Vec<u8> = (0..151)
        .flat_map(|id| text(&format!(r#"{{"op":"list","id":{id}}}"#)))
        .collect();
    raw.send(&burst);
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..151 {
        let reply: Value = serde_json::from_str(raw.frame().text()).expect("JSON");
        if reply["t"] == "ack" {
            answered += 1;
        } else {
            assert_eq!((&reply["t"], &reply["code"]), (&"error".into(), &4006.into()));
            refused += 1;
        }
    }
    assert!(
        answered >= 50 && refused >= 1,
        "{answered} answered, {refused} refused"
    );
    raw.send(&masked(FIN | PING, b"still here"));
    assert_eq!(raw.control().payload, b"still here");
}

#[test]
fn commands_right_behind_the_handshake_are_heard() {
    let Some(served) = market() else { return };
    let mut raw = Raw::connect(served.address());
    let mut packet = UPGRADE.replace("/v1/ws", "/v1/ws?ch=trade:*").into_bytes();
    packet.extend(text(r#"{"op":"ping","id":1}"#));
    packet.extend(text(r#"{"op":"unsub","id":2,"ch":"trade:*"}"#));
    packet.extend(text(r#"{"op":"ping","id":3}"#));
    raw.send(&packet);
    raw.opened();
    let mut replies = Vec::new();
    while replies.len() < 5 {
        let frame = raw.frame();
        let reply: Value = serde_json::from_str(frame.text()).expect("JSON");
        if reply["t"] != "trade" {
            replies.push((reply["t"].clone(), reply["id"].clone()));
        }
    }
    let null = Value::Null;
    let expected = [
        ("hello", null.clone()),
        ("ack", null),
        ("pong", 1.into()),
        ("ack", 2.into()),
        ("pong", 3.into()),
    ];
    assert_eq!(replies, expected.map(|(t, id)| (json!(t), id)));
}

#[test]
fn a_wrong_query_is_answered_after_the_greeting_and_the_connection_lives() {
    let Some(served) = market() else { return };
    block_on(async {
        let mut socket = Socket::connect(served.address(), "?ch=trade:*,nonsense").await;
        assert_eq!(socket.json().await["t"], "hello");
        let ack = socket.json().await;
        assert_eq!(
            (&ack["ok"][0]["ch"], &ack["err"][0]["code"]),
            (&"trade:*".into(), &4004.into())
        );
        assert_eq!(socket.json().await["t"], "trade");
        socket.send_message(Message::Ping(vec![1].into())).await;
        assert_eq!(socket.close(1000, "").await.code, 1000);
    });
}
