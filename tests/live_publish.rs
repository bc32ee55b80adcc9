//! Clients that publish, on real sockets: what they are answered, who gets their messages, and what is left of these when
//! the server is killed.
//!
//! `TICKWIRE_KILLS=100 cargo test --release --test live_publish` kills as often as that.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use scene::cannot_serve;
use scene::folder::Folder;
use scene::process::{BINARY, Process};
use scene::raw::{CLOSE, Raw, TEXT, UPGRADE, text};

fn serve(more: &str) -> Process {
    Process::start(&format!(
        "serve --source none --listen 127.0.0.1:0 --connections 64 --tape-bytes 16777216 {more}"
    ))
}

fn journaling(folder: &Folder) -> Process {
    serve(&format!(
        "--publish room:* --journal {} --journal-sync each",
        folder.display()
    ))
}

/// Sends a request and reads the next text message.
fn ask(raw: &mut Raw, request: &Value) -> Value {
    raw.send(&text(&request.to_string()));
    hear(raw)
}

fn hear(raw: &mut Raw) -> Value {
    loop {
        let frame = raw.frame();
        if frame.opcode == TEXT {
            return serde_json::from_str(frame.text()).expect("JSON");
        }
    }
}

fn publish(id: u64, channel: &str, data: &Value) -> Value {
    json!({"op": "pub", "id": id, "ch": channel, "data": data})
}

#[test]
fn what_a_client_publishes_is_numbered_acknowledged_and_sent_to_all() {
    if cannot_serve() {
        return;
    }
    let mut server = serve("--publish room:* --publish trade:X --publish book:X --shards 2");
    let address = server.address();
    let mut subscribers: Vec<Raw> = (0..4).map(|_| Raw::open(address)).collect();
    for raw in &mut subscribers {
        assert_eq!(ask(raw, &json!({"op": "sub", "ch": "*"}))["t"], "ack");
    }
    let mut raw = Raw::open(address);
    let data = json!({"text": "hello", "n": [1, 2]});
    for seq in 1..=3 {
        let ack = ask(&mut raw, &publish(10 + seq, "room:42", &data));
        assert_eq!(
            ack,
            json!({"t": "ack", "id": 10 + seq, "ch": "room:42", "seq": seq})
        );
    }
    let trade = json!({"op": "pub", "ch": "trade:X", "t": "trade", "px": "1.50", "sz": 2, "side": "buy"});
    assert_eq!(
        ask(&mut raw, &trade),
        json!({"t": "ack", "ch": "trade:X", "seq": 1})
    );
    for raw in &mut subscribers {
        for seq in 1..=3 {
            let message = hear(raw);
            assert_eq!((&message["seq"], &message["data"]), (&json!(seq), &data));
        }
        let message = hear(raw);
        assert_eq!((&message["px"], &message["sz"]), (&json!("1.50"), &json!("2")));
    }
    for (wrong, code) in [
        (json!({"op": "pub", "ch": "room:1"}), 4000),
        (json!({"op": "pub", "ch": "room:1", "t": "bbo", "data": 1}), 4000),
        (json!({"op": "pub", "ch": "trade:X", "data": 1}), 4000),
        (
            json!({"op": "pub", "ch": "book:X", "t": "book", "k": "delta"}),
            4000,
        ),
        (json!({"op": "pub", "ch": "room", "data": 1}), 4004),
        (json!({"op": "pub", "ch": "trade:Y", "t": "trade"}), 4003),
        (json!({"op": "pub", "ch": "room:1", "data": 1, "key": ""}), 4000),
        (
            json!({"op": "pub", "ch": "room:1", "data": 1, "key": "k".repeat(65)}),
            4000,
        ),
        (json!({"op": "auth", "token": "nobody's"}), 4007),
    ] {
        let error = ask(&mut raw, &wrong);
        assert_eq!(
            (&error["t"], &error["code"]),
            (&json!("error"), &json!(code)),
            "{wrong}"
        );
    }
    let ack = ask(&mut raw, &publish(20, "room:42", &json!(null)));
    assert_eq!(ack["seq"], 4, "what is refused costs nothing");
}

#[test]
fn nobody_publishes_unless_it_was_granted() {
    if cannot_serve() {
        return;
    }
    let mut server = serve("");
    let mut raw = Raw::open(server.address());
    assert_eq!(ask(&mut raw, &publish(1, "room:1", &json!(1)))["code"], 4003);
}

#[test]
fn requests_need_not_wait_for_replies_and_are_answered_in_order() {
    if cannot_serve() {
        return;
    }
    let mut server = serve("--publish room:* --shards 1");
    let mut raw = Raw::open(server.address());
    let mut twin = raw.twin();
    let sending = std::thread::spawn(move || {
        for id in 1..=20_000_u64 {
            twin.send(&text(&publish(id, "room:1", &json!(id)).to_string()));
        }
        twin.send(&text(&json!({"op": "ping", "id": 0}).to_string()));
    });
    for id in 1..=20_000_u64 {
        let ack = hear(&mut raw);
        assert_eq!((&ack["id"], &ack["seq"]), (&json!(id), &json!(id)));
    }
    assert_eq!(hear(&mut raw)["t"], "pong");
    sending.join().expect("everything is taken");
}

