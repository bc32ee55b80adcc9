//! The behaviour of the tape, case by case. Against an oracle: `oracle.rs`. With real threads: `stress.rs`.

mod oracle;
mod stress;

use super::*;
use crate::limits::{CHANNEL_NAME_BYTES_MAX, CHANNELS_MAX, READERS_MAX, TRACKS_MAX};

const PAGE: usize = 64 * 1024;
const TRACK: Track = Track::new(0);

fn tape(records: usize, tracks: usize, readers: usize) -> (Writer, Vec<Reader>) {
    new(&Shape {
        records,
        track_bytes: vec![PAGE; tracks],
        readers,
    })
    .unwrap()
}

fn entry(channel: ChannelId, seq: u64) -> Entry {
    Entry {
        channel,
        kind: RecordKind::Live,
        seq,
        ts_ns: seq + 1,
        pt_ns: seq + 2,
    }
}

fn refusal(records: usize, track_bytes: &[usize], readers: usize) -> String {
    let shape = Shape {
        records,
        track_bytes: track_bytes.to_vec(),
        readers,
    };
    new(&shape).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_shape_that_cannot_be_is_refused_by_its_sin() {
    assert_eq!(
        refusal(3, &[PAGE], 1),
        "the tape's index must hold a power of two of records up to 268435456, not 3"
    );
    assert!(refusal(1 << 29, &[PAGE], 1).ends_with("not 536870912"));
    assert!(refusal(0, &[PAGE], 1).ends_with("not 0"));
    assert!(refusal(4, &[], 1).contains("1 to 8 tracks, not 0"));
    assert!(refusal(4, &[PAGE; TRACKS_MAX + 1], 1).contains("not 9"));
    assert!(refusal(4, &[PAGE, PAGE + 1], 1).starts_with("track 1 must be a power of two of bytes"));
    assert!(refusal(4, &[512], 1).contains("not 512"));
    assert!(refusal(4, &[1 << 63], 1).starts_with("track 0"));
    assert!(refusal(4, &[PAGE], 0).contains("readers, not 0"));
    assert!(refusal(4, &[PAGE], READERS_MAX + 1).contains("readers, not 258"));
}

#[test]
fn memory_that_is_not_there_is_an_error_and_no_abort() {
    assert!(refusal(4, &[1 << 61], 1).starts_with("cannot map a track"));
}

#[test]
fn a_plan_counts_every_track_and_every_record() {
    let shape = |records, tracks: usize| Shape {
        records,
        track_bytes: vec![PAGE; tracks],
        readers: 1,
    };
    let one = shape(1024, 1).bytes_max();
    assert!(one >= PAGE + 1024 * (40 + 16));
    assert_eq!(shape(2048, 1).bytes_max() - one, 1024 * (40 + 16));
    assert_eq!(shape(1024, 2).bytes_max() - one, PAGE + 1024 * 16);
}

#[test]
fn a_channel_is_known_to_a_reader_from_its_next_pin() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let reader = &mut readers[0];
    reader.pin();
    let trades = writer.declare_on("trade:BTC-USD", Class::Append, 7).unwrap();
    assert_eq!(reader.channels(), 0);
    reader.pin();
    let book = writer.declare("book:é", Class::Book).unwrap();
    assert_eq!(reader.channels(), 1);
    assert_eq!(
        reader.channel(trades),
        ChannelInfo {
            name: "trade:BTC-USD",
            class: Class::Append,
            is_listed: true,
            terms: 7
        }
    );
    reader.pin();
    let _idle = reader.park(Position::FIRST);
    assert_eq!((reader.channels(), reader.channel(book).name), (2, "book:é"));
    assert_eq!(reader.channel(book).class, Class::Book);
}

#[test]
#[should_panic(expected = "channel 0 was not declared when this reader last pinned")]
fn a_channel_declared_after_the_pin_is_not_readable() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    readers[0].pin();
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let _ = readers[0].channel(channel);
}

#[test]
fn a_name_that_no_channel_can_have_is_refused() {
    let (mut writer, _readers) = tape(4, 1, 1);
    let longest = "x".repeat(CHANNEL_NAME_BYTES_MAX);
    assert!(writer.declare(&longest, Class::Append).is_ok());
    let bytes = CHANNEL_NAME_BYTES_MAX + 1;
    assert_eq!(
        writer.declare(&"x".repeat(bytes), Class::Append),
        Err(DeclareError::Length { bytes })
    );
    assert_eq!(
        writer.declare("", Class::Append),
        Err(DeclareError::Length { bytes: 0 })
    );
    for character in [' ', '\n', '\0', '\u{7f}', '\u{2003}'] {
        let refused = writer.declare(&format!("a:{character}"), Class::Append);
        assert_eq!(refused, Err(DeclareError::Unprintable { character }));
    }
    assert_eq!(writer.declare("a:b", Class::Append), Ok(ChannelId::new(1)));
}

