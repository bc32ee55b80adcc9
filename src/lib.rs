//! tickwire: one publisher's tick goes out to everyone who subscribed, from one copy in memory.
//!
//! The rooms, from the ground floor up; a room imports only from the floors below it
//! (`tests/tidy.rs` holds the table):
//!
//! | floor | rooms |
//! |---|---|
//! | 0 | [`limits`], [`base`] |
//! | 1 | [`wire`] (RFC 6455), [`market`] (decimals, trades, books), [`ring`] (the kernel boundary), [`tape`] (the only queue) |
//! | 2 | [`dialect`] (what clients speak), [`hub`] (who gets what), [`connection`] (one client) |
//! | 3 | [`shard`] (the event loop), [`writer`] (sources, sequence, tape), [`client`] (the client's side) |
//! | 4 | [`control`] (start, signals, what to say when it cannot run), [`load`] (the load generator) |
//!
//! `docs/architecture.md` tells the whole story.

pub mod base;
pub mod client;
pub mod connection;
pub mod control;
pub mod dialect;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod hub;
pub mod limits;
pub mod load;
pub mod market;
pub mod ring;
pub mod shard;
pub mod tape;
pub mod wire;
pub mod writer;
