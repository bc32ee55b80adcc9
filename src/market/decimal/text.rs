//! Writes a decimal as plain text, never with an exponent.

use std::fmt;

use super::Decimal;

impl Decimal {
    /// Appends the number as text: the sign, digits without a needless leading zero, and as many decimal places as
    /// the exponent says.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(self.mantissa.unsigned_abs()).as_bytes();
        if self.mantissa < 0 {
            out.push(b'-');
        }
        let places = usize::from(self.exponent.unsigned_abs());
        if self.exponent >= 0 {
            out.extend_from_slice(digits);
            // Zeros after a zero would say nothing.
            out.resize(out.len() + if self.mantissa == 0 { 0 } else { places }, b'0');
            return;
        }
        let (whole, part) = digits.split_at(digits.len().saturating_sub(places));
        out.extend_from_slice(if whole.is_empty() { b"0" } else { whole });
        out.push(b'.');
        out.resize(out.len() + (places - part.len()), b'0');
        out.extend_from_slice(part);
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(TEXT_BYTES_USUAL);
        self.write_to(&mut text);
        // `pad_integral` puts the sign where width and zero padding want it.
        let digits = text.strip_prefix(b"-").unwrap_or(&text);
        f.pad_integral(
            !self.is_negative(),
            "",
            str::from_utf8(digits).unwrap_or_default(),
        )
    }
}

/// Room for the text of any decimal that a market quotes.
const TEXT_BYTES_USUAL: usize = 32;
