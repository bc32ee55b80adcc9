//! One end of an open WebSocket connection (RFC 6455 §5 to §7): bytes in, events out.
//!
//! Never touches a socket or a clock, never allocates, and owns no bytes: it works in the caller's buffer.
//! Between two calls the front of that buffer is the payload of the message under way (unmasked, and valid
//! UTF-8 as far as it goes, unless it is compressed), then what was not decoded yet. A compressed message (RFC 7692)
//! is inflated when it is whole, into the caller's [`Inflater`].

use super::{
    Client, CloseFrame, Direction, Event, Fault, FrameHeader, Inflater, Opcode, Phase, Role, Sender, Server,
    Utf8, unmask,
};
use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX};
use std::ops::Range;

#[cfg(any(test, fuzzing))]
pub(super) mod naive;
#[cfg(test)]
mod tests;

/// A session that accepts clients' frames.
pub type ServerSession = Session<Server>;
/// A session that accepts a server's frames.
pub type ClientSession = Session<Client>;

const _: () = assert!(size_of::<ServerSession>() <= 40 && size_of::<ClientSession>() <= 40);

/// One end of an open connection, in at most 40 bytes.
///
/// The caller keeps the first [`held`](Self::held) bytes of a buffer from one call to the next, appends what
/// it received, and calls [`decode`](Self::decode). Replies are written through the [`Sender`] that comes with
/// each event, or through [`sender`](Self::sender) at any other time.
///
/// ```
/// use tickwire::wire::{Event, ServerSession};
/// let mut session = ServerSession::new(1024);
/// // "Hello", masked (RFC 6455 §5.7), and the first byte of the next frame.
/// let mut buffer = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89";
/// let mut replies = Vec::new();
/// let mut decoder = session.decode(&mut buffer);
/// while let Some((event, sender)) = decoder.next()? {
///     assert_eq!(event, Event::Text("Hello"));
///     sender.text("Hi", &mut replies)?;
/// }
/// assert_eq!(decoder.finish(), 1);
/// assert_eq!((buffer[0], &replies[..]), (0x89, &b"\x81\x02Hi"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session<R: Role> {
    inbound: Inbound,
    sender: Sender<R>,
}

/// How far the peer's stream has been decoded.
#[derive(Debug)]
struct Inbound {
    /// Bytes behind the assembled payload that were not decoded yet.
    undecoded: u32,
    message_bytes_max: u32,
    /// Payload bytes of the message under way that have arrived.
    assembled: u32,
    /// Payload bytes of the data frame under way that have not.
    lacking: u32,
    /// The masking key of the data frame under way, as it begins for the next byte.
    mask: [u8; 4],
    utf8: Utf8,
    message: Message,
    /// Whether the message under way is compressed.
    compressed: bool,
    frame: Frame,
}

/// The message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    Text,
    Binary,
}

/// The data frame under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// A header comes next.
    None,
    /// More frames of the message follow this one.
    Fragment,
    /// The message ends with this frame.
    Final,
}

impl<R: Role> Session<R> {
    /// A session whose opening handshake is over, that fails the connection for a message of more than
    /// `message_bytes_max` bytes.
    #[must_use]
    pub const fn new(message_bytes_max: u32) -> Self {
        Self {
            inbound: Inbound {
                undecoded: 0,
                message_bytes_max,
                assembled: 0,
                lacking: 0,
                mask: [0; 4],
                utf8: Utf8::new(),
                message: Message::None,
                compressed: false,
                frame: Frame::None,
            },
            sender: Sender::new(),
        }
    }

    /// Decodes `buffer`, whose first [`held`](Self::held) bytes are as the last decoder left them and whose
    /// rest is newly received.
    ///
    /// # Panics
    /// When `buffer` is shorter than what is held: the caller lost bytes of the stream.
    pub fn decode<'d>(&'d mut self, buffer: &'d mut [u8]) -> Decoder<'d, R> {
        self.decode_with(buffer, None)
    }

    /// Does the same on a connection that may have agreed on permessage-deflate: with an `inflater`, compressed
    /// messages are accepted. Whether there is one must not change while the connection lasts.
    ///
    /// # Panics
    /// When `buffer` is shorter than what is held: the caller lost bytes of the stream.
    pub fn decode_with<'d>(
        &'d mut self,
        buffer: &'d mut [u8],
        inflater: Option<&'d mut Inflater>,
    ) -> Decoder<'d, R> {
        assert!(buffer.len() >= self.held(), "the buffer begins with what is held");
        Decoder {
            read: self.inbound.assembled as usize,
            start: 0,
            inbound: &mut self.inbound,
            sender: &mut self.sender,
            buffer,
            inflater,
            given: None,
            frames: 0,
        }
    }

    /// Writes to the peer.
    pub const fn sender(&mut self) -> &mut Sender<R> {
        &mut self.sender
    }

    /// Bytes at the front of the buffer that the next call to [`decode`](Self::decode) must find there.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.inbound.held()
    }

    /// How far the closing handshake has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.sender.phase()
    }

    /// A buffer of this many bytes always has room for more when a decoder has been drained: the longest
    /// message, and the longest control frame between its fragments.
    #[must_use]
    pub const fn buffer_bytes_min(message_bytes_max: u32) -> usize {
        (assembled_bytes_max(message_bytes_max, true) as usize)
            .saturating_add(FRAME_HEADER_BYTES_MAX.saturating_add(CONTROL_BYTES_MAX))
    }
}

