//! One submission's worth of sends from the tape, and where each was cut if it was.

use crate::hub::Range;
use crate::limits;
use crate::ring::{Batch, Short};
use crate::tape::{Position, Reader, Track};

/// Memory for one submission, used again by the next.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    batch: Batch<'static>,
    pub(super) short: Vec<Short>,
}

impl Outgoing {
    /// Bytes of memory that it takes.
    pub(super) const BYTES: usize =
        Batch::bytes(limits::SEND_BATCH, limits::SEND_BATCH_PARTS) + limits::SEND_BATCH * size_of::<Short>();

    pub(super) fn new() -> Self {
        Self {
            batch: Batch::with_capacity(limits::SEND_BATCH, limits::SEND_BATCH_PARTS),
            short: Vec::with_capacity(limits::SEND_BATCH),
        }
    }

    /// An empty batch for a submission; give it back with [`keep`](Self::keep).
    pub(super) fn batch<'a>(&mut self) -> Batch<'a> {
        std::mem::take(&mut self.batch).recycle()
    }

    pub(super) fn keep(&mut self, batch: Batch<'_>) {
        self.batch = batch.recycle();
    }
}

/// Where a send was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The first record that is still to be sent.
    pub(super) next: Position,
    /// What is left of the record before it, which was begun and must be ended for the stream to stay whole.
    pub(super) remainder: Range,
}

/// Where the send of `ranges` was cut after `sent` bytes; `None` when they are all sent.
pub(super) fn cut(tape: &Reader, track: Track, ranges: &[Range], sent: usize) -> Option<Cut> {
    let mut left = sent as u64;
    let part = ranges.iter().find(|part| {
        let whole = left >= u64::from(part.bytes);
        left -= if whole { u64::from(part.bytes) } else { 0 };
        !whole
    })?;
    let offset = part.start + left;
    let position = tape.position_at(track, offset);
    let span = tape.span(track, position);
    if offset == span.start {
        return Some(Cut {
            next: position,
            remainder: Range::default(),
        });
    }
    let bytes = u32::try_from(span.end() - offset).unwrap_or(0);
    Some(Cut {
        next: position.next(),
        remainder: Range { start: offset, bytes },
    })
}
