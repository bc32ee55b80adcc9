//! What a request asks for (RFC 9112 §3.2): a path and a query.
//!
//! Never resolves dots nor decodes a path: it is compared with the few that exist.
//! Every percent-encoding in a target is well formed and stands for UTF-8.

use super::Refusal;
use crate::limits::TARGET_BYTES_MAX;
use crate::wire::Utf8;
use std::borrow::Cow;

/// Path and query of a request target.
///
/// ```
/// use tickwire::wire::Target;
/// let target = Target::parse("/v1/ws?ch=trade:BTC-USD,quote%3AETH-USD&ch=x")?;
/// assert_eq!(target.path(), "/v1/ws");
/// let channels: Vec<_> = target.query_values("ch").collect();
/// assert_eq!(channels, ["trade:BTC-USD,quote:ETH-USD", "x"]);
/// # Ok::<(), tickwire::wire::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'b> {
    path: &'b str,
    query: &'b str,
}

impl<'b> Target<'b> {
    /// Reads a target in origin form: an absolute path, and a query after a question mark.
    ///
    /// # Errors
    /// [`Refusal::TargetTooLong`], [`Refusal::TargetForm`], [`Refusal::TargetByte`] or
    /// [`Refusal::TargetEncoding`].
    pub fn parse(target: &'b str) -> Result<Self, Refusal> {
        if target.len() > TARGET_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        if !target.starts_with('/') {
            return Err(Refusal::TargetForm);
        }
        Self::split(target)
    }

    /// Reads a target in absolute form (RFC 9112 §3.2.2), and gives its authority beside it.
    pub(super) fn parse_absolute(target: &'b str) -> Result<(Self, &'b str), Refusal> {
        if target.len() > TARGET_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        let (scheme, rest) = target.split_once("://").ok_or(Refusal::TargetForm)?;
        if !["http", "https", "ws", "wss"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return Err(Refusal::TargetForm);
        }
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(path_start).ok_or(Refusal::TargetForm)?;
        Ok((Self::split(path)?, authority))
    }

    fn split(target: &'b str) -> Result<Self, Refusal> {
        // Browsers leave more than RFC 3986 allows as it is (`|`, `{`), so anything visible passes, but a
        // fragment is never sent (RFC 6455 §3).
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(Refusal::TargetByte);
        }
        let mut utf8 = Utf8::new();
        for byte in percent_decoded(target) {
            let byte = byte.ok_or(Refusal::TargetEncoding)?;
            utf8.push(&[byte]).map_err(|_| Refusal::TargetEncoding)?;
        }
        if !utf8.is_complete() {
            return Err(Refusal::TargetEncoding);
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // RFC 9110 §4.2.3: an empty path is the path `/`.
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self { path, query })
    }

    /// The path, as it was sent.
    #[must_use]
    pub const fn path(self) -> &'b str {
        self.path
    }

    /// What follows the question mark, as it was sent; empty where there is none.
    #[must_use]
    pub const fn query(self) -> &'b str {
        self.query
    }

    /// The values of every query parameter of this name, decoded; a parameter without `=` has an empty one.
    ///
    /// A plus sign is a plus sign (RFC 3986), not a space as in HTML forms: tokens in base64 contain it, and
    /// who means a space can write `%20`.
    pub fn query_values<'n>(self, name: &'n str) -> impl Iterator<Item = Cow<'b, str>> + use<'b, 'n> {
        self.query
            .split('&')
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .filter(move |(key, _)| decode(key) == name)
            .map(|(_, value)| decode(value))
    }
}

/// Text from which the percent-encodings are resolved.
fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = percent_decoded(text).flatten().collect();
    // `Target::parse` saw to it that this is UTF-8: what separates parameters is never part of a character.
    Cow::Owned(String::from_utf8(bytes).unwrap_or_default())
}

/// The bytes that `text` stands for; `None` for a percent sign without two hexadecimal digits.
fn percent_decoded(text: &str) -> impl Iterator<Item = Option<u8>> {
    let mut bytes = text.bytes();
    std::iter::from_fn(move || {
        let byte = bytes.next()?;
        if byte != b'%' {
            return Some(Some(byte));
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit(), digit());
        Some(
            high.zip(low)
                .and_then(|(high, low)| u8::try_from(high << 4 | low).ok()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_that_are_no_path_and_query_are_refused() {
        for (target, refusal) in [
            ("", Refusal::TargetForm),
            ("*", Refusal::TargetForm),
            ("host:80", Refusal::TargetForm),
            ("/a#b", Refusal::TargetByte),
            ("/a b", Refusal::TargetByte),
            ("/\u{7f}", Refusal::TargetByte),
            ("/é", Refusal::TargetByte),
            ("/%", Refusal::TargetEncoding),
            ("/%4", Refusal::TargetEncoding),
            ("/?a=%4g", Refusal::TargetEncoding),
            ("/?a=%+4", Refusal::TargetEncoding),
            ("/?a=%c3", Refusal::TargetEncoding),
            ("/?a=%c3&b=%a9", Refusal::TargetEncoding),
            ("/?a=%ff", Refusal::TargetEncoding),
        ] {
            assert_eq!(Target::parse(target), Err(refusal), "{target}");
        }
    }

    #[test]
    fn the_length_is_limited() {
        for bytes in [TARGET_BYTES_MAX - 1, TARGET_BYTES_MAX] {
            assert!(Target::parse(&"/".repeat(bytes)).is_ok());
        }
        let long = "/".repeat(TARGET_BYTES_MAX + 1);
        assert_eq!(Target::parse(&long), Err(Refusal::TargetTooLong));
        let long = format!("http://host{long}");
        assert_eq!(Target::parse_absolute(&long), Err(Refusal::TargetTooLong));
    }

    #[test]
    fn an_absolute_form_gives_the_same_path_and_query() {
        for (target, authority, path, query) in [
            ("http://h:1/a?b", "h:1", "/a", "b"),
            ("WS://h", "h", "/", ""),
            ("wss://h?b=/?", "h", "/", "b=/?"),
            ("https:///a", "", "/a", ""),
        ] {
            let expected = (Target { path, query }, authority);
            assert_eq!(Target::parse_absolute(target), Ok(expected), "{target}");
        }
        for target in ["ftp://h/", "h:80", "*", "http:/a", "http://h/#"] {
            assert!(Target::parse_absolute(target).is_err(), "{target}");
        }
    }

    #[test]
    fn query_values_are_decoded_and_come_in_order() {
        let target = Target::parse("/?ch=a+b&%63h=%E2%82%AC&x=1&ch&ch=&ch=1=2&CH=no&").unwrap();
        assert_eq!(
            target.query_values("ch").collect::<Vec<_>>(),
            ["a+b", "€", "", "", "1=2"]
        );
        assert!(Target::parse("/").unwrap().query_values("ch").next().is_none());
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(values in prop::collection::vec("\\PC{0,9}", 0..5)) {
            let encode = |text: &String| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
            let query: Vec<_> = values.iter().map(|value| format!("v={}", encode(value))).collect();
            let target = format!("/?{}", query.join("&"));
            let target = Target::parse(&target).unwrap();
            prop_assert_eq!(target.query_values("v").collect::<Vec<_>>(), values);
        }

        #[test]
        fn any_text_is_parsed_or_refused(target in "/[%0-9a-f&=?é]{0,20}") {
            if let Ok(target) = Target::parse(&target) {
                target.query_values("a").count();
            }
        }
    }
}
