//! A shard's own listening socket.
//!
//! Shards share the address, not the socket (`SO_REUSEPORT`): the kernel spreads connections over them by hash, and
//! no shard ever waits for another. Every option that clients' sockets need is set here and inherited, so that
//! accepting a client costs no system call of its own.

use super::Errno;
use crate::limits;
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

/// What the accepted sockets inherit, and how many may wait to be accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenerOptions {
    /// `SO_SNDBUF`, in bytes. The kernel doubles it for its overhead and cuts it to `net.core.wmem_max`. Setting it
    /// ends automatic growth, which is what bounds the kernel's memory per client.
    pub send_buffer_bytes: u32,
    /// `TCP_NOTSENT_LOWAT`, in bytes: unsent data beyond it makes the socket unwritable.
    pub unsent_bytes: u32,
    /// `SO_RCVBUF`, in bytes, doubled likewise and cut to `net.core.rmem_max`; `None` leaves it to the kernel, which lets
    /// it grow with what the client sends.
    pub receive_buffer_bytes: Option<u32>,
    /// Connections that may wait to be accepted; cut by the kernel to `net.core.somaxconn`.
    pub backlog: u32,
}

impl Default for ListenerOptions {
    fn default() -> Self {
        Self {
            send_buffer_bytes: limits::SOCKET_SEND_BYTES,
            unsent_bytes: limits::SOCKET_UNSENT_BYTES,
            receive_buffer_bytes: None,
            backlog: limits::LISTEN_BACKLOG,
        }
    }
}

/// Listens on `address`, sharing it with the other shards. Port 0 takes any free port, which the first listener's
/// `local_addr` tells the others.
///
/// # Errors
/// When the address cannot be had, and why.
pub fn listen(address: SocketAddr, options: &ListenerOptions) -> Result<TcpListener, ListenError> {
    let refused = |error: io::Error| ListenError::new(address, Errno::of(&error));
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).map_err(refused)?;
    socket.set_reuse_address(true).map_err(refused)?;
    socket.set_reuse_port(true).map_err(refused)?;
    socket.set_tcp_nodelay(true).map_err(refused)?;
    socket
        .set_send_buffer_size(options.send_buffer_bytes as usize)
        .map_err(refused)?;
    socket
        .set_tcp_notsent_lowat(options.unsent_bytes)
        .map_err(refused)?;
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes as usize).map_err(refused)?;
    }
    socket.bind(&address.into()).map_err(refused)?;
    socket
        .listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))
        .map_err(refused)?;
    Ok(socket.into())
}

/// Why an address cannot be listened on. Shown as one line with the cure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the kernel said.
    pub errno: Errno,
}

impl ListenError {
    fn new(address: SocketAddr, errno: Errno) -> Self {
        Self { address, errno }
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, errno } = self;
        write!(f, "cannot listen on {address}: ")?;
        match errno.0 {
            libc::EADDRINUSE => write!(
                f,
                "the address is in use; stop who holds it (ss -ltnp 'sport = :{}') or choose another port",
                address.port()
            ),
            libc::EADDRNOTAVAIL => write!(
                f,
                "this machine has no such address; choose one that `ip address` lists, or {}",
                if address.is_ipv6() { "[::]" } else { "0.0.0.0" }
            ),
            libc::EACCES | libc::EPERM => write!(
                f,
                "no permission; choose a port from 1024, or grant it: \
                 setcap cap_net_bind_service=+ep <binary>, or sysctl -w net.ipv4.ip_unprivileged_port_start={}",
                address.port()
            ),
            libc::EAFNOSUPPORT => write!(f, "this machine has no IPv6; listen on 0.0.0.0 instead"),
            libc::EMFILE | libc::ENFILE => {
                write!(f, "no descriptors left; raise the limit: ulimit -n 1048576")
            }
            _ => write!(f, "{errno}"),
        }
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;
    use std::net::{Ipv4Addr, TcpStream};

    const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn accepted_sockets_inherit_every_option() {
        let options = ListenerOptions {
            send_buffer_bytes: 16 * 1024,
            unsent_bytes: 4321,
            receive_buffer_bytes: Some(8 * 1024),
            ..ListenerOptions::default()
        };
        let listener = listen(ANY_PORT, &options).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert_eq!(accepted.send_buffer_size().unwrap(), 2 * 16 * 1024);
        assert_eq!(accepted.recv_buffer_size().unwrap(), 2 * 8 * 1024);
        assert_eq!(accepted.tcp_notsent_lowat().unwrap(), 4321);
    }

    #[test]
    fn shards_share_an_address() {
        let first = listen(ANY_PORT, &ListenerOptions::default()).unwrap();
        let address = first.local_addr().unwrap();
        let second = listen(address, &ListenerOptions::default()).unwrap();
        assert_eq!(second.local_addr().unwrap(), address);
    }

    #[test]
    fn an_address_in_use_is_named() {
        let holder = TcpListener::bind(ANY_PORT).unwrap();
        let address = holder.local_addr().unwrap();
        let error = listen(address, &ListenerOptions::default()).unwrap_err();
        assert_eq!(error, ListenError::new(address, Errno(libc::EADDRINUSE)));
        assert!(
            error
                .to_string()
                .contains(&format!("{address}: the address is in use"))
        );
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        // TEST-NET-1 (RFC 5737) belongs to nobody.
        let address = "192.0.2.1:9001".parse().unwrap();
        let error = listen(address, &ListenerOptions::default()).unwrap_err();
        assert_eq!(error.errno, Errno(libc::EADDRNOTAVAIL));
        assert!(
            error
                .to_string()
                .contains("192.0.2.1:9001: this machine has no such address")
        );
    }

    #[test]
    fn each_cause_has_its_cure() {
        let cures = [
            (libc::EACCES, "ip_unprivileged_port_start=80"),
            (libc::EAFNOSUPPORT, "0.0.0.0"),
            (libc::EMFILE, "ulimit -n"),
            (libc::EINVAL, "Invalid argument"),
        ];
        let address = "[::]:80".parse().unwrap();
        for (errno, cure) in cures {
            let line = ListenError::new(address, Errno(errno)).to_string();
            assert!(
                line.starts_with("cannot listen on [::]:80: ") && line.contains(cure),
                "{line}"
            );
        }
    }
}
