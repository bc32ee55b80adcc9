//! A queue of slots in which each stands once at most: as large as there are slots, whatever happens.
//!
//! It knows nothing of who lives in a slot. A slot that is given to another tenant keeps its place, so whoever takes a
//! slot out asks whether its present tenant waits at all. Invariant: a slot is linked exactly while it stands in the queue.

/// Slots that wait for something, first come, first served.
#[derive(Debug)]
pub struct SlotQueue {
    /// Who stands behind each slot; [`ABSENT`] for a slot that does not stand here.
    behind: Vec<u32>,
    first: u32,
    last: u32,
    len: usize,
}

impl SlotQueue {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize = size_of::<u32>();

    /// An empty queue for slots below `capacity`, which touches memory only for slots in use.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            behind: Vec::with_capacity(capacity),
            first: END,
            last: END,
            len: 0,
        }
    }

    /// `slot` stands at the end, unless it stands here already. Says whether it came.
    pub fn push(&mut self, slot: u32) -> bool {
        let at = slot as usize;
        if at >= self.behind.len() {
            self.behind.resize(at + 1, ABSENT);
        }
        if self.behind[at] != ABSENT {
            return false;
        }
        self.behind[at] = END;
        match self.behind.get_mut(self.last as usize) {
            Some(behind) => *behind = slot,
            None => self.first = slot,
        }
        self.last = slot;
        self.len += 1;
        true
    }

    /// Takes out whoever is first.
    pub fn pop(&mut self) -> Option<u32> {
        let slot = self.first;
        let behind = self.behind.get_mut(slot as usize)?;
        self.first = std::mem::replace(behind, ABSENT);
        if self.first == END {
            self.last = END;
        }
        self.len -= 1;
        Some(slot)
    }

    /// Whether `slot` stands here.
    #[must_use]
    pub fn contains(&self, slot: u32) -> bool {
        self.behind
            .get(slot as usize)
            .is_some_and(|behind| *behind != ABSENT)
    }

    /// How many stand here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

const ABSENT: u32 = u32::MAX;
const END: u32 = u32::MAX - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn stands_as_in_a_queue_that_is_searched(ops in prop::collection::vec(prop::option::of(0_u32..9), 0..200)) {
            let mut queue = SlotQueue::with_capacity(9);
            let mut oracle = VecDeque::new();
            for op in ops {
                match op {
                    Some(slot) => {
                        let comes = !oracle.contains(&slot);
                        prop_assert_eq!(queue.push(slot), comes);
                        if comes {
                            oracle.push_back(slot);
                        }
                    }
                    None => prop_assert_eq!(queue.pop(), oracle.pop_front()),
                }
                prop_assert_eq!((queue.len(), queue.is_empty()), (oracle.len(), oracle.is_empty()));
                for slot in 0..10 {
                    prop_assert_eq!(queue.contains(slot), oracle.contains(&slot));
                }
            }
        }
    }
}
