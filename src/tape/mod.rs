//! The tape, the only queue.

mod mirror;
mod pin;
mod reader;
mod record;
mod shape;
mod shared;
mod writer;

pub use pin::Parked;
pub use reader::Reader;
pub use record::{ChannelId, ChannelInfo, Class, Position, Record, RecordKind, Span, Track};
pub use shape::{Shape, TapeError};
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
