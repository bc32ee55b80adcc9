//! Ticks, line by line, and as another parser reads them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::dialect::native_json::Input;

const STAMP: Stamp<'_> = Stamp {
    channel: "trade:BTC-USD",
    seq: 5002,
    ts_ns: 17,
    pt_ns: 18,
};

fn encoded(stamp: &Stamp<'_>, tick: &Tick<'_>) -> String {
    let mut out = b"before".to_vec();
    encode(&mut out, stamp, tick);
    String::from_utf8(out)
        .unwrap()
        .strip_prefix("before")
        .unwrap()
        .to_owned()
}

#[test]
fn a_trade_is_written_as_the_protocol_shows() {
    let (price, size) = (Decimal::new(6_168_599_000_000, -8), Decimal::new(5, -1));
    let trade = Trade {
        price,
        size,
        side: Side::Buy,
        id: "T\"1",
    };
    assert_eq!(
        encoded(&STAMP, &Tick::Trade(trade)),
        r#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"ts":17,"pt":18,"px":"61685.99000000","sz":"0.5","side":"buy","tid":"T\"1"}"#
    );
    let trade = Trade {
        side: Side::Sell,
        id: "",
        ..trade
    };
    assert_eq!(
        encoded(&STAMP, &Tick::Trade(trade)),
        r#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"ts":17,"pt":18,"px":"61685.99000000","sz":"0.5","side":"sell"}"#
    );
}

#[test]
fn a_quote_is_written_as_the_protocol_shows() {
    let stamp = Stamp {
        channel: "bbo:BTC-USD",
        seq: 9,
        ..STAMP
    };
    let quote = Quote {
        bid_price: Decimal::new(-3763, -2),
        bid_size: Decimal::new(2, 0),
        ask_price: Decimal::new(-3762, -2),
        ask_size: Decimal::ZERO,
    };
    assert_eq!(
        encoded(&stamp, &Tick::Quote(quote)),
        r#"{"t":"bbo","ch":"bbo:BTC-USD","seq":9,"ts":17,"pt":18,"bp":"-37.63","bs":"2","ap":"-37.62","as":"0"}"#
    );
}

#[test]
fn a_book_is_written_as_the_protocol_shows() {
    let stamp = Stamp {
        channel: "book:BTC-USD",
        ..STAMP
    };
    let level = |price, size| Level {
        price: Decimal::new(price, -1),
        size: Decimal::new(size, 0),
    };
    let snapshot = BookUpdate {
        kind: BookUpdateKind::Snapshot,
        bids: &[level(99, 1), level(98, 20)],
        asks: &[level(101, 3)],
    };
    assert_eq!(
        encoded(&stamp, &Tick::Book(snapshot)),
        r#"{"t":"book","ch":"book:BTC-USD","k":"snap","seq":5002,"ts":17,"pt":18,"b":[["9.9","1"],["9.8","20"]],"a":[["10.1","3"]]}"#
    );
    let delta = BookUpdate {
        kind: BookUpdateKind::Delta,
        bids: &[],
        asks: &[level(101, 0)],
    };
    assert_eq!(
        encoded(&stamp, &Tick::Book(delta)),
        r#"{"t":"book","ch":"book:BTC-USD","k":"delta","seq":5002,"ts":17,"pt":18,"b":[],"a":[["10.1","0"]]}"#
    );
}

#[test]
fn a_message_is_its_publishers_own_text() {
    let stamp = Stamp {
        channel: "room:42",
        seq: 18,
        ..STAMP
    };
    let data = "{ \"hi\" : [1e5, \"\\u00e9\"] }";
    let expected = format!("{{\"t\":\"msg\",\"ch\":\"room:42\",\"seq\":18,\"pt\":18,\"data\":{data}}}");
    assert_eq!(encoded(&stamp, &Tick::Message(data)), expected);
}

#[test]
fn the_longest_envelope_fits_the_room_that_is_reserved() {
    let channel = format!("kind:{}", "x".repeat(crate::limits::CHANNEL_NAME_BYTES_MAX - 5));
    let stamp = Stamp {
        channel: &channel,
        seq: u64::MAX,
        ts_ns: u64::MAX,
        pt_ns: u64::MAX,
    };
    let side = Trade {
        price: Decimal::ZERO,
        size: Decimal::ZERO,
        side: Side::Sell,
        id: "x",
    };
    let update = BookUpdate {
        kind: BookUpdateKind::Delta,
        bids: &[],
        asks: &[],
    };
    for tick in [Tick::Trade(side), Tick::Book(update), Tick::Message("1")] {
        let mut out = Vec::new();
        encode(&mut out, &stamp, &tick);
        assert!(out.len() <= ENVELOPE_BYTES, "{}", out.len());
    }
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let mantissa = -999_999_999_999_999_999_i64..=999_999_999_999_999_999;
    (prop_oneof![mantissa, -5_i64..5], -12_i8..=0)
        .prop_map(|(mantissa, exponent)| Decimal::new(mantissa, exponent))
}

