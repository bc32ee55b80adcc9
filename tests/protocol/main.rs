//! The reference of the protocol (`docs/protocol.md`, `docs/protocol.schema.json`, and a file for each message in
//! `docs/protocol/`) held against what the program writes and reads.
//!
//! The files lie beside the page and not among the tests, because they are for whoever writes a client in another
//! language: what a decoder must read, byte for byte.

mod schema;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tickwire::dialect::Code;
use tickwire::dialect::native_json::reply::{write_error, write_published, write_welcome};
use tickwire::dialect::native_json::{
    Ack, Classes, Command, GapCause, Hello, HelloLimits, Pong, Resume, ResumeFault, ServerMessage, Since,
    Stamp, encode, write_gap, write_heartbeat, write_live, write_shutdown, write_warning,
};
use tickwire::limits;
use tickwire::market::{
    BookUpdate, BookUpdateKind, ChannelClass, ChannelName, ChannelRule, ChannelRules, Decimal, Level,
    Pattern, Quote, Side, Tick, Trade,
};

#[test]
fn the_server_writes_each_message_as_its_file_says() {
    let mut files = golden("server");
    for (name, written) in written() {
        let expected = files
            .remove(name)
            .unwrap_or_else(|| panic!("there is no {name}.json"));
        assert_eq!(String::from_utf8(written).expect("text"), expected, "{name}");
    }
    assert_eq!(files, BTreeMap::new(), "files of messages that nobody writes");
}

#[test]
#[expect(clippy::too_many_lines, reason = "one case for each file")]
fn the_server_understands_each_request_as_its_file_says() {
    let requests = golden("client");
    let parse =
        |name: &str| Command::parse(&requests[name]).unwrap_or_else(|error| panic!("{name}: {error}"));
    let channels = |names: &[&'static str]| names.iter().copied().map(Cow::Borrowed).collect::<Vec<_>>();
    let commands = [
        (
            "auth",
            Command::Authenticate {
                id: Some(1),
                token: "correct horse battery staple".into(),
            },
        ),
        ("list", Command::List { id: Some(9) }),
        (
            "ping",
            Command::Ping {
                id: Some(12),
                t0: Some("1723161600000.25"),
            },
        ),
        (
            "snap",
            Command::Snap {
                id: Some(10),
                channels: channels(&["book:BTC-USD", "trade:BTC-USD"]),
            },
        ),
        (
            "sub",
            Command::Subscribe {
                id: Some(7),
                channels: channels(&["trade:BTC-USD", "book:*", "x"]),
                since: None,
            },
        ),
        (
            "sub_one",
            Command::Subscribe {
                id: None,
                channels: channels(&["*"]),
                since: None,
            },
        ),
        (
            "sub_since",
            Command::Subscribe {
                id: Some(13),
                channels: channels(&["trade:BTC-USD", "bbo:BTC-USD", "room:42"]),
                since: Some(Since {
                    epoch: "61f2c8d5a4b00".into(),
                    seqs: [("trade:BTC-USD", 4800), ("bbo:BTC-USD", 3), ("room:42", 3)]
                        .map(|(channel, seq)| (channel.into(), seq))
                        .into(),
                }),
            },
        ),
        (
            "unsub",
            Command::Unsubscribe {
                id: Some(8),
                channels: channels(&["trade:BTC-USD", "bbo:BTC-USD"]),
            },
        ),
    ];
    for (name, id, channel, key) in [
        ("pub", 11, "room:42", Some("order-7")),
        ("pub_trade", 14, "trade:BTC-USD", None),
    ] {
        let command = Command::Publish {
            id: Some(id),
            channel: channel.into(),
            key: key.map(Cow::Borrowed),
            text: &requests[name],
        };
        assert_eq!(parse(name), command);
    }
    assert_eq!(requests.len(), commands.len() + 2, "each file is tried");
    for (name, command) in commands {
        assert_eq!(parse(name), command);
    }
}

#[test]
fn our_own_client_reads_each_message_of_the_server() {
    for (name, text) in golden("server") {
        let mut levels = Vec::new();
        let message =
            ServerMessage::parse(&text, &mut levels).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!matches!(message, ServerMessage::Other(_)), "{name}: {message:?}");
    }
}

#[test]
fn each_message_is_what_the_schema_says_and_of_one_kind_only() {
    let schema = the_schema();
    for side in ["client", "server"] {
        let other = if side == "client" { "server" } else { "client" };
        for (name, text) in golden(side) {
            let value = json(&text);
            assert_eq!(schema::check(&schema, side, &value), Ok(()), "{name}");
            assert!(
                schema::check(&schema, other, &value).is_err(),
                "{name} is no message of a {other}"
            );
        }
    }
}

