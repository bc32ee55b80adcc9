//! The receiving side: a compressed message becomes the message (RFC 7692 §7.2.2).
//!
//! Never gives more than its limit, and never works on after it: a bomb costs at most what an honest message of
//! the greatest length costs. Memory is taken once, when it is made.

use super::{TAIL, WINDOW_BITS_MAX};
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::wire::Fault;
use flate2::{Decompress, FlushDecompress, Status};

/// Makes messages out of compressed ones, for any number of connections, or for one whose peer keeps its history.
///
/// ```
/// use tickwire::wire::{Fault, Inflater};
/// let mut inflater = Inflater::new(8);
/// // RFC 7692 §7.2.3.1
/// assert_eq!(inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00")?, b"Hello");
/// let bomb = b"\x4a\xac\x22\x04\x00";
/// assert_eq!(inflater.inflate(bomb), Err(Fault::MessageTooBig));
/// # Ok::<(), Fault>(())
/// ```
pub struct Inflater {
    state: Decompress,
    /// Room for the longest message, and one byte more by which a longer one gives itself away.
    message: Box<[u8]>,
    /// The end of what the peer has sent before, where it may refer to that.
    history: Option<History>,
    /// Bytes of the newest message, while it is not part of the history.
    newest: usize,
}

/// The newest bytes of a peer's messages.
struct History {
    bytes: Vec<u8>,
    bytes_max: usize,
}

impl Inflater {
    /// Bytes of memory that one for messages of at most so many bytes uses, which keeps no history. What inflating
    /// itself takes is a window and its tables.
    #[must_use]
    pub const fn bytes_max(message_bytes_max: u32) -> usize {
        (message_bytes_max as usize)
            .saturating_add(1)
            .saturating_add(2 << WINDOW_BITS_MAX)
    }

    /// For peers that compress each message by itself, of at most `message_bytes_max` bytes.
    #[must_use]
    pub fn new(message_bytes_max: u32) -> Self {
        Self {
            state: Decompress::new(false),
            message: vec![0; (message_bytes_max as usize).saturating_add(1)].into(),
            history: None,
            newest: 0,
        }
    }

    /// For one peer that may refer to what it sent before, as far back as `window_bits` allow: the base-2
    /// logarithm of its window, up to 15.
    #[must_use]
    pub fn with_context_takeover(message_bytes_max: u32, window_bits: u8) -> Self {
        let bytes_max = 1_usize
            .checked_shl(window_bits.min(WINDOW_BITS_MAX).into())
            .unwrap_or(0);
        Self {
            history: Some(History {
                bytes: Vec::with_capacity(bytes_max),
                bytes_max,
            }),
            ..Self::new(message_bytes_max)
        }
    }

    /// The message whose compressed payload, all fragments put together, is `payload`.
    ///
    /// # Errors
    /// [`Fault::MessageTooBig`] when it is longer than the limit, as soon as that is seen;
    /// [`Fault::CompressedInvalid`] when the payload is no whole deflate data.
    pub fn inflate(&mut self, payload: &[u8]) -> Result<&[u8], Fault> {
        self.state.reset(false);
        let newest = std::mem::take(&mut self.newest);
        if let Some(history) = &mut self.history {
            history.push(self.message.get(..newest).unwrap_or_default());
            self.state
                .set_dictionary(&history.bytes)
                .map_err(|_| Fault::CompressedInvalid)?;
        }
        let mut filled = 0;
        let mut rest = payload;
        // §7.2.3.4: a block may be marked as the last one, and more come behind it: another stream, without history.
        for _ in 0..DEFLATE_STREAMS_MAX {
            let (read, status) = self.step(rest, &mut filled)?;
            rest = rest.get(read..).unwrap_or_default();
            match status {
                Status::StreamEnd => self.state.reset(false),
                Status::Ok | Status::BufError if rest.is_empty() => return self.finish(filled),
                Status::Ok | Status::BufError => return Err(Fault::CompressedInvalid),
            }
        }
        Err(Fault::CompressedInvalid)
    }

    /// Forgets the newest message: it will be inflated again.
    pub(in crate::wire) const fn put_back(&mut self) {
        self.newest = 0;
    }

    /// Adds what the sender left out (§7.2.2), and an empty last block: it is found as such only where a block may
    /// begin, so that a payload that was cut within one is not taken for a whole message. Nor is one whose last block
    /// has these bytes for its content.
    fn finish(&mut self, filled: usize) -> Result<&[u8], Fault> {
        let mut end = filled;
        match self.step(&END, &mut end) {
            Ok((read, Status::StreamEnd)) if read == END.len() && end == filled => {}
            Ok(_) | Err(_) => return Err(Fault::CompressedInvalid),
        }
        self.newest = filled;
        Ok(self.message.get(..filled).unwrap_or_default())
    }

    /// Inflates some of `input` behind the first `filled` bytes of the message. Says how much it read.
    fn step(&mut self, input: &[u8], filled: &mut usize) -> Result<(usize, Status), Fault> {
        let (read, written) = (self.state.total_in(), self.state.total_out());
        let room = self.message.get_mut(*filled..).unwrap_or_default();
        let status = self.state.decompress(input, room, FlushDecompress::Sync);
        let moved = |before: u64, now: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX);
        *filled = filled.saturating_add(moved(written, self.state.total_out()));
        // Before what is wrong with the data behind it, which would not have been looked at with less room.
        if *filled >= self.message.len() {
            return Err(Fault::MessageTooBig);
        }
        let status = status.map_err(|_| Fault::CompressedInvalid)?;
        Ok((moved(read, self.state.total_in()), status))
    }
}

impl History {
    /// Takes note of a message, and forgets what is now too old.
    fn push(&mut self, message: &[u8]) {
        let newest = message
            .get(message.len().saturating_sub(self.bytes_max)..)
            .unwrap_or_default();
        let kept = self.bytes_max.saturating_sub(newest.len());
        let stale = self.bytes.len().saturating_sub(kept);
        self.bytes.drain(..stale);
        self.bytes.extend_from_slice(newest);
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater")
            .field("message_bytes_max", &self.message.len().saturating_sub(1))
            .field(
                "history_bytes",
                &self.history.as_ref().map(|history| history.bytes.len()),
            )
            .finish_non_exhaustive()
    }
}

/// The four bytes that the sender left out, then an empty stored block that is marked as the last.
const END: [u8; 9] = [TAIL[0], TAIL[1], TAIL[2], TAIL[3], 0x01, 0x00, 0x00, 0xff, 0xff];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Deflater;

    #[test]
    fn a_bomb_is_inflated_no_further_than_one_byte_beyond_the_limit() {
        let million = vec![0; 1_000_000];
        let mut deflater = Deflater::new(15);
        let bomb = deflater.deflate(&million).unwrap();
        let mut inflater = Inflater::new(1000);
        assert_eq!(inflater.inflate(bomb), Err(Fault::MessageTooBig));
        assert_eq!(inflater.state.total_out(), 1001);
    }
}
