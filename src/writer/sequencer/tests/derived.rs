//! Derived channels: what they say and when, that they cost nothing when nobody asks, and that room is always found.

use super::*;
use crate::base::now::NS_PER_MS;
use crate::market::{DerivationError, NotOffered, Offer};
use crate::writer::derived::Origin;

fn level(price: i64, size: i64) -> Level {
    Level {
        price: Decimal::new(price, 0),
        size: Decimal::new(size, 0),
    }
}

/// Settles what is staged while `reader` may be in the way.
fn settle(sequencer: &mut Sequencer, reader: &mut Reader) {
    while sequencer.settle().is_err() {
        reader.pin();
    }
    sequencer.invariants();
}

/// Every depth from 1 on that can be offered, and every interval that comes.
fn wide() -> ChannelRules {
    let mut offer = Offer::default().without_depths();
    for depth in 1..=limits::DERIVED_OFFERS_MAX {
        offer.add_depth(depth).unwrap();
    }
    ChannelRules::default().offering(offer)
}

fn open(sequencer: &mut Sequencer, name: &str, ms: u64) -> Result<ChannelId, DeriveError> {
    let opened = sequencer.open_derived(name, 0, at(ms));
    sequencer.settle().unwrap();
    sequencer.invariants();
    opened
}

fn put(sequencer: &mut Sequencer, channel: &str, tick: Tick<'_>, ms: u64) {
    let event = Event {
        channel,
        ts_ns: ms,
        tick,
    };
    sequencer.publish(&event, at(ms)).unwrap();
    sequencer.settle().unwrap();
    sequencer.invariants();
}

/// Everything that derived channels have to say at a time, as JSON.
fn derive(sequencer: &mut Sequencer, ms: u64) -> Vec<Value> {
    let mut said = Vec::new();
    loop {
        let head = sequencer.tape().head();
        match sequencer.derive(at(ms)) {
            None => return said,
            Some(Err(late)) => panic!("{late:?}"),
            Some(Ok(())) => {
                sequencer.settle().unwrap();
                sequencer.invariants();
                said.push(payload(sequencer.tape().frame(NATIVE_JSON, head)));
            }
        }
    }
}

/// Channel, kind, number and levels of a book's message.
fn words(value: &Value) -> String {
    let [ch, k] = ["ch", "k"].map(|key| value[key].as_str().unwrap_or("-"));
    format!("{ch} {k} {} b{} a{}", value["seq"], value["b"], value["a"])
}

fn derived_words(sequencer: &mut Sequencer, ms: u64) -> Vec<String> {
    derive(sequencer, ms).iter().map(words).collect()
}

