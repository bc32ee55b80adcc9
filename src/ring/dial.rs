//! A client's socket: made, bound and on its way, before it is handed to a ring.
//!
//! Never waits: the connection stands, or has failed, when a poll for writing reports.

use super::Errno;
use super::uring::kernel;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::Duration;

/// What a client's socket is to be like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DialOptions {
    /// The address to come from; `None` for what the kernel chooses. Its port is chosen when the connection is begun, so
    /// that one port serves for many servers.
    pub source: Option<IpAddr>,
    /// `SO_RCVBUF`, in bytes; `None` for a buffer that grows as it needs to.
    pub receive_buffer_bytes: Option<u32>,
}

/// Begins a connection to `target`. Closing the socket resets it, so that a client which comes and goes many times leaves
/// no port waiting for stragglers.
///
/// # Errors
/// What the kernel refuses at once: for want of descriptors, memory or ports, or because nobody listens.
pub fn dial(target: SocketAddr, options: &DialOptions) -> Result<OwnedFd, Errno> {
    let socket = begin(target, options).map_err(|error| Errno::of(&error))?;
    Ok(socket.into())
}

fn begin(target: SocketAddr, options: &DialOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(target), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_linger(Some(Duration::ZERO))?;
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    if let Some(source) = options.source {
        kernel::bind_without_port(socket.as_raw_fd())?;
        socket.bind(&SockAddr::from(SocketAddr::new(source, 0)))?;
    }
    match socket.connect(&target.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        Ok(()) | Err(_) => Ok(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn a_connection_comes_from_the_address_that_was_asked_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        for source in ["127.0.0.1", "127.0.0.2", "127.1.2.3"] {
            let source: IpAddr = source.parse().unwrap();
            let options = DialOptions {
                source: Some(source),
                receive_buffer_bytes: Some(8192),
            };
            let _socket = dial(target, &options).unwrap();
            let (_accepted, from) = listener.accept().unwrap();
            assert_eq!(from.ip(), source);
        }
    }

    #[test]
    fn closing_a_dialled_socket_resets_the_connection() {
        use std::io::Read as _;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let socket = dial(listener.local_addr().unwrap(), &DialOptions::default()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        drop(socket);
        let error = accepted.read(&mut [0]).unwrap_err();
        assert_eq!(Errno::of(&error), Errno::CONNECTION_RESET);
    }
}
