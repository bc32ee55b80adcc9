//! The sequencer on the smallest tape that there may be: numbers, refusals, images, and room that is always found.

use super::*;
use crate::base::Prng;
use crate::market::{BookError, Decimal, Quote, Side, Trade};
use crate::tape::{self, Reader, Shape};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

mod binary;
mod classes;
mod compression;
mod derived;

/// The smallest tape that there may be.
fn smallest() -> (Sequencer, Reader) {
    smallest_writing(Formats::default())
}

/// The same in these forms.
fn smallest_writing(formats: Formats) -> (Sequencer, Reader) {
    let shape = Shape {
        records: limits::TAPE_RECORDS_MIN,
        track_bytes: vec![limits::TRACK_BYTES_MIN; formats.tracks()],
        readers: 1,
    };
    let (writer, mut readers) = tape::new(&shape).unwrap();
    (Sequencer::writing(writer, formats), readers.remove(0))
}

/// In every form that there is, and compressed whatever becomes shorter by it.
const ALL: Formats = Formats {
    deflated: Some(0),
    binary: true,
};

fn at(ms: u64) -> Now {
    Now {
        mono_ns: ms * 1_000_000,
        wall_ns: 1_700_000_000_000_000_000 + ms * 1_000_000,
    }
}

fn publish(sequencer: &mut Sequencer, channel: &str, tick: Tick<'_>) -> Result<(), PublishError> {
    let event = Event {
        channel,
        ts_ns: 1,
        tick,
    };
    let published = sequencer.publish(&event, at(1));
    sequencer.settle().unwrap();
    sequencer.invariants();
    published
}

fn trade(price: i64) -> Tick<'static> {
    Tick::Trade(Trade {
        price: Decimal::new(price, -2),
        size: Decimal::new(1, 0),
        side: Side::Buy,
        id: "",
    })
}

fn quote(price: i64) -> Tick<'static> {
    let price = Decimal::new(price, -2);
    let size = Decimal::new(1, 0);
    Tick::Quote(Quote {
        bid_price: price,
        bid_size: size,
        ask_price: price,
        ask_size: size,
    })
}

/// Levels whose text is as long as there is.
fn long_levels(count: usize, first: i64) -> Vec<Level> {
    let number = |n: i64| {
        Decimal::new(
            -100_000_000_000_000_000 - n,
            limits::DECIMAL_EXPONENT_MAX.cast_signed(),
        )
    };
    let positive = |n: i64| Decimal::new(number(n).mantissa().abs(), number(n).exponent());
    (first..)
        .take(count)
        .map(|n| Level {
            price: number(n),
            size: positive(n),
        })
        .collect()
}

fn book<'a>(kind: BookUpdateKind, bids: &'a [Level], asks: &'a [Level]) -> Tick<'a> {
    Tick::Book(BookUpdate { kind, bids, asks })
}

fn delta(bids: &[Level]) -> Tick<'_> {
    book(BookUpdateKind::Delta, bids, &[])
}

/// What the tape holds of each channel: kind and number of each record, oldest first.
fn on_tape(sequencer: &Sequencer) -> BTreeMap<String, Vec<(RecordKind, u64)>> {
    let tape = sequencer.tape();
    let mut found: BTreeMap<String, Vec<(RecordKind, u64)>> = BTreeMap::new();
    for number in tape.tail().number()..tape.head().number() {
        let record = tape.record(Position::new(number));
        let name = sequencer.channels[record.channel.index()].name().to_owned();
        found.entry(name).or_default().push((record.kind, record.seq));
    }
    found
}

fn payload(frame: &[u8]) -> Value {
    serde_json::from_slice(journaled::text_of(frame)).unwrap()
}

#[test]
fn each_channel_counts_from_1_whatever_comes_in_between() {
    let (mut sequencer, _reader) = smallest();
    for round in 1..=5 {
        publish(&mut sequencer, "trade:A", trade(round)).unwrap();
        publish(&mut sequencer, "trade:B", trade(round)).unwrap();
        publish(&mut sequencer, "bbo:A", quote(round)).unwrap();
        publish(&mut sequencer, "bbo:A", trade(round)).unwrap_err();
    }
    let numbers = |kind| (1..=5).map(|seq| (kind, seq)).collect::<Vec<_>>();
    let found = on_tape(&sequencer);
    assert_eq!(found["trade:A"], numbers(RecordKind::Live));
    assert_eq!(found["trade:B"], numbers(RecordKind::Live));
    assert_eq!(found["bbo:A"], numbers(RecordKind::State));
}

