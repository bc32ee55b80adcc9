//! The sending side of a session: messages in, finished frames out.
//!
//! Never fragments and never holds bytes back: what was written is the caller's to deliver, in order.
//! After a close frame was written here no data frame is (RFC 6455 §5.5.1).

use super::{Client, CloseFrame, Deflater, FrameHeader, Opcode, Role, Server, unmask};
use crate::limits::CONTROL_BYTES_MAX;
use std::marker::PhantomData;

/// How far the closing handshake has come (RFC 6455 §7.1), which says what may still be sent and is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Both ends talk.
    Open,
    /// Our close frame is written, the peer's has not come: its data is discarded, its pings are answered.
    CloseSent,
    /// The peer's close frame has come, ours is due: nothing more is read.
    CloseReceived,
    /// The peer broke the protocol: nothing more is read, and a close frame that says so is due.
    Failed,
    /// Nothing more is read, nothing may be written.
    Closed,
}

/// Writes frames for one end of a connection, and knows what may not be sent any more.
///
/// Each method appends one whole frame to `out`, or nothing.
///
/// ```
/// use tickwire::wire::{ServerSession, Silenced};
/// let mut session = ServerSession::new(1024);
/// let mut out = Vec::new();
/// session.sender().text("Hello", &mut out)?;
/// assert_eq!(out, b"\x81\x05Hello");
/// session.sender().close(None, &mut out)?;
/// assert_eq!(session.sender().text("too late", &mut out), Err(Silenced));
/// # Ok::<(), Silenced>(())
/// ```
#[derive(Debug)]
pub struct Sender<R: Role> {
    phase: Phase,
    role: PhantomData<R>,
}

/// The closing handshake forbids the frame: nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silenced;

/// Four bytes that mask one frame. It is used up by sending: a key that served twice would let a page choose
/// bytes on the wire (RFC 6455 §10.3).
#[derive(Debug)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// A key of these bytes, which must come fresh from a strong source of randomness (RFC 6455 §5.3).
    #[must_use]
    pub const fn new(unpredictable: [u8; 4]) -> Self {
        Self(unpredictable)
    }
}

/// The server's frames, unmasked.
impl Sender<Server> {
    /// Sends a text message.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn text(&self, text: &str, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Text, text.as_bytes(), None, out)
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn binary(&self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Binary, bytes, None, out)
    }

    /// Sends a text message, compressed where that makes it shorter. For a connection that agreed on
    /// permessage-deflate, with its window (RFC 7692 §6.1).
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn text_deflated(
        &self,
        text: &str,
        deflater: &mut Deflater,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.deflated(Opcode::Text, text.as_bytes(), deflater, None, out)
    }

    /// Sends a binary message, compressed where that makes it shorter. For a connection that agreed on
    /// permessage-deflate, with its window (RFC 7692 §6.1).
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn binary_deflated(
        &self,
        bytes: &[u8],
        deflater: &mut Deflater,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.deflated(Opcode::Binary, bytes, deflater, None, out)
    }

    /// Sends a ping; a payload beyond 125 bytes is cut off.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn ping(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Ping, payload, None, out)
    }

    /// Answers a ping, whose payload it repeats; a payload beyond 125 bytes is cut off.
    ///
    /// # Errors
    /// [`Silenced`] once the peer has sent a close frame: until then each ping must be answered (§5.5.2).
    pub fn pong(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Pong, payload, None, out)
    }

    /// Sends the close frame, or answers the peer's. The reason is cut to 123 bytes.
    ///
    /// # Errors
    /// [`Silenced`] when it was sent before: there is one close frame each way.
    pub fn close(&mut self, close: Option<CloseFrame<'_>>, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.close_masked(close, None, out)
    }
}

/// The client's frames, each masked with its own key.
impl Sender<Client> {
    /// Sends a text message.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn text(&self, text: &str, key: MaskingKey, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Text, text.as_bytes(), Some(key), out)
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn binary(&self, bytes: &[u8], key: MaskingKey, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Binary, bytes, Some(key), out)
    }

    /// Sends a text message, compressed where that makes it shorter. For a connection that agreed on
    /// permessage-deflate, with its window (RFC 7692 §6.1).
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn text_deflated(
        &self,
        text: &str,
        deflater: &mut Deflater,
        key: MaskingKey,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.deflated(Opcode::Text, text.as_bytes(), deflater, Some(key), out)
    }

    /// Sends a binary message, compressed where that makes it shorter. For a connection that agreed on
    /// permessage-deflate, with its window (RFC 7692 §6.1).
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn binary_deflated(
        &self,
        bytes: &[u8],
        deflater: &mut Deflater,
        key: MaskingKey,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.deflated(Opcode::Binary, bytes, deflater, Some(key), out)
    }

    /// Sends a ping; a payload beyond 125 bytes is cut off.
    ///
    /// # Errors
    /// [`Silenced`] once either end has sent a close frame.
    pub fn ping(&self, payload: &[u8], key: MaskingKey, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Ping, payload, Some(key), out)
    }

    /// Answers a ping, whose payload it repeats; a payload beyond 125 bytes is cut off.
    ///
    /// # Errors
    /// [`Silenced`] once the peer has sent a close frame: until then each ping must be answered (§5.5.2).
    pub fn pong(&self, payload: &[u8], key: MaskingKey, out: &mut Vec<u8>) -> Result<(), Silenced> {
        self.frame(Opcode::Pong, payload, Some(key), out)
    }

    /// Sends the close frame, or answers the peer's. The reason is cut to 123 bytes.
    ///
    /// # Errors
    /// [`Silenced`] when it was sent before: there is one close frame each way.
    pub fn close(
        &mut self,
        close: Option<CloseFrame<'_>>,
        key: MaskingKey,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.close_masked(close, Some(key), out)
    }
}

