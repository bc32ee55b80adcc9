//! A client that does what no decent library would: raw bytes over TCP, frames by hand.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use flate2::read::DeflateDecoder;
use socket2::SockRef;

use super::DEADLINE;

/// One TCP connection.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
    /// Whether permessage-deflate was agreed on, each message by itself.
    may_compress: bool,
}

/// One frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    /// Whether the payload is compressed (RFC 7692 §6).
    pub(crate) compressed: bool,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The payload, inflated where it was compressed.
    pub(crate) fn message(&self) -> Vec<u8> {
        if !self.compressed {
            return self.payload.clone();
        }
        // RFC 7692 §7.2.2: the tail that was cut off.
        let tail = [&self.payload[..], &[0, 0, 0xff, 0xff]].concat();
        let mut message = Vec::new();
        let mut inflate = DeflateDecoder::new(&tail[..]);
        // Nothing ends this stream, which is all that the error can say.
        let _ = inflate.read_to_end(&mut message);
        message
    }

    /// The code and reason of a close frame.
    pub(crate) fn closes(&self) -> (u16, &str) {
        assert_eq!(self.opcode, CLOSE, "{self:?}");
        let code = u16::from_be_bytes([self.payload[0], self.payload[1]]);
        (
            code,
            std::str::from_utf8(&self.payload[2..]).expect("a reason is UTF-8"),
        )
    }

    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.opcode, TEXT, "{self:?}");
        std::str::from_utf8(&self.payload).expect("text is UTF-8")
    }
}

impl Raw {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self {
            stream,
            read: Vec::new(),
            may_compress: false,
        }
    }

    /// The same connection, to write to while this one is read from, or the other way round.
    pub(crate) fn twin(&self) -> Self {
        Self {
            stream: self.stream.try_clone().expect("a descriptor"),
            read: Vec::new(),
            may_compress: self.may_compress,
        }
    }

    /// Messages from the server may be compressed from now on.
    pub(crate) fn expect_compressed(&mut self) {
        self.may_compress = true;
    }

    /// Connects and shakes hands; the greeting has been read.
    pub(crate) fn open(address: SocketAddr) -> Self {
        let mut raw = Self::connect(address);
        raw.send(UPGRADE.as_bytes());
        raw.opened();
        assert!(raw.frame().text().starts_with("{\"t\":\"hello\""));
        raw
    }

    /// The same, tried again as long as the server hangs up without a word, as it does in a crowd.
    pub(crate) fn open_amid_a_crowd(address: SocketAddr) -> Self {
        let mut tries = (0..100).map(|_| {
            let mut raw = Self::connect(address);
            raw.send(UPGRADE.as_bytes());
            raw.read_more().then_some(raw)
        });
        let mut raw = tries.find_map(|raw| raw).expect("a crowd passes");
        raw.opened();
        assert!(raw.frame().text().starts_with("{\"t\":\"hello\""));
        raw
    }

    /// Reads the response to [`UPGRADE`].
    pub(crate) fn opened(&mut self) {
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
        // RFC 6455 §1.3 gives this key and this answer.
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    }

    /// Sends all of `bytes`, as far as the server lets us: it may have hung up already.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        if let Err(error) = self.stream.write_all(bytes) {
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "send: {error}");
        }
    }

    /// Sends all of `bytes`, unless the server has hung up.
    pub(crate) fn sends(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Whether anything comes, the end of the stream included, within that time.
    pub(crate) fn hears_within(&self, wait: Duration) -> bool {
        if !self.read.is_empty() {
            return true;
        }
        self.stream.set_read_timeout(Some(wait)).expect("a read timeout");
        let peeked = self.stream.peek(&mut [0]);
        self.stream
            .set_read_timeout(Some(DEADLINE))
            .expect("a read timeout");
        match peeked {
            Ok(_) => true,
            Err(error) => {
                ![ErrorKind::WouldBlock, ErrorKind::TimedOut, ErrorKind::Interrupted].contains(&error.kind())
            }
        }
    }

    /// Is gone without a word.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream)
            .set_linger(Some(Duration::ZERO))
            .expect("SO_LINGER");
    }

    /// Ends our side of the stream.
    pub(crate) fn end(&self) {
        self.stream
            .shutdown(std::net::Shutdown::Write)
            .expect("connected");
    }

    /// The head of a response, its empty line included.
    pub(crate) fn head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let rest = self.read.split_off(end + 4);
                let head = std::mem::replace(&mut self.read, rest);
                return String::from_utf8(head).expect("a head is ASCII");
            }
            assert!(
                self.read_more(),
                "the stream ended within a head: {:?}",
                self.read
            );
        }
    }

    /// Everything up to the end of the stream.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.read_more() {}
        std::mem::take(&mut self.read)
    }

    /// The next frame.
    pub(crate) fn frame(&mut self) -> Frame {
        loop {
            if let Some((frame, bytes)) = parse(&self.read) {
                assert!(
                    self.may_compress || !frame.compressed,
                    "no compression was agreed on: {frame:?}"
                );
                self.read.drain(..bytes);
                return frame;
            }
            assert!(
                self.read_more(),
                "the stream ended before a frame: {:?}",
                self.read
            );
        }
    }

    /// The next frame, unless the stream ends before it does.
    pub(crate) fn try_frame(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, bytes)) = parse(&self.read) {
                self.read.drain(..bytes);
                return Some(frame);
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// The next frame that is no data.
    pub(crate) fn control(&mut self) -> Frame {
        loop {
            let frame = self.frame();
            if frame.opcode & 8 != 0 {
                return frame;
            }
        }
    }

    /// Nothing comes any more.
    pub(crate) fn is_over(&mut self) -> bool {
        self.rest().is_empty()
    }

    /// Reads once; `false` at the end of the stream.
    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 64 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => false,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            // A read with a timeout is not restarted by the kernel.
            Err(error) if error.kind() == ErrorKind::Interrupted => true,
            Err(error) => panic!("receive: {error}"),
        }
    }
}

