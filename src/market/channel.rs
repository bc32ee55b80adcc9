//! Channel names, `kind:symbol`, patterns that stand for several of them, and what a channel keeps.
//!
//! Never normalises: a name is the bytes that were written, and case matters.
//!
//! Invariant: a [`ChannelName`] consists of printable ASCII without space, quotation mark, comma, backslash and
//! asterisk. It needs no escaping in JSON, can stand in a comma-separated list, and is never also a pattern.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::error::Error;
use std::fmt;

use crate::limits::CHANNEL_NAME_BYTES_MAX;

/// The checked name of a channel.
///
/// ```
/// use tickwire::market::ChannelName;
///
/// let name = ChannelName::parse("trade:BTC-USD")?;
/// assert_eq!((name.kind(), name.symbol()), ("trade", "BTC-USD"));
/// assert!(ChannelName::parse("trade:").is_err());
/// # Ok::<(), tickwire::market::ChannelNameError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChannelName<'a> {
    kind: &'a str,
    symbol: &'a str,
    text: &'a str,
}

impl<'a> ChannelName<'a> {
    /// Checks a name. All before the first colon is the kind; the symbol may have colons of its own.
    ///
    /// # Errors
    /// When it is no name; see [`ChannelNameError`].
    pub fn parse(text: &'a str) -> Result<Self, ChannelNameError> {
        let (kind, symbol) = split(text)?;
        check_bytes(text)?;
        Ok(Self { kind, symbol, text })
    }

    /// The whole name.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.text
    }

    /// What stands before the first colon.
    #[must_use]
    pub const fn kind(self) -> &'a str {
        self.kind
    }

    /// What stands after the first colon.
    #[must_use]
    pub const fn symbol(self) -> &'a str {
        self.symbol
    }
}

impl fmt::Display for ChannelName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text)
    }
}

/// What a subscription names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern<'a> {
    /// `*`: every channel.
    All,
    /// `kind:*`: every channel of the kind.
    Kind(&'a str),
    /// `kind:symbol`: one channel.
    Exact(ChannelName<'a>),
}

impl<'a> Pattern<'a> {
    /// Reads `*`, `kind:*` or `kind:symbol`.
    ///
    /// # Errors
    /// When it is none of them; see [`ChannelNameError`].
    pub fn parse(text: &'a str) -> Result<Self, ChannelNameError> {
        if text == "*" {
            return Ok(Self::All);
        }
        match split(text)? {
            (kind, "*") => {
                check_bytes(kind)?;
                Ok(Self::Kind(kind))
            }
            _ => ChannelName::parse(text).map(Self::Exact),
        }
    }

    /// Whether a channel of that name is meant.
    #[must_use]
    pub fn matches(self, name: ChannelName<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Kind(kind) => kind == name.kind(),
            Self::Exact(exact) => exact == name,
        }
    }
}

impl fmt::Display for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Kind(kind) => write!(f, "{kind}:*"),
            Self::Exact(name) => name.fmt(f),
        }
    }
}

/// Why a text is no channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelNameError {
    /// No colon parts kind and symbol.
    NoColon,
    /// Nothing stands before the first colon.
    EmptyKind,
    /// Nothing stands after the first colon.
    EmptySymbol,
    /// Longer than [`CHANNEL_NAME_BYTES_MAX`].
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A byte that no name may have.
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands, counted from 0.
        at: usize,
    },
}

impl fmt::Display for ChannelNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoColon => f.write_str("expected kind:symbol, found no colon"),
            Self::EmptyKind => f.write_str("expected kind:symbol, found no kind"),
            Self::EmptySymbol => f.write_str("expected kind:symbol, found no symbol"),
            Self::TooLong { bytes } => {
                write!(
                    f,
                    "{bytes} bytes are too long, at most {CHANNEL_NAME_BYTES_MAX} are allowed"
                )
            }
            Self::BadByte { byte: b'*', at } => {
                write!(f, "'*' at byte {at} may only stand alone or after 'kind:'")
            }
            Self::BadByte { byte, at } if byte.is_ascii_graphic() || byte == b' ' => {
                write!(f, "'{}' at byte {at} is not allowed", char::from(byte))
            }
            Self::BadByte { byte, at } => write!(f, "0x{byte:02x} at byte {at} is not printable ASCII"),
        }
    }
}

impl Error for ChannelNameError {}

/// What a channel keeps of its past, and so what a client that fell behind or came late gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelClass {
    /// Every message counts.
    Append,
    /// The newest message says it all.
    Replace,
    /// A level-2 book: an image and the deltas since.
    Book,
}

impl ChannelClass {
    /// The class of channels whose kind nothing else is said about.
    #[must_use]
    pub fn default_for_kind(kind: &str) -> Self {
        match kind {
            "bbo" => Self::Replace,
            "book" => Self::Book,
            _ => Self::Append,
        }
    }

    /// The class that this is the [word](Self::as_str) for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Append, Self::Replace, Self::Book]
            .into_iter()
            .find(|class| class.as_str() == word)
    }

    /// The word for it in an acknowledgement.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Book => "book",
        }
    }
}

