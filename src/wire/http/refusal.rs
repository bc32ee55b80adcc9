//! Why a request gets no WebSocket, and the response that says so.
//!
//! Never keeps a connection: what follows a refused request is not read, so each response closes it.

use super::{HeadFault, write_response};

/// One sin each; [`Refusal::status`] gives the HTTP status it is answered with.
///
/// ```
/// use tickwire::wire::Refusal;
/// let mut out = Vec::new();
/// Refusal::Overloaded { retry_after_s: 5 }.write(&mut out);
/// let response = String::from_utf8(out)?;
/// assert!(response.starts_with("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"));
/// # Ok::<(), std::string::FromUtf8Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The first line is not a method, a target and a version (RFC 9112 §3). Status 400.
    RequestLine,
    /// HTTP/1.0, which knows no upgrade (RFC 6455 §4.2.1). Status 400.
    HttpTooOld,
    /// A version of HTTP that we do not speak (RFC 9110 §15.6.6). Status 505.
    HttpVersion,
    /// A target of more than [`TARGET_BYTES_MAX`](crate::limits::TARGET_BYTES_MAX) bytes. Status 414.
    TargetTooLong,
    /// A target that is neither a path nor an `http` or `ws` URL (RFC 9112 §3.2). Status 400.
    TargetForm,
    /// A byte that no target may contain (RFC 3986 §2). Status 400.
    TargetByte,
    /// A percent-encoding that is malformed or no UTF-8 (RFC 3986 §2.1). Status 400.
    TargetEncoding,
    /// A malformed head: status 400, or 431 where it is too long or has too many fields.
    Head(HeadFault),
    /// No `Host` (RFC 9112 §3.2). Status 400.
    HostMissing,
    /// More than one `Host` (RFC 9112 §3.2). Status 400.
    HostRepeated,
    /// A `Host` that is no host and port (RFC 9112 §3.2). Status 400.
    HostInvalid,
    /// A request that announces a body (RFC 9112 §6). Status 400.
    Body,
    /// Nothing is served at this path. Status 404.
    NotFound,
    /// A method other than GET (RFC 6455 §4.2.1). Status 405.
    MethodNotAllowed,
    /// The head did not arrive in time. Status 408.
    RequestTimeout,
    /// A plain request where only WebSocket is spoken: `Upgrade` does not list `websocket`
    /// (RFC 6455 §4.2.1). Status 426.
    UpgradeMissing,
    /// `Connection` does not list `upgrade` (RFC 6455 §4.2.1). Status 400.
    ConnectionMissing,
    /// No `Sec-WebSocket-Key` (RFC 6455 §4.2.1). Status 400.
    KeyMissing,
    /// More than one `Sec-WebSocket-Key` (RFC 6455 §11.3.1). Status 400.
    KeyRepeated,
    /// A `Sec-WebSocket-Key` that is not 16 bytes in base64 (RFC 6455 §4.2.1). Status 400.
    KeyInvalid,
    /// `Sec-WebSocket-Version` is not 13, once (RFC 6455 §4.4). Status 426.
    WebSocketVersion,
    /// More than one `Origin`, or one that is not visible ASCII (RFC 6454 §7). Status 400.
    OriginInvalid,
    /// A subprotocol that is not a token (RFC 6455 §4.1). Status 400.
    ProtocolInvalid,
    /// A subprotocol that is offered twice (RFC 6455 §4.1). Status 400.
    ProtocolRepeated,
    /// More than [`PROTOCOLS_OFFERED_MAX`](crate::limits::PROTOCOLS_OFFERED_MAX) subprotocols. Status 400.
    TooManyProtocols,
    /// `Sec-WebSocket-Extensions` breaks its grammar (RFC 6455 §9.1). Status 400.
    ExtensionsInvalid,
    /// None of the subprotocols that were offered is spoken here. Status 400.
    ProtocolUnsupported {
        /// What is spoken here.
        supported: &'static [&'static str],
    },
    /// This client asks too often. Status 429.
    TooManyRequests {
        /// Seconds until it may ask again.
        retry_after_s: u32,
    },
    /// No room for another connection. Status 503.
    Overloaded {
        /// Seconds until it is worth asking again.
        retry_after_s: u32,
    },
    /// The server is shutting down. Status 503.
    Draining {
        /// Seconds until it is worth asking again.
        retry_after_s: u32,
    },
}

