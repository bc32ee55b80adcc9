//! Equality, order and hash of decimals by the number they stand for.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use super::Decimal;

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal {}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        if self.exponent == other.exponent {
            return self.mantissa.cmp(&other.mantissa);
        }
        if self.exponent > other.exponent {
            compare_scaled(*self, *other)
        } else {
            compare_scaled(*other, *self).reverse()
        }
    }
}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The shortest writing stands for all. Its exponent may lie beyond an i8.
        let (mut mantissa, mut exponent) = (self.mantissa, i16::from(self.exponent));
        if mantissa == 0 {
            exponent = 0;
        }
        while mantissa != 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        mantissa.hash(state);
        exponent.hash(state);
    }
}

/// Compares where `coarse` has the larger exponent.
fn compare_scaled(coarse: Decimal, fine: Decimal) -> Ordering {
    let shift = i16::from(coarse.exponent) - i16::from(fine.exponent);
    if coarse.mantissa == 0 || shift > SHIFT_EXACT_MAX {
        // Scaled up by more than any mantissa, the sign of the coarse number decides, unless it has none.
        let sign = coarse.mantissa.signum();
        return if sign == 0 {
            0.cmp(&fine.mantissa)
        } else {
            sign.cmp(&0)
        };
    }
    let scaled = i128::from(coarse.mantissa) * i128::from(10_u64.pow(u32::from(shift.unsigned_abs())));
    scaled.cmp(&i128::from(fine.mantissa))
}

/// The largest power of ten that fits a `u64`. It exceeds every mantissa, and times any of them fits an `i128`:
/// 2⁶³ < 10¹⁹ < 2⁶⁴, and 2⁶³ × 10¹⁹ < 2¹²⁷.
const SHIFT_EXACT_MAX: i16 = 19;