#[test]
fn who_subscribes_before_the_first_message_gets_it() {
    if cannot_serve() {
        return;
    }
    let mut server = serve("--publish room:* --publish note:1 --shards 2");
    let address = server.address();
    let mut subscribers: Vec<Raw> = (0..4).map(|_| Raw::open(address)).collect();
    for raw in &mut subscribers {
        let ack = ask(
            raw,
            &json!({"op": "sub", "id": 1, "ch": ["room:1", "note:1", "note:2", "room:*"]}),
        );
        let granted: Vec<&Value> = ack["ok"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|ok| &ok["ch"])
            .collect();
        assert_eq!(granted, ["room:1", "note:1", "room:*"]);
        assert_eq!(
            (&ack["ok"][0]["seq"], &ack["err"][0]["code"]),
            (&json!(0), &json!(4004))
        );
    }
    let mut raw = Raw::open(address);
    assert_eq!(ask(&mut raw, &publish(1, "room:1", &json!(1)))["seq"], 1);
    for raw in &mut subscribers {
        assert_eq!(hear(raw)["ch"], "room:1");
    }
}

#[test]
fn who_has_a_token_may_what_is_granted_to_it_on_that_connection_alone() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("publish-config");
    std::fs::create_dir_all(folder.path()).expect("a directory");
    let file = folder.path().join("tickwire.toml");
    let config = concat!(
        "source = \"none\"\nlisten = \"127.0.0.1:0\"\npublish = [\"room:*\"]\n",
        "[[publisher]]\nname = \"desk\"\ntoken = \"a token of enough bytes\"\npublish = [\"trade:*\"]\n",
    );
    std::fs::write(&file, config).expect("a file");
    let mut server = Process::start(&format!("serve --connections 64 --config {}", file.display()));
    let address = server.address();
    let (mut desk, mut other) = (Raw::open(address), Raw::open(address));
    let trade =
        json!({"op": "pub", "ch": "trade:X", "t": "trade", "px": "1", "sz": "1", "side": "buy", "key": "k"});
    let auth = |token: &str| json!({"op": "auth", "id": 1, "token": token});
    assert_eq!(ask(&mut desk, &trade)["code"], 4003);
    assert_eq!(ask(&mut desk, &auth("a token of enough bytez"))["code"], 4007);
    assert_eq!(ask(&mut desk, &trade)["code"], 4003);
    let welcome = ask(&mut desk, &auth("a token of enough bytes"));
    assert_eq!(welcome, json!({"t": "ack", "id": 1, "name": "desk"}));
    assert_eq!(ask(&mut desk, &trade)["seq"], 1);
    assert_eq!(ask(&mut desk, &trade)["seq"], 1, "once for its key");
    assert_eq!(ask(&mut other, &trade)["code"], 4003);
    // The same key of another publisher is another message.
    let room = |data: u64| json!({"op": "pub", "ch": "room:1", "data": data, "key": "r"});
    assert_eq!(ask(&mut other, &room(1))["seq"], 1);
    assert_eq!(ask(&mut desk, &room(2))["seq"], 2);
    assert_eq!(ask(&mut other, &room(3))["seq"], 1);
}

#[test]
fn a_message_that_the_disk_did_not_take_is_not_acknowledged_and_those_after_it_are_again() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("publish-room");
    // A shell counts in blocks of 512 bytes, or of 1,024. The tape is a file too.
    let bytes = tickwire::limits::TRACK_BYTES_MIN;
    let serve = format!(
        "ulimit -f {} && exec '{BINARY}' serve --source none --listen 127.0.0.1:0 --shards 1 --connections 64 \
         --tape-bytes {bytes} --publish room:* --journal {} --journal-sync each",
        bytes / 512,
        folder.display()
    );
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &serve]);
    let mut server = Process::spawn(&mut command);
    let mut raw = Raw::open(server.address());
    let data = json!("x".repeat(50_000));
    let mut replies = (1..).map(|id| {
        let keyed = json!({"op": "pub", "id": id, "ch": "room:1", "data": data, "key": id.to_string()});
        (id, ask(&mut raw, &keyed))
    });
    let (lost, refused) = replies
        .find(|(_, reply)| reply["t"] == "error")
        .expect("the file is full in the end");
    assert_eq!(refused["code"], 4500, "{refused}");
    let (next, acked) = replies
        .find(|(_, reply)| reply["t"] == "ack")
        .expect("there is another file");
    assert_eq!(acked["seq"], next, "numbers have no hole");
    drop(replies);
    let again = keyed(lost, "room:1", &lost.to_string());
    assert_eq!(
        ask(&mut raw, &again)["code"],
        4500,
        "it is no safer for being asked again"
    );
    server.signal("TERM");
    server.wait();
}

