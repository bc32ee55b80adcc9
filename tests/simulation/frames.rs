//! Frames as a client writes and reads them, by the letter of RFC 6455 §5.2 and nothing cleverer.

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

/// Takes the first whole frame off `bytes`: its opcode and payload.
pub fn take(bytes: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(
        first & 0xf0,
        0x80,
        "a server's frame is whole and has no reserved bit"
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
    Some((first & 0x0f, payload))
}
