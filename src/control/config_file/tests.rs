//! What files say, and what is said about those that say something wrong.

use super::*;
use crate::market::ChannelName;

fn parse(text: &str) -> Result<ConfigFile, String> {
    ConfigFile::parse(text, Path::new("a.toml")).map_err(|error| error.to_string())
}

/// Every key, once at least.
const EVERY_KEY: &str = r#"
source = "sim:7"
speed = 2.5
wait = 3
listen = "127.0.0.1:9001"
admin = "127.0.0.1:9090"
shards = 2
connections = 1000
descriptors = "registered"
memory = "4G"
subscriptions = 2
compression = true
compression_threshold = 100
binary = false
tape_bytes = 16777216
tape_records = 65536
behind_ms = 250
behind_bytes = 65536
heartbeat_seconds = 0
drain_seconds = 5
journal = "/var/lib/ticks"
journal_sync = "each"
journal_segment = "16M"
journal_keep = "2G"
journal_age = "7d"
send_buffer = "64K"
unsent = "32K"
receive_buffer = "16K"
backlog = 128
ping_seconds = 60

[[channel]]
pattern = "status:*"
class = "replace"

[[channel]]
pattern = "status:log"

[derived]
depths = [5]
intervals = ["100ms", "1s"]
"#;

#[test]
fn every_key_is_read_as_its_option_is() {
    let file = parse(EVERY_KEY).unwrap();
    assert_eq!(file.source, Some(SourceSpec::Sim { seed: 7 }));
    assert_eq!(file.speed, Some("2.5".parse().unwrap()));
    assert_eq!(
        (file.wait, file.backlog, file.ping_seconds),
        (Some(3), Some(128), Some(60))
    );
    assert_eq!(file.listen, Some(SocketAddr::from(([127, 0, 0, 1], 9001))));
    assert_eq!(file.admin, Some(SocketAddr::from(([127, 0, 0, 1], 9090))));
    assert_eq!(
        (file.shards, file.connections),
        (NonZeroUsize::new(2), NonZeroUsize::new(1000))
    );
    assert_eq!(file.descriptors, Some(DescriptorsKey::Registered));
    assert_eq!(
        (file.memory, file.subscriptions),
        (Some(Bytes(4 << 30)), NonZeroUsize::new(2))
    );
    assert_eq!((file.compression, file.binary), (Some(true), Some(false)));
    assert_eq!(file.compression_threshold, Some(100));
    assert_eq!(
        (file.tape_bytes, file.tape_records),
        (Some(1 << 24), Some(1 << 16))
    );
    assert_eq!(
        (file.behind_ms, file.behind_bytes),
        (Some(250), Some(Bytes(1 << 16)))
    );
    assert_eq!((file.heartbeat_seconds, file.drain_seconds), (Some(0), Some(5)));
    assert_eq!(file.journal.as_deref(), Some(Path::new("/var/lib/ticks")));
    assert_eq!(file.journal_sync, Some(SyncPolicy::Each));
    assert_eq!(
        (file.journal_segment, file.journal_keep),
        (Some(Bytes(16 << 20)), Some(Bytes(2 << 30)))
    );
    assert_eq!(file.journal_age, Some("7d".parse().unwrap()));
    assert_eq!(
        (file.send_buffer, file.unsent),
        (Some(Bytes(65536)), Some(Bytes(32768)))
    );
    assert_eq!(file.receive_buffer, Some(Bytes(16384)));
    let rules = file.channels(Slack::default()).unwrap().rules;
    let class = |name| rules.class(ChannelName::parse(name).unwrap());
    assert_eq!(class("status:venue"), ChannelClass::Replace);
    assert_eq!(
        class("status:log"),
        ChannelClass::Append,
        "the more specific pattern counts alone"
    );
    assert_eq!(rules.offer().names(), (5, 2));
}

