//! The header of a frame (RFC 6455 §5.2): 2 to 14 bytes.
//!
//! Knows nothing of messages: which opcode may follow which is the session's business.
//! A decoded header has passed every check that RFC 6455 asks of a header by itself.

use super::Fault;
use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX};

/// What a frame is (RFC 6455 §5.2, §11.8). The reserved values have no name here and are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that a text or binary frame began.
    Continuation = 0x0,
    /// The first frame of a text message.
    Text = 0x1,
    /// The first frame of a binary message.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or shows life unasked.
    Pong = 0xa,
}

impl Opcode {
    /// Whether frames of this kind may stand between the fragments of a message (RFC 6455 §5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }

    const fn decode(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }
}

/// Which way a frame travels, which alone decides whether it is masked (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From client to server: masked.
    ToServer,
    /// From server to client: not masked.
    ToClient,
}

/// The header of one frame.
///
/// ```
/// use tickwire::wire::{Direction, FrameHeader, Opcode};
/// let (header, header_bytes) = FrameHeader::decode(b"\x81\x05Hello", Direction::ToClient, false)?.unwrap();
/// assert_eq!((header.opcode, header.payload_bytes, header_bytes), (Opcode::Text, 5, 2));
/// assert_eq!(header.encode().as_slice(), b"\x81\x05");
/// # Ok::<(), tickwire::wire::Fault>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame is the last of its message.
    pub fin: bool,
    /// Whether this frame begins a compressed message: RSV1, as permessage-deflate defines it (RFC 7692 §6).
    pub compressed: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, in frames to a server.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload that follow.
    pub payload_bytes: u64,
}

impl FrameHeader {
    /// Reads the header that `bytes` begins with, and says how many bytes it takes; `None` while more are
    /// needed to tell. `deflate` says whether permessage-deflate was agreed on.
    ///
    /// # Errors
    /// The first rule that the header breaks. What the first two bytes show is judged before the extended
    /// length has arrived, so the verdict does not depend on how the bytes were split.
    #[inline]
    pub fn decode(bytes: &[u8], direction: Direction, deflate: bool) -> Result<Option<(Self, usize)>, Fault> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let fin = first & FIN != 0;
        let masked = second & MASKED != 0;
        let length = second & !MASKED;

        // §5.1: a client masks every frame, a server none; the receiver closes on the contrary.
        match direction {
            Direction::ToServer if !masked => return Err(Fault::Unmasked),
            Direction::ToClient if masked => return Err(Fault::Masked),
            Direction::ToServer | Direction::ToClient => {}
        }
        // §5.2: RSV1-3 are 0 unless an extension that gives them a meaning was negotiated: permessage-deflate gives
        // RSV1 one.
        let compressed = first & RSV1 != 0;
        if first & RESERVED_BITS != 0 && (first & RESERVED_BITS != RSV1 || !deflate) {
            return Err(Fault::ReservedBits);
        }
        // §5.2: an unknown opcode fails the connection.
        let opcode = Opcode::decode(first & OPCODE_BITS).ok_or(Fault::ReservedOpcode)?;
        // RFC 7692 §6.1: RSV1 is the first frame's to have, for the whole of a data message.
        if compressed {
            match opcode {
                Opcode::Text | Opcode::Binary => {}
                Opcode::Continuation => return Err(Fault::CompressedContinuation),
                Opcode::Close | Opcode::Ping | Opcode::Pong => return Err(Fault::CompressedControl),
            }
        }
        // §5.5: a control frame has at most 125 bytes, which is to say no extended length...
        if opcode.is_control() && usize::from(length) > CONTROL_BYTES_MAX {
            return Err(Fault::ControlTooLong);
        }
        // §5.5: ...and is not fragmented.
        if opcode.is_control() && !fin {
            return Err(Fault::ControlFragmented);
        }
        // §5.2: the extended length is in network byte order.
        let (payload_bytes, rest) = match length {
            LENGTH_IN_16_BITS => match rest.split_first_chunk() {
                Some((extended, rest)) => (u64::from(u16::from_be_bytes(*extended)), rest),
                None => return Ok(None),
            },
            LENGTH_IN_64_BITS => match rest.split_first_chunk() {
                Some((extended, rest)) => (u64::from_be_bytes(*extended), rest),
                None => return Ok(None),
            },
            _ => (u64::from(length), rest),
        };
        // §5.2: the most significant bit of a 64-bit length is 0.
        if payload_bytes > PAYLOAD_BYTES_MAX {
            return Err(Fault::LengthOverflow);
        }
        // §5.2: the length is written in the fewest bytes that hold it.
        if length != length_bits(payload_bytes) {
            return Err(Fault::LengthNotMinimal);
        }
        // §5.2: the masking key follows if, and only if, the mask bit is set.
        let (mask, rest) = match rest.split_first_chunk() {
            _ if !masked => (None, rest),
            Some((key, rest)) => (Some(*key), rest),
            None => return Ok(None),
        };
        let header = Self {
            fin,
            compressed,
            opcode,
            mask,
            payload_bytes,
        };
        Ok(Some((header, bytes.len().saturating_sub(rest.len()))))
    }

    /// Writes the header, its length in the fewest bytes.
    #[inline]
    #[must_use]
    pub const fn encode(&self) -> HeaderBytes {
        let compressed = if self.compressed { RSV1 } else { 0 };
        let first = if self.fin { FIN } else { 0 } | compressed | self.opcode as u8;
        let length = length_bits(self.payload_bytes);
        let ([j, k, l, m], mask_bit, mask_bytes) = match self.mask {
            Some(key) => (key, MASKED, 4_u8),
            None => ([0; 4], 0, 0),
        };
        let [a, b, c, d, e, f, g, h] = self.payload_bytes.to_be_bytes();
        let second = mask_bit | length;
        let (bytes, plain_bytes) = match length {
            LENGTH_IN_64_BITS => ([first, second, a, b, c, d, e, f, g, h, j, k, l, m], 10),
            LENGTH_IN_16_BITS => ([first, second, g, h, j, k, l, m, 0, 0, 0, 0, 0, 0], 4),
            _ => ([first, second, j, k, l, m, 0, 0, 0, 0, 0, 0, 0, 0], 2_u8),
        };
        HeaderBytes {
            bytes,
            len: plain_bytes.saturating_add(mask_bytes),
        }
    }
}

