//! The subscriber's side: connect, subscribe, read typed ticks.
//!
//! Never connects again by itself, and never starts a task or a thread: all that happens, happens while one of
//! its futures is polled.
//!
//! Invariant: a message is parsed in the buffer that it was received in. Of a tick that came in binary, the text is made
//! in a buffer that is used again for the next.

mod clock;
mod connection;
mod continuity;
mod conversation;
mod error;
mod handshake;
mod url;

pub use clock::Clock;
pub use connection::{Client, Wishes};
pub use continuity::{Continuity, Step};
pub use conversation::Message;
pub use error::{ClientError, ConnectError, RequestError};
pub use url::{Url, UrlError};

#[cfg(test)]
mod tests;
