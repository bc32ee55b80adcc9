//! The server's side of the opening handshake (RFC 6455 §4.2).
//!
//! Never accepts by itself: an [`Upgrade`] is a request that may be accepted, with every MUST behind it.

use super::extensions::{Extensions, is_list};
use super::key::Key;
use crate::limits::PROTOCOLS_OFFERED_MAX;
use crate::wire::deflate::negotiate;
use crate::wire::http::is_token;
use crate::wire::{Deflate, DeflatePolicy, Refusal, Request};

/// A valid request for a WebSocket.
///
/// ```
/// use tickwire::wire::{HeadScan, Request, Upgrade};
/// let head = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
///     Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///     Sec-WebSocket-Protocol: chat, superchat\r\nSec-WebSocket-Version: 13\r\n\r\n";
/// let (request, _) = Request::parse(head, &mut HeadScan::default())?.unwrap();
/// let upgrade = Upgrade::parse(request)?;
/// let protocol = upgrade.protocols().find(|protocol| protocol.name() == "chat");
/// let mut out = Vec::new();
/// upgrade.accept(protocol, None, &mut out);
/// assert!(out.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// # Ok::<(), tickwire::wire::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade<'b> {
    request: Request<'b>,
    key: Key,
    origin: Option<&'b str>,
}

/// A subprotocol that the client offered, which makes it one that may be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol<'b>(&'b str);

impl<'b> Protocol<'b> {
    /// Its name, in the case that it was written in: names are compared exactly.
    #[must_use]
    pub const fn name(self) -> &'b str {
        self.0
    }
}

impl<'b> Upgrade<'b> {
    /// Checks what RFC 6455 §4.2.1 asks of a client's handshake, almost in its order.
    ///
    /// # Errors
    /// The first requirement that the request does not meet.
    pub fn parse(request: Request<'b>) -> Result<Self, Refusal> {
        let fields = request.fields();
        // 1. A GET of HTTP/1.1 or higher, with a target; 2. a Host. `Request` saw to all but the method.
        if request.method() != "GET" {
            return Err(Refusal::MethodNotAllowed);
        }
        // 3. Upgrade contains "websocket", in any case.
        if !fields.lists("Upgrade", "websocket") {
            return Err(Refusal::UpgradeMissing);
        }
        // 4. Connection contains "Upgrade", in any case.
        if !fields.lists("Connection", "upgrade") {
            return Err(Refusal::ConnectionMissing);
        }
        // 6. Sec-WebSocket-Version is 13, given once (§11.3.5). Before the key, which another version may not have:
        // whoever asks for another is told ours in any case (§4.4).
        if fields.sole("Sec-WebSocket-Version") != Ok(Some(b"13")) {
            return Err(Refusal::WebSocketVersion);
        }
        // 5. Sec-WebSocket-Key is 16 bytes in base64, given once (§11.3.1).
        let key = fields
            .sole("Sec-WebSocket-Key")
            .map_err(|_| Refusal::KeyRepeated)?
            .ok_or(Refusal::KeyMissing)?;
        let key = Key::parse(key).ok_or(Refusal::KeyInvalid)?;
        // 7. Optionally an Origin, given once (RFC 6454 §7.3).
        let origin = match fields.sole("Origin") {
            Ok(None) => None,
            Ok(Some(origin)) => Some(visible(origin).ok_or(Refusal::OriginInvalid)?),
            Err(_) => return Err(Refusal::OriginInvalid),
        };
        // 8. Optionally subprotocols: at least one (§4.3), tokens, each once (§4.1, item 10).
        let names_none = fields.elements(PROTOCOLS).next().is_none();
        if names_none && fields.values(PROTOCOLS).next().is_some() {
            return Err(Refusal::ProtocolInvalid);
        }
        let mut offered: [&[u8]; PROTOCOLS_OFFERED_MAX] = [b""; PROTOCOLS_OFFERED_MAX];
        for (at, protocol) in fields.elements(PROTOCOLS).enumerate() {
            if !is_token(protocol) {
                return Err(Refusal::ProtocolInvalid);
            }
            if offered.contains(&protocol) {
                return Err(Refusal::ProtocolRepeated);
            }
            *offered.get_mut(at).ok_or(Refusal::TooManyProtocols)? = protocol;
        }
        // 9. Optionally extensions, in the grammar that they must have (§9.1); what they mean is for later.
        if !fields.values(EXTENSIONS).all(is_list) {
            return Err(Refusal::ExtensionsInvalid);
        }
        Ok(Self { request, key, origin })
    }

