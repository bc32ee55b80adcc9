//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1): a list of names, each with parameters.
//!
//! Never knows what an extension means. What it yields conforms to the grammar; what does not must fail the
//! connection (§9.1).

use crate::wire::http::{is_token, is_token_byte};

/// The extensions that one field value lists, as they come.
#[derive(Clone, Debug)]
pub(in crate::wire) struct Extensions<'b> {
    rest: &'b [u8],
    /// Whether an element may come next without a comma before it.
    fresh: bool,
}

/// One extension of a list, with its parameters still to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Extension<'b> {
    /// Its name, a token.
    pub(in crate::wire) name: &'b [u8],
    params: &'b [u8],
}

/// One parameter of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Param<'b> {
    /// Its name, a token.
    pub(in crate::wire) name: &'b [u8],
    /// Its value, when it has one.
    pub(in crate::wire) value: Option<Value<'b>>,
}

/// The value of a parameter: a token, perhaps within quotation marks and with escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Value<'b>(&'b [u8]);

/// The list breaks the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct Malformed;

/// Whether a field's value lists at least one extension, and everything in it conforms to the grammar.
pub(in crate::wire) fn is_list(value: &[u8]) -> bool {
    let mut extensions = Extensions::new(value).peekable();
    extensions.peek().is_some() && extensions.all(|extension| extension.is_ok())
}

impl<'b> Extensions<'b> {
    /// Reads a field's value.
    pub(in crate::wire) const fn new(value: &'b [u8]) -> Self {
        Self {
            rest: value,
            fresh: true,
        }
    }

    fn element(&mut self) -> Result<Option<Extension<'b>>, Malformed> {
        // Empty elements are skipped (RFC 9110 §5.6.1.2); between two others there is a comma.
        let mut cursor = Cursor { rest: self.rest };
        cursor.skip_space();
        while cursor.eat(b',') {
            self.fresh = true;
            cursor.skip_space();
        }
        if cursor.rest.is_empty() {
            self.rest = cursor.rest;
            return Ok(None);
        }
        if !std::mem::replace(&mut self.fresh, false) {
            return Err(Malformed);
        }
        let name = cursor.token().ok_or(Malformed)?;
        let params = cursor.rest;
        while cursor.param()?.is_some() {}
        self.rest = cursor.rest;
        let params = params
            .get(..params.len().saturating_sub(cursor.rest.len()))
            .unwrap_or_default();
        Ok(Some(Extension { name, params }))
    }
}

impl<'b> Iterator for Extensions<'b> {
    type Item = Result<Extension<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.element().transpose()?;
        if element.is_err() {
            self.rest = &[];
        }
        Some(element)
    }
}

impl<'b> Extension<'b> {
    /// Its parameters, as they come.
    pub(in crate::wire) fn params(self) -> impl Iterator<Item = Param<'b>> {
        let mut cursor = Cursor { rest: self.params };
        // It was read before, so there is no error to come.
        std::iter::from_fn(move || cursor.param().ok().flatten())
    }
}

impl<'b> Value<'b> {
    /// The bytes that it stands for.
    pub(in crate::wire) fn bytes(self) -> impl Iterator<Item = u8> {
        // A token holds no quotation mark and no backslash, so these are always syntax.
        self.0
            .iter()
            .copied()
            .filter(|&byte| byte != b'"' && byte != b'\\')
    }
}

/// A place in a field's value.
#[derive(Clone, Copy, Debug)]
struct Cursor<'b> {
    rest: &'b [u8],
}

