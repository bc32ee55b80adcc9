//! The binary track: whatever stands on that of JSON stands there too, and room is found on both.

use super::*;
use crate::dialect::native_binary::{Content, Message};
use crate::dialect::native_json;
use crate::wire::{Direction, FrameHeader, Opcode};

const BINARY: Formats = Formats {
    deflated: None,
    binary: true,
};

/// Every record that the tape holds says the same on both tracks, to the digit.
pub(super) fn compare(sequencer: &Sequencer) -> usize {
    let tape = sequencer.tape();
    let binary = sequencer.press.formats().binary_track().unwrap();
    let mut levels = Vec::new();
    let mut compared = 0;
    for position in (tape.tail().number()..tape.head().number()).map(Position::new) {
        let frames = [NATIVE_JSON, binary].map(|track| tape.frame(track, position));
        if tape.record(position).kind == RecordKind::Mark {
            assert_eq!(frames, [EMPTY; 2]);
            continue;
        }
        let [json, bytes] = frames.map(|frame| {
            let decoded = FrameHeader::decode(frame, Direction::ToClient, false).unwrap();
            let (header, header_bytes) = decoded.unwrap();
            assert_eq!(header.payload_bytes, (frame.len() - header_bytes) as u64);
            (header.opcode, &frame[header_bytes..])
        });
        assert_eq!((json.0, bytes.0), (Opcode::Text, Opcode::Binary));
        let Content::Tick(stamp, tick) = Message::decode(bytes.1, &mut levels).unwrap().content else {
            panic!("a tick is one");
        };
        let mut text = Vec::new();
        native_json::encode(&mut text, &stamp, &tick);
        assert_eq!(str::from_utf8(&text), str::from_utf8(json.1));
        compared += 1;
    }
    compared
}

/// Levels whose text is as short as there is: longer in binary than in JSON.
fn short_levels(count: usize) -> Vec<Level> {
    (1..)
        .take(count)
        .map(|n| Level {
            price: Decimal::new(n, 0),
            size: Decimal::new(1, 0),
        })
        .collect()
}

#[test]
fn every_track_keeps_what_a_quiet_channel_last_said_through_many_laps() {
    for formats in [BINARY, ALL] {
        let (mut sequencer, mut reader) = smallest_writing(formats);
        let levels = short_levels(30);
        publish(&mut sequencer, "book:A", delta(&levels)).unwrap();
        let finer = Level {
            price: Decimal::new(15, -1),
            size: Decimal::new(100, -2),
        };
        publish(&mut sequencer, "book:A", delta(&[finer])).unwrap();
        publish(&mut sequencer, "bbo:A", quote(7)).unwrap();
        publish(&mut sequencer, "trade:A", trade(7)).unwrap();
        for n in 0..10 * i64::try_from(limits::TAPE_RECORDS_MIN).unwrap() {
            publish(&mut sequencer, "trade:B", trade(n)).unwrap();
            publish(&mut sequencer, "room:B", Tick::Message("\"é\"")).unwrap();
            reader.pin();
            if n % 50 == 0 {
                assert!(compare(&sequencer) > 3);
            }
        }
        let found = on_tape(&sequencer);
        assert_eq!(found["bbo:A"], [(RecordKind::Image, 1)]);
        assert_eq!(found["book:A"], [(RecordKind::Image, 2)]);
        assert_eq!(found["trade:A"], [(RecordKind::Mark, 1)]);
    }
}

/// Books of short numbers fill their part of the binary track first, and one finer level makes each of them longer.
#[test]
fn books_that_are_longer_in_binary_are_kept_on_a_short_tape() {
    // More channels than the smallest index has room for.
    let shape = Shape {
        records: 8 * limits::TAPE_RECORDS_MIN,
        track_bytes: vec![limits::TRACK_BYTES_MIN; 2],
        readers: 1,
    };
    let (writer, _readers) = tape::new(&shape).unwrap();
    let mut sequencer = Sequencer::writing(writer, BINARY);
    let levels = short_levels(limits::BOOK_LEVELS_MAX);
    let mut books = 0;
    let published = loop {
        let name = format!("book:{books}");
        let published = publish(
            &mut sequencer,
            &name,
            book(BookUpdateKind::Snapshot, &levels, &levels),
        );
        if published.is_err() {
            break published;
        }
        books += 1;
    };
    assert!(books > 3, "{books} books fill a quarter of the tape");
    assert_eq!(published, Err(PublishError::ImagesFull));
    let is_settled = |published: &Result<(), PublishError>| {
        matches!(
            published,
            Ok(()) | Err(PublishError::ImagesFull | PublishError::Book(BookError::BookLevelsFull { .. }))
        )
    };
    let finer = Level {
        price: Decimal::new(15, -1),
        size: Decimal::new(1, 0),
    };
    for round in 0..10 {
        for n in 0..books {
            let name = format!("book:{n}");
            let gone = Level {
                size: Decimal::ZERO,
                ..levels[n]
            };
            for level in [levels[0], gone, finer] {
                let published = publish(&mut sequencer, &name, delta(&[level]));
                assert!(is_settled(&published), "{published:?}");
            }
        }
        let data = format!(
            "\"{}\"",
            "x".repeat((limits::FRAME_BYTES_MAX - 200) / (1 + round % 2))
        );
        publish(&mut sequencer, "room:A", Tick::Message(&data)).unwrap();
        compare(&sequencer);
    }
}

#[test]
fn what_no_language_could_write_is_refused() {
    for formats in [Formats::default(), ALL] {
        let (mut sequencer, _reader) = smallest_writing(formats);
        let levels = short_levels(limits::BOOK_LEVELS_MAX + 1);
        assert!(matches!(
            publish(&mut sequencer, "book:A", delta(&levels)),
            Err(PublishError::Book(BookError::BookLevelsFull { .. }))
        ));
        let id = "x".repeat(limits::TRADE_ID_BYTES_MAX + 1);
        let Tick::Trade(trade) = trade(1) else {
            panic!("it is one");
        };
        let named = Tick::Trade(Trade { id: &id, ..trade });
        let refused = publish(&mut sequencer, "trade:A", named).unwrap_err();
        assert_eq!(refused, PublishError::TradeId { bytes: 65 });
        assert_eq!(
            refused.to_string(),
            "the trade's name has 65 bytes, at most 64 are allowed"
        );
        assert_eq!(sequencer.tape().head(), Position::FIRST);
    }
}
