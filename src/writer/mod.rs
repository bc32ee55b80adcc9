//! The one place that decides order.

mod channel;
pub mod clock;
pub mod runtime;
pub mod sequencer;
pub mod source;

pub use sequencer::{Pinned, PublishError, Sequencer};
