//! The knobs of a server that trade memory in the kernel for speed, and the pings.
//!
//! Every knob has a range, and what is beyond it is refused before anything starts, with what may be.

use super::{Bytes, StartError};
use crate::limits;
use crate::ring::ListenerOptions;

/// How a server's sockets and pings are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Bytes of a socket's send buffer.
    pub send_buffer: Bytes,
    /// Bytes of it that may be unsent; `None` for half of it.
    pub unsent: Option<Bytes>,
    /// Bytes of a socket's receive buffer; `None` for what the kernel thinks right.
    pub receive_buffer: Option<Bytes>,
    /// Connections that may wait to be accepted, on each listener.
    pub backlog: u32,
    /// Seconds between the pings of a connection.
    pub ping_seconds: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            send_buffer: Bytes(limits::SOCKET_SEND_BYTES.into()),
            unsent: None,
            receive_buffer: None,
            backlog: limits::LISTEN_BACKLOG,
            ping_seconds: PING_SECONDS,
        }
    }
}

impl Tuning {
    /// What listeners are made with.
    ///
    /// # Errors
    /// The first knob that is set beyond its range.
    pub fn listener(&self) -> Result<ListenerOptions, StartError> {
        let buffer = |option, bytes: Bytes, least: u32| {
            let most = limits::SOCKET_BUFFER_BYTES_MOST;
            within(option, bytes.0, least, most)
        };
        let least = limits::SOCKET_BUFFER_BYTES_LEAST;
        let send_buffer_bytes = buffer("--send-buffer", self.send_buffer, least)?;
        let unsent_bytes = match self.unsent {
            Some(bytes) => within("--unsent", bytes.0, 1, send_buffer_bytes)?,
            None => send_buffer_bytes / 2,
        };
        let receive_buffer = self.receive_buffer;
        Ok(ListenerOptions {
            send_buffer_bytes,
            unsent_bytes,
            receive_buffer_bytes: receive_buffer
                .map(|bytes| buffer("--receive-buffer", bytes, least))
                .transpose()?,
            backlog: within("--backlog", self.backlog.into(), 1, limits::LISTEN_BACKLOG_MOST)?,
        })
    }

    /// Milliseconds between the pings of a connection.
    ///
    /// # Errors
    /// When that is beyond its range.
    pub fn ping_interval_ms(&self) -> Result<u64, StartError> {
        let most = limits::PING_SECONDS_MOST;
        let seconds = within("--ping-seconds", self.ping_seconds.into(), 1, most)?;
        Ok(u64::from(seconds) * 1000)
    }
}

pub(super) fn within(option: &'static str, asked: u64, least: u32, most: u32) -> Result<u32, StartError> {
    let fits = u32::try_from(asked).ok();
    fits.filter(|value| (least..=most).contains(value))
        .ok_or(StartError::OutOfRange {
            option,
            asked,
            least,
            most,
        })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "limits.rs keeps it far below 32 bits"
)]
const PING_SECONDS: u32 = (limits::PING_INTERVAL_MS / 1000) as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_limits() {
        let tuning = Tuning::default();
        assert_eq!(tuning.listener().unwrap(), ListenerOptions::default());
        assert_eq!(tuning.ping_interval_ms().unwrap(), limits::PING_INTERVAL_MS);
    }

    #[test]
    fn half_of_a_send_buffer_may_be_unsent_unless_told_otherwise() {
        let tuning = Tuning {
            send_buffer: Bytes(32 * 1024),
            receive_buffer: Some(Bytes(16 * 1024)),
            ..Tuning::default()
        };
        let options = tuning.listener().unwrap();
        assert_eq!(options.unsent_bytes, 16 * 1024);
        assert_eq!(options.receive_buffer_bytes, Some(16 * 1024));
        let told = Tuning {
            unsent: Some(Bytes(1)),
            ..tuning
        };
        assert_eq!(told.listener().unwrap().unsent_bytes, 1);
    }

    #[test]
    fn what_is_beyond_a_range_is_named_with_what_may_be() {
        let tuning = Tuning::default();
        let refused = |tuning: Tuning| {
            let listener = tuning.listener().map(|_| ());
            let ping = tuning.ping_interval_ms().map(|_| ());
            listener.and(ping).unwrap_err().to_string()
        };
        for (tuning, parts) in [
            (
                Tuning {
                    send_buffer: Bytes(1),
                    ..tuning
                },
                ["--send-buffer 1 ", "4096"],
            ),
            (
                Tuning {
                    unsent: Some(Bytes(1 << 20)),
                    ..tuning
                },
                ["--unsent 1048576 ", "131072"],
            ),
            (
                Tuning {
                    receive_buffer: Some(Bytes(1 << 40)),
                    ..tuning
                },
                ["--receive-buffer 1099511627776 ", "67108864"],
            ),
            (Tuning { backlog: 0, ..tuning }, ["--backlog 0 ", "65535"]),
            (
                Tuning {
                    ping_seconds: 3601,
                    ..tuning
                },
                ["--ping-seconds 3601 ", "3600"],
            ),
        ] {
            let error = refused(tuning);
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
