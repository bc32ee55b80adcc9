//! One connection that waits: it goes first, to see whether the server does what is expected of it, and may carry ticks.
//!
//! Never waits longer than it was told to.

use super::error::LoadError;
use super::target::Target;
use crate::base::Prng;
use crate::limits::LOAD_MESSAGE_BYTES_MAX;
use crate::wire::{ClientSession, Event, HeadScan, MaskingKey};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// A connection of one's own.
#[derive(Debug)]
pub(super) struct Scout {
    stream: TcpStream,
    session: ClientSession,
    held: Vec<u8>,
    random: Prng,
}

/// Why the scout did not get through.
#[derive(Debug)]
pub(super) enum Astray {
    Network(io::Error),
    HungUp,
    Said(String),
    NotSaid(String),
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(error) => write!(f, "{error}"),
            Self::HungUp => f.write_str("the server hung up"),
            Self::Said(words) => f.write_str(words),
            Self::NotSaid(text) => write!(
                f,
                "it is open, but no message with {text:?} in it came; is --send right, and --expect?"
            ),
        }
    }
}

impl From<io::Error> for Astray {
    fn from(error: io::Error) -> Self {
        Self::Network(error)
    }
}

impl Scout {
    /// Connects and opens a WebSocket, waiting at most `patience` for each step.
    pub(super) fn open(target: &Target, patience: Duration, seed: u64) -> Result<Self, Astray> {
        let stream = TcpStream::connect_timeout(&target.address(), patience)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut scout = Self {
            stream,
            session: ClientSession::new(LOAD_MESSAGE_BYTES_MAX),
            held: Vec::new(),
            random: Prng::new(seed),
        };
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&scout.random.next_u64().to_le_bytes());
        nonce[8..].copy_from_slice(&scout.random.next_u64().to_le_bytes());
        let mut request = Vec::new();
        let words = |error: LoadError| Astray::Said(error.to_string());
        target
            .with_offer(nonce, |offer| offer.write(&mut request))
            .map_err(words)?;
        scout.stream.write_all(&request)?;
        let mut scan = HeadScan::default();
        loop {
            scout.receive()?;
            let read = target.with_offer(nonce, |offer| {
                let accepted = offer.read(&scout.held, &mut scan);
                accepted.map(|accepted| accepted.map(|accepted| accepted.head_bytes))
            });
            match read.map_err(words)? {
                Ok(None) => {}
                Ok(Some(head_bytes)) => {
                    scout.held.drain(..head_bytes);
                    return Ok(scout);
                }
                Err(rejection) => return Err(Astray::Said(rejection.to_string())),
            }
        }
    }

    /// Says a text.
    pub(super) fn say(&mut self, text: &str) -> Result<(), Astray> {
        let mut frame = Vec::new();
        let [a, b, c, d, ..] = self.random.next_u64().to_le_bytes();
        let said = self
            .session
            .sender()
            .text(text, MaskingKey::new([a, b, c, d]), &mut frame);
        said.map_err(|_| Astray::HungUp)?;
        Ok(self.stream.write_all(&frame)?)
    }

    /// Waits for a message with this in it, for as long as others come.
    pub(super) fn expect(&mut self, text: &str) -> Result<(), Astray> {
        let mut fresh = std::mem::take(&mut self.held);
        loop {
            let mut decoder = self.session.decode(&mut fresh);
            loop {
                match decoder.next() {
                    Ok(None) => break,
                    Ok(Some((Event::Text(said), _))) if said.contains(text) => return Ok(()),
                    Ok(Some((Event::Close(frame), _))) => {
                        let words = frame.map_or_else(String::new, |frame| {
                            format!(" with {} {}", frame.code.number(), frame.reason)
                        });
                        return Err(Astray::Said(format!("the server closed the connection{words}")));
                    }
                    Ok(Some(_)) => {}
                    Err(fault) => {
                        return Err(Astray::Said(format!(
                            "the server breaks the protocol: {}",
                            fault.reason()
                        )));
                    }
                }
            }
            let kept = decoder.finish();
            fresh.truncate(kept);
            self.held = fresh;
            match self.receive() {
                Ok(()) => {}
                Err(Astray::Network(error)) if is_timeout(&error) => {
                    return Err(Astray::NotSaid(text.to_owned()));
                }
                Err(astray) => return Err(astray),
            }
            fresh = std::mem::take(&mut self.held);
        }
    }

    /// Throws away what has come, so that the server is not held up by it.
    pub(super) fn discard(&mut self) {
        self.held.clear();
        let _ = self.stream.set_nonblocking(true);
        let mut lane = [0; 16 * 1024];
        while matches!(self.stream.read(&mut lane), Ok(1..)) {}
        let _ = self.stream.set_nonblocking(false);
    }

    fn receive(&mut self) -> Result<(), Astray> {
        let mut lane = [0; 16 * 1024];
        match self.stream.read(&mut lane)? {
            0 => Err(Astray::HungUp),
            bytes => {
                self.held.extend_from_slice(&lane[..bytes]);
                Ok(())
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
