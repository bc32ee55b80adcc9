//! Masking in pieces at any alignment, against the sentence that defines it.

use super::input::Input;
use crate::wire::unmask;

/// A payload that is unmasked piece by piece (RFC 6455 §5.3).
///
/// # Panics
/// When a property does not hold.
pub fn mask(data: &[u8]) {
    let mut input = Input::new(data);
    let (before, after) = (input.below(64), input.below(64));
    let key: [u8; 4] = input.array();
    let cuts = input.cuts();
    let payload = input.rest();

    // The payload lies at any alignment in a larger buffer, whose other bytes are not to be touched.
    let mut buffer = vec![GUARD; before];
    buffer.extend_from_slice(payload);
    buffer.resize(buffer.len() + after, GUARD);
    let mut next_key = key;
    let mut at = before;
    for piece in cuts.pieces(payload) {
        next_key = unmask(&mut buffer[at..at + piece.len()], next_key);
        at += piece.len();
        let rotated: [u8; 4] = std::array::from_fn(|i| key[(at - before + i) % 4]);
        assert_eq!(next_key, rotated, "the key begins at the byte that follows");
    }
    let naive = |(i, byte): (usize, &u8)| byte ^ key[i % 4];
    let expected: Vec<u8> = payload.iter().enumerate().map(naive).collect();
    assert_eq!(&buffer[before..at], expected);
    assert!(buffer[..before].iter().all(|byte| *byte == GUARD));
    assert!(buffer[at..].iter().all(|byte| *byte == GUARD));
    unmask(&mut buffer[before..at], key);
    assert_eq!(&buffer[before..at], payload, "masking twice is no masking");
}

const GUARD: u8 = 0xa5;
