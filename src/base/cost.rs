//! One line of a memory plan: so many things of so many bytes.
//!
//! Never measures anything. Whoever reserves memory says what it comes to, and a plan is the sum of what they say.

/// So many things of one kind, each of so many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What they are there for.
    pub part: Part,
    /// What they are called.
    pub what: &'static str,
    /// How many there are.
    pub count: usize,
    /// Bytes of each.
    pub bytes_each: usize,
}

/// What memory is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A connection has one of each for as long as it lives.
    Slots,
    /// A subscription has one of each for as long as it lives.
    Subscriptions,
    /// Connections borrow them and give them back.
    Pools,
    /// A shard works in it.
    Working,
    /// The queues that a shard shares with the kernel.
    Rings,
    /// What was published last.
    Tape,
    /// The stacks of threads.
    Stacks,
    /// What a process takes that serves nobody yet.
    Program,
}

impl Cost {
    /// So many of these.
    #[must_use]
    pub const fn new(part: Part, what: &'static str, count: usize, bytes_each: usize) -> Self {
        Self {
            part,
            what,
            count,
            bytes_each,
        }
    }

    /// The same in each of so many places.
    #[must_use]
    pub const fn times(self, places: usize) -> Self {
        Self {
            count: self.count.saturating_mul(places),
            ..self
        }
    }

    /// Bytes of all of them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.count.saturating_mul(self.bytes_each)
    }
}

impl Part {
    /// Every part, in the order in which a plan lists them.
    pub const ALL: [Self; 8] = [
        Self::Slots,
        Self::Subscriptions,
        Self::Pools,
        Self::Working,
        Self::Rings,
        Self::Tape,
        Self::Stacks,
        Self::Program,
    ];

    /// Its name in a plan.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slots => "slots",
            Self::Subscriptions => "subscriptions",
            Self::Pools => "pools",
            Self::Working => "working",
            Self::Rings => "rings",
            Self::Tape => "tape",
            Self::Stacks => "stacks",
            Self::Program => "program",
        }
    }
}

/// Bytes of all of these together.
#[must_use]
pub fn sum(costs: &[Cost]) -> usize {
    costs.iter().map(Cost::bytes).fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_multiply_and_add_up_and_never_wrap() {
        let each = Cost::new(Part::Slots, "slots", 3, 16);
        assert_eq!((each.bytes(), each.times(2).bytes()), (48, 96));
        assert_eq!(sum(&[each, each.times(2)]), 144);
        let most = each.times(usize::MAX);
        assert_eq!(sum(&[most, each]), usize::MAX);
    }

    #[test]
    fn every_part_is_listed_once_in_order() {
        assert!(Part::ALL.is_sorted_by(|a, b| a < b));
    }
}
