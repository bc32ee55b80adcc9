//! The client's side of the opening handshake (RFC 6455 §4.1).
//!
//! Never follows a redirect and never guesses: any answer but the one asked for is a [`Rejection`].

use super::extensions::{Extensions, is_list};
use super::key::Key;
use crate::wire::http::{is_authority, is_token, split_start_line};
use crate::wire::{Deflate, DeflateOffer, Fields, HeadFault, HeadScan, Target};

/// A request for a WebSocket, as a client makes it, and what it takes for an answer.
///
/// ```
/// use tickwire::wire::{HeadScan, Offer};
/// let offer = Offer::new("example.com", "/chat", &["chat"], *b"the sample nonce")?;
/// let mut out = Vec::new();
/// offer.write(&mut out);
/// assert!(out.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
/// let answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// let accepted = offer.read(answer, &mut HeadScan::default())?.unwrap();
/// assert_eq!((accepted.protocol, accepted.head_bytes), (None, answer.len()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    host: &'a str,
    target: &'a str,
    protocols: &'a [&'a str],
    deflate: Option<DeflateOffer>,
    key: Key,
}

/// Why a request cannot be made at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferFault {
    /// The host is not a host and port.
    Host,
    /// The target is not a path with an optional query.
    Target,
    /// A subprotocol is not a token (§4.1, item 10).
    Protocol,
    /// A subprotocol is named twice (§4.1, item 10).
    ProtocolRepeated,
    /// A window is not from 8 to 15 (RFC 7692 §7.1.2).
    WindowBits,
}

/// What a server agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// The subprotocol that it selected from those offered.
    pub protocol: Option<&'a str>,
    /// What it agreed on about permessage-deflate, if it accepted it.
    pub deflate: Option<Deflate>,
    /// Bytes of the response head; frames begin behind it.
    pub head_bytes: usize,
}

/// How a server's answer differs from what was asked for: the connection fails (§4.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// The head of the answer is malformed or too long.
    Head(HeadFault),
    /// The first line is not a version of HTTP/1.1, a status and a reason (RFC 9112 §4).
    StatusLine,
    /// A status other than 101 Switching Protocols.
    Status {
        /// The status.
        status: u16,
        /// What the server said about it: the reason phrase, and the first line of the content if it came
        /// with the head. At most a few hundred characters, fit to print.
        said: String,
        /// After how many seconds to come back at the earliest (RFC 9110 §10.2.3), where it says so.
        retry_after_s: Option<u32>,
    },
    /// `Upgrade` is not `websocket`.
    Upgrade,
    /// `Connection` does not list `upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or not the answer to our key.
    Accept,
    /// An extension that was not offered, or more than one, or a list of them that breaks the grammar (§9.1).
    Extension,
    /// permessage-deflate with parameters that do not answer the offer (RFC 7692 §7.1).
    Deflate,
    /// A subprotocol that was not offered, or more than one.
    Protocol,
}