impl<'b> Cursor<'b> {
    /// The parameter that comes next, behind its semicolon; `None` at the end of the extension.
    fn param(&mut self) -> Result<Option<Param<'b>>, Malformed> {
        self.skip_space();
        if !self.eat(b';') {
            return Ok(None);
        }
        self.skip_space();
        let name = self.token().ok_or(Malformed)?;
        self.skip_space();
        let value = if self.eat(b'=') {
            self.skip_space();
            Some(self.value().ok_or(Malformed)?)
        } else {
            None
        };
        Ok(Some(Param { name, value }))
    }

    /// A token, or a quoted string that is one when its escapes are undone.
    fn value(&mut self) -> Option<Value<'b>> {
        if self.rest.first() != Some(&b'"') {
            return self.token().map(Value);
        }
        let mut escaped = false;
        let mut bytes: usize = 0;
        for (at, &byte) in self.rest.iter().enumerate().skip(1) {
            match byte {
                b'\\' if !escaped => escaped = true,
                b'"' if !escaped => {
                    let (value, rest) = self.rest.split_at_checked(at.saturating_add(1))?;
                    self.rest = rest;
                    return (bytes > 0).then_some(Value(value));
                }
                byte if is_token_byte(byte) => {
                    escaped = false;
                    bytes = bytes.saturating_add(1);
                }
                _ => return None,
            }
        }
        None
    }

    fn token(&mut self) -> Option<&'b [u8]> {
        let end = self.rest.iter().position(|&byte| !is_token_byte(byte));
        let (token, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest;
        is_token(token).then_some(token)
    }

    fn eat(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The list, written out in one form; `None` when it is malformed.
    fn read(value: &str) -> Option<String> {
        let mut out = String::new();
        for extension in Extensions::new(value.as_bytes()) {
            let extension = extension.ok()?;
            out.push_str(std::str::from_utf8(extension.name).unwrap());
            for param in extension.params() {
                out.push(';');
                out.push_str(std::str::from_utf8(param.name).unwrap());
                if let Some(value) = param.value {
                    out.push('=');
                    out.extend(value.bytes().map(char::from));
                }
            }
            out.push(' ');
        }
        Some(out)
    }

    #[test]
    fn rfc_6455_section_9_1_examples_are_read() {
        assert_eq!(read("foo").as_deref(), Some("foo "));
        assert_eq!(read("bar; baz=2").as_deref(), Some("bar;baz=2 "));
        assert_eq!(
            read("deflate-stream, mux; max-channels=4; flow-control, private-extension").as_deref(),
            Some("deflate-stream mux;max-channels=4;flow-control private-extension ")
        );
    }

    #[test]
    fn a_quoted_value_is_the_token_that_it_stands_for() {
        assert_eq!(read("a; b=\"10\"").as_deref(), Some("a;b=10 "));
        assert_eq!(read("a;b=\"1\\0\" ;c").as_deref(), Some("a;b=10;c "));
        for malformed in [
            "a; b=\"\"",
            "a; b=\"1 0\"",
            "a; b=\"1,0\"",
            "a; b=\"10",
            "a; b=\"10\\",
            "a; b=\"10\\\"",
            "a; b=\"\\\\\"",
            "a; b=\"\\\"\"",
            "a; b=\"1\"0",
        ] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn empty_elements_are_skipped_and_what_breaks_the_grammar_is_found() {
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(read(" ,, a ,\t,b;c , ").as_deref(), Some("a b;c "));
        for malformed in [
            ";", "a;", "a;;b", "a; =1", "a; b=", "a b", "a; b c", "a=1", "a; b=c=d", "(", "a, /", "a\u{e9}",
        ] {
            assert_eq!(read(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn a_list_is_what_was_written(
            list in prop::collection::vec(("[a-z-]{1,5}", prop::collection::vec(("[a-z_]{1,5}", prop::option::of("[0-9a-z]{1,3}"), 0_u8..3), 0..3)), 0..4),
        ) {
            let (mut value, mut expected) = (String::new(), String::new());
            for (name, params) in list {
                value.push_str(&name);
                expected.push_str(&name);
                for (name, given, style) in params {
                    value.push_str([";", " ; ", ";\t"][usize::from(style)]);
                    value.push_str(&name);
                    expected.push(';');
                    expected.push_str(&name);
                    if let Some(given) = given {
                        expected.push_str(&format!("={given}"));
                        value.push_str(&match style {
                            0 => format!("={given}"),
                            1 => format!(" = \"{given}\""),
                            _ => given.chars().fold("=\"".to_owned(), |out, c| format!("{out}\\{c}")) + "\"",
                        });
                    }
                }
                value.push_str(" , ");
                expected.push(' ');
            }
            prop_assert_eq!(read(&value), Some(expected));
        }

        #[test]
        fn any_bytes_are_read_or_refused_once(bytes in prop::collection::vec(prop::sample::select(&b"ab;=,\"\\ \t\x80"[..]), 0..30)) {
            let mut extensions = Extensions::new(&bytes);
            if extensions.by_ref().any(|extension| extension.is_err()) {
                prop_assert_eq!(extensions.next(), None);
            }
        }
    }
}
