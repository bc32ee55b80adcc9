//! The client's side: connect, subscribe, publish, take typed events, come back when a connection breaks.
//!
//! Never starts a task or a thread: all that happens, happens while one of its futures is polled.
//!
//! Invariant: of each channel everything is handed out in order, once, or told missing.
//!
//! [`Client`] is what there is to use; [`LocalBook`] keeps a book from its events. What a client does when is decided without
//! sockets and clocks (`course`): its requests, what it has of each channel, when a connection is dead, when to come back.
//!
//! | event | what it means | what there is to do |
//! |---|---|---|
//! | [`Event::Trade`], [`Event::Quote`], [`Event::Book`], [`Event::Message`] | something was published | |
//! | [`Event::Connected`] | there is a connection, the first or another | forget what belongs to the old epoch, where it is [`Continuation::Anew`] |
//! | [`Event::Disconnected`] | there is none; why, and when the client tries again | nothing |
//! | [`Event::Answered`] | which channels were granted and refused, and how they go on | mend the names that are refused |
//! | [`Event::Gap`] | so many messages of a channel will not come, and why | know it |
//! | [`Event::Live`] | what was to be sent again has come | |
//! | [`Event::Warning`] | events are taken too slowly | take them faster, or ask for less |
//! | [`Event::Missing`] | messages are missing and nothing said so | nothing: the client connects again and asks for them |
//!
//! Back-pressure is the user's own pace: nothing is received while no event is asked for, beyond one load of
//! [`CLIENT_AHEAD_BYTES`](crate::limits::CLIENT_AHEAD_BYTES). The server then conflates quotes and books and tells what else is
//! lost, as `docs/protocol.md` says.

mod backoff;
mod batch;
mod book;
mod builder;
mod clock;
mod connection;
mod conversation;
mod course;
mod driver;
mod error;
mod event;
mod handshake;
mod ledger;
mod pace;
mod requests;
mod url;

pub use book::LocalBook;
pub use builder::Builder;
pub use clock::Clock;
pub use driver::{Client, Received};
pub use error::{BuildError, ClientError, ConnectError, RequestError};
pub use event::{Connected, Disconnected, Event, Gap, GapReason};
pub use ledger::{Continuation, Places};
pub use url::{Url, UrlError};

#[cfg(test)]
mod tests;
