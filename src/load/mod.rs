//! The load generator: a shard for the other side, that opens very many connections to any WebSocket server and measures
//! what comes of it.
//!
//! Never reads a clock or makes a system call but through [`ring`](crate::ring), and never measures from when it came to
//! send something, only from when that was meant to be sent (an open loop; see `docs/load.md`).
//!
//! A run has one thread that conducts ([`run`]), one that publishes ticks, and threads with a ring each, which know
//! neither of them: they meet in counters, in a board of the ticks under way, and in one number that says what phase the
//! run is in. What a scenario's connections do is its part; who waits for whom in which order is its conductor's.

mod board;
mod churner;
mod clock;
mod conductor;
mod echoer;
mod error;
mod generator;
mod line;
mod mark;
mod net;
mod opening;
mod outgoing;
mod pace;
mod part;
mod plan;
mod procfs;
mod publisher;
mod receive;
mod report;
mod scenario;
mod scout;
mod subject;
mod subscriber;
mod tally;
mod target;
mod template;
mod windows;
mod worker;

pub use conductor::Watch;
pub use error::LoadError;
pub use mark::{MARK_BYTES, MARK_PLACE, Mark, PAD_PLACE, Scan};
pub use pace::Pace;
pub use plan::{Descriptors, HALF_OPEN_DEFAULT, Plan, Publish};
pub use report::{Figure, Quantiles, Report, Section};
pub use scenario::{Asking, Churn, Echo, Fanout, Idle, Scenario, Slow, Storm, run};
pub use target::Target;
pub use template::{Template, TemplateError};