impl<'a> Offer<'a> {
    /// A request for `target`, a path and query, of `host`, that offers these subprotocols, the preferred one
    /// first. `nonce` must be fresh from a good source of randomness.
    ///
    /// # Errors
    /// What would not be the request that was meant, a line break in a host above all.
    pub fn new(
        host: &'a str,
        target: &'a str,
        protocols: &'a [&'a str],
        nonce: [u8; 16],
    ) -> Result<Self, OfferFault> {
        if !is_authority(host.as_bytes()) {
            return Err(OfferFault::Host);
        }
        Target::parse(target).map_err(|_| OfferFault::Target)?;
        for (at, protocol) in protocols.iter().enumerate() {
            if !is_token(protocol.as_bytes()) {
                return Err(OfferFault::Protocol);
            }
            if protocols
                .iter()
                .skip(at)
                .filter(|other| *other == protocol)
                .count()
                > 1
            {
                return Err(OfferFault::ProtocolRepeated);
            }
        }
        Ok(Self {
            host,
            target,
            protocols,
            deflate: None,
            key: Key::new(nonce),
        })
    }

    /// The same request, that offers permessage-deflate as well (RFC 7692 §5).
    ///
    /// # Errors
    /// [`OfferFault::WindowBits`] when a window is none that can be agreed on.
    pub fn with_deflate(self, deflate: DeflateOffer) -> Result<Self, OfferFault> {
        if !deflate.is_valid() {
            return Err(OfferFault::WindowBits);
        }
        Ok(Self {
            deflate: Some(deflate),
            ..self
        })
    }

    /// Writes the request.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self { host, target, .. } = self;
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(self.key.as_bytes());
        if !self.protocols.is_empty() {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(self.protocols.join(", ").as_bytes());
        }
        if let Some(deflate) = &self.deflate {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            deflate.write(out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Reads the answer that `buffer` begins with; `None` while its head is not whole. `buffer` is what it was
    /// at the last call with this `scan`, and whatever has arrived since.
    ///
    /// # Errors
    /// The first difference from the answer that RFC 6455 §4.1 asks for, in its order.
    pub fn read(&self, buffer: &[u8], scan: &mut HeadScan) -> Result<Option<Accepted<'a>>, Rejection> {
        let Some(head_bytes) = scan.find_end(buffer).map_err(Rejection::Head)? else {
            return Ok(None);
        };
        let (head, content) = buffer.split_at_checked(head_bytes).unwrap_or_default();
        let (line, lines) = split_start_line(head).ok_or(Rejection::StatusLine)?;
        let (status, reason) = parse_status_line(line).ok_or(Rejection::StatusLine)?;
        let fields = Fields::parse(lines).map_err(Rejection::Head)?;
        // 1. The status is 101.
        if status != 101 {
            return Err(Rejection::Status {
                status,
                said: printable(reason, content),
                retry_after_s: retry_after(fields),
            });
        }
        self.check(fields)?;
        Ok(Some(Accepted {
            // 5. No extension that was not offered.
            deflate: self.check_extensions(fields)?,
            // 6. No subprotocol that was not offered.
            protocol: self.check_protocol(fields)?,
            head_bytes,
        }))
    }

    /// Checks what a 101's fields must say in any case.
    fn check(&self, fields: Fields<'_>) -> Result<(), Rejection> {
        // 2. Upgrade is "websocket", in any case.
        match fields.sole("Upgrade") {
            Ok(Some(upgrade)) if upgrade.eq_ignore_ascii_case(b"websocket") => {}
            Ok(_) | Err(_) => return Err(Rejection::Upgrade),
        }
        // 3. Connection contains "Upgrade", in any case.
        if !fields.lists("Connection", "upgrade") {
            return Err(Rejection::Connection);
        }
        // 4. Sec-WebSocket-Accept answers our key.
        if fields.sole("Sec-WebSocket-Accept") != Ok(Some(&self.key.accept())) {
            return Err(Rejection::Accept);
        }
        Ok(())
    }

    fn check_extensions(&self, fields: Fields<'_>) -> Result<Option<Deflate>, Rejection> {
        let values = || fields.values("Sec-WebSocket-Extensions");
        if !values().all(is_list) {
            return Err(Rejection::Extension);
        }
        let mut accepted = None;
        for extension in values().flat_map(Extensions::new).filter_map(Result::ok) {
            let offered = self.deflate.filter(|_| extension.name == b"permessage-deflate");
            let deflate = offered.ok_or(Rejection::Extension)?;
            // RFC 7692 §5: it cannot be accepted twice, for both would want RSV1.
            if accepted.is_some() {
                return Err(Rejection::Extension);
            }
            accepted = Some(deflate.accept(extension).map_err(|_| Rejection::Deflate)?);
        }
        Ok(accepted)
    }

    fn check_protocol(&self, fields: Fields<'_>) -> Result<Option<&'a str>, Rejection> {
        match fields.sole("Sec-WebSocket-Protocol") {
            Ok(None) => Ok(None),
            Ok(Some(name)) => self
                .protocols
                .iter()
                .find(|offered| offered.as_bytes() == name)
                .map(|offered| Some(*offered))
                .ok_or(Rejection::Protocol),
            Err(_) => Err(Rejection::Protocol),
        }
    }
}

impl std::fmt::Display for OfferFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Host => "the host is not a host and port",
            Self::Target => "the target is not a path and query",
            Self::Protocol => "a subprotocol is not a token",
            Self::ProtocolRepeated => "a subprotocol is named twice",
            Self::WindowBits => "a window for compression is not of 8 to 15 bits",
        })
    }
}

impl std::error::Error for OfferFault {}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Head(fault) => write!(f, "the server's answer is malformed: {fault}"),
            Self::StatusLine => f.write_str("the server's answer is not HTTP/1.1"),
            Self::Status { status, said, .. } => write!(f, "the server answered {status} {said}"),
            Self::Upgrade => f.write_str("the server's Upgrade is not websocket"),
            Self::Connection => f.write_str("the server's Connection does not list upgrade"),
            Self::Accept => f.write_str("the server's Sec-WebSocket-Accept does not answer our key"),
            Self::Extension => f.write_str("the server selected an extension that was not offered"),
            Self::Deflate => f.write_str("the server's permessage-deflate does not answer our offer"),
            Self::Protocol => f.write_str("the server selected a subprotocol that was not offered"),
        }
    }
}

impl std::error::Error for Rejection {}

