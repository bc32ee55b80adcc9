//! The tape, the only queue: an append-only strip in memory with one writer and up to
//! [`READERS_MAX`](crate::limits::READERS_MAX) readers, each at its own place.
//!
//! Never waits for anybody, never allocates once made, and never copies a frame but once, onto the tape.
//!
//! # What there is
//!
//! - The **index**, a ring of [`Record`]s numbered by [`Position`]. The record of position `p` is in slot
//!   `p mod records`.
//! - For each **track**, a ring of bytes and, beside the index, a ring of [`Span`]s that says where in it each record
//!   is. Frames lie back to back, so a range of records is one range of bytes; the ring is mapped twice in a row, so
//!   that such a range never wraps. A record that is not on a track has an empty span at the place where the next one
//!   starts.
//! - The **directory**, a table of channels. An entry is written once and never changes.
//! - The **words** that writer and readers share: head, tail, the number of channels, and each reader's pin and wish
//!   to be woken (`pin.rs`).
//!
//! # What may be read when
//!
//! ```text
//!        clear        tail              pin of a reader           head
//!          |            |                  |                        |
//!   free   |  announced |     live         |          live          |  free
//!          |  maybe pinned                 |                        |
//! ```
//!
//! - `clear <= tail <= head`, and each only grows. (A pin may also lie between `clear` and `tail`.)
//! - The writer reads `tail..head`. A pinned reader reads from the tail as it was when it pinned to the head as it was
//!   then: its view.
//! - The writer writes the slot of `head` and the bytes after the last frame. These held, one turn of the ring ago,
//!   a record below `clear`.
//! - Retiring takes two steps, so that the writer seldom waits: [`Writer::retire_oldest`] announces that a record is
//!   no longer to be pinned (the tail moves), and when room is needed [`Writer::append`] finds out how far nobody pins
//!   what was announced (`clear` moves). Announce well ahead of the head, and the readers have all pinned anew by the
//!   time it matters.
//!
//! A writer may hold back what it appends and retires ([`Writer::hold`]): then readers pin from the tail to the head
//! as they were last shown, and the writer takes nothing for clear but what it has shown to be retired.
//!
//! # Why there is no data race
//!
//! Every access to a slot or a byte is either a write of the one writer, or a read in a view or in the writer's own
//! range. A read of a view happens after the write: the reader got its head by an acquire of what the writer released
//! after it. A write happens after all reads of what it replaces: they were under earlier pins of their readers, and
//! the writer acquired what each reader released after them before it moved `clear`. No view, present or future,
//! reaches below `clear`: that is the promise of `pin.rs`, argued there word by word and checked by loom. Nothing else
//! about the tape is shared and mutable.
//!
//! # Why no slice outlives its pin
//!
//! What a [`Reader`] lends borrows it, and [`Reader::pin`] and [`Reader::park`] need it whole. So this does not
//! compile:
//!
//! ```compile_fail,E0502
//! # use tickwire::tape::{Position, Reader, Track};
//! fn keep(reader: &mut Reader, position: Position) -> u8 {
//!     reader.pin();
//!     let frame = reader.frame(Track::new(0), position);
//!     reader.pin();
//!     frame[0]
//! }
//! ```
//!
//! # Example
//!
//! ```
//! use tickwire::tape::{self, Class, Entry, Parked, RecordKind, Shape, Track};
//!
//! let shape = Shape { records: 1024, track_bytes: vec![64 * 1024], readers: 1 };
//! let (mut writer, mut readers) = tape::new(&shape)?;
//! let channel = writer.declare("trade:BTC-USD", Class::Append)?;
//! let entry = Entry { channel, kind: RecordKind::Live, seq: 1, ts_ns: 0, pt_ns: 0 };
//! let position = writer.append(entry, &[b"a finished frame"])?;
//! writer.wake_parked(|reader| println!("ring the bell of reader {reader}"));
//!
//! let reader = &mut readers[0];
//! reader.pin();
//! assert_eq!(reader.record(position).seq, 1);
//! assert_eq!(reader.frame(Track::new(0), position), b"a finished frame");
//! let next = reader.head();
//! assert_eq!(reader.park(next), Parked::Idle);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod mirror;
mod pin;
mod reader;
mod record;
mod shape;
mod shared;
mod writer;

// Under loom the words of a tape exist only inside a model, and the models are in `pin/`. Miri cannot map memory.
#[cfg(test)]
#[cfg(not(any(tickwire_loom, miri)))]
mod tests;

pub use pin::Parked;
pub use reader::Reader;
pub use record::{ChannelId, ChannelInfo, Class, Position, Record, RecordKind, Span, Track};
pub use shape::{Shape, TRACK, TapeError};
pub use writer::{DeclareError, Entry, Full, Writer};

/// A new tape: its one writer, and its readers in the order of their numbers.
///
/// # Errors
/// When the shape is none that a tape can have, or the operating system does not give the memory.
pub fn new(shape: &Shape) -> Result<(Writer, Vec<Reader>), TapeError> {
    shape.check()?;
    let (writer, readers) = shared::ends(shape)?;
    Ok((
        Writer::new(writer),
        readers.into_iter().map(Reader::new).collect(),
    ))
}
