//! When what is to happen next is meant to happen.
//!
//! Never looks at a clock and never catches its breath: what comes late keeps its intended time, so that waiting counts
//! as latency (an open loop). Invariant: the `n`-th time is the start and `n` intervals, whatever happened before, so
//! that errors of rounding do not add up.

/// A steady series of intended times.
///
/// ```
/// use tickwire::load::Pace;
/// let mut pace = Pace::new(1_000.0, 0);
/// assert_eq!(pace.take(2_500_000), Some(0));
/// assert_eq!(pace.take(2_500_000), Some(1_000_000));
/// assert_eq!(pace.take(2_500_000), Some(2_000_000));
/// assert_eq!((pace.take(2_500_000), pace.next_ns()), (None, 3_000_000));
/// assert_eq!(pace.overdue(10_000_000), 7);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    start_ns: u64,
    interval_ns: f64,
    taken: u64,
}

impl Pace {
    /// So many a second, the first one at `start_ns`. A rate of zero, or one that is none, is as fast as possible:
    /// everything is meant for `start_ns`.
    #[must_use]
    pub fn new(per_second: f64, start_ns: u64) -> Self {
        let interval_ns = if per_second > 0.0 {
            NS_PER_S / per_second
        } else {
            0.0
        };
        Self {
            start_ns,
            interval_ns,
            taken: 0,
        }
    }

    /// The next intended time, if it has come; it is then used up.
    pub fn take(&mut self, now_ns: u64) -> Option<u64> {
        let next_ns = self.next_ns();
        (next_ns <= now_ns).then(|| {
            self.taken += 1;
            next_ns
        })
    }

    /// When the next one is due.
    #[must_use]
    pub fn next_ns(&self) -> u64 {
        self.due_ns(self.taken)
    }

    /// How many intended times before `before_ns` are not used up; none where everything is due at once, for then there
    /// is no end of them.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "53 bits of nanoseconds are a hundred days, and what is negative is zero"
    )]
    pub fn overdue(&self, before_ns: u64) -> u64 {
        if self.is_unlimited() {
            return 0;
        }
        let span_ns = before_ns.saturating_sub(self.start_ns);
        // A quotient may be rounded across a whole number, so that the times on both sides of it decide.
        let mut due = (span_ns as f64 / self.interval_ns) as u64;
        while due > 0 && self.due_ns(due - 1) >= before_ns {
            due -= 1;
        }
        while self.due_ns(due) < before_ns {
            due += 1;
        }
        due.saturating_sub(self.taken)
    }

    /// Whether it has no rhythm: everything is due at once.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.interval_ns == 0.0
    }

    /// The same times but the first `taken`.
    pub(super) const fn after(self, taken: u64) -> Self {
        Self { taken, ..self }
    }

    /// Goes on from `now_ns` at the same rate, forgetting what is overdue. For what paces itself to be kind, and does not
    /// measure.
    pub fn forgive(&mut self, now_ns: u64) {
        self.start_ns = now_ns;
        self.taken = 0;
    }

    /// The `n`-th intended time.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "53 bits of nanoseconds are a hundred days"
    )]
    fn due_ns(&self, n: u64) -> u64 {
        self.start_ns.saturating_add((n as f64 * self.interval_ns) as u64)
    }
}

const NS_PER_S: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_late_keeps_its_intended_time() {
        let mut pace = Pace::new(10.0, 1_000);
        let second = 1_000_000_000;
        let times: Vec<u64> = std::iter::from_fn(|| pace.take(second)).collect();
        assert_eq!(times.len(), 10);
        assert!(
            times
                .iter()
                .zip(times.iter().skip(1))
                .all(|(a, b)| b - a == 100_000_000)
        );
    }

    #[test]
    fn without_a_rate_everything_is_due_at_once() {
        let mut pace = Pace::new(0.0, 5);
        assert!(pace.is_unlimited());
        assert_eq!(
            (pace.take(4), pace.take(5), pace.take(6)),
            (None, Some(5), Some(5))
        );
        assert_eq!(
            pace.overdue(1_000_000),
            0,
            "nothing is meant for a time of its own"
        );
    }

    #[test]
    fn forgiving_drops_what_is_overdue() {
        let mut pace = Pace::new(1_000.0, 0);
        pace.forgive(10_000_000);
        assert_eq!(pace.take(10_000_000), Some(10_000_000));
        assert_eq!(pace.take(10_000_000), None);
    }

    proptest! {
        #[test]
        fn the_rate_is_kept_in_the_long_run(per_second in 1_u32..2_000_000, seconds in 1_u64..100) {
            let mut pace = Pace { taken: u64::from(per_second) * seconds, ..Pace::new(f64::from(per_second), 0) };
            let due = pace.next_ns();
            prop_assert!(due.abs_diff(seconds * 1_000_000_000) <= 1_000, "{due}");
            prop_assert!(pace.take(due).is_some() && pace.next_ns() >= due);
        }

        #[test]
        fn what_is_overdue_is_what_could_be_taken_by_then(
            per_second in 0.5_f64..5e6,
            start_ns in 0_u64..1_000_000_000_000,
            taken in 0_usize..50,
            ahead in 0_usize..500,
            off_ns in 0_u64..3,
        ) {
            let mut pace = Pace::new(per_second, start_ns);
            (0..taken).for_each(|_| assert!(pace.take(u64::MAX).is_some()));
            prop_assert_eq!(pace.next_ns(), Pace::new(per_second, start_ns).after(taken as u64).next_ns());
            // Just before, at, and just after an intended time.
            let before_ns = (pace.due_ns((taken + ahead) as u64) + off_ns).saturating_sub(1);
            let overdue = pace.overdue(before_ns);
            let mut counted = 0;
            while before_ns > 0 && pace.take(before_ns - 1).is_some() {
                counted += 1;
            }
            prop_assert_eq!(overdue, counted);
        }
    }
}
