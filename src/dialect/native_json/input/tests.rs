//! Lines of sources, good and bad.

use proptest::prelude::*;

use super::*;
use crate::limits::BOOK_LEVELS_MAX;

fn words(line: &[u8]) -> String {
    Input::parse(line, &mut Vec::new()).unwrap_err().to_string()
}

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).unwrap()
}

fn same_text(a: Level, b: (&str, &str)) -> bool {
    a.price.to_string() == b.0 && a.size.to_string() == b.1
}

#[test]
fn a_trade_is_read_from_strings_or_numbers_alike() {
    let mut scratch = Vec::new();
    let strings =
        br#"{"ch":"trade:BTC-USD","t":"trade","ts":17,"px":"61685.990","sz":"0.10","side":"buy","tid":"T1"}"#;
    let input = Input::parse(strings, &mut scratch).unwrap();
    let trade = Trade {
        price: decimal("61685.990"),
        size: decimal("0.10"),
        side: Side::Buy,
        id: "T1",
    };
    assert_eq!(
        input,
        Input {
            channel: ChannelName::parse("trade:BTC-USD").unwrap(),
            ts_ns: Some(17),
            tick: Tick::Trade(trade)
        }
    );

    let mut scratch = Vec::new();
    let numbers = b" { \"px\" : 61685.990 , \"sz\":0.10,\"tid\":12345678901234567890,\"side\":\"sell\",\
        \"unknown\":{\"px\":1},\"ch\":\"trade:BTC-USD\",\"t\":\"trade\" }\r\n";
    let input = Input::parse(numbers, &mut scratch).unwrap();
    let Tick::Trade(trade) = input.tick else {
        panic!("{input:?}")
    };
    assert_eq!(
        (trade.price.to_string(), trade.size.to_string()),
        ("61685.990".to_owned(), "0.10".to_owned())
    );
    assert_eq!(
        (trade.side, trade.id, input.ts_ns),
        (Side::Sell, "12345678901234567890", None)
    );
}

