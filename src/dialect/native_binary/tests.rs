//! Ticks there and back, beside what the other language makes of them; the schema, and the page that explains it.

mod page;
mod schema;

use proptest::prelude::*;

use super::layout::{self, book, group, header, mixed_book, msg, quote, trade};
use super::{Content, DecodeError, Message, encode};
use crate::dialect::{Stamp, native_json};
use crate::limits::BOOK_LEVELS_MAX;
use crate::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};

fn encoded(stamp: &Stamp<'_>, tick: &Tick<'_>) -> Vec<u8> {
    let mut out = b"before".to_vec();
    encode(&mut out, stamp, tick);
    out.strip_prefix(b"before").unwrap().to_vec()
}

fn json(stamp: &Stamp<'_>, tick: &Tick<'_>) -> String {
    let mut out = Vec::new();
    native_json::encode(&mut out, stamp, tick);
    String::from_utf8(out).unwrap()
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn level(price: &str, size: &str) -> Level {
    Level {
        price: decimal(price),
        size: decimal(size),
    }
}

/// One tick of each template, as the page explains them.
fn with_each(mut see: impl FnMut(&str, &Stamp<'_>, &Tick<'_>)) {
    let stamp = |channel, seq| Stamp {
        channel,
        seq,
        ts_ns: 1_723_161_600_001_000_000,
        pt_ns: 1_723_161_600_001_250_000,
    };
    let trade = Trade {
        price: decimal("61685.99"),
        size: decimal("0.50"),
        side: Side::Buy,
        id: "3724812",
    };
    see("trade", &stamp("trade:BTC-USD", 5002), &Tick::Trade(trade));
    let quote = Quote {
        bid_price: decimal("61685.98"),
        bid_size: decimal("1.5"),
        ask_price: decimal("61685.99"),
        ask_size: decimal("0.25"),
    };
    see("quote", &stamp("bbo:BTC-USD", 9), &Tick::Quote(quote));
    let books = [
        (
            "book snapshot",
            BookUpdateKind::Snapshot,
            [level("61685.98", "1.50"), level("61685.97", "0.20")],
            [level("61685.99", "0.25")],
        ),
        (
            "book delta",
            BookUpdateKind::Delta,
            [level("61685.98", "0.00"), level("61685.96", "4.00")],
            [level("61686.00", "1.00")],
        ),
        (
            "mixed book snapshot",
            BookUpdateKind::Snapshot,
            [level("61685.98", "1.5"), level("61685.9", "20")],
            [level("61686", "0.25")],
        ),
        (
            "mixed book delta",
            BookUpdateKind::Delta,
            [level("61685.98", "0"), level("61685.9", "1.5")],
            [level("61686", "1.25")],
        ),
    ];
    for (seq, (name, kind, bids, asks)) in (301..).zip(&books) {
        let (kind, bids, asks) = (*kind, bids, asks);
        see(
            name,
            &stamp("book:BTC-USD", seq),
            &Tick::Book(BookUpdate { kind, bids, asks }),
        );
    }
    let message = Stamp {
        ts_ns: 0,
        ..stamp("room:42", 18)
    };
    see("msg", &message, &Tick::Message(r#"{"hi":1}"#));
}

fn decoded(bytes: &[u8]) -> Result<Message<'_>, DecodeError> {
    // The levels live as long as the test.
    Message::decode(bytes, Box::leak(Box::default()))
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let usual = (-9_999_999_i64..9_999_999, Just(-2_i8));
    let any = (any::<i64>(), any::<i8>());
    prop_oneof![
        3 => usual.prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
        1 => any.prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent)),
        1 => Just(Decimal::ZERO),
    ]
}

fn any_levels() -> impl Strategy<Value = Vec<Level>> {
    let level = |decimal: fn() -> BoxedStrategy<Decimal>| {
        let levels = (decimal(), decimal()).prop_map(|(price, size)| Level { price, size });
        prop::collection::vec(levels, 0..5)
    };
    prop_oneof![
        level(|| any_decimal().boxed()),
        level(|| any::<i64>()
            .prop_map(|mantissa| Decimal::new(mantissa, -8))
            .boxed()),
    ]
}

/// What a tick owns.
#[derive(Clone, Debug)]
enum Owned {
    Trade(Decimal, Decimal, bool, String),
    Quote([Decimal; 4]),
    Book(bool, Vec<Level>, Vec<Level>),
    Message(String),
}

impl Owned {
    fn any() -> impl Strategy<Value = Self> {
        let decimals = || (any_decimal(), any_decimal());
        prop_oneof![
            (decimals(), any::<bool>(), "\\PC{0,60}")
                .prop_map(|((price, size), buy, id)| Self::Trade(price, size, buy, id)),
            (decimals(), decimals()).prop_map(|((a, b), (c, d))| Self::Quote([a, b, c, d])),
            (any::<bool>(), any_levels(), any_levels())
                .prop_map(|(whole, bids, asks)| Self::Book(whole, bids, asks)),
            any::<String>().prop_map(|text| Self::Message(serde_json::Value::String(text).to_string())),
        ]
    }

