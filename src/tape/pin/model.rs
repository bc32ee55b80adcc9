//! The interleavings of a small tape: loom runs the schedules, and gives each load each value that the memory model
//! allows it.
//!
//! The model's records are loom cells, which fail the run when a write and another access are not ordered, whatever
//! the values; the values stand beside them. Each test stops where the real writer would wait, so that every run
//! ends; the runs in which the reader let go in time are explored as well.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread;
use std::sync::atomic::AtomicU64 as Value;

/// A tape of two records, each of which holds its own position.
struct Tape {
    pins: Pins,
    cells: [Cell; RECORDS],
}

/// The writer's numbers, as the real one keeps them.
struct Writer {
    tape: Arc<Tape>,
    head: u64,
    tail: u64,
    clear: Position,
}

/// A record. Loom watches every access to `access`; nobody has to dereference it for that.
#[derive(Default)]
struct Cell {
    access: UnsafeCell<()>,
    value: Value,
}

const RECORDS: usize = 2;

impl Cell {
    fn read(&self) -> u64 {
        self.access.with(|_| self.value.load(Ordering::Relaxed))
    }

    fn write(&self, value: u64) {
        self.access
            .with_mut(|_| self.value.store(value, Ordering::Relaxed));
    }
}

impl Tape {
    fn new(readers: usize) -> Arc<Self> {
        Arc::new(Self {
            pins: Pins::new(readers),
            cells: Default::default(),
        })
    }

    /// Reads all that `reader` may read, and gives back the head.
    fn read(&self, reader: usize) -> Position {
        let view = self.pins.pin(reader);
        self.read_view(view);
        view.head
    }

    fn read_view(&self, view: View) {
        assert!(view.tail <= view.head, "the tail is never above the head");
        for position in view.tail.number()..view.head.number() {
            let value = self.cells[slot(position)].read();
            assert_eq!(value, position, "a pinned record stays as it is");
            assert!(
                view.channels >= u32::try_from(position).unwrap(),
                "its channel is known"
            );
        }
    }
}

impl Writer {
    fn new(tape: &Arc<Tape>) -> Self {
        Self {
            tape: Arc::clone(tape),
            head: 1,
            tail: 1,
            clear: Position::FIRST,
        }
    }

    /// Declares a channel and appends its only record, retiring what is in the way; false when a reader pins that.
    fn append(&mut self) -> bool {
        let pins = &self.tape.pins;
        if self.head - self.tail == RECORDS as u64 {
            self.tail += 1;
            pins.retire(Position::new(self.tail));
        }
        if self.head - self.clear.number() == RECORDS as u64 {
            let clear = pins.clear(self.clear, Position::new(self.tail)).position;
            assert!(clear >= self.clear, "what was clear stays clear");
            self.clear = clear;
            if self.head - self.clear.number() == RECORDS as u64 {
                return false;
            }
        }
        pins.declare(u32::try_from(self.head).unwrap());
        self.tape.cells[slot(self.head)].write(self.head);
        self.head += 1;
        pins.publish(Position::new(self.head));
        true
    }
}

fn slot(position: u64) -> usize {
    usize::try_from(position).unwrap() % RECORDS
}

