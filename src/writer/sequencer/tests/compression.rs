//! The track of compressed JSON: whatever stands on that of JSON stands there too, compressed where that is worth it.

use super::*;
use crate::wire::{Direction, FrameHeader, Inflater, Opcode};

/// The message in a frame, and whether it is compressed.
fn message(frame: &[u8], inflater: &mut Inflater) -> (Vec<u8>, bool) {
    if frame.is_empty() {
        return (Vec::new(), false);
    }
    let (header, header_bytes) = FrameHeader::decode(frame, Direction::ToClient, true)
        .unwrap()
        .unwrap();
    let payload = &frame[header_bytes..];
    assert_eq!(
        (payload.len() as u64, header.opcode),
        (header.payload_bytes, Opcode::Text)
    );
    if header.compressed {
        (inflater.inflate(payload).unwrap().to_vec(), true)
    } else {
        (payload.to_vec(), false)
    }
}

/// Compares the tracks; says how many messages are compressed on the second, and how many are not.
fn compare(sequencer: &Sequencer) -> (usize, usize) {
    let tape = sequencer.tape();
    let deflated = sequencer.press.formats().deflated_track().unwrap();
    let mut inflater = Inflater::new(limits::CLIENT_MESSAGE_BYTES_MAX);
    let (mut compressed, mut plain) = (0, 0);
    for number in tape.tail().number()..tape.head().number() {
        let frames = [NATIVE_JSON, deflated].map(|track| tape.frame(track, Position::new(number)));
        assert!(frames[1].len() <= frames[0].len());
        let [first, second] = frames.map(|frame| message(frame, &mut inflater));
        assert!(!first.1, "the first track is for everybody");
        assert_eq!(first.0, second.0);
        if second.1 {
            compressed += 1;
        } else {
            plain += 1;
        }
    }
    (compressed, plain)
}

#[test]
fn messages_from_the_threshold_on_are_compressed_and_kept_so_through_many_laps() {
    let (mut sequencer, mut reader) = smallest_writing(Formats {
        deflated: Some(200),
        binary: false,
    });
    let levels = long_levels(30, 1);
    publish(&mut sequencer, "book:A", delta(&levels)).unwrap();
    publish(&mut sequencer, "bbo:A", quote(7)).unwrap();
    for n in 0..10 * i64::try_from(limits::TAPE_RECORDS_MIN).unwrap() {
        publish(&mut sequencer, "trade:B", trade(n)).unwrap();
        reader.pin();
    }
    let (compressed, plain) = compare(&sequencer);
    assert!(compressed >= 1, "the image of the book");
    assert!(plain > 30, "trades are shorter");
    let _ = reader.park(Position::FIRST);
}

#[test]
fn what_compression_would_make_longer_is_not_compressed() {
    let (mut sequencer, _reader) = smallest_writing(ALL);
    publish(&mut sequencer, "room:A", Tick::Message("1")).unwrap();
    let incompressible: String = (0..200_u32)
        .map(|n| char::from_u32(0x4e00 + n.wrapping_mul(7919) % 20_000).unwrap())
        .collect();
    publish(
        &mut sequencer,
        "room:A",
        Tick::Message(&format!("\"{incompressible}\"")),
    )
    .unwrap();
    publish(
        &mut sequencer,
        "room:A",
        Tick::Message(&format!("\"{}\"", "x".repeat(500))),
    )
    .unwrap();
    let (compressed, plain) = compare(&sequencer);
    assert!(compressed >= 1 && compressed + plain == 3);
}

#[test]
#[should_panic(expected = "whatever fits on the track of JSON fits on the one that is compressed")]
fn the_track_of_compressed_json_is_as_long_as_that_of_json() {
    let shape = Shape {
        records: limits::TAPE_RECORDS_MIN,
        track_bytes: vec![2 * limits::TRACK_BYTES_MIN, limits::TRACK_BYTES_MIN],
        readers: 1,
    };
    let deflated = Formats {
        deflated: Some(0),
        binary: false,
    };
    let _ = Sequencer::writing(tape::new(&shape).unwrap().0, deflated);
}
