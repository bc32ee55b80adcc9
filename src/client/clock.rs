//! The client's clock: the one place of this room that asks the operating system what time it is.
//!
//! Nothing in the client itself needs it. It is for those who measure: how old a tick was when it came.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::base::Now;

/// Reads both clocks; monotonic time counts from the moment this was made.
///
/// ```
/// let clock = tickwire::client::Clock::start();
/// let before = clock.now();
/// assert!(before.mono_ns <= clock.now().mono_ns);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// A clock whose monotonic time starts at 0 now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the client's clock")]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The present. A wall clock set before 1970 reads as 1970.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this file is the client's clock")]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now {
            mono_ns: u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX),
            wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}
