//! What must hold of any bytes, as functions that a fuzzer calls and the tests replay.
//!
//! Each of these takes whatever it is given, and panics only where a property of the code under test does not
//! hold: mostly that it agrees with a naive reading of the same bytes, straight from the specification, and that
//! it does not matter how they were split. None of it is in a build that is neither a test nor for a fuzzer.
//!
//! `docs/fuzzing.md` says how to run them. The files below `fuzz/corpus/` are replayed on every `cargo test`.

mod command;
mod extensions;
mod frame;
mod handshake_request;
mod handshake_response;
mod head;
mod inflate;
mod input;
mod journal;
mod json;
mod market_binary;
mod market_json;
mod mask;
mod session;
mod utf8;

#[cfg(test)]
mod tests;

pub use command::command;
pub use extensions::extensions;
pub use frame::frame;
pub use handshake_request::handshake_request;
pub use handshake_response::handshake_response;
pub use inflate::inflate;
pub use journal::journal;
pub use market_binary::market_binary;
pub use market_json::market_json;
pub use mask::mask;
pub use session::session;
pub use utf8::utf8;
