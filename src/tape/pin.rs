//! Who may read what, and who must be woken: the only protocol between the threads of the tape.
//!
//! Never touches a record or a byte: it moves numbers, and `shared.rs` turns them into permissions. Safe code on
//! atomics, written once for `std` and for loom's model of the memory (`--cfg tickwire_loom`).
//!
//! Invariant: once [`Pins::clear`] has returned a position, no reader's [`View`], present or future, reaches below
//! it. And a reader that [`Pins::park`] let sleep is rung for the first record that it has not seen.
//!
//! # The words
//!
//! | word | stored by | says |
//! |---|---|---|
//! | `head` | the writer | every record below it is written |
//! | `channels` | the writer | every channel below it is declared |
//! | `tail` | the writer | no view taken from now on reaches below it |
//! | `pin`, one a reader | that reader | the lowest position it may read, or [`NOTHING`] |
//! | `parked`, one a reader | that reader; the writer takes it back | the reader wants to be rung |
//!
//! [`NOTHING`] is larger than any position, so the lowest word is the lowest pin.
//!
//! # Why each ordering
//!
//! **Writing before reading.** The writer fills a record, then stores `head` with release. A reader loads `head`
//! with acquire, so whatever lies below what it got is written, for it too. The same holds for `channels` and the
//! directory; the reader loads it after `head`, so a record's channel is always among those it knows.
//!
//! **Reading before overwriting.** A reader stores its pin with release after its last read under the former one.
//! The writer loads the pins with acquire before it overwrites. If it loads that store or a later one, those reads
//! happened before the overwriting; if it loads an earlier one, the next paragraph says that it does not overwrite
//! what they read.
//!
//! **No pin is missed.** The reader stores the tail that it knows as its pin, then loads `tail` again, and takes
//! what it then gets as the tail of its view. The writer stores `tail`, then loads the pins. With a sequentially
//! consistent fence between the two steps on each side (Dekker's handshake), one of them sees the other: either the
//! writer sees the pin, which is not above the view's tail, and clears no further; or the reader sees the `tail` that
//! the writer clears up to at most, and its view begins there. Release and acquire cannot give that, because each side
//! stores one word and loads another; hence the fences. The reader may then raise its pin to the view's tail without
//! another handshake, since both values forbid what the view needs forbidden. It never has to try again.
//!
//! **Holding on.** A reader that is pinned may take in what was written since, and may raise its pin, without any
//! handshake: what it reads lay above its pin all along, and the writer clears nothing above the pin that it loads,
//! the former or the latter.
//!
//! Until it is raised, a pin may be lower than what is clear already. What was clear stays clear: by the argument
//! above no view reaches below it.
//!
//! **`tail` is never above `head`.** The writer stores `tail` with release, after the `head` that it does not
//! exceed; the reader loads `tail` with acquire and then `head`, so the pair it gets is in order.
//!
//! **No wake-up is lost.** The reader stores `parked`, then loads `head`, whether it lets go or holds on; the writer stores `head`, then loads
//! `parked`: the same handshake, with the same fences. Either the writer sees `parked` and rings, or the reader sees
//! the new head and does not sleep. The word guards no memory, so its accesses are relaxed. Both sides take it back
//! with a compare-and-swap, so that they agree on who did: each park is rung once, or taken back by its reader.

use super::record::Position;
#[cfg(tickwire_loom)]
use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
#[cfg(not(tickwire_loom))]
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

/// The words that the writer and the readers share.
#[derive(Debug)]
pub(super) struct Pins {
    ends: Padded<Ends>,
    readers: Box<[Padded<Word>]>,
}

/// The writer's words. They share a line: one thread stores them, and a reader that wants one wants all.
#[derive(Debug)]
struct Ends {
    head: AtomicU64,
    tail: AtomicU64,
    channels: AtomicU32,
}

/// A reader's words.
#[derive(Debug)]
struct Word {
    pin: AtomicU64,
    parked: AtomicBool,
}

/// Keeps words on cache lines of its own: two, because processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Padded<T>(T);

/// What a reader may read until it pins again or parks: the records from `tail` up to, not including, `head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) tail: Position,
    pub(super) head: Position,
    pub(super) channels: u32,
}

impl View {
    /// No records, of a tape with so many channels. No pin gives this view: heads start at the first position.
    pub(super) const fn unpinned(channels: u32) -> Self {
        Self {
            tail: Position::NONE,
            head: Position::NONE,
            channels,
        }
    }
}

/// How far the writer may overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clear {
    /// Every record below it may be overwritten.
    pub(super) position: Position,
    /// The reader that keeps it from being the tail, if one does.
    pub(super) reader: Option<usize>,
}

/// Whether a reader may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a reader that sleeps although there is more to read is late"]
pub enum Parked {
    /// Nothing more to read. The next record rings this reader, once.
    Idle,
    /// There is more to read already. The reader is not parked, and still holds what it has pinned.
    Busy,
}

impl Pins {
    /// The words of an empty tape: nobody reads and nobody is parked.
    pub(super) fn new(readers: usize) -> Self {
        Self {
            ends: Padded(Ends {
                head: AtomicU64::new(Position::FIRST.number()),
                tail: AtomicU64::new(Position::FIRST.number()),
                channels: AtomicU32::new(0),
            }),
            readers: (0..readers)
                .map(|_| {
                    Padded(Word {
                        pin: AtomicU64::new(NOTHING),
                        parked: AtomicBool::new(false),
                    })
                })
                .collect(),
        }
    }

