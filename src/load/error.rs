//! Why there is no report: one line each, with the cure.

use crate::client::UrlError;
use crate::ring::descriptors::DescriptorShortage;
use crate::ring::{Errno, Unavailable};
use crate::wire::OfferFault;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a run did not come to its end.
#[derive(Debug)]
pub enum LoadError {
    /// The address is none.
    Url(String, UrlError),
    /// The host is not known.
    Lookup {
        /// Its name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No request can be made for this address and subprotocol.
    Offer(OfferFault),
    /// The kernel gives no ring.
    Ring(Unavailable),
    /// A ring broke.
    Broken(Errno),
    /// Too few descriptors.
    Descriptors(DescriptorShortage),
    /// A thread cannot be started.
    Thread(io::Error),
    /// A thread of the generator panicked: a defect of ours.
    Panicked,
    /// The operating system gives no random bytes.
    Random,
    /// The server's command cannot be run.
    Server {
        /// The command.
        command: String,
        /// What the operating system said.
        error: io::Error,
    },
    /// The server's command has ended.
    ServerEnded {
        /// The command.
        command: String,
        /// How.
        status: String,
    },
    /// The command line has a quote that is not closed.
    Quote(String),
    /// Ticks cannot be written there.
    Publish {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The scenario needs ticks, and nobody publishes any.
    NoPublisher,
    /// No connection became ready.
    NotReady {
        /// To which server.
        target: String,
        /// What happened to the last attempt.
        last: String,
    },
    /// Not all connections became ready in time.
    NotOpened {
        /// How many there are.
        ready: u64,
        /// How many there were to be.
        wanted: u64,
        /// What kept the others, if that is known.
        because: String,
    },
    /// It was told to stop.
    Stopped,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url, error) => write!(f, "{url:?} is no address of a WebSocket server: {error}"),
            Self::Lookup { host, error } => write!(f, "cannot look up {host}: {error}"),
            Self::Offer(fault) => write!(f, "cannot ask for a WebSocket: {fault}"),
            Self::Ring(unavailable) => write!(f, "{unavailable}"),
            Self::Broken(errno) => write!(f, "a ring broke: {errno}"),
            Self::Descriptors(shortage) => write!(f, "{shortage}; or use --descriptors registered"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}; use fewer --threads"),
            Self::Panicked => f.write_str("a thread of the generator panicked: please report the message above"),
            Self::Random => f.write_str("the operating system gives no random bytes"),
            Self::Server { command, error } => write!(f, "cannot run {command:?}: {error}"),
            Self::ServerEnded { command, status } => {
                write!(f, "the server ended before it was ready ({status}): {command}; see what it said above")
            }
            Self::Quote(command) => write!(f, "{command:?} has a quote that is not closed"),
            Self::Publish { path, error } => write!(f, "cannot publish to {}: {error}", path.display()),
            Self::NoPublisher => f.write_str(
                "nobody publishes: start the server with --server 'COMMAND', which gets ticks on its standard input, or \
                 say with --publish where ticks are to be written",
            ),
            Self::NotReady { target, last } => write!(f, "no connection to {target} became ready: {last}"),
            Self::NotOpened {
                ready,
                wanted,
                because,
            } => write!(f, "only {ready} of {wanted} connections became ready in time: {because}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<Unavailable> for LoadError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Ring(unavailable)
    }
}

impl From<Errno> for LoadError {
    fn from(errno: Errno) -> Self {
        Self::Broken(errno)
    }
}