/// The header of an unfragmented frame from a server: what stands before a payload that was encoded first.
///
/// It takes at most [`SERVER_HEADER_BYTES_MAX`](crate::limits::SERVER_HEADER_BYTES_MAX) bytes.
///
/// ```
/// use tickwire::wire::{Opcode, server_header};
/// assert_eq!(server_header(Opcode::Binary, 256).as_slice(), [0x82, 0x7e, 0x01, 0x00]);
/// ```
#[inline]
#[must_use]
pub const fn server_header(opcode: Opcode, payload_bytes: usize) -> HeaderBytes {
    whole_header(opcode, payload_bytes, false)
}

/// The same for a payload that was compressed (RFC 7692 §6.1): text or binary.
///
/// ```
/// use tickwire::wire::{Opcode, compressed_server_header};
/// // RFC 7692 §7.2.3.1
/// assert_eq!(compressed_server_header(Opcode::Text, 7).as_slice(), [0xc1, 0x07]);
/// ```
#[inline]
#[must_use]
pub const fn compressed_server_header(opcode: Opcode, payload_bytes: usize) -> HeaderBytes {
    whole_header(opcode, payload_bytes, true)
}

const fn whole_header(opcode: Opcode, payload_bytes: usize, compressed: bool) -> HeaderBytes {
    let header = FrameHeader {
        fin: true,
        compressed,
        opcode,
        mask: None,
        payload_bytes: payload_bytes as u64,
    };
    header.encode()
}

/// An encoded header, held by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderBytes {
    bytes: [u8; FRAME_HEADER_BYTES_MAX],
    len: u8,
}

impl HeaderBytes {
    /// The bytes of the header.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The seven bits that announce a payload of this many bytes in the shortest form.
const fn length_bits(payload_bytes: u64) -> u8 {
    let [.., length] = payload_bytes.to_be_bytes();
    match payload_bytes {
        0..=125 => length,
        126..=0xffff => LENGTH_IN_16_BITS,
        _ => LENGTH_IN_64_BITS,
    }
}

const FIN: u8 = 0x80;
const RESERVED_BITS: u8 = 0x70;
const RSV1: u8 = 0x40;
const OPCODE_BITS: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH_IN_16_BITS: u8 = 126;
const LENGTH_IN_64_BITS: u8 = 127;
const PAYLOAD_BYTES_MAX: u64 = u64::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SERVER_HEADER_BYTES_MAX;
    use proptest::prelude::*;

    const OPCODES: [Opcode; 6] = [
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ];

    fn direction(mask: Option<[u8; 4]>) -> Direction {
        if mask.is_some() {
            Direction::ToServer
        } else {
            Direction::ToClient
        }
    }