    /// The writer: every record below `head` is written.
    pub(super) fn publish(&self, head: Position) {
        self.ends.0.head.store(head.number(), Ordering::Release);
    }

    /// The writer: every channel below `channels` is declared.
    pub(super) fn declare(&self, channels: u32) {
        self.ends.0.channels.store(channels, Ordering::Release);
    }

    /// The writer: no record below `tail`, which is at most the head, is to be read any more.
    pub(super) fn retire(&self, tail: Position) {
        self.ends.0.tail.store(tail.number(), Ordering::Release);
    }

    /// The writer: how far it may overwrite, having announced `tail` and known `clear` to be so before.
    pub(super) fn clear(&self, clear: Position, tail: Position) -> Clear {
        // Between the store of the tail and the loads of the pins: no pin is missed.
        fence(Ordering::SeqCst);
        let mut lowest = Clear {
            position: tail,
            reader: None,
        };
        for (reader, Padded(word)) in self.readers.iter().enumerate() {
            let pin = Position::new(word.pin.load(Ordering::Acquire));
            if pin < lowest.position {
                lowest = Clear {
                    position: pin,
                    reader: Some(reader),
                };
            }
        }
        // A pin that is about to be raised may be lower than what is clear already.
        lowest.position = lowest.position.max(clear);
        lowest
    }

    /// The writer: calls `bell` for each reader that is parked, once a park.
    pub(super) fn ring(&self, mut bell: impl FnMut(usize)) {
        // Between the store of the head and the loads of the words: no wake-up is lost.
        fence(Ordering::SeqCst);
        for (reader, Padded(word)) in self.readers.iter().enumerate() {
            if word.unpark() {
                bell(reader);
            }
        }
    }

    /// A reader: what it may read from now on, and no longer what it could read before.
    pub(super) fn pin(&self, reader: usize) -> View {
        let ends = &self.ends.0;
        let word = &self.readers[reader].0;
        word.unpark();
        let before = ends.tail.load(Ordering::Acquire);
        word.pin.store(before, Ordering::Release);
        // Between the store of the pin and the load of the tail: no pin is missed.
        fence(Ordering::SeqCst);
        let tail = ends.tail.load(Ordering::Acquire);
        if tail != before {
            // What was retired in between may be overwritten, and is not in the view: do not hold the writer up.
            // (The fence already releases the reads under the former pin; the ordering says so where it matters.)
            word.pin.store(tail, Ordering::Release);
        }
        View {
            tail: Position::new(tail),
            head: Position::new(ends.head.load(Ordering::Acquire)),
            channels: ends.channels.load(Ordering::Acquire),
        }
    }

    /// A reader that is pinned: what it may read beside what was in its view already, and how far the writer has announced
    /// to go. It holds on to all that it had.
    pub(super) fn extend(&self, reader: usize, view: View) -> (Position, View) {
        self.readers[reader].0.unpark();
        let ends = &self.ends.0;
        // The tail before the head, so that the pair is in order.
        let tail = ends.tail.load(Ordering::Acquire);
        let extended = View {
            tail: view.tail,
            head: Position::new(ends.head.load(Ordering::Acquire)),
            channels: ends.channels.load(Ordering::Acquire),
        };
        (Position::new(tail), extended)
    }

    /// A reader that is pinned: reads nothing before `tail` any more, which is in its view.
    pub(super) fn release(&self, reader: usize, tail: Position) {
        self.readers[reader].0.pin.store(tail.number(), Ordering::Release);
    }

    /// A reader: sleeps if nothing is on the tape from `next` on. Then it reads nothing any more, unless it `holds` on to
    /// what is pinned; if it does not sleep it holds on in any case.
    pub(super) fn park(&self, reader: usize, next: Position, holds: bool) -> Parked {
        let word = &self.readers[reader].0;
        word.parked.store(true, Ordering::Relaxed);
        // Between the store of the word and the load of the head: no wake-up is lost.
        fence(Ordering::SeqCst);
        if self.ends.0.head.load(Ordering::Relaxed) <= next.number() {
            if !holds {
                word.pin.store(NOTHING, Ordering::Release);
            }
            return Parked::Idle;
        }
        // The writer may have rung meanwhile; then the bell is one too many.
        word.unpark();
        Parked::Busy
    }

    /// A reader: reads nothing any more and is not to be rung.
    pub(super) fn leave(&self, reader: usize) {
        let word = &self.readers[reader].0;
        word.unpark();
        word.pin.store(NOTHING, Ordering::Release);
    }

    /// Bytes that the words of so many readers take.
    pub(super) fn bytes(readers: usize) -> usize {
        size_of::<Padded<Ends>>() + readers * size_of::<Padded<Word>>()
    }
}

impl Word {
    /// Takes back the wish to be rung; false when there was none or the other side did so first.
    fn unpark(&self) -> bool {
        // The load leaves the line shared while the reader is awake; the exchange would claim it each time.
        self.parked.load(Ordering::Relaxed)
            && self
                .parked
                .compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The pin of a reader that reads nothing.
const NOTHING: u64 = u64::MAX;

#[cfg(test)]
#[cfg(tickwire_loom)]
mod model;
