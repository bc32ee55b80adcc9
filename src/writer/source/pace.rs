//! Maps recorded times to the present.

use super::Speed;
use crate::base::Now;

/// At what time what is due.
#[derive(Debug)]
pub(super) struct Pace {
    speed: Speed,
    /// The first recorded time, and when that was played.
    origin: Option<(u64, u64)>,
    last_ns: u64,
}

impl Pace {
    pub(super) fn new(speed: Speed) -> Self {
        Self {
            speed,
            origin: None,
            last_ns: 0,
        }
    }

    /// When something is due on the caller's monotonic clock. The first thing asked about is due at once.
    pub(super) fn due_ns(&mut self, recorded_ns: u64, now: Now) -> u64 {
        let (first_ns, start_ns) = *self.origin.get_or_insert((recorded_ns, now.mono_ns));
        start_ns.saturating_add(self.speed.due_ns(recorded_ns.saturating_sub(first_ns)))
    }

    /// What was recorded then is played.
    pub(super) fn played(&mut self, recorded_ns: u64) {
        self.last_ns = recorded_ns;
    }

    /// From the first recorded time to the one that was played last.
    pub(super) fn span_ns(&self) -> Option<(u64, u64)> {
        let (first_ns, _) = self.origin?;
        Some((first_ns, self.last_ns.max(first_ns)))
    }
}
