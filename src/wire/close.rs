//! The payload of a close frame (RFC 6455 §5.5.1) and the codes that it may carry (§7.4).
//!
//! A [`CloseCode`] is one that may stand on the wire: 1005, 1006 and 1015 have no value here.

use super::Fault;
use crate::limits::CLOSE_REASON_BYTES_MAX;

/// A close code that may be sent: 1000-1003, 1007-1014 (RFC 6455 §7.4.1 and the IANA registry it founded),
/// 3000-3999 (registered by libraries) and 4000-4999 (private).
///
/// ```
/// use tickwire::wire::CloseCode;
/// assert_eq!(CloseCode::new(1000), Some(CloseCode::NORMAL));
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that this end does not take.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Data that is not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// A policy that no other code names.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message longer than this end accepts.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// The server met a condition that it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The server restarts: come back.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The server is overloaded: come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code of this number; `None` for numbers that may not be sent.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// A code and a reason: what a close frame says if it says anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFrame<'a> {
    /// Why, as a number.
    pub code: CloseCode,
    /// Why, in words; for logs, not necessarily for people. May be empty. What we send is cut to 123 bytes.
    pub reason: &'a str,
}

impl<'a> CloseFrame<'a> {
    /// A close frame of this code and reason.
    #[must_use]
    pub const fn new(code: CloseCode, reason: &'a str) -> Self {
        Self { code, reason }
    }

    /// Reads the payload of a close frame; `None` when it is empty, as it may be.
    ///
    /// # Errors
    /// [`Fault::CloseCodeCut`], [`Fault::CloseCodeForbidden`] or [`Fault::CloseReasonNotUtf8`].
    pub fn decode(payload: &'a [u8]) -> Result<Option<Self>, Fault> {
        let Some((code, reason)) = payload.split_first_chunk() else {
            // §5.5.1: if there is a body, it begins with a two-byte code.
            return if payload.is_empty() {
                Ok(None)
            } else {
                Err(Fault::CloseCodeCut)
            };
        };
        // §7.4: reserved, undefined and out-of-range codes are not sent.
        let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Fault::CloseCodeForbidden)?;
        // §5.5.1: the reason is UTF-8.
        let reason = std::str::from_utf8(reason).map_err(|_| Fault::CloseReasonNotUtf8)?;
        Ok(Some(Self { code, reason }))
    }

    /// The two halves of the payload: the code, and as many whole characters of the reason as fit.
    pub(super) fn encode(&self) -> ([u8; 2], &'a [u8]) {
        let cut = self.reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
        let reason = self.reason.as_bytes().get(..cut).unwrap_or_default();
        (self.code.number().to_be_bytes(), reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn codes_that_may_be_sent_are_exactly_those_of_the_registry() {
        for code in 0..=u16::MAX {
            let refused = code < 1000
                || [1004, 1005, 1006, 1015].contains(&code)
                || (1016..3000).contains(&code)
                || code >= 5000;
            assert_eq!(CloseCode::new(code).is_none(), refused, "{code}");
        }
    }

    #[test]
    fn a_payload_is_empty_or_a_code_and_utf8() {
        assert_eq!(CloseFrame::decode(b""), Ok(None));
        assert_eq!(CloseFrame::decode(b"\x03"), Err(Fault::CloseCodeCut));
        assert_eq!(
            CloseFrame::decode(b"\x03\xe8"),
            Ok(Some(CloseFrame::new(CloseCode::NORMAL, "")))
        );
        assert_eq!(CloseFrame::decode(b"\x03\xee"), Err(Fault::CloseCodeForbidden));
        assert_eq!(
            CloseFrame::decode(b"\x03\xe8\xc3"),
            Err(Fault::CloseReasonNotUtf8)
        );
    }

    #[test]
    fn a_reason_is_cut_at_123_bytes_but_never_inside_a_character() {
        for (reason, len) in [
            ("a".repeat(122), 122),
            ("a".repeat(123), 123),
            ("a".repeat(124), 123),
            ("é".repeat(62), 122),
            ("€".repeat(41), 123),
            ("𐍈".repeat(31), 120),
        ] {
            let frame = CloseFrame::new(CloseCode::NORMAL, &reason);
            assert_eq!(frame.encode().1.len(), len);
        }
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes(code in 3000_u16..5000, reason in "\\PC{0,200}") {
            let frame = CloseFrame::new(CloseCode::new(code).unwrap(), &reason);
            let (head, tail) = frame.encode();
            let payload = [&head[..], tail].concat();
            prop_assert!(payload.len() <= crate::limits::CONTROL_BYTES_MAX);
            let back = CloseFrame::decode(&payload).unwrap().unwrap();
            prop_assert_eq!(back.code, frame.code);
            prop_assert!(reason.starts_with(back.reason));
        }
    }
}
