//! Messages that were received and not taken yet.
//!
//! Never asks the allocator for anything once it has held a full load: the room of one load is used for the next.
//!
//! Invariant: holds at most [`CLIENT_AHEAD_BYTES`] bytes and one message.

use std::cell::Cell;

use super::conversation::Payload;
use crate::limits::CLIENT_AHEAD_BYTES;

/// One load of messages, taken in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Batch {
    text: String,
    binary: Vec<u8>,
    entries: Vec<Entry>,
    /// How many entries are taken.
    taken: Cell<usize>,
}

/// Where one message ends.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Text { from: usize, to: usize },
    Binary { from: usize, to: usize },
}

impl Batch {
    /// Adds a copy of a message.
    pub(super) fn push(&mut self, payload: Payload<'_>) {
        if self.is_empty() {
            self.text.clear();
            self.binary.clear();
            self.entries.clear();
            self.taken.set(0);
        }
        let entry = match payload {
            Payload::Text(text) => {
                let from = self.text.len();
                self.text.push_str(text);
                Entry::Text {
                    from,
                    to: self.text.len(),
                }
            }
            Payload::Binary(bytes) => {
                let from = self.binary.len();
                self.binary.extend_from_slice(bytes);
                Entry::Binary {
                    from,
                    to: self.binary.len(),
                }
            }
        };
        self.entries.push(entry);
    }

    /// Takes the oldest message.
    pub(super) fn take(&self) -> Option<Payload<'_>> {
        let entry = *self.entries.get(self.taken.get())?;
        self.taken.set(self.taken.get() + 1);
        Some(match entry {
            Entry::Text { from, to } => Payload::Text(&self.text[from..to]),
            Entry::Binary { from, to } => Payload::Binary(&self.binary[from..to]),
        })
    }

    /// Puts the message that was taken last back.
    pub(super) fn put_back(&self) {
        self.taken.set(self.taken.get().saturating_sub(1));
    }

    /// Drops what was not taken.
    pub(super) fn drop_all(&self) {
        self.taken.set(self.entries.len());
    }

    /// Whether everything is taken.
    pub(super) fn is_empty(&self) -> bool {
        self.taken.get() == self.entries.len()
    }

    /// Whether no other message should be added.
    pub(super) const fn is_full(&self) -> bool {
        self.text.len() + self.binary.len() >= CLIENT_AHEAD_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_in_the_order_in_which_they_came() {
        let mut batch = Batch::default();
        for load in 0..3 {
            let words = [format!("a{load}"), format!("b{load}")];
            batch.push(Payload::Text(&words[0]));
            batch.push(Payload::Binary(&[1, 2]));
            batch.push(Payload::Text(&words[1]));
            assert_eq!(batch.take(), Some(Payload::Text(&words[0])));
            batch.put_back();
            assert_eq!(batch.take(), Some(Payload::Text(&words[0])));
            assert_eq!(batch.take(), Some(Payload::Binary(&[1, 2])));
            assert_eq!(batch.take(), Some(Payload::Text(&words[1])));
            assert!(batch.is_empty() && batch.take().is_none());
        }
        batch.push(Payload::Text("x"));
        batch.drop_all();
        assert!(batch.is_empty());
    }

    #[test]
    fn a_load_is_bounded_and_its_room_is_used_again() {
        let mut batch = Batch::default();
        let message = "x".repeat(1000);
        let mut rooms = Vec::new();
        for _ in 0..3 {
            while !batch.is_full() {
                batch.push(Payload::Text(&message));
            }
            assert!(batch.text.len() < CLIENT_AHEAD_BYTES + message.len());
            rooms.push(batch.text.capacity());
            while batch.take().is_some() {}
        }
        assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
    }
}
