//! RFC 6455 and RFC 7692 read naively: the whole stream at hand, bytes by index, a vector for each message.
//!
//! What the tests and fuzzers hold a session against. It stops where a session stops, and finds the same fault.

use crate::wire::{CloseCode, CloseFrame, Event, Fault, Inflater, naive_inflate};

/// An event that outlives its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(CloseCode, String)>),
}

impl From<Event<'_>> for Owned {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Event::Ping(payload) => Self::Ping(payload.to_vec()),
            Event::Pong(payload) => Self::Pong(payload.to_vec()),
            Event::Close(close) => Self::Close(close.map(|close| (close.code, close.reason.to_owned()))),
        }
    }
}

/// What a stream amounts to: its events, and the fault that ended it if one did.
pub(crate) type Outcome = (Vec<Owned>, Option<Fault>);

/// What holds for a stream besides RFC 6455.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) message_bytes_max: u32,
    pub(crate) deflate: DeflateTerms,
}

/// Whether messages may be compressed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DeflateTerms {
    Never,
    EachByItself,
    /// With the messages before it in mind, as far back as a window of so many bits.
    WithTakeover(u8),
}

impl Terms {
    /// What a session needs besides.
    pub(crate) fn inflater(&self) -> Option<Inflater> {
        match self.deflate {
            DeflateTerms::Never => None,
            DeflateTerms::EachByItself => Some(Inflater::new(self.message_bytes_max)),
            DeflateTerms::WithTakeover(bits) => {
                Some(Inflater::with_context_takeover(self.message_bytes_max, bits))
            }
        }
    }
}

/// Reads a stream to its end or its first fault.
pub(crate) fn naive_outcome(stream: &[u8], to_server: bool, terms: Terms) -> Outcome {
    let mut naive = Naive {
        stream,
        to_server,
        terms,
        message: None,
        history: Vec::new(),
        events: Vec::new(),
    };
    let mut fault = None;
    while let Some(more) = naive.frame().unwrap_or_else(|broken| {
        fault = Some(broken);
        None
    }) {
        naive.stream = more;
    }
    (naive.events, fault)
}

struct Naive<'s> {
    stream: &'s [u8],
    to_server: bool,
    terms: Terms,
    message: Option<Message>,
    /// All that was ever compressed.
    history: Vec<u8>,
    events: Vec<Owned>,
}

/// The message under way.
struct Message {
    is_text: bool,
    compressed: bool,
    bytes: Vec<u8>,
}