#[test]
fn a_channel_whose_first_message_is_refused_does_not_exist() {
    let (mut sequencer, mut reader) = smallest();
    let negative = [Level {
        price: Decimal::new(1, 0),
        size: Decimal::new(-1, 0),
    }];
    assert!(matches!(
        publish(&mut sequencer, "book:A", delta(&negative)),
        Err(PublishError::Book(_))
    ));
    let data = format!("\"{}\"", "x".repeat(limits::FRAME_BYTES_MAX));
    assert!(matches!(
        publish(&mut sequencer, "room:A", Tick::Message(&data)),
        Err(PublishError::TooLong { .. })
    ));
    reader.pin();
    assert_eq!(reader.channels(), 0);
    publish(&mut sequencer, "room:B", Tick::Message("1")).unwrap();
    reader.pin();
    assert_eq!(
        (reader.channels(), reader.channel(ChannelId::new(0)).name),
        (1, "room:B")
    );
}

#[test]
fn a_message_of_another_kind_than_its_channels_is_refused() {
    let (mut sequencer, _reader) = smallest();
    let ticks = [trade(1), quote(1), delta(&[]), Tick::Message("1")];
    for (fits, channel) in ["trade:A", "bbo:A", "book:A", "room:A"].into_iter().enumerate() {
        for (index, tick) in ticks.into_iter().enumerate() {
            let published = publish(&mut sequencer, channel, tick);
            if index == fits {
                assert_eq!(published, Ok(()));
            } else {
                assert!(
                    matches!(published, Err(PublishError::Kind { .. })),
                    "{channel} {tick:?}"
                );
            }
        }
    }
    assert!(matches!(
        publish(&mut sequencer, "trade", trade(1)),
        Err(PublishError::Name(_))
    ));
}

#[test]
fn there_are_only_so_many_channels_and_kinds() {
    let (mut sequencer, _reader) = smallest();
    let channels_max = limits::TAPE_RECORDS_MIN / IMAGES_DIVISOR;
    for n in 0..channels_max {
        publish(&mut sequencer, &format!("bbo:{n}"), quote(1)).unwrap();
    }
    let refused = publish(&mut sequencer, "bbo:more", quote(1));
    assert_eq!(refused, Err(PublishError::Channels { channels_max }));

    let shape = Shape {
        records: 4 * 2 * limits::KINDS_MAX,
        track_bytes: vec![limits::TRACK_BYTES_MIN],
        readers: 1,
    };
    let mut sequencer = Sequencer::new(tape::new(&shape).unwrap().0);
    for n in 0..limits::KINDS_MAX {
        publish(&mut sequencer, &format!("k{n}:A"), Tick::Message("1")).unwrap();
    }
    assert_eq!(
        publish(&mut sequencer, "more:A", Tick::Message("1")),
        Err(PublishError::Kinds)
    );
    publish(&mut sequencer, "k0:B", Tick::Message("1")).unwrap();
}

#[test]
fn quiet_channels_keep_their_state_and_their_number_through_many_laps() {
    let (mut sequencer, _reader) = smallest();
    let levels = long_levels(3, 1);
    let positive: Vec<Level> = levels.clone();
    publish(&mut sequencer, "bbo:A", quote(7)).unwrap();
    publish(&mut sequencer, "trade:A", trade(7)).unwrap();
    publish(&mut sequencer, "book:A", delta(&positive)).unwrap();
    publish(
        &mut sequencer,
        "book:A",
        delta(&[Level {
            size: Decimal::ZERO,
            ..levels[0]
        }]),
    )
    .unwrap();
    for n in 0..20 * i64::try_from(limits::TAPE_RECORDS_MIN).unwrap() {
        publish(&mut sequencer, "trade:B", trade(n)).unwrap();
    }
    let found = on_tape(&sequencer);
    assert_eq!(found["bbo:A"], [(RecordKind::Image, 1)]);
    assert_eq!(found["trade:A"], [(RecordKind::Mark, 1)]);
    assert_eq!(found["book:A"], [(RecordKind::Image, 2)]);
    let tape = sequencer.tape();
    let image = |name: &str| {
        let channel = &sequencer.channels[sequencer.ids[name].index()];
        payload(tape.frame(NATIVE_JSON, channel.image))
    };
    assert_eq!(
        (image("bbo:A")["bp"].as_str(), image("bbo:A")["seq"].as_u64()),
        (Some("0.07"), Some(1))
    );
    assert_eq!(image("book:A")["seq"], 2);
    assert_eq!(image("book:A")["b"].as_array().unwrap().len(), 2);
}

