//! The present, as an argument: whoever owns a clock reads it once and passes it down.

/// One reading of both clocks. Durations are counted on `mono_ns`; `wall_ns` is only ever shown to people
/// and peers, for it may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since an arbitrary start; never goes back.
    pub mono_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub wall_ns: u64,
}

impl Now {
    /// Milliseconds since the arbitrary start.
    #[must_use]
    pub const fn mono_ms(self) -> u64 {
        self.mono_ns / NS_PER_MS
    }
}

/// Nanoseconds in a millisecond.
pub const NS_PER_MS: u64 = 1_000_000;