    /// Writes the response that opens the connection (§4.2.2), with the subprotocol that was selected, if any, and
    /// with what [`deflate`](Self::deflate) gave.
    pub fn accept(&self, protocol: Option<Protocol<'_>>, deflate: Option<Deflate>, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
        );
        out.extend_from_slice(&self.key.accept());
        if let Some(Protocol(name)) = protocol {
            out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            out.extend_from_slice(name.as_bytes());
        }
        if let Some(deflate) = deflate {
            out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
            deflate.write(out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// The subprotocols that the client offers, the one it prefers first.
    pub fn protocols(&self) -> impl Iterator<Item = Protocol<'b>> {
        self.request
            .fields()
            .elements(PROTOCOLS)
            .filter_map(|name| std::str::from_utf8(name).ok().map(Protocol))
    }

    /// What to agree on about permessage-deflate: the first of the client's offers that `policy` allows (RFC 7692
    /// §5.1). Other extensions are ignored (RFC 6455 §9.1).
    #[must_use]
    pub fn deflate(&self, policy: &DeflatePolicy) -> Option<Deflate> {
        let offers = self.request.fields().values(EXTENSIONS).flat_map(Extensions::new);
        negotiate(offers.filter_map(Result::ok), policy)
    }

    /// The origin of the page that asks; `None` where it is not a browser that does (§10.2).
    #[must_use]
    pub const fn origin(&self) -> Option<&'b str> {
        self.origin
    }

    /// The request: its target, host and other fields.
    #[must_use]
    pub const fn request(&self) -> Request<'b> {
        self.request
    }
}

