//! The masking of client payloads (RFC 6455 §5.3): exclusive-or with a four-byte key.
//!
//! Never looks at what it masks. Masking twice with the same key is the identity.

use fearless_simd::{Level, dispatch};

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
    let key = Key(u32::from_le_bytes(key));
    if bytes.len() < LONG_BYTES {
        key.mask(bytes);
    } else {
        key.mask_long(bytes);
    }
    key.after(bytes.len()).0.to_le_bytes()
}

/// A masking key as it begins for some byte, which its lowest eight bits mask.
#[derive(Clone, Copy)]
struct Key(u32);

impl Key {
    /// The key as it begins so many bytes later.
    const fn after(self, bytes: usize) -> Self {
        let rotated = match bytes % 4 {
            0 => self.0,
            1 => self.0.rotate_right(8),
            2 => self.0.rotate_right(16),
            _ => self.0.rotate_right(24),
        };
        Self(rotated)
    }

    /// Masks few bytes: as many blocks as fit, of the greatest size of which one fits.
    fn mask(self, bytes: &mut [u8]) {
        let masked = self.mask_blocks::<64>(bytes)
            || self.mask_blocks::<32>(bytes)
            || self.mask_blocks::<16>(bytes)
            || self.mask_blocks::<8>(bytes)
            || self.mask_blocks::<4>(bytes);
        if !masked {
            for (byte, key) in bytes.iter_mut().zip(self.0.to_le_bytes()) {
                *byte ^= key;
            }
        }
    }

    /// Masks block by block, the last of which may overlap the one before it: so there is no remainder to see to.
    /// Does nothing where not even one block fits.
    fn mask_blocks<const N: usize>(self, bytes: &mut [u8]) -> bool {
        let Some(last) = bytes.last_chunk::<N>() else {
            return false;
        };
        // The last block is masked as it is now, and written when the others are done.
        let mut last = *last;
        // `N` is a multiple of four: the key begins alike at both ends of the block.
        self.after(bytes.len()).mask_words(&mut last);
        let (blocks, _) = bytes.as_chunks_mut::<N>();
        for block in blocks {
            self.mask_words(block);
        }
        if let Some(place) = bytes.last_chunk_mut::<N>() {
            *place = last;
        }
        true
    }

    /// Masks many bytes, with the widest registers that there are, in lines of the cache.
    fn mask_long(self, bytes: &mut [u8]) {
        let unaligned = bytes.as_ptr().align_offset(CACHE_LINE_BYTES);
        let Some((head, lines)) = bytes.split_at_mut_checked(unaligned) else {
            return self.mask(bytes);
        };
        self.mask(head);
        let key = self.after(head.len());
        dispatch!(Level::new(), _simd => key.mask_words(lines));
        let (_, rest) = lines.as_chunks_mut::<4>();
        key.mask(rest);
    }

    /// Masks whole words of four bytes. Inlined always: it is compiled for the registers of where it is called.
    #[inline(always)]
    fn mask_words(self, bytes: &mut [u8]) {
        let (words, _) = bytes.as_chunks_mut::<4>();
        for word in words {
            *word = (u32::from_le_bytes(*word) ^ self.0).to_le_bytes();
        }
    }
}

/// From so many bytes on it pays to look for wide registers.
const LONG_BYTES: usize = 768;
const CACHE_LINE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ops::Range;

    /// RFC 6455 §5.3, word for word: octet i of the payload with octet i modulo 4 of the key.
    fn naive(bytes: &mut [u8], key: [u8; 4], phase: usize) {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte ^= key[(phase + i) % 4];
        }
    }

    fn rotated(key: [u8; 4], phase: usize) -> [u8; 4] {
        std::array::from_fn(|i| key[(phase + i) % 4])
    }

    fn equals_the_naive_loop(offsets: Range<usize>, lengths: Range<usize>) {
        let key = [0x11, 0x22, 0x44, 0x88];
        for offset in offsets {
            for len in lengths.clone() {
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

    #[test]
    fn equals_the_naive_loop_at_every_alignment_phase_and_short_length() {
        equals_the_naive_loop(0..16, 0..200);
    }

    #[test]
    fn equals_the_naive_loop_at_every_alignment_where_wide_registers_begin_to_pay() {
        equals_the_naive_loop(0..CACHE_LINE_BYTES, LONG_BYTES - 3..LONG_BYTES + CACHE_LINE_BYTES);
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
