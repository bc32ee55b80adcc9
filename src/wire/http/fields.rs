//! The field lines of a head (RFC 9112 §5), validated once and then read in place.
//!
//! Keeps no index: a head has few fields, and each is asked for once.

use super::HeadFault;
use crate::limits::HEAD_FIELDS_MAX;

/// The fields of one head, in the order they came. Names match in any case.
///
/// ```
/// use tickwire::wire::{HeadScan, Request};
/// let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\r\n";
/// let (request, _) = Request::parse(head, &mut HeadScan::default())?.unwrap();
/// let fields = request.fields();
/// assert_eq!(fields.sole("host"), Ok(Some(&b"h"[..])));
/// assert!(fields.lists("connection", "upgrade"));
/// # Ok::<(), tickwire::wire::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'b> {
    /// Whole lines, each valid and with its end.
    lines: &'b [u8],
}

/// A field that may come once came more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'b> Fields<'b> {
    /// Validates field lines, each ended by CRLF.
    pub(in crate::wire) fn parse(lines: &'b [u8]) -> Result<Self, HeadFault> {
        let fields = Self { lines };
        let mut count: usize = 0;
        for line in fields.lines() {
            count = count.saturating_add(1);
            if count > HEAD_FIELDS_MAX {
                return Err(HeadFault::TooManyFields);
            }
            // RFC 9112 §5.2: a server refuses obs-fold (or mends it; the meaning of mended input is a guess).
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                return Err(HeadFault::FoldedField);
            }
            // RFC 9112 §5.1: nothing stands between name and colon.
            let (name, value) = split_field(line).ok_or(HeadFault::FieldName)?;
            if !is_token(name) {
                return Err(HeadFault::FieldName);
            }
            // RFC 9110 §5.5: CR, LF and NUL are dangerous, other control characters invalid.
            if !is_field_value(value) {
                return Err(HeadFault::FieldValue);
            }
        }
        Ok(fields)
    }

    /// Every field's name and value.
    pub fn iter(self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        self.lines().filter_map(split_field)
    }

    /// The values of every field of this name.
    pub fn values<'n>(self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.lines().filter_map(|line| value_of(line, name.as_bytes()))
    }

    /// The value of a field that may come once.
    ///
    /// # Errors
    /// [`Repeated`] when it came more than once.
    pub fn sole(self, name: &str) -> Result<Option<&'b [u8]>, Repeated> {
        let mut values = self.values(name);
        let value = values.next();
        match values.next() {
            None => Ok(value),
            Some(_) => Err(Repeated),
        }
    }

    /// The elements of a comma-separated list, over all fields of this name; empty ones are skipped
    /// (RFC 9110 §5.6.1.2). Commas in quoted strings separate too: this is for lists of tokens.
    pub fn elements<'n>(self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        self.values(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether a list contains a token, in any case.
    #[must_use]
    pub fn lists(self, name: &str, token: &str) -> bool {
        self.elements(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    fn lines(self) -> impl Iterator<Item = &'b [u8]> {
        let mut rest = self.lines;
        std::iter::from_fn(move || {
            let line_bytes = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at.saturating_add(1));
            let (line, after) = rest.split_at_checked(line_bytes)?;
            rest = after;
            (!line.is_empty()).then(|| line.strip_suffix(b"\r\n").unwrap_or(line))
        })
    }
}

/// Whether these bytes are a token (RFC 9110 §5.6.2).
pub(in crate::wire) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// Whether this byte may stand in a token (RFC 9110 §5.6.2).
pub(in crate::wire) fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

/// Whether no byte is a control character, but for tabs. Looks at all of them without a branch, which is many at once.
fn is_field_value(bytes: &[u8]) -> bool {
    let is_field_byte = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    bytes.iter().fold(true, |all, &byte| all & is_field_byte(byte))
}

/// The value of a field line that is valid, if this is its name.
fn value_of<'b>(line: &'b [u8], name: &[u8]) -> Option<&'b [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| trim(value))
}

/// Name and value of a field line, the value without the white space around it.
fn split_field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (name, rest) = line.split_at_checked(colon)?;
    Some((name, trim(rest.strip_prefix(b":")?)))
}

/// Without the spaces and tabs at either end (RFC 9110 §5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_that_two_readers_could_read_differently_are_refused() {
        let table: &[(&[u8], HeadFault)] = &[
            (b"Host: a\r\n b\r\n", HeadFault::FoldedField),
            (b"\tHost: a\r\n", HeadFault::FoldedField),
            (b"Host : a\r\n", HeadFault::FieldName),
            (b": a\r\n", HeadFault::FieldName),
            (b"Host\r\n", HeadFault::FieldName),
            (b"Ho\0st: a\r\n", HeadFault::FieldName),
            (b"H\xc3\xb6st: a\r\n", HeadFault::FieldName),
            (b"Host: a\0\r\n", HeadFault::FieldValue),
            (b"Host: a\rb: c\r\n", HeadFault::FieldValue),
            (b"Host: \x7f\r\n", HeadFault::FieldValue),
            (b"Host: \x1b[0m\r\n", HeadFault::FieldValue),
        ];
        for (lines, fault) in table {
            assert_eq!(Fields::parse(lines), Err(*fault), "{}", lines.escape_ascii());
        }
        assert!(Fields::parse(b"Host:\t\xc3\xb6 \r\nEmpty:\r\n").is_ok());
    }

    #[test]
    fn the_number_of_fields_is_limited() {
        for (count, ok) in [
            (HEAD_FIELDS_MAX - 1, true),
            (HEAD_FIELDS_MAX, true),
            (HEAD_FIELDS_MAX + 1, false),
        ] {
            let lines = b"a: b\r\n".repeat(count);
            let fields = Fields::parse(&lines);
            assert_eq!(fields.is_ok(), ok);
            assert!(ok || fields == Err(HeadFault::TooManyFields));
        }
    }

    #[test]
    fn a_list_goes_on_over_fields_and_skips_empty_elements() {
        let fields = Fields::parse(b"A: b,, c \r\nx: y\r\na:\r\nA:,d\r\n").unwrap();
        let elements: Vec<_> = fields.elements("a").collect();
        assert_eq!(elements, [b"b", b"c", b"d"]);
        assert!(fields.lists("A", "C") && !fields.lists("a", "y"));
        assert_eq!(
            (fields.sole("a"), fields.sole("X"), fields.sole("z")),
            (Err(Repeated), Ok(Some(&b"y"[..])), Ok(None))
        );
    }

    proptest! {
        #[test]
        fn finds_the_fields_that_were_written(fields in prop::collection::vec(("[a-zA-Z0-9-]{1,9}", "([!-~]([ -~]{0,9}[!-~])?)?"), 0..9)) {
            let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value} \r\n")).collect();
            let found = Fields::parse(lines.as_bytes()).unwrap();
            let expected: Vec<_> = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn any_bytes_are_parsed_or_refused(lines in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(fields) = Fields::parse(&lines) {
                prop_assert!(fields.iter().all(|(name, value)| is_token(name) && !value.contains(&0)));
            }
        }
    }
}
