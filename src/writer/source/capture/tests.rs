//! Replays: every kind of line, every fault, any chunking.

mod files;

use proptest::prelude::*;

use super::recording::Recording;
use super::*;
use crate::limits::{BOOK_LEVELS_MAX, SOURCE_LINE_BYTES_MAX};
use crate::market::{BookUpdate, BookUpdateKind, Level, Tick};
use crate::writer::source::Fault;

const NOW: Now = Now {
    mono_ns: 1_000,
    wall_ns: 0,
};

/// Everything that a text plays at full speed, as text, and the tally.
fn play(input: &[u8], chunk_bytes: usize) -> (Vec<String>, Tally) {
    let mut recording = Recording::new(Speed::Max);
    let mut events = Vec::new();
    for chunk in input.chunks(chunk_bytes) {
        recording.input().push(chunk);
        while let Next::Event(event) = recording.next(NOW) {
            events.push(format!("{event:?}"));
        }
        assert!(recording.needs_bytes());
    }
    recording.input().finish();
    while let Next::Event(event) = recording.next(NOW) {
        events.push(format!("{event:?}"));
    }
    assert_eq!(recording.next(NOW), Next::End);
    (events, recording.tally().clone())
}

fn delta(symbol: &str, first: u64, last: u64, bids: &str) -> String {
    let (upper, ms) = (symbol.to_uppercase(), 1_723_161_601_000 + last);
    format!(
        r#"{ms}000000 {{"stream":"{symbol}@depth@100ms","data":{{"e":"depthUpdate","E":{ms},"s":"{upper}","U":{first},"u":{last},"b":[{bids}],"a":[]}}}}"#
    )
}

