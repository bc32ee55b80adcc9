//! What can go wrong between a client and its server, one enum for each thing that a client does.

use std::error::Error;
use std::fmt;
use std::io;

use crate::dialect::Code;
use crate::dialect::native_binary::DecodeError;
use crate::dialect::native_json::{InputError, MessageError};
use crate::limits::{
    CLIENT_CONNECT_MS, CLIENT_REQUESTS_MAX, CLOSE_MS, MESSAGE_BYTES_MAX, REQUEST_CHANNELS_MAX,
};
use crate::market::ChannelNameError;
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
    /// There is no client that could connect.
    Build(BuildError),
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
            Self::Build(error) => write!(f, "{error}"),
        }
    }
}

impl ConnectError {
    /// Whether it would be the same the next time: the server understood what was asked, and refuses that.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Offer(_) | Self::NoSubprotocol { .. } | Self::Build(_) => true,
            // 408: the request was too slow. 425 and 429: too early, too often.
            Self::Rejected(Rejection::Status { status, .. }) => {
                matches!(status, 400..=499) && !matches!(status, 408 | 425 | 429)
            }
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Lost(_)
            | Self::HungUp
            | Self::Rejected(_)
            | Self::Random(_) => false,
        }
    }

    /// After how many seconds the server asks to come back at the earliest.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Rejected(Rejection::Status { retry_after_s, .. }) => *retry_after_s,
            Self::Lookup { .. }
            | Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Lost(_)
            | Self::HungUp
            | Self::Offer(_)
            | Self::Rejected(_)
            | Self::NoSubprotocol { .. }
            | Self::Random(_)
            | Self::Build(_) => None,
        }
    }
}

impl Error for ConnectError {}

/// Why there is no client.
#[derive(Debug)]
pub enum BuildError {
    /// The address has a query that no server would understand.
    Query(String),
    /// What it names cannot be asked for.
    Request(RequestError),
    /// The operating system has no random bytes.
    Random(getrandom::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(error) => write!(f, "the query of the address names no channels: {error}"),
            Self::Request(error) => write!(f, "{error}"),
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
        }
    }
}

impl Error for BuildError {}

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
    /// The server greeted once more on the same connection.
    GreetedAgain,
    /// The operating system has no random bytes.
    Random(getrandom::Error),
    /// The server did not answer our close frame within [`CLOSE_MS`].
    CloseTimeout,
    /// There was no connection.
    Connect(ConnectError),
    /// The server said nothing for three of its heartbeats, nor when it was asked to.
    Silent,
    /// The server left out messages without a word.
    Missing {
        /// Their channel.
        channel: String,
        /// The number of the first.
        from: u64,
        /// That of the last.
        to: u64,
    },
    /// It ended before.
    Over,
}

impl ClientError {
    /// Whether it would be the same the next time.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        const NOT_AUTHORISED: u16 = Code::NotAuthorised.value();
        const UNAUTHENTICATED: u16 = Code::Unauthenticated.value();
        match self {
            Self::Connect(error) => error.is_final(),
            Self::Closed { code: Some(code), .. } => {
                matches!(code.number(), NOT_AUTHORISED | UNAUTHENTICATED)
            }
            Self::Over => true,
            Self::Closed { code: None, .. }
            | Self::Cut
            | Self::Lost(_)
            | Self::Fault(_)
            | Self::Binary
            | Self::Unreadable(_)
            | Self::UnreadableBinary(_)
            | Self::GreetedAgain
            | Self::Random(_)
            | Self::CloseTimeout
            | Self::Silent
            | Self::Missing { .. } => false,
        }
    }

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
            Self::GreetedAgain => Some(CloseFrame::new(
                CloseCode::POLICY_VIOLATION,
                "hello came twice on one connection",
            )),
            Self::Missing { .. } => Some(CloseFrame::new(CloseCode::GOING_AWAY, "messages are missing")),
            Self::Silent => Some(CloseFrame::new(CloseCode::GOING_AWAY, "nothing was heard")),
            Self::Cut
            | Self::Lost(_)
            | Self::Random(_)
            | Self::CloseTimeout
            | Self::Connect(_)
            | Self::Over => Some(CloseFrame::new(CloseCode::GOING_AWAY, "")),
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
            Self::GreetedAgain => {
                f.write_str("the server broke tickwire.v1: it said hello twice on one connection")
            }
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
            Self::CloseTimeout => {
                write!(
                    f,
                    "the server did not answer our close frame within {} s",
                    CLOSE_MS / 1000
                )
            }
            Self::Connect(error) => write!(f, "{error}"),
            Self::Silent => {
                f.write_str("the server has been silent for three heartbeats; the connection is dead")
            }
            Self::Missing { channel, from, to } => write!(
                f,
                "messages {from} to {to} of {channel} did not come, and nothing was said about it"
            ),
            Self::Over => f.write_str("the client has ended"),
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
    /// More requests, or longer ones, than are kept without an answer: [`CLIENT_REQUESTS_MAX`] and
    /// [`CLIENT_REQUEST_BYTES_MAX`](crate::limits::CLIENT_REQUEST_BYTES_MAX).
    TooManyUnanswered {
        /// How many there are.
        requests: usize,
    },
    /// What is to be published on is no channel.
    Channel(ChannelNameError),
    /// What is to be published is not JSON.
    NotJson(serde_json::Error),
    /// What is to be published is no line of the input form.
    Line(InputError),
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
            Self::TooManyUnanswered { requests } => write!(
                f,
                "{requests} requests wait for their answers; at most {CLIENT_REQUESTS_MAX} may: receive what comes before \
                 asking for more"
            ),
            Self::Channel(error) => write!(f, "{error}"),
            Self::NotJson(error) => write!(f, "not JSON: {error}"),
            Self::Line(error) => write!(f, "{error}"),
            Self::Closing => f.write_str("the connection is closing"),
            Self::Random(error) => write!(f, "cannot draw random bytes: {error}"),
        }
    }
}

impl Error for RequestError {}
