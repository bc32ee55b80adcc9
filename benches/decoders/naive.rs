//! What one writes on an afternoon: bytes by index, a vector for each message, and the rest moved to the front.

use super::{Decoder, MESSAGE_BYTES_MAX, RECEIVE_BYTES};
use crate::talk::Tally;
use crate::talk::link::Link;
use std::hint::black_box;

pub(super) struct Naive {
    link: Link,
    buffer: Vec<u8>,
    /// The text message under way, between its fragments.
    message: Option<Vec<u8>>,
}

impl Naive {
    pub(super) const fn new(link: Link) -> Self {
        Self {
            link,
            buffer: Vec::new(),
            message: None,
        }
    }

    /// Takes one frame from the front of the buffer, if it is whole: its first byte and its payload.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.buffer;
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert!(
            first & 0x70 == 0 && second & 0x80 != 0,
            "reserved bits are 0, the frame is masked"
        );
        let (length_bytes, mut length) = match second & 0x7f {
            126 => (2, 0),
            127 => (8, 0),
            short => (0, usize::from(short)),
        };
        for byte in bytes.get(2..2 + length_bytes)? {
            length = length << 8 | usize::from(*byte);
        }
        assert!(length <= MESSAGE_BYTES_MAX, "the message is not too long");
        let start = 2 + length_bytes + 4;
        let key = bytes.get(start - 4..start)?;
        let mut payload = bytes.get(start..start + length)?.to_vec();
        for (i, byte) in payload.iter_mut().enumerate() {
            *byte ^= key[i % 4];
        }
        self.buffer.drain(..start + length);
        Some((first, payload))
    }

    fn take(&mut self, first: u8, payload: Vec<u8>, tally: &mut Tally) {
        match first & 0x0f {
            0x9 => {
                let length = u8::try_from(payload.len()).expect("a control frame is short");
                self.link.send(&[&[0x8a, length][..], &payload].concat());
                return;
            }
            0xa => return,
            0x1 if self.message.is_none() => self.message = Some(payload),
            0x0 => self
                .message
                .as_mut()
                .expect("a message is under way")
                .extend(payload),
            opcode => panic!("opcode {opcode} does not belong here"),
        }
        if first & 0x80 != 0 {
            let message = self.message.take().unwrap_or_default();
            let text = String::from_utf8(message).expect("it is UTF-8");
            tally.messages += 1;
            tally.message_bytes += black_box(text).len() as u64;
        }
    }
}

impl Decoder for Naive {
    fn pass(&mut self) -> Tally {
        self.link.rewind();
        let mut tally = Tally::default();
        loop {
            let held = self.buffer.len();
            self.buffer.resize(held + RECEIVE_BYTES, 0);
            let received = self.link.receive(&mut self.buffer[held..]);
            self.buffer.truncate(held + received);
            if received == 0 {
                tally.reply_bytes = self.link.reply_bytes();
                return tally;
            }
            while let Some((first, payload)) = self.frame() {
                self.take(first, payload, &mut tally);
            }
        }
    }
}
