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
    stand: Stand,
}

/// In which line, and since when on the clock of whoever asks, in one word.
#[derive(Clone, Copy, Debug)]
struct Stand(u32);

impl Stand {
    const NOWHERE: Self = Self(LINE_MASK);

    fn new(line: u8, since: u32) -> Self {
        Self(since.min(SINCE_MAX) << LINE_BITS | u32::from(line))
    }

    fn line(self) -> Option<u8> {
        let line = u8::try_from(self.0 & LINE_MASK).ok()?;
        (u32::from(line) != LINE_MASK).then_some(line)
    }

    fn since(self) -> u32 {
        self.0 >> LINE_BITS
    }
}

/// Who is first and who is last.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

impl<const N: usize> Lines<N> {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize = size_of::<Link>();

    /// Empty lines for slots below `capacity`, which touch memory only for slots in use.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        const {
            assert!(N <= LINE_MASK as usize, "a line is named in a few bits");
        }
        Self {
            links: Vec::with_capacity(capacity),
            ends: [NOBODY; N],
        }
    }

    /// `slot` stands at the end of `line`, from now on, wherever it stood before. Times are told apart up to [`SINCE_MAX`].
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
            stand: Stand::new(line, now),
        };
    }

    /// `slot` stands in no line.
    pub fn leave(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else {
            return;
        };
        let Link { before, after, stand } = std::mem::replace(link, NOWHERE);
        let Some(line) = stand.line() else {
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
        self.links.get(slot as usize)?.stand.line()
    }

    /// Who has stood longest in `line`, and since when.
    ///
    /// # Panics
    /// When there is no such line.
    #[must_use]
    pub fn first(&self, line: u8) -> Option<(u32, u32)> {
        let first = self.ends[usize::from(line)].first;
        let link = self.links.get(first as usize)?;
        Some((first, link.stand.since()))
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
    stand: Stand::NOWHERE,
};
const LINE_BITS: u32 = 3;
const LINE_MASK: u32 = (1 << LINE_BITS) - 1;
/// The latest time at which a slot can join a line; later ones are taken for it.
pub const SINCE_MAX: u32 = u32::MAX >> LINE_BITS;

const _: () = assert!(size_of::<Link>() == 12);

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