impl Inbound {
    const fn held(&self) -> usize {
        (self.assembled as usize).saturating_add(self.undecoded as usize)
    }

    /// Begins a data frame, where the order of frames (§5.4) and the length of the message allow it.
    fn begin(&mut self, header: &FrameHeader) -> Result<(), Fault> {
        let begun = match (header.opcode, self.message) {
            // §5.4: a continuation continues something...
            (Opcode::Continuation, Message::None) => return Err(Fault::ContinuationWithoutMessage),
            (Opcode::Continuation, message @ (Message::Text | Message::Binary)) => message,
            // §5.4: ...and the fragments of two messages are not interleaved.
            (_, Message::Text | Message::Binary) => return Err(Fault::MessageInterrupted),
            (Opcode::Text, Message::None) => Message::Text,
            (_, Message::None) => Message::Binary,
        };
        // §10.4: the limit holds for a frame and for the message put together, before a byte of it is kept.
        let frame_bytes = u32::try_from(header.payload_bytes).map_err(|_| Fault::MessageTooBig)?;
        if self.message == Message::None {
            self.utf8 = Utf8::new();
            self.compressed = header.compressed;
        }
        match self.assembled.checked_add(frame_bytes) {
            Some(bytes) if bytes <= assembled_bytes_max(self.message_bytes_max, self.compressed) => {}
            Some(_) | None => return Err(Fault::MessageTooBig),
        }
        self.message = begun;
        self.frame = if header.fin { Frame::Final } else { Frame::Fragment };
        self.lacking = frame_bytes;
        self.mask = header.mask.unwrap_or_default();
        Ok(())
    }
}

/// Decodes what one buffer holds: call [`next`](Self::next) until it gives `None`, then
/// [`finish`](Self::finish).
///
/// Stopping earlier loses nothing: what was not decoded is held for the next decoder, which may run without a
/// new byte. Dropping a decoder finishes it.
#[derive(Debug)]
#[must_use = "a decoder does nothing until `next` is called"]
pub struct Decoder<'d, R: Role> {
    inbound: &'d mut Inbound,
    sender: &'d mut Sender<R>,
    buffer: &'d mut [u8],
    inflater: Option<&'d mut Inflater>,
    /// Where the payload of the message under way begins; it ends at or before `read`.
    start: usize,
    /// Where the bytes begin that were not decoded yet.
    read: usize,
    /// The event given last.
    given: Option<Found>,
    /// Frames begun.
    frames: usize,
}

