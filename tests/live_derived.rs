//! Derived channels on real sockets: windows and intervals of a simulated market, a base that falls silent, and a server that
//! is killed.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::ChildStdin;

use serde_json::{Value, json};

use scene::cannot_serve;
use scene::folder::Folder;
use scene::process::Process;
use scene::raw::{Raw, TEXT, text};

/// Sizes by price, bids and asks.
type Book = [BTreeMap<String, String>; 2];

fn hear(raw: &mut Raw) -> Value {
    loop {
        let frame = raw.frame();
        if frame.opcode == TEXT {
            return serde_json::from_str(frame.text()).expect("JSON");
        }
    }
}

fn ask(raw: &mut Raw, request: &Value) -> Value {
    raw.send(&text(&request.to_string()));
    hear(raw)
}

fn apply(book: &mut Book, message: &Value) {
    if message["k"] == "snap" {
        *book = Book::default();
    }
    for (side, key) in book.iter_mut().zip(["b", "a"]) {
        for level in message[key].as_array().expect("levels") {
            let [price, size] = [0, 1].map(|at| level[at].as_str().expect("a number").to_owned());
            if size.trim_matches(['0', '.']).is_empty() {
                side.remove(&price);
            } else {
                side.insert(price, size);
            }
        }
    }
}

/// The best levels, found anew.
fn window(book: &Book, depth: usize) -> Book {
    let best = |side: &BTreeMap<String, String>, sign: f64| {
        let price = |level: &(&String, &String)| sign * level.0.parse::<f64>().expect("a number");
        let mut levels: Vec<_> = side.iter().collect();
        levels.sort_by(|a, b| price(a).total_cmp(&price(b)));
        let levels = levels.into_iter().take(depth);
        levels
            .map(|(price, size)| (price.clone(), size.clone()))
            .collect()
    };
    [best(&book[0], -1.0), best(&book[1], 1.0)]
}

#[test]
fn windows_and_intervals_of_a_market_are_what_its_books_are() {
    if cannot_serve() {
        return;
    }
    let mut server = Process::start(
        "serve --source sim:7 --listen 127.0.0.1:0 --shards 2 --connections 64 --tape-bytes 16777216",
    );
    let address = server.address();
    let names = [
        "book:BTC-USD",
        "book:BTC-USD/3",
        "book:BTC-USD@20ms",
        "book:BTC-USD/2@50ms",
    ];
    let depths = [usize::MAX, 3, usize::MAX, 2];
    let mut clients: Vec<Raw> = (0..4).map(|_| Raw::open(address)).collect();
    // Who opens it, and who shares it.
    for raw in &mut clients {
        let ack = ask(raw, &json!({"op": "sub", "id": 1, "ch": names}));
        assert_eq!(ack["ok"].as_array().map(Vec::len), Some(4), "{ack}");
        assert_eq!(ack["ok"][1]["class"], "book", "{ack}");
    }
    for raw in &mut clients {
        let (mut books, mut seqs) = (BTreeMap::<String, Book>::new(), BTreeMap::<String, u64>::new());
        let mut derived = 0;
        while derived < 60 {
            let message = hear(raw);
            let (name, seq) = (message["ch"].as_str().expect("a channel"), &message["seq"]);
            let before = seqs.insert(name.to_owned(), seq.as_u64().expect("a number"));
            assert!(before.is_none_or(|before| *seq == before + 1), "{message}");
            apply(books.entry(name.to_owned()).or_default(), &message);
            let at = names
                .iter()
                .position(|known| *known == name)
                .expect("it was asked for");
            if at > 0 {
                // It comes behind what it follows from.
                assert_eq!(books[name], window(&books[names[0]], depths[at]), "{message}");
                derived += usize::from(message["k"] == "delta");
            }
        }
        assert_eq!(books.len(), 4, "each has a state");
    }
    let mut lazy = Raw::connect(address);
    lazy.send(
        "GET /v1/ws?ch=book:ETH-USD/1,book:none/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            .as_bytes(),
    );
    assert!(lazy.head().starts_with("HTTP/1.1 101"));
    assert_eq!(hear(&mut lazy)["t"], "hello");
    let ack = hear(&mut lazy);
    assert_eq!(
        (&ack["ok"][0]["ch"], &ack["err"][0]["code"]),
        (&json!("book:ETH-USD/1"), &json!(4004)),
        "{ack}"
    );
    assert_eq!(hear(&mut lazy)["k"], "snap");
    server.signal("TERM");
    server.wait();
}

/// A server that journals to a new directory, and what was said to it before.
fn serve(folder: &Folder) -> Process {
    Process::start(&format!(
        "serve --source stdin --listen 127.0.0.1:0 --shards 1 --connections 64 --tape-bytes 16777216 --journal {}",
        folder.display()
    ))
}

/// Has the server publish a line.
fn say(input: &mut ChildStdin, line: &Value) {
    writeln!(input, "{line}").expect("the server reads");
}

