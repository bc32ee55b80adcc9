//! What was asked for of a run, whatever the scenario.

use super::target::Target;
use super::template::Template;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// Which server, how many connections, from where, and where ticks come from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The server.
    pub target: Target,
    /// Connections altogether.
    pub connections: u32,
    /// Threads, each with a ring of its own; `None` for as many as half the cores, or as registered descriptors need.
    pub threads: Option<NonZeroUsize>,
    /// Our addresses; none for what the kernel chooses, or, on this machine itself, for as many as there must be ports.
    pub sources: Vec<IpAddr>,
    /// Connections begun in a second; 0 for as many as the next bound allows.
    pub connect_per_second: f64,
    /// Connections on their way to being ready at once.
    pub half_open: usize,
    /// How sockets are held.
    pub descriptors: Descriptors,
    /// Bytes of each socket's receive buffer; `None` for what the kernel thinks best.
    pub receive_buffer_bytes: Option<u32>,
    /// A command that starts the server.
    pub server: Option<String>,
    /// The server's process, where it is not ours to start.
    pub pid: Option<u32>,
    /// Where ticks go.
    pub publish: Publish,
    /// What a tick says.
    pub tick: Template,
    /// How long it may take until all connections are ready.
    pub open_within: Duration,
}

/// Where ticks go.
#[derive(Clone, Debug)]
pub enum Publish {
    /// Nowhere.
    Nowhere,
    /// To the standard input of the server that the plan starts, a line each.
    Stdin,
    /// To this file or named pipe, a line each.
    Path(PathBuf),
    /// To this server, a message each.
    WebSocket(Box<Target>),
}

/// How sockets are held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptors {
    /// As the process's descriptors where its limit allows, else registered.
    Auto,
    /// As the process's descriptors.
    Process,
    /// In tables of the rings, which the process's limit of descriptors bounds each for itself.
    Registered,
}

impl Plan {
    /// `connections` to `target` with defaults for the rest, and nobody who publishes.
    #[must_use]
    pub fn new(target: Target, connections: u32, tick: Template) -> Self {
        Self {
            target,
            connections,
            threads: None,
            sources: Vec::new(),
            connect_per_second: 0.0,
            half_open: HALF_OPEN_DEFAULT,
            descriptors: Descriptors::Auto,
            receive_buffer_bytes: None,
            server: None,
            pid: None,
            publish: Publish::Nowhere,
            tick,
            open_within: Duration::from_secs(120),
        }
    }
}

/// Connections on their way at once unless told otherwise: fewer than any common backlog.
pub const HALF_OPEN_DEFAULT: usize = 100;