impl<R: Role> Decoder<'_, R> {
    /// The next message or control frame, and the sender to answer it with; `None` when the buffer holds no
    /// other whole one, or nothing more is to be read.
    ///
    /// # Errors
    /// How the peer broke the protocol. The session has then failed: it reads nothing more, and all that can
    /// be sent is `sender().close(Some(fault.into()), …)`.
    #[expect(
        clippy::should_implement_trait,
        reason = "an event borrows from the decoder, which no iterator's item can"
    )]
    pub fn next(&mut self) -> Result<Option<(Event<'_>, &mut Sender<R>)>, Fault> {
        let found = self.advance();
        self.invariants();
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(fault) => {
                self.sender.fail();
                return Err(fault);
            }
        };
        self.given = Some(found.clone());
        let payload = self.buffer.get(found.payload).unwrap_or_default();
        let message = match &mut self.inflater {
            Some(inflater) if found.compressed => inflater.inflate(payload),
            Some(_) | None => Ok(payload),
        };
        let event = match found.kind {
            Kind::Text => message.and_then(|message| {
                simdutf8::basic::from_utf8(message)
                    .map(Event::Text)
                    .map_err(|_| Fault::InvalidUtf8)
            }),
            Kind::Binary => message.map(Event::Binary),
            Kind::Ping => Ok(Event::Ping(payload)),
            Kind::Pong => Ok(Event::Pong(payload)),
            Kind::Close => CloseFrame::decode(payload).map(Event::Close),
        };
        match event {
            Ok(Event::Close(_)) => self.sender.close_received(),
            Ok(_) => {}
            Err(_) => self.sender.fail(),
        }
        event.map(|event| Some((event, &mut *self.sender)))
    }

    /// Takes back the message that [`next`](Self::next) gave last, text or binary, as if it had not: it will be given
    /// again, by this decoder or a later one. For a caller that finds it cannot act on a message yet.
    ///
    /// # Panics
    /// In debug builds, when the last event was none or another.
    pub fn put_back(&mut self) {
        let Some(Found {
            kind: kind @ (Kind::Text | Kind::Binary),
            compressed,
            payload,
        }) = self.given.take()
        else {
            debug_assert!(false, "only a message is put back, and only once");
            return;
        };
        // It is a message whose last byte has arrived and which was not given yet.
        let inbound = &mut *self.inbound;
        inbound.message = if matches!(kind, Kind::Text) {
            Message::Text
        } else {
            Message::Binary
        };
        if let Some(inflater) = &mut self.inflater
            && compressed
        {
            inflater.put_back();
        }
        inbound.compressed = compressed;
        inbound.frame = Frame::Final;
        inbound.lacking = 0;
        inbound.assembled = narrow(payload.len());
        self.start = payload.start;
    }

    /// How many frames it has come across: data frames that have begun, fragments that gave no event among them, and
    /// whole control frames. What each costs is the caller's to bound.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.frames
    }

    /// Moves what must be kept to the front of the buffer, and says how many bytes that is: the next
    /// [`Session::held`].
    #[must_use = "the next call to `decode` expects these bytes at the front of its buffer"]
    pub fn finish(mut self) -> usize {
        self.settle();
        self.invariants();
        self.inbound.held()
    }

    /// Decodes up to the end of the next whole message or control frame.
    fn advance(&mut self) -> Result<Option<Found>, Fault> {
        while matches!(self.sender.phase(), Phase::Open | Phase::CloseSent) {
            if self.sender.phase() == Phase::CloseSent {
                // §1.4: after our close frame data is discarded, and what was assembled of a message counts no more.
                self.inbound.assembled = 0;
            }
            if self.inbound.frame != Frame::None {
                if let Some(found) = self.take_payload()? {
                    return Ok(Some(found));
                }
                if self.inbound.frame != Frame::None {
                    return Ok(None);
                }
                continue;
            }
            let unread = self.buffer.get(self.read..).unwrap_or_default();
            let Some((header, header_bytes)) =
                FrameHeader::decode(unread, R::INBOUND, self.inflater.is_some())?
            else {
                return Ok(None);
            };
            match header.opcode {
                Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                    if let Some(found) = self.take_message(&header, header_bytes) {
                        return Ok(Some(found));
                    }
                    self.inbound.begin(&header)?;
                    self.frames = self.frames.saturating_add(1);
                    self.read = self.read.saturating_add(header_bytes);
                    if self.inbound.assembled == 0 {
                        self.start = self.read;
                    }
                }
                Opcode::Close => return Ok(self.take_frame(Kind::Close, &header, header_bytes)),
                Opcode::Ping => return Ok(self.take_frame(Kind::Ping, &header, header_bytes)),
                Opcode::Pong => return Ok(self.take_frame(Kind::Pong, &header, header_bytes)),
            }
        }
        Ok(None)
    }

    /// Takes what has arrived of a data frame's payload; gives the message when that was the end of it.
    fn take_payload(&mut self) -> Result<Option<Found>, Fault> {
        let inbound = &mut *self.inbound;
        let unread = self.buffer.get_mut(self.read..).unwrap_or_default();
        let lacking = inbound.lacking as usize;
        let whole = unread.len() >= lacking;
        let arrived = match unread.get_mut(..lacking) {
            Some(frame_end) => frame_end,
            None => unread,
        };
        let arrived_bytes = arrived.len();
        let read = self.read.saturating_add(arrived_bytes);
        // What is discarded need be neither unmasked nor valid.
        if self.sender.phase() != Phase::CloseSent {
            if R::INBOUND == Direction::ToServer {
                inbound.mask = unmask(arrived, inbound.mask);
            }
            // A message that is whole is validated when it is handed out; what must wait is validated now, so
            // that bad text fails at once (§8.1).
            if inbound.message == Message::Text
                && !inbound.compressed
                && !(whole && inbound.frame == Frame::Final)
            {
                inbound.utf8.push(arrived).map_err(|_| Fault::InvalidUtf8)?;
            }
            let end = self.start.saturating_add(inbound.assembled as usize);
            if end != self.read {
                self.buffer.copy_within(self.read..read, end);
            }
            // The sum is within the limit, as `begin` saw to.
            inbound.assembled = inbound.assembled.saturating_add(narrow(arrived_bytes));
        }
        self.read = read;
        inbound.lacking = inbound.lacking.saturating_sub(narrow(arrived_bytes));
        Ok(if whole { self.end_frame() } else { None })
    }

    /// Ends a data frame; gives the message when it was the last one of it, and the message is wanted.
    fn end_frame(&mut self) -> Option<Found> {
        let inbound = &mut *self.inbound;
        let last = std::mem::replace(&mut inbound.frame, Frame::None) == Frame::Final;
        if !last {
            return None;
        }
        let end = self
            .start
            .saturating_add(std::mem::take(&mut inbound.assembled) as usize);
        let kind = match std::mem::replace(&mut inbound.message, Message::None) {
            Message::None => return None,
            Message::Text => Kind::Text,
            Message::Binary => Kind::Binary,
        };
        (self.sender.phase() == Phase::Open).then_some(Found {
            kind,
            compressed: inbound.compressed,
            payload: self.start..end,
        })
    }

    /// Takes a message that is a single frame and has arrived as a whole, as most do. `None` where it is not as
    /// simple as that, with nothing changed.
    fn take_message(&mut self, header: &FrameHeader, header_bytes: usize) -> Option<Found> {
        let kind = match header.opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => return None,
        };
        let bytes_max = assembled_bytes_max(self.inbound.message_bytes_max, header.compressed);
        let simple = header.fin
            && header.payload_bytes <= u64::from(bytes_max)
            && self.inbound.message == Message::None
            && self.sender.phase() == Phase::Open;
        if simple {
            self.take_frame(kind, header, header_bytes)
        } else {
            None
        }
    }

    /// Takes a frame that is an event by itself, once it is whole: until then it stays as it came.
    fn take_frame(&mut self, kind: Kind, header: &FrameHeader, header_bytes: usize) -> Option<Found> {
        let start = self.read.saturating_add(header_bytes);
        let end = start.saturating_add(usize::try_from(header.payload_bytes).ok()?);
        let payload = self.buffer.get_mut(start..end)?;
        if let Some(key) = header.mask {
            unmask(payload, key);
        }
        self.read = end;
        self.frames = self.frames.saturating_add(1);
        Some(Found {
            kind,
            compressed: header.compressed,
            payload: start..end,
        })
    }

    /// Brings the buffer into the state that [`Session`] describes. Doing it twice does no more.
    fn settle(&mut self) {
        let inbound = &mut *self.inbound;
        let mut unread = self.read..self.buffer.len();
        match self.sender.phase() {
            Phase::Open => {}
            Phase::CloseSent => inbound.assembled = 0,
            Phase::CloseReceived | Phase::Failed | Phase::Closed => {
                inbound.assembled = 0;
                unread.start = unread.end;
            }
        }
        let assembled = inbound.assembled as usize;
        if assembled > 0 && self.start > 0 {
            let end = self.start.saturating_add(assembled);
            self.buffer.copy_within(self.start..end, 0);
        }
        // A connection's buffer is as long as a message and what is received with it.
        inbound.undecoded = u32::try_from(unread.len()).unwrap_or(u32::MAX);
        if !unread.is_empty() && unread.start != assembled {
            self.buffer.copy_within(unread, assembled);
        }
        let held = inbound.held();
        self.buffer = std::mem::take(&mut self.buffer)
            .get_mut(..held)
            .unwrap_or_default();
        (self.start, self.read) = (0, assembled);
    }

    fn invariants(&self) {
        let inbound = &*self.inbound;
        let end = self.start.saturating_add(inbound.assembled as usize);
        debug_assert!(end <= self.read && self.read <= self.buffer.len());
        let bytes_max = assembled_bytes_max(inbound.message_bytes_max, inbound.compressed);
        debug_assert!(inbound.assembled.saturating_add(inbound.lacking) <= bytes_max);
        debug_assert!(inbound.frame == Frame::None || inbound.message != Message::None);
        debug_assert!(inbound.frame != Frame::None || inbound.lacking == 0);
    }
}

impl<R: Role> Drop for Decoder<'_, R> {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Where in the buffer an event lies.
#[derive(Clone, Debug)]
struct Found {
    kind: Kind,
    compressed: bool,
    payload: Range<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Binary,
    Ping,
    Pong,
    Close,
}

/// How long the payload of a message may be as it is sent. Compressed, a message of the greatest length may be a
/// little longer: RFC 1951's fixed codes take up to nine bits for a byte.
const fn assembled_bytes_max(message_bytes_max: u32, compressed: bool) -> u32 {
    if compressed {
        message_bytes_max
            .saturating_add(message_bytes_max / 8)
            .saturating_add(COMPRESSED_OVERHEAD_BYTES)
    } else {
        message_bytes_max
    }
}

/// What compression may add to the shortest messages.
const COMPRESSED_OVERHEAD_BYTES: u32 = 64;

/// A count of bytes that the message limit, 32 bits wide, has already bounded.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
