//! The parameters of permessage-deflate (RFC 7692 §7.1): offered, chosen, answered, checked.
//!
//! Never accepts what it would not keep: an offer with a parameter that is unknown, repeated or out of range is
//! declined, and an answer with one fails the connection.

use super::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::wire::handshake::{Extension, Value};

/// What two ends agreed on (RFC 7692 §7.1). Each window is named by the base-2 logarithm of its bytes, 8 to 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deflate {
    /// The server compresses each message by itself (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// How far back the server's compressed data may refer (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// How far back the client's compressed data may refer (§7.1.2.2).
    pub client_max_window_bits: u8,
    /// Whether the answer names the server's window, as it must where the offer does (§7.1.2.1).
    pub(super) names_server_window: bool,
}

/// What a server is ready to agree on.
///
/// The default keeps nothing for a connection between messages, whatever the client asks for.
///
/// ```
/// use tickwire::wire::{DeflatePolicy, HeadScan, Request, Upgrade};
/// let head = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
///     Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n";
/// let (request, _) = Request::parse(head, &mut HeadScan::default())?.unwrap();
/// let deflate = Upgrade::parse(request)?.deflate(&DeflatePolicy::default()).unwrap();
/// assert_eq!(deflate.server_max_window_bits, 10);
/// assert!(deflate.server_no_context_takeover && deflate.client_no_context_takeover);
/// # Ok::<(), tickwire::wire::Refusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// The smallest window that the server can compress with: an offer that asks for less is declined.
    pub server_window_bits_min: u8,
    /// The largest that it compresses with.
    pub server_window_bits_max: u8,
    /// Whether the server keeps its history from message to message where the client allows it.
    pub server_context_takeover: bool,
    /// Whether the client may do so, at the price of its window's bytes here.
    pub client_context_takeover: bool,
}

impl Default for DeflatePolicy {
    fn default() -> Self {
        Self {
            server_window_bits_min: WINDOW_BITS_MIN,
            server_window_bits_max: WINDOW_BITS_MAX,
            server_context_takeover: false,
            client_context_takeover: false,
        }
    }
}

/// What a client asks for.
///
/// The default leaves everything to the server, and promises that the client compresses each message by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateOffer {
    /// The server is to compress each message by itself (RFC 7692 §7.1.1.1).
    pub server_no_context_takeover: bool,
    /// The client will compress each message by itself, asked or not (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// The server is to use at most this window (§7.1.2.1); without one, any. From 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// The client can be told which window to use, and will use at most this one (§7.1.2.2). From 8 to 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateOffer {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: true,
            server_max_window_bits: None,
            client_max_window_bits: WINDOW_BITS_MAX,
        }
    }
}

/// Why a server's answer cannot be lived with (RFC 7692 §7.1: the connection fails).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::wire) struct DeflateRejection;

/// The first acceptable of a client's offers, in its order of preference (§5.1), and what is agreed on then.
pub(in crate::wire) fn negotiate<'b>(
    mut offers: impl Iterator<Item = Extension<'b>>,
    policy: &DeflatePolicy,
) -> Option<Deflate> {
    offers.find_map(|offer| Params::read(offer)?.choose(policy))
}

impl Deflate {
    /// Appends the server's answer.
    pub(in crate::wire) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME);
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        if self.names_server_window {
            let bits = self.server_max_window_bits;
            out.extend_from_slice(format!("; server_max_window_bits={bits}").as_bytes());
        }
        // The client's may be named only where it said that it understands, as it did where it is not the largest.
        if self.client_max_window_bits < WINDOW_BITS_MAX {
            let bits = self.client_max_window_bits;
            out.extend_from_slice(format!("; client_max_window_bits={bits}").as_bytes());
        }
    }
}