#[test]
fn the_directory_takes_so_many_channels_and_no_more() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    for number in 0..CHANNELS_MAX {
        writer.declare(&format!("c:{number}"), Class::Replace).unwrap();
    }
    assert_eq!(
        writer.declare("one:more", Class::Replace),
        Err(DeclareError::Channels)
    );
    readers[0].pin();
    let last = ChannelId::new(readers[0].channels() - 1);
    assert_eq!(readers[0].channel(last).name, format!("c:{}", CHANNELS_MAX - 1));
}

#[test]
fn a_full_tape_asks_for_retirement_first_and_then_for_the_reader_that_pins_lowest() {
    let (mut writer, mut readers) = tape(4, 1, 2);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    for seq in 1..=4 {
        writer.append(entry(channel, seq), &[b"frame"]).unwrap();
    }
    assert_eq!(writer.free_records(), 0);
    assert_eq!(
        writer.append(entry(channel, 5), &[b"frame"]),
        Err(Full::Unretired)
    );
    readers[1].pin();
    writer.retire_oldest();
    readers[0].pin();
    writer.retire_oldest();
    assert_eq!(
        (writer.free_records(), writer.free_bytes(TRACK)),
        (2, PAGE - 2 * 5)
    );
    let pinned = Err(Full::Pinned { reader: 1 });
    assert_eq!(writer.append(entry(channel, 5), &[b"frame"]), pinned);
    assert_eq!(writer.append(entry(channel, 5), &[b"frame"]), pinned);
    assert_eq!(writer.head(), Position::new(5));
    readers[1].pin();
    assert_eq!(
        writer.append(entry(channel, 5), &[b"frame"]),
        Ok(Position::new(5))
    );
    assert_eq!(
        writer.append(entry(channel, 6), &[b"frame"]),
        Err(Full::Pinned { reader: 0 })
    );
    assert_eq!(readers[0].frame(TRACK, readers[0].tail()), b"frame");
}

