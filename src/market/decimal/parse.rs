//! Reads a decimal from text that a stranger wrote.
//!
//! Accepts what JSON calls a number (RFC 8259 §6): an optional minus, digits without a needless leading zero,
//! optionally a point and digits, optionally an exponent. Never allocates, rounds or skips a byte.
//!
//! Invariant: what is accepted without an exponent is written out again byte for byte, except that a minus before
//! zero is lost. A number with an exponent, as `1e-8`, is written out plainly, as `0.00000001`. Every accepted
//! number is written with at most [`DECIMAL_DIGITS_MAX`] digits from its first digit that is not 0, or all of
//! its zeros, and can therefore be read again.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Decimal;
use crate::limits::DECIMAL_DIGITS_MAX;

/// Why a text is not a decimal, and at which byte of it, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// A digit had to stand here.
    ExpectedDigit {
        /// Where.
        at: usize,
    },
    /// The number was complete and something else than a digit, point or exponent followed.
    Trailing {
        /// Where.
        at: usize,
    },
    /// A zero that says nothing, as in `007`.
    LeadingZero {
        /// Where the needless zero stands.
        at: usize,
    },
    /// More than [`DECIMAL_DIGITS_MAX`] digits, counted from the first that is not 0.
    TooManyDigits {
        /// The first digit too many; for a number with an exponent, where the exponent stands.
        at: usize,
    },
    /// More than 128 decimal places.
    TooManyPlaces {
        /// The first decimal place too many; for a number with an exponent, where the exponent stands.
        at: usize,
    },
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExpectedDigit { at } => write!(f, "expected a digit at byte {at}"),
            Self::Trailing { at } => write!(f, "the number does not end at byte {at}"),
            Self::LeadingZero { at } => write!(f, "needless zero at byte {at}"),
            Self::TooManyDigits { at } => {
                write!(
                    f,
                    "more than {DECIMAL_DIGITS_MAX} significant digits at byte {at}"
                )
            }
            Self::TooManyPlaces { at } => write!(f, "more than {PLACES_MAX} decimal places at byte {at}"),
        }
    }
}

impl Error for DecimalError {}

impl Decimal {
    /// Reads the whole of `text` as a decimal.
    ///
    /// # Errors
    /// When it is not a JSON number (RFC 8259 §6), or is longer than a [`Decimal`] can hold exactly.
    #[inline]
    pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Result<Self, DecimalError> {
        parse(text.as_ref())
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        parse(text.as_bytes())
    }
}

fn parse(text: &[u8]) -> Result<Decimal, DecimalError> {
    let negative = text.first() == Some(&b'-');
    let mut digits = Digits {
        text,
        at: usize::from(negative),
        mantissa: 0,
        count: 0,
    };

    let whole_at = digits.at;
    digits.run()?;
    if digits.at > whole_at.saturating_add(1) && text.get(whole_at) == Some(&b'0') {
        return Err(DecimalError::LeadingZero { at: whole_at });
    }
    let mut places = 0;
    if text.get(digits.at) == Some(&b'.') {
        digits.at = digits.at.saturating_add(1);
        let places_at = digits.at;
        digits.run()?;
        places = digits.at.saturating_sub(places_at);
        if places > PLACES_MAX {
            return Err(DecimalError::TooManyPlaces {
                at: places_at.saturating_add(PLACES_MAX),
            });
        }
    }
    let mantissa = digits.mantissa;
    // At most 10¹⁸ − 1, so both signs fit.
    let mantissa = if negative {
        mantissa.wrapping_neg()
    } else {
        mantissa
    };
    let end = digits.at;
    match text.get(end) {
        None => Ok(Decimal::new(
            mantissa,
            exponent_of(places).ok_or(DecimalError::TooManyPlaces { at: end })?,
        )),
        Some(b'e' | b'E') => with_exponent(text, end, mantissa, places),
        Some(_) => Err(DecimalError::Trailing { at: end }),
    }
}

/// A place in a text and the digits read before it.
struct Digits<'a> {
    text: &'a [u8],
    at: usize,
    mantissa: i64,
    /// Digits in the mantissa, leading zeros not counted.
    count: usize,
}

impl Digits<'_> {
    /// Reads digits, at least one, up to the first byte that is none.
    #[inline]
    fn run(&mut self) -> Result<(), DecimalError> {
        let from = self.at;
        while let Some(byte) = self.text.get(self.at) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            self.mantissa = self.mantissa.wrapping_mul(10).wrapping_add(i64::from(digit));
            self.count = self.count.wrapping_add(usize::from(self.mantissa != 0));
            if self.count > DECIMAL_DIGITS_MAX {
                return Err(DecimalError::TooManyDigits { at: self.at });
            }
            self.at = self.at.wrapping_add(1);
        }
        if self.at == from {
            Err(DecimalError::ExpectedDigit { at: from })
        } else {
            Ok(())
        }
    }
}

/// Reads the exponent at `at` and writes the number without one, so that what we print can be read again by
/// those who know no exponents.
#[cold]
fn with_exponent(text: &[u8], at: usize, mantissa: i64, places: usize) -> Result<Decimal, DecimalError> {
    let sign = text.get(at.saturating_add(1)).copied();
    let signed = matches!(sign, Some(b'-' | b'+'));
    let mut digits = Digits {
        text,
        at: at.saturating_add(1).saturating_add(usize::from(signed)),
        mantissa: 0,
        count: 0,
    };
    digits.run()?;
    if digits.at < text.len() {
        return Err(DecimalError::Trailing { at: digits.at });
    }
    let written = if sign == Some(b'-') {
        digits.mantissa.wrapping_neg()
    } else {
        digits.mantissa
    };
    // `mantissa × 10^-places × 10^written`; what is left over on the left of the point goes into the mantissa.
    let places = i64::try_from(places).unwrap_or(i64::MAX).saturating_sub(written);
    if places >= 0 || mantissa == 0 {
        let places = usize::try_from(places.max(0)).unwrap_or(usize::MAX);
        let exponent = exponent_of(places).ok_or(DecimalError::TooManyPlaces { at })?;
        return Ok(Decimal::new(mantissa, exponent));
    }
    let scaled = u32::try_from(places.unsigned_abs())
        .ok()
        .and_then(|zeros| 10_i64.checked_pow(zeros))
        .and_then(|power| mantissa.checked_mul(power))
        .filter(|scaled| scaled.unsigned_abs() < MANTISSA_BOUND)
        .ok_or(DecimalError::TooManyDigits { at })?;
    Ok(Decimal::new(scaled, 0))
}

fn exponent_of(places: usize) -> Option<i8> {
    let places = i16::try_from(places).ok()?;
    i8::try_from(places.checked_neg()?).ok()
}

/// Decimal places that an exponent can count: 10⁻¹²⁸ is the finest.
const PLACES_MAX: usize = i8::MIN.unsigned_abs() as usize;

/// The least mantissa with more than [`DECIMAL_DIGITS_MAX`] digits.
#[expect(clippy::cast_possible_truncation, reason = "a constant below 19")]
const MANTISSA_BOUND: u64 = 10_u64.pow(DECIMAL_DIGITS_MAX as u32);

// A run of digits is accumulated without a check for overflow: one digit more than allowed must still fit.
const _: () = assert!(DECIMAL_DIGITS_MAX == 18);
