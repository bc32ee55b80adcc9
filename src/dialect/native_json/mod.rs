//! `tickwire.v1.json`: the native language, as JSON text.
//!
//! Never keeps anything between two messages, and never reads a clock: times are arguments.

pub mod classes;
pub mod command;
pub mod encode;
pub mod input;
pub mod message;
pub mod notice;
pub mod query;
pub mod reply;

mod fields;
mod string;

pub use super::Stamp;
pub use classes::{Classes, Told};
pub use command::{Command, CommandError, Label, Since};
pub use encode::encode;
pub use input::{Input, InputError};
pub use message::{MessageError, ServerMessage};
pub use notice::{GapCause, write_gap, write_heartbeat, write_live, write_shutdown, write_warning};
pub use reply::{Ack, Hello, HelloLimits, Pong, Resume, ResumeFault};
