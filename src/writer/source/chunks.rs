//! Reads a descriptor chunk by chunk through the ring.
//!
//! Invariant: a read that was started is never lost. [`Chunks::read`] may be dropped at any await and called
//! again: the operation stays with the reader, and its bytes come out of the next call.

use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio_uring::BufResult;
use tokio_uring::fs::File;

use crate::limits::SOURCE_READ_BYTES;

/// A descriptor being read from its beginning, or from where it stands, to its end.
pub(super) struct Chunks {
    file: Rc<File>,
    /// Whether reads name their offset; else they go on from where the descriptor stands.
    positioned: bool,
    bytes_read: u64,
    reading: Option<Pin<Box<dyn Future<Output = BufResult<usize, Vec<u8>>>>>>,
    /// The last chunk; empty while a read is under way, which owns the memory then.
    chunk: Vec<u8>,
    /// Waits for a descriptor that others made non-blocking.
    readiness: Option<AsyncFd<OwnedFd>>,
}

impl Chunks {
    /// Reads a file from its first byte.
    pub(super) fn from_start(file: File) -> Self {
        Self::new(file, true, None)
    }

    /// Reads from where the descriptor stands: a pipe, a terminal, a socket, or a file that was redirected here
    /// and may have been read in part by somebody else.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub(super) fn from_here(descriptor: OwnedFd) -> io::Result<Self> {
        // Regular files are always ready, which epoll says by refusing them.
        let readiness = AsyncFd::with_interest(descriptor.try_clone()?, Interest::READABLE).ok();
        let file = File::from_std(std::fs::File::from(descriptor));
        Ok(Self::new(file, false, readiness))
    }

    fn new(file: File, positioned: bool, readiness: Option<AsyncFd<OwnedFd>>) -> Self {
        Self {
            file: Rc::new(file),
            positioned,
            bytes_read: 0,
            reading: None,
            chunk: Vec::with_capacity(SOURCE_READ_BYTES),
            readiness,
        }
    }

    /// The next bytes; none at the end. Forgets the chunk before.
    ///
    /// # Errors
    /// What the kernel answered.
    pub(super) async fn read(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.attempt().await {
                Ok(()) => return Ok(&self.chunk),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    /// The bytes of the last chunk; none while a read is under way.
    pub(super) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    async fn attempt(&mut self) -> io::Result<()> {
        let reading = self.reading.get_or_insert_with(|| {
            let file = Rc::clone(&self.file);
            let mut chunk = std::mem::take(&mut self.chunk);
            chunk.clear();
            let offset = if self.positioned { self.bytes_read } else { WHERE_IT_STANDS };
            Box::pin(async move { file.read_at(chunk, offset).await })
        });
        let (result, chunk) = reading.await;
        self.reading = None;
        self.chunk = chunk;
        self.bytes_read += result? as u64;
        Ok(())
    }

    /// Waits until a non-blocking descriptor has something to read.
    async fn ready(&self, error: io::Error) -> io::Result<()> {
        let Some(readiness) = &self.readiness else {
            return Err(error);
        };
        readiness.readable().await?.clear_ready();
        Ok(())
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("bytes_read", &self.bytes_read)
            .field("reading", &self.reading.is_some())
            .finish_non_exhaustive()
    }
}

/// To io_uring, offset -1 is the descriptor's own position: the same call then serves pipes, terminals and
/// files.
const WHERE_IT_STANDS: u64 = u64::MAX;
