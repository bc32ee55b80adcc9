//! The one place of the data path that reads the clocks.
//!
//! Every ring of a process counts from the same start, so their readings compare.

use crate::base::Now;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds of `CLOCK_MONOTONIC` since the first reading of this process.
#[expect(clippy::disallowed_methods, reason = "this is the data path's clock")]
pub(super) fn mono_ns() -> u64 {
    let now = Instant::now();
    u64::try_from(now.duration_since(*START.get_or_init(|| now)).as_nanos()).unwrap_or(u64::MAX)
}

/// Both clocks. A wall clock set before 1970 reads as 0.
#[expect(clippy::disallowed_methods, reason = "this is the data path's clock")]
pub(super) fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now {
        mono_ns: mono_ns(),
        wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
    }
}

static START: OnceLock<Instant> = OnceLock::new();