/// A schema that allows everything would pass the test before.
#[test]
fn the_schema_refuses_a_message_that_lacks_a_field_or_has_another_in_its_place() {
    let schema = the_schema();
    for side in ["client", "server"] {
        for (name, text) in golden(side) {
            let whole = json(&text);
            let kind = name.split('_').next().unwrap_or(&name);
            let definition = &schema["$defs"][kind];
            let required: Vec<&str> = definition["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            for field in whole.as_object().expect("an object").keys() {
                assert!(
                    definition["properties"][field].is_object(),
                    "{name}: {field} is not described"
                );
                let mut without = whole.clone();
                without.as_object_mut().expect("an object").remove(field);
                let refused = schema::check(&schema, side, &without).is_err();
                assert_eq!(
                    refused,
                    required.contains(&field.as_str()),
                    "{name} without {field}"
                );
                let mut other = whole.clone();
                other[field] = Value::from(vec![Value::from(vec![0]); 3]);
                let refused = schema::check(&schema, side, &other).is_err();
                assert_eq!(refused, field != "data", "{name} with another {field}");
            }
        }
    }
}

#[test]
fn the_limits_of_the_schema_and_the_page_are_those_of_the_program() {
    let defs = &the_schema()["$defs"];
    assert_eq!(
        defs["requestChannels"]["oneOf"][1]["maxItems"],
        limits::REQUEST_CHANNELS_MAX
    );
    assert_eq!(defs["channel"]["maxLength"], limits::CHANNEL_NAME_BYTES_MAX);
    assert_eq!(
        defs["hb"]["properties"]["last"]["maxProperties"],
        limits::HEARTBEAT_CHANNELS_MAX
    );
    let most_ms = limits::HEARTBEAT_SECONDS_MOST * 1000;
    assert_eq!(defs["hello"]["properties"]["hb"]["maximum"], most_ms);
    let page = read(&docs().join("protocol.md"));
    for code in defs["error"]["properties"]["code"]["enum"]
        .as_array()
        .expect("codes")
    {
        assert!(page.contains(&format!("| {code} |")), "{code}");
    }
}

#[test]
fn the_examples_of_the_page_are_the_files_and_each_file_is_an_example() {
    let page = read(&docs().join("protocol.md"));
    let mut shown = BTreeSet::new();
    let mut language = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), language) {
            (Some(opened), None) => language = Some(opened),
            (Some(_), Some(_)) => language = None,
            (None, Some("json")) => {
                shown.insert(line.to_owned());
            }
            (None, _) => {}
        }
    }
    let files: BTreeSet<String> = ["client", "server"]
        .into_iter()
        .flat_map(golden)
        .map(|(_, text)| text)
        .collect();
    assert_eq!(shown, files);
}

/// What the encoders make of what the files are about.
fn written() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = ticks();
    all.extend(greetings());
    all.extend(acknowledgements());
    let mut add = |name, write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        all.push((name, out));
    };
    let pong = Pong {
        id: Some(12),
        t0: Some("1723161600000.25"),
        t1_ns: 1_723_161_600_000_300_000,
        t2_ns: 1_723_161_600_000_300_000,
    };
    add("pong", &|out| pong.write_to(out));
    add("ackpub", &|out| write_published(out, Some(11), "room:42", 18));
    add("ackauth", &|out| write_welcome(out, Some(1), "desk"));
    let error = Command::parse(r#"{"op":"sing","id":4}"#).expect_err("nobody sings");
    add("error", &|out| {
        write_error(out, error.id, error.code, &error.message);
    });
    add("warn", &|out| write_warning(out, 750));
    add("gap", &|out| {
        write_gap(out, "trade:BTC-USD", 5041, 5100, GapCause::Slow);
    });
    add("gap_expired", &|out| {
        write_gap(out, "room:42", 4, 9, GapCause::Expired);
    });
    add("live", &|out| write_live(out, "trade:BTC-USD", 5001));
    let last = [("trade:BTC-USD", 5003), ("room:42", 0)];
    add("hb", &|out| write_heartbeat(out, 1_723_161_615_000_000_000, last));
    add("shutdown", &|out| write_shutdown(out, 5000));
    all
}

fn greetings() -> Vec<(&'static str, Vec<u8>)> {
    let limits = HelloLimits {
        subscriptions: limits::SUBSCRIPTIONS_PER_CONNECTION_MAX,
        message_bytes: limits::MESSAGE_BYTES_MAX as u64,
        requests_per_s: Some(limits::COMMANDS_PER_SECOND_MAX.into()),
    };
    let (usual, special) = (Classes::default(), Classes::of(&special_rules()));
    let hello = Hello {
        connection: "0-1a",
        epoch: "61f2c8d5a4b00",
        time_ns: 1_723_161_600_000_000_000,
        heartbeat_ms: Some(limits::HEARTBEAT_MS),
        limits,
        classes: &usual,
    };
    let mute = Hello {
        connection: "0-1b",
        heartbeat_ms: None,
        ..hello
    };
    let special = Hello {
        connection: "0-1c",
        classes: &special,
        ..hello
    };
    let write = |(name, hello): (&'static str, Hello<'_>)| {
        let mut out = Vec::new();
        hello.write_to(&mut out);
        (name, out)
    };
    let all = [("hello", hello), ("hello_classes", special), ("hello_mute", mute)];
    all.map(write).to_vec()
}

