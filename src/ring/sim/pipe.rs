//! One direction of a simulated connection: bytes in order, each arriving at its time.
//!
//! Stands for the sender's buffer, the wire and the receiver's buffer together: bytes count against the capacity
//! from the write until they are read. Invariant: bytes arrive in the order written, and the end after all of them.

use std::collections::VecDeque;

/// Bytes on their way.
#[derive(Debug)]
pub(super) struct Pipe {
    bytes: VecDeque<u8>,
    arrived: usize,
    /// Grows with whatever arrives.
    landed: u64,
    flights: VecDeque<Flight>,
    capacity: usize,
    end_at_ns: Option<u64>,
    last_at_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    at_ns: u64,
    bytes: usize,
}

impl Pipe {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            bytes: VecDeque::new(),
            arrived: 0,
            landed: 0,
            flights: VecDeque::new(),
            capacity,
            end_at_ns: None,
            last_at_ns: 0,
        }
    }

    /// Puts bytes on their way, to arrive at `at_ns` or when all before them have; gives the time.
    ///
    /// # Panics
    /// When there is no room for them.
    pub(super) fn write(&mut self, bytes: &[u8], at_ns: u64) -> u64 {
        assert!(
            bytes.len() <= self.room(),
            "the pipe has room for what is written"
        );
        self.last_at_ns = self.last_at_ns.max(at_ns);
        self.bytes.extend(bytes);
        self.flights.push_back(Flight {
            at_ns: self.last_at_ns,
            bytes: bytes.len(),
        });
        self.invariants();
        self.last_at_ns
    }

    /// Ends the stream after what was written; gives the time at which the end arrives.
    pub(super) fn finish(&mut self, at_ns: u64) -> u64 {
        self.last_at_ns = self.last_at_ns.max(at_ns);
        *self.end_at_ns.get_or_insert(self.last_at_ns)
    }

    /// Lands what is due.
    pub(super) fn settle(&mut self, now_ns: u64) {
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.at_ns <= now_ns) {
            self.arrived += flight.bytes;
            self.landed += flight.bytes as u64;
        }
        self.invariants();
    }

    /// Takes bytes that have arrived, as many as `lane` holds.
    pub(super) fn read(&mut self, lane: &mut [u8]) -> usize {
        let count = lane.len().min(self.arrived);
        for (to, from) in lane.iter_mut().zip(self.bytes.drain(..count)) {
            *to = from;
        }
        self.arrived -= count;
        self.invariants();
        count
    }

    /// Forgets what has not arrived.
    pub(super) fn cut(&mut self) {
        self.flights.clear();
        self.bytes.truncate(self.arrived);
        self.invariants();
    }

    /// Changes the capacity of a pipe that is empty.
    pub(super) fn resize(&mut self, capacity: usize) {
        assert!(self.is_empty(), "only an empty pipe is resized");
        self.capacity = capacity;
    }

    /// Bytes that a write may add.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.bytes.len()
    }

    /// Whether a poll for room would report it: a third of the buffer, as TCP asks for.
    pub(super) fn is_writable(&self) -> bool {
        self.room() * 3 >= self.capacity
    }

    /// Bytes that can be read.
    pub(super) fn arrived(&self) -> usize {
        self.arrived
    }

    /// What has arrived counts as having arrived just now.
    pub(super) fn renew(&mut self) {
        self.landed += 1;
    }

    /// Grows with whatever arrives.
    pub(super) fn landed(&self) -> u64 {
        self.landed
    }

    /// Whether the end of the stream has arrived; bytes before it may still be unread.
    pub(super) fn has_ended(&self, now_ns: u64) -> bool {
        self.end_at_ns.is_some_and(|at_ns| at_ns <= now_ns) && self.flights.is_empty()
    }

    /// Whether the writer has ended the stream.
    pub(super) fn is_finished(&self) -> bool {
        self.end_at_ns.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn invariants(&self) {
        debug_assert!(self.bytes.len() <= self.capacity);
        let flying: usize = self.flights.iter().map(|flight| flight.bytes).sum();
        debug_assert_eq!(self.arrived + flying, self.bytes.len());
        debug_assert!(self.flights.iter().is_sorted_by_key(|flight| flight.at_ns));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_order_and_the_end_after_them() {
        let mut pipe = Pipe::new(8);
        assert_eq!(pipe.write(b"abc", 50), 50);
        assert_eq!(pipe.write(b"de", 20), 50);
        assert_eq!(pipe.finish(10), 50);
        pipe.settle(49);
        assert_eq!((pipe.arrived(), pipe.room(), pipe.has_ended(49)), (0, 3, false));
        pipe.settle(50);
        assert_eq!((pipe.arrived(), pipe.room(), pipe.has_ended(50)), (5, 3, true));
        let mut lane = [0; 4];
        assert_eq!((pipe.read(&mut lane), &lane), (4, b"abcd"));
        assert_eq!((pipe.read(&mut lane), lane[0]), (1, b'e'));
    }

    #[test]
    fn a_cut_loses_only_what_was_on_its_way() {
        let mut pipe = Pipe::new(8);
        pipe.write(b"ab", 1);
        pipe.settle(1);
        pipe.write(b"cd", 2);
        pipe.cut();
        pipe.settle(3);
        assert_eq!((pipe.arrived(), pipe.room()), (2, 6));
    }
}