impl<R: Role> Sender<R> {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Open,
            role: PhantomData,
        }
    }

    /// The peer's close frame has come.
    pub(super) fn close_received(&mut self) {
        self.phase = match self.phase {
            Phase::Open | Phase::CloseReceived => Phase::CloseReceived,
            Phase::CloseSent | Phase::Closed => Phase::Closed,
            Phase::Failed => Phase::Failed,
        };
    }

    /// The peer broke the protocol (§7.1.7).
    pub(super) fn fail(&mut self) {
        self.phase = match self.phase {
            Phase::Open | Phase::CloseReceived | Phase::Failed => Phase::Failed,
            Phase::CloseSent | Phase::Closed => Phase::Closed,
        };
    }

    /// How far the closing handshake has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Writes any frame but a close, where the closing handshake still allows it.
    fn frame(
        &self,
        opcode: Opcode,
        payload: &[u8],
        key: Option<MaskingKey>,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.check(opcode)?;
        let payload = match payload.get(..CONTROL_BYTES_MAX) {
            Some(cut) if opcode.is_control() => cut,
            Some(_) | None => payload,
        };
        write_frame(opcode, false, [payload, &[]], key, out);
        Ok(())
    }

    /// Writes a message, compressed where that makes it shorter.
    fn deflated(
        &self,
        opcode: Opcode,
        payload: &[u8],
        deflater: &mut Deflater,
        key: Option<MaskingKey>,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        // First of all, for a deflater with context takeover must not learn what is not sent.
        self.check(opcode)?;
        match deflater.deflate(payload) {
            Some(compressed) => write_frame(opcode, true, [compressed, &[]], key, out),
            None => write_frame(opcode, false, [payload, &[]], key, out),
        }
        Ok(())
    }

    /// Whether the closing handshake still allows such a frame.
    const fn check(&self, opcode: Opcode) -> Result<(), Silenced> {
        match (self.phase, opcode) {
            // §5.5.2: a ping is answered unless a close frame was received.
            (Phase::Open, _) | (Phase::CloseSent, Opcode::Pong) => Ok(()),
            // §5.5.1: no data after a close frame of ours, and none that the peer would not read.
            (Phase::CloseSent | Phase::CloseReceived | Phase::Failed | Phase::Closed, _) => Err(Silenced),
        }
    }

    fn close_masked(
        &mut self,
        close: Option<CloseFrame<'_>>,
        key: Option<MaskingKey>,
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        self.phase = match self.phase {
            Phase::Open => Phase::CloseSent,
            Phase::CloseReceived | Phase::Failed => Phase::Closed,
            Phase::CloseSent | Phase::Closed => return Err(Silenced),
        };
        match close.as_ref().map(CloseFrame::encode) {
            Some((code, reason)) => write_frame(Opcode::Close, false, [&code, reason], key, out),
            None => write_frame(Opcode::Close, false, [&[], &[]], key, out),
        }
        Ok(())
    }
}

impl std::fmt::Display for Silenced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the closing handshake forbids this frame")
    }
}

impl std::error::Error for Silenced {}

/// Appends one unfragmented frame whose payload comes in two parts.
fn write_frame(
    opcode: Opcode,
    compressed: bool,
    payload: [&[u8]; 2],
    key: Option<MaskingKey>,
    out: &mut Vec<u8>,
) {
    let [head, tail] = payload;
    let mask = key.map(|MaskingKey(bytes)| bytes);
    let header = FrameHeader {
        fin: true,
        compressed,
        opcode,
        mask,
        payload_bytes: head.len().saturating_add(tail.len()) as u64,
    };
    out.extend_from_slice(header.encode().as_slice());
    let start = out.len();
    out.extend_from_slice(head);
    out.extend_from_slice(tail);
    if let (Some(key), Some(written)) = (mask, out.get_mut(start..)) {
        unmask(written, key);
    }
}
