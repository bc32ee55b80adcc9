//! UTF-8 as it arrives (RFC 3629, asked for by RFC 6455 §8.1), in three bytes of state.
//!
//! Keeps no text. After an error it has nothing more to say: the stream is lost.
//! The state between two pieces is the range of bytes that may come next.

/// A validator of text in pieces: a character may be split anywhere.
///
/// ```
/// use tickwire::wire::Utf8;
/// let mut utf8 = Utf8::new();
/// assert!(utf8.push(b"\xe2\x82").is_ok() && !utf8.is_complete());
/// assert!(utf8.push(b"\xac").is_ok() && utf8.is_complete());
/// assert!(utf8.push(b"\xed\xa0").is_err()); // a surrogate, known by its second byte
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8 {
    /// Continuation bytes that the character under way still lacks: 0 to 3.
    lacking: u8,
    /// The least and the greatest byte that may come next while any is lacking.
    low: u8,
    high: u8,
}

/// The text is not UTF-8, and no bytes to come can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidUtf8;

impl Utf8 {
    /// Before the first character.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            lacking: 0,
            low: 0x80,
            high: 0xbf,
        }
    }

    /// Takes the next piece of the text.
    ///
    /// # Errors
    /// [`InvalidUtf8`] when the text up to here cannot begin any UTF-8 text: a bad byte is reported with the
    /// piece it came in, never later.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = bytes;
        // The end of a character that an earlier piece began.
        while self.lacking > 0
            && let Some((&byte, after)) = rest.split_first()
        {
            self.step(byte)?;
            rest = after;
        }
        let Err(error) = simdutf8::compat::from_utf8(rest) else {
            return Ok(());
        };
        // A beginning that lacks bytes is the only error that more bytes can mend: at most three are left.
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let unfinished = rest.get(error.valid_up_to()..).unwrap_or_default();
        unfinished.iter().try_for_each(|&byte| self.step(byte))
    }

    /// Whether the text may end here: no character is cut off.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.lacking == 0
    }

    /// One byte: the table of RFC 3629 §4, where only the byte after the first has a range of its own.
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        let (lacking, low, high) = match byte {
            _ if self.lacking > 0 => {
                if byte < self.low || byte > self.high {
                    return Err(InvalidUtf8);
                }
                (self.lacking.saturating_sub(1), 0x80, 0xbf)
            }
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee..=0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0x80..=0xc1 | 0xf5..=0xff => return Err(InvalidUtf8),
        };
        *self = Self { lacking, low, high };
        Ok(())
    }
}

impl Default for Utf8 {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the text is not UTF-8")
    }
}

impl std::error::Error for InvalidUtf8 {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The standard library's word on a prefix: whether it may go on, and whether it may end.
    fn naive(prefix: &[u8]) -> Result<bool, InvalidUtf8> {
        match std::str::from_utf8(prefix) {
            Ok(_) => Ok(true),
            Err(error) if error.error_len().is_none() => Ok(false),
            Err(_) => Err(InvalidUtf8),
        }
    }

    /// Pushes byte by byte, and asks the oracle after each.
    fn agrees_at_every_byte(bytes: &[u8]) {
        let mut utf8 = Utf8::new();
        for end in 1..=bytes.len() {
            let verdict = utf8.push(&bytes[end - 1..end]).map(|()| utf8.is_complete());
            assert_eq!(verdict, naive(&bytes[..end]), "{:x?}", &bytes[..end]);
            if verdict.is_err() {
                return;
            }
        }
    }

    /// Pushes two pieces, split at every place.
    fn agrees_at_every_split(bytes: &[u8]) {
        for split in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(split);
            let mut utf8 = Utf8::new();
            let first = utf8.push(head).map(|()| utf8.is_complete());
            assert_eq!(first, naive(head), "{head:x?}");
            if first.is_ok() {
                let both = utf8.push(tail).map(|()| utf8.is_complete());
                assert_eq!(both, naive(bytes), "{head:x?} {tail:x?}");
            }
        }
    }

    #[test]
    fn every_sequence_of_three_bytes_from_the_edges_of_the_table() {
        let edges = [
            0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
            0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ];
        for a in 0..=0xff {
            for b in edges {
                for c in edges {
                    agrees_at_every_byte(&[a, b, c, 0x80]);
                    agrees_at_every_byte(&[a, b, c, 0xc0]);
                }
            }
        }
    }

    #[test]
    fn bulk_and_edges_agree_where_a_character_straddles_the_vector_width() {
        for pad in 56..72 {
            for tail in ["é", "€", "𐍈", "\u{10ffff}"] {
                let text = format!("{}{tail}{}", "a".repeat(pad), "b".repeat(40));
                agrees_at_every_split(text.as_bytes());
            }
        }
    }

    proptest! {
        #[test]
        fn text_with_one_bad_byte_is_refused_where_the_standard_library_refuses_it(
            text in "\\PC{0,60}", at: prop::sample::Index, bad: u8,
        ) {
            agrees_at_every_split(text.as_bytes());
            let mut bytes = text.into_bytes();
            let at = at.index(bytes.len() + 1);
            bytes.insert(at, bad);
            agrees_at_every_split(&bytes);
            agrees_at_every_byte(&bytes);
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
            agrees_at_every_split(&bytes);
            agrees_at_every_byte(&bytes);
        }
    }
}
