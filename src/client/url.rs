//! Where a server is: `ws://host:port/path?query` (RFC 6455 §3).
//!
//! Never resolves a name and never guesses a scheme.
//!
//! Invariant: what a [`Url`] holds makes a valid `Host` field and a valid request target.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::error::Error;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::wire::{Refusal, Target};

/// The checked address of a server.
///
/// ```
/// use tickwire::client::Url;
///
/// let url: Url = "ws://localhost:8080?ch=trade:*".parse()?;
/// assert_eq!((url.host(), url.port(), url.target()), ("localhost", 8080, "/v1/ws?ch=trade:*"));
/// assert!("wss://localhost".parse::<Url>().is_err());
/// # Ok::<(), tickwire::client::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Url {
    host: String,
    port: u16,
    target: String,
}

impl Url {
    /// The name or address of the host; an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port; 80 where none was given.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Path and query, as a request asks for them; the path is `/v1/ws` where none was given.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What follows the question mark; empty where there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The same address without the channels that its query names (`ch=…`), so that a server subscribes to nothing by
    /// itself: whoever comes back says what it has of each channel.
    #[must_use]
    pub(super) fn without_channels(&self) -> Self {
        let kept: Vec<&str> = self
            .query()
            .split('&')
            .filter(|parameter| !parameter.is_empty() && !parameter.starts_with("ch="))
            .collect();
        let path = self
            .target
            .split_once('?')
            .map_or(&*self.target, |(path, _)| path);
        let mark = if kept.is_empty() { "" } else { "?" };
        Self {
            host: self.host.clone(),
            port: self.port,
            target: format!("{path}{mark}{}", kept.join("&")),
        }
    }

    /// Host and port as the `Host` field states them: the port only where it is not the scheme's own
    /// (RFC 6455 §4.1, item 4).
    #[must_use]
    pub fn authority(&self) -> String {
        let (open, close) = if self.host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        match self.port {
            PORT_DEFAULT => format!("{open}{}{close}", self.host),
            port => format!("{open}{}{close}:{port}", self.host),
        }
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        if scheme.eq_ignore_ascii_case("wss") {
            return Err(UrlError::Tls);
        }
        if !scheme.eq_ignore_ascii_case("ws") {
            return Err(UrlError::Scheme(scheme.to_owned()));
        }
        // RFC 6455 §3: a fragment has no meaning here and must not be used.
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let path_start = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(path_start).unwrap_or((rest, ""));
        let (host, port) = split_authority(authority)?;
        // RFC 9110 §4.2.3: an empty path and `/` are the same.
        let target = match target.strip_prefix('/').unwrap_or(target) {
            "" => PATH_DEFAULT.to_owned(),
            query if query.starts_with('?') => format!("{PATH_DEFAULT}{query}"),
            _ => target.to_owned(),
        };
        Target::parse(&target).map_err(UrlError::Target)?;
        Ok(Self {
            host: host.to_owned(),
            port,
            target,
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.authority(), self.target)
    }
}

/// Why a text is not the address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// Nothing says that it is a WebSocket.
    NoScheme,
    /// The scheme is `wss`.
    Tls,
    /// The scheme is another one.
    Scheme(String),
    /// There is a `#`.
    Fragment,
    /// There is a user's name or password.
    User,
    /// There is no host.
    NoHost,
    /// The host is neither a name nor an address.
    Host(String),
    /// An IPv6 address stands without brackets.
    Brackets(String),
    /// The port is not a number from 1 to 65535.
    Port(String),
    /// Path or query could not be asked for.
    Target(Refusal),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScheme => f.write_str("expected ws://host:port, found no ://"),
            Self::Tls => f.write_str(
                "wss:// is not spoken here: TLS ends at a proxy in front of the server; connect to the server itself \
                 with ws://",
            ),
            Self::Scheme(scheme) => write!(f, "expected ws://, found {scheme:?}"),
            Self::Fragment => f.write_str("a # has no meaning in the address of a WebSocket; write %23 for the sign"),
            Self::User => f.write_str("a user name in the address is not supported"),
            Self::NoHost => f.write_str("expected a host after ws://"),
            Self::Host(host) => write!(f, "{host:?} is neither the name of a host nor an address"),
            Self::Brackets(address) => write!(f, "an IPv6 address needs brackets: [{address}]"),
            Self::Port(port) => write!(f, "{port:?} is not a port: expected a number from 1 to 65535"),
            Self::Target(refusal) => write!(f, "path and query could not be asked for: {refusal}"),
        }
    }
}

impl Error for UrlError {}

