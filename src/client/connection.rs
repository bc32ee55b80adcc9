//! One connection to a server.
//!
//! Never reads ahead of its caller: who does not call [`Connection::receive`] is a slow consumer, and the server will
//! say so.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::conversation::{Conversation, Payload};
use super::{ClientError, ConnectError, RequestError, Url, handshake};
use crate::dialect::Encoding;
use crate::limits::{CLIENT_UNSENT_BYTES_MAX, CLOSE_MS};
use crate::wire::{CloseCode, CloseFrame, DeflateOffer};

/// What to ask of a server when connecting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// In which form ticks are to come. A server that does not speak it refuses.
    pub(super) encoding: Encoding,
    /// What to offer about permessage-deflate (RFC 7692): a server that accepts it may compress what it sends. What is
    /// sent to it goes uncompressed, for requests are short.
    pub(super) deflate: Option<DeflateOffer>,
}

/// An open connection to a server, in the language `tickwire.v1.json` or `tickwire.v1.bin`.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    conversation: Conversation,
    /// Why nothing can be sent any more. What the server said before may still be read.
    mute: Option<io::Error>,
}

impl Connection {
    /// Connects and opens a WebSocket. Nothing is tried twice.
    ///
    /// # Errors
    /// Why there is no connection; a server that refuses is quoted.
    pub(super) async fn open(url: &Url, wishes: Wishes) -> Result<Self, ConnectError> {
        let (stream, conversation) = handshake::open(url, wishes).await?;
        Ok(Self {
            stream,
            conversation,
            mute: None,
        })
    }

    /// Makes a request. It goes out with the next [`receive`](Self::receive).
    ///
    /// # Errors
    /// Why the request was not made.
    pub(super) fn ask(&mut self, text: &str) -> Result<(), RequestError> {
        self.conversation.ask(text)
    }

    /// Whether a request may be made, by what waits to be sent: answers to pings find room besides.
    pub(super) const fn may_ask(&self) -> bool {
        self.conversation.unsent_bytes() < CLIENT_UNSENT_BYTES_MAX / 2
    }

    /// Ends the connection for a reason of ours: the next [`receive`](Self::receive) tells the server and fails with it.
    pub(super) fn fail(&mut self, end: ClientError) {
        self.conversation.fail(end);
    }

    /// Waits for bytes of the server, and lends each message that they complete, which may be none, to `each`.
    /// When `each` breaks off, the messages behind are lent by the next call. Meanwhile requests are sent and pings
    /// answered.
    ///
    /// Dropping the future loses nothing: messages are lent only behind its last point of waiting.
    ///
    /// # Errors
    /// Why the connection ended, after all messages before the end were lent, the server's close frame or fault was
    /// answered, and the server has ended its stream or had [`CLOSE_MS`] to do so. There is no more to receive then.
    pub(super) async fn receive(
        &mut self,
        each: impl FnMut(Payload<'_>) -> ControlFlow<()>,
    ) -> Result<(), ClientError> {
        if self.conversation.has_ended() {
            self.hang_up().await;
        }
        if let Some(end) = self.conversation.take_end() {
            return Err(end);
        }
        // One read may bring thousands of messages, far more work than the runtime counts it for: without this,
        // timers and signals would wait for as long as the server is faster than we are.
        tokio::task::yield_now().await;
        while !self.conversation.unread() {
            self.exchange().await?;
        }
        self.conversation.read(each);
        Ok(())
    }

    /// Closes the connection: sends a close frame, discards what still comes, and waits for the server's.
    ///
    /// # Errors
    /// When the server's close frame did not come, at the latest after [`CLOSE_MS`].
    pub(super) async fn close(mut self, code: CloseCode, reason: &str) -> Result<(), ClientError> {
        let closing = async {
            // What forbids a close frame is the server's own, whose answer is on its way.
            let _ = self.conversation.close(CloseFrame::new(code, reason));
            loop {
                self.conversation.read(|_| ControlFlow::Continue(()));
                match self.conversation.take_end() {
                    Some(ClientError::Closed { .. }) => return Ok(()),
                    Some(end) => return Err(end),
                    None => self.exchange().await?,
                }
            }
        };
        match timeout(Duration::from_millis(CLOSE_MS), closing).await {
            Ok(closed) => closed?,
            Err(_) => return Err(ClientError::CloseTimeout),
        }
        self.hang_up().await;
        Ok(())
    }

    /// Moves some bytes, in either direction.
    async fn exchange(&mut self) -> Result<(), ClientError> {
        if self.conversation.is_over() {
            return Err(ClientError::Cut);
        }
        let clogged = self.conversation.is_clogged() && self.mute.is_none();
        let (mut reader, mut writer) = self.stream.split();
        let (room, unsent) = self.conversation.halves();
        let moved = tokio::select! {
            biased;
            sent = writer.write(unsent), if !unsent.is_empty() && self.mute.is_none() => Moved::Out(sent),
            received = reader.read(room), if !clogged => Moved::In(received),
        };
        match moved {
            Moved::Out(Ok(bytes)) => self.conversation.sent(bytes),
            // A server that hung up may have said why: that is still to be read.
            Moved::Out(Err(error)) => self.mute = Some(error),
            Moved::In(Ok(0)) => return Err(self.mute.take().map_or(ClientError::Cut, ClientError::Lost)),
            Moved::In(Ok(bytes)) => self.conversation.received(bytes),
            Moved::In(Err(error)) => return Err(ClientError::Lost(error)),
        }
        Ok(())
    }

    /// Sends what is owed, throws away what still comes until the server ends its stream, and then ends ours: who ends
    /// first is left with the connection's `TIME_WAIT`, and that is to be the server (RFC 6455 §7.1.1). A server that
    /// takes no more, or is not done after [`CLOSE_MS`], is not waited for.
    async fn hang_up(&mut self) {
        let farewell = async {
            loop {
                let (_, unsent) = self.conversation.halves();
                if unsent.is_empty() || self.mute.is_some() {
                    break;
                }
                match self.stream.write(unsent).await {
                    Ok(bytes) => self.conversation.sent(bytes),
                    Err(error) => self.mute = Some(error),
                }
            }
            copy(&mut self.stream, &mut sink()).await
        };
        let _ = timeout(Duration::from_millis(CLOSE_MS), farewell).await;
        let _ = self.stream.shutdown().await;
    }
}

/// What an exchange came to.
enum Moved {
    In(io::Result<usize>),
    Out(io::Result<usize>),
}
