//! A connection in memory: a client's bytes that arrive in pieces, and replies that are counted and forgotten.
//!
//! It is a socket to every kind of reader: it never blocks, and has nothing more to say when its stream is at an end,
//! until it is rewound.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// One handle on a connection; all clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Link(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    stream: Vec<u8>,
    /// Sizes of the pieces that arrive, over and over.
    pieces: Vec<usize>,
    /// The piece under way.
    piece: usize,
    /// Where the bytes begin that were not read, and those that have not arrived.
    read: usize,
    arrived: usize,
    replies: Vec<u8>,
}

impl Link {
    /// A connection on which `stream` arrives in pieces of these sizes.
    pub(crate) fn new(stream: Vec<u8>, pieces: Vec<usize>) -> Self {
        Self(Rc::new(RefCell::new(State {
            stream,
            pieces,
            piece: 0,
            read: 0,
            arrived: 0,
            replies: Vec::new(),
        })))
    }

    /// Lets the stream begin again.
    pub(crate) fn rewind(&self) {
        let mut state = self.0.borrow_mut();
        (state.piece, state.read, state.arrived) = (0, 0, 0);
        state.replies.clear();
    }

    /// Receives what has arrived, as far as there is room; 0 when the stream is at its end.
    pub(crate) fn receive(&self, into: &mut [u8]) -> usize {
        self.take(into.len(), |bytes| into[..bytes.len()].copy_from_slice(bytes))
    }

    /// Lends up to `room` of the bytes that have arrived, and says how many.
    fn take(&self, room: usize, borrow: impl FnOnce(&[u8])) -> usize {
        let state = &mut *self.0.borrow_mut();
        if state.read == state.arrived {
            state.arrived = state.stream.len().min(state.arrived + state.pieces[state.piece]);
            state.piece = (state.piece + 1) % state.pieces.len();
        }
        let bytes = room.min(state.arrived - state.read);
        borrow(&state.stream[state.read..state.read + bytes]);
        state.read += bytes;
        bytes
    }

    /// Takes replies.
    pub(crate) fn send(&self, replies: &[u8]) {
        self.0.borrow_mut().replies.extend_from_slice(replies);
    }

    /// Bytes of the replies since the stream began.
    pub(crate) fn reply_bytes(&self) -> u64 {
        self.0.borrow().replies.len() as u64
    }
}

impl io::Read for Link {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.receive(into) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        }
    }
}

impl io::Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tokio::io::AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.take(into.remaining(), |bytes| into.put_slice(bytes)) {
            0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl tokio::io::AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.send(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
