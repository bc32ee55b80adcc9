//! The languages that clients speak: for each a parser of commands and an encoder of ticks; and what becomes of a command on
//! its way through the server, whatever the language: who may publish, and what the writer is asked for.
//!
//! Never decides: what a command does and who gets a tick is said elsewhere.

pub mod code;
pub mod errand;
pub mod native_binary;
pub mod native_json;
pub mod publisher;

mod encoding;
mod stamp;

pub use code::Code;
pub use encoding::Encoding;
pub use publisher::Publishers;
pub use stamp::Stamp;