    fn tick(&self) -> Tick<'_> {
        match self {
            Self::Trade(price, size, buy, id) => Tick::Trade(Trade {
                price: *price,
                size: *size,
                side: if *buy { Side::Buy } else { Side::Sell },
                id,
            }),
            Self::Quote([bid_price, bid_size, ask_price, ask_size]) => Tick::Quote(Quote {
                bid_price: *bid_price,
                bid_size: *bid_size,
                ask_price: *ask_price,
                ask_size: *ask_size,
            }),
            Self::Book(whole, bids, asks) => Tick::Book(BookUpdate {
                kind: if *whole {
                    BookUpdateKind::Snapshot
                } else {
                    BookUpdateKind::Delta
                },
                bids,
                asks,
            }),
            Self::Message(data) => Tick::Message(data),
        }
    }
}

proptest! {
    #[test]
    fn what_is_read_back_is_in_json_the_same_text(
        owned in Owned::any(), channel in "[a-z]{1,9}:[!-+\\--Z]{1,40}", (seq, ts_ns, pt_ns) in any::<(u64, u64, u64)>(),
    ) {
        let tick = owned.tick();
        // A message has no `ts` in either language.
        let ts_ns = if matches!(tick, Tick::Message(_)) { 0 } else { ts_ns };
        let channel = channel.replace(['*', '"'], "x");
        let stamp = Stamp { channel: &channel, seq, ts_ns, pt_ns };
        let (bytes, mut levels) = (encoded(&stamp, &tick), vec![level("1", "2")]);
        let message = Message::decode(&bytes, &mut levels).unwrap();
        prop_assert_eq!(message.version, layout::VERSION);
        let Content::Tick(read_stamp, read_tick) = message.content else {
            return Err(TestCaseError::fail("a tick is one"));
        };
        prop_assert_eq!((read_stamp, read_tick), (stamp, tick));
        // Equal numbers may be written differently; these are written alike.
        prop_assert_eq!(json(&read_stamp, &read_tick), json(&stamp, &tick));
        prop_assert_eq!(encoded(&read_stamp, &read_tick), bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), template in 0_u16..9, block in 0_u16..70) {
        let mut message = [block, template, layout::SCHEMA, 0].map(u16::to_le_bytes).concat();
        message.extend(bytes);
        if let Err(error) = decoded(&message) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_message_that_was_cut_is_refused_wherever_it_was(owned in Owned::any(), at in any::<prop::sample::Index>()) {
        let stamp = Stamp { channel: "room:x", seq: 1, ts_ns: 2, pt_ns: 3 };
        let bytes = encoded(&stamp, &owned.tick());
        let cut = &bytes[..at.index(bytes.len())];
        let is_cut = matches!(decoded(cut), Err(DecodeError::Cut { .. }));
        prop_assert!(is_cut);
    }
}

#[test]
fn a_later_version_may_append_fields_levels_and_texts() {
    with_each(|name, stamp, tick| {
        let bytes = encoded(stamp, tick);
        let mut later = bytes.clone();
        let block = usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        later[header::BLOCK_LENGTH..2].copy_from_slice(&u16::try_from(block + 3).unwrap().to_le_bytes());
        later[header::VERSION..8].copy_from_slice(&7_u16.to_le_bytes());
        let tail = later.split_off(header::BYTES + block);
        later.extend(b"new");
        if let Tick::Book(update) = tick {
            let mut tail = tail.as_slice();
            for levels in [update.bids, update.asks] {
                let bytes = usize::from(u16::from_le_bytes([tail[0], tail[1]]));
                later.extend(u16::try_from(bytes + 2).unwrap().to_le_bytes());
                later.extend(&tail[2..group::BYTES]);
                tail = &tail[group::BYTES..];
                for _ in levels {
                    later.extend(&tail[..bytes]);
                    later.extend(b"??");
                    tail = &tail[bytes..];
                }
            }
            later.extend(tail);
        } else {
            later.extend(tail);
        }
        later.extend(b"\x05later");
        let message = decoded(&later).unwrap();
        assert_eq!(message.version, 7, "{name}");
        assert_eq!(message.content, Content::Tick(*stamp, *tick), "{name}");
    });
}

#[test]
fn a_message_of_another_kind_is_told_from_a_broken_one() {
    for template in [0, 8, 16, 17, 18, u16::MAX] {
        let bytes = [500, template, layout::SCHEMA, 3].map(u16::to_le_bytes).concat();
        let message = decoded(&bytes).unwrap();
        let content = Content::Unknown { template };
        assert_eq!(message, Message { version: 3, content });
    }
}

#[test]
fn each_fault_is_named() {
    let stamp = Stamp {
        channel: "room:42",
        seq: 1,
        ts_ns: 0,
        pt_ns: 2,
    };
    let good = encoded(&stamp, &Tick::Message("1"));
    let with = |offset: usize, bytes: &[u8]| {
        let mut message = good.clone();
        message[offset..offset + bytes.len()].copy_from_slice(bytes);
        message
    };
    let mut trade = encoded(
        &stamp,
        &Tick::Trade(Trade {
            price: Decimal::ZERO,
            size: Decimal::ZERO,
            side: Side::Sell,
            id: "é",
        }),
    );
    let end = trade.len();
    let mut not_utf8 = trade.clone();
    not_utf8[end - 1] = b'x';
    trade[header::BYTES + trade::SIDE] = 3;
    let cut = |what| DecodeError::Cut { what };
    let channel_at = header::BYTES + msg::BLOCK + layout::NAME_LENGTH;
    for (bytes, error, words) in [
        (vec![], cut("header"), "the message ends within its header"),
        (with(0, &[200]), cut("block"), "the message ends within its block"),
        (
            with(4, b"GO"),
            DecodeError::Schema { schema: 0x4f47 },
            "the message is of schema 0x4f47, not 0x5754",
        ),
        (
            with(0, &[15]),
            DecodeError::TooShort { field: "pt" },
            "the block is too short for its pt",
        ),
        (
            trade,
            DecodeError::Side { side: 3 },
            "side 3 is neither buy nor sell",
        ),
        (
            not_utf8,
            DecodeError::NotUtf8 { what: "trade's name" },
            "the trade's name is not UTF-8",
        ),
        (
            [good.as_slice(), b"..."].concat(),
            DecodeError::Trailing { bytes: 3 },
            "3 bytes follow the end of the message",
        ),
    ] {
        assert_eq!(decoded(&bytes), Err(error));
        assert_eq!(error.to_string(), words);
    }
    let unnamed = with(channel_at, b"room 42");
    assert!(matches!(decoded(&unnamed), Err(DecodeError::Channel(_))));
}

#[test]
fn each_fault_of_a_group_is_named() {
    let mut too_many = vec![0; header::BYTES + mixed_book::BLOCK];
    too_many[..8].copy_from_slice(
        &[24, mixed_book::DELTA, layout::SCHEMA, 0]
            .map(u16::to_le_bytes)
            .concat(),
    );
    too_many.extend([18, u16::MAX].map(u16::to_le_bytes).concat());
    let mut no_level = too_many.clone();
    let groups = header::BYTES + mixed_book::BLOCK;
    no_level[groups..].copy_from_slice(&[0, 1].map(u16::to_le_bytes).concat());
    for (bytes, error, words) in [
        (
            too_many,
            DecodeError::Levels { levels: 65_535 },
            "a side has 65535 levels, at most 6000 are allowed",
        ),
        (
            no_level,
            DecodeError::TooShort {
                field: "level's price",
            },
            "the block is too short for its level's price",
        ),
    ] {
        assert_eq!(decoded(&bytes), Err(error));
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn the_fullest_book_is_read_back() {
    let levels: Vec<Level> = (0..i64::try_from(BOOK_LEVELS_MAX).unwrap())
        .map(|n| Level {
            price: Decimal::new(n, -2),
            size: Decimal::new(1, i8::try_from(n % 2).unwrap()),
        })
        .collect();
    let kind = BookUpdateKind::Snapshot;
    let (bids, asks) = (levels.as_slice(), levels.as_slice());
    let tick = Tick::Book(BookUpdate { kind, bids, asks });
    let stamp = Stamp {
        channel: "book:x",
        seq: 1,
        ts_ns: 2,
        pt_ns: 3,
    };
    let bytes = encoded(&stamp, &tick);
    assert_eq!(
        bytes.len(),
        header::BYTES
            + mixed_book::BLOCK
            + 2 * (group::BYTES + BOOK_LEVELS_MAX * mixed_book::LEVEL)
            + layout::NAME_LENGTH
            + 6
    );
    assert_eq!(decoded(&bytes).unwrap().content, Content::Tick(stamp, tick));
}

/// The writer counts on it where it looks for room.
#[test]
fn only_a_book_can_be_longer_than_in_json() {
    let stamp = Stamp {
        channel: "a:b",
        seq: 0,
        ts_ns: 0,
        pt_ns: 0,
    };
    let none = Decimal::ZERO;
    let trade = Trade {
        price: none,
        size: none,
        side: Side::Buy,
        id: "",
    };
    let quote = Quote {
        bid_price: none,
        bid_size: none,
        ask_price: none,
        ask_size: none,
    };
    for tick in [
        Tick::Trade(trade),
        Tick::Trade(Trade { id: "x", ..trade }),
        Tick::Quote(quote),
        Tick::Message("1"),
    ] {
        assert!(
            encoded(&stamp, &tick).len() <= json(&stamp, &tick).len(),
            "{tick:?}"
        );
    }
}

#[test]
fn what_there_is_room_for_is_written_where_it_is() {
    with_each(|name, stamp, tick| {
        let bytes = encoded(stamp, tick).len();
        let mut out = Vec::with_capacity(bytes);
        let before = (out.as_ptr(), out.capacity());
        encode(&mut out, stamp, tick);
        assert_eq!((out.as_ptr(), out.capacity()), before, "{name}");
    });
}