/// Status and reason phrase of an HTTP/1.1 status line (RFC 9112 §4), or one of a higher minor version. The
/// space before an empty reason is often left out.
fn parse_status_line(line: &[u8]) -> Option<(u16, &[u8])> {
    let [b'1'..=b'9', b' ', a @ b'1'..=b'9', b, c, reason @ ..] = line.strip_prefix(b"HTTP/1.")? else {
        return None;
    };
    // RFC 9112 §2.2: a carriage return that ends no line makes the line invalid.
    let reason = match reason {
        [] => reason,
        [b' ', reason @ ..] if !reason.contains(&b'\r') => reason,
        [_, ..] => return None,
    };
    let digits = std::str::from_utf8(&[*a, *b, *c]).ok()?.parse().ok()?;
    Some((digits, reason))
}

/// The delay that a server asks for in seconds. One in the form of a date is not looked at: ours have none, and whose clock
/// it is by is anybody's guess.
fn retry_after(fields: Fields<'_>) -> Option<u32> {
    let value = fields.sole("Retry-After").ok()??;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The reason phrase and the first line of the content, cut short and without control characters.
fn printable(reason: &[u8], content: &[u8]) -> String {
    let first_line = content.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let cut = first_line
        .get(..SAID_BYTES_MAX)
        .unwrap_or(first_line)
        .trim_ascii();
    let reason = reason.get(..SAID_BYTES_MAX).unwrap_or(reason);
    let separator: &[u8] = if cut.is_empty() { b"" } else { b": " };
    String::from_utf8_lossy(&[reason, separator, cut].concat())
        .chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

/// Bytes that are kept of a reason phrase, and as many of a line of content.
const SAID_BYTES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Protocol, Refusal, Request, Upgrade};
    use proptest::prelude::*;

    const NONCE: [u8; 16] = *b"the sample nonce";
    const GOOD: [&str; 5] = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol: chat",
    ];

    fn read(head: &str) -> Result<Option<Accepted<'static>>, Rejection> {
        let offer = Offer::new("server.example.com", "/chat", &["chat", "superchat"], NONCE).unwrap();
        offer.read(head.as_bytes(), &mut HeadScan::default())
    }

    fn with(old: &str, new: &[&str]) -> String {
        let mut lines = GOOD.to_vec();
        let at = lines.iter().position(|line| line.starts_with(old)).unwrap();
        lines.splice(at..=at, new.iter().copied());
        format!("{}\r\n\r\n", lines.join("\r\n"))
    }

    #[test]
    fn rfc_6455_section_1_2_answer_is_accepted_when_its_last_byte_arrives() {
        let head = with("HTTP", &GOOD[..1]);
        for arrived in 0..head.len() {
            assert_eq!(read(&head[..arrived]), Ok(None));
        }
        let accepted = Accepted {
            protocol: Some("chat"),
            deflate: None,
            head_bytes: head.len(),
        };
        assert_eq!(read(&format!("{head}\u{81}")), Ok(Some(accepted)));
    }

    #[test]
    fn the_request_has_each_required_field_once() {
        let (mut head, deflate) = (Vec::new(), DeflateOffer::default());
        let offer = Offer::new("server.example.com:81", "/chat?a", &["chat", "superchat"], NONCE).unwrap();
        offer.with_deflate(deflate).unwrap().write(&mut head);
        assert_eq!(
            String::from_utf8(head).unwrap(),
            "GET /chat?a HTTP/1.1\r\nHost: server.example.com:81\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Extensions: permessage-deflate; \
             client_no_context_takeover; client_max_window_bits\r\n\r\n"
        );
    }

    #[test]
    fn each_difference_has_its_own_rejection() {
        let accept = GOOD[3];
        let table: &[(&str, &[&str], Rejection)] = &[
            ("HTTP", &["HTTP/1.0 101 x"], Rejection::StatusLine),
            ("HTTP", &["HTTP/2.0 101 x"], Rejection::StatusLine),
            ("HTTP", &["HTTP/1.1 1O1 x"], Rejection::StatusLine),
            ("HTTP", &["HTTP/1.1 1011"], Rejection::StatusLine),
            // A bare carriage return, which another reader might take for the line's end.
            ("HTTP", &["HTTP/1.1 101 \rX: y"], Rejection::StatusLine),
            ("HTTP", &["SSH-2.0-x"], Rejection::StatusLine),
            ("Upgrade", &[], Rejection::Upgrade),
            ("Upgrade", &["Upgrade: websocket, h2c"], Rejection::Upgrade),
            (
                "Upgrade",
                &["Upgrade: websocket", "Upgrade: websocket"],
                Rejection::Upgrade,
            ),
            ("Connection", &[], Rejection::Connection),
            ("Connection", &["Connection: close"], Rejection::Connection),
            ("Sec-WebSocket-A", &[], Rejection::Accept),
            ("Sec-WebSocket-A", &[accept, accept], Rejection::Accept),
            (
                "Sec-WebSocket-A",
                &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
                Rejection::Accept,
            ),
            (
                "Sec-WebSocket-P",
                &["Sec-WebSocket-Extensions: permessage-deflate"],
                Rejection::Extension,
            ),
            (
                "Sec-WebSocket-P",
                &["Sec-WebSocket-Protocol: Chat"],
                Rejection::Protocol,
            ),
            (
                "Sec-WebSocket-P",
                &["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"],
                Rejection::Protocol,
            ),
            ("Upgrade", &["Upgrade : x"], Rejection::Head(HeadFault::FieldName)),
        ];
        for (old, new, rejection) in table {
            assert_eq!(read(&with(old, new)), Err(rejection.clone()), "{new:?}");
        }
        for (old, new) in [
            ("HTTP", &["HTTP/1.1 101"][..]),
            ("Upgrade", &["upgrade: WebSocket"]),
            ("Connection", &["Connection: foo", "Connection: UPGRADE, bar"]),
            ("Sec-WebSocket-P", &[]),
        ] {
            assert!(read(&with(old, new)).is_ok(), "{new:?}");
        }
    }

    #[test]
    fn another_status_comes_with_what_the_server_said() {
        let mut out = Vec::new();
        Refusal::Overloaded { retry_after_s: 1 }.write(&mut out);
        let rejection = read(std::str::from_utf8(&out).unwrap()).unwrap_err();
        let expected = Rejection::Status {
            status: 503,
            said: "Service Unavailable: no room for another connection".to_owned(),
            retry_after_s: Some(1),
        };
        assert_eq!(rejection, expected);
        for value in ["", "-1", "soon", "99999999999", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            let head = format!("HTTP/1.1 503 x\r\nRetry-After: {value}\r\n\r\n");
            let rejection = read(&head).unwrap_err();
            assert!(
                matches!(
                    rejection,
                    Rejection::Status {
                        retry_after_s: None,
                        ..
                    }
                ),
                "{value}"
            );
        }
        let long = format!("HTTP/1.1 400 \u{1b}[31m\r\n\r\n{}", "x".repeat(5000));
        let Err(Rejection::Status { said, .. }) = read(&long) else {
            panic!("not a rejection");
        };
        assert!(said.starts_with("\u{fffd}[31m: x") && said.len() < 300);
    }

    #[test]
    fn a_request_that_would_not_be_what_was_meant_is_not_made() {
        for (host, target, protocols, fault) in [
            ("", "/", &[][..], OfferFault::Host),
            ("h\r\nx: y", "/", &[], OfferFault::Host),
            ("h", "", &[], OfferFault::Target),
            ("h", "http://h/", &[], OfferFault::Target),
            ("h", "/ HTTP/1.1\r\nx: y", &[], OfferFault::Target),
            ("h", "/", &["a b"], OfferFault::Protocol),
            ("h", "/", &["a", ""], OfferFault::Protocol),
            ("h", "/", &["a", "b", "a"], OfferFault::ProtocolRepeated),
        ] {
            assert_eq!(Offer::new(host, target, protocols, NONCE).unwrap_err(), fault);
        }
    }

    proptest! {
        #[test]
        fn our_server_accepts_our_client(
            host in "[a-z.]{1,9}(:[0-9]{1,5})?", target in "/[a-z/]{0,9}(\\?[a-z=&]{0,9})?",
            count in 0_usize..4, select: prop::sample::Index, nonce: [u8; 16],
        ) {
            let protocols = &["a", "b.v1", "c"][..count.min(3)];
            let offer = Offer::new(&host, &target, protocols, nonce).unwrap();
            let mut head = Vec::new();
            offer.write(&mut head);
            let (request, head_bytes) = Request::parse(&head, &mut HeadScan::default()).unwrap().unwrap();
            prop_assert_eq!((request.host(), head_bytes), (host.as_str(), head.len()));
            let upgrade = Upgrade::parse(request).unwrap();
            let offered: Vec<_> = upgrade.protocols().map(Protocol::name).collect();
            prop_assert_eq!(&offered[..], protocols);
            let selected = upgrade.protocols().nth(select.index(4));
            let mut answer = Vec::new();
            upgrade.accept(selected, None, &mut answer);
            let accepted = offer.read(&answer, &mut HeadScan::default()).unwrap().unwrap();
            prop_assert_eq!((accepted.protocol, accepted.head_bytes), (selected.map(Protocol::name), answer.len()));
        }

        #[test]
        fn any_answer_is_accepted_or_rejected(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let offer = Offer::new("h", "/", &[], NONCE).unwrap();
            let head = [b"HTTP/1.1 ", &bytes[..], b"\r\n\r\n"].concat();
            prop_assert!(offer.read(&head, &mut HeadScan::default()).is_err());
        }
    }
}