#[test]
fn bytes_that_are_pinned_are_kept_although_there_are_records_to_spare() {
    let (mut writer, mut readers) = tape(1024, 2, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let half = vec![1; PAGE / 2];
    let first = writer.append(entry(channel, 1), &[&half, b"x"]).unwrap();
    writer.append(entry(channel, 2), &[&half, b"y"]).unwrap();
    assert_eq!(
        (writer.free_bytes(TRACK), writer.free_bytes(Track::new(1))),
        (0, PAGE - 2)
    );
    readers[0].pin();
    assert_eq!(
        writer.append(entry(channel, 3), &[b"z", b""]),
        Err(Full::Unretired)
    );
    assert!(writer.append(entry(channel, 3), &[b"", b"z"]).is_ok());
    writer.retire_oldest();
    let refused = writer.append(entry(channel, 4), &[b"z", b""]);
    assert_eq!(refused, Err(Full::Pinned { reader: 0 }));
    assert_eq!(readers[0].frame(TRACK, first), half);
    readers[0].pin();
    assert!(writer.append(entry(channel, 4), &[b"z", b""]).is_ok());
}

#[test]
fn a_reader_that_parks_or_dies_holds_nobody_up_and_finds_itself_lapped() {
    let (mut writer, mut readers) = tape(2, 1, 2);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let mut dying = readers.pop().unwrap();
    let mut sleeper = readers.pop().unwrap();
    writer.append(entry(channel, 1), &[b"1"]).unwrap();
    sleeper.pin();
    dying.pin();
    let next = sleeper.head();
    assert_eq!(sleeper.park(next), Parked::Idle);
    drop(dying);
    for seq in 2..=9 {
        if writer.free_records() == 0 {
            writer.retire_oldest();
        }
        writer.append(entry(channel, seq), &[b"1"]).unwrap();
    }
    sleeper.pin();
    assert!(sleeper.tail() > next);
    assert_eq!(sleeper.record(sleeper.tail()).seq, 8);
}

#[test]
fn a_reader_that_has_left_is_in_nobodys_way_and_is_never_rung() {
    let (mut writer, mut readers) = tape(2, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let reader = &mut readers[0];
    reader.pin();
    reader.leave();
    assert!(!reader.is_pinned());
    for seq in 1..=3 {
        if writer.free_records() == 0 {
            writer.retire_oldest();
        }
        writer.append(entry(channel, seq), &[b"1"]).unwrap();
    }
    writer.wake_parked(|reader| panic!("reader {reader} is rung"));
    assert_eq!(reader.channel(channel).name, "a:b", "names can still be read");
    reader.pin();
    assert_eq!(reader.record(reader.tail()).seq, 2);
    // One that had asked to be rung and leaves is rung no more.
    assert_eq!(reader.park(writer.head()), Parked::Idle);
    reader.leave();
    writer.retire_oldest();
    writer.append(entry(channel, 4), &[b"1"]).unwrap();
    writer.wake_parked(|reader| panic!("reader {reader} is rung"));
}

#[test]
fn a_parked_reader_is_rung_once_and_a_busy_one_never() {
    let (mut writer, mut readers) = tape(4, 1, 2);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    readers[0].pin();
    readers[1].pin();
    assert_eq!(readers[0].park(Position::FIRST), Parked::Idle);
    writer.append(entry(channel, 1), &[b""]).unwrap();
    assert_eq!(readers[1].park(Position::FIRST), Parked::Busy);
    let rung = |writer: &mut Writer| {
        let mut rung = Vec::new();
        writer.wake_parked(|reader| rung.push(reader));
        rung
    };
    assert_eq!(rung(&mut writer), [0]);
    assert_eq!(rung(&mut writer), [0_usize; 0]);
    readers[0].pin();
    assert_eq!(readers[0].park(writer.head()), Parked::Idle);
    readers[0].pin();
    assert_eq!(rung(&mut writer), [0_usize; 0], "it woke by itself");
}

#[test]
fn a_tape_whose_records_are_all_retired_has_an_empty_range_at_its_end() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let reader = &mut readers[0];
    reader.pin();
    assert_eq!((reader.tail(), reader.head()), (Position::FIRST, Position::FIRST));
    assert_eq!(reader.range(TRACK), 0..0);
    writer.append(entry(channel, 1), &[b"12345"]).unwrap();
    assert_eq!(writer.latest(channel), Some(Position::FIRST));
    reader.pin();
    assert_eq!(reader.range(TRACK), 0..5);
    writer.retire_oldest();
    assert_eq!((writer.oldest(), writer.latest(channel)), (None, None));
    reader.pin();
    assert_eq!(reader.range(TRACK), 5..5);
    assert_eq!(reader.bytes(TRACK, 5, 0), b"");
}

#[test]
fn each_record_names_its_channels_one_before() {
    let (mut writer, _readers) = tape(4, 1, 1);
    let a = writer.declare("a:a", Class::Append).unwrap();
    let b = writer.declare("b:b", Class::Book).unwrap();
    let first = writer.append(entry(a, 1), &[b""]).unwrap();
    let other = writer.append(entry(b, 1), &[b""]).unwrap();
    let second = writer.append(entry(a, 2), &[b""]).unwrap();
    assert_eq!(writer.record(first).previous, Position::NONE);
    assert_eq!(writer.record(second).previous, first);
    assert_eq!(writer.oldest(), Some((first, *writer.record(first))));
    writer.retire_oldest();
    writer.retire_oldest();
    let later = writer.append(entry(b, 2), &[b""]).unwrap();
    assert!(other < writer.tail());
    assert_eq!(
        writer.record(later).previous,
        other,
        "a number outlives its record"
    );
    assert_eq!(writer.record(later).class, Class::Book);
}

#[test]
#[should_panic(expected = "a reader reads only while pinned")]
fn nothing_is_readable_before_the_first_pin() {
    let (_writer, readers) = tape(4, 1, 1);
    let _ = readers[0].head();
}

#[test]
#[should_panic(expected = "a reader reads only while pinned")]
fn nothing_is_readable_while_parked() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let position = writer.append(entry(channel, 1), &[b"1"]).unwrap();
    readers[0].pin();
    let _idle = readers[0].park(position.next());
    let _ = readers[0].frame(TRACK, position);
}

#[test]
fn a_reader_that_does_not_get_to_sleep_or_holds_on_goes_on_reading() {
    let (mut writer, mut readers) = tape(2, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let first = writer.append(entry(channel, 1), &[b"1"]).unwrap();
    readers[0].pin();
    assert_eq!(readers[0].park(first), Parked::Busy);
    assert_eq!(readers[0].frame(TRACK, first), b"1");
    assert_eq!(readers[0].park_holding(first.next()), Parked::Idle);
    let second = writer.append(entry(channel, 2), &[b"2"]).unwrap();
    assert_eq!(readers[0].frame(TRACK, first), b"1");
    writer.retire_oldest();
    assert_eq!(
        writer.append(entry(channel, 3), &[b"3"]),
        Err(Full::Pinned { reader: 0 })
    );
    assert_eq!(readers[0].extend(), second);
    assert_eq!(
        [first, second].map(|at| readers[0].frame(TRACK, at)),
        [b"1", b"2"],
        "it has lost nothing"
    );
    readers[0].release(second);
    writer.append(entry(channel, 3), &[b"3"]).unwrap();
}

#[test]
#[should_panic(expected = "record 1 is outside the pin, which holds 1 up to 1")]
fn a_record_after_the_pin_is_not_readable() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    readers[0].pin();
    let position = writer.append(entry(channel, 1), &[b"1"]).unwrap();
    let _ = readers[0].record(position);
}

