//! Segments of a journal: read alike however they are cut, and written as they were read.

use flate2::Crc;

use super::input::Input;
use crate::tape::ChannelId;
use crate::writer::journal::epoch::EpochFile;
use crate::writer::journal::format::{
    BATCH_BYTES, HEADER_BYTES, Header, KeyLine, RECORD_BYTES_MAX, Record, furthest_mark, push_channel,
    push_complete, push_key, push_line, push_remembered, write_batch,
};
use crate::writer::journal::roll::Roll;
use crate::writer::journal::scan::{Scanned, Scanner};
use crate::writer::sequencer::{Journaled, Kept, Remembered};

/// A segment, whose checksums are right where the input says so: a fuzzer would not find one in a lifetime.
///
/// # Panics
/// When a property does not hold.
pub fn journal(data: &[u8]) {
    let _ = EpochFile::read(data);
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let segment = if input.byte() & 1 == 0 {
        input.rest().to_vec()
    } else {
        summed(input)
    };
    let whole = scan([segment.as_slice()].into_iter());
    assert_eq!(scan(cuts.pieces(&segment).into_iter()), whole);
    let (written, end) = whole;
    let end = usize::try_from(end).expect("it is within the segment");
    assert!(end <= segment.len());
    // A header of an older version is written as one of the present.
    assert_eq!(Header::read(&written).ok(), Header::read(&segment).ok());
    let records = |bytes: &[u8]| bytes.get(HEADER_BYTES..).unwrap_or_default().to_vec();
    assert_eq!(
        records(&written),
        records(&segment[..end]),
        "what was read is written as it was"
    );
    let _ = furthest_mark(&segment);
}

/// What a segment says, written anew, and where its last good record ends.
fn scan<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<u8>, u64) {
    let (mut scanner, mut roll, mut levels) = (Scanner::default(), Roll::default(), Vec::new());
    let mut written = Vec::new();
    let mut pieces = pieces;
    loop {
        match scanner.scan() {
            Scanned::Header(header) => written.extend_from_slice(&header.bytes()),
            Scanned::Record(record) => {
                if let Record::Channel { number, name, .. } = record {
                    roll.call(number, name);
                }
                if let Record::Message(line) | Record::State(line) = record
                    && let Ok(restored) = roll.restored(&line, &mut levels)
                {
                    assert_eq!(Some(restored.channel), roll.name(line.channel));
                }
                write(&mut written, &record);
            }
            Scanned::More => match pieces.next() {
                Some(piece) => scanner.push(piece),
                None => scanner.finish(),
            },
            Scanned::End | Scanned::Flawed(_) => return (written, scanner.offset()),
        }
    }
}

fn write(out: &mut Vec<u8>, record: &Record<'_>) {
    match *record {
        Record::Batch(mark) => {
            let start = out.len();
            out.resize(start + BATCH_BYTES, 0);
            write_batch(&mut out[start..], mark);
        }
        Record::Channel { number, class, name } => push_channel(out, number, class, name),
        Record::Message(line) | Record::State(line) => push_line(
            out,
            &Journaled {
                channel: ChannelId::new(line.channel),
                name: "",
                class: crate::market::ChannelClass::Append,
                kind: line.kind,
                seq: line.seq,
                ts_ns: line.ts_ns,
                pt_ns: line.pt_ns,
                text: line.text.as_bytes(),
            },
        ),
        Record::Key(line) => push_key(out, &remembered(line)),
        Record::Remembered(line) => push_remembered(out, &remembered(line)),
        Record::Complete { channels } => push_complete(out, channels),
    }
}

fn remembered(line: KeyLine<'_>) -> Remembered {
    Remembered {
        publisher: line.publisher.into(),
        key: line.key.into(),
        kept: Kept {
            channel: ChannelId::new(line.channel),
            seq: line.seq,
            pt_ns: line.pt_ns,
            journaled: None,
        },
    }
}

/// A header and records of the input's bodies, under checksums that are right.
fn summed(mut input: Input<'_>) -> Vec<u8> {
    let header = Header::read(&input.array::<64>());
    let header = header.unwrap_or(Header {
        begun: crate::writer::journal::format::Begun::Start,
        segment: 1,
        epoch: 1,
        first_message: 1,
        previous_end: 0,
        begun_ns: 0,
    });
    let mut segment = header.bytes().to_vec();
    while !input.is_empty() && segment.len() < RECORD_BYTES_MAX {
        let body = input.piece();
        let length = u32::try_from(body.len()).expect("a piece is short").to_le_bytes();
        let mut crc = Crc::new();
        crc.update(&length);
        crc.update(body);
        segment.extend_from_slice(&length);
        segment.extend_from_slice(&crc.sum().to_le_bytes());
        segment.extend_from_slice(body);
    }
    segment
}
