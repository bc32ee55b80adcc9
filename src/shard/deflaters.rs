//! The compressors of a shard: one for each window that clients have agreed on, made when it is first needed.
//!
//! None belongs to a connection: every message is compressed by itself (RFC 7692 §7.1.1.1).

use crate::wire::Deflater;

/// One deflater a window, as far as they were needed.
#[derive(Debug, Default)]
pub(super) struct Deflaters {
    of_bits: [Option<Deflater>; 16],
}

impl Deflaters {
    /// The one for windows of this size, as the base-2 logarithm of their bytes: at most 15.
    pub(super) fn of_window(&mut self, bits: u8) -> &mut Deflater {
        let index = usize::from(bits).min(self.of_bits.len() - 1);
        self.of_bits[index].get_or_insert_with(|| Deflater::new(bits))
    }
}
