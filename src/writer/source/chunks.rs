//! Reads a descriptor chunk by chunk through the ring.
//!
//! Invariant: a read that was started is never lost. [`Chunks::read`] may be dropped at any await and called
//! again: the operation stays with the reader, and its bytes come out of the next call.

use bytes::BytesMut;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio_uring::BufResult;
use tokio_uring::fs::File;

use crate::limits::SOURCE_READ_BYTES;

/// A descriptor being read from its beginning, or from where it stands, to its end.
pub(super) struct Chunks {
    file: Rc<File>,
    /// Whether reads name their offset; else they go on from where the descriptor stands.
    positioned: bool,
    bytes_read: u64,
    reading: Option<Reading>,
    /// The last chunk; empty while a read is under way, which owns the memory then.
    chunk: BytesMut,
}

type Reading = Pin<Box<dyn Future<Output = BufResult<usize, BytesMut>>>>;

impl Chunks {
    /// Reads a file from its first byte.
    pub(super) fn from_start(file: File) -> Self {
        Self::new(file, true)
    }

    /// Reads from where the descriptor stands: a pipe, a terminal, a socket, or a file that was redirected here
    /// and may have been read in part by somebody else.
    pub(super) fn from_here(descriptor: OwnedFd) -> Self {
        Self::new(File::from_std(std::fs::File::from(descriptor)), false)
    }

    fn new(file: File, positioned: bool) -> Self {
        Self {
            file: Rc::new(file),
            positioned,
            bytes_read: 0,
            reading: None,
            chunk: BytesMut::with_capacity(SOURCE_READ_BYTES),
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
                // Somebody who shares the descriptor made it non-blocking, and the ring then waits for nobody.
                // Making it blocking again would take it from them, so we look again now and then.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(RETRY).await,
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
            let offset = if self.positioned {
                self.bytes_read
            } else {
                WHERE_IT_STANDS
            };
            Box::pin(async move { file.read_at(chunk, offset).await })
        });
        let (result, chunk) = reading.await;
        self.reading = None;
        self.chunk = chunk;
        self.bytes_read += result? as u64;
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
/// Between two looks at a non-blocking descriptor that had nothing to read.
const RETRY: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::runtime::runtime;
    use std::io::{Read, Seek, SeekFrom, Write};

    async fn all(chunks: &mut Chunks) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match chunks.read().await.unwrap() {
                [] => return bytes,
                chunk => bytes.extend_from_slice(chunk),
            }
        }
    }

    /// A file without a name that holds so many bytes.
    fn file(length: usize) -> (std::fs::File, Vec<u8>) {
        let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
        let path = std::env::temp_dir().join(format!("tickwire-chunks-{}-{length}", std::process::id()));
        let mut file = std::fs::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(path).unwrap();
        file.write_all(&bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        (file, bytes)
    }

    #[test]
    fn a_file_is_read_from_its_start_whatever_its_descriptor_did_before() {
        let (mut file, bytes) = file(3 * SOURCE_READ_BYTES + 5);
        file.read_exact(&mut [0; 100]).unwrap();
        runtime().unwrap().block_on(async {
            let mut chunks = Chunks::from_start(File::from_std(file));
            assert_eq!(all(&mut chunks).await, bytes);
            assert_eq!(chunks.bytes_read(), bytes.len() as u64);
        });
    }

    #[test]
    fn a_redirected_file_is_read_from_where_its_descriptor_stands() {
        let (mut file, bytes) = file(2 * SOURCE_READ_BYTES + 6);
        file.read_exact(&mut [0; 100]).unwrap();
        runtime().unwrap().block_on(async {
            assert_eq!(all(&mut Chunks::from_here(file.into())).await, bytes[100..]);
        });
    }

    #[test]
    fn a_pipe_is_read_as_it_comes_and_a_read_given_up_half_way_loses_nothing() {
        let (reader, mut writer) = io::pipe().unwrap();
        runtime().unwrap().block_on(async {
            let mut chunks = Chunks::from_here(reader.into());
            let brief = Duration::from_millis(1);
            for word in ["one", "two", "three"] {
                for _ in 0..3 {
                    assert!(tokio::time::timeout(brief, chunks.read()).await.is_err());
                    assert_eq!(chunks.chunk(), b"");
                }
                writer.write_all(word.as_bytes()).unwrap();
                assert_eq!(chunks.read().await.unwrap(), word.as_bytes());
                assert_eq!(chunks.chunk(), word.as_bytes());
            }
            drop(writer);
            assert_eq!(chunks.read().await.unwrap(), b"");
            assert_eq!(chunks.bytes_read(), 11);
        });
    }

    #[test]
    fn a_descriptor_that_others_made_non_blocking_is_read_all_the_same() {
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        reader.set_nonblocking(true).unwrap();
        runtime().unwrap().block_on(async {
            let mut chunks = Chunks::from_here(reader.into());
            assert!(tokio::time::timeout(3 * RETRY, chunks.read()).await.is_err());
            writer.write_all(b"late").unwrap();
            assert_eq!(chunks.read().await.unwrap(), b"late");
        });
    }
}
