//! Decimals against oracles that work on their text alone.

use std::cmp::Ordering;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use proptest::prelude::*;

use super::{Decimal, DecimalError};

/// A number as text, in the plain grammar, with at most 18 digits.
fn plain_text() -> impl Strategy<Value = String> {
    let whole = prop_oneof![Just("0".to_owned()), "[1-9][0-9]{0,8}"];
    let part = prop_oneof![Just(String::new()), "\\.[0-9]{1,9}", "\\.0{0,40}[0-9]{1,9}"];
    ("-?", whole, part)
        .prop_map(|(sign, whole, part)| format!("{sign}{whole}{part}"))
        .prop_filter("a zero has no sign", |text| {
            !text.starts_with('-') || text.bytes().any(is_nonzero_digit)
        })
        .prop_filter("too many digits", |text| {
            text.bytes()
                .filter(u8::is_ascii_digit)
                .skip_while(|digit| *digit == b'0')
                .count()
                <= 18
        })
}

fn is_nonzero_digit(byte: u8) -> bool {
    (b'1'..=b'9').contains(&byte)
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![any::<i64>(), -20_i64..20, Just(i64::MIN), Just(i64::MAX)];
    let round = (-9_i64..9, 0_u32..18).prop_map(|(digit, zeros)| digit * 10_i64.pow(zeros));
    (prop_oneof![mantissa, round], prop_oneof![any::<i8>(), -10_i8..3]).prop_map(|(m, e)| Decimal::new(m, e))
}

/// The sign, and the digits before and after the point with as many zeros as make all numbers equally long.
fn aligned(decimal: Decimal) -> (i64, String) {
    let text = decimal.to_string();
    let digits = text.strip_prefix('-').unwrap_or(&text);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    (decimal.mantissa().signum(), format!("{whole:0>160}{part:0<160}"))
}

fn naive_order(a: Decimal, b: Decimal) -> Ordering {
    let ((sign_a, digits_a), (sign_b, digits_b)) = (aligned(a), aligned(b));
    sign_a.cmp(&sign_b).then_with(|| match sign_a {
        -1 => digits_b.cmp(&digits_a),
        _ => digits_a.cmp(&digits_b),
    })
}

/// The mantissa that the number has with another exponent, if it has one.
fn naive_mantissa(decimal: Decimal, exponent: i8) -> Option<i64> {
    let (sign, digits) = aligned(decimal);
    let point = usize::try_from(160 - i16::from(exponent)).unwrap();
    let (kept, lost) = digits.split_at(point);
    let kept = format!(
        "{}0{}",
        if sign < 0 { "-" } else { "" },
        kept.trim_start_matches('0')
    );
    if lost.bytes().all(|digit| digit == b'0') {
        kept.parse().ok()
    } else {
        None
    }
}

/// The number as an integer of 10⁻²⁰, where it is one that fits.
fn scaled(decimal: Decimal) -> Option<i128> {
    let power = 10_i128.checked_pow(u32::try_from(i16::from(decimal.exponent()) + 20).ok()?)?;
    i128::from(decimal.mantissa()).checked_mul(power)
}

fn hash_of(decimal: Decimal) -> u64 {
    let mut hasher = DefaultHasher::new();
    decimal.hash(&mut hasher);
    hasher.finish()
}

/// Text as the grammar of RFC 8259 §6 reads it, exponents aside, and no bounds.
fn naive_accepts(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let all_digits = |run: &str| !run.is_empty() && run.bytes().all(|byte| byte.is_ascii_digit());
    all_digits(whole) && part.is_none_or(all_digits) && (whole == "0" || !whole.starts_with('0'))
}