/// An origin, or a list of them (RFC 6454 §7.1): visible ASCII and spaces.
fn visible(value: &[u8]) -> Option<&str> {
    let visible = value.iter().all(|&byte| byte.is_ascii_graphic() || byte == b' ');
    std::str::from_utf8(value).ok().filter(|_| visible)
}

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const PROTOCOLS: &str = "Sec-WebSocket-Protocol";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::HeadScan;

    const GOOD: [&str; 7] = [
        "GET /chat HTTP/1.1",
        "Host: server.example.com",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Origin: http://example.com",
        "Sec-WebSocket-Version: 13",
    ];

    fn head(lines: &[&str]) -> String {
        format!("{}\r\n\r\n", lines.join("\r\n"))
    }

    fn upgrade(head: &str) -> Result<Upgrade<'_>, Refusal> {
        let (request, head_bytes) = Request::parse(head.as_bytes(), &mut HeadScan::default())?.unwrap();
        assert_eq!(head_bytes, head.len());
        Upgrade::parse(request)
    }

    /// The good request, with the line that begins like `old` replaced by `new`.
    fn with(old: &str, new: &[&str]) -> String {
        let mut lines = GOOD.to_vec();
        let at = lines.iter().position(|line| line.starts_with(old)).unwrap();
        lines.splice(at..=at, new.iter().copied());
        head(&lines)
    }

    #[test]
    fn rfc_6455_section_1_2_handshake_is_accepted_with_the_subprotocol_selected() {
        let head = head(&[
            "GET /chat HTTP/1.1",
            "Host: server.example.com",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Origin: http://example.com",
            "Sec-WebSocket-Protocol: chat, superchat",
            "Sec-WebSocket-Version: 13",
        ]);
        let upgrade = upgrade(&head).unwrap();
        assert_eq!(upgrade.origin(), Some("http://example.com"));
        assert_eq!(upgrade.request().target().path(), "/chat");
        let names: Vec<_> = upgrade.protocols().map(Protocol::name).collect();
        assert_eq!(names, ["chat", "superchat"]);
        let mut out = Vec::new();
        upgrade.accept(upgrade.protocols().next(), None, &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
        );
    }

    #[test]
    fn without_a_subprotocol_none_is_named() {
        let head = head(&GOOD);
        let mut out = Vec::new();
        upgrade(&head).unwrap().accept(None, None, &mut out);
        assert!(out.ends_with(b"xOo=\r\n\r\n"));
    }

    #[test]
    fn tokens_match_in_any_case_and_any_list() {
        for (old, new) in [
            ("Upgrade", &["upgrade: h2c, WebSocket"][..]),
            (
                "Connection",
                &["connection: keep-alive", "CONNECTION: foo ,uPgRaDe"],
            ),
            ("Sec-WebSocket-Version", &["sec-websocket-version:\t13 "]),
            ("Origin", &[]),
            (
                "Origin",
                &["Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: ,a,, b"],
            ),
            (
                "Origin",
                &["Sec-WebSocket-Extensions: permessage-deflate; x=\"ab\", foo"],
            ),
        ] {
            assert!(upgrade(&with(old, new)).is_ok(), "{new:?}");
        }
    }

    #[test]
    fn a_request_without_an_origin_comes_from_no_page() {
        assert_eq!(upgrade(&with("Origin", &[])).unwrap().origin(), None);
    }

    #[test]
    fn another_version_is_told_ours_even_when_its_handshake_has_another_key() {
        for key in [&[][..], &["Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5"]] {
            let head = with("Sec-WebSocket-Key", key).replace("Version: 13", "Version: 14");
            assert_eq!(upgrade(&head), Err(Refusal::WebSocketVersion));
        }
    }

    #[test]
    fn the_number_of_subprotocols_is_limited() {
        for (count, expected) in [
            (PROTOCOLS_OFFERED_MAX - 1, Ok(())),
            (PROTOCOLS_OFFERED_MAX, Ok(())),
            (PROTOCOLS_OFFERED_MAX + 1, Err(Refusal::TooManyProtocols)),
        ] {
            let names: Vec<_> = (0..count).map(|n| n.to_string()).collect();
            let head = with(
                "Origin",
                &[&format!("Sec-WebSocket-Protocol: {}", names.join(","))],
            );
            assert_eq!(upgrade(&head).map(|_| ()), expected);
        }
    }

    #[test]
    fn each_requirement_has_its_own_refusal() {
        let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
        let table: &[(&str, &[&str], Refusal)] = &[
            ("GET", &["POST /chat HTTP/1.1"], Refusal::MethodNotAllowed),
            ("GET", &["get /chat HTTP/1.1"], Refusal::MethodNotAllowed),
            ("Upgrade", &[], Refusal::UpgradeMissing),
            ("Upgrade", &["Upgrade: websockets"], Refusal::UpgradeMissing),
            ("Connection", &[], Refusal::ConnectionMissing),
            (
                "Connection",
                &["Connection: keep-alive"],
                Refusal::ConnectionMissing,
            ),
            ("Sec-WebSocket-Key", &[], Refusal::KeyMissing),
            ("Sec-WebSocket-Key", &[key, key], Refusal::KeyRepeated),
            (
                "Sec-WebSocket-Key",
                &["Sec-WebSocket-Key: AAAA"],
                Refusal::KeyInvalid,
            ),
            ("Sec-WebSocket-Version", &[], Refusal::WebSocketVersion),
            (
                "Sec-WebSocket-Version",
                &["Sec-WebSocket-Version: 8"],
                Refusal::WebSocketVersion,
            ),
            (
                "Sec-WebSocket-Version",
                &["Sec-WebSocket-Version: 13, 8"],
                Refusal::WebSocketVersion,
            ),
            (
                "Sec-WebSocket-Version",
                &["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"],
                Refusal::WebSocketVersion,
            ),
            ("Origin", &["Origin: a", "Origin: b"], Refusal::OriginInvalid),
            ("Origin", &["Origin: \u{e9}"], Refusal::OriginInvalid),
            (
                "Origin",
                &["Sec-WebSocket-Protocol: a, b c"],
                Refusal::ProtocolInvalid,
            ),
            (
                "Origin",
                &["Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Protocol: b"],
                Refusal::ProtocolRepeated,
            ),
            ("Origin", &["Sec-WebSocket-Protocol:"], Refusal::ProtocolInvalid),
            (
                "Origin",
                &["Sec-WebSocket-Protocol: , ,"],
                Refusal::ProtocolInvalid,
            ),
            (
                "Origin",
                &["Sec-WebSocket-Extensions: permessage-deflate; x=\"a,b\""],
                Refusal::ExtensionsInvalid,
            ),
            (
                "Origin",
                &["Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: bar;"],
                Refusal::ExtensionsInvalid,
            ),
        ];
        for (old, new, refusal) in table {
            assert_eq!(upgrade(&with(old, new)), Err(*refusal), "{new:?}");
        }
    }
}