fn on(stream: &str, data: &str) -> String {
    format!(r#"1 {{"stream":"{stream}","data":{{{data}}}}}"#)
}

fn bad(line: &str) -> Fault {
    let (events, tally) = play(line.as_bytes(), usize::MAX);
    assert_eq!((events.len(), tally.bad_lines()), (0, 1), "{line}");
    Fault::ALL
        .into_iter()
        .find(|&fault| tally.bad(fault) == 1)
        .unwrap()
}

#[test]
fn each_stream_becomes_its_tick() {
    let input = concat!(
        r#"7 {"stream":"ethusdt@trade","data":{"e":"trade","E":11,"s":"ETHUSDT","t":99,"p":"2600.10","q":"0.0200","T":10,"m":true,"M":true}}"#,
        "\r\n\r\n",
        r#"8 {"data":{"T":12,"m":false,"s":"ETHUSDT","t":100,"p":"2600.20","q":"1"},"stream":"ethusdt@trade"}"#,
        "\n",
        r#"9 {"stream":"ethusdt@bookTicker","data":{"u":1,"s":"ETHUSDT","b":"2600.1","B":"3.0","a":"2600.2","A":"0.00"}}"#,
        "\n",
        r#"10 {"stream":"ethusdt@depth","data":{"E":13,"s":"ETHUSDT","U":5,"u":6,"b":[["1.0","2.50"],["0.9","0.00"]],"a":[]}}"#,
    );
    let mut recording = Recording::new(Speed::Max);
    recording.input().push(input.as_bytes());
    recording.input().finish();
    let mut got = Vec::new();
    while let Next::Event(event) = recording.next(NOW) {
        let what = match event.tick {
            Tick::Trade(trade) => {
                format!("{} {} {:?} {}", trade.price, trade.size, trade.side, trade.id)
            }
            Tick::Quote(quote) => format!(
                "{} {} {} {}",
                quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size
            ),
            Tick::Book(BookUpdate { kind, bids, asks }) => {
                let text = |levels: &[Level]| -> String {
                    levels
                        .iter()
                        .map(|level| format!(" {}x{}", level.size, level.price))
                        .collect()
                };
                format!("{kind:?}{} |{}", text(bids), text(asks))
            }
            Tick::Message(_) => panic!("a capture has no messages"),
        };
        got.push(format!("{} {} {what}", event.channel, event.ts_ns));
    }
    assert_eq!(
        got,
        [
            "trade:ETHUSDT 10000000 2600.10 0.0200 Sell 99",
            "trade:ETHUSDT 12000000 2600.20 1 Buy 100",
            "bbo:ETHUSDT 9 2600.1 3.0 2600.2 0.00",
            "book:ETHUSDT 13000000 Delta 2.50x1.0 0.00x0.9 |",
        ]
    );
    let tally = recording.tally();
    assert_eq!(
        (
            tally.lines,
            tally.trades,
            tally.quotes,
            tally.books,
            tally.bad_lines()
        ),
        (5, 2, 1, 1, 0)
    );
}

#[test]
fn what_is_not_a_line_of_a_capture_is_told_apart() {
    let cases = [
        ("{}", Fault::ReceiveTime),
        (r#"x {"a":1}"#, Fault::ReceiveTime),
        ("+1 {}", Fault::ReceiveTime),
        ("99999999999999999999 {}", Fault::ReceiveTime),
        ("1 {", Fault::Json),
        ("1 {} {}", Fault::Json),
        ("1 {}", Fault::Shape),
        ("1 []", Fault::Shape),
        (r#"1 {"stream":"a@trade"}"#, Fault::Shape),
        (r#"1 {"lastUpdateId":1,"bids":[],"asks":[]}"#, Fault::Name),
    ];
    for (line, fault) in cases {
        assert_eq!(bad(line), fault, "{line}");
    }
    assert_eq!(
        bad(&("1 ".to_owned() + &"x".repeat(SOURCE_LINE_BYTES_MAX))),
        Fault::TooLong
    );
    let (events, tally) = play(b"1 {\"stream\":\"\xff\"}\n", usize::MAX);
    assert_eq!((events.len(), tally.bad(Fault::NotUtf8)), (0, 1));
}

#[test]
fn every_way_for_a_message_to_be_bad_is_told_apart() {
    let trade = r#""s":"A","t":1,"p":"1","q":"1","T":1,"m":true"#;
    let depth = |levels: &str| {
        on(
            "a@depth",
            &format!(r#""E":1,"s":"A","U":1,"u":1,"b":[{levels}],"a":[]"#),
        )
    };
    let many = r#"["1","1"],"#.repeat(BOOK_LEVELS_MAX) + r#"["1","1"]"#;
    let cases = [
        (on("a@trade", r#""s":"A""#), Fault::Shape),
        (on("a@trade", &trade.replace("\"1\"", "1")), Fault::Shape),
        (
            on("a@trade", &trade.replace("\"t\":1", "\"t\":1,\"t\":2")),
            Fault::Shape,
        ),
        (on("a@kline_1m", trade), Fault::Kind),
        (on("nothing", trade), Fault::Kind),
        (
            on("a@depth20@100ms", r#""lastUpdateId":1,"bids":[],"asks":[]"#),
            Fault::Kind,
        ),
        (on("b@trade", trade), Fault::Name),
        (on("a b@trade", &trade.replace("\"A\"", "\"A B\"")), Fault::Name),
        (on("@trade", &trade.replace("\"A\"", "\"\"")), Fault::Name),
        (
            on(
                &format!("{}@trade", "a".repeat(99)),
                &trade.replace("\"A\"", &format!("\"{}\"", "A".repeat(99))),
            ),
            Fault::Name,
        ),
        (
            on("a@trade", &trade.replace("\"p\":\"1\"", "\"p\":\"1x\"")),
            Fault::Number,
        ),
        (
            on("a@trade", &trade.replace("\"q\":\"1\"", "\"q\":\"-1\"")),
            Fault::Number,
        ),
        (
            on("a@trade", &trade.replace("\"T\":1", "\"T\":18446744073709551615")),
            Fault::Number,
        ),
        (depth(r#"["1","1"],["1","nan"]"#), Fault::Number),
        (depth(r#"["1"]"#), Fault::Shape),
        (depth(r#"["1",1]"#), Fault::Shape),
        (depth(r#"{"1":"1"}"#), Fault::Shape),
        (
            on("a@depth", r#""E":1,"s":"A","U":2,"u":1,"b":[],"a":[]"#),
            Fault::Number,
        ),
        (depth(&many), Fault::Levels),
    ];
    for (line, fault) in cases {
        assert_eq!(bad(&line), fault, "{}", line.get(..200).unwrap_or(&line));
    }
}

#[test]
fn a_bad_line_never_stops_the_good_ones() {
    let good = delta("btcusdt", 1, 1, "");
    let input = format!(
        "nonsense\n{good}\n{}\n1 {{}}\n{}",
        "x".repeat(2 * SOURCE_LINE_BYTES_MAX),
        delta("btcusdt", 2, 2, "")
    );
    let (events, tally) = play(input.as_bytes(), 4096);
    assert_eq!(
        (events.len(), tally.bad_lines(), tally.lines, tally.gaps),
        (2, 3, 5, 0)
    );
}

#[test]
fn a_break_in_the_update_numbers_is_counted_per_symbol_and_the_book_goes_on() {
    let lines = [
        delta("a", 1, 3, ""),
        delta("b", 100, 100, ""),
        delta("a", 4, 4, ""),
        delta("a", 6, 6, ""),
        delta("b", 101, 105, ""),
        delta("a", 7, 9, ""),
        delta("a", 7, 9, ""),
    ];
    let (events, tally) = play(lines.join("\n").as_bytes(), usize::MAX);
    assert_eq!((events.len(), tally.gaps, tally.stale), (7, 2, 0));
}

#[test]
fn a_snapshot_takes_its_symbol_from_its_stream_or_from_the_file_that_has_only_one() {
    let body = r#""lastUpdateId":9,"bids":[["1","2"]],"asks":[]"#;
    let lines = [
        format!(r#"1 {{"stream":"a@depth@100ms","data":{{{body}}}}}"#),
        format!(r#"2 {{"stream":"a@depth","{}"#, &format!("{body}}}")[1..]),
        format!("3 {{{body}}}"),
        format!(r#"4 {{"data":{{{body}}}}}"#),
    ];
    let (events, tally) = play(lines.join("\n").as_bytes(), usize::MAX);
    assert_eq!((events.len(), tally.bad_lines()), (4, 0));
    assert!(
        events
            .iter()
            .all(|event| event.contains("\"book:A\"") && event.contains("Snapshot")),
        "{events:?}"
    );
    let two = [lines[0].clone(), delta("b", 1, 1, ""), lines[2].clone()].join("\n");
    let (events, tally) = play(two.as_bytes(), usize::MAX);
    assert_eq!((events.len(), tally.bad(Fault::Name)), (2, 1));
}

/// The book that a subscriber holds at the end, bids only.
fn bids_after(lines: &[String]) -> (Vec<(String, String)>, Tally) {
    let mut recording = Recording::new(Speed::Max);
    recording.input().push(lines.join("\n").as_bytes());
    recording.input().finish();
    let mut bids = std::collections::BTreeMap::new();
    while let Next::Event(event) = recording.next(NOW) {
        let Tick::Book(update) = event.tick else { continue };
        if update.kind == BookUpdateKind::Snapshot {
            bids.clear();
        }
        for level in update.bids {
            bids.insert(level.price.to_string(), level.size);
        }
        bids.retain(|_, size| !size.is_zero());
    }
    let bids = bids
        .into_iter()
        .map(|(price, size)| (price, size.to_string()))
        .collect();
    (bids, recording.tally().clone())
}

#[test]
fn a_snapshot_that_was_recorded_late_does_not_take_the_book_back() {
    let lines = [
        delta("a", 10, 11, r#"["5","1"],["6","1"]"#),
        delta("a", 12, 14, r#"["5","2"],["7","1"]"#),
        delta("a", 15, 15, r#"["6","0"],["3","0"]"#),
        r#"9 {"lastUpdateId":12,"bids":[["5","1"],["6","1"],["3","9"],["1","4"]],"asks":[]}"#.to_owned(),
        delta("a", 16, 16, r#"["8","1"]"#),
    ];
    let (bids, tally) = bids_after(&lines);
    let expected = [("1", "4"), ("5", "2"), ("7", "1"), ("8", "1")];
    assert_eq!(
        bids,
        expected.map(|(price, size)| (price.to_owned(), size.to_owned()))
    );
    assert_eq!((tally.gaps, tally.bad_lines()), (0, 0));
}

#[test]
fn deltas_that_a_snapshot_contains_are_not_delivered_and_one_that_overlaps_is() {
    let lines = [
        r#"9 {"stream":"a@depth","data":{"lastUpdateId":12,"bids":[["5","1"]],"asks":[]}}"#.to_owned(),
        delta("a", 9, 10, r#"["5","7"]"#),
        delta("a", 11, 12, r#"["5","8"]"#),
        delta("a", 12, 14, r#"["6","1"]"#),
        delta("a", 15, 15, r#"["7","1"]"#),
    ];
    let (bids, tally) = bids_after(&lines);
    let expected = [("5", "1"), ("6", "1"), ("7", "1")];
    assert_eq!(
        bids,
        expected.map(|(price, size)| (price.to_owned(), size.to_owned()))
    );
    assert_eq!((tally.books, tally.stale, tally.gaps), (3, 2, 0));
}

#[test]
fn a_snapshot_older_than_every_delta_that_is_kept_is_refused() {
    let mut lines = vec![delta("a", 10, 10, ""), delta("a", 20, 20, "")];
    lines.push(r#"9 {"lastUpdateId":12,"bids":[],"asks":[]}"#.to_owned());
    lines.push(delta("a", 21, 21, ""));
    let (_, tally) = bids_after(&lines);
    assert_eq!((tally.books, tally.gaps, tally.bad(Fault::Snapshot)), (3, 1, 1));
}

#[test]
fn events_are_due_when_they_were_received_at_the_chosen_speed() {
    let received = [5_000_000_000_u64, 5_000_000_500, 5_000_002_000, 5_000_001_000];
    let lines: Vec<String> = received
        .iter()
        .map(|ns| {
            format!(r#"{ns} {{"stream":"a@bookTicker","data":{{"s":"A","b":"1","B":"1","a":"2","A":"1"}}}}"#)
        })
        .collect();
    let mut recording = Recording::new("2".parse().unwrap());
    recording.input().push(lines.join("\n").as_bytes());
    recording.input().finish();
    let mut due = |mono_ns: u64| {
        let now = Now { mono_ns, wall_ns: 0 };
        let mut count = 0;
        while let Next::Event(_) = recording.next(now) {
            count += 1;
        }
        (count, recording.due_in_ns(now))
    };
    assert_eq!(due(100), (1, Some(250)));
    assert_eq!(due(349), (0, Some(1)));
    assert_eq!(due(350), (1, Some(750)));
    assert_eq!(
        due(1_100),
        (2, None),
        "time that goes back in the file does not hold it up"
    );
    assert_eq!(recording.captured_ns(), Some((received[0], received[3])));
}

proptest! {
    #[test]
    fn the_same_bytes_are_the_same_events_however_they_were_chunked(
        picks in prop::collection::vec(0_usize..7, 0..12),
        chunk_bytes in 1_usize..400,
    ) {
        let choices = [
            delta("a", 1, 3, r#"["1","2"]"#),
            delta("a", 4, 4, r#"["1","0"]"#),
            "\r".to_owned(),
            "bad".to_owned(),
            r#"5 {"lastUpdateId":3,"bids":[["9","9"]],"asks":[]}"#.to_owned() + "\r",
            r#"6 {"stream":"a@bookTicker","data":{"s":"A","b":"1","B":"1","a":"2","A":"1"}}"#.to_owned(),
            "1 {\"stream\":\"é@trade\",\"data\":{}}".to_owned(),
        ];
        let input = picks.iter().map(|&pick| choices[pick].clone()).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(play(input.as_bytes(), chunk_bytes), play(input.as_bytes(), usize::MAX));
    }

    #[test]
    fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..100), json in "\\PC{0,60}") {
        play(&line, usize::MAX);
        play(format!("1 {json}").as_bytes(), usize::MAX);
    }
}

#[test]
fn a_line_is_cut_at_every_byte_and_read_alike() {
    let input = [
        delta("btcusdt", 1, 2, r#"["1.10","2"]"#),
        delta("btcusdt", 3, 3, ""),
    ]
    .join("\r\n");
    let whole = play(input.as_bytes(), usize::MAX);
    for at in 1..input.len() {
        let mut recording = Recording::new(Speed::Max);
        let mut events = Vec::new();
        for part in [&input[..at], &input[at..]] {
            recording.input().push(part.as_bytes());
            while let Next::Event(event) = recording.next(NOW) {
                events.push(format!("{event:?}"));
            }
        }
        recording.input().finish();
        while let Next::Event(event) = recording.next(NOW) {
            events.push(format!("{event:?}"));
        }
        assert_eq!(events, whole.0);
    }
}
