//! The ticks under way: when the first, the median and the last of their subscribers had each, over all threads.
//!
//! Never blocks anyone and never grows: a ring of slots, filled by the publisher, counted in by the threads that receive,
//! and emptied in order by the one that reports. Invariant: a slot's tenant is known by its number, and who comes for
//! another finds nobody.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// At most so many ticks at once.
#[derive(Debug)]
pub(super) struct Board {
    slots: Box<[Slot]>,
    /// Ticks begun so far: the number of the next.
    begun: AtomicU32,
    /// Ticks that found their slot taken by one that nobody had fetched: sent, but not measured.
    unmeasured: AtomicU32,
}

#[derive(Debug, Default)]
struct Slot {
    /// One more than the tenant's number; 0 for nobody.
    tenant: AtomicU64,
    at_ns: AtomicU64,
    expected: AtomicU32,
    count: AtomicU32,
    first_ns: AtomicU64,
    median_ns: AtomicU64,
    last_ns: AtomicU64,
}

/// How one tick went. Times are latencies from the intended one, and 0 where nobody had the tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) at_ns: u64,
    pub(super) expected: u32,
    pub(super) count: u32,
    pub(super) first_ns: u64,
    pub(super) median_ns: u64,
    pub(super) last_ns: u64,
}

impl Delivery {
    pub(super) const fn is_complete(&self) -> bool {
        self.count >= self.expected
    }
}

impl Board {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            begun: AtomicU32::new(0),
            unmeasured: AtomicU32::new(0),
        }
    }

    /// The next tick is about to be published, for so many. Gives its number. Only the publisher calls this.
    pub(super) fn begin(&self, at_ns: u64, expected: u32) -> u32 {
        let n = self.begun.load(Ordering::Relaxed);
        let slot = self.slot(n);
        if slot.tenant.load(Ordering::Acquire) == 0 {
            slot.at_ns.store(at_ns, Ordering::Relaxed);
            slot.expected.store(expected, Ordering::Relaxed);
            slot.count.store(0, Ordering::Relaxed);
            slot.first_ns.store(u64::MAX, Ordering::Relaxed);
            slot.median_ns.store(0, Ordering::Relaxed);
            slot.last_ns.store(0, Ordering::Relaxed);
            slot.tenant.store(u64::from(n) + 1, Ordering::Release);
        } else {
            self.unmeasured.fetch_add(1, Ordering::Relaxed);
        }
        self.begun.store(n.wrapping_add(1), Ordering::Release);
        n
    }

    /// So many subscribers had tick `n` at this time.
    pub(super) fn note(&self, n: u32, count: u32, now_ns: u64) {
        let slot = self.slot(n);
        if slot.tenant.load(Ordering::Acquire) != u64::from(n) + 1 {
            return;
        }
        slot.first_ns.fetch_min(now_ns, Ordering::Relaxed);
        slot.last_ns.fetch_max(now_ns, Ordering::Relaxed);
        let half = slot.expected.load(Ordering::Relaxed).div_ceil(2);
        // Who reads the whole count is to see these times too.
        let before = slot.count.fetch_add(count, Ordering::AcqRel);
        if before < half && before + count >= half {
            slot.median_ns.store(now_ns, Ordering::Release);
        }
    }

    /// How tick `n` has gone so far; `None` where it was never begun or not measured.
    pub(super) fn look(&self, n: u32) -> Option<Delivery> {
        let slot = self.slot(n);
        if slot.tenant.load(Ordering::Acquire) != u64::from(n) + 1 {
            return None;
        }
        let count = slot.count.load(Ordering::Acquire);
        let at_ns = slot.at_ns.load(Ordering::Relaxed);
        let since = |time: &AtomicU64| match time.load(Ordering::Acquire) {
            u64::MAX => 0,
            time_ns => time_ns.saturating_sub(at_ns),
        };
        Some(Delivery {
            at_ns,
            expected: slot.expected.load(Ordering::Relaxed),
            count,
            first_ns: since(&slot.first_ns),
            median_ns: since(&slot.median_ns),
            last_ns: since(&slot.last_ns),
        })
    }

    /// Frees the slot of tick `n`.
    pub(super) fn clear(&self, n: u32) {
        let tenant = u64::from(n) + 1;
        let _other = self
            .slot(n)
            .tenant
            .compare_exchange(tenant, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// The number of the next tick.
    pub(super) fn begun(&self) -> u32 {
        self.begun.load(Ordering::Acquire)
    }

    pub(super) fn unmeasured(&self) -> u32 {
        self.unmeasured.load(Ordering::Relaxed)
    }

    fn slot(&self, n: u32) -> &Slot {
        &self.slots[n as usize % self.slots.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_median_and_last_are_told_from_each_other() {
        let board = Board::new(4);
        let n = board.begin(100, 5);
        for (count, now_ns) in [(1, 110), (1, 120), (2, 130), (1, 170)] {
            board.note(n, count, now_ns);
        }
        let delivery = board.look(n).unwrap();
        assert!(delivery.is_complete());
        assert_eq!(
            (delivery.first_ns, delivery.median_ns, delivery.last_ns),
            (10, 30, 70)
        );
    }

    #[test]
    fn a_tick_that_nobody_had_has_no_times() {
        let board = Board::new(4);
        let n = board.begin(100, 5);
        let delivery = board.look(n).unwrap();
        assert!(!delivery.is_complete());
        assert_eq!(
            (delivery.first_ns, delivery.median_ns, delivery.last_ns),
            (0, 0, 0)
        );
    }

    #[test]
    fn a_tick_whose_slot_is_taken_is_counted_as_unmeasured_and_disturbs_nobody() {
        let board = Board::new(1);
        let first = board.begin(0, 1);
        let second = board.begin(1, 1);
        board.note(second, 1, 2);
        assert_eq!(
            (board.look(second), board.unmeasured(), board.begun()),
            (None, 1, 2)
        );
        assert_eq!(board.look(first).map(|delivery| delivery.count), Some(0));
        board.clear(first);
        assert_eq!(board.look(first), None);
        assert_eq!(board.begin(3, 1), 2);
    }
}
