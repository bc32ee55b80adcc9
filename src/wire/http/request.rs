//! The head of an HTTP/1.1 request (RFC 9112 §2.1), parsed when it is whole.
//!
//! Never reads a body, and refuses a request that announces one.
//! A parsed request has one host, a target and only valid fields.

use super::{Fields, HeadFault, HeadScan, Refusal, Target, is_token};
use crate::limits::HEAD_BYTES_MAX;

/// A request without a body.
///
/// ```
/// use tickwire::wire::{HeadScan, Request};
/// let received = b"GET /healthz HTTP/1.1\r\nHost: example.com\r\n\r\n";
/// let mut scan = HeadScan::default();
/// assert_eq!(Request::parse(&received[..20], &mut scan)?, None);
/// let (request, head_bytes) = Request::parse(received, &mut scan)?.unwrap();
/// assert_eq!((request.method(), request.target().path()), ("GET", "/healthz"));
/// assert_eq!((request.host(), head_bytes), ("example.com", received.len()));
/// # Ok::<(), tickwire::wire::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'b> {
    method: &'b str,
    target: Target<'b>,
    host: &'b str,
    fields: Fields<'b>,
}

impl<'b> Request<'b> {
    /// Parses the head that `buffer` begins with, and says how many bytes it takes; `None` while it is not
    /// whole. `buffer` is what it was at the last call with this `scan`, and whatever has arrived since.
    ///
    /// # Errors
    /// The first rule that the request breaks; what can be known early is refused before the head is whole.
    pub fn parse(buffer: &'b [u8], scan: &mut HeadScan) -> Result<Option<(Self, usize)>, Refusal> {
        // Not HTTP at all: a TLS handshake on a plain port deserves an answer before it times out.
        if let Some(first) = buffer.first()
            && !is_token(std::slice::from_ref(first))
        {
            return Err(Refusal::RequestLine);
        }
        let head_bytes = match scan.find_end(buffer) {
            Ok(Some(head_bytes)) => head_bytes,
            Ok(None) => return Ok(None),
            // The request line alone fills the head: it is the target that is too long. What came behind so many
            // bytes says nothing, for it might as well have come later.
            Err(HeadFault::TooLong)
                if buffer
                    .get(..HEAD_BYTES_MAX)
                    .is_some_and(|head| !head.contains(&b'\n')) =>
            {
                return Err(Refusal::TargetTooLong);
            }
            Err(fault) => return Err(Refusal::Head(fault)),
        };
        let head = buffer.get(..head_bytes).unwrap_or_default();
        Self::parse_head(head).map(|request| Some((request, head_bytes)))
    }

    fn parse_head(head: &'b [u8]) -> Result<Self, Refusal> {
        let (line, lines) = split_start_line(head).ok_or(Refusal::RequestLine)?;
        // RFC 9112 §3: method, target and version, with a single space between them.
        let mut parts = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        if !is_token(method) {
            return Err(Refusal::RequestLine);
        }
        check_version(version)?;
        let method = std::str::from_utf8(method).map_err(|_| Refusal::RequestLine)?;
        let target = std::str::from_utf8(target).map_err(|_| Refusal::TargetByte)?;
        // RFC 9112 §3.2: we are an origin server, so not authority form and, having no OPTIONS, not asterisk.
        let (target, authority) = if target.starts_with('/') || target.is_empty() {
            (Target::parse(target)?, None)
        } else {
            let (target, authority) = Target::parse_absolute(target)?;
            (target, Some(authority))
        };
        let fields = Fields::parse(lines).map_err(Refusal::Head)?;
        let host = host(fields)?;
        check_no_body(fields)?;
        // RFC 9112 §3.2.2: the authority of an absolute form stands above the Host field.
        let host = match authority {
            Some(authority) if is_authority(authority.as_bytes()) => authority,
            Some(_) => return Err(Refusal::HostInvalid),
            None => host,
        };
        Ok(Self {
            method,
            target,
            host,
            fields,
        })
    }

    /// The method; `GET` unless somebody tries another.
    #[must_use]
    pub const fn method(&self) -> &'b str {
        self.method
    }

    /// What is asked for.
    #[must_use]
    pub const fn target(&self) -> Target<'b> {
        self.target
    }

    /// Host and port as the client knows this server.
    #[must_use]
    pub const fn host(&self) -> &'b str {
        self.host
    }

    /// All fields.
    #[must_use]
    pub const fn fields(&self) -> Fields<'b> {
        self.fields
    }
}

/// Whether these bytes can be host and port (RFC 3986 §3.2), user information excluded (RFC 9110 §4.2.4).
pub(in crate::wire) fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(byte))
}

/// The first line of a head, and the field lines behind it; the empty line is left out.
pub(in crate::wire) fn split_start_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let line_feed = memchr::memchr(b'\n', head)?;
    let (line, fields) = head.split_at_checked(line_feed.checked_add(1)?)?;
    Some((line.strip_suffix(b"\r\n")?, fields.strip_suffix(b"\r\n")?))
}

/// RFC 6455 §4.2.1 asks for HTTP/1.1 or higher; of RFC 9112 §2.3's versions that leaves 1.1 and higher minors.
fn check_version(version: &[u8]) -> Result<(), Refusal> {
    match version.strip_prefix(b"HTTP/") {
        Some([b'1', b'.', b'0']) => Err(Refusal::HttpTooOld),
        Some([b'1', b'.', minor]) if minor.is_ascii_digit() => Ok(()),
        Some([major, b'.', minor]) if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Refusal::HttpVersion)
        }
        Some(_) | None => Err(Refusal::RequestLine),
    }
}

/// RFC 9112 §3.2: none, two, or an invalid one is a bad request.
fn host(fields: Fields<'_>) -> Result<&str, Refusal> {
    let host = fields
        .sole("Host")
        .map_err(|_| Refusal::HostRepeated)?
        .ok_or(Refusal::HostMissing)?;
    if !is_authority(host) {
        return Err(Refusal::HostInvalid);
    }
    std::str::from_utf8(host).map_err(|_| Refusal::HostInvalid)
}

/// A body would be read as frames, or as another request: neither is asked for (RFC 9112 §6, §11.2).
fn check_no_body(fields: Fields<'_>) -> Result<(), Refusal> {
    let encoded = fields.sole("Transfer-Encoding") != Ok(None);
    let empty = matches!(fields.sole("Content-Length"), Ok(None | Some(b"0")));
    if encoded || !empty {
        return Err(Refusal::Body);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
