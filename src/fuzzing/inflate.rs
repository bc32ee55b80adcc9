//! permessage-deflate's data: inflated as a naive reader of RFC 1951 inflates it, and never beyond the limit; and what we
//! compress comes back, with no distance beyond the window that was agreed on.

use super::input::Input;
use crate::wire::{Deflater, Fault, Inflater, naive_inflate};

/// Compressed messages, received and sent (RFC 7692 §7.2).
///
/// # Panics
/// When a property does not hold.
pub fn inflate(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let bits = 8 + input.byte() % 8;
    let takeover = options & 1 != 0;
    if options & 2 == 0 {
        let limit = u32::from(u16::from_be_bytes(input.array())) % 4096;
        inflates_as_the_naive_reader(&mut input, bits, takeover, limit);
    } else {
        comes_back(&mut input, bits, takeover);
    }
}

/// A window of the newest messages, as the peer may refer to it.
struct Window {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Window {
    fn new(bits: u8, takeover: bool) -> Self {
        Self {
            bytes: Vec::new(),
            bytes_max: if takeover { 1 << bits } else { 0 },
        }
    }

    fn push(&mut self, message: &[u8]) {
        self.bytes.extend_from_slice(message);
        let stale = self.bytes.len().saturating_sub(self.bytes_max);
        self.bytes.drain(..stale);
    }
}

fn inflater(bits: u8, takeover: bool, limit: u32) -> Inflater {
    if takeover {
        Inflater::with_context_takeover(limit, bits)
    } else {
        Inflater::new(limit)
    }
}

/// Any payloads, one message after the other, as long as they are good ones.
fn inflates_as_the_naive_reader(input: &mut Input<'_>, bits: u8, takeover: bool, limit: u32) {
    let mut inflater = inflater(bits, takeover, limit);
    let mut window = Window::new(bits, takeover);
    for last in [false, false, true] {
        let payload = if last {
            input.take(usize::MAX)
        } else {
            input.piece()
        };
        let naive = naive_inflate(payload, &window.bytes, limit as usize).map(|naive| naive.message);
        let inflated = inflater.inflate(payload).map(<[u8]>::to_vec);
        assert_eq!(inflated, naive, "{payload:x?}");
        let Ok(message) = inflated else {
            // Whoever shares it does not feel it.
            let hello = inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00");
            assert_eq!(
                hello,
                if limit < 5 {
                    Err(Fault::MessageTooBig)
                } else {
                    Ok(&b"Hello"[..])
                }
            );
            return;
        };
        assert!(message.len() <= limit as usize);
        window.push(&message);
    }
}

/// Messages made of pieces, repetitions and copies from any distance, there and back.
fn comes_back(input: &mut Input<'_>, bits: u8, takeover: bool) {
    let (mut deflater, mut window) = if takeover {
        (Deflater::with_context_takeover(bits), Window::new(bits, takeover))
    } else {
        (Deflater::new(bits), Window::new(bits, takeover))
    };
    let limit = u32::try_from(MESSAGE_BYTES_MAX).expect("a small number");
    let mut inflater = inflater(bits, takeover, limit);
    for _ in 0..1 + input.below(2) {
        let message = message(input);
        let Some(compressed) = deflater.deflate(&message) else {
            assert!(!takeover, "each message counts");
            continue;
        };
        assert!(takeover || compressed.len() < message.len(), "it is worth it");
        assert_eq!(inflater.inflate(compressed), Ok(&message[..]));
        let naive = naive_inflate(compressed, &window.bytes, MESSAGE_BYTES_MAX).expect("it is deflate data");
        assert_eq!(naive.message, message);
        assert!(
            naive.farthest <= 1 << bits,
            "{} bytes back with {bits} bits",
            naive.farthest
        );
        if !takeover && !message.is_empty() {
            let short = u32::try_from(message.len() - 1).expect("a small number");
            assert_eq!(
                Inflater::new(short).inflate(compressed),
                Err(Fault::MessageTooBig)
            );
            assert_eq!(Inflater::new(short + 1).inflate(compressed), Ok(&message[..]));
        }
        window.push(&message);
    }
}

fn message(input: &mut Input<'_>) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..input.below(16) {
        match input.below(4) {
            0 | 1 => message.extend_from_slice(input.piece()),
            2 => {
                // A few of these reach beyond the largest window.
                let times = 32 * usize::from(input.byte());
                let byte = input.byte();
                message.resize(message.len() + times, byte);
            }
            _ => {
                // Twice the largest window back, so that many copies are of what is out of sight.
                let back = usize::from(u16::from_be_bytes(input.array()));
                let length = 4 * usize::from(input.byte());
                let start = message.len().saturating_sub(back);
                let copy: Vec<u8> = message[start..].iter().copied().take(length).collect();
                message.extend_from_slice(&copy);
            }
        }
    }
    message.truncate(MESSAGE_BYTES_MAX);
    message
}

/// Enough to reach beyond the largest window.
const MESSAGE_BYTES_MAX: usize = 40 * 1024;
