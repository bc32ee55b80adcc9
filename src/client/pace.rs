//! How fast requests may be made: at most so many within any second.
//!
//! A server counts in seconds of its own, which begin whenever they begin: whoever keeps to the rate within every second
//! keeps to it within those.
//!
//! Invariant: never more than the rate within a second, unless a single request counts as more.

/// Counts the requests of the last second, in slots of a few milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// None where nobody counts.
    max: Option<u64>,
    /// What was asked in each slot, the newest at `newest % SLOTS`.
    slots: [u64; SLOTS],
    /// The number of the newest slot.
    newest: u64,
    /// Nothing is asked before.
    held_until_ms: u64,
}

impl Pace {
    /// At most `max` a second, as a server says it; an eighth of that is left, for seconds that grow shorter on the way.
    pub(super) fn new(max: Option<u64>) -> Self {
        Self {
            max: max.map(|max| (max - max / 8).max(1)),
            slots: [0; SLOTS],
            newest: 0,
            held_until_ms: 0,
        }
    }

    /// Counts a request as so many, if it may be made now. One that does not count is not held up by others.
    ///
    /// # Errors
    /// The time at which to ask again.
    pub(super) fn admit(&mut self, now_ms: u64, cost: u64) -> Result<(), u64> {
        if now_ms < self.held_until_ms {
            return Err(self.held_until_ms);
        }
        let slot = now_ms / SLOT_MS;
        while self.newest < slot {
            // Beyond one round all are empty.
            self.newest = (self.newest + 1).max(slot.saturating_sub(SLOTS as u64));
            self.slots[place(self.newest)] = 0;
        }
        let asked: u64 = self.slots.iter().sum();
        if self
            .max
            .is_some_and(|max| cost > 0 && asked > 0 && asked + cost > max)
        {
            return Err((slot + 1) * SLOT_MS);
        }
        self.slots[place(slot)] += cost;
        Ok(())
    }

    /// The server says that it was too fast: nothing is asked within the next second.
    pub(super) const fn hold(&mut self, now_ms: u64) {
        self.held_until_ms = now_ms + 1000;
    }
}

fn place(slot: u64) -> usize {
    usize::try_from(slot % SLOTS as u64).unwrap_or(0)
}

const SLOT_MS: u64 = 64;
/// Together more than a second.
const SLOTS: usize = 17;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_than_the_rate_wherever_it_begins() {
        let mut pace = Pace::new(Some(50));
        let (mut now_ms, mut asked) = (12_345, Vec::new());
        while asked.len() < 500 {
            match pace.admit(now_ms, 1) {
                Ok(()) => asked.push(now_ms),
                Err(later) => {
                    assert!(later > now_ms);
                    now_ms = later;
                }
            }
        }
        for from in &asked {
            let within = asked
                .iter()
                .filter(|at| (*from..from + 1000).contains(at))
                .count();
            assert!(within <= 50, "{within} in the second from {from}");
        }
        let took_ms = asked[499] - asked[0];
        assert!(took_ms < 13_000, "500 requests at 50 a second took {took_ms} ms");
    }

    #[test]
    fn a_request_that_counts_as_more_than_the_rate_goes_alone() {
        let mut pace = Pace::new(Some(4));
        assert_eq!(pace.admit(1_000_000, 9), Ok(()));
        assert!(pace.admit(1_000_500, 1).is_err() && pace.admit(1_000_500, 0).is_ok());
        assert_eq!(pace.admit(1_001_200, 9), Ok(()));
    }

    #[test]
    fn without_a_rate_nobody_waits_but_who_is_told_to() {
        let mut pace = Pace::new(None);
        assert!((0..10_000).all(|_| pace.admit(5, 1).is_ok()));
        pace.hold(5);
        assert_eq!(pace.admit(1_004, 1), Err(1_005));
        assert_eq!(pace.admit(1_005, 1), Ok(()));
    }
}