/// A server with a book, and a client that gets everything of it.
fn begun(folder: &Folder) -> (Process, ChildStdin, Raw) {
    let mut server = serve(folder);
    let mut input = server.stdin();
    let mut raw = Raw::open(server.address());
    assert_eq!(ask(&mut raw, &json!({"op": "sub", "ch": "*"}))["t"], "ack");
    let snap = json!({"ch": "book:A", "t": "book", "k": "snap", "b": [["1", "1"]], "a": []});
    say(&mut input, &snap);
    assert_eq!(hear(&mut raw)["k"], "snap");
    (server, input, raw)
}

#[test]
fn the_last_change_is_said_when_the_base_falls_silent() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("derived-silence");
    let (server, mut input, mut raw) = begun(&folder);
    let trade = json!({"ch": "trade:A", "t": "trade", "px": "1", "sz": "1", "side": "buy"});
    say(&mut input, &trade);
    assert_eq!(hear(&mut raw)["t"], "trade");
    let names = [
        "book:A@100ms",
        "book:A/1",
        "book:A/0",
        "trade:A@1s",
        "book:A@1000ms",
        "bbo:A@1s",
    ];
    let ack = ask(&mut raw, &json!({"op": "sub", "ch": names}));
    let refused = ack["err"].as_array().expect("a list");
    let words: Vec<&str> = refused
        .iter()
        .map(|refused| refused["msg"].as_str().expect("words"))
        .collect();
    assert_eq!(
        words,
        [
            "a depth is a number from 1 to 6000",
            "of a channel of class append nothing is derived",
            "an interval of whole seconds is written in s, as @1s",
            "no such channel",
        ]
    );
    assert!(refused.iter().all(|refused| refused["code"] == 4004));
    for _ in 0..2 {
        assert_eq!(hear(&mut raw)["k"], "snap");
    }
    say(
        &mut input,
        &json!({"ch": "book:A", "t": "book", "k": "delta", "b": [["2", "5"]]}),
    );
    // Then nothing more is said.
    for (channel, bids) in [
        ("book:A", json!([["2", "5"]])),
        ("book:A/1", json!([["2", "5"], ["1", "0"]])),
        ("book:A@100ms", json!([["2", "5"]])),
    ] {
        let message = hear(&mut raw);
        assert_eq!((message["ch"].as_str(), &message["b"]), (Some(channel), &bids));
    }
    // What was refused is not refused for long.
    let quote = json!({"ch": "bbo:A", "t": "bbo", "bp": "1", "bs": "1", "ap": "2", "as": "1"});
    say(&mut input, &quote);
    assert_eq!(hear(&mut raw)["ch"], "bbo:A");
    let ack = ask(&mut raw, &json!({"op": "sub", "ch": "bbo:A@1s"}));
    assert_eq!(
        (&ack["ok"][0]["class"], &ack["ok"][0]["seq"]),
        (&json!("replace"), &json!(1)),
        "{ack}"
    );
    assert_eq!(hear(&mut raw)["ch"], "bbo:A@1s");
    server.signal("TERM");
    server.wait();
}

#[test]
fn numbers_outlive_a_server_that_is_killed_and_who_resumes_begins_with_a_state() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("derived-kill");
    let (server, mut input, mut raw) = begun(&folder);
    let ack = ask(&mut raw, &json!({"op": "sub", "ch": "book:A/1"}));
    assert_eq!(ack["ok"][0]["seq"], 1, "{ack}");
    assert_eq!(hear(&mut raw)["k"], "snap");
    say(
        &mut input,
        &json!({"ch": "book:A", "t": "book", "k": "delta", "b": [["2", "5"]]}),
    );
    assert_eq!(
        (hear(&mut raw)["ch"].as_str(), hear(&mut raw)["ch"].as_str()),
        (Some("book:A"), Some("book:A/1"))
    );
    server.signal("KILL");
    server.wait();

    let mut server = serve(&folder);
    let mut raw = Raw::connect(server.address());
    raw.send(scene::raw::UPGRADE.as_bytes());
    raw.head();
    let hello = hear(&mut raw);
    let since = json!({"epoch": hello["epoch"], "book:A/1": 1});
    let ack = ask(
        &mut raw,
        &json!({"op": "sub", "ch": ["book:A/1", "*"], "since": since}),
    );
    assert_eq!(
        (&ack["ok"][0]["seq"], &ack["ok"][0]["resume"]),
        (&json!(3), &json!("replay")),
        "{ack}"
    );
    assert_eq!(ack["ok"][1]["match"], 1, "{ack}");
    let mut messages = Vec::new();
    while messages.len() < 2 {
        let message = hear(&mut raw);
        messages.extend((message["ch"] == "book:A/1").then_some(message));
    }
    assert_eq!(
        (&messages[0]["seq"], &messages[0]["k"]),
        (&json!(2), &json!("delta"))
    );
    assert_eq!(
        (&messages[1]["seq"], &messages[1]["k"], &messages[1]["b"]),
        (&json!(3), &json!("snap"), &json!([["2", "5"]]))
    );
    server.signal("TERM");
    server.wait();
}
