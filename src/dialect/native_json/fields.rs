//! Reads one JSON object and keeps the text of the fields that somebody asked for.
//!
//! Never allocates for a known field, never recurses: a value is skipped over, however deep it nests, and only
//! its text is kept. A field that nobody asked for is ignored.
//!
//! Invariant: what is kept is the text of one valid JSON value without white space around it.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The texts of the fields of one object.
pub(super) struct Fields<'a, const N: usize> {
    /// In the order of the names that were asked for.
    pub(super) values: [Option<&'a str>; N],
    /// The first of them that was there twice. Its first value is kept.
    pub(super) twice: Option<&'static str>,
}

/// Reads `text`, which must be one object and nothing else.
///
/// # Errors
/// See [`ReadError`].
pub(super) fn read<'a, const N: usize>(
    text: &'a str,
    names: &'static [&'static str; N],
) -> Result<Fields<'a, N>, ReadError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let fields = deserializer.deserialize_map(ObjectVisitor { names })?;
    deserializer.end()?;
    Ok(fields)
}

/// Why a text is not one object.
pub(super) enum ReadError {
    /// It is JSON, as far as it was read, but no object. The parser's own words would repeat the whole text.
    NotAnObject,
    /// It is not JSON.
    NotJson(serde_json::Error),
}

impl From<serde_json::Error> for ReadError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() {
            Self::NotAnObject
        } else {
            Self::NotJson(error)
        }
    }
}

/// The string that a JSON value is, if it is one that Unicode can write.
pub(super) fn string(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        // Half of a surrogate pair is valid JSON, but no text.
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// The unsigned integer that a JSON value is, if it is one of 64 bits.
pub(super) fn unsigned(value: &str) -> Option<u64> {
    value.parse().ok()
}

struct ObjectVisitor<const N: usize> {
    names: &'static [&'static str; N],
}

impl<'de, const N: usize> Visitor<'de> for ObjectVisitor<N> {
    type Value = Fields<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields {
            values: [None; N],
            twice: None,
        };
        while let Some(index) = map.next_key_seed(NameVisitor { names: self.names })? {
            let named = index.and_then(|index| fields.values.get_mut(index).zip(self.names.get(index)));
            match named {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((slot, name)) => {
                    let value = map.next_value::<&'de RawValue>()?.get();
                    if slot.is_none() {
                        *slot = Some(value);
                    } else {
                        fields.twice = fields.twice.or(Some(name));
                    }
                }
            }
        }
        Ok(fields)
    }
}

/// Finds a key among the names.
struct NameVisitor {
    names: &'static [&'static str],
}

impl<'de> DeserializeSeed<'de> for NameVisitor {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameVisitor {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|name| *name == key))
    }
}
