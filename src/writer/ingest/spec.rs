//! What the command line says about where lines come in.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A socket on which publishers connect: `tcp:HOST:PORT` or `unix:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngestSpec {
    /// A TCP listener.
    Tcp(SocketAddr),
    /// A Unix listener at this path.
    Unix(PathBuf),
}

impl FromStr for IngestSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("tcp", address)) => address.parse().map(Self::Tcp).map_err(|_| {
                format!("{address:?} is no address; write tcp:127.0.0.1:9100, with the number of the host")
            }),
            Some(("unix", path)) if !path.is_empty() => Ok(Self::Unix(path.into())),
            Some(("unix", _)) => Err("unix needs the path of a socket: unix:PATH".to_owned()),
            _ => Err(format!(
                "unknown socket {text:?}; lines come in on tcp:ADDR:PORT or unix:PATH"
            )),
        }
    }
}

/// The form that [`FromStr`] reads.
impl fmt::Display for IngestSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_read_and_written_alike() {
        for text in [
            "tcp:127.0.0.1:9100",
            "tcp:[::1]:0",
            "unix:/run/x.sock",
            "unix:a:b",
        ] {
            let spec: IngestSpec = text.parse().unwrap();
            assert_eq!(spec.to_string(), text);
        }
        for wrong in ["", "tcp", "tcp:", "tcp:localhost:1", "unix:", "udp:127.0.0.1:1"] {
            let error = wrong.parse::<IngestSpec>().unwrap_err();
            assert!(error.contains("tcp:") || error.contains("unix:"), "{error}");
        }
    }
}
