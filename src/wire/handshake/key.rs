//! `Sec-WebSocket-Key` and the answer that only a WebSocket server knows to give (RFC 6455 §4.2.2).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use sha1::{Digest as _, Sha1};

/// The 24 characters that stand for 16 bytes in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 24]);

impl Key {
    /// The key of these bytes, which a client draws afresh for each connection (§4.1).
    pub(super) fn new(nonce: [u8; 16]) -> Self {
        let mut text = [0; 24];
        let written = STANDARD.encode_slice(nonce, &mut text);
        debug_assert_eq!(written.ok(), Some(24), "16 bytes are 24 characters");
        Self(text)
    }

    /// Takes a field value; `None` unless it is the base64 of exactly 16 bytes, with its padding. The four bits that
    /// the last character has to spare may be set: the grammar of §4.3 has them free, and the key that §4.1 gives as
    /// an example sets one.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let text = <[u8; 24]>::try_from(value).ok()?;
        let mut nonce = [0; 18];
        let decoded = SPARE_BITS_FREE.decode_slice(text, &mut nonce).ok()?;
        (decoded == 16).then_some(Self(text))
    }

    /// `Sec-WebSocket-Accept`: the key and the protocol's own GUID, hashed, in base64 (§4.2.2).
    pub(super) fn accept(&self) -> [u8; 28] {
        let digest = Sha1::new().chain_update(self.0).chain_update(GUID).finalize();
        let mut text = [0; 28];
        let written = STANDARD.encode_slice(digest, &mut text);
        debug_assert_eq!(written.ok(), Some(28), "20 bytes are 28 characters");
        text
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

const SPARE_BITS_FREE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_6455_section_1_3_accepts_the_sample_nonce() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::new(*b"the sample nonce"));
        assert_eq!(&key.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn rfc_6455_section_4_1_has_an_example_whose_spare_bits_are_set() {
        let value = b"AQIDBAUGBwgJCgsMDQ4PEC==";
        let key = Key::parse(value).unwrap();
        assert_eq!(key.as_bytes(), value, "what is answered is the text");
        let nonce = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_ne!(Key::new(nonce), key, "we set none");
    }

    #[test]
    fn keys_that_are_not_16_bytes_in_padded_base64_are_refused() {
        for value in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZXM=", // 17 bytes
            "dGhlIHNhbXBsZSBub25jZXMh", // 18 bytes
            "dGhlIHNhbXBsZSBub25j====",
            "dGhlIHNhbXBsZSBub25jZ_==",
            "dGhlIHNhbXBs ZSBub25jZQ=",
        ] {
            assert_eq!(Key::parse(value.as_bytes()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_nonce_gives_a_key_that_parses(nonce: [u8; 16]) {
            let key = Key::new(nonce);
            prop_assert_eq!(Key::parse(key.as_bytes()), Some(key));
        }
    }
}