/// Host, without brackets, and port (RFC 3986 §3.2).
fn split_authority(authority: &str) -> Result<(&str, u16), UrlError> {
    if authority.contains('@') {
        return Err(UrlError::User);
    }
    if let Some(bracketed) = authority.strip_prefix('[') {
        let bad = || UrlError::Host(authority.to_owned());
        let (address, port) = bracketed.split_once(']').ok_or_else(bad)?;
        Ipv6Addr::from_str(address).map_err(|_| bad())?;
        return match port.strip_prefix(':') {
            Some(port) => Ok((address, parse_port(port)?)),
            None if port.is_empty() => Ok((address, PORT_DEFAULT)),
            None => Err(bad()),
        };
    }
    if Ipv6Addr::from_str(authority).is_ok() {
        return Err(UrlError::Brackets(authority.to_owned()));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let named = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !host.bytes().all(named) {
        return Err(UrlError::Host(host.to_owned()));
    }
    Ok((host, parse_port(port)?))
}

/// RFC 3986 §3.2.3: digits, or nothing for the default.
fn parse_port(port: &str) -> Result<u16, UrlError> {
    if port.is_empty() {
        return Ok(PORT_DEFAULT);
    }
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(number) if digits && number > 0 => Ok(number),
        Ok(_) | Err(_) => Err(UrlError::Port(port.to_owned())),
    }
}

/// RFC 6455 §3: the port of `ws`.
const PORT_DEFAULT: u16 = 80;
/// Where our servers offer the feed.
const PATH_DEFAULT: &str = "/v1/ws";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        for (text, host, port, target, authority) in [
            ("ws://h", "h", 80, "/v1/ws", "h"),
            ("ws://h/", "h", 80, "/v1/ws", "h"),
            ("WS://h:80", "h", 80, "/v1/ws", "h"),
            ("ws://h:", "h", 80, "/v1/ws", "h"),
            ("ws://h:8080", "h", 8080, "/v1/ws", "h:8080"),
            ("ws://h?ch=a:b,c:*", "h", 80, "/v1/ws?ch=a:b,c:*", "h"),
            ("ws://h/?ch=*", "h", 80, "/v1/ws?ch=*", "h"),
            ("ws://h:1/v2?x=/", "h", 1, "/v2?x=/", "h:1"),
            ("ws://h//x", "h", 80, "//x", "h"),
            (
                "ws://a-b.c_d.example:65535/p",
                "a-b.c_d.example",
                65535,
                "/p",
                "a-b.c_d.example:65535",
            ),
            ("ws://127.0.0.1:9", "127.0.0.1", 9, "/v1/ws", "127.0.0.1:9"),
            ("ws://[::1]", "::1", 80, "/v1/ws", "[::1]"),
            ("ws://[fe80::1]:8080/x", "fe80::1", 8080, "/x", "[fe80::1]:8080"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(
                (url.host(), url.port(), url.target()),
                (host, port, target),
                "{text}"
            );
            assert_eq!(url.authority(), authority, "{text}");
            assert_eq!(url.to_string().parse(), Ok(url), "{text}");
        }
    }

    #[test]
    fn the_query_is_what_follows_the_question_mark() {
        for (text, query) in [("ws://h", ""), ("ws://h/?a=b", "a=b"), ("ws://h/p?a?b", "a?b")] {
            assert_eq!(text.parse::<Url>().unwrap().query(), query);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let host = |text: &str| UrlError::Host(text.to_owned());
        let port = |text: &str| UrlError::Port(text.to_owned());
        for (text, error) in [
            ("", UrlError::NoScheme),
            ("localhost:8080", UrlError::NoScheme),
            ("wss://h", UrlError::Tls),
            ("WSS://h", UrlError::Tls),
            ("http://h", UrlError::Scheme("http".to_owned())),
            ("ws://", UrlError::NoHost),
            ("ws://:8080", UrlError::NoHost),
            ("ws:///v1/ws", UrlError::NoHost),
            ("ws://h/#x", UrlError::Fragment),
            ("ws://me:secret@h", UrlError::User),
            ("ws://h h", host("h h")),
            ("ws://h\r\nx", host("h\r\nx")),
            ("ws://h%41", host("h%41")),
            ("ws://b\u{fc}cher", host("b\u{fc}cher")),
            ("ws://[::1", host("[::1")),
            ("ws://[::1]80", host("[::1]80")),
            ("ws://[::1%25eth0]", host("[::1%25eth0]")),
            ("ws://[h]", host("[h]")),
            ("ws://::1", UrlError::Brackets("::1".to_owned())),
            ("ws://h:0", port("0")),
            ("ws://h:65536", port("65536")),
            ("ws://h:+80", port("+80")),
            ("ws://h:8o", port("8o")),
            ("ws://h:1:2", port("1:2")),
            ("ws://h/a b", UrlError::Target(Refusal::TargetByte)),
            ("ws://h/%zz", UrlError::Target(Refusal::TargetEncoding)),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }

    #[test]
    fn the_cure_for_tls_is_in_the_message() {
        let words = "wss://h".parse::<Url>().unwrap_err().to_string();
        assert!(
            words.contains("TLS ends at a proxy") && words.contains("ws://"),
            "{words}"
        );
    }

    proptest! {
        #[test]
        fn whatever_parses_can_be_asked_for(text in "ws://[a-z0-9.:@\\[\\]#%/? ]{0,20}") {
            if let Ok(url) = text.parse::<Url>() {
                let authority = url.authority();
                prop_assert!(crate::wire::Offer::new(&authority, url.target(), &[], [0; 16]).is_ok());
                prop_assert_eq!(url.to_string().parse(), Ok(url));
            }
        }
    }
}