/// Parts kind and symbol and checks the length, before anything looks at each byte.
fn split(text: &str) -> Result<(&str, &str), ChannelNameError> {
    if text.len() > CHANNEL_NAME_BYTES_MAX {
        return Err(ChannelNameError::TooLong { bytes: text.len() });
    }
    match text.split_once(':').ok_or(ChannelNameError::NoColon)? {
        ("", _) => Err(ChannelNameError::EmptyKind),
        (_, "") => Err(ChannelNameError::EmptySymbol),
        parts => Ok(parts),
    }
}

fn check_bytes(text: &str) -> Result<(), ChannelNameError> {
    let bad = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'"' | b',' | b'\\' | b'*');
    match text.bytes().position(bad) {
        None => Ok(()),
        Some(at) => Err(ChannelNameError::BadByte {
            byte: text.as_bytes().get(at).copied().unwrap_or(0),
            at,
        }),
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn kind_and_symbol_part_at_the_first_colon() {
        let name = ChannelName::parse("stat:BTC:24h").unwrap();
        assert_eq!(
            (name.kind(), name.symbol(), name.as_str()),
            ("stat", "BTC:24h", "stat:BTC:24h")
        );
        assert_eq!(ChannelName::parse("a:'").unwrap().symbol(), "'");
    }

    #[test]
    fn each_fault_is_named() {
        for (text, words) in [
            ("", "expected kind:symbol, found no colon"),
            ("trade", "expected kind:symbol, found no colon"),
            (":BTC", "expected kind:symbol, found no kind"),
            ("trade:", "expected kind:symbol, found no symbol"),
            ("trade:B C", "' ' at byte 7 is not allowed"),
            ("trade:\"", "'\"' at byte 6 is not allowed"),
            ("a,b:c", "',' at byte 1 is not allowed"),
            ("a:b\\", "'\\' at byte 3 is not allowed"),
            ("a:b*", "'*' at byte 3 may only stand alone or after 'kind:'"),
            ("*:BTC", "'*' at byte 0 may only stand alone or after 'kind:'"),
            ("a:\n", "0x0a at byte 2 is not printable ASCII"),
            ("a:\u{e9}", "0xc3 at byte 2 is not printable ASCII"),
            ("a:\u{7f}", "0x7f at byte 2 is not printable ASCII"),
            (
                &format!("a:{}", "x".repeat(63)),
                "65 bytes are too long, at most 64 are allowed",
            ),
        ] {
            assert_eq!(ChannelName::parse(text).unwrap_err().to_string(), words);
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), words);
        }
        assert!(ChannelName::parse(&format!("a:{}", "x".repeat(62))).is_ok());
    }

    #[test]
    fn patterns_are_one_channel_a_kind_or_all() {
        assert_eq!(Pattern::parse("*"), Ok(Pattern::All));
        assert_eq!(Pattern::parse("trade:*"), Ok(Pattern::Kind("trade")));
        let exact = ChannelName::parse("trade:BTC").unwrap();
        assert_eq!(Pattern::parse("trade:BTC"), Ok(Pattern::Exact(exact)));
        assert_eq!(
            ChannelName::parse("trade:*"),
            Err(ChannelNameError::BadByte { byte: b'*', at: 6 })
        );
        assert_eq!(
            Pattern::parse("tr de:*"),
            Err(ChannelNameError::BadByte { byte: b' ', at: 2 })
        );
        for text in ["*", "trade:*", "trade:BTC"] {
            assert!(Pattern::parse(text).unwrap().matches(exact));
            assert_eq!(Pattern::parse(text).unwrap().to_string(), text);
        }
        for text in ["bbo:*", "trade:ETH", "trade:BTC:X", "trad:*"] {
            assert!(!Pattern::parse(text).unwrap().matches(exact), "{text}");
        }
    }

    #[test]
    fn the_class_follows_from_the_kind() {
        let classes =
            ["trade", "bbo", "book", "room", ""].map(|kind| ChannelClass::default_for_kind(kind).as_str());
        assert_eq!(classes, ["append", "replace", "book", "append", "append"]);
    }

    fn any_bad_char() -> impl Strategy<Value = char> {
        let ascii = (0_u8..=0x7f).prop_map(char::from).prop_filter("allowed", |c| {
            !c.is_ascii_graphic() || ['"', ',', '\\', '*'].contains(c)
        });
        prop_oneof![ascii, prop::char::range('\u{80}', char::MAX)]
    }

    proptest! {
        #[test]
        fn a_name_never_needs_escaping(text in "[ -~]{0,8}:?[\\PC\\x00-\\x7f]{0,8}") {
            if let Ok(name) = ChannelName::parse(&text) {
                prop_assert_eq!(serde_json::to_string(name.as_str()).unwrap(), format!("\"{text}\""));
                prop_assert_eq!(format!("{}:{}", name.kind(), name.symbol()), text);
            }
        }

        #[test]
        fn every_byte_outside_the_alphabet_is_refused_wherever_it_stands(
            before in "[a-zA-Z0-9:./_-]{1,20}", bad in any_bad_char(), after in "[a-z]{0,20}",
        ) {
            let text = format!("k:{before}{bad}{after}");
            let at = before.len() + 2;
            prop_assert_eq!(
                ChannelName::parse(&text),
                Err(ChannelNameError::BadByte { byte: text.as_bytes()[at], at })
            );
        }
    }
}
