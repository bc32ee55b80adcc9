//! Starts the server, watches over its threads, stops it, and says in one line what to do when it cannot run.
//!
//! Never on the path of a tick.
//!
//! - [`config`]: what the command line said, resolved against this machine;
//! - [`server`]: threads and how they end;
//! - [`start_error`]: why there is no server, and the cure;
//! - [`progress`]: the line on the terminal while a capture replays.

pub mod config;
pub mod progress;
pub mod server;
pub mod start_error;

pub use config::{Config, EchoConfig, Purpose, Resolved};
pub use server::Server;
pub use start_error::StartError;
