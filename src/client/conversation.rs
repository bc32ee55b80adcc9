//! The client's half of an open connection, without the socket: bytes in, messages and bytes out.
//!
//! Never waits and never touches a socket: the caller puts what it received into [`halves`](Conversation::halves)
//! and takes from there what is to be sent. Messages are lent to a callback where they were received.
//!
//! Invariant: the buffer begins with what the session holds, then `fresh` bytes that it has not seen. Once the end
//! is known, nothing more is read.

use std::ops::ControlFlow;

use serde_json::json;

use super::error::{ClientError, RequestError};
use crate::dialect::Encoding;
use crate::dialect::native_binary::{self, Content};
use crate::dialect::native_json::{self, ServerMessage};
use crate::limits::{
    CLIENT_MESSAGE_BYTES_MAX, CLIENT_UNSENT_BYTES_MAX, MESSAGE_BYTES_MAX, REQUEST_CHANNELS_MAX,
};
use crate::market::Level;
use crate::wire::{self, ClientSession, CloseFrame, Deflate, Event, Inflater, MaskingKey, Sender, Silenced};

/// One message of the server, borrowed from the buffer that it was received in.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The message as it came, one JSON object; of a tick that came in binary, the JSON that others get.
    pub text: &'a str,
    /// Bytes of its payload, inflated where it was compressed.
    pub bytes: usize,
    /// What it says.
    pub content: ServerMessage<'a>,
}

/// Everything about one open connection but its socket.
#[derive(Debug)]
pub(super) struct Conversation {
    session: ClientSession,
    /// Where the server may compress.
    inflater: Option<Inflater>,
    /// Where ticks come in binary.
    translator: Option<Translator>,
    buffer: Box<[u8]>,
    /// Bytes behind what the session holds that it has not seen.
    fresh: usize,
    /// Whether there may be a message in the buffer that was not handed out.
    unread: bool,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// Whether nothing more is read.
    over: bool,
    /// Why nothing more is read, until somebody was told.
    end: Option<ClientError>,
    /// The number of the newest request.
    request: u64,
}

/// A receive buffer: in it, a message of the greatest length is whole.
pub(super) fn receive_buffer() -> Box<[u8]> {
    vec![0; RECEIVE_BYTES].into_boxed_slice()
}

impl Conversation {
    /// A conversation whose opening handshake is over. `buffer` is a [`receive_buffer`] whose first `fresh` bytes
    /// came behind it; ticks come as `encoding` says, and `deflate` is what was agreed on about compression.
    pub(super) fn new(buffer: Box<[u8]>, fresh: usize, encoding: Encoding, deflate: Option<Deflate>) -> Self {
        assert!(fresh <= buffer.len() && buffer.len() >= RECEIVE_BYTES);
        Self {
            session: ClientSession::new(CLIENT_MESSAGE_BYTES_MAX),
            inflater: deflate.map(inflater),
            translator: (encoding == Encoding::Binary).then(Translator::default),
            buffer,
            fresh,
            unread: fresh > 0,
            out: Vec::new(),
            sent: 0,
            over: false,
            end: None,
            request: 0,
        }
    }

    /// Where received bytes go, and what is to be sent. There is room unless messages are
    /// [`unread`](Self::unread); nothing should be received while there is too much to send.
    pub(super) fn halves(&mut self) -> (&mut [u8], &[u8]) {
        let filled = self.session.held() + self.fresh;
        (&mut self.buffer[filled..], &self.out[self.sent..])
    }

    /// That many bytes were received.
    pub(super) fn received(&mut self, bytes: usize) {
        self.fresh += bytes;
        self.unread |= bytes > 0;
        assert!(self.session.held() + self.fresh <= self.buffer.len());
    }

