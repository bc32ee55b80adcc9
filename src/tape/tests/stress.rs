//! Real threads: readers verify what they pin while the writer goes around as fast as it may.

use super::*;
use crate::base::Prng;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};

const RECORDS: u64 = 30_000;

/// The frame of a record on a track: a length and contents that follow from its position alone.
fn frame(position: u64, track: u64, into: &mut Vec<u8>) {
    let mut prng = Prng::new(position * 2 + track);
    into.clear();
    for _ in 0..prng.below(if track == 0 { 40 } else { 12 }) {
        into.extend_from_slice(&prng.next_u64().to_le_bytes());
    }
}

/// Reads all from `next` on that is still there, under one pin; gives back where it ended and what it missed.
fn turn(reader: &mut Reader, next: u64, expected: &mut Vec<u8>) -> (u64, u64) {
    reader.pin();
    let (tail, head) = (reader.tail().number(), reader.head().number());
    assert!(head >= next && head >= tail);
    let from = next.max(tail);
    for position in from..head {
        let at = Position::new(position);
        let record = reader.record(at);
        assert_eq!(record.seq, position);
        let channel = reader.channel(record.channel);
        assert_eq!(channel.name, format!("c:{}", position % 7));
        if record.previous >= reader.tail() {
            assert_eq!(record.previous.number(), position - 7);
        }
        for track in 0..2_u8 {
            frame(position, u64::from(track), expected);
            let name = Track::new(track);
            assert_eq!(reader.frame(name, at), expected.as_slice());
            let span = reader.span(name, at);
            if !span.is_empty() {
                assert_eq!(reader.position_at(name, span.start), at);
            }
        }
    }
    // What was read first is as it was, although the writer has been at work meanwhile.
    if from < head {
        frame(from, 0, expected);
        assert_eq!(reader.frame(TRACK, Position::new(from)), expected.as_slice());
    }
    (head, from - next)
}

/// Follows the writer to the end; sleeps when there is nothing to read, until rung. Owns its reader, so that the
/// writer is not held up for ever when a check here fails.
fn follow(mut reader: Reader, failed: &AtomicBool) -> u64 {
    let (mut next, mut missed) = (1, 0);
    let mut expected = Vec::new();
    while next <= RECORDS {
        let (head, skipped) = turn(&mut reader, next, &mut expected);
        next = head;
        missed += skipped;
        if next <= RECORDS && reader.park(Position::new(next)) == Parked::Idle {
            // The bell is sticky, and may ring once too often; never once too seldom, or this never ends.
            thread::park();
            assert!(!failed.load(Ordering::Relaxed), "the writer failed");
        }
    }
    missed
}

/// Wakes everybody for good when the writer fails, so that the test fails too and does not hang.
struct Alarm<'a> {
    bells: &'a [Thread],
    failed: &'a AtomicBool,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.failed.store(true, Ordering::Relaxed);
            self.bells.iter().for_each(Thread::unpark);
        }
    }
}

fn write(writer: &mut Writer, bells: &[Thread]) {
    let channels: Vec<ChannelId> = (0..7)
        .map(|number| writer.declare(&format!("c:{number}"), Class::Append).unwrap())
        .collect();
    let (mut wide, mut narrow) = (Vec::new(), Vec::new());
    for position in 1..=RECORDS {
        frame(position, 0, &mut wide);
        frame(position, 1, &mut narrow);
        let channel = channels[usize::try_from(position % 7).unwrap()];
        loop {
            match writer.append(entry(channel, position), &[&wide, &narrow]) {
                Ok(at) => break assert_eq!(at.number(), position),
                Err(Full::Unretired) => writer.retire_oldest(),
                Err(Full::Pinned { .. }) => thread::yield_now(),
                Err(Full::Held) => writer.show(),
            }
        }
        if position % 5 == 0 || position == RECORDS {
            writer.wake_parked(|reader| bells[reader].unpark());
        }
    }
}

#[test]
fn readers_see_every_pinned_byte_as_written_while_the_writer_goes_around() {
    let (mut writer, readers) = new(&Shape {
        records: 64,
        track_bytes: vec![PAGE / 4, PAGE / 8],
        readers: 3,
    })
    .unwrap();
    let failed = &AtomicBool::new(false);
    let start = &Barrier::new(readers.len() + 1);
    thread::scope(|scope| {
        let following: Vec<_> = readers
            .into_iter()
            .map(|reader| {
                scope.spawn(move || {
                    start.wait();
                    follow(reader, failed)
                })
            })
            .collect();
        let bells: Vec<Thread> = following.iter().map(|thread| thread.thread().clone()).collect();
        let alarm = Alarm {
            bells: &bells,
            failed,
        };
        start.wait();
        write(&mut writer, &bells);
        drop(alarm);
        for thread in following {
            let missed = thread.join().unwrap();
            assert!(
                missed < RECORDS,
                "a reader that is rung sees the newest record at least"
            );
        }
    });
    assert_eq!(writer.head().number(), RECORDS + 1);
}
