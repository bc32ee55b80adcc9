//! How long a client waits before it connects again.
//!
//! Never reads a clock: it says how long. Which of a thousand clients comes back when is left to chance, so that they do not
//! come back at once (RFC 6455 §7.2.3).
//!
//! Invariant: no wait is longer than [`CLIENT_RETRY_MS_TOLD`] and [`CLIENT_RETRY_MS_MOST`] together, whatever a server says,
//! and none that a server asked for is shorter than [`CLIENT_RETRY_MS_TOLD_LEAST`].

use crate::base::Prng;
use crate::limits::{
    CLIENT_RETRY_MS, CLIENT_RETRY_MS_MOST, CLIENT_RETRY_MS_TOLD, CLIENT_RETRY_MS_TOLD_LEAST,
};

/// The waits of one client.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    prng: Prng,
    /// Failures one after the other.
    failures: u32,
}

/// What the server said about when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// Not before so many milliseconds have passed.
    NotBefore(u64),
    /// After a time between these, in milliseconds.
    Within(u64, u64),
}

impl Backoff {
    /// Waits that follow from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            prng: Prng::new(seed),
            failures: 0,
        }
    }

    /// A connection failed or ended: so many milliseconds to the next. Each failure doubles the most that may come out, and
    /// all up to that is as likely (full jitter), unless the server said what is to come out.
    pub(super) fn wait_ms(&mut self, told: Told) -> u64 {
        match told {
            Told::Nothing => self.jitter_ms(),
            Told::NotBefore(ms) => {
                let least = ms.clamp(CLIENT_RETRY_MS_TOLD_LEAST, CLIENT_RETRY_MS_TOLD);
                least + self.jitter_ms()
            }
            Told::Within(least, most) => {
                let least = least.clamp(CLIENT_RETRY_MS_TOLD_LEAST, CLIENT_RETRY_MS_TOLD);
                let most = most.clamp(least, CLIENT_RETRY_MS_TOLD);
                least + self.prng.below(most - least + 1)
            }
        }
    }

    /// A connection held.
    pub(super) const fn reset(&mut self) {
        self.failures = 0;
    }

    fn jitter_ms(&mut self) -> u64 {
        let doubled = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        let most = CLIENT_RETRY_MS.saturating_mul(doubled).min(CLIENT_RETRY_MS_MOST);
        self.failures = self.failures.saturating_add(1).min(63);
        self.prng.below(most + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(seed: u64, count: usize) -> Vec<u64> {
        let mut backoff = Backoff::new(seed);
        (0..count).map(|_| backoff.wait_ms(Told::Nothing)).collect()
    }

    #[test]
    fn the_same_seed_waits_alike_and_another_does_not() {
        assert_eq!(waits(7, 20), waits(7, 20));
        assert_ne!(waits(7, 20), waits(8, 20));
    }

    #[test]
    fn each_failure_doubles_what_may_come_out_up_to_a_limit_and_all_of_it_does() {
        let most = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000];
        let mut longest = [0; 8];
        for seed in 0..500 {
            for (longest, wait) in longest.iter_mut().zip(waits(seed, 8)) {
                *longest = wait.max(*longest);
            }
        }
        for (longest, most) in longest.into_iter().zip(most) {
            assert!(longest <= most && longest > most / 10 * 9, "{longest} of {most}");
        }
        assert!(waits(1, 200).into_iter().all(|wait| wait <= CLIENT_RETRY_MS_MOST));
        assert!(
            (0..500).any(|seed| waits(seed, 1)[0] < 50),
            "nobody waits in vain"
        );
    }

    #[test]
    fn a_connection_that_held_makes_the_next_wait_short_again() {
        let mut backoff = Backoff::new(1);
        for _ in 0..40 {
            backoff.wait_ms(Told::Nothing);
        }
        backoff.reset();
        assert!(backoff.wait_ms(Told::Nothing) <= CLIENT_RETRY_MS);
    }

    #[test]
    fn what_the_server_asks_for_is_kept_within_reason() {
        let mut backoff = Backoff::new(1);
        for _ in 0..200 {
            let wait = backoff.wait_ms(Told::Within(500, 8_000));
            assert!((500..=8_000).contains(&wait), "{wait}");
            // The ends may be the wrong way round, or beyond all reason.
            assert_eq!(
                backoff.wait_ms(Told::Within(0, 0)),
                CLIENT_RETRY_MS_TOLD_LEAST,
                "it does not spin"
            );
            assert_eq!(backoff.wait_ms(Told::Within(700, 5)), 700);
            assert_eq!(
                backoff.wait_ms(Told::Within(u64::MAX, u64::MAX)),
                CLIENT_RETRY_MS_TOLD
            );
        }
        let mut backoff = Backoff::new(1);
        let wait = backoff.wait_ms(Told::NotBefore(3_000));
        assert!((3_000..=3_000 + CLIENT_RETRY_MS).contains(&wait), "{wait}");
        let wait = backoff.wait_ms(Told::NotBefore(u64::MAX));
        assert!(wait <= CLIENT_RETRY_MS_TOLD + CLIENT_RETRY_MS_MOST, "{wait}");
    }
}
