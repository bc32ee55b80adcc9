//! Text in pieces, against the standard library's word on all that has arrived.

use super::input::Input;
use crate::wire::Utf8;

/// A text that is validated piece by piece (RFC 3629, RFC 6455 §8.1).
///
/// # Panics
/// When a property does not hold.
pub fn utf8(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let text = input.rest();
    let mut utf8 = Utf8::new();
    let mut arrived = 0;
    for piece in cuts.pieces(text) {
        arrived += piece.len();
        let verdict = utf8.push(piece).map(|()| utf8.is_complete()).ok();
        assert_eq!(verdict, naive(&text[..arrived]), "{:x?}", &text[..arrived]);
        if verdict.is_none() {
            return;
        }
    }
}

/// Whether a text may end here; `None` when nothing can make a text of it.
fn naive(beginning: &[u8]) -> Option<bool> {
    match std::str::from_utf8(beginning) {
        Ok(_) => Some(true),
        Err(error) if error.error_len().is_none() => Some(false),
        Err(_) => None,
    }
}
