//! The opening handshake for servers without one of their own: tickwire's, with nothing negotiated.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use tickwire::wire::{HeadScan, Request, Upgrade};

/// The answer to a request that is whole, and how many bytes the request takes; `None` while it is not.
pub(crate) fn answer(received: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let refused = |refusal| io::Error::other(format!("not a handshake: {refusal:?}"));
    let Some((request, head_bytes)) = Request::parse(received, &mut HeadScan::default()).map_err(refused)?
    else {
        return Ok(None);
    };
    let mut response = Vec::new();
    Upgrade::parse(request)
        .map_err(refused)?
        .accept(None, None, &mut response);
    Ok(Some((response, head_bytes)))
}

/// Shakes hands on a socket that blocks. What has come behind the request is given back.
pub(crate) fn accept(socket: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    loop {
        let held = received.len();
        received.resize(held + PIECE_BYTES, 0);
        let read = socket.read(&mut received[held..])?;
        received.truncate(held + read);
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((response, head_bytes)) = answer(&received)? {
            socket.write_all(&response)?;
            return Ok(received.split_off(head_bytes));
        }
    }
}

const PIECE_BYTES: usize = 2048;
