//! A server in this process, which ends with the test.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use tickwire::control::{Config, Server};
use tickwire::limits;
use tickwire::writer::source::SourceSpec;

/// A running server.
#[derive(Debug)]
pub(crate) struct Served {
    server: Option<Server>,
}

impl Served {
    pub(crate) fn start(config: Config) -> Self {
        let resolved = config.resolve().expect("what a test asks for can be given");
        let server = Server::start(&resolved).expect("the server starts");
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

/// A small server of the simulated market; says so where there can be none.
pub(crate) fn market() -> Option<Served> {
    (!super::cannot_serve()).then(|| Served::start(small(SourceSpec::Sim { seed: 1 })))
}