impl Refusal {
    /// The HTTP status that answers this refusal.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::RequestLine
            | Self::HttpTooOld
            | Self::TargetForm
            | Self::TargetByte
            | Self::TargetEncoding
            | Self::HostMissing
            | Self::HostRepeated
            | Self::HostInvalid
            | Self::Body
            | Self::ConnectionMissing
            | Self::KeyMissing
            | Self::KeyRepeated
            | Self::KeyInvalid
            | Self::OriginInvalid
            | Self::ProtocolInvalid
            | Self::ProtocolRepeated
            | Self::TooManyProtocols
            | Self::ExtensionsInvalid
            | Self::ProtocolUnsupported { .. } => 400,
            Self::Head(fault) => match fault {
                HeadFault::TooLong | HeadFault::TooManyFields => 431,
                HeadFault::BareLineFeed
                | HeadFault::FoldedField
                | HeadFault::FieldName
                | HeadFault::FieldValue => 400,
            },
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::TargetTooLong => 414,
            Self::UpgradeMissing | Self::WebSocketVersion => 426,
            Self::TooManyRequests { .. } => 429,
            Self::Overloaded { .. } | Self::Draining { .. } => 503,
            Self::HttpVersion => 505,
        }
    }

    /// Writes the whole response: the status, what the client needs to do better, and the refusal in words.
    pub fn write(self, out: &mut Vec<u8>) {
        let (status, fields) = match self.status() {
            // RFC 9110 §15.5.6: what is allowed.
            405 => ("405 Method Not Allowed", "Connection: close\r\nAllow: GET\r\n"),
            // RFC 9110 §15.5.22: what to upgrade to; RFC 6455 §4.4: which version of it.
            426 => (
                "426 Upgrade Required",
                "Connection: close, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            404 => ("404 Not Found", CLOSE),
            408 => ("408 Request Timeout", CLOSE),
            414 => ("414 URI Too Long", CLOSE),
            429 => ("429 Too Many Requests", CLOSE),
            431 => ("431 Request Header Fields Too Large", CLOSE),
            503 => ("503 Service Unavailable", CLOSE),
            505 => ("505 HTTP Version Not Supported", CLOSE),
            _ => ("400 Bad Request", CLOSE),
        };
        // The refused method may be HEAD, whose response has no content (RFC 9110 §9.3.2).
        let body = if self == Self::MethodNotAllowed {
            String::new()
        } else {
            format!("{self}\n")
        };
        match self.retry_after_s() {
            Some(seconds) => {
                write_response(status, &format!("{fields}Retry-After: {seconds}\r\n"), &body, out);
            }
            None => write_response(status, fields, &body, out),
        }
    }

    const fn retry_after_s(self) -> Option<u32> {
        if let Self::TooManyRequests { retry_after_s }
        | Self::Overloaded { retry_after_s }
        | Self::Draining { retry_after_s } = self
        {
            Some(retry_after_s)
        } else {
            None
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::RequestLine => "request line is not a method, a target and a version",
            Self::HttpTooOld => "HTTP/1.0 knows no upgrade; HTTP/1.1 is needed",
            Self::HttpVersion => "only HTTP/1.1 is spoken here",
            Self::TargetTooLong => "request target is too long",
            Self::TargetForm => "request target is neither a path nor a URL",
            Self::TargetByte => "request target contains a forbidden byte",
            Self::TargetEncoding => "percent-encoding in the request target is malformed or not UTF-8",
            Self::Head(fault) => fault.reason(),
            Self::HostMissing => "Host is missing",
            Self::HostRepeated => "Host is given more than once",
            Self::HostInvalid => "Host is not a host and port",
            Self::Body => "a request with a body is not served here",
            Self::NotFound => "nothing is served at this path",
            Self::MethodNotAllowed => "only GET is served here",
            Self::RequestTimeout => "the request took too long to arrive",
            Self::UpgradeMissing => "a WebSocket is needed: Upgrade does not list websocket",
            Self::ConnectionMissing => "Connection does not list upgrade",
            Self::KeyMissing => "Sec-WebSocket-Key is missing",
            Self::KeyRepeated => "Sec-WebSocket-Key is given more than once",
            Self::KeyInvalid => "Sec-WebSocket-Key is not 16 bytes in base64",
            Self::WebSocketVersion => "Sec-WebSocket-Version must be 13",
            Self::OriginInvalid => "Origin is repeated or not visible ASCII",
            Self::ProtocolInvalid => "Sec-WebSocket-Protocol lists what is not a token",
            Self::ProtocolRepeated => "Sec-WebSocket-Protocol lists a subprotocol twice",
            Self::TooManyProtocols => "too many subprotocols are offered",
            Self::ExtensionsInvalid => "Sec-WebSocket-Extensions is not a list of extensions",
            Self::ProtocolUnsupported { supported } => {
                return write!(
                    f,
                    "no subprotocol offered is supported; supported: {}",
                    supported.join(", ")
                );
            }
            Self::TooManyRequests { .. } => "too many requests from this client",
            Self::Overloaded { .. } => "no room for another connection",
            Self::Draining { .. } => "the server is shutting down",
        })
    }
}

