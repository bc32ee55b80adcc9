//! The subscriber's side: connect, subscribe, read typed ticks.
//!
//! Never connects again by itself, and never starts a task or a thread: all that happens, happens while one of
//! its futures is polled.
//!
//! Invariant: a message is parsed in the buffer that it was received in.

mod clock;
mod connection;
mod continuity;
mod conversation;
mod error;
mod handshake;
mod url;

pub use clock::Clock;
pub use connection::Client;
pub use continuity::{Continuity, Step};
pub use conversation::Message;
pub use error::{ClientError, ConnectError, RequestError};
pub use url::{Url, UrlError};

#[cfg(test)]
mod tests;
