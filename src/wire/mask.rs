//! The masking of client payloads (RFC 6455 §5.3): exclusive-or with a four-byte key.
//!
//! Never looks at what it masks. Masking twice with the same key is the identity.

/// Masks or unmasks `bytes` in place; `key` begins at the first of them. Gives back the key as it begins for
/// the byte that follows, so that a payload may be handled piece by piece (RFC 6455 §5.3).
///
/// ```
/// use tickwire::wire::unmask;
/// let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
/// let (head, rest) = payload.split_at_mut(3);
/// let key = unmask(head, [0x37, 0xfa, 0x21, 0x3d]);
/// unmask(rest, key);
/// assert_eq!(&payload, b"Hello");
/// ```
#[inline]
pub fn unmask(bytes: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    // Four words at a time: wide enough for the compiler to use vector registers, short enough that a
    // subscription of a hundred bytes spends its time here and not in the remainder below.
    let (blocks, rest) = bytes.as_chunks_mut::<32>();
    for block in blocks {
        for word in block.as_chunks_mut::<8>().0 {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    let (quads, rest) = rest.as_chunks_mut::<4>();
    for quad in quads {
        *quad = (u32::from_ne_bytes(*quad) ^ u32::from_ne_bytes(key)).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
    match rest.len() {
        0 => key,
        1 => [b, c, d, a],
        2 => [c, d, a, b],
        _ => [d, a, b, c],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6455 §5.3, word for word: octet i of the payload with octet i modulo 4 of the key.
    fn naive(bytes: &mut [u8], key: [u8; 4], phase: usize) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[(phase + i) % 4];
        }
    }

    fn rotated(key: [u8; 4], phase: usize) -> [u8; 4] {
        std::array::from_fn(|i| key[(phase + i) % 4])
    }

    #[test]
    fn equals_the_naive_loop_at_every_alignment_phase_and_short_length() {
        let key = [0x11, 0x22, 0x44, 0x88];
        for offset in 0..16 {
            for len in 0..100 {
                for phase in 0..4 {
                    let mut clever: Vec<u8> = (0..=255).cycle().take(offset + len).collect();
                    let mut plain = clever.clone();
                    let next = unmask(&mut clever[offset..], rotated(key, phase));
                    naive(&mut plain[offset..], key, phase);
                    assert_eq!(clever, plain);
                    assert_eq!(next, rotated(key, phase + len));
                }
            }
        }
    }

    proptest! {
        #[test]
        fn pieces_equal_the_naive_whole(
            bytes in prop::collection::vec(any::<u8>(), 0..3000), key: [u8; 4], cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        ) {
            let mut plain = bytes.clone();
            naive(&mut plain, key, 0);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut clever = bytes;
            let mut rest = &mut clever[..];
            let (mut done, mut key) = (0, key);
            for cut in cuts {
                let (piece, after) = rest.split_at_mut(cut - done);
                key = unmask(piece, key);
                (done, rest) = (cut, after);
            }
            unmask(rest, key);
            prop_assert_eq!(clever, plain);
        }
    }
}