fn keyed(id: u64, channel: &str, key: &str) -> Value {
    json!({"op": "pub", "id": id, "ch": channel, "data": key, "key": key})
}

#[test]
fn a_key_is_published_once_on_any_connection_and_by_any_server_on_the_journal() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("publish-keys");
    let mut expected = 0;
    for (run, signal) in ["TERM", "KILL", "KILL"].into_iter().enumerate() {
        let mut server = journaling(&folder);
        let address = server.address();
        for key in 0..=run {
            let mut raw = Raw::open(address);
            let key = format!("key {key}");
            let ack = ask(&mut raw, &keyed(1, "room:1", &key));
            let first = ack["seq"].as_u64().expect("it is acknowledged");
            assert_eq!(ask(&mut raw, &keyed(2, "room:1", &key))["seq"], first);
            assert_eq!(
                ask(&mut raw, &keyed(3, "room:2", &key))["code"],
                4000,
                "on another channel it would be another message"
            );
        }
        expected += 1;
        let mut raw = Raw::open(address);
        let ack = ask(&mut raw, &publish(1, "room:1", &json!("no key")));
        expected += 1;
        assert_eq!(ack["seq"], expected, "run {run}: nothing was published twice");
        server.signal(signal);
        server.wait();
    }
}

/// Publishes messages, each with its key, and takes acknowledgements, until the server is gone. What is not acknowledged is
/// said again by the next.
fn publish_until_gone(
    raw: &mut Raw,
    next: &mut u64,
    unacked: &mut BTreeMap<u64, ()>,
    acked: &mut BTreeMap<u64, u64>,
) {
    let again: Vec<u64> = unacked.keys().copied().collect();
    for id in again {
        if !raw.sends(&text(&keyed(id, "room:1", &format!("key {id}")).to_string())) {
            return;
        }
    }
    loop {
        while unacked.len() < 40 {
            *next += 1;
            unacked.insert(*next, ());
            let request = keyed(*next, "room:1", &format!("key {next}"));
            if !raw.sends(&text(&request.to_string())) {
                return;
            }
        }
        let Some(reply) = raw.try_frame() else {
            return;
        };
        if reply.opcode == CLOSE {
            return;
        }
        let reply: Value = serde_json::from_str(reply.text()).expect("JSON");
        assert_eq!(reply["t"], "ack", "{reply}");
        let (id, seq) = (
            reply["id"].as_u64().expect("an id"),
            reply["seq"].as_u64().expect("a number"),
        );
        unacked.remove(&id);
        let before = acked.insert(id, seq);
        assert!(
            before.is_none_or(|before| before == seq),
            "{id} is {before:?} and {seq}"
        );
    }
}

#[test]
fn no_acknowledged_message_is_lost_and_none_is_published_twice_however_often_the_server_is_killed() {
    if cannot_serve() {
        return;
    }
    let kills = std::env::var("TICKWIRE_KILLS").ok();
    let kills: usize = kills.map_or(5, |kills| kills.parse().expect("TICKWIRE_KILLS is a number"));
    let folder = Folder::new("publish-kills");
    let (mut next, mut unacked, mut acked) = (0, BTreeMap::new(), BTreeMap::new());
    for _ in 0..kills {
        let mut server = journaling(&folder);
        let mut raw = Raw::connect(server.address());
        raw.send(UPGRADE.as_bytes());
        raw.opened();
        assert_eq!(hear(&mut raw)["t"], "hello");
        let before = acked.len();
        let publisher = std::thread::spawn(move || {
            publish_until_gone(&mut raw, &mut next, &mut unacked, &mut acked);
            (next, unacked, acked)
        });
        // Until some were acknowledged, which is seen in the journal's growth.
        let segment = || {
            let files = std::fs::read_dir(folder.path()).expect("it is there");
            files
                .filter_map(|file| file.ok()?.metadata().ok())
                .map(|file| file.len())
                .sum::<u64>()
        };
        let begun = segment();
        while segment() < begun + 50_000 && !publisher.is_finished() {
            std::thread::yield_now();
        }
        server.signal("KILL");
        server.wait();
        (next, unacked, acked) = publisher.join().expect("no reply is wrong");
        assert!(acked.len() > before, "some were acknowledged");
    }
    // Whatever was not acknowledged is said again, and then everything is there, once.
    let mut server = journaling(&folder);
    let mut raw = Raw::open(server.address());
    for id in unacked.keys() {
        let ack = ask(&mut raw, &keyed(*id, "room:1", &format!("key {id}")));
        acked.insert(*id, ack["seq"].as_u64().expect("a number"));
    }
    let mut numbers: Vec<u64> = acked.values().copied().collect();
    numbers.sort_unstable();
    assert!(
        numbers.iter().copied().eq(1..=acked.len() as u64),
        "each has a number of its own"
    );
    server.signal("TERM");
    server.wait();
}
