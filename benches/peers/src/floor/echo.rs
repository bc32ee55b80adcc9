//! The floor of an echo: epoll, one recv(2), one send(2), and between them no more than a correct answer needs.
//!
//! It checks no text, puts no fragments together and takes every frame for a message.

use super::send_rest;
use crate::listen::listen;
use crate::{Args, handshake};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use tickwire::wire::{Direction, FrameHeader, Opcode, server_header, unmask};

/// Every thread has a listener of its own at the same address.
pub(crate) fn run(args: &Args) -> io::Result<()> {
    let mut others = Vec::new();
    for _ in 1..args.threads.get() {
        let listener = listen(args.listen)?;
        others.push(thread::spawn(move || serve(listener)));
    }
    serve(listen(args.listen)?)
}

/// One client.
struct Talker {
    socket: TcpStream,
    greeted: bool,
    /// The beginning of what has not arrived whole.
    begun: Vec<u8>,
}

fn serve(listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut poll = Poll::new()?;
    let watch = |poll: &Poll, fd, token| {
        let registry = poll.registry();
        registry.register(&mut SourceFd(&fd), token, Interest::READABLE)
    };
    watch(&poll, listener.as_raw_fd(), LISTENER)?;
    let mut events = Events::with_capacity(1024);
    let mut talkers: HashMap<Token, Talker> = HashMap::new();
    let mut last = LISTENER;
    let mut received = vec![0; RECEIVE_BYTES];
    let mut reply = Vec::new();
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((socket, _)) = listener.accept() {
                    socket.set_nonblocking(true)?;
                    last = Token(last.0 + 1);
                    watch(&poll, socket.as_raw_fd(), last)?;
                    talkers.insert(last, Talker::new(socket));
                }
                continue;
            }
            let Some(talker) = talkers.get_mut(&event.token()) else {
                continue;
            };
            if talker.hear(&mut received, &mut reply).is_err() {
                talkers.remove(&event.token());
            }
        }
    }
}

impl Talker {
    fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            greeted: false,
            begun: Vec::new(),
        }
    }

    /// Receives once, unless that filled the buffer, and answers all that is whole with one send.
    fn hear(&mut self, received: &mut [u8], reply: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let held = self.begun.len();
            received[..held].copy_from_slice(&self.begun);
            let read = match self.socket.read(&mut received[held..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let filled = held + read;
            let mut whole = 0;
            reply.clear();
            if !self.greeted
                && let Some((response, head_bytes)) = handshake::answer(&received[..filled])?
            {
                reply.extend_from_slice(&response);
                whole = head_bytes;
                self.greeted = true;
            }
            while self.greeted
                && let Some(frame_bytes) = answer_frame(&mut received[whole..filled], reply)?
            {
                whole += frame_bytes;
            }
            self.begun.clear();
            self.begun.extend_from_slice(&received[whole..filled]);
            self.send(reply)?;
            if filled < received.len() {
                return Ok(());
            }
        }
    }

    fn send(&mut self, reply: &[u8]) -> io::Result<()> {
        let sent = match self.socket.write(reply) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        if sent == reply.len() {
            return Ok(());
        }
        send_rest(&mut self.socket, &reply[sent..])
    }
}

/// Writes the answer to the frame that `bytes` begins with, and says how many bytes it takes; `None` while it is not
/// whole.
fn answer_frame(bytes: &mut [u8], reply: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let fault = |fault| io::Error::other(format!("not a frame: {fault:?}"));
    let Some((header, header_bytes)) =
        FrameHeader::decode(bytes, Direction::ToServer, false).map_err(fault)?
    else {
        return Ok(None);
    };
    let frame_bytes = usize::try_from(header.payload_bytes)
        .ok()
        .and_then(|payload_bytes| payload_bytes.checked_add(header_bytes))
        .filter(|frame_bytes| *frame_bytes < RECEIVE_BYTES)
        .ok_or_else(|| io::Error::other("a frame is longer than there is room for"))?;
    let Some(payload) = bytes.get_mut(header_bytes..frame_bytes) else {
        return Ok(None);
    };
    unmask(payload, header.mask.unwrap_or_default());
    let opcode = match header.opcode {
        Opcode::Ping => Opcode::Pong,
        Opcode::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
        opcode => opcode,
    };
    reply.extend_from_slice(server_header(opcode, payload.len()).as_slice());
    reply.extend_from_slice(payload);
    Ok(Some(frame_bytes))
}

const LISTENER: Token = Token(0);
const RECEIVE_BYTES: usize = 128 * 1024;