#[test]
fn what_may_be_left_out_may_be_null() {
    let mut scratch = Vec::new();
    let line = br#"{"ch":"trade:X","t":"trade","px":1,"sz":2,"side":"buy","ts":null,"tid":null}"#;
    let input = Input::parse(line, &mut scratch).unwrap();
    let Tick::Trade(trade) = input.tick else {
        panic!("{input:?}")
    };
    assert_eq!((input.ts_ns, trade.id), (None, ""));
    assert!(
        Input::parse(
            br#"{"ch":"a:b","t":"book","k":"delta","a":null,"b":[]}"#,
            &mut Vec::new()
        )
        .is_ok()
    );
    assert_eq!(
        words(br#"{"ch":"a:b","t":"book","k":"snap","a":null,"b":[]}"#),
        "a: missing"
    );
}

#[test]
fn a_number_of_a_float_writer_is_exact() {
    let mut scratch = Vec::new();
    let line = br#"{"ch":"trade:X","t":"trade","px":1e-05,"sz":2.5E+3,"side":"buy"}"#;
    let Tick::Trade(trade) = Input::parse(line, &mut scratch).unwrap().tick else {
        panic!("not a trade")
    };
    assert_eq!(
        (trade.price.to_string(), trade.size.to_string()),
        ("0.00001".to_owned(), "2500".to_owned())
    );
}

#[test]
fn a_quote_is_read() {
    let mut scratch = Vec::new();
    let line =
        br#"{"ch":"bbo:X","t":"bbo","ts":"18446744073709551615","bp":"-1.5","bs":"1","ap":"-1","as":0}"#;
    let input = Input::parse(line, &mut scratch).unwrap();
    let quote = Quote {
        bid_price: decimal("-1.5"),
        bid_size: decimal("1"),
        ask_price: decimal("-1"),
        ask_size: Decimal::ZERO,
    };
    assert_eq!((input.ts_ns, input.tick), (Some(u64::MAX), Tick::Quote(quote)));
}

#[test]
fn a_book_is_read_whatever_the_order_of_its_sides() {
    let mut scratch = vec![Level {
        price: Decimal::ZERO,
        size: Decimal::ZERO,
    }];
    let line = br#"{"a":[["3","1.0"]],"b":[ [ "2.00" , 1 ] ,[1,"0"]],"k":"snap","t":"book","ch":"book:X"}"#;
    let Tick::Book(update) = Input::parse(line, &mut scratch).unwrap().tick else {
        panic!("not a book")
    };
    assert_eq!(
        (update.kind, update.bids.len(), update.asks.len()),
        (BookUpdateKind::Snapshot, 2, 1)
    );
    assert!(same_text(update.bids[0], ("2.00", "1")) && same_text(update.bids[1], ("1", "0")));
    assert!(same_text(update.asks[0], ("3", "1.0")));
}

#[test]
fn a_delta_may_leave_out_a_side_and_a_snapshot_may_not() {
    let mut scratch = Vec::new();
    let line = br#"{"ch":"book:X","t":"book","k":"delta","a":[["3","0"]]}"#;
    let Tick::Book(update) = Input::parse(line, &mut scratch).unwrap().tick else {
        panic!("not a book")
    };
    assert_eq!(
        (update.kind, update.bids.len(), update.asks.len()),
        (BookUpdateKind::Delta, 0, 1)
    );

    for (rest, fault) in [
        (r#""k":"snap","a":[]"#, "b: missing"),
        (r#""k":"snap","b":[]"#, "a: missing"),
        (r#""k":"delta""#, "b: missing"),
        (r#""b":[],"a":[]"#, "k: missing"),
    ] {
        assert_eq!(
            words(format!(r#"{{"ch":"book:X","t":"book",{rest}}}"#).as_bytes()),
            fault
        );
    }
    let empty = br#"{"ch":"book:X","t":"book","k":"snap","b":[],"a":[ ]}"#;
    assert!(Input::parse(empty, &mut Vec::new()).is_ok());
}

#[test]
fn the_data_of_a_message_is_the_text_that_was_written() {
    for data in [
        "null",
        "{ \"b\" : [1.0, \"\\u00e9\\ud800\"],\t\"a\":{} }",
        "1e999",
        "\"x\"",
        "[]",
    ] {
        let (line, mut scratch) = (
            format!(r#"{{"ch":"room:42","t":"msg","data":  {data} }}"#),
            Vec::new(),
        );
        let input = Input::parse(line.as_bytes(), &mut scratch).unwrap();
        assert_eq!(input.tick, Tick::Message(data));
    }
}

#[test]
fn each_fault_names_its_field_and_reason() {
    let trade = |rest: &str| words(format!(r#"{{"ch":"trade:X","t":"trade",{rest}}}"#).as_bytes());
    assert_eq!(trade(r#""sz":1,"side":"buy""#), "px: missing");
    assert_eq!(
        trade(r#""px":"1,5","sz":1,"side":"buy""#),
        "px: the number does not end at byte 1"
    );
    assert_eq!(
        trade(r#""px":null,"sz":1,"side":"buy""#),
        "px: expected a decimal, as a string or number"
    );
    assert_eq!(
        trade(r#""px":"\u0031","sz":1,"side":"buy""#),
        "px: expected a decimal, as a string or number"
    );
    assert_eq!(
        trade(r#""px":1,"sz":-0.5,"side":"buy""#),
        "sz: a size is not negative"
    );
    assert_eq!(trade(r#""px":1,"sz":1"#), "side: missing");
    assert_eq!(
        trade(r#""px":1,"sz":1,"side":"BUY""#),
        "side: expected \"buy\" or \"sell\""
    );
    assert_eq!(trade(r#""px":1,"sz":1,"side":"buy","px":2"#), "px: given twice");
    let tid = "tid: expected a string without escapes or an unsigned integer";
    assert_eq!(trade(r#""px":1,"sz":1,"side":"buy","tid":"\n""#), tid);
    assert_eq!(trade(r#""px":1,"sz":1,"side":"buy","tid":1.5"#), tid);
    let long = format!(r#""px":1,"sz":1,"side":"buy","tid":"{}""#, "x".repeat(65));
    assert_eq!(trade(&long), "tid: 65 bytes are too long, at most 64 are allowed");
    for ts in [
        "-1",
        "1.5",
        "1e9",
        "\"now\"",
        "\"\"",
        "18446744073709551616",
        "true",
        "\"+1\"",
    ] {
        let rest = format!(r#""px":1,"sz":1,"side":"buy","ts":{ts}"#);
        assert_eq!(
            trade(&rest),
            "ts: expected nanoseconds since the epoch, an unsigned integer of 64 bits"
        );
    }
    assert_eq!(
        words(br#"{"ch":"bbo:X","t":"bbo","bp":1,"bs":-1,"ap":2,"as":1}"#),
        "bs: a size is not negative"
    );
    assert_eq!(words(br#"{"ch":"room:X","t":"msg"}"#), "data: missing");
}

#[test]
fn a_line_that_is_no_tick_is_refused() {
    for (line, fault) in [
        (&b""[..], "EOF while parsing a value at line 1 column 0"),
        (b"# a comment", "expected value at line 1 column 1"),
        (b"[]", "expected a JSON object"),
        (b"\"ch\"", "expected a JSON object"),
        (b"{}", "ch: missing"),
        (b"{\"ch\":\"\xff\"}", "not UTF-8 at byte 7"),
        (b"{} {}", "trailing characters at line 1 column 4"),
        (br#"{"ch":"trade:X"}"#, "t: missing"),
        (
            br#"{"ch":"trade:X","t":"Trade"}"#,
            "t: expected \"trade\", \"bbo\", \"book\" or \"msg\"",
        ),
        (
            br#"{"ch":"trade","t":"msg"}"#,
            "ch: expected kind:symbol, found no colon",
        ),
        (
            br#"{"ch":"a:*","t":"msg","data":1}"#,
            "ch: '*' at byte 2 may only stand alone or after 'kind:'",
        ),
        (
            br#"{"ch":"a:\u0062","t":"msg","data":1}"#,
            "ch: expected a string without escapes",
        ),
        (
            br#"{"ch":7,"t":"msg","data":1}"#,
            "ch: expected a string without escapes",
        ),
    ] {
        assert_eq!(words(line), fault);
    }
}

#[test]
fn each_fault_of_a_level_names_its_place() {
    for (side, fault) in [
        ("{}", "expected an array of levels"),
        ("\"[]\"", "expected an array of levels"),
        ("[1]", "[0]: expected [price, size], both as strings or numbers"),
        (
            "[[\"1\",\"1\"],[]]",
            "[1]: expected [price, size], both as strings or numbers",
        ),
        (
            "[[\"1\"]]",
            "[0]: expected [price, size], both as strings or numbers",
        ),
        (
            "[[1,2,3]]",
            "[0]: expected [price, size], both as strings or numbers",
        ),
        (
            "[[1,null]]",
            "[0]: expected [price, size], both as strings or numbers",
        ),
        (
            "[[1,[2]]]",
            "[0]: expected [price, size], both as strings or numbers",
        ),
        ("[[\"\",1]]", "[0]: price: expected a digit at byte 0"),
        (
            "[[1,\"1\\u0030\"]]",
            "[0]: size: the number does not end at byte 1",
        ),
        ("[[1,1],[1,-1]]", "[1]: a size is not negative"),
    ] {
        let line = format!(r#"{{"ch":"book:X","t":"book","k":"delta","a":{side}}}"#);
        let words = words(line.as_bytes());
        assert!(
            words == format!("a{fault}") || words == format!("a: {fault}"),
            "{words}"
        );
    }
}

#[test]
fn a_side_may_have_as_many_levels_as_a_book() {
    let line = |count: usize| {
        format!(
            r#"{{"ch":"book:X","t":"book","k":"delta","b":[{}]}}"#,
            vec!["[1,1]"; count].join(",")
        )
    };
    let mut levels = Vec::new();
    assert!(Input::parse(line(BOOK_LEVELS_MAX).as_bytes(), &mut levels).is_ok());
    assert_eq!(levels.len(), BOOK_LEVELS_MAX);
    assert_eq!(
        words(line(BOOK_LEVELS_MAX + 1).as_bytes()),
        format!("b: more than {BOOK_LEVELS_MAX} levels")
    );
}

/// A good line of each type, to be damaged.
const LINES: [&str; 4] = [
    r#"{"ch":"trade:X","t":"trade","px":"1.5","sz":2,"side":"buy","tid":"T"}"#,
    r#"{"ch":"bbo:X","t":"bbo","ts":5,"bp":"1","bs":"2","ap":"3","as":"4"}"#,
    r#"{"ch":"book:X","t":"book","k":"snap","b":[["1","2"],[3,4]],"a":[]}"#,
    r#"{"ch":"room:X","t":"msg","data":{"a":[1,"\u00e9"]}}"#,
];

proptest! {
    #[test]
    fn a_damaged_line_is_read_as_json_or_refused(
        which in 0_usize..4, at in any::<prop::sample::Index>(), byte in any::<u8>(), how in 0_u8..3,
    ) {
        let mut line = LINES[which].as_bytes().to_vec();
        prop_assert!(Input::parse(&line, &mut Vec::new()).is_ok());
        let at = at.index(line.len());
        match how {
            0 => line[at] = byte,
            1 => line.insert(at, byte),
            _ => drop(line.remove(at)),
        }
        let value = serde_json::from_slice::<serde_json::Value>(&line);
        if Input::parse(&line, &mut Vec::new()).is_ok() {
            let value = value.unwrap();
            prop_assert!(value["ch"].is_string() && value["t"].is_string());
        }
    }

    #[test]
    fn levels_that_are_not_json_do_not_panic(text in "[\\[\\],\"0-9. -]{0,30}") {
        let mut levels = Vec::new();
        if levels::read("b", &text, &mut levels).is_err() {
            prop_assert!(levels.len() <= text.len() / 4);
        }
    }

    #[test]
    fn levels_are_what_another_parser_reads(pairs in prop::collection::vec((0_u32.., 0_u32..), 0..20), spaces in " {0,2}") {
        let pairs: Vec<[String; 2]> = pairs.iter().map(|(p, s)| [format!("{p}.50"), s.to_string()]).collect();
        let text = serde_json::to_string(&pairs).unwrap().replace(',', &format!("{spaces},{spaces}"));
        let mut levels = Vec::new();
        levels::read("b", &text, &mut levels).unwrap();
        let read: Vec<_> = levels.iter().map(|level| [level.price.to_string(), level.size.to_string()]).collect();
        prop_assert_eq!(read, pairs);
    }
}
