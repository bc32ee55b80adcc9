//! The sending side: a message becomes a shorter one (RFC 7692 §7.2.1).
//!
//! Never makes a message longer, unless its history has to be kept. Its memory grows to what its longest message
//! needed, and no further.

use super::{TAIL, WINDOW_BITS_MAX};
use flate2::{Compress, Compression, FlushCompress, Status};

/// Compresses messages, for any number of connections that agreed on the same window, or with context takeover for
/// a sequence of messages that all its receivers get.
///
/// ```
/// use tickwire::wire::{Deflater, Inflater};
/// let mut deflater = Deflater::new(15);
/// let compressed = deflater.deflate(b"tick tick tick tick").unwrap();
/// assert_eq!(Inflater::new(64).inflate(compressed)?, b"tick tick tick tick");
/// assert_eq!(deflater.deflate(b"short"), None);
/// # Ok::<(), tickwire::wire::Fault>(())
/// ```
pub struct Deflater {
    state: Compress,
    compressed: Vec<u8>,
    context_takeover: bool,
}

impl Deflater {
    /// Compresses each message by itself. `window_bits` are what was agreed on for this direction, 8 to 15; other
    /// values are taken for the nearest of these.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        // A window of 2^8 is none that the encoder has. Of the next one it uses all but the 262 bytes that it looks
        // ahead (RFC 1951's longest match and a few), which leaves distances of at most 250.
        let window_bits = window_bits.clamp(ENCODER_BITS_MIN, WINDOW_BITS_MAX);
        Self {
            state: Compress::new_with_window_bits(Compression::fast(), false, window_bits),
            compressed: Vec::new(),
            context_takeover: false,
        }
    }

    /// Compresses each message with those before it in mind, so that whoever misses one understands none after it.
    #[must_use]
    pub fn with_context_takeover(window_bits: u8) -> Self {
        Self {
            context_takeover: true,
            ..Self::new(window_bits)
        }
    }

    /// The compressed payload of `message`; `None` where it would be no shorter, so that the message is to be sent as
    /// it is, which is allowed at any time (RFC 7692 §6). With context takeover there is always one.
    pub fn deflate(&mut self, message: &[u8]) -> Option<&[u8]> {
        if message.is_empty() {
            // A flush that has nothing to flush writes nothing.
            return self.context_takeover.then_some(&EMPTY);
        }
        self.compressed.clear();
        if !self.context_takeover {
            self.state.reset();
        }
        let begun = self.state.total_in();
        loop {
            // Room for the usual case at once: it seldom becomes longer than it was.
            self.compressed
                .reserve(message.len().saturating_add(OVERHEAD_BYTES));
            let read = usize::try_from(self.state.total_in().saturating_sub(begun)).ok()?;
            let rest = message.get(read..)?;
            let status = self
                .state
                .compress_vec(rest, &mut self.compressed, FlushCompress::Sync)
                .ok()?;
            // With room to spare, everything was flushed.
            if self.compressed.len() < self.compressed.capacity() || status == Status::BufError {
                break;
            }
        }
        // §7.2.1: a flush ends with an empty stored block, whose last four bytes everybody knows.
        let compressed = self.compressed.strip_suffix(&TAIL)?;
        (self.context_takeover || compressed.len() < message.len()).then_some(compressed)
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater")
            .field("context_takeover", &self.context_takeover)
            .finish_non_exhaustive()
    }
}

/// The empty message (RFC 7692 §7.2.3.6): a stored block, whose lengths everybody knows.
const EMPTY: [u8; 1] = [0x00];
/// The smallest window that the encoder has.
const ENCODER_BITS_MIN: u8 = 9;
/// What a flush adds to a short message at most.
const OVERHEAD_BYTES: usize = 64;
