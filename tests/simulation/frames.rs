//! Frames as a client writes and reads them, by the letter of RFC 6455 §5.2 and nothing cleverer.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

/// A masked frame.
pub fn masked(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..=125 => frame.push(0x80 | len as u8),
        len @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// A masked frame of a compressed message (RFC 7692 §6.1).
pub fn masked_deflated(opcode: u8, message: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut compress = Compress::new(Compression::default(), false);
    let mut payload = Vec::with_capacity(2 * message.len() + 64);
    compress
        .compress_vec(message, &mut payload, FlushCompress::Sync)
        .unwrap();
    assert!(payload.ends_with(TAIL));
    masked(0x40 | opcode, &payload[..payload.len() - TAIL.len()], mask)
}

/// A message out of its compressed payload (RFC 7692 §7.2.2), if the agreed window was kept.
pub fn inflated(payload: &[u8], window_bits: u8) -> Vec<u8> {
    let mut decompress = Decompress::new_with_window_bits(false, window_bits);
    let mut message = vec![0; 1024 * 1024];
    for part in [payload, TAIL] {
        let filled = decompress.total_out() as usize;
        decompress
            .decompress(part, &mut message[filled..], FlushDecompress::Sync)
            .unwrap();
    }
    assert_eq!(decompress.total_in() as usize, payload.len() + TAIL.len());
    message.truncate(decompress.total_out() as usize);
    message
}

/// Takes the first whole frame off `bytes`: its opcode, with RSV1 where that may be and is set, and its payload.
pub fn take(bytes: &mut Vec<u8>, deflate: bool) -> Option<(u8, Vec<u8>)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let allowed = if deflate { 0x4f } else { 0x0f };
    assert_eq!(
        first & !allowed,
        0x80,
        "a server's frame is whole and has no reserved bit but what was agreed"
    );
    assert_eq!(second & 0x80, 0, "a server's frame is not masked");
    let (start, len) = match second {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (
            10,
            u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize,
        ),
        len => (2, len as usize),
    };
    let payload = bytes.get(start..start + len)?.to_vec();
    bytes.drain(..start + len);
    Some((first & 0x4f, payload))
}

const TAIL: &[u8] = &[0, 0, 0xff, 0xff];