#[test]
fn no_record_is_overwritten_while_a_reader_pins_it() {
    check(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        assert!(writer.append() && writer.append());
        let writing = thread::spawn(move || while writer.head < 5 && writer.append() {});
        tape.read(0);
        tape.read(0);
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_that_parks_lets_go_and_holds_again_when_it_wakes_by_itself() {
    check(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        assert!(writer.append() && writer.append());
        let writing = thread::spawn(move || {
            let _pinned = writer.append();
            writer.tape.pins.ring(|_| {});
            let _pinned = writer.append();
        });
        let next = tape.read(0);
        let _slept_or_not = tape.pins.park(0, next, false);
        tape.read(0);
        tape.pins.leave(0);
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_that_holds_on_reads_all_that_it_had_and_what_has_come_since() {
    check(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        assert!(writer.append());
        let writing = thread::spawn(move || while writer.head < 5 && writer.append() {});
        let view = tape.pins.pin(0);
        let _slept_or_not = tape.pins.park(0, view.head, true);
        let (tail, view) = tape.pins.extend(0, view);
        tape.read_view(view);
        let tail = tail.max(view.tail);
        tape.pins.release(0, tail);
        tape.read_view(View { tail, ..view });
        writing.join().unwrap();
    });
}

#[test]
fn the_lowest_pin_of_two_readers_counts() {
    check(|| {
        let tape = Tape::new(2);
        let mut writer = Writer::new(&tape);
        assert!(writer.append() && writer.append());
        let other = Arc::clone(&tape);
        let reading = thread::spawn(move || {
            other.read(1);
            other.pins.leave(1);
        });
        let writing = thread::spawn(move || while writer.head < 5 && writer.append() {});
        tape.read(0);
        reading.join().unwrap();
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_that_sleeps_is_rung_for_what_it_has_not_seen() {
    check(|| {
        let tape = Tape::new(1);
        let bell = Arc::new(Notify::new());
        let mut writer = Writer::new(&tape);
        let rope = Arc::clone(&bell);
        let writing = thread::spawn(move || {
            for _ in 0..RECORDS {
                assert!(writer.append());
                writer.tape.pins.ring(|_| rope.notify());
            }
        });
        // A lost ring leaves this thread waiting for ever, which loom reports as a deadlock.
        loop {
            let next = tape.read(0);
            if next.number() > RECORDS as u64 {
                break;
            }
            if tape.pins.park(0, next, false) == Parked::Idle {
                bell.wait();
            }
        }
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_is_rung_once_a_park() {
    check(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        let writing = thread::spawn(move || {
            let mut rings = 0;
            for _ in 0..RECORDS {
                assert!(writer.append());
                writer.tape.pins.ring(|_| rings += 1);
            }
            rings
        });
        let parked = tape.pins.park(0, Position::FIRST, false);
        let rings = writing.join().unwrap();
        match parked {
            Parked::Idle => assert_eq!(rings, 1, "a sleeper is rung, and not again while it sleeps"),
            Parked::Busy => assert!(rings <= 1, "one who stays awake is rung in passing at most"),
        }
    });
}

#[test]
fn a_park_is_taken_back_by_one_side_only() {
    check(|| {
        let tape = Tape::new(1);
        let _idle = tape.pins.park(0, Position::FIRST, false);
        let other = Arc::clone(&tape);
        let ringing = thread::spawn(move || {
            let mut rings = 0;
            other.pins.ring(|_| rings += 1);
            rings
        });
        let woke_by_itself = tape.pins.readers[0].0.unpark();
        assert_eq!(u32::from(woke_by_itself) + ringing.join().unwrap(), 1);
    });
}

#[test]
fn a_view_whose_records_are_all_retired_is_empty_and_not_inverted() {
    check(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        let writing = thread::spawn(move || {
            for _ in 0..RECORDS {
                assert!(writer.append());
                writer.tail += 1;
                writer.tape.pins.retire(Position::new(writer.tail));
            }
        });
        tape.read(0);
        writing.join().unwrap();
    });
}

#[test]
fn a_channel_is_written_before_a_reader_knows_it() {
    check(|| {
        let tape = Tape::new(1);
        let other = Arc::clone(&tape);
        let writing = thread::spawn(move || {
            for channel in 0..2 {
                other.cells[channel].write(1);
                other.pins.declare(u32::try_from(channel + 1).unwrap());
            }
        });
        let view = tape.pins.pin(0);
        for name in &tape.cells[..view.channels as usize] {
            assert_eq!(name.read(), 1);
        }
        writing.join().unwrap();
    });
}

/// Runs every schedule that takes the processor from a thread up to three times before it would give it up.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