#[test]
fn what_may_be_derived_is_what_the_file_says_or_what_comes() {
    let names = |text: &str| {
        let file = parse(text)?;
        let channels = file.channels(Slack::default());
        channels
            .map(|channels| channels.rules.offer().names())
            .map_err(|error| error.to_string())
    };
    assert_eq!(names(""), Ok(Offer::default().names()));
    assert_eq!(names("[derived]\ndepths = []\nintervals = [\"1s\"]"), Ok((1, 1)));
    assert_eq!(names("[derived]\nintervals = []"), Ok((10, 0)));
    let depths: Vec<String> = (1..=15).map(|depth| depth.to_string()).collect();
    let many = format!("[derived]\ndepths = [{}]", depths.join(", "));
    let refused = names(&many).unwrap_err();
    assert!(
        refused.contains("143 channels of one book, more than the 128"),
        "{refused}"
    );
    for (text, said) in [
        ("depths = [0]", "a depth is a number from 1 to 6000"),
        ("depths = [5, 5]", "offered twice; say it once"),
        (
            "intervals = [\"1ms\"]",
            "an interval is a number from 10ms to 60s",
        ),
        (
            "intervals = [\"1000ms\"]",
            "an interval of whole seconds is written in s, as @1s",
        ),
    ] {
        let (key, _) = text.split_once(" =").unwrap();
        let expected = format!("a.toml:2: {key}: {said}");
        assert_eq!(names(&format!("[derived]\n{text}")), Err(expected));
    }
}

#[test]
fn publishers_have_what_is_granted_to_them_and_to_all() {
    let text = r#"
publish = ["room:*"]
ingest = ["tcp:127.0.0.1:9100", "unix:/run/lines.sock"]
[[publisher]]
name = "desk"
token = "a token of enough bytes"
publish = ["trade:*", "note:1"]
"#;
    let file = parse(text).unwrap();
    let ingest = file.ingest().unwrap();
    assert_eq!(
        ingest.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["tcp:127.0.0.1:9100", "unix:/run/lines.sock"]
    );
    let publishers = file.publishers(&["chat:1".to_owned()]).unwrap();
    let desk = publishers.of_token("a token of enough bytes").unwrap();
    let may = |id, name| publishers.may(id, ChannelName::parse(name).unwrap());
    let names = ["room:1", "chat:1", "trade:X", "note:1", "note:2"];
    assert_eq!(names.map(|name| may(desk, name)), [true, true, true, true, false]);
    let nobody = crate::base::PublisherId::default();
    assert_eq!(
        names.map(|name| may(nobody, name)),
        [true, true, false, false, false]
    );
}

#[test]
fn an_empty_file_says_nothing() {
    let file = parse("").unwrap();
    assert!(file.listen.is_none() && file.source.is_none() && file.channel.is_empty());
    assert_eq!(file.channels(Slack::default()), Ok(Channels::default()));
}

/// Files, how what is said about them begins, and what it contains.
const WRONG: &[(&str, &str, &str)] = &[
    ("\nshard = 2", "a.toml:2: unknown field `shard`", "`shards`"),
    ("shards = 0", "a.toml:1: shards: ", "nonzero"),
    ("shards = \"two\"", "a.toml:1: shards: ", "invalid type"),
    ("\n\nbehind_ms = -1", "a.toml:3: behind_ms: ", "u64"),
    ("listen = \"nowhere\"", "a.toml:1: listen: ", "socket address"),
    ("admin = \"9090\"", "a.toml:1: admin: ", "socket address"),
    (
        "memory = \"much\"",
        "a.toml:1: memory: ",
        "write one as 1073741824, 512M or 4G",
    ),
    (
        "source = \"kafka:x\"",
        "a.toml:1: source: ",
        "sim, sim:SEED, capture:PATH, journal:DIR, stdin or none",
    ),
    (
        "compression = \"on\"",
        "a.toml:1: compression: ",
        "expected a boolean",
    ),
    (
        "descriptors = \"mine\"",
        "a.toml:1: descriptors: ",
        "expected `process` or `registered`",
    ),
    ("shards = 1\nshards = 2", "a.toml:2: ", "duplicate"),
    ("shards 2", "a.toml:1: ", "="),
    (
        "[[channel]]\nclass = \"append\"",
        "a.toml:1: missing field `pattern`",
        "",
    ),
    (
        "[[channel]]\npattern = \"room\"",
        "a.toml:2: pattern: ",
        "a pattern is kind:symbol, kind:* or *",
    ),
    (
        "[[channel]]\npattern = \"room:*\"\nklass = \"append\"",
        "a.toml:3: unknown field `klass`",
        "`class`",
    ),
    (
        "[[channel]]\npattern = \"room:*\"\nclass = \"bok\"",
        "a.toml:3: class: ",
        "expected one of `append`, `replace`, `book`",
    ),
    (
        "[[channel]]\npattern = \"trade:*\"\nclass = \"book\"",
        "a.toml:3: class: channels of kind \"trade\" hold trades",
        "append or replace",
    ),
    (
        "[[channel]]\npattern = \"a:*\"\n[[channel]]\npattern = \"a:*\"",
        "a.toml:4: pattern: said twice",
        "say it once",
    ),
    (
        "[[channel]]\npattern = \"*\"\nclass = \"append\"",
        "a.toml:3: class: no class fits every kind",
        "kind:*",
    ),
    ("[peer]\nname = 1", "a.toml:1: unknown field `peer`", "`channel`"),
    (
        "[[channel]]\npattern = \"room:*\"\npolicy = \"drop\"",
        "a.toml:3: policy: ",
        "expected one of `conflate`, `gap`, `disconnect`",
    ),
    (
        "[[channel]]\npattern = \"room:*\"\npolicy = \"conflate\"",
        "a.toml:3: policy: only channels of class replace or book",
        "choose gap or disconnect",
    ),
    (
        "[[channel]]\npattern = \"*\"\npolicy = \"conflate\"",
        "a.toml:3: policy: only channels of class replace or book",
        "of each kind",
    ),
    (
        "[[channel]]\npattern = \"book:*\"\nbehind_bytes = \"lots\"",
        "a.toml:3: behind_bytes: ",
        "512M",
    ),
    (
        "ingest = [\"udp:1\"]",
        "a.toml:1: ingest: ",
        "tcp:ADDR:PORT or unix:PATH",
    ),
    (
        "publish = [\"room\"]",
        "a.toml:1: publish: ",
        "a pattern is kind:symbol",
    ),
    (
        "[[publisher]]\nname = \"desk\"\ntoken = \"short\"\npublish = []",
        "a.toml:2: name: ",
        "give it 16 to 256",
    ),
    (
        "[[publisher]]\nname = \"desk\"\npublish = []",
        "a.toml:1: missing field `token`",
        "",
    ),
];

