//! The writer's clock: the one place of this room that asks the operating system what time it is.
//!
//! Everything else in the writer takes a [`Now`]. Invariant: `mono_ns` never goes back.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::Now;

/// Reads both clocks; monotonic time counts from the moment this was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts at 0 now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the writer's clock")]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The present. A wall clock set before 1970 reads as 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the writer's clock")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_ns: u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_never_goes_back() {
        let clock = Clock::start();
        let (a, b) = (clock.now(), clock.now());
        assert!(a.mono_ns <= b.mono_ns);
        assert!(a.wall_ns > 1_700_000_000_000_000_000, "nanoseconds since 1970");
    }
}
