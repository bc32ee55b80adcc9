//! Exact decimals: a mantissa and a power of ten.
//!
//! Never a float, never rounded: text goes in and the same text comes out, trailing zeros included, because
//! checksums of venues are taken over the text. Operations that cannot be exact answer `None`.
//!
//! Invariant: two decimals that stand for the same number are equal, hash alike and compare as equal, however
//! many zeros they are written with; [`Decimal::same_text`] tells the writings apart.

mod order;
mod parse;
mod text;

#[cfg(test)]
mod tests;

pub use parse::DecimalError;

/// An exact decimal number, `mantissa × 10^exponent`.
///
/// ```
/// use tickwire::market::Decimal;
///
/// let price = Decimal::parse("61685.99000000")?;
/// assert_eq!((price.mantissa(), price.exponent()), (6_168_599_000_000, -8));
/// assert_eq!(price.to_string(), "61685.99000000");
/// assert_eq!(price, Decimal::parse("61685.99")?);
/// assert!(!price.same_text(Decimal::parse("61685.99")?));
/// # Ok::<(), tickwire::market::DecimalError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    mantissa: i64,
    exponent: i8,
}

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self::new(0, 0);

    /// `mantissa × 10^exponent`.
    #[must_use]
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        Self { mantissa, exponent }
    }

    /// The digits, with the sign.
    #[must_use]
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// The power of ten that the mantissa is multiplied by: minus the number of decimal places.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        self.exponent
    }

    /// Whether the number is 0, however it is written.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// Whether the number is below 0.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// Whether mantissa and exponent are the same, so that both are written alike: `1.20` and `1.2` are equal, but
    /// not the same text.
    #[must_use]
    pub const fn same_text(self, other: Self) -> bool {
        self.mantissa == other.mantissa && self.exponent == other.exponent
    }

    /// The same number with another exponent, or `None` where digits other than zeros would be lost or the
    /// mantissa would not fit.
    #[must_use]
    pub fn rescale(self, exponent: i8) -> Option<Self> {
        let shift = i16::from(self.exponent) - i16::from(exponent);
        let power = 10_i64.checked_pow(u32::from(shift.unsigned_abs()));
        let mantissa = match (self.mantissa, power) {
            (0, _) => 0,
            (_, None) => return None,
            (mantissa, Some(power)) if shift >= 0 => mantissa.checked_mul(power)?,
            (mantissa, Some(power)) if mantissa % power == 0 => mantissa / power,
            (_, Some(_)) => return None,
        };
        Some(Self::new(mantissa, exponent))
    }

    /// The sum, with the finer exponent of the two, or `None` where its mantissa would not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let sum = self
            .rescale(exponent)?
            .mantissa
            .checked_add(other.rescale(exponent)?.mantissa)?;
        Some(Self::new(sum, exponent))
    }

    /// The difference, with the finer exponent of the two, or `None` where its mantissa would not fit.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let difference = self
            .rescale(exponent)?
            .mantissa
            .checked_sub(other.rescale(exponent)?.mantissa)?;
        Some(Self::new(difference, exponent))
    }
}
