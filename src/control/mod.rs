//! Starts the server, watches over its threads, stops it, and says in one line what to do when it cannot run.
//!
//! Never on the path of a tick.
//!
//! - [`config`]: what was asked for, resolved against this machine;
//! - [`config_file`]: the file that may say it;
//! - [`tuning`]: the knobs of sockets and pings;
//! - [`plan`]: what the server's memory may come to, line by line;
//! - [`machine`]: what this machine says of itself;
//! - [`doctor`]: whether that suffices for a server, and what mends it;
//! - [`bytes`]: numbers of bytes as people write them;
//! - [`history`]: how far back the tape reaches;
//! - [`vitals`], [`admin`]: what can be asked of a running server, and the port where it is;
//! - [`server`]: threads and how they end;
//! - [`start_error`]: why there is no server, and the cure;
//! - [`progress`]: the line on the terminal while a capture replays.

pub mod admin;
pub mod bytes;
pub mod config;
pub mod config_file;
pub mod doctor;
pub mod history;
pub mod machine;
pub mod plan;
pub mod progress;
pub mod server;
pub mod start_error;
pub mod tuning;
pub mod vitals;

pub use bytes::Bytes;
pub use config::{Config, EchoConfig, Purpose, Resolved};
pub use config_file::{Channels, ConfigFile, ConfigFileError};
pub use machine::Machine;
pub use plan::{MemoryShortage, Plan};
pub use server::Server;
pub use start_error::StartError;
pub use tuning::Tuning;
