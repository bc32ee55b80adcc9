//! What a peer's bytes amount to.

use super::CloseFrame;

/// One message or control frame, borrowed from the buffer that it was decoded in.
///
/// ```
/// use tickwire::wire::Event;
/// assert!(matches!(Event::Text("{}"), Event::Text(text) if text.starts_with('{')));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole text message (RFC 6455 §5.6).
    Text(&'a str),
    /// A whole binary message (RFC 6455 §5.6).
    Binary(&'a [u8]),
    /// A ping: answer with [`Sender::pong`](super::Sender::pong) and the same payload (RFC 6455 §5.5.2).
    Ping(&'a [u8]),
    /// A pong, asked for or not (RFC 6455 §5.5.3).
    Pong(&'a [u8]),
    /// The peer's close frame, the last event of a session. Where the closing handshake was not begun here,
    /// answer with [`Sender::close`](super::Sender::close) and the same frame (RFC 6455 §5.5.1).
    Close(Option<CloseFrame<'a>>),
}