/// A frame as a client sends it: final, masked, of the given first byte.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), true);
    let mask = [0x12, 0x34, 0x56, 0x78];
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    frame
}

/// The same without its mask, as only a server may send it.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(first, payload.len(), false);
    frame.extend_from_slice(payload);
    frame
}

/// A whole text message.
pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(FIN | TEXT, text.as_bytes())
}

fn header(first: u8, len: usize, is_masked: bool) -> Vec<u8> {
    let mask = if is_masked { 0x80 } else { 0 };
    let mut header = vec![first];
    if let Ok(len @ ..126) = u8::try_from(len) {
        header.push(mask | len);
    } else if let Ok(len) = u16::try_from(len) {
        header.push(mask | 126);
        header.extend(len.to_be_bytes());
    } else {
        header.push(mask | 127);
        header.extend((len as u64).to_be_bytes());
    }
    header
}

/// The unmasked frame that `bytes` begins with, and its length, once it is whole.
fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(
        first & 0xb0,
        FIN,
        "a server's frames are final and have no reserved bits but the first: {first:#x}"
    );
    assert_eq!(second & 0x80, 0, "a server's frames are not masked");
    let (len, start) = match second {
        126 => (
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
            4,
        ),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        len => (len.into(), 2),
    };
    let end = start + usize::try_from(len).expect("a frame of a test fits into memory");
    let payload = bytes.get(start..end)?.to_vec();
    Some((
        Frame {
            opcode: first & 0x0f,
            compressed: first & 0x40 != 0,
            payload,
        },
        end,
    ))
}

pub(crate) const FIN: u8 = 0x80;
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A request for the feed, with the key of RFC 6455 §1.3.
pub(crate) const UPGRADE: &str = "GET /v1/ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