#[test]
fn a_depth_book_says_what_changes_in_its_window_and_nothing_else() {
    let (mut sequencer, _reader) = smallest();
    put(
        &mut sequencer,
        "book:A",
        delta(&[level(5, 1), level(4, 1), level(3, 1)]),
        1,
    );
    let head = sequencer.tape().head();
    open(&mut sequencer, "book:A/2", 2).unwrap();
    assert_eq!(
        words(&payload(sequencer.tape().frame(NATIVE_JSON, head))),
        r#"book:A/2 snap 1 b[["5","1"],["4","1"]] a[]"#
    );
    let mut turn = |levels: &[Level]| {
        put(&mut sequencer, "book:A", delta(levels), 3);
        derived_words(&mut sequencer, 3)
    };
    assert_eq!(turn(&[level(3, 7), level(1, 1)]), [""; 0], "outside the window");
    assert_eq!(
        turn(&[level(6, 2)]),
        [r#"book:A/2 delta 2 b[["6","2"],["4","0"]] a[]"#]
    );
    assert_eq!(
        turn(&[level(6, 0)]),
        [r#"book:A/2 delta 3 b[["6","0"],["4","1"]] a[]"#]
    );
    assert_eq!(turn(&[level(5, 1)]), [""; 0], "it says that already");
    put(
        &mut sequencer,
        "book:A",
        book(BookUpdateKind::Snapshot, &[level(9, 1)], &[level(10, 1)]),
        4,
    );
    assert_eq!(
        derived_words(&mut sequencer, 4),
        [r#"book:A/2 delta 4 b[["9","1"],["5","0"],["4","0"]] a[["10","1"]]"#],
        "a reset of the base is what it changes"
    );
}

#[test]
fn an_interval_has_one_message_at_its_end_and_none_when_nothing_changed() {
    let (mut sequencer, _reader) = smallest();
    put(&mut sequencer, "book:A", delta(&[level(5, 1)]), 10);
    put(&mut sequencer, "bbo:A", quote(1), 10);
    for name in ["book:A@100ms", "bbo:A@100ms", "book:A/1@100ms"] {
        open(&mut sequencer, name, 120).unwrap();
    }
    assert_eq!(sequencer.due_ns(), None, "nothing has changed");
    put(&mut sequencer, "book:A", delta(&[level(7, 1)]), 130);
    put(&mut sequencer, "book:A", delta(&[level(4, 2)]), 140);
    put(&mut sequencer, "book:A", delta(&[level(7, 0)]), 199);
    put(&mut sequencer, "bbo:A", quote(2), 150);
    put(&mut sequencer, "bbo:A", quote(3), 199);
    assert_eq!(sequencer.due_ns(), Some(200 * NS_PER_MS));
    assert!(derive(&mut sequencer, 199).is_empty(), "before its end");
    let said = derive(&mut sequencer, 200);
    assert_eq!(said.len(), 2, "the best level is as it was: {said:?}");
    assert_eq!(words(&said[0]), r#"book:A@100ms delta 2 b[["4","2"]] a[]"#);
    assert_eq!(
        (
            said[1]["ch"].as_str(),
            said[1]["bp"].as_str(),
            said[1]["seq"].as_u64(),
            said[1]["ts"].as_u64()
        ),
        (Some("bbo:A@100ms"), Some("0.03"), Some(2), Some(199))
    );
    assert_eq!(sequencer.due_ns(), None);
    put(&mut sequencer, "bbo:A", quote(4), 250);
    put(&mut sequencer, "bbo:A", quote(3), 260);
    assert!(
        derive(&mut sequencer, 1000).is_empty(),
        "it says the same as before"
    );
}

#[test]
fn the_last_change_is_said_however_late_somebody_asks() {
    let (mut sequencer, _reader) = smallest();
    put(&mut sequencer, "bbo:A", quote(1), 10);
    open(&mut sequencer, "bbo:A@10s", 10).unwrap();
    put(&mut sequencer, "bbo:A", quote(2), 20);
    assert_eq!(sequencer.due_ns(), Some(10_000 * NS_PER_MS));
    assert!(derive(&mut sequencer, 9_999).is_empty());
    sequencer.hurry();
    assert_eq!(derive(&mut sequencer, 30)[0]["bp"], "0.02");
    put(&mut sequencer, "bbo:A", quote(3), 70_000);
    assert_eq!(derive(&mut sequencer, 500_000)[0]["bp"], "0.03");
}

#[test]
fn nothing_is_said_while_nobody_asks_and_numbers_go_on_when_somebody_does_again() {
    let (mut sequencer, _reader) = smallest();
    put(&mut sequencer, "book:A", delta(&[level(5, 1)]), 1);
    let id = open(&mut sequencer, "book:A/1", 1).unwrap();
    assert_eq!(open(&mut sequencer, "book:A/1", 1), Ok(id), "it may ask again");
    assert_eq!(
        sequencer.open_derived("book:A/1", 200, at(1)),
        Ok(id),
        "another shard"
    );
    put(&mut sequencer, "book:A", delta(&[level(6, 1)]), 2);
    assert_eq!(derive(&mut sequencer, 2).len(), 1);
    sequencer.close_derived(id, 0);
    put(&mut sequencer, "book:A", delta(&[level(7, 1)]), 3);
    assert_eq!(derive(&mut sequencer, 3).len(), 1, "the other shard still asks");
    put(&mut sequencer, "book:A", delta(&[level(8, 1)]), 4);
    sequencer.close_derived(id, 200);
    sequencer.invariants();
    sequencer.close_derived(id, 200);
    assert!(
        derive(&mut sequencer, 4).is_empty(),
        "what was due is due to nobody"
    );
    for n in 0..10 * i64::try_from(limits::TAPE_RECORDS_MIN).unwrap() {
        put(&mut sequencer, "trade:B", trade(n), 5);
    }
    assert_eq!(
        on_tape(&sequencer)["book:A/1"],
        [(RecordKind::Mark, 3)],
        "its number is kept, and no book"
    );
    let head = sequencer.tape().head();
    assert_eq!(open(&mut sequencer, "book:A/1", 6), Ok(id));
    assert_eq!(
        words(&payload(sequencer.tape().frame(NATIVE_JSON, head))),
        r#"book:A/1 snap 4 b[["8","1"]] a[]"#
    );
    for n in 0..10 * i64::try_from(limits::TAPE_RECORDS_MIN).unwrap() {
        put(&mut sequencer, "trade:B", trade(n), 7);
    }
    assert_eq!(
        on_tape(&sequencer)["book:A/1"],
        [(RecordKind::Image, 4)],
        "somebody may come late"
    );
}

#[test]
fn a_name_that_is_derived_cannot_be_published_to_and_others_that_look_like_one_can() {
    let (mut sequencer, _reader) = smallest();
    publish(&mut sequencer, "book:A/10", delta(&[level(1, 1)])).unwrap();
    publish(&mut sequencer, "book:A", delta(&[level(2, 1)])).unwrap();
    publish(&mut sequencer, "book:A/10", delta(&[level(3, 1)])).unwrap();
    publish(&mut sequencer, "room:A", Tick::Message("1")).unwrap();
    publish(&mut sequencer, "room:A/10", Tick::Message("1")).unwrap();
    for name in [
        "book:A/5",
        "book:A@1s",
        "book:A/5@1s",
        "book:A/10/5",
        "book:A/10@1s",
    ] {
        let refused = publish(&mut sequencer, name, delta(&[level(1, 1)]));
        assert_eq!(refused, Err(PublishError::Derived), "{name}");
    }
    open(&mut sequencer, "book:A/10@1s", 1).unwrap();
    let id = open(&mut sequencer, "book:A/5", 1).unwrap();
    let refused = publish(&mut sequencer, "book:A/5", delta(&[]));
    assert_eq!(refused, Err(PublishError::Derived));
    sequencer.close_derived(id, 0);
    let refused = publish(&mut sequencer, "book:A/5", delta(&[]));
    assert_eq!(refused, Err(PublishError::Derived));
    // What has the name is what was published: one level, of which there is no window.
    let known = &sequencer.channels[sequencer.ids["book:A/10@1s"].index()];
    let Origin::Derived(follower) = &known.origin else {
        panic!("it was opened");
    };
    assert_eq!(sequencer.channels[follower.base.index()].name(), "book:A/10");
}

#[test]
fn what_cannot_be_derived_is_refused_with_why() {
    let (sequencer, mut reader) = smallest();
    let mut sequencer = sequencer.ruled_by(wide());
    publish(&mut sequencer, "trade:A", trade(1)).unwrap();
    publish(&mut sequencer, "bbo:A", quote(1)).unwrap();
    publish(&mut sequencer, "book:A", delta(&[level(2, 1)])).unwrap();
    let intervals = limits::DERIVED_INTERVALS_MS_DEFAULT.to_vec();
    for (name, error) in [
        ("book:B/10", DeriveError::Unknown),
        ("book:B", DeriveError::Unknown),
        ("nonsense", DeriveError::Unknown),
        ("book:A/10/5", DeriveError::Unknown),
        ("trade:A@1s", DeriveError::Derivation(DerivationError::Append)),
        ("bbo:A/5", DeriveError::Derivation(DerivationError::NoBook)),
        ("book:A/0", DeriveError::Derivation(DerivationError::Depth)),
        ("book:A@5ms", DeriveError::Derivation(DerivationError::Interval)),
        (
            "book:A@2s",
            DeriveError::NotOffered(NotOffered::Interval(intervals)),
        ),
    ] {
        assert_eq!(open(&mut sequencer, name, 1), Err(error), "{name}");
    }
    assert_eq!(
        open(&mut sequencer, "book:A", 1),
        Ok(sequencer.ids["book:A"]),
        "it needs no deriving"
    );
    reader.pin();
    assert_eq!(reader.channels(), 3, "nothing was made");
    let channels_max = limits::TAPE_RECORDS_MIN / limits::DERIVED_RECORDS_DIVISOR;
    for depth in 1..=channels_max {
        open(&mut sequencer, &format!("book:A/{depth}"), 1).unwrap();
    }
    let full = DeriveError::Publish(PublishError::DerivedChannels { channels_max });
    assert_eq!(open(&mut sequencer, "book:A@1s", 1), Err(full));
    for n in sequencer.channels.len()..limits::TAPE_RECORDS_MIN / IMAGES_DIVISOR + channels_max {
        publish(&mut sequencer, &format!("bbo:{n}"), quote(1)).unwrap();
    }
    assert!(
        publish(&mut sequencer, "bbo:more", quote(1)).is_err(),
        "as many as without derived ones"
    );

    let shape = Shape {
        records: 64 * limits::DERIVED_PER_BASE_MAX,
        track_bytes: vec![limits::TRACK_BYTES_MIN],
        readers: 1,
    };
    let mut sequencer = Sequencer::new(tape::new(&shape).unwrap().0).ruled_by(wide());
    publish(&mut sequencer, "book:A", delta(&[level(2, 1)])).unwrap();
    for n in 0..limits::DERIVED_PER_BASE_MAX {
        let (depth, interval) = (n / 2 + 1, ["", "@5s"][n % 2]);
        open(&mut sequencer, &format!("book:A/{depth}{interval}"), 1).unwrap();
    }
    assert_eq!(open(&mut sequencer, "book:A@1s", 1), Err(DeriveError::BaseFull));
    sequencer.close_derived(sequencer.ids["book:A/7"], 0);
    open(&mut sequencer, "book:A@1s", 1).unwrap();
}

#[test]
fn a_channel_without_room_for_its_state_is_late_until_there_is() {
    let (mut sequencer, _reader) = smallest();
    let many = long_levels(3_500, 1);
    for name in ["book:A", "book:B", "book:C", "book:D"] {
        put(&mut sequencer, name, delta(&many), 1);
    }
    let mut opened = 0;
    for name in ["book:A@1s", "book:B@1s", "book:C@1s"] {
        open(&mut sequencer, name, 1).unwrap();
        opened += 1;
        if sequencer.images[DERIVED].is_nearly_full() {
            break;
        }
    }
    assert!(opened > 1, "there is room for some");
    assert_eq!(open(&mut sequencer, "book:D@1s", 1), Err(DeriveError::StatesFull));
    let longer = long_levels(5_900, 1);
    for name in ["book:A", "book:B"] {
        put(&mut sequencer, name, delta(&longer), 2);
    }
    let mut late = Vec::new();
    while let Some(derived) = sequencer.derive(at(1000)) {
        late.extend(derived.err());
        sequencer.settle().unwrap();
        sequencer.invariants();
    }
    assert_eq!(late.len(), 1, "one of the two has no room");
    assert_eq!(late[0].why, PublishError::ImagesFull);
    let name = sequencer.name(late[0].channel).to_owned();
    assert!(
        derive(&mut sequencer, 1999).is_empty(),
        "it is tried again in due time"
    );
    assert_eq!(sequencer.due_ns(), Some(2000 * NS_PER_MS));
    let base = &name[..name.len() - 3];
    put(
        &mut sequencer,
        base,
        book(BookUpdateKind::Snapshot, &many[..1], &[]),
        1500,
    );
    assert_eq!(derive(&mut sequencer, 2000).len(), 1);
    let known = &sequencer.channels[sequencer.ids[name.as_str()].index()];
    assert_eq!(known.book.level_counts(), (1, 0));
}

/// What a proptest may do with derived channels beside publishing.
#[derive(Clone, Debug)]
enum Step {
    Base(Op),
    Open(usize, usize),
    Close(usize, usize),
    Pass(u64),
}

const NAMES: [&str; 9] = [
    "book:0/1",
    "book:0/5",
    "book:0@100ms",
    "book:0/20@1s",
    "book:1/3",
    "bbo:0@50ms",
    "bbo:1@1s",
    "book:2@20ms",
    "trade:0@1s",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => op().prop_map(Step::Base),
        4 => (0..NAMES.len(), 0..2_usize).prop_map(|(name, shard)| Step::Open(name, shard)),
        2 => (0..NAMES.len(), 0..2_usize).prop_map(|(name, shard)| Step::Close(name, shard)),
        2 => (0..120_u64).prop_map(Step::Pass),
    ]
}

/// A reader of one derived channel, from its first message on.
#[derive(Default)]
struct Follow {
    seq: u64,
    /// Sizes by price, as they are written.
    book: [BTreeMap<String, String>; 2],
    quote: Option<Value>,
}

/// The best levels, as they are written.
fn best(book: &Book, depth: usize) -> [BTreeMap<String, String>; 2] {
    let written = |level: &Level| (level.price.to_string(), level.size.to_string());
    [
        book.bids().take(depth).map(written).collect(),
        book.asks().take(depth).map(written).collect(),
    ]
}

/// Reads what is new on the tape of derived channels, on the track of JSON.
fn follow(sequencer: &Sequencer, from: Position, follows: &mut BTreeMap<String, Follow>) {
    let tape = sequencer.tape();
    for position in (from.max(tape.tail()).number()..tape.head().number()).map(Position::new) {
        let record = tape.record(position);
        let channel = &sequencer.channels[record.channel.index()];
        if channel.is_published() || !record.kind.is_live() {
            continue;
        }
        let known = follows.entry(channel.name().to_owned()).or_default();
        assert_eq!(record.seq, known.seq + 1, "{} has no holes", channel.name());
        known.seq = record.seq;
        let said = payload(tape.frame(NATIVE_JSON, position));
        assert_eq!(said["ch"].as_str(), Some(channel.name()));
        if said["t"] == "bbo" {
            known.quote = Some(said);
            continue;
        }
        if said["k"] == "snap" {
            known.book = Default::default();
        }
        for (side, levels) in known.book.iter_mut().zip([&said["b"], &said["a"]]) {
            for level in levels.as_array().unwrap() {
                let [price, size] = [0, 1].map(|at| level[at].as_str().unwrap().to_owned());
                match size.as_str() {
                    "0" => assert!(side.remove(&price).is_some(), "only what is there is deleted"),
                    _ => drop(side.insert(price, size)),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// On the smallest tape, with a reader in the way, whatever is published, asked for and given up.
    #[test]
    fn who_reads_a_derived_channel_knows_the_window_of_its_base(
        steps in prop::collection::vec(step(), 1..150), deflated: bool, binary: bool,
    ) {
        let formats = Formats { deflated: deflated.then_some(0), binary };
        let (mut sequencer, mut reader) = smallest_writing(formats);
        let mut follows = BTreeMap::new();
        let mut ms = 1;
        for step in steps {
            let from = sequencer.tape().head();
            match step {
                Step::Open(name, shard) => {
                    let opened = sequencer.open_derived(NAMES[name], shard, at(ms));
                    prop_assert!(opened.is_ok() || from == sequencer.tape().head());
                }
                Step::Close(name, shard) => {
                    if let Some(&id) = sequencer.ids.get(NAMES[name]) {
                        sequencer.close_derived(id, shard);
                    }
                }
                Step::Pass(more) => ms += more,
                Step::Base(Op::Pin) => reader.pin(),
                Step::Base(op) => {
                    let (mut levels, mut data) = (Vec::new(), String::new());
                    let (channel, tick) = of(op, &mut levels, &mut data);
                    let event = Event { channel: &channel, ts_ns: ms, tick };
                    let _ = sequencer.publish(&event, at(ms));
                }
            }
            settle(&mut sequencer, &mut reader);
            follow(&sequencer, from, &mut follows);
            loop {
                let from = sequencer.tape().head();
                let Some(_) = sequencer.derive(at(ms)) else { break };
                settle(&mut sequencer, &mut reader);
                follow(&sequencer, from, &mut follows);
            }
            for (name, known) in &follows {
                let channel = &sequencer.channels[sequencer.ids[name.as_str()].index()];
                prop_assert_eq!(known.seq, channel.seq);
                if let Origin::Derived(follower) = &channel.origin && !follower.is_due() {
                    let base = &sequencer.channels[follower.base.index()];
                    prop_assert_eq!(&known.book, &best(&base.book, follower.depth));
                    if let Some(quote) = &known.quote {
                        let newest = payload(sequencer.tape().frame(NATIVE_JSON, base.newest));
                        for field in ["bp", "bs", "ap", "as"] {
                            prop_assert_eq!(&quote[field], &newest[field]);
                        }
                    }
                }
            }
        }
    }
}

/// The event that an operation stands for.
fn of<'a>(op: Op, levels: &'a mut Vec<Level>, data: &'a mut String) -> (String, Tick<'a>) {
    match op {
        Op::Trade(n) => (format!("trade:{n}"), trade(i64::from(n))),
        Op::Quote(n) => (format!("bbo:{n}"), quote(i64::from(n))),
        Op::Delta(n, count, from) => {
            *levels = long_levels(count, from);
            // Some are deleted, so that others enter windows.
            for level in levels.iter_mut().step_by(3) {
                level.size = Decimal::ZERO;
            }
            (format!("book:{n}"), delta(levels))
        }
        Op::Snapshot(n, count) => {
            *levels = long_levels(count, 0);
            (format!("book:{n}"), book(BookUpdateKind::Snapshot, levels, &[]))
        }
        Op::Message(bytes) => {
            data.push('"');
            data.extend(std::iter::repeat_n('x', bytes));
            data.push('"');
            ("room:A".to_owned(), Tick::Message(data))
        }
        Op::Pin => unreachable!("it is no event"),
    }
}

#[test]
fn both_encodings_and_what_is_compressed_say_the_same() {
    let (mut sequencer, _reader) = smallest_writing(ALL);
    put(&mut sequencer, "book:A", delta(&[level(5, 1), level(4, 1)]), 1);
    put(&mut sequencer, "bbo:A", quote(1), 1);
    open(&mut sequencer, "book:A/1", 1).unwrap();
    open(&mut sequencer, "bbo:A@20ms", 1).unwrap();
    for n in 0..50 {
        put(&mut sequencer, "book:A", delta(&[level(6 + n, 1)]), 2);
        put(&mut sequencer, "bbo:A", quote(2 + n), 2);
        derive(&mut sequencer, 10 * u64::try_from(n).unwrap() + 10);
    }
    assert!(super::binary::compare(&sequencer) > 10);
}