#[test]
fn a_book_is_imaged_when_its_deltas_have_grown_as_long_as_its_image_was() {
    let (mut sequencer, _reader) = smallest();
    let levels = long_levels(100, 1);
    publish(&mut sequencer, "book:A", delta(&levels)).unwrap();
    let mut kinds = Vec::new();
    for n in 0..2000 {
        let before = sequencer.tape().head();
        publish(&mut sequencer, "book:A", delta(&levels[n % 100..][..1])).unwrap();
        kinds.push(sequencer.tape().record(before).kind);
        let newest = sequencer.channels[0].newest;
        kinds.extend((newest > before).then(|| sequencer.tape().record(before.next()).kind));
    }
    let images: Vec<usize> = (0..kinds.len())
        .filter(|&at| kinds[at] == RecordKind::Image)
        .collect();
    let gaps: Vec<usize> = images.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        images.len() > 10 && gaps.iter().all(|&gap| (32..=513).contains(&gap)),
        "{gaps:?}"
    );
}

#[test]
fn a_reader_in_the_way_delays_what_is_staged_and_loses_nothing() {
    let (mut sequencer, mut reader) = smallest();
    publish(&mut sequencer, "bbo:A", quote(1)).unwrap();
    reader.pin();
    let mut published = 0;
    let pinned = loop {
        let event = Event {
            channel: "trade:A",
            ts_ns: 1,
            tick: trade(published),
        };
        sequencer.publish(&event, at(1)).unwrap();
        published += 1;
        if let Err(pinned) = sequencer.settle() {
            break pinned;
        }
    };
    assert_eq!(pinned, Unsettled::Pinned { reader: 0 });
    assert_eq!(sequencer.settle(), Err(Unsettled::Pinned { reader: 0 }));
    reader.pin();
    sequencer.settle().unwrap();
    sequencer.invariants();
    let found = on_tape(&sequencer);
    assert_eq!(
        found["trade:A"].last(),
        Some(&(RecordKind::Live, u64::try_from(published).unwrap()))
    );
    assert!(found["trade:A"].windows(2).all(|pair| pair[0].1 + 1 == pair[1].1));
    assert_eq!(
        found["bbo:A"].iter().filter(|(_, seq)| *seq == 1).count(),
        found["bbo:A"].len()
    );
    let _ = reader.park(Position::FIRST);
}

/// Books that were short when their images were written and have grown since: each is longer than what it frees.
#[test]
fn books_that_have_grown_together_are_kept_on_the_smallest_tape() {
    let (mut sequencer, _reader) = smallest();
    let short = long_levels(1, 1);
    let (long_bids, long_asks) = (long_levels(5_900, 1), long_levels(5_900, 1));
    let names: Vec<String> = (0..12).map(|n| format!("book:{n}")).collect();
    for name in &names {
        publish(&mut sequencer, name, delta(&short)).unwrap();
    }
    let mut grown = 0;
    for name in &names {
        let tick = book(BookUpdateKind::Delta, &long_bids, &long_asks);
        match publish(&mut sequencer, name, tick) {
            Ok(()) => grown += 1,
            Err(error) => assert_eq!(error, PublishError::ImagesFull),
        }
    }
    assert!(
        (3..names.len()).contains(&grown),
        "{grown} books fill a quarter of the tape"
    );
    let data = longest_message();
    for _ in 0..40 {
        publish(&mut sequencer, "room:A", Tick::Message(&data)).unwrap();
    }
}