proptest! {
    #[test]
    fn plain_text_goes_in_and_comes_out_unchanged(text in plain_text()) {
        let decimal = Decimal::parse(&text).unwrap();
        prop_assert_eq!(decimal.to_string(), text.clone());
        let mut written = b"before ".to_vec();
        decimal.write_to(&mut written);
        prop_assert_eq!(written, [b"before ", text.as_bytes()].concat());
    }

    #[test]
    fn what_is_accepted_is_what_the_grammar_accepts(text in "-?[0-9.]{0,6}[ -~]?") {
        let naive = naive_accepts(&text);
        if !text.contains(['e', 'E']) {
            prop_assert_eq!(Decimal::parse(&text).is_ok(), naive, "{}", text);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_them(text in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Err(error) = Decimal::parse(&text) {
            let (DecimalError::ExpectedDigit { at }
            | DecimalError::Trailing { at }
            | DecimalError::LeadingZero { at }
            | DecimalError::TooManyDigits { at }
            | DecimalError::TooManyPlaces { at }) = error;
            prop_assert!(at <= text.len());
            let ending = format!("at byte {at}");
            prop_assert!(error.to_string().ends_with(&ending));
        }
    }

    #[test]
    fn an_exponent_means_what_json_says_and_is_written_plainly(
        text in plain_text(), e in prop_oneof![Just("e"), Just("E")], sign in prop_oneof![Just(""), Just("+"), Just("-")], power in 0_i64..40,
    ) {
        let plain = Decimal::parse(&text).unwrap();
        let shift = if sign == "-" { -power } else { power };
        if let Ok(decimal) = Decimal::parse(&format!("{text}{e}{sign}{power}")) {
            let exponent = i8::try_from(i64::from(plain.exponent()) + shift).unwrap();
            prop_assert_eq!(decimal, Decimal::new(plain.mantissa(), exponent));
            prop_assert!(!decimal.to_string().contains(['e', 'E']));
            prop_assert!(Decimal::parse(&decimal.to_string()).unwrap().same_text(decimal));
        }
    }

    #[test]
    fn order_equality_and_hash_go_by_the_number(a in any_decimal(), b in any_decimal()) {
        prop_assert_eq!(a.cmp(&b), naive_order(a, b), "{} {}", a, b);
        prop_assert_eq!(a == b, naive_order(a, b) == Ordering::Equal);
        if a == b {
            prop_assert_eq!(hash_of(a), hash_of(b));
        }
    }

    #[test]
    fn another_writing_of_a_number_is_equal_to_it(mantissa in -1000_i64..1000, zeros in 0_i8..15, exponent in any::<i8>()) {
        let Some(longer) = exponent.checked_sub(zeros) else { return Ok(()) };
        let a = Decimal::new(mantissa, exponent);
        let b = Decimal::new(mantissa * 10_i64.pow(u32::from(zeros.unsigned_abs())), longer);
        prop_assert_eq!(a, b);
        prop_assert_eq!(hash_of(a), hash_of(b));
        prop_assert_eq!(a.same_text(b), zeros == 0);
        prop_assert!(a.rescale(longer).unwrap().same_text(b));
        prop_assert!(b.rescale(exponent).unwrap().same_text(a));
    }

    #[test]
    fn sums_and_differences_are_exact_or_refused(
        a in any::<i64>(), x in -20_i8..=-2, b in any::<i64>(), y in -20_i8..=-2, small in any::<bool>(),
    ) {
        let (a, b) = if small { (a >> 32, b >> 32) } else { (a, b) };
        let (a, b) = (Decimal::new(a, x), Decimal::new(b, y));
        let (wide_a, wide_b) = (scaled(a).unwrap(), scaled(b).unwrap());
        for (answer, exact) in [(a.checked_add(b), wide_a + wide_b), (a.checked_sub(b), wide_a - wide_b)] {
            match answer {
                Some(decimal) => {
                    prop_assert_eq!(scaled(decimal), Some(exact));
                    prop_assert_eq!(decimal.exponent(), x.min(y));
                }
                None => prop_assert!(
                    a.rescale(x.min(y)).is_none()
                        || b.rescale(x.min(y)).is_none()
                        || i64::try_from(exact / 10_i128.pow(u32::try_from(x.min(y) + 20).unwrap())).is_err()
                ),
            }
        }
    }

    #[test]
    fn rescaling_keeps_the_number_or_refuses(a in any_decimal(), exponent in any::<i8>()) {
        let answer = a.rescale(exponent);
        prop_assert_eq!(answer.map(Decimal::mantissa), naive_mantissa(a, exponent));
        prop_assert!(answer.is_none_or(|b| b.exponent() == exponent));
    }
}

#[test]
fn known_texts_round_trip() {
    for text in [
        "61685.99000000",
        "-0.5",
        "1",
        "0",
        "0.00",
        "0.00000001",
        "-1.20",
        "999999999999999999",
        "0.000000000000000001",
    ] {
        assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn a_minus_before_zero_is_lost() {
    assert_eq!(Decimal::parse("-0").unwrap().to_string(), "0");
    assert_eq!(Decimal::parse("-0.00").unwrap().to_string(), "0.00");
    assert!(!Decimal::parse("-0").unwrap().is_negative());
}

#[test]
fn an_exponent_is_written_plainly() {
    for (text, plain) in [
        ("1e-8", "0.00000001"),
        ("1.5E+3", "1500"),
        ("-2.50e1", "-25.0"),
        ("0e9", "0"),
        ("1e17", "100000000000000000"),
    ] {
        assert_eq!(Decimal::parse(text).unwrap().to_string(), plain);
    }
}

#[test]
fn each_fault_is_named_with_its_place() {
    use DecimalError::{ExpectedDigit, LeadingZero, TooManyDigits, TooManyPlaces, Trailing};
    let places = format!("0.{}", "0".repeat(129));
    for (text, error) in [
        ("", ExpectedDigit { at: 0 }),
        ("-", ExpectedDigit { at: 1 }),
        ("+1", ExpectedDigit { at: 0 }),
        (".5", ExpectedDigit { at: 0 }),
        ("1.", ExpectedDigit { at: 2 }),
        ("1.e5", ExpectedDigit { at: 2 }),
        ("NaN", ExpectedDigit { at: 0 }),
        ("1e", ExpectedDigit { at: 2 }),
        ("1e+", ExpectedDigit { at: 3 }),
        ("007", LeadingZero { at: 0 }),
        ("-00", LeadingZero { at: 1 }),
        ("1,000", Trailing { at: 1 }),
        ("1 ", Trailing { at: 1 }),
        ("1.2.3", Trailing { at: 3 }),
        ("1e5x", Trailing { at: 3 }),
        ("1234567890123456789", TooManyDigits { at: 18 }),
        ("1234567890.123456789", TooManyDigits { at: 19 }),
        ("1e18", TooManyDigits { at: 1 }),
        ("1e999", TooManyDigits { at: 1 }),
        ("1e-129", TooManyPlaces { at: 1 }),
        ("1e-9999999999999999999999", TooManyDigits { at: 21 }),
        (&places, TooManyPlaces { at: 130 }),
    ] {
        assert_eq!(Decimal::parse(text), Err(error), "{text}");
    }
    assert_eq!(
        TooManyDigits { at: 3 }.to_string(),
        "more than 18 significant digits at byte 3"
    );
    assert_eq!(ExpectedDigit { at: 0 }.to_string(), "expected a digit at byte 0");
}

#[test]
fn the_widest_decimals_are_written_and_compared() {
    assert_eq!(Decimal::new(i64::MIN, 0).to_string(), "-9223372036854775808");
    assert_eq!(Decimal::new(7, 3).to_string(), "7000");
    assert_eq!(Decimal::new(0, 3).to_string(), "0");
    assert_eq!(
        Decimal::new(5, -128).to_string(),
        format!("0.{}5", "0".repeat(127))
    );
    assert!(Decimal::new(1, 127) > Decimal::new(i64::MAX, -128));
    assert!(Decimal::new(-1, 127) < Decimal::new(i64::MIN, -128));
    assert!(Decimal::new(0, 127) > Decimal::new(i64::MIN, -128));
    assert_eq!(Decimal::new(0, 127), Decimal::ZERO);
    assert!(
        Decimal::new(9, 18) < Decimal::new(i64::MAX, 0) && Decimal::new(10, 18) > Decimal::new(i64::MAX, 0)
    );
    assert!(
        Decimal::new(-9, 18) > Decimal::new(i64::MIN, 0) && Decimal::new(-10, 18) < Decimal::new(i64::MIN, 0)
    );
    assert!(
        Decimal::new(1, 19) > Decimal::new(i64::MAX, 0) && Decimal::new(1, 20) > Decimal::new(i64::MAX, 0)
    );
}

#[test]
fn display_obeys_width_and_sign() {
    assert_eq!(
        format!(
            "{:>8}|{:<8}|{:+}",
            Decimal::new(-15, -1),
            Decimal::new(15, -1),
            Decimal::new(1, 0)
        ),
        "    -1.5|1.5     |+1"
    );
}
