//! How fast one client talks: what it may do within a second, and for how long it may ask for more.
//!
//! It counts in whole seconds of the shard's clock, in eight bytes, whatever the client does.

use crate::limits;

/// What one client has sent lately.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rate {
    /// The second that is counted, as far as sixteen bits tell seconds apart: whoever comes back after eighteen hours to the
    /// second finds its last second going on.
    second: u16,
    /// Commands within it.
    commands: u16,
    /// Frames, less what each second since has made good.
    frames: u16,
    /// Seconds before this one in which commands were refused, less those in which none was.
    refused_seconds: u8,
    /// Whether one was refused within this second.
    refused: bool,
}

impl Rate {
    /// Counts `commands` commands at `now_ms` and says whether there were at most `max` within this second.
    pub fn admit(&mut self, now_ms: u64, commands: u16, max: u16) -> bool {
        self.turn_to(now_ms);
        self.commands = self.commands.saturating_add(commands);
        let admitted = self.commands <= max;
        self.refused |= !admitted;
        admitted
    }

    /// Takes back the command counted last: it was not carried out yet.
    pub fn forgive(&mut self) {
        self.commands = self.commands.saturating_sub(1);
    }

    /// Whether commands have been refused for so long that no end of it is to be expected.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.refused_seconds.saturating_add(self.refused.into()) >= limits::COMMANDS_REFUSED_SECONDS_MAX
    }

    /// Counts `frames` frames at `now_ms` and says whether the client keeps within
    /// [`limits::FRAMES_PER_SECOND_MAX`], give or take [`limits::FRAMES_AHEAD_MAX`].
    pub fn admit_frames(&mut self, now_ms: u64, frames: usize) -> bool {
        self.turn_to(now_ms);
        self.frames = self
            .frames
            .saturating_add(u16::try_from(frames).unwrap_or(u16::MAX));
        self.frames <= limits::FRAMES_AHEAD_MAX
    }

    /// Begins to count the second of `now_ms`, if it is another one.
    fn turn_to(&mut self, now_ms: u64) {
        let second = u16::try_from((now_ms / 1000) & u64::from(u16::MAX)).unwrap_or(0);
        let passed = second.wrapping_sub(self.second);
        if passed == 0 {
            return;
        }
        let quiet = u8::try_from(passed - u16::from(self.refused)).unwrap_or(u8::MAX);
        *self = Self {
            second,
            commands: 0,
            frames: self
                .frames
                .saturating_sub(passed.saturating_mul(limits::FRAMES_PER_SECOND_MAX)),
            refused_seconds: self
                .refused_seconds
                .saturating_add(self.refused.into())
                .saturating_sub(quiet),
            refused: false,
        };
    }
}

const _: () = assert!(size_of::<Rate>() == 8);

#[cfg(test)]
mod tests {
    use super::*;
    use limits::{COMMANDS_REFUSED_SECONDS_MAX, FRAMES_AHEAD_MAX, FRAMES_PER_SECOND_MAX};

    #[test]
    fn a_rate_admits_so_many_commands_a_second() {
        let mut rate = Rate::default();
        let admitted = (0..60).filter(|_| rate.admit(1_500, 1, 50)).count();
        assert_eq!(admitted, 50);
        assert!(!rate.admit(1_999, 1, 50));
        assert!(rate.admit(2_000, 33, 50), "a large command counts as many");
        assert!(!rate.admit(2_000, 33, 50));
    }

    #[test]
    fn a_client_that_never_keeps_to_its_rate_is_hopeless_after_so_many_seconds() {
        let mut rate = Rate::default();
        for second in 1..=u64::from(COMMANDS_REFUSED_SECONDS_MAX) {
            assert!(!rate.is_hopeless(), "{second}");
            for _ in 0..51 {
                rate.admit(second * 1000, 1, 50);
            }
        }
        assert!(rate.is_hopeless());
    }

    #[test]
    fn a_quiet_second_makes_up_for_a_loud_one_and_a_burst_is_one_second() {
        let mut rate = Rate::default();
        for second in 1..1000 {
            for _ in 0..if second % 2 == 0 { 1 } else { 10_000 } {
                rate.admit(second * 1000, 1, 50);
            }
            assert!(!rate.is_hopeless(), "{second}");
        }
        let mut rate = Rate::default();
        for second in 0..u64::from(COMMANDS_REFUSED_SECONDS_MAX) - 1 {
            rate.admit(second * 1000, 51, 50);
        }
        rate.admit(3_600_000, 51, 50);
        assert!(!rate.is_hopeless(), "an hour is long enough");
    }

    #[test]
    fn frames_may_run_ahead_but_not_for_ever() {
        let mut rate = Rate::default();
        assert!(rate.admit_frames(5_000, FRAMES_AHEAD_MAX.into()));
        assert!(!rate.admit_frames(5_999, 1));
        let per_second = usize::from(FRAMES_PER_SECOND_MAX);
        let mut rate = Rate::default();
        for second in 0..1000 {
            assert!(rate.admit_frames(second * 1000, per_second), "{second}");
        }
        let overdrawn = (1000..).find(|second| !rate.admit_frames(second * 1000, per_second + 1));
        assert_eq!(
            overdrawn,
            Some(1000 + u64::from(FRAMES_AHEAD_MAX - FRAMES_PER_SECOND_MAX))
        );
        assert!(rate.admit_frames(u64::MAX, per_second), "it is made good in time");
    }

    #[test]
    fn frames_and_commands_are_counted_apart() {
        let mut rate = Rate::default();
        rate.admit_frames(1_000, 5);
        assert!(rate.admit(1_000, 50, 50));
        rate.forgive();
        assert!(rate.admit(1_000, 1, 50) && !rate.admit(1_000, 1, 50));
        assert!(rate.admit_frames(1_000, usize::from(FRAMES_AHEAD_MAX) - 5));
        assert!(!rate.admit_frames(1_000, 1));
    }
}