#[test]
#[should_panic(expected = "record 1 is outside the pin, which holds 2 up to 3")]
fn a_record_before_the_pin_is_not_readable() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let first = writer.append(entry(channel, 1), &[b"1"]).unwrap();
    writer.append(entry(channel, 2), &[b"2"]).unwrap();
    writer.retire_oldest();
    readers[0].pin();
    let _ = readers[0].frame(TRACK, first);
}

/// A reader that pins the bytes `2..4` of the track.
fn reader_of_two_bytes() -> Reader {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    writer.append(entry(channel, 1), &[b"01"]).unwrap();
    writer.append(entry(channel, 2), &[b"23"]).unwrap();
    writer.retire_oldest();
    let mut reader = readers.remove(0);
    reader.pin();
    assert_eq!(reader.bytes(TRACK, 2, 2), b"23");
    reader
}

#[test]
#[should_panic(expected = "1 bytes at 1 are outside the pinned bytes 2..4")]
fn a_byte_before_the_pin_is_not_readable() {
    let _ = reader_of_two_bytes().bytes(TRACK, 1, 1);
}

#[test]
#[should_panic(expected = "3 bytes at 2 are outside the pinned bytes 2..4")]
fn a_byte_after_the_pin_is_not_readable() {
    let _ = reader_of_two_bytes().bytes(TRACK, 2, 3);
}

#[test]
#[should_panic(expected = "byte 4 is outside the pinned bytes 2..4")]
fn a_byte_after_the_pin_belongs_to_no_record() {
    let _ = reader_of_two_bytes().position_at(TRACK, 4);
}

#[test]
#[should_panic(expected = "2 bytes at 18446744073709551615 are outside the pinned bytes 0..1")]
fn a_range_beyond_the_last_offset_is_outside() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    writer.append(entry(channel, 1), &[b"1"]).unwrap();
    readers[0].pin();
    let _ = readers[0].bytes(TRACK, u64::MAX, 2);
}

#[test]
#[should_panic(expected = "record 1 is not on the tape, which has 2 up to 2")]
fn a_retired_record_is_not_readable_for_the_writer() {
    let (mut writer, _readers) = tape(4, 1, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let position = writer.append(entry(channel, 1), &[b"1"]).unwrap();
    writer.retire_oldest();
    let _ = writer.frame(TRACK, position);
}

#[test]
#[should_panic(expected = "one frame for each track")]
fn a_record_has_one_frame_for_each_track() {
    let (mut writer, _readers) = tape(4, 2, 1);
    let channel = writer.declare("a:b", Class::Append).unwrap();
    let _ = writer.append(entry(channel, 1), &[b"1"]);
}

#[test]
fn what_is_held_back_is_seen_and_missed_by_readers_when_it_is_shown() {
    let (mut writer, mut readers) = tape(4, 1, 1);
    let reader = &mut readers[0];
    let trades = writer.declare("trade:A", Class::Append).unwrap();
    let append = |writer: &mut Writer, seq| writer.append(entry(trades, seq), &[b"frame"]);
    append(&mut writer, 1).unwrap();
    writer.hold();
    for seq in 2..=4 {
        append(&mut writer, seq).unwrap();
    }
    writer.retire_oldest();
    reader.pin();
    assert_eq!((reader.tail().number(), reader.head().number()), (1, 2));
    assert_eq!((writer.tail().number(), writer.head().number()), (2, 5));
    let next = reader.head();
    assert_eq!(reader.park(next), Parked::Idle, "nothing was shown");
    assert_eq!(
        append(&mut writer, 5),
        Err(Full::Held),
        "what was not shown to be retired may be pinned at any time"
    );
    writer.show();
    let mut rung = 0;
    writer.wake_parked(|_| rung += 1);
    assert_eq!(rung, 1);
    append(&mut writer, 5).unwrap();
    reader.pin();
    assert_eq!((reader.tail().number(), reader.head().number()), (2, 5));
    assert_eq!(append(&mut writer, 6), Err(Full::Unretired));
}
