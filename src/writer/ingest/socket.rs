//! The sockets on which publishers connect, of either family.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use tokio::net::UnixListener;
use tokio_uring::net::{TcpListener, TcpStream, UnixStream};

use super::IngestSpec;
use crate::limits;

/// A socket that publishers connect to.
pub(super) enum Listener {
    Tcp(TcpListener),
    /// This one is accepted on by polling: that of the ring asks for `SO_REUSEPORT`, which kernels of today refuse a Unix
    /// socket.
    Unix(UnixListener),
}

/// A publisher's connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Why publishers cannot connect.
#[derive(Debug)]
pub struct IngestError {
    spec: IngestSpec,
    why: Why,
}

#[derive(Debug)]
enum Why {
    Io(io::Error),
    /// What is there is no socket.
    NoSocket,
    /// Somebody listens there.
    InUse,
}

impl Listener {
    /// Listens where it was said. Must be called on the runtime.
    pub(super) fn bind(spec: &IngestSpec) -> Result<Self, IngestError> {
        let failed = |why| IngestError {
            spec: spec.clone(),
            why,
        };
        match spec {
            IngestSpec::Tcp(address) => match listen(*address) {
                Ok(listener) => Ok(Self::Tcp(TcpListener::from_std(listener))),
                Err(error) => Err(failed(Why::Io(error))),
            },
            IngestSpec::Unix(path) => {
                make_way(path).map_err(failed)?;
                match UnixListener::bind(path) {
                    Ok(listener) => Ok(Self::Unix(listener)),
                    Err(error) => Err(failed(Why::Io(error))),
                }
            }
        }
    }

    /// Where it listens, with the port that port 0 became.
    pub(super) fn address(&self, spec: &IngestSpec) -> IngestSpec {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map_or_else(|_| spec.clone(), IngestSpec::Tcp),
            Self::Unix(_) => spec.clone(),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener) => {
                let stream = listener.accept().await?.0.into_std()?;
                // Or the ring would not wait for it.
                stream.set_nonblocking(false)?;
                Ok(Stream::Unix(UnixStream::from_std(stream)))
            }
        }
    }
}

impl Stream {
    /// Reads what there is into the buffer, in place of what is in it.
    pub(super) async fn read(&self, mut buffer: Vec<u8>) -> (io::Result<usize>, Vec<u8>) {
        buffer.clear();
        match self {
            Self::Tcp(stream) => stream.read(buffer).await,
            Self::Unix(stream) => stream.read(buffer).await,
        }
    }

    pub(super) async fn write_all(&self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes).await.0,
            Self::Unix(stream) => stream.write_all(bytes).await.0,
        }
    }

    /// Ends it in both directions: whatever waits for it waits no longer.
    pub(super) fn shut_down(&self) {
        // One that has ended already is as good.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// A TCP listener whose connections find out about peers that are gone without a word.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    // Connections have both from their listener.
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(limits::INGEST_KEEPALIVE_S))
        .with_interval(Duration::from_secs(limits::INGEST_KEEPALIVE_S));
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(limits::INGEST_BACKLOG)?;
    Ok(socket.into())
}

/// Removes a socket that a server has left behind. One that somebody listens on, and any other file, stay.
fn make_way(path: &Path) -> Result<(), Why> {
    let status = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Why::Io(error)),
        Ok(status) => status,
    };
    if !status.file_type().is_socket() {
        return Err(Why::NoSocket);
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(Why::InUse),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(Why::Io)
        }
        Err(error) => Err(Why::Io(error)),
    }
}

/// The file of a Unix listener, which goes when that does.
#[derive(Debug)]
pub(super) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl fmt::Display for IngestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--ingest {}: ", self.spec)?;
        match &self.why {
            Why::Io(error) => write!(f, "cannot listen there: {error}"),
            Why::NoSocket => f.write_str("there is a file that is no socket; remove it or name another path"),
            Why::InUse => f.write_str("somebody listens there already; name another path"),
        }
    }
}

impl std::error::Error for IngestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.why {
            Why::Io(error) => Some(error),
            Why::NoSocket | Why::InUse => None,
        }
    }
}