impl std::error::Error for Refusal {}

const CLOSE: &str = "Connection: close\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "Connection: close, upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    const RETRY: &str = "Connection: close\r\nRetry-After: 7\r\n";
    const TABLE: &[(Refusal, &str, &str)] = &[
        (Refusal::RequestLine, "400 Bad Request", CLOSE),
        (Refusal::HttpTooOld, "400 Bad Request", CLOSE),
        (Refusal::HttpVersion, "505 HTTP Version Not Supported", CLOSE),
        (Refusal::TargetTooLong, "414 URI Too Long", CLOSE),
        (Refusal::TargetForm, "400 Bad Request", CLOSE),
        (Refusal::TargetByte, "400 Bad Request", CLOSE),
        (Refusal::TargetEncoding, "400 Bad Request", CLOSE),
        (
            Refusal::Head(HeadFault::TooLong),
            "431 Request Header Fields Too Large",
            CLOSE,
        ),
        (
            Refusal::Head(HeadFault::TooManyFields),
            "431 Request Header Fields Too Large",
            CLOSE,
        ),
        (Refusal::Head(HeadFault::BareLineFeed), "400 Bad Request", CLOSE),
        (Refusal::Head(HeadFault::FoldedField), "400 Bad Request", CLOSE),
        (Refusal::Head(HeadFault::FieldName), "400 Bad Request", CLOSE),
        (Refusal::Head(HeadFault::FieldValue), "400 Bad Request", CLOSE),
        (Refusal::HostMissing, "400 Bad Request", CLOSE),
        (Refusal::HostRepeated, "400 Bad Request", CLOSE),
        (Refusal::HostInvalid, "400 Bad Request", CLOSE),
        (Refusal::Body, "400 Bad Request", CLOSE),
        (Refusal::NotFound, "404 Not Found", CLOSE),
        (Refusal::RequestTimeout, "408 Request Timeout", CLOSE),
        (Refusal::UpgradeMissing, "426 Upgrade Required", UPGRADE),
        (Refusal::ConnectionMissing, "400 Bad Request", CLOSE),
        (Refusal::KeyMissing, "400 Bad Request", CLOSE),
        (Refusal::KeyRepeated, "400 Bad Request", CLOSE),
        (Refusal::KeyInvalid, "400 Bad Request", CLOSE),
        (Refusal::WebSocketVersion, "426 Upgrade Required", UPGRADE),
        (Refusal::OriginInvalid, "400 Bad Request", CLOSE),
        (Refusal::ProtocolInvalid, "400 Bad Request", CLOSE),
        (Refusal::ProtocolRepeated, "400 Bad Request", CLOSE),
        (Refusal::TooManyProtocols, "400 Bad Request", CLOSE),
        (Refusal::ExtensionsInvalid, "400 Bad Request", CLOSE),
        (
            Refusal::ProtocolUnsupported {
                supported: &["a", "b"],
            },
            "400 Bad Request",
            CLOSE,
        ),
        (
            Refusal::TooManyRequests { retry_after_s: 7 },
            "429 Too Many Requests",
            RETRY,
        ),
        (
            Refusal::Overloaded { retry_after_s: 7 },
            "503 Service Unavailable",
            RETRY,
        ),
        (
            Refusal::Draining { retry_after_s: 7 },
            "503 Service Unavailable",
            RETRY,
        ),
    ];

    fn written(refusal: Refusal) -> String {
        let mut out = Vec::new();
        refusal.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_refusal_is_one_status_one_line_and_the_fields_it_needs() {
        for &(refusal, status, fields) in TABLE {
            let body = format!("{refusal}\n");
            let expected = format!(
                "HTTP/1.1 {status}\r\n{fields}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            assert_eq!(written(refusal), expected);
            assert!(status.starts_with(&refusal.status().to_string()), "{refusal:?}");
            assert_eq!(body.lines().count(), 1);
        }
    }

    #[test]
    fn a_refused_method_is_told_which_is_allowed_without_content_as_it_may_be_head() {
        let response = written(Refusal::MethodNotAllowed);
        assert!(
            response.starts_with("HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nAllow: GET\r\n")
        );
        assert!(response.ends_with("Content-Length: 0\r\n\r\n"));
    }

    #[test]
    fn an_unsupported_subprotocol_is_told_what_is_supported() {
        let refusal = Refusal::ProtocolUnsupported {
            supported: &["a.v1", "b.v1"],
        };
        assert!(written(refusal).ends_with("supported: a.v1, b.v1\n"));
    }
}
