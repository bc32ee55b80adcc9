//! One send(2) a socket: what the standard library's write on a socket is.

use super::{Crowd, send_rest};
use std::io::{self, Write};
use std::net::TcpStream;

pub(crate) struct Sends;

impl Sends {
    #[expect(clippy::unnecessary_wraps, reason = "a ring may not be had; this may")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self)
    }
}

impl Crowd for Sends {
    fn send_all(&mut self, sockets: &mut Vec<TcpStream>, bytes: &[u8]) -> io::Result<()> {
        sockets.retain_mut(|socket| send(socket, bytes).is_ok());
        Ok(())
    }
}

fn send(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    let sent = match socket.write(bytes) {
        Ok(sent) => sent,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    if sent == bytes.len() {
        return Ok(());
    }
    send_rest(socket, &bytes[sent..])
}
