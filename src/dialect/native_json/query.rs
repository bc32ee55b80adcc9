//! The lazy client's subscription: `?ch=a,b` in the address it connects to.
//!
//! Never looks at other parameters. Several `ch` count together. A plus sign stands for itself, not for a space
//! as in HTML forms: symbols may have one, and no name has a space.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::borrow::Cow;

use super::command::{Command, CommandError, bad_request, too_many_channels};
use crate::limits::REQUEST_CHANNELS_MAX;

impl<'a> Command<'a> {
    /// Reads the query of a request target, which is what stands after its question mark, as a subscription without
    /// an `id`; `None` where it names no channels.
    ///
    /// # Errors
    /// [`Code::BadRequest`](crate::dialect::Code::BadRequest) when a percent sign is not followed by two
    /// hexadecimal digits (RFC 3986 §2.1), what they stand for is not UTF-8, or there are too many channels.
    ///
    /// ```
    /// use tickwire::dialect::native_json::Command;
    ///
    /// let command = Command::from_query("ch=trade:BTC-USD,book%3ABTC-USD&color=red")?;
    /// let channels = vec!["trade:BTC-USD".into(), "book:BTC-USD".into()];
    /// assert_eq!(command, Some(Command::Subscribe { id: None, channels, since: None }));
    /// # Ok::<(), tickwire::dialect::native_json::CommandError>(())
    /// ```
    pub fn from_query(query: &'a str) -> Result<Option<Self>, CommandError> {
        let mut channels = Vec::new();
        for value in query
            .split('&')
            .filter_map(|parameter| parameter.strip_prefix("ch="))
        {
            if value.is_empty() {
                continue;
            }
            match decode(value)? {
                Cow::Borrowed(list) => channels.extend(list.split(',').map(Cow::Borrowed)),
                Cow::Owned(list) => channels.extend(list.split(',').map(|name| Cow::Owned(name.to_owned()))),
            }
        }
        if channels.len() > REQUEST_CHANNELS_MAX {
            return Err(refused(too_many_channels()));
        }
        Ok(if channels.is_empty() {
            None
        } else {
            Some(Self::Subscribe {
                id: None,
                channels,
                since: None,
            })
        })
    }
}

/// Puts bytes in the place of their percent-encodings.
fn decode(value: &str) -> Result<Cow<'_, str>, CommandError> {
    if !value.contains('%') {
        return Ok(Cow::Borrowed(value));
    }
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low);
                decoded.push(byte.ok_or_else(bad_percent)?);
                after
            }
            (b'%', _) => return Err(bad_percent()),
            _ => {
                decoded.push(*byte);
                after
            }
        };
    }
    let text = String::from_utf8(decoded);
    text.map(Cow::Owned)
        .map_err(|_| refused(bad_request("ch: not UTF-8".to_owned())))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

fn bad_percent() -> CommandError {
    refused(bad_request(
        "ch: expected two hexadecimal digits after %".to_owned(),
    ))
}

fn refused((code, message): (crate::dialect::Code, String)) -> CommandError {
    CommandError {
        code,
        id: None,
        message,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::Code;

    fn channels(query: &str) -> Option<Vec<String>> {
        match Command::from_query(query).unwrap() {
            Some(Command::Subscribe {
                id: None,
                channels,
                since: None,
            }) => Some(channels.into_iter().map(Cow::into_owned).collect()),
            None => None,
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn channels_are_listed_by_commas_or_parameters() {
        assert_eq!(channels("ch=a:b,c:*").unwrap(), ["a:b", "c:*"]);
        assert_eq!(channels("x=1&ch=a:b&y&ch=*").unwrap(), ["a:b", "*"]);
        assert_eq!(
            channels("ch=trade%3aBTC%2FUSD%2cbook%3A%E2%82%AC").unwrap(),
            ["trade:BTC/USD", "book:€"]
        );
        assert_eq!(channels("ch=a:x+y").unwrap(), ["a:x+y"]);
        assert_eq!(
            channels("ch=a:b,").unwrap(),
            ["a:b", ""],
            "the empty name is refused by its own error"
        );
    }

    #[test]
    fn a_query_without_channels_subscribes_to_nothing() {
        for query in ["", "ch", "ch=", "x=ch=a:b", "chx=a:b", "CH=a:b"] {
            assert_eq!(channels(query), None, "{query}");
        }
    }

    #[test]
    fn bad_encodings_are_refused() {
        for query in ["ch=%", "ch=a%2", "ch=%zz", "ch=%+1"] {
            let error = Command::from_query(query).unwrap_err();
            assert_eq!(
                error.to_string(),
                "4000 bad request: ch: expected two hexadecimal digits after %"
            );
        }
        assert_eq!(
            Command::from_query("ch=%ff").unwrap_err().message,
            "ch: not UTF-8"
        );
    }

    #[test]
    fn too_many_channels_are_refused() {
        let query = |count: usize| format!("ch={}", vec!["a:b"; count].join(","));
        assert!(Command::from_query(&query(REQUEST_CHANNELS_MAX)).is_ok());
        let error = Command::from_query(&query(REQUEST_CHANNELS_MAX + 1)).unwrap_err();
        assert_eq!(
            (error.code, error.message.as_str()),
            (Code::BadRequest, "ch: more than 1024 channels")
        );
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_out(name in "[^,]{1,20}") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let query = format!("ch={encoded}");
            prop_assert_eq!(channels(&query).unwrap(), [name]);
        }

        #[test]
        fn any_query_is_answered(query in "(ch=|%|&|,|[ -~]|\\PC){0,20}") {
            if let Err(error) = Command::from_query(&query) {
                prop_assert!(error.code == Code::BadRequest && error.message.starts_with("ch: "));
            }
        }
    }
}