impl<'s> Naive<'s> {
    /// Reads one frame and gives what is behind it; `None` at the end.
    fn frame(&mut self) -> Result<Option<&'s [u8]>, Fault> {
        let rest = self.stream;
        if rest.len() < 2 {
            return Ok(None);
        }
        let (first, short, masked) = (rest[0], rest[1] & 127, rest[1] >= 128);
        self.check_first_bytes(first, short, masked)?;
        let (length_bytes, length_min) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        if rest.len() < 2 + length_bytes {
            return Ok(None);
        }
        let extended = rest[2..2 + length_bytes].iter();
        let extended = extended.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let length = if length_bytes > 0 {
            extended
        } else {
            u64::from(short)
        };
        if length >= 1 << 63 {
            return Err(Fault::LengthOverflow);
        }
        if length < length_min {
            return Err(Fault::LengthNotMinimal);
        }
        let header_bytes = 2 + length_bytes + if masked { 4 } else { 0 };
        if rest.len() < header_bytes {
            return Ok(None);
        }
        let (header, rest) = rest.split_at(header_bytes);
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let (payload, rest) = rest.split_at(payload_bytes);
        let whole = payload_bytes as u64 == length;
        let key = if masked {
            &header[header_bytes - 4..]
        } else {
            &[0; 4]
        };
        let payload: Vec<u8> = payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ key[i % 4])
            .collect();
        if first & 8 != 0 {
            return Ok(if whole {
                self.control(first, payload)?.then_some(rest)
            } else {
                None
            });
        }
        self.data(first, length, &payload, whole)?;
        Ok(whole.then_some(rest))
    }

    /// What the first two bytes of a frame show.
    fn check_first_bytes(&self, first: u8, short: u8, masked: bool) -> Result<(), Fault> {
        let (opcode, control) = (first & 15, first & 8 != 0);
        let deflate = !matches!(self.terms.deflate, DeflateTerms::Never);
        let compressed = first & 0x70 == 0x40 && deflate;
        let faults = [
            (self.to_server && !masked, Fault::Unmasked),
            (!self.to_server && masked, Fault::Masked),
            (first & 0x70 != 0 && !compressed, Fault::ReservedBits),
            (![0, 1, 2, 8, 9, 10].contains(&opcode), Fault::ReservedOpcode),
            (compressed && opcode == 0, Fault::CompressedContinuation),
            (compressed && control, Fault::CompressedControl),
            (control && short > 125, Fault::ControlTooLong),
            (control && first < 128, Fault::ControlFragmented),
        ];
        match faults.iter().find(|(broken, _)| *broken) {
            Some((_, fault)) => Err(*fault),
            None => Ok(()),
        }
    }

    /// Whether anything is read after it.
    fn control(&mut self, first: u8, payload: Vec<u8>) -> Result<bool, Fault> {
        let event = match first & 15 {
            9 => Owned::Ping(payload),
            10 => Owned::Pong(payload),
            _ => {
                let close = CloseFrame::decode(&payload)?;
                self.events.push(Owned::Close(
                    close.map(|close| (close.code, close.reason.to_owned())),
                ));
                return Ok(false);
            }
        };
        self.events.push(event);
        Ok(true)
    }

    fn data(&mut self, first: u8, length: u64, payload: &[u8], whole: bool) -> Result<(), Fault> {
        let mut message = match (first & 15, self.message.take()) {
            (0, None) => return Err(Fault::ContinuationWithoutMessage),
            (0, Some(message)) => message,
            (_, Some(_)) => return Err(Fault::MessageInterrupted),
            (opcode, None) => Message {
                is_text: opcode == 1,
                compressed: first & 0x40 != 0,
                bytes: Vec::new(),
            },
        };
        let limit = u128::from(self.terms.message_bytes_max);
        // Compressed, it may be a little longer than it will be.
        let limit = if message.compressed {
            limit + limit / 8 + 64
        } else {
            limit
        };
        if u128::from(length) + message.bytes.len() as u128 > limit {
            return Err(Fault::MessageTooBig);
        }
        message.bytes.extend_from_slice(payload);
        let ended = whole && first >= 128;
        if ended && message.compressed {
            message.bytes = self.inflate(&message.bytes)?;
        }
        if message.is_text && (ended || !message.compressed) {
            let valid = match std::str::from_utf8(&message.bytes) {
                Ok(_) => true,
                Err(error) => error.error_len().is_none() && !ended,
            };
            if !valid {
                return Err(Fault::InvalidUtf8);
            }
        }
        match (ended, message.is_text) {
            (false, _) => self.message = Some(message),
            (true, true) => {
                let text = String::from_utf8_lossy(&message.bytes);
                self.events.push(Owned::Text(text.into_owned()));
            }
            (true, false) => self.events.push(Owned::Binary(message.bytes)),
        }
        Ok(())
    }

    fn inflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        let window = match self.terms.deflate {
            DeflateTerms::Never | DeflateTerms::EachByItself => 0,
            DeflateTerms::WithTakeover(bits) => 1 << bits,
        };
        let history = &self.history[self.history.len().saturating_sub(window)..];
        let inflated = naive_inflate(payload, history, self.terms.message_bytes_max as usize)?;
        self.history.extend_from_slice(&inflated.message);
        Ok(inflated.message)
    }
}