    /// That many bytes were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        assert!(self.sent <= self.out.len());
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
    }

    /// Hands each whole message to `each`, answers pings, and notes why the conversation ends if it does.
    /// `each` stops it: the other messages are handed out the next time.
    pub(super) fn read(&mut self, mut each: impl FnMut(Message<'_>) -> ControlFlow<()>) {
        if self.over {
            return;
        }
        let filled = self.session.held() + std::mem::take(&mut self.fresh);
        let mut decoder = self
            .session
            .decode_with(&mut self.buffer[..filled], self.inflater.as_mut());
        let end = loop {
            let heard = match decoder.next() {
                Ok(None) => break None,
                Ok(Some((Event::Binary(bytes), _))) => match &mut self.translator {
                    Some(translator) => translator.lend(bytes, &mut each),
                    None => Err(ClientError::Binary),
                },
                Ok(Some((event, sender))) => heed(event, sender, &mut self.out, &mut each),
                Err(fault) => break Some(ClientError::Fault(fault)),
            };
            match heard {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => return,
                Err(end) => break Some(end),
            }
        };
        drop(decoder);
        self.unread = false;
        if let Some(end) = end {
            // Where the closing handshake or a lack of random bytes forbids it, nothing is said.
            let _ = self.say_farewell(end.farewell());
            self.over = true;
            self.end = Some(end);
        }
    }

    /// Begins the closing handshake, unless it has begun.
    pub(super) fn close(&mut self, frame: CloseFrame<'_>) -> Result<(), RequestError> {
        self.say_farewell(Some(frame))
    }

    /// Why nothing more is read, told once.
    pub(super) const fn take_end(&mut self) -> Option<ClientError> {
        self.end.take()
    }

    /// Asks for channels; the number of the request comes back in its acknowledgement.
    pub(super) fn subscribe(&mut self, channels: &[&str]) -> Result<u64, RequestError> {
        if channels.len() > REQUEST_CHANNELS_MAX {
            return Err(RequestError::TooManyChannels {
                channels: channels.len(),
            });
        }
        let id = self.request + 1;
        self.ask(&json!({ "op": "sub", "id": id, "ch": channels }).to_string())
    }

    /// Asks for the server's time; `t0_ns` comes back with it.
    pub(super) fn ping(&mut self, t0_ns: u64) -> Result<u64, RequestError> {
        let id = self.request + 1;
        self.ask(&json!({ "op": "ping", "id": id, "t0": t0_ns }).to_string())
    }

    /// Whether the next [`read`](Self::read) may hand out a message without another byte.
    pub(super) const fn unread(&self) -> bool {
        self.unread
    }

    /// Whether the end is known and nobody was told.
    pub(super) const fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether nothing more is read, because the end is known.
    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    /// Whether so much is to be sent that nothing more should be received.
    pub(super) const fn is_clogged(&self) -> bool {
        self.out.len() - self.sent >= CLIENT_UNSENT_BYTES_MAX
    }

    fn ask(&mut self, text: &str) -> Result<u64, RequestError> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(RequestError::TooLong { bytes: text.len() });
        }
        let key = masking_key().map_err(RequestError::Random)?;
        let sender = self.session.sender();
        sender
            .text(text, key, &mut self.out)
            .map_err(|Silenced| RequestError::Closing)?;
        self.request += 1;
        Ok(self.request)
    }

    fn say_farewell(&mut self, frame: Option<CloseFrame<'_>>) -> Result<(), RequestError> {
        let key = masking_key().map_err(RequestError::Random)?;
        let sender = self.session.sender();
        sender
            .close(frame, key, &mut self.out)
            .map_err(|Silenced| RequestError::Closing)
    }
}

/// Turns binary ticks into what they say.
#[derive(Debug, Default)]
struct Translator {
    levels: Vec<Level>,
    text: Vec<u8>,
}

impl Translator {
    /// Lends what a binary message says to `each`. A message of a kind that is not known says nothing: a newer server
    /// may say more.
    fn lend(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ClientError> {
        let message = native_binary::Message::decode(bytes, &mut self.levels);
        let Content::Tick(stamp, tick) = message.map_err(ClientError::UnreadableBinary)?.content else {
            return Ok(ControlFlow::Continue(()));
        };
        self.text.clear();
        native_json::encode(&mut self.text, &stamp, &tick);
        // What was written is text, and a tick that is not would have been refused.
        let text = str::from_utf8(&self.text).unwrap_or_default();
        Ok(each(Message {
            text,
            bytes: bytes.len(),
            content: ServerMessage::of_tick(&stamp, &tick),
        }))
    }
}

/// What reads the server's compressed messages.
fn inflater(deflate: Deflate) -> Inflater {
    if deflate.server_no_context_takeover {
        Inflater::new(CLIENT_MESSAGE_BYTES_MAX)
    } else {
        Inflater::with_context_takeover(CLIENT_MESSAGE_BYTES_MAX, deflate.server_max_window_bits)
    }
}

/// Does what one event asks for.
fn heed(
    event: Event<'_>,
    sender: &Sender<wire::Client>,
    out: &mut Vec<u8>,
    each: &mut impl FnMut(Message<'_>) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, ClientError> {
    match event {
        Event::Text(text) => {
            let content = ServerMessage::parse(text).map_err(ClientError::Unreadable)?;
            let bytes = text.len();
            Ok(each(Message { text, bytes, content }))
        }
        Event::Binary(_) => Err(ClientError::Binary),
        Event::Ping(payload) => {
            let key = masking_key().map_err(ClientError::Random)?;
            // The decoder reads no ping behind a close frame, so that a pong is never forbidden.
            let _ = sender.pong(payload, key, out);
            Ok(ControlFlow::Continue(()))
        }
        Event::Pong(_) => Ok(ControlFlow::Continue(())),
        Event::Close(frame) => Err(ClientError::Closed {
            code: frame.map(|frame| frame.code),
            reason: frame.map_or_else(String::new, |frame| frame.reason.to_owned()),
        }),
    }
}

/// RFC 6455 §5.3: each frame is masked with a key that nobody can foretell.
fn masking_key() -> Result<MaskingKey, getrandom::Error> {
    let mut key = [0; 4];
    getrandom::fill(&mut key)?;
    Ok(MaskingKey::new(key))
}

/// Always leaves room for more once a decoder has been drained.
const RECEIVE_BYTES: usize = ClientSession::buffer_bytes_min(CLIENT_MESSAGE_BYTES_MAX);

#[cfg(test)]
mod tests;