impl DeflateOffer {
    /// Appends the offer.
    pub(in crate::wire) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME);
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            out.extend_from_slice(format!("; server_max_window_bits={bits}").as_bytes());
        }
        out.extend_from_slice(b"; client_max_window_bits");
        if self.client_max_window_bits < WINDOW_BITS_MAX {
            out.extend_from_slice(format!("={}", self.client_max_window_bits).as_bytes());
        }
    }

    /// Whether this can be offered: windows are from 8 to 15.
    pub(in crate::wire) fn is_valid(&self) -> bool {
        let valid = |bits: u8| (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&bits);
        valid(self.client_max_window_bits) && self.server_max_window_bits.is_none_or(valid)
    }

    /// Checks a server's answer to this offer.
    pub(in crate::wire) fn accept(&self, answer: Extension<'_>) -> Result<Deflate, DeflateRejection> {
        let params = Params::read(answer).ok_or(DeflateRejection)?;
        let server_max_window_bits = match (params.server_max_window_bits, self.server_max_window_bits) {
            // §7.1.2.1: what was asked for is kept, or beaten.
            (Some(Window::Bits(bits)), Some(asked)) if bits <= asked => bits,
            (Some(Window::Bits(bits)), None) => bits,
            (None, None) => WINDOW_BITS_MAX,
            (Some(_), _) | (None, Some(_)) => return Err(DeflateRejection),
        };
        let client_max_window_bits = match params.client_max_window_bits {
            // §7.1.2.2: what was offered is a hint that the server may ignore, and it is kept all the same; an answer
            // names a number.
            Some(Window::Bits(bits)) => bits.min(self.client_max_window_bits),
            Some(Window::Any) => return Err(DeflateRejection),
            None => self.client_max_window_bits,
        };
        // §7.1.1.1: a server that accepts the offer says so.
        if self.server_no_context_takeover && !params.server_no_context_takeover {
            return Err(DeflateRejection);
        }
        Ok(Deflate {
            server_no_context_takeover: params.server_no_context_takeover,
            client_no_context_takeover: params.client_no_context_takeover || self.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
            names_server_window: params.server_max_window_bits.is_some(),
        })
    }
}

/// The parameters of one offer or answer, each at most once and in its range.
#[derive(Clone, Copy, Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Window>,
    client_max_window_bits: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
enum Window {
    /// The parameter has no value: only a client's offer of its own window may do so.
    Any,
    /// From 8 to 15.
    Bits(u8),
}

impl Params {
    /// Reads the parameters of permessage-deflate; `None` when it is another extension, or a parameter is unknown,
    /// repeated, or has a value that it cannot have (§7.1).
    fn read(extension: Extension<'_>) -> Option<Self> {
        // Extension names are compared exactly where RFC 6455 says nothing else of them.
        if extension.name != NAME {
            return None;
        }
        let mut params = Self::default();
        for param in extension.params() {
            let fresh = match (param.name, param.value) {
                (b"server_no_context_takeover", None) => {
                    !std::mem::replace(&mut params.server_no_context_takeover, true)
                }
                (b"client_no_context_takeover", None) => {
                    !std::mem::replace(&mut params.client_no_context_takeover, true)
                }
                (b"server_max_window_bits", Some(value)) => params
                    .server_max_window_bits
                    .replace(Window::Bits(window_bits(value)?))
                    .is_none(),
                (b"client_max_window_bits", Some(value)) => params
                    .client_max_window_bits
                    .replace(Window::Bits(window_bits(value)?))
                    .is_none(),
                (b"client_max_window_bits", None) => {
                    params.client_max_window_bits.replace(Window::Any).is_none()
                }
                _ => false,
            };
            if !fresh {
                return None;
            }
        }
        Some(params)
    }

    /// What a server agrees on, if it can.
    fn choose(self, policy: &DeflatePolicy) -> Option<Deflate> {
        let server_max_window_bits = match self.server_max_window_bits {
            Some(Window::Bits(bits)) => bits.min(policy.server_window_bits_max),
            Some(Window::Any) => return None,
            None => policy.server_window_bits_max,
        };
        if server_max_window_bits < policy.server_window_bits_min {
            return None;
        }
        Some(Deflate {
            server_no_context_takeover: self.server_no_context_takeover || !policy.server_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover || !policy.client_context_takeover,
            server_max_window_bits,
            names_server_window: self.server_max_window_bits.is_some()
                || server_max_window_bits < WINDOW_BITS_MAX,
            client_max_window_bits: match self.client_max_window_bits {
                Some(Window::Bits(bits)) => bits,
                Some(Window::Any) | None => WINDOW_BITS_MAX,
            },
        })
    }
}

/// A window's value: a decimal number from 8 to 15 without leading zeros (§7.1.2).
fn window_bits(value: Value<'_>) -> Option<u8> {
    let mut digits = value.bytes();
    match (digits.next(), digits.next(), digits.next()) {
        (Some(digit @ (b'8' | b'9')), None, None) => Some(digit.saturating_sub(b'0')),
        (Some(b'1'), Some(digit @ b'0'..=b'5'), None) => Some(digit.saturating_sub(b'0').saturating_add(10)),
        _ => None,
    }
}

const NAME: &[u8] = b"permessage-deflate";
