//! What is written is read, and nothing else is taken for it.

#![allow(clippy::arithmetic_side_effects, reason = "a test may fail")]

use super::*;
use crate::tape::ChannelId;
use crate::writer::sequencer::Kept;
use proptest::prelude::*;

fn header() -> Header {
    Header {
        begun: Begun::Rotation,
        segment: 3,
        epoch: 0x61_0203_0405,
        first_message: 1_000_000,
        previous_end: 67_108_900,
        begun_ns: 1_700_000_000_000_000_000,
    }
}

fn line<'a>(kind: RecordKind, text: &'a str) -> Journaled<'a> {
    Journaled {
        channel: ChannelId::new(7),
        name: "bbo:A",
        class: ChannelClass::Replace,
        kind,
        seq: 1 << 40,
        ts_ns: u64::MAX,
        pt_ns: 5,
        text: text.as_bytes(),
    }
}

#[test]
fn a_header_is_read_as_it_was_written_and_no_flipped_bit_goes_unseen() {
    for begun in [Begun::Start, Begun::Rotation, Begun::Discontinuity] {
        let header = Header { begun, ..header() };
        let bytes = header.bytes();
        assert_eq!(Header::read(&bytes), Ok(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::read(&flipped).is_err(), "bit {bit}");
        }
        for end in 0..HEADER_BYTES {
            assert_eq!(Header::read(&bytes[..end]), Err(Flaw::Short));
        }
    }
}

#[test]
fn each_record_is_read_as_it_was_written() {
    let mut bytes = vec![0; BATCH_BYTES];
    let mark = Mark {
        segment: 4,
        offset: 99,
    };
    write_batch(&mut bytes, mark);
    push_channel(&mut bytes, 7, ChannelClass::Book, "book:A");
    push_line(&mut bytes, &line(RecordKind::State, "{}"));
    push_line(&mut bytes, &line(RecordKind::Mark, ""));
    let remembered = Remembered {
        publisher: "desk".into(),
        key: "order-7".into(),
        kept: Kept {
            channel: ChannelId::new(7),
            seq: 9,
            pt_ns: 5,
            journaled: None,
        },
    };
    push_key(&mut bytes, &remembered);
    push_remembered(&mut bytes, &remembered);
    push_complete(&mut bytes, 12);
    let mut records = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let (record, size) = Record::read(&bytes[at..]).unwrap();
        records.push(record);
        at += size;
    }
    let read = |kind, text| Line {
        channel: 7,
        kind,
        seq: 1 << 40,
        ts_ns: u64::MAX,
        pt_ns: 5,
        text,
    };
    let key = KeyLine {
        channel: 7,
        seq: 9,
        pt_ns: 5,
        publisher: "desk",
        key: "order-7",
    };
    assert_eq!(
        records,
        [
            Record::Batch(mark),
            Record::Channel {
                number: 7,
                class: ChannelClass::Book,
                name: "book:A"
            },
            Record::Message(read(RecordKind::State, "{}")),
            Record::State(read(RecordKind::Mark, "")),
            Record::Key(key),
            Record::Remembered(key),
            Record::Complete { channels: 12 },
        ]
    );
}

#[test]
fn the_bytes_are_those_of_the_documentation() {
    let mut bytes = Vec::new();
    push_line(&mut bytes, &line(RecordKind::Live, "{}"));
    let body = bytes.split_off(8);
    assert_eq!(u32::from_le_bytes(bytes[..4].try_into().unwrap()), 32);
    let mut crc = Crc::new();
    crc.update(&bytes[..4]);
    crc.update(&body);
    assert_eq!(bytes[4..], crc.sum().to_le_bytes());
    assert_eq!(body[..2], [MESSAGE, 1]);
    assert_eq!(body[2..6], 7_u32.to_le_bytes());
    assert_eq!(body[6..14], (1_u64 << 40).to_le_bytes());
    assert_eq!(&body[30..], b"{}");
    let header = header().bytes();
    assert_eq!(&header[..11], b"TICKJRNL\x02\0\x02");
    assert_eq!(header[16..24], 3_u64.to_le_bytes());
    assert_eq!(BATCH_BYTES, 33);
}

#[test]
fn a_length_that_no_record_has_is_not_waited_for() {
    let longest = u32::try_from(BODY_BYTES_MAX).unwrap();
    for length in [0, longest + 1, u32::MAX] {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(&[0; 8]);
        assert_eq!(Record::read(&bytes), Err(Flaw::Length(length)));
    }
    assert_eq!(
        Record::read(&[0; 64]),
        Err(Flaw::Length(0)),
        "zeros are no record"
    );
    assert_eq!(Record::read(&longest.to_le_bytes()), Err(Flaw::Short));
}

#[test]
fn a_mark_is_found_amid_what_is_no_record() {
    let mut bytes = b"garbage \xFFTBATCH\xFF and more".to_vec();
    assert_eq!(furthest_mark(&bytes), None);
    for offset in [5, 9, 7] {
        let at = bytes.len();
        bytes.resize(at + BATCH_BYTES, 0);
        write_batch(&mut bytes[at..], Mark { segment: 1, offset });
        bytes.push(0);
    }
    let furthest = Mark {
        segment: 1,
        offset: 9,
    };
    assert_eq!(furthest_mark(&bytes), Some(furthest));
}

proptest! {
    #[test]
    fn a_flipped_bit_of_a_record_never_gives_another_record(
        text in "\\PC{0,40}",
        bit in any::<prop::sample::Index>(),
    ) {
        let mut bytes = Vec::new();
        push_line(&mut bytes, &line(RecordKind::Live, &text));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(Record::read(&bytes).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = (Header::read(&bytes), Record::read(&bytes), furthest_mark(&bytes));
    }
}
