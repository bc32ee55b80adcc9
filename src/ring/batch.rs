//! Many sends of borrowed bytes, handed to the ring at once.
//!
//! Never copies a byte. Invariant: the parts of send `i` follow those of send `i - 1`, each part has bytes, and
//! a send has at most [`SEND_PARTS_MAX`] of them.

use super::{Errno, Socket};
use crate::limits::SEND_PARTS_MAX;
use std::fmt;
use std::io::IoSlice;

/// Sends to be made together; each is a socket and the slices that follow each other on its stream.
#[derive(Default)]
pub struct Batch<'a> {
    parts: Vec<IoSlice<'a>>,
    sends: Vec<Send>,
}

/// The parts of one send end at `parts_end`; they start where the previous send's end.
#[derive(Clone, Copy, Debug)]
struct Send {
    socket: Socket,
    parts_end: usize,
}

impl<'a> Batch<'a> {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            parts: Vec::new(),
            sends: Vec::new(),
        }
    }

    /// An empty batch with room for `sends` sends of `parts` slices altogether.
    #[must_use]
    pub fn with_capacity(sends: usize, parts: usize) -> Self {
        Self {
            parts: Vec::with_capacity(parts),
            sends: Vec::with_capacity(sends),
        }
    }

    /// Bytes of memory that a batch of so many sends and slices takes.
    #[must_use]
    pub const fn bytes(sends: usize, parts: usize) -> usize {
        sends * size_of::<Send>() + parts * size_of::<IoSlice<'_>>()
    }

    /// Adds one send and gives its index, by which [`Short`] names it. Empty parts are left out.
    ///
    /// # Panics
    /// When there are more than [`SEND_PARTS_MAX`] parts, or more than 2³¹ - 1 bytes, which no single send of
    /// the kernel's can carry.
    pub fn push(&mut self, socket: Socket, parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
        let start = self.parts.len();
        self.parts.extend(
            parts
                .into_iter()
                .filter(|part| !part.is_empty())
                .map(IoSlice::new),
        );
        let added = &self.parts[start..];
        assert!(
            added.len() <= SEND_PARTS_MAX,
            "a send has at most {SEND_PARTS_MAX} parts"
        );
        let bytes: usize = added.iter().map(|part| part.len()).sum();
        assert!(i32::try_from(bytes).is_ok(), "a send carries less than 2 GiB");
        self.sends.push(Send {
            socket,
            parts_end: self.parts.len(),
        });
        u32::try_from(self.sends.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds one send of one part, as [`push`](Self::push) does: what most sends are.
    ///
    /// # Panics
    /// When the part has more than 2³¹ - 1 bytes.
    pub fn push_one(&mut self, socket: Socket, part: &'a [u8]) -> u32 {
        assert!(
            i32::try_from(part.len()).is_ok(),
            "a send carries less than 2 GiB"
        );
        if !part.is_empty() {
            self.parts.push(IoSlice::new(part));
        }
        self.sends.push(Send {
            socket,
            parts_end: self.parts.len(),
        });
        u32::try_from(self.sends.len() - 1).unwrap_or(u32::MAX)
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.sends.clear();
    }

    /// Empties the batch and keeps its memory, while the borrow of the bytes ends: the next turn's batch may
    /// borrow for another lifetime.
    #[must_use]
    pub fn recycle<'b>(mut self) -> Batch<'b> {
        self.clear();
        Batch {
            // Collecting an emptied vector into one of the same layout reuses its allocation.
            parts: self.parts.into_iter().map(|_| IoSlice::new(&[])).collect(),
            sends: self.sends,
        }
    }

    /// How many sends there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// The socket and the parts of one send.
    #[must_use]
    pub fn send(&self, index: usize) -> Option<(Socket, &[IoSlice<'a>])> {
        let send = self.sends.get(index)?;
        let start = index
            .checked_sub(1)
            .map_or(0, |previous| self.sends[previous].parts_end);
        Some((send.socket, &self.parts[start..send.parts_end]))
    }

    /// Every send, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Socket, &[IoSlice<'a>])> + '_ {
        (0..self.len()).filter_map(|index| self.send(index))
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("sends", &self.sends.len())
            .field("parts", &self.parts.len())
            .finish()
    }
}

/// A send that did not go out whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Short {
    /// Which send of the batch.
    pub index: u32,
    /// Bytes that did go out, from the start of its first part.
    pub sent: usize,
    /// Why no more did.
    pub cause: ShortCause,
}

/// Why a send did not go out whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShortCause {
    /// No room: watch the socket with [`Interest::Write`](super::Interest::Write) and send the rest then.
    Full,
    /// The connection, or the whole ring, is beyond use.
    Broken(Errno),
}

impl Short {
    /// From the result of a send that is known not to have gone out whole.
    #[must_use]
    pub(super) fn new(index: u32, result: Result<usize, Errno>) -> Self {
        let (sent, cause) = match result {
            Ok(sent) => (sent, ShortCause::Full),
            Err(errno) if errno.would_block() => (0, ShortCause::Full),
            Err(errno) => (0, ShortCause::Broken(errno)),
        };
        Self { index, sent, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_belong_to_the_send_they_were_pushed_with() {
        let mut batch = Batch::new();
        assert_eq!(batch.push(Socket::new(1), [&b"a"[..], b"", b"bc"]), 0);
        assert_eq!(batch.push(Socket::new(2), []), 1);
        assert_eq!(batch.push_one(Socket::new(3), b"def"), 2);
        assert_eq!(batch.push_one(Socket::new(4), b""), 3);
        let sends: Vec<(Socket, Vec<u8>)> = batch
            .iter()
            .map(|(socket, parts)| (socket, parts.iter().flat_map(|part| part.to_vec()).collect()))
            .collect();
        let want =
            [(1, &b"abc"[..]), (2, b""), (3, b"def"), (4, b"")].map(|(s, b)| (Socket::new(s), b.to_vec()));
        assert_eq!(sends, want);
        assert!(batch.send(4).is_none());
        batch.clear();
        assert!(batch.is_empty());
    }

    #[test]
    fn recycling_ends_the_borrow_and_keeps_the_memory() {
        let mut batch: Batch<'static> = Batch::with_capacity(7, 33);
        let (sends, parts) = (batch.sends.as_ptr(), batch.parts.as_ptr().cast::<u8>());
        let capacities = (batch.sends.capacity(), batch.parts.capacity());
        for turn in 0_u8..3 {
            let bytes = [turn; 16];
            let mut borrowing = batch.recycle();
            borrowing.push(Socket::new(0), [&bytes[..8], &bytes[8..]]);
            batch = borrowing.recycle();
        }
        assert!(batch.is_empty());
        assert_eq!((batch.sends.capacity(), batch.parts.capacity()), capacities);
        assert_eq!(
            (batch.sends.as_ptr(), batch.parts.as_ptr().cast()),
            (sends, parts)
        );
    }

    #[test]
    #[should_panic(expected = "at most")]
    fn a_send_of_too_many_parts_is_refused() {
        let bytes = [0_u8; SEND_PARTS_MAX + 1];
        Batch::new().push(Socket::new(0), bytes.chunks(1));
    }

    #[test]
    fn a_full_socket_is_told_from_a_broken_one() {
        assert_eq!(
            Short::new(1, Ok(7)),
            Short {
                index: 1,
                sent: 7,
                cause: ShortCause::Full
            }
        );
        assert_eq!(Short::new(2, Err(Errno::AGAIN)).cause, ShortCause::Full);
        assert_eq!(
            Short::new(3, Err(Errno::PIPE)).cause,
            ShortCause::Broken(Errno::PIPE)
        );
    }
}