#[test]
fn what_is_wrong_is_told_in_one_line_with_place_key_and_cure() {
    for (text, begins, contains) in WRONG {
        let error = parse(text).unwrap_err();
        assert!(
            error.starts_with(begins) && error.contains(contains),
            "{text:?}: {error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn channels_have_the_terms_that_are_said_of_them_and_the_others_those_of_the_server() {
    let text = r#"
[[channel]]
pattern = "book:*"
policy = "disconnect"
behind_ms = 2000
[[channel]]
pattern = "bbo:*"
policy = "gap"
behind_bytes = "1M"
[[channel]]
pattern = "status:*"
class = "replace"
[[channel]]
pattern = "book:X"
behind_ms = 2000
policy = "disconnect"
[[channel]]
pattern = "status:log"
behind_ms = 1
"#;
    let slack = Slack { ms: 1, bytes: 2 };
    let Channels { rules, terms } = parse(text).unwrap().channels(slack).unwrap();
    let disconnect = Terms {
        policy: Some(Policy::Disconnect),
        slack: Slack { ms: 2000, bytes: 2 },
    };
    let gap = Terms {
        policy: Some(Policy::Gap),
        slack: Slack {
            ms: 1,
            bytes: 1 << 20,
        },
    };
    assert_eq!(terms, [disconnect, gap]);
    let number = |name| rules.of(ChannelName::parse(name).unwrap()).terms;
    let numbers = ["book:A", "book:X", "bbo:A", "status:A", "status:log", "trade:A"].map(number);
    assert_eq!(numbers, [1, 1, 2, 0, 0, 0]);
}

#[test]
fn there_are_so_many_different_terms_and_no_more() {
    let table = |number| format!("[[channel]]\npattern = \"room:{number}\"\nbehind_ms = {number}\n");
    let text: String = (1..TERMS_MAX).map(table).collect();
    assert_eq!(
        parse(&text)
            .unwrap()
            .channels(Slack::default())
            .unwrap()
            .terms
            .len(),
        TERMS_MAX - 1
    );
    let error = parse(&(text + &table(TERMS_MAX))).unwrap_err();
    assert!(
        error.contains("more than 16 different") && error.contains("make some of them alike"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_told_with_the_option() {
    let error = ConfigFile::load(Path::new("/no/such/file"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("/no/such/file: cannot be read: ") && error.contains("--config FILE"),
        "{error}"
    );
}
