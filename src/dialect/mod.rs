//! The languages that clients speak: for each a parser of commands and an encoder of ticks.
//!
//! Never decides: what a command does and who gets a tick is said elsewhere.

pub mod code;
pub mod native_binary;
pub mod native_json;

mod encoding;
mod stamp;

pub use code::Code;
pub use encoding::Encoding;
pub use stamp::Stamp;