fn special_rules() -> ChannelRules {
    let mut rules = ChannelRules::default();
    for (pattern, class) in [
        ("bbo:*", ChannelClass::Append),
        ("bbo:BTC-USD", ChannelClass::Replace),
        ("room:42", ChannelClass::Replace),
    ] {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let class = Some(class);
        let added = rules.add(pattern, ChannelRule { class, terms: 0 });
        added.expect("a rule that fits");
    }
    rules
}

fn acknowledgements() -> Vec<(&'static str, Vec<u8>)> {
    let trades = ChannelName::parse("trade:BTC-USD").expect("a name");
    let mut all = Vec::new();
    let mut add = |name, id, fill: &dyn Fn(&mut Ack<'_>)| {
        let mut out = Vec::new();
        let mut ack = Ack::new(&mut out, id);
        fill(&mut ack);
        ack.finish();
        all.push((name, out));
    };
    add("ack_sub", Some(7), &|ack| {
        ack.subscribed(trades, ChannelClass::Append, 5001);
        ack.subscribed_pattern("book:*", 2);
        let error = ChannelName::parse("x").expect_err("no name");
        ack.refused("x", Code::UnknownChannel, &error.to_string());
    });
    let name = |name| ChannelName::parse(name).expect("a name");
    add("ack_resume", Some(13), &|ack| {
        ack.resumed(trades, ChannelClass::Append, 5001, Resume::Replay);
        let lost = ResumeFault::Expired;
        ack.resumed(name("bbo:BTC-USD"), ChannelClass::Replace, 9, Resume::Snap(lost));
        ack.resumed(name("room:42"), ChannelClass::Append, 18, Resume::Gap(lost));
    });
    add("ack_query", None, &|ack| ack.subscribed_pattern("*", 6));
    add("ack_unsub", Some(8), &|ack| {
        ack.named("trade:BTC-USD");
        ack.refused("bbo:BTC-USD", Code::UnknownChannel, "not subscribed");
    });
    add("ack_snap", Some(10), &|ack| {
        ack.subscribed(name("book:BTC-USD"), ChannelClass::Book, 42);
        let message = "an append channel has no image: every message counts";
        ack.refused("trade:BTC-USD", Code::BadRequest, message);
    });
    add("ack_list", Some(9), &|ack| {
        ack.subscribed_pattern("book:*", 2);
        ack.subscribed(trades, ChannelClass::Append, 5003);
    });
    all
}

fn ticks() -> Vec<(&'static str, Vec<u8>)> {
    let level = |price, size| Level { price, size };
    let bids = [
        level(Decimal::new(6_168_599, -2), Decimal::new(12, -1)),
        level(Decimal::new(6_168_550, -2), Decimal::new(3, 0)),
    ];
    let asks = [level(Decimal::new(6_168_600, -2), Decimal::new(4, -1))];
    let gone = [level(Decimal::new(6_168_550, -2), Decimal::new(0, 0))];
    let trade = Trade {
        price: Decimal::new(6_168_599, -2),
        size: Decimal::new(25, -2),
        side: Side::Buy,
        id: "a1",
    };
    let quote = Quote {
        bid_price: Decimal::new(6_168_599, -2),
        bid_size: Decimal::new(12, -1),
        ask_price: Decimal::new(6_168_600, -2),
        ask_size: Decimal::new(4, -1),
    };
    let book = |kind, bids, asks| Tick::Book(BookUpdate { kind, bids, asks });
    let message = r#"{"anything":["that","is","JSON"]}"#;
    let ticks = [
        ("trade", "trade:BTC-USD", 5002, Tick::Trade(trade)),
        ("bbo", "bbo:BTC-USD", 9, Tick::Quote(quote)),
        (
            "book_snap",
            "book:BTC-USD",
            41,
            book(BookUpdateKind::Snapshot, &bids, &asks),
        ),
        (
            "book_delta",
            "book:BTC-USD",
            42,
            book(BookUpdateKind::Delta, &gone, &[]),
        ),
        ("msg", "room:42", 18, Tick::Message(message)),
    ];
    let write = |(name, channel, seq, tick): (&'static str, _, _, Tick<'_>)| {
        let stamp = Stamp {
            channel,
            seq,
            ts_ns: 1_723_161_600_001_000_000,
            pt_ns: 1_723_161_600_001_000_250,
        };
        let mut out = Vec::new();
        encode(&mut out, &stamp, &tick);
        (name, out)
    };
    ticks.map(write).to_vec()
}

/// The files of one side's messages, by name.
fn golden(side: &str) -> BTreeMap<String, String> {
    let folder = docs().join("protocol").join(side);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let file = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = read(&path);
        let text = text.strip_suffix('\n').expect("a line ends").to_owned();
        assert!(!text.contains('\n'), "{name}: a message is one line");
        (name, text)
    };
    entries
        .map(|entry| file(entry.expect("an entry").path()))
        .collect()
}

fn the_schema() -> Value {
    json(&read(&docs().join("protocol.schema.json")))
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}
