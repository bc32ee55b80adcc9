//! Frame headers: one verdict for all beginnings of the bytes, the one of the RFC, and back to the same bytes.

use super::input::Input;
use crate::limits::{CONTROL_BYTES_MAX, FRAME_HEADER_BYTES_MAX};
use crate::wire::{Direction, Fault, FrameHeader, Opcode};

/// A frame header, read and written (RFC 6455 §5.2).
///
/// # Panics
/// When a property does not hold.
pub fn frame(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let direction = if options & 1 == 0 {
        Direction::ToServer
    } else {
        Direction::ToClient
    };
    let deflate = options & 2 != 0;
    writes_what_it_reads(direction, deflate, &mut input);
    let bytes = input.take(FRAME_HEADER_BYTES_MAX + 4);
    let mut verdict = Ok(None);
    for arrived in 0..=bytes.len() {
        let bytes = &bytes[..arrived];
        let next = FrameHeader::decode(bytes, direction, deflate);
        assert_eq!(next, naive(bytes, direction, deflate), "{bytes:x?}");
        assert!(
            verdict == Ok(None) || verdict == next,
            "more bytes changed {verdict:?}"
        );
        verdict = next;
    }
    if let Ok(Some((header, header_bytes))) = verdict {
        assert_eq!(header.encode().as_slice(), &bytes[..header_bytes]);
    }
}

/// A header that may be sent is read as it was written, once it is whole.
fn writes_what_it_reads(direction: Direction, deflate: bool, input: &mut Input<'_>) {
    let opcode = OPCODES[input.below(OPCODES.len())];
    let (choice, key) = (input.byte(), input.array());
    let mut payload_bytes = u64::from_be_bytes(input.array()) >> (1 + choice % 63);
    if opcode.is_control() {
        payload_bytes %= CONTROL_BYTES_MAX as u64 + 1;
    }
    let header = FrameHeader {
        fin: choice >= 0x80 || opcode.is_control(),
        compressed: deflate && choice & 0x40 != 0 && matches!(opcode, Opcode::Text | Opcode::Binary),
        opcode,
        mask: (direction == Direction::ToServer).then_some(key),
        payload_bytes,
    };
    let encoded = header.encode();
    let bytes = encoded.as_slice();
    assert_eq!(
        FrameHeader::decode(bytes, direction, deflate),
        Ok(Some((header, bytes.len())))
    );
    let (_, cut) = bytes.split_last().expect("a header has bytes");
    assert_eq!(FrameHeader::decode(cut, direction, deflate), Ok(None));
}

/// The figure of RFC 6455 §5.2 with the one bit of RFC 7692 §6, read bit by bit from its first to its last, where each
/// rule is applied as soon as the bits that it is about are there.
fn naive(bytes: &[u8], direction: Direction, deflate: bool) -> Result<Option<(FrameHeader, usize)>, Fault> {
    let bits = |from: usize, count: usize| {
        let bit = |at: usize| bytes.get(at / 8).map(|byte| u64::from(byte >> (7 - at % 8) & 1));
        (from..from + count).try_fold(0_u64, |number, at| Some(number << 1 | bit(at)?))
    };
    let (Some(first), Some(masked), Some(short)) = (bits(0, 8), bits(8, 1), bits(9, 7)) else {
        return Ok(None);
    };
    let (fin, reserved, number) = (first >> 7 == 1, first >> 4 & 7, first & 15);
    let (control, compressed) = (number >= 8, deflate && reserved == 0b100);
    let broken = [
        (masked == 0 && direction == Direction::ToServer, Fault::Unmasked),
        (masked == 1 && direction == Direction::ToClient, Fault::Masked),
        (reserved != 0 && !compressed, Fault::ReservedBits),
        (matches!(number, 3..=7 | 11..=15), Fault::ReservedOpcode),
        (compressed && number == 0, Fault::CompressedContinuation),
        (compressed && control, Fault::CompressedControl),
        (control && short > 125, Fault::ControlTooLong),
        (control && !fin, Fault::ControlFragmented),
    ];
    if let Some((_, fault)) = broken.into_iter().find(|(broken, _)| *broken) {
        return Err(fault);
    }
    let (extended_bits, shortest) = match short {
        126 => (16, 126),
        127 => (64, 1 << 16),
        _ => (0, 0),
    };
    let Some(extended) = bits(16, extended_bits) else {
        return Ok(None);
    };
    let payload_bytes = if extended_bits == 0 { short } else { extended };
    if payload_bytes >> 63 == 1 {
        return Err(Fault::LengthOverflow);
    }
    if payload_bytes < shortest {
        return Err(Fault::LengthNotMinimal);
    }
    let mask_at = 2 + extended_bits / 8;
    let mask = match bytes.get(mask_at..mask_at + 4) {
        _ if masked == 0 => None,
        Some(key) => Some([key[0], key[1], key[2], key[3]]),
        None => return Ok(None),
    };
    let opcode = OPCODES
        .into_iter()
        .find(|opcode| u64::from(*opcode as u8) == number)
        .expect("every number that is not reserved has an opcode");
    let header = FrameHeader {
        fin,
        compressed,
        opcode,
        mask,
        payload_bytes,
    };
    Ok(Some((header, mask_at + if masked == 1 { 4 } else { 0 })))
}

const OPCODES: [Opcode; 6] = [
    Opcode::Continuation,
    Opcode::Text,
    Opcode::Binary,
    Opcode::Close,
    Opcode::Ping,
    Opcode::Pong,
];
