//! The track of compressed JSON: each message once more, compressed for everybody who agreed on permessage-deflate.
//!
//! Never compresses for one client: without context takeover the same bytes serve all (RFC 7692 §7.2.3). Invariant: a
//! frame on this track is never longer than the same frame on that of JSON, so room for the one is room for both.

use std::ops::Range;

use crate::limits;
use crate::wire::{Deflater, Opcode, compressed_server_header};

/// Compresses what is worth it.
#[derive(Debug)]
pub(super) struct Compression {
    deflater: Deflater,
    /// The length from which a message is worth it.
    threshold: usize,
}

impl Compression {
    /// Compresses messages of at least `threshold` bytes.
    pub(super) fn new(threshold: usize) -> Self {
        Self {
            deflater: Deflater::new(limits::TRACK_WINDOW_BITS),
            threshold,
        }
    }

    /// Appends to `frames` the compressed form of the frame in `frame`, whose payload begins at `payload`, and says
    /// where it is: where the frame itself is, if it goes uncompressed, as any message may (RFC 7692 §6).
    pub(super) fn append(
        &mut self,
        frames: &mut Vec<u8>,
        frame: &Range<usize>,
        payload: usize,
    ) -> Range<usize> {
        let message = &frames[payload..frame.end];
        if message.len() < self.threshold {
            return frame.clone();
        }
        let Some(compressed) = self.deflater.deflate(message) else {
            return frame.clone();
        };
        let start = frames.len();
        let header = compressed_server_header(Opcode::Text, compressed.len());
        frames.extend_from_slice(header.as_slice());
        frames.extend_from_slice(compressed);
        debug_assert!(frames.len() - start <= frame.len(), "no frame becomes longer");
        start..frames.len()
    }
}
