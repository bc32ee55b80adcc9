//! Which runs there are, what is left to chance in each server, and which run it was that failed.

use tickwire::base::Prng;
use tickwire::shard::{Pace, Slack};

/// As many as the environment says, or so many; or the one that it names.
pub fn seeds(default: u64) -> Vec<u64> {
    if let Ok(seed) = std::env::var("TICKWIRE_SEED") {
        return vec![seed.parse().expect("TICKWIRE_SEED is a number")];
    }
    let count = std::env::var("TICKWIRE_SEEDS").ok();
    let count = count.map_or(default, |count| {
        count.parse().expect("TICKWIRE_SEEDS is a number")
    });
    (0..count).collect()
}

/// Says which seed it was that failed.
pub struct NameOnPanic<'a> {
    pub seed: u64,
    pub what: &'a str,
}

impl Drop for NameOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} failed; replay it with TICKWIRE_SEED={}", self.what, self.seed);
        }
    }
}

/// Most runs have connections that turn hot and cold all the time, some none.
pub fn hot_receptions(prng: &mut Prng) -> u8 {
    if prng.chance(1, 4) {
        u8::MAX
    } else {
        1 + prng.below(8) as u8
    }
}

/// In some runs nobody skips anything but what the tape lets go of; in others, whoever is a little behind does.
pub fn slack(prng: &mut Prng) -> Slack {
    if prng.chance(1, 2) {
        return Slack::UNBOUNDED;
    }
    Slack {
        ms: prng.below(100),
        bytes: prng.below(20_000),
    }
}

/// As much in a turn as a server does, or so little that its rounds last many of them.
pub fn pace(prng: &mut Prng) -> Pace {
    if prng.chance(1, 3) {
        return Pace::default();
    }
    let mut few = || 1 + prng.below(5) as usize;
    Pace {
        sends: few(),
        records: few() * few(),
        notes: few() * few(),
    }
}