/// The longest event at the very moment that an image is due, when the oldest record is a full book.
#[test]
fn the_longest_deltas_and_images_find_room_on_the_smallest_tape() {
    let (mut sequencer, _reader) = smallest();
    let mut prng = Prng::new(1);
    let (bids, asks) = (
        long_levels(limits::BOOK_LEVELS_MAX, 1),
        long_levels(limits::BOOK_LEVELS_MAX, 1),
    );
    let data = longest_message();
    for _ in 0..100 {
        for name in ["book:A", "book:B", "book:C"] {
            let tick = book(BookUpdateKind::Delta, &bids, &asks);
            publish(&mut sequencer, name, tick).unwrap();
        }
        let skipped = usize::try_from(prng.below(limits::FRAME_BYTES_MAX as u64 - 300)).unwrap();
        let message = format!("\"{}", &data[1 + skipped..]);
        publish(&mut sequencer, "room:A", Tick::Message(&message)).unwrap();
    }
}

fn longest_message() -> String {
    format!("\"{}\"", "x".repeat(limits::FRAME_BYTES_MAX - 200))
}

/// What a proptest may publish.
#[derive(Clone, Debug)]
enum Op {
    Trade(u8),
    Quote(u8),
    Delta(u8, usize, i64),
    Snapshot(u8, usize),
    Message(usize),
    Pin,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Op::Trade),
        4 => (0..4_u8).prop_map(Op::Quote),
        4 => (0..4_u8, 0..6_000_usize, 0..9_000_i64).prop_map(|(c, n, from)| Op::Delta(c, n, from)),
        1 => (0..4_u8, 0..6_000_usize).prop_map(|(c, n)| Op::Snapshot(c, n)),
        1 => (0..limits::FRAME_BYTES_MAX).prop_map(Op::Message),
        1 => Just(Op::Pin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn numbers_and_images_survive_whatever_is_published(ops in prop::collection::vec(op(), 1..150), deflated: bool, binary: bool) {
        let (mut sequencer, mut reader) = smallest_writing(Formats { deflated: deflated.then_some(0), binary });
        let mut seqs: BTreeMap<String, u64> = BTreeMap::new();
        let mut books: BTreeMap<String, Book> = BTreeMap::new();
        for op in ops {
            let mut levels = Vec::new();
            let mut data = String::new();
            let (channel, tick) = match op {
                Op::Trade(n) => (format!("trade:{n}"), trade(i64::from(n))),
                Op::Quote(n) => (format!("bbo:{n}"), quote(i64::from(n))),
                Op::Delta(n, count, from) => {
                    levels = long_levels(count, from);
                    (format!("book:{n}"), delta(&levels))
                }
                Op::Snapshot(n, count) => {
                    levels.extend(long_levels(count, 0));
                    (format!("book:{n}"), book(BookUpdateKind::Snapshot, &levels, &[]))
                }
                Op::Message(bytes) => {
                    data.extend(std::iter::once('"').chain(std::iter::repeat_n('x', bytes)).chain(std::iter::once('"')));
                    ("room:A".to_owned(), Tick::Message(&data))
                }
                Op::Pin => {
                    reader.pin();
                    continue;
                }
            };
            let event = Event { channel: &channel, ts_ns: 1, tick };
            let head = sequencer.tape().head();
            let published = sequencer.publish(&event, at(1));
            while sequencer.settle().is_err() {
                reader.pin();
            }
            sequencer.invariants();
            match published {
                Ok(()) => {
                    *seqs.entry(channel.clone()).or_default() += 1;
                    if let Tick::Book(update) = tick {
                        books.entry(channel.clone()).or_default().apply(&update).unwrap();
                    }
                    prop_assert_eq!(sequencer.tape().record(head).seq, seqs[&channel]);
                }
                Err(_) => prop_assert_eq!(sequencer.tape().head(), head, "nothing went out"),
            }
            for known in &sequencer.channels {
                prop_assert_eq!(Some(&known.seq), seqs.get(known.name()));
                if let Some(book) = books.get(known.name()) {
                    prop_assert!(known.book.bids().eq(book.bids()) && known.book.asks().eq(book.asks()));
                }
            }
        }
    }
}
