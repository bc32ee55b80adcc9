//! How a peer can break RFC 6455 once the connection is open, and what it is told.
//!
//! Every fault fails the connection (§7.1.7): nothing of the stream is read after it.

use super::{CloseCode, CloseFrame};

/// One sin each; [`Fault::code`] gives the close code it is answered with.
///
/// ```
/// use tickwire::wire::{CloseCode, Fault};
/// assert_eq!(Fault::ReservedBits.code(), CloseCode::PROTOCOL_ERROR);
/// assert_eq!(Fault::MessageTooBig.to_string(), "message exceeds the limit");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A client's frame without a mask (§5.1). Close 1002.
    Unmasked,
    /// A server's frame with a mask (§5.1). Close 1002.
    Masked,
    /// A reserved bit that no extension was given (§5.2). Close 1002.
    ReservedBits,
    /// RSV1 on a control frame, where permessage-deflate has no meaning for it (RFC 7692 §6.1). Close 1002.
    CompressedControl,
    /// RSV1 on a frame that continues a message, which only its first frame may have (RFC 7692 §6.1). Close 1002.
    CompressedContinuation,
    /// An opcode without a meaning (§5.2). Close 1002.
    ReservedOpcode,
    /// A control frame of more than 125 bytes (§5.5). Close 1002.
    ControlTooLong,
    /// A control frame in fragments (§5.5). Close 1002.
    ControlFragmented,
    /// A 64-bit length with its highest bit set (§5.2). Close 1002.
    LengthOverflow,
    /// A length in more bytes than it needs (§5.2). Close 1002.
    LengthNotMinimal,
    /// A continuation where no message is under way (§5.4). Close 1002.
    ContinuationWithoutMessage,
    /// A new message before the last fragment of the one under way (§5.4). Close 1002.
    MessageInterrupted,
    /// A message longer than this end accepts (§10.4). Close 1009.
    MessageTooBig,
    /// A compressed message that is no whole deflate data (RFC 7692 §7.2.2). Close 1007.
    CompressedInvalid,
    /// A text message that is not UTF-8 (§8.1). Close 1007.
    InvalidUtf8,
    /// A close frame of one byte, which is half a code (§5.5.1). Close 1002.
    CloseCodeCut,
    /// A close code that may not be sent (§7.4). Close 1002.
    CloseCodeForbidden,
    /// A close reason that is not UTF-8 (§5.5.1). Close 1007.
    CloseReasonNotUtf8,
}

impl Fault {
    /// The close code that answers this fault (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Unmasked
            | Self::Masked
            | Self::ReservedBits
            | Self::CompressedControl
            | Self::CompressedContinuation
            | Self::ReservedOpcode
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::LengthOverflow
            | Self::LengthNotMinimal
            | Self::ContinuationWithoutMessage
            | Self::MessageInterrupted
            | Self::CloseCodeCut
            | Self::CloseCodeForbidden => CloseCode::PROTOCOL_ERROR,
            Self::CompressedInvalid | Self::InvalidUtf8 | Self::CloseReasonNotUtf8 => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
        }
    }

    /// The fault in words, as the close reason states it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unmasked => "client frame is not masked",
            Self::Masked => "server frame is masked",
            Self::ReservedBits => "reserved bit is set",
            Self::CompressedControl => "control frame is marked as compressed",
            Self::CompressedContinuation => "continuation frame is marked as compressed",
            Self::ReservedOpcode => "opcode is reserved",
            Self::ControlTooLong => "control frame exceeds 125 bytes",
            Self::ControlFragmented => "control frame is fragmented",
            Self::LengthOverflow => "payload length has its highest bit set",
            Self::LengthNotMinimal => "payload length is not in its shortest form",
            Self::ContinuationWithoutMessage => "continuation frame without a message",
            Self::MessageInterrupted => "message begins inside another message",
            Self::MessageTooBig => "message exceeds the limit",
            Self::CompressedInvalid => "compressed message is not deflate data",
            Self::InvalidUtf8 => "text message is not UTF-8",
            Self::CloseCodeCut => "close frame holds half a code",
            Self::CloseCodeForbidden => "close code may not be sent",
            Self::CloseReasonNotUtf8 => "close reason is not UTF-8",
        }
    }
}

impl From<Fault> for CloseFrame<'static> {
    fn from(fault: Fault) -> Self {
        Self {
            code: fault.code(),
            reason: fault.reason(),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for Fault {}