fn any_size() -> impl Strategy<Value = Decimal> {
    any_decimal().prop_map(|size| Decimal::new(size.mantissa().abs(), size.exponent()))
}

fn any_levels() -> impl Strategy<Value = Vec<Level>> {
    prop::collection::vec(
        (any_decimal(), any_size()).prop_map(|(price, size)| Level { price, size }),
        0..6,
    )
}

fn any_stamp() -> impl Strategy<Value = (u64, u64, u64)> {
    any::<(u64, u64, u64)>()
}

fn value(stamp: &Stamp<'_>, tick: &Tick<'_>) -> Value {
    serde_json::from_str(&encoded(stamp, tick)).unwrap()
}

fn pairs(levels: &[Level]) -> Value {
    levels
        .iter()
        .map(|level| json!([level.price.to_string(), level.size.to_string()]))
        .collect()
}

/// Reads the encoded tick as an input line, which it is but for `seq` and `pt`.
fn reads_back(stamp: &Stamp<'_>, tick: &Tick<'_>) -> Result<(), TestCaseError> {
    let (line, mut scratch) = (encoded(stamp, tick), Vec::new());
    let input = Input::parse(line.as_bytes(), &mut scratch).unwrap();
    prop_assert_eq!(input.channel.as_str(), stamp.channel);
    prop_assert_eq!(&input.tick, tick);
    prop_assert_eq!(
        input.ts_ns,
        if matches!(tick, Tick::Message(_)) {
            None
        } else {
            Some(stamp.ts_ns)
        }
    );
    Ok(())
}

proptest! {
    #[test]
    fn another_parser_reads_the_same_trade(
        (seq, ts_ns, pt_ns) in any_stamp(), price in any_decimal(), size in any_size(), buy in any::<bool>(), id in any::<String>(),
    ) {
        let stamp = Stamp { seq, ts_ns, pt_ns, ..STAMP };
        let side = if buy { Side::Buy } else { Side::Sell };
        let trade = Tick::Trade(Trade { price, size, side, id: &id });
        let mut expected = json!({
            "t": "trade", "ch": STAMP.channel, "seq": seq, "ts": ts_ns, "pt": pt_ns,
            "px": price.to_string(), "sz": size.to_string(), "side": if buy { "buy" } else { "sell" },
        });
        if !id.is_empty() {
            expected["tid"] = json!(id);
        }
        prop_assert_eq!(value(&stamp, &trade), expected);
    }

    #[test]
    fn another_parser_reads_the_same_quote(
        (seq, ts_ns, pt_ns) in any_stamp(),
        bid_price in any_decimal(), bid_size in any_size(), ask_price in any_decimal(), ask_size in any_size(),
    ) {
        let stamp = Stamp { seq, ts_ns, pt_ns, channel: "bbo:x" };
        let quote = Tick::Quote(Quote { bid_price, bid_size, ask_price, ask_size });
        let expected = json!({
            "t": "bbo", "ch": "bbo:x", "seq": seq, "ts": ts_ns, "pt": pt_ns,
            "bp": bid_price.to_string(), "bs": bid_size.to_string(),
            "ap": ask_price.to_string(), "as": ask_size.to_string(),
        });
        prop_assert_eq!(value(&stamp, &quote), expected);
        reads_back(&stamp, &quote)?;
    }

    #[test]
    fn another_parser_reads_the_same_book(
        (seq, ts_ns, pt_ns) in any_stamp(), whole in any::<bool>(), bids in any_levels(), asks in any_levels(),
    ) {
        let stamp = Stamp { seq, ts_ns, pt_ns, channel: "book:x" };
        let kind = if whole { BookUpdateKind::Snapshot } else { BookUpdateKind::Delta };
        let book = Tick::Book(BookUpdate { kind, bids: &bids, asks: &asks });
        let expected = json!({
            "t": "book", "ch": "book:x", "k": if whole { "snap" } else { "delta" },
            "seq": seq, "ts": ts_ns, "pt": pt_ns, "b": pairs(&bids), "a": pairs(&asks),
        });
        prop_assert_eq!(value(&stamp, &book), expected);
        reads_back(&stamp, &book)?;
    }

    #[test]
    fn another_parser_reads_the_same_message(
        (seq, ts_ns, pt_ns) in any_stamp(), texts in prop::collection::vec(any::<String>(), 0..4), number in any::<i64>(),
    ) {
        let stamp = Stamp { seq, ts_ns, pt_ns, channel: "room:x" };
        let data = json!({ "texts": texts, "number": number, "none": null });
        let text = data.to_string();
        let message = Tick::Message(&text);
        let expected = json!({ "t": "msg", "ch": "room:x", "seq": seq, "pt": pt_ns, "data": data });
        prop_assert_eq!(value(&stamp, &message), expected);
        reads_back(&stamp, &message)?;
    }
}
