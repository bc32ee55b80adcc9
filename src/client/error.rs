//! What can go wrong between a client and its server, one enum for each thing that a client does.

use std::error::Error;
use std::fmt;
use std::io;

use crate::dialect::native_binary::DecodeError;
use crate::dialect::native_json::MessageError;
use crate::limits::{CLIENT_CONNECT_MS, CLOSE_MS, MESSAGE_BYTES_MAX, REQUEST_CHANNELS_MAX};
use crate::wire::{CloseCode, CloseFrame, Fault, OfferFault, Rejection};

/// Why there is no connection.
#[derive(Debug)]
pub enum ConnectError {
    /// The host's name has no address.
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// No TCP connection came about.
    Connect {
        /// Host and port.
        authority: String,
        /// What the kernel said about the last address that was tried.
        error: io::Error,
    },
    /// It took longer than [`CLIENT_CONNECT_MS`].
    Timeout {
        /// Host and port.
        authority: String,
    },
    /// The TCP connection failed while the server was to answer.
    Lost(io::Error),
    /// The server hung up without an answer.
    HungUp,
    /// The request could not be made.
    Offer(OfferFault),
    /// The server's answer is not the one that was asked for: a status that is not 101, or a broken handshake.
    Rejected(Rejection),
    /// A WebSocket, but not one that speaks our language.
    NoSubprotocol {
        /// The language.
        asked: &'static str,
    },
    /// The operating system has no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup { host, error } => write!(f, "cannot find the host {host}: {error}"),
            Self::Connect { authority, error } if error.kind() == io::ErrorKind::ConnectionRefused => {
                write!(
                    f,
                    "{authority} refuses connections; is the server running, and is this its port?"
                )
            }
            Self::Connect { authority, error } => write!(f, "cannot connect to {authority}: {error}"),
            Self::Timeout { authority } => {
                write!(
                    f,
                    "{authority} did not answer within {} s",
                    CLIENT_CONNECT_MS / 1000
                )
            }
            Self::Lost(error) => write!(f, "lost the connection before the server answered: {error}"),
            Self::HungUp => f.write_str("the server hung up without an answer"),
            Self::Offer(fault) => write!(f, "cannot ask for the address: {fault}"),
            Self::Rejected(rejection) => write!(f, "{rejection}"),
            Self::NoSubprotocol { asked } => write!(
                f,
                "the server did not select the subprotocol {asked}; is this a tickwire server?"
            ),
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
        }
    }
}

impl Error for ConnectError {}

/// Why an open connection ended.
#[derive(Debug)]
pub enum ClientError {
    /// The server closed it, and said why.
    Closed {
        /// The code; none where the close frame was empty.
        code: Option<CloseCode>,
        /// The reason in words; may be empty.
        reason: String,
    },
    /// The TCP connection ended without a close frame, or everything had ended before.
    Cut,
    /// The TCP connection failed.
    Lost(io::Error),
    /// The server broke RFC 6455.
    Fault(Fault),
    /// The server sent a binary message, which `tickwire.v1.json` does not have.
    Binary,
    /// The server sent a message that cannot be read.
    Unreadable(MessageError),
    /// The server sent a binary message that cannot be read.
    UnreadableBinary(DecodeError),
    /// The operating system has no random bytes.
    Random(getrandom::Error),
    /// The server did not answer our close frame within [`CLOSE_MS`].
    CloseTimeout,
}

impl ClientError {
    /// The close frame that goes to the server, or answers its own.
    pub(super) fn farewell(&self) -> Option<CloseFrame<'_>> {
        match self {
            Self::Closed { code, reason } => code.map(|code| CloseFrame::new(code, reason)),
            Self::Fault(fault) => Some((*fault).into()),
            Self::Binary => Some(CloseFrame::new(
                CloseCode::UNSUPPORTED_DATA,
                "tickwire.v1.json has no binary messages",
            )),
            Self::Unreadable(_) => Some(CloseFrame::new(
                CloseCode::INVALID_PAYLOAD,
                "message is not a JSON object with a type",
            )),
            Self::UnreadableBinary(_) => Some(CloseFrame::new(
                CloseCode::INVALID_PAYLOAD,
                "message is not one of tickwire.v1.bin",
            )),
            Self::Cut | Self::Lost(_) | Self::Random(_) | Self::CloseTimeout => {
                Some(CloseFrame::new(CloseCode::GOING_AWAY, ""))
            }
        }
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code, reason } => {
                f.write_str("the server closed the connection")?;
                match code {
                    None => f.write_str(" without a code")?,
                    Some(code) => write!(f, ": {}", code.number())?,
                }
                if reason.is_empty() {
                    return Ok(());
                }
                // The reason is the peer's: fit to print, so that it cannot steer a terminal.
                f.write_str(" ")?;
                reason
                    .chars()
                    .map(|char| {
                        if char.is_control() {
                            char::REPLACEMENT_CHARACTER
                        } else {
                            char
                        }
                    })
                    .try_for_each(|char| write!(f, "{char}"))
            }
            Self::Cut => f.write_str(
                "the connection ended without a close frame; the server, or what is between, died",
            ),
            Self::Lost(error) => write!(f, "lost the connection: {error}"),
            Self::Fault(fault) => write!(f, "the server broke the WebSocket protocol: {fault}"),
            Self::Binary => {
                f.write_str("the server sent a binary message, which tickwire.v1.json does not have")
            }
            Self::Unreadable(error) => write!(f, "the server sent a message that cannot be read: {error}"),
            Self::UnreadableBinary(error) => {
                write!(f, "the server sent a binary message that cannot be read: {error}")
            }
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
            Self::CloseTimeout => {
                write!(
                    f,
                    "the server did not answer our close frame within {} s",
                    CLOSE_MS / 1000
                )
            }
        }
    }
}

impl Error for ClientError {}

/// Why a request was not made.
#[derive(Debug)]
pub enum RequestError {
    /// More channels than [`REQUEST_CHANNELS_MAX`].
    TooManyChannels {
        /// How many.
        channels: usize,
    },
    /// A request of more than [`MESSAGE_BYTES_MAX`] bytes, which no server reads.
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// The connection is closing.
    Closing,
    /// The operating system has no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyChannels { channels } => write!(
                f,
                "{channels} channels in one request are too many, at most {REQUEST_CHANNELS_MAX} are allowed; \
                 kind:* stands for a whole kind"
            ),
            Self::TooLong { bytes } => write!(
                f,
                "a request of {bytes} bytes is too long, at most {MESSAGE_BYTES_MAX} are allowed"
            ),
            Self::Closing => f.write_str("the connection is closing"),
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
        }
    }
}

impl Error for RequestError {}
