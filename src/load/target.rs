//! Which server is put under load, and what is said to it to begin with.
//!
//! Never looks up a name twice: every connection goes to the address that was found first.

use super::LoadError;
use crate::client::Url;
use crate::wire::Offer;
use std::net::{SocketAddr, ToSocketAddrs as _};

/// A server, and how a connection to it becomes ready.
#[derive(Clone, Debug)]
pub struct Target {
    address: SocketAddr,
    authority: String,
    path: String,
    /// A subprotocol to ask for.
    pub protocol: Option<String>,
    /// What is said as soon as the connection is open.
    pub send: Option<String>,
    /// What must be in a message before the connection is ready; `None` when it is ready as soon as it is open and
    /// everything was said.
    pub expect: Option<String>,
}

impl Target {
    /// The server at `url`; what stands between the port and the query is asked for as it is, and where nothing does, the
    /// path is tickwire's own.
    ///
    /// # Errors
    /// When it is none, or its name cannot be looked up.
    pub fn new(url: &str) -> Result<Self, LoadError> {
        let parsed: Url = url
            .parse()
            .map_err(|error| LoadError::Url(url.to_owned(), error))?;
        let lookup = |error| LoadError::Lookup {
            host: parsed.host().to_owned(),
            error,
        };
        let mut found = (parsed.host(), parsed.port()).to_socket_addrs().map_err(lookup)?;
        let nowhere = || lookup(std::io::ErrorKind::NotFound.into());
        let path = if is_root(url) { "/" } else { parsed.target() };
        Ok(Self {
            address: found.next().ok_or_else(nowhere)?,
            authority: parsed.authority(),
            path: path.to_owned(),
            protocol: None,
            send: None,
            expect: None,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lends the request for a WebSocket with this nonce.
    pub(super) fn with_offer<T>(
        &self,
        nonce: [u8; 16],
        with: impl FnOnce(&Offer<'_>) -> T,
    ) -> Result<T, LoadError> {
        let protocols = self.protocol.as_deref();
        let offer = Offer::new(&self.authority, &self.path, protocols.as_slice(), nonce);
        offer.map(|offer| with(&offer)).map_err(LoadError::Offer)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ws://{}{}", self.authority, self.path)
    }
}

/// Whether the path that was written is the root and nothing else.
fn is_root(url: &str) -> bool {
    url.split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .is_some_and(|(_, path)| path.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_asked_for_as_it_was_written() {
        for (url, path) in [
            ("ws://127.0.0.1:9001", "/v1/ws"),
            ("ws://127.0.0.1:9001/", "/"),
            ("ws://127.0.0.1:9001/chat", "/chat"),
            ("ws://127.0.0.1:9001/v1/ws?ch=a:*", "/v1/ws?ch=a:*"),
        ] {
            let target = Target::new(url).unwrap();
            assert_eq!(
                (target.path.as_str(), target.address.port()),
                (path, 9001),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_said_in_one_line() {
        let error = Target::new("http://localhost").unwrap_err().to_string();
        assert!(
            error.contains("http://localhost") && error.contains("ws://") && !error.contains('\n'),
            "{error}"
        );
    }
}
