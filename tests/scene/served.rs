//! A server in this process, which ends with the test.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use tickwire::control::{Config, EchoConfig, Resolved, Server};
use tickwire::limits;
use tickwire::writer::source::SourceSpec;

/// A running server.
#[derive(Debug)]
pub(crate) struct Served {
    server: Option<Server>,
}

impl Served {
    pub(crate) fn start(config: Config) -> Self {
        Self::resolved(&config.resolve().expect("what a test asks for can be given"))
    }

    fn resolved(resolved: &Resolved) -> Self {
        let server = Server::start(resolved).expect("the server starts");
        Self { server: Some(server) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server().address()
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs until it is dropped")
    }

    pub(crate) fn server_mut(&mut self) -> &mut Server {
        self.server.as_mut().expect("it runs until it is dropped")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop();
            server.join();
        }
    }
}

/// A small server of `source` on any free port.
pub(crate) fn small(source: SourceSpec) -> Config {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Config {
        shards: NonZeroUsize::new(1),
        connections: NonZeroUsize::new(128),
        track_bytes: limits::TRACK_BYTES_MIN,
        ..Config::new(any_port, source)
    }
}

/// A small echo of messages of at most so many bytes; says so where there can be none.
pub(crate) fn echo(message_bytes_max: u32) -> Option<Served> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    let config = EchoConfig {
        shards: NonZeroUsize::new(1),
        connections: NonZeroUsize::new(16),
        message_bytes_max,
        ..EchoConfig::new(any_port)
    };
    let start = || Served::resolved(&config.resolve().expect("what a test asks for can be given"));
    (!super::cannot_serve()).then(start)
}

/// A small server of the simulated market; says so where there can be none.
pub(crate) fn market() -> Option<Served> {
    (!super::cannot_serve()).then(|| Served::start(small(SourceSpec::Sim { seed: 1 })))
}
