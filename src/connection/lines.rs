//! Lines of connections that wait: who has stood longest is found, and anybody leaves, in constant time.
//!
//! A slot stands in one line at most, so that all lines share one link a slot. Nobody overtakes in a line.

/// `N` lines of slots.
#[derive(Debug)]
pub struct Lines<const N: usize> {
    links: Vec<Link>,
    ends: [Ends; N],
}

/// Where one slot stands.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// When it joined, on the clock of whoever asks.
    since: u32,
    line: Option<u8>,
}

/// Who is first and who is last.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

impl<const N: usize> Lines<N> {
    /// Empty lines for slots below `capacity`, which touch memory only for slots in use.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        const {
            assert!(N <= u8::MAX as usize, "a line is named in eight bits");
        }
        Self {
            links: Vec::with_capacity(capacity),
            ends: [NOBODY; N],
        }
    }

    /// `slot` stands at the end of `line`, from now on, wherever it stood before.
    ///
    /// # Panics
    /// When there is no such line.
    pub fn join(&mut self, line: u8, slot: u32, now: u32) {
        self.leave(slot);
        let at = slot as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, NOWHERE);
        }
        let ends = &mut self.ends[usize::from(line)];
        let before = std::mem::replace(&mut ends.last, slot);
        match self.links.get_mut(before as usize) {
            Some(previous) => previous.after = slot,
            None => ends.first = slot,
        }
        self.links[at] = Link {
            before,
            after: NONE,
            since: now,
            line: Some(line),
        };
    }

    /// `slot` stands in no line.
    pub fn leave(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else {
            return;
        };
        let Link {
            before, after, line, ..
        } = std::mem::replace(link, NOWHERE);
        let Some(line) = line else {
            return;
        };
        let ends = &mut self.ends[usize::from(line)];
        match self.links.get_mut(before as usize) {
            Some(previous) => previous.after = after,
            None => ends.first = after,
        }
        match self.links.get_mut(after as usize) {
            Some(next) => next.before = before,
            None => ends.last = before,
        }
    }

    /// In which line `slot` stands.
    #[must_use]
    pub fn of(&self, slot: u32) -> Option<u8> {
        self.links.get(slot as usize)?.line
    }

    /// Who has stood longest in `line`, and since when.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn first(&self, line: u8) -> Option<(u32, u32)> {
        let first = self.ends[usize::from(line)].first;
        let link = self.links.get(first as usize)?;
        Some((first, link.since))
    }
}

const NONE: u32 = u32::MAX;
const NOBODY: Ends = Ends {
    first: NONE,
    last: NONE,
};
const NOWHERE: Link = Link {
    before: NONE,
    after: NONE,
    since: 0,
    line: None,
};

const _: () = assert!(size_of::<Link>() == 16);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        #[test]
        fn stand_as_in_queues_that_are_searched(
            ops in prop::collection::vec((0_u32..9, prop::option::of(0_u8..3)), 0..200),
        ) {
            let mut lines = Lines::<3>::with_capacity(4);
            let mut queues: [VecDeque<(u32, u32)>; 3] = Default::default();
            for (now, (slot, line)) in (0..).zip(ops) {
                for queue in &mut queues {
                    queue.retain(|(other, _)| *other != slot);
                }
                if let Some(line) = line {
                    lines.join(line, slot, now);
                    queues[usize::from(line)].push_back((slot, now));
                } else {
                    lines.leave(slot);
                }
                prop_assert_eq!(lines.of(slot), line);
                for (line, queue) in (0..).zip(&queues) {
                    prop_assert_eq!(lines.first(line), queue.front().copied());
                    prop_assert!(queue.iter().all(|(slot, _)| lines.of(*slot) == Some(line)));
                }
            }
            for (line, queue) in (0..).zip(queues) {
                for expected in queue {
                    prop_assert_eq!(lines.first(line), Some(expected));
                    lines.leave(expected.0);
                }
                prop_assert_eq!(lines.first(line), None);
            }
        }
    }
}
