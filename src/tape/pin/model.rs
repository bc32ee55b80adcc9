//! Every interleaving of a small tape: loom runs each schedule, and each value that the memory model lets a load see.
//!
//! The model's records are loom cells, which fail the run when a write and another access are not ordered, whatever
//! the values. Each test stops where the real writer would wait, so that every run ends; the runs in which the reader
//! let go in time are explored as well.

use super::*;
use loom::cell::UnsafeCell;
use loom::sync::{Arc, Notify};
use loom::thread;

/// A tape of two records, each of which holds its own position.
struct Tape {
    pins: Pins,
    cells: [UnsafeCell<u64>; RECORDS],
}

/// The writer's numbers, as the real one keeps them.
struct Writer {
    tape: Arc<Tape>,
    head: u64,
    tail: u64,
    clear: Position,
}

const RECORDS: usize = 2;

impl Tape {
    fn new(readers: usize) -> Arc<Self> {
        Arc::new(Self {
            pins: Pins::new(readers),
            cells: [UnsafeCell::new(0), UnsafeCell::new(0)],
        })
    }

    /// Reads all that `reader` may read, and gives back the head.
    fn read(&self, reader: usize) -> Position {
        let view = self.pins.pin(reader);
        assert!(view.tail <= view.head, "the tail is never above the head");
        for position in view.tail.number()..view.head.number() {
            self.cells[slot(position)].with(|cell| {
                // SAFETY: the protocol under test says so; loom fails the run when it is wrong.
                #[expect(unsafe_code, reason = "loom's cells lend raw pointers")]
                let value = unsafe { *cell };
                assert_eq!(value, position, "a pinned record stays as it is");
            });
            assert!(
                view.channels >= u32::try_from(position).unwrap(),
                "its channel is known"
            );
        }
        view.head
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
        self.tape.cells[slot(self.head)].with_mut(|cell| {
            // SAFETY: the protocol under test says so; loom fails the run when it is wrong.
            #[expect(unsafe_code, reason = "loom's cells lend raw pointers")]
            unsafe {
                *cell = self.head;
            }
        });
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
    loom::model(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        let writing = thread::spawn(move || while writer.head < 5 && writer.append() {});
        tape.read(0);
        tape.read(0);
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_that_parks_holds_nothing_and_may_be_lapped() {
    loom::model(|| {
        let tape = Tape::new(1);
        let mut writer = Writer::new(&tape);
        assert!(writer.append() && writer.append());
        let next = tape.read(0);
        let parked = tape.pins.park(0, next);
        assert_eq!(parked, Parked::Idle);
        let writing = thread::spawn(move || {
            // Nobody reads at first, so nobody is in the way for the first record.
            let appended = usize::from(writer.append()) + usize::from(writer.append());
            writer.tape.pins.ring(|_| {});
            (appended, writer.append())
        });
        // It wakes by itself, rung or not: a ring must not wipe its pin out.
        tape.read(0);
        tape.read(0);
        tape.pins.leave(0);
        writing.join().unwrap();
    });
}

#[test]
fn the_lowest_pin_of_two_readers_counts() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let tape = Tape::new(2);
        let mut writer = Writer::new(&tape);
        assert!(writer.append());
        let other = Arc::clone(&tape);
        let reading = thread::spawn(move || {
            other.read(1);
            other.pins.leave(1);
        });
        let writing = thread::spawn(move || while writer.head < 4 && writer.append() {});
        tape.read(0);
        reading.join().unwrap();
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_that_sleeps_is_rung_for_what_it_has_not_seen() {
    loom::model(|| {
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
            if tape.pins.park(0, next) == Parked::Idle {
                bell.wait();
            }
        }
        writing.join().unwrap();
    });
}

#[test]
fn a_reader_is_rung_once_a_park() {
    loom::model(|| {
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
        let parked = tape.pins.park(0, Position::FIRST);
        let rings = writing.join().unwrap();
        match parked {
            Parked::Idle => assert_eq!(rings, 1, "a sleeper is rung, and not again while it sleeps"),
            Parked::Busy => assert!(rings <= 1, "one who stays awake is rung in passing at most"),
        }
    });
}
