//! One timer per connection, in a hashed wheel: setting, moving and cancelling cost the same however many there are.
//!
//! Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987), scheme 6: a timer hangs in the bucket of
//! its tick, and one whose turn of the wheel has not come stays there. A timer is never early and at most one
//! tick late.

use crate::base::now::NS_PER_MS;

/// The timers of as many slots as it is asked for.
#[derive(Debug)]
pub struct Wheel {
    links: Vec<Link>,
    buckets: Vec<u32>,
    /// The next tick to look at.
    tick: u64,
    armed: usize,
}

/// One slot's timer, linked with the others of its bucket.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// The tick at which it is due; 0 when it is not set. 32 bits of ticks are almost seven years.
    due: u32,
}

impl Wheel {
    /// Bytes that a slot costs.
    pub const BYTES_PER_SLOT: usize = size_of::<Link>();

    /// A wheel for slots below `capacity`, which touches memory only for slots in use.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            links: Vec::with_capacity(capacity),
            buckets: vec![NONE; BUCKET_COUNT],
            tick: 1,
            armed: 0,
        }
    }

    /// Sets the timer of `slot` to `due_ns`, in place of what it was set to before.
    pub fn set(&mut self, slot: u32, due_ns: u64) {
        self.cancel(slot);
        let at = slot as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, UNSET);
        }
        let tick = due_ns.div_ceil(TICK_NS).max(self.tick);
        let due = u32::try_from(tick).unwrap_or(u32::MAX);
        let bucket = bucket(due.into());
        let after = self.buckets[bucket];
        if let Some(next) = self.links.get_mut(after as usize) {
            next.before = slot;
        }
        self.links[at] = Link {
            before: NONE,
            after,
            due,
        };
        self.buckets[bucket] = slot;
        self.armed += 1;
    }

    /// Unsets the timer of `slot`, if it is set.
    pub fn cancel(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else {
            return;
        };
        if link.due == 0 {
            return;
        }
        let Link { before, after, due } = std::mem::replace(link, UNSET);
        match self.links.get_mut(before as usize) {
            Some(previous) => previous.after = after,
            None => self.buckets[bucket(due.into())] = after,
        }
        if let Some(next) = self.links.get_mut(after as usize) {
            next.before = before;
        }
        self.armed -= 1;
    }

    /// Whether the timer of `slot` is set.
    #[must_use]
    pub fn is_set(&self, slot: u32) -> bool {
        self.links.get(slot as usize).is_some_and(|link| link.due != 0)
    }

    /// Unsets timers that are due by `now_ns`, and adds their slots to `expired` until there are `most` of them. Those that
    /// are left are due at once.
    pub fn expire(&mut self, now_ns: u64, most: usize, expired: &mut Vec<u32>) {
        let now = now_ns / TICK_NS;
        // After a long sleep one turn of the wheel passes every bucket.
        self.tick = self.tick.max(now.saturating_sub(BUCKETS - 1));
        while self.tick <= now {
            let mut slot = self.buckets[bucket(self.tick)];
            while slot != NONE {
                if expired.len() >= most {
                    return;
                }
                let Link { after, due, .. } = self.links[slot as usize];
                if u64::from(due) <= now {
                    self.cancel(slot);
                    expired.push(slot);
                }
                slot = after;
            }
            self.tick += 1;
        }
    }

    /// When to look again: not after the earliest timer is due, but perhaps before. `None` when no timer is set.
    #[must_use]
    pub fn next_ns(&self) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let ahead = (0..BUCKETS).find(|ahead| self.buckets[bucket(self.tick + ahead)] != NONE)?;
        Some((self.tick + ahead) * TICK_NS)
    }
}

fn bucket(tick: u64) -> usize {
    usize::try_from(tick % BUCKETS).unwrap_or(0)
}

const NONE: u32 = u32::MAX;
const UNSET: Link = Link {
    before: NONE,
    after: NONE,
    due: 0,
};
const TICK_NS: u64 = 50 * NS_PER_MS;
/// One turn is 25.6 seconds: longer than the interval between pings, so that an idle connection's timer is
/// looked at once.
const BUCKETS: u64 = BUCKET_COUNT as u64;
const BUCKET_COUNT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn expires_what_a_sorted_map_would_within_a_tick(
            ops in prop::collection::vec((0_u32..12, 0_u64..60_000, 0_u64..3_000), 1..200),
            most in 1_usize..20,
        ) {
            let mut wheel = Wheel::with_capacity(12);
            let mut oracle: BTreeMap<u32, u64> = BTreeMap::new();
            let mut now_ns = 0;
            for (slot, delay_ms, step_ms) in ops {
                if delay_ms % 7 == 0 {
                    wheel.cancel(slot);
                    oracle.remove(&slot);
                } else {
                    let due = now_ns + delay_ms * NS_PER_MS;
                    wheel.set(slot, due);
                    oracle.insert(slot, due);
                }
                if let Some(&earliest) = oracle.values().min() {
                    let next = wheel.next_ns();
                    prop_assert!(next.is_some_and(|next| next <= earliest.max(now_ns) + 2 * TICK_NS));
                } else {
                    prop_assert_eq!(wheel.next_ns(), None);
                }
                now_ns += step_ms * NS_PER_MS;
                let mut expired = Vec::new();
                loop {
                    wheel.expire(now_ns, most, &mut expired);
                    prop_assert!(expired.len() <= most);
                    if expired.len() < most {
                        break;
                    }
                    if oracle.values().filter(|due| **due <= now_ns.saturating_sub(TICK_NS)).count() > most {
                        prop_assert!(wheel.next_ns().is_some_and(|next| next <= now_ns), "what is left is due at once");
                    }
                    for slot in expired.drain(..) {
                        prop_assert!(oracle.remove(&slot).is_some_and(|due| due <= now_ns), "never twice");
                    }
                }
                for slot in expired {
                    prop_assert!(oracle.remove(&slot).is_some_and(|due| due <= now_ns), "never early");
                }
                prop_assert!(oracle.values().all(|due| *due + TICK_NS > now_ns), "at most a tick late");
            }
        }
    }
}