    #[test]
    fn each_rule_has_its_own_fault() {
        use Direction::{ToClient, ToServer};
        let table: &[(&[u8], Direction, Fault)] = &[
            (&[0x81, 0x05], ToServer, Fault::Unmasked),
            (&[0x81, 0x85], ToClient, Fault::Masked),
            (&[0xc1, 0x05], ToClient, Fault::ReservedBits),
            (&[0xa1, 0x05], ToClient, Fault::ReservedBits),
            (&[0x91, 0x05], ToClient, Fault::ReservedBits),
            (&[0x89, 0x7e], ToClient, Fault::ControlTooLong),
            (&[0x88, 0xff], ToServer, Fault::ControlTooLong),
            (&[0x09, 0x00], ToClient, Fault::ControlFragmented),
            (&[0x82, 0x7e, 0, 125], ToClient, Fault::LengthNotMinimal),
            (
                &[0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
                ToClient,
                Fault::LengthNotMinimal,
            ),
            (
                &[0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0],
                ToClient,
                Fault::LengthOverflow,
            ),
            (
                &[0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0],
                ToServer,
                Fault::LengthOverflow,
            ),
        ];
        for (bytes, direction, fault) in table {
            assert_eq!(
                FrameHeader::decode(bytes, *direction, false),
                Err(*fault),
                "{bytes:x?}"
            );
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(
                FrameHeader::decode(&[FIN | opcode, 0], ToClient, false),
                Err(Fault::ReservedOpcode)
            );
        }
    }

    #[test]
    fn rfc_7692_section_6_1_rsv1_is_for_the_first_frame_of_a_data_message() {
        let table = [
            (0xc1, Ok(())),
            (0x41, Ok(())),
            (0xc2, Ok(())),
            (0xc0, Err(Fault::CompressedContinuation)),
            (0x40, Err(Fault::CompressedContinuation)),
            (0xc8, Err(Fault::CompressedControl)),
            (0xc9, Err(Fault::CompressedControl)),
            (0xca, Err(Fault::CompressedControl)),
            (0xe1, Err(Fault::ReservedBits)),
            (0xd1, Err(Fault::ReservedBits)),
            (0xa1, Err(Fault::ReservedBits)),
            (0xc3, Err(Fault::ReservedOpcode)),
        ];
        for (first, expected) in table {
            let bytes = [first, 0];
            let verdict = FrameHeader::decode(&bytes, Direction::ToClient, true);
            assert_eq!(
                verdict.map(|header| assert!(header.unwrap().0.compressed)),
                expected,
                "{first:x}"
            );
            let without = FrameHeader::decode(&bytes, Direction::ToClient, false);
            assert_eq!(without, Err(Fault::ReservedBits), "{first:x}");
        }
    }

    #[test]
    fn lengths_take_the_fewest_bytes_at_every_boundary() {
        for (payload_bytes, header_bytes) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let bytes = server_header(Opcode::Text, payload_bytes);
            assert_eq!(bytes.as_slice().len(), header_bytes, "{payload_bytes}");
        }
        let longest = server_header(Opcode::Binary, usize::MAX);
        assert_eq!(longest.as_slice().len(), SERVER_HEADER_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn decodes_what_it_encodes_and_no_prefix_of_it(
            fin: bool, compressed: bool, opcode in 0..OPCODES.len(), mask: Option<[u8; 4]>, bits in 0_u32..63, fill: u64, after: Vec<u8>,
        ) {
            let opcode = OPCODES[opcode];
            let wide = (1_u64 << bits) | (fill & ((1 << bits) - 1));
            let payload_bytes = if opcode.is_control() { wide % 126 } else { wide };
            let compressed = compressed && matches!(opcode, Opcode::Text | Opcode::Binary);
            let header = FrameHeader { fin: fin || opcode.is_control(), compressed, opcode, mask, payload_bytes };
            let encoded = header.encode();
            let mut bytes = encoded.as_slice().to_vec();
            for cut in 0..bytes.len() {
                prop_assert_eq!(FrameHeader::decode(&bytes[..cut], direction(mask), true), Ok(None));
            }
            bytes.extend_from_slice(&after);
            prop_assert_eq!(FrameHeader::decode(&bytes, direction(mask), true), Ok(Some((header, encoded.as_slice().len()))));
        }

        #[test]
        fn any_bytes_give_a_verdict_that_more_bytes_do_not_change(bytes in prop::collection::vec(any::<u8>(), 0..20), to_server: bool, deflate: bool) {
            let direction = if to_server { Direction::ToServer } else { Direction::ToClient };
            let whole = FrameHeader::decode(&bytes, direction, deflate);
            for cut in 0..bytes.len() {
                let part = FrameHeader::decode(&bytes[..cut], direction, deflate);
                prop_assert!(part == Ok(None) || part == whole);
            }
            if let Ok(Some((header, header_bytes))) = whole {
                let encoded = header.encode();
                prop_assert_eq!(encoded.as_slice(), &bytes[..header_bytes]);
            }
        }
    }
}
