//! When orders arrive: a Poisson process whose rate jumps, as that of a real feed does.
//!
//! A calm market is interrupted by a busy second (five to ten times the calm rate) or by a flash (200 times,
//! for 10 ms). Invariant: times only grow, and follow from the generator alone; no floating point is involved,
//! so that a seed means the same market on every machine.

use crate::base::Prng;

/// The arrival times of one instrument's orders.
#[derive(Debug)]
pub(super) struct Arrivals {
    calm_gap_ns: u64,
    regime: Regime,
    until_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regime {
    Calm,
    /// So many times the calm rate.
    Busy(u64),
    Flash,
}

impl Arrivals {
    /// Calm at time 0, with so many arrivals a second.
    pub(super) fn new(per_second: u64, prng: &mut Prng) -> Self {
        Self {
            calm_gap_ns: SECOND_NS / per_second,
            regime: Regime::Calm,
            until_ns: exponential(prng, CALM_NS),
        }
    }

    /// The first arrival after `now_ns`.
    pub(super) fn next_after(&mut self, mut now_ns: u64, prng: &mut Prng) -> u64 {
        loop {
            let gap_ns = self.calm_gap_ns / self.regime.factor();
            let arrival_ns = now_ns + exponential(prng, gap_ns) + 1;
            if arrival_ns < self.until_ns {
                return arrival_ns;
            }
            // The process has no memory, so it may start afresh where the rate changes.
            now_ns = now_ns.max(self.until_ns);
            self.turn(now_ns, prng);
        }
    }

    fn turn(&mut self, now_ns: u64, prng: &mut Prng) {
        let lasts_ns;
        (self.regime, lasts_ns) = match self.regime {
            Regime::Calm if prng.chance(1, 4) => (Regime::Flash, FLASH_NS),
            Regime::Calm => (Regime::Busy(5 + prng.below(6)), SECOND_NS),
            Regime::Busy(_) | Regime::Flash => (Regime::Calm, exponential(prng, CALM_NS)),
        };
        self.until_ns = now_ns + lasts_ns;
    }
}

impl Regime {
    fn factor(self) -> u64 {
        match self {
            Self::Calm => 1,
            Self::Busy(factor) => factor,
            Self::Flash => 200,
        }
    }
}

/// An exponentially distributed number: `-mean × ln(u)` for a uniform `u` in `0..1`.
fn exponential(prng: &mut Prng, mean: u64) -> u64 {
    let product = u128::from(mean) * u128::from(negative_ln(prng.next_u64()));
    u64::try_from(product >> 32).unwrap_or(u64::MAX)
}

/// `-ln(x / 2⁶⁴)` with 32 binary places; 0 counts as 1.
fn negative_ln(x: u64) -> u64 {
    let x = x.max(1);
    let zeros = x.leading_zeros();
    // The fraction of the binary logarithm, digit by digit: squaring doubles the logarithm, and a square that
    // reaches 2 says that the next digit is 1.
    let mut mantissa = u128::from(x << zeros);
    let mut fraction = 0_u64;
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        let digit = u64::from(mantissa >> 64 != 0);
        fraction = fraction << 1 | digit;
        mantissa >>= digit;
    }
    let negative_log2 = (u64::from(zeros + 1) << 32) - fraction;
    let product = u128::from(negative_log2) * u128::from(LN_2);
    u64::try_from(product >> 32).unwrap_or(u64::MAX)
}

/// ln 2 with 32 binary places.
const LN_2: u64 = 0xb172_17f8;
const SECOND_NS: u64 = 1_000_000_000;
const FLASH_NS: u64 = 10_000_000;
/// How long calm lasts on average.
const CALM_NS: u64 = 20 * SECOND_NS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "the float is the oracle")]
    fn the_integer_logarithm_agrees_with_the_float_one() {
        let mut prng = Prng::new(3);
        for shift in (0..64).cycle().take(10_000) {
            let x = (prng.next_u64() >> shift).max(1);
            let oracle = -(x as f64 / 2_f64.powi(64)).ln();
            let ours = negative_ln(x) as f64 / 2_f64.powi(32);
            assert!((ours - oracle).abs() < 1e-7, "{x}: {ours} instead of {oracle}");
        }
    }

    #[test]
    fn a_burst_of_a_second_and_one_of_ten_milliseconds_stand_out_of_the_calm() {
        let mut prng = Prng::new(1);
        let mut arrivals = Arrivals::new(100, &mut prng);
        let (mut seconds, mut instants) = (vec![0_u32; 3600], vec![0_u32; 360_000]);
        let mut now_ns = 0;
        loop {
            let next_ns = arrivals.next_after(now_ns, &mut prng);
            assert!(next_ns > now_ns);
            now_ns = next_ns;
            let instant = usize::try_from(now_ns / FLASH_NS).unwrap();
            if instant >= instants.len() {
                break;
            }
            seconds[instant / 100] += 1;
            instants[instant] += 1;
        }
        let mut sorted = seconds.clone();
        sorted.sort_unstable();
        assert!(
            (90..115).contains(&sorted[1800]),
            "a calm second: {}",
            sorted[1800]
        );
        assert!(
            (700..1200).contains(&sorted[3599]),
            "the busiest second: {}",
            sorted[3599]
        );
        let busiest = instants.iter().max().copied().unwrap();
        assert!((120..260).contains(&busiest), "the busiest 10 ms: {busiest}");
        let mean = seconds.iter().sum::<u32>() / 3600;
        assert!((115..140).contains(&mean), "the mean: {mean}");
    }
}
