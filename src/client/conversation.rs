//! The client's half of an open connection, without the socket: bytes in, messages and bytes out.
//!
//! Never waits and never touches a socket: the caller puts what it received into [`halves`](Conversation::halves)
//! and takes from there what is to be sent. Messages are lent to a callback where they were received. What they say is
//! not looked at here.
//!
//! Invariant: the buffer begins with what the session holds, then `fresh` bytes that it has not seen. Once the end
//! is known, nothing more is read.

use std::ops::ControlFlow;

use super::error::{ClientError, RequestError};
use crate::dialect::Encoding;
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, CLIENT_UNSENT_BYTES_MAX, MESSAGE_BYTES_MAX};
use crate::wire::{self, ClientSession, CloseFrame, Deflate, Event, Inflater, MaskingKey, Sender, Silenced};

/// One message of the server as it came, inflated where it was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payload<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

/// Everything about one open connection but its socket.
#[derive(Debug)]
pub(super) struct Conversation {
    session: ClientSession,
    /// Where the server may compress.
    inflater: Option<Inflater>,
    /// In which form ticks come.
    encoding: Encoding,
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
            encoding,
            buffer,
            fresh,
            unread: fresh > 0,
            out: Vec::new(),
            sent: 0,
            over: false,
            end: None,
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
    pub(super) fn read(&mut self, mut each: impl FnMut(Payload<'_>) -> ControlFlow<()>) {
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
                Ok(Some((Event::Text(text), _))) => Ok(each(Payload::Text(text))),
                Ok(Some((Event::Binary(bytes), _))) if self.encoding == Encoding::Binary => {
                    Ok(each(Payload::Binary(bytes)))
                }
                Ok(Some((event, sender))) => heed(event, sender, &mut self.out),
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
            self.fail(end);
        }
    }

    /// Ends the conversation for a reason of ours, which the server is told.
    pub(super) fn fail(&mut self, end: ClientError) {
        // Where the closing handshake or a lack of random bytes forbids it, nothing is said.
        let _ = self.say_farewell(end.farewell());
        self.over = true;
        self.unread = false;
        self.end = Some(end);
    }

    /// Begins the closing handshake, unless it has begun.
    pub(super) fn close(&mut self, frame: CloseFrame<'_>) -> Result<(), RequestError> {
        self.say_farewell(Some(frame))
    }

    /// Why nothing more is read, told once.
    pub(super) const fn take_end(&mut self) -> Option<ClientError> {
        self.end.take()
    }

    /// Sends a request.
    pub(super) fn ask(&mut self, text: &str) -> Result<(), RequestError> {
        if text.len() > MESSAGE_BYTES_MAX {
            return Err(RequestError::TooLong { bytes: text.len() });
        }
        let key = masking_key().map_err(RequestError::Random)?;
        let sender = self.session.sender();
        sender
            .text(text, key, &mut self.out)
            .map_err(|Silenced| RequestError::Closing)
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

    /// Bytes that are to be sent.
    pub(super) const fn unsent_bytes(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Whether so much is to be sent that nothing more should be received.
    pub(super) const fn is_clogged(&self) -> bool {
        self.unsent_bytes() >= CLIENT_UNSENT_BYTES_MAX
    }

    fn say_farewell(&mut self, frame: Option<CloseFrame<'_>>) -> Result<(), RequestError> {
        let key = masking_key().map_err(RequestError::Random)?;
        let sender = self.session.sender();
        sender
            .close(frame, key, &mut self.out)
            .map_err(|Silenced| RequestError::Closing)
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

/// Does what an event asks for that is no message.
fn heed(
    event: Event<'_>,
    sender: &Sender<wire::Client>,
    out: &mut Vec<u8>,
) -> Result<ControlFlow<()>, ClientError> {
    match event {
        Event::Text(_) | Event::Pong(_) => Ok(ControlFlow::Continue(())),
        Event::Binary(_) => Err(ClientError::Binary),
        Event::Ping(payload) => {
            let key = masking_key().map_err(ClientError::Random)?;
            // The decoder reads no ping behind a close frame, so that a pong is never forbidden.
            let _ = sender.pong(payload, key, out);
            Ok(ControlFlow::Continue(()))
        }
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
