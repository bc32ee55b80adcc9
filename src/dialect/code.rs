//! The codes that say what went wrong, in error messages and close frames alike.

use std::fmt;

/// What went wrong. The values are from the range that RFC 6455 §7.4.2 leaves to private use.
///
/// ```
/// use tickwire::dialect::Code;
///
/// assert_eq!(Code::UnknownChannel.value(), 4004);
/// assert_eq!(Code::UnknownChannel.to_string(), "4004 unknown channel");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Code {
    /// A request lacks something or says it in the wrong form.
    BadRequest = 4000,
    /// A request is not JSON.
    BadJson = 4001,
    /// An `op` that this server does not know or serve.
    UnknownOp = 4002,
    /// The client may not use the channel.
    NotAuthorised = 4003,
    /// There is and can be no such channel.
    UnknownChannel = 4004,
    /// One connection wants more subscriptions than it may have.
    TooManySubscriptions = 4005,
    /// Requests came faster than allowed.
    RateLimited = 4006,
    /// A token is missing, wrong or out of date.
    Unauthenticated = 4007,
    /// The client did not read what it was sent.
    SlowConsumer = 4008,
    /// There are too many connections.
    ConnectionLimit = 4009,
    /// A `since` that names nothing.
    BadSince = 4010,
    /// A message is longer than allowed.
    MessageTooBig = 4011,
    /// The client wanted nothing for too long.
    Idle = 4013,
    /// The client did not answer pings.
    PongTimeout = 4014,
    /// The server is at fault.
    Internal = 4500,
    /// The server cannot do more at present.
    Overloaded = 4503,
}

impl Code {
    /// The number that stands in a message or close frame.
    #[must_use]
    pub const fn value(self) -> u16 {
        self as u16
    }

    /// What it means, in a few words; short enough for a close reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::BadRequest => "bad request",
            Self::BadJson => "bad JSON",
            Self::UnknownOp => "unknown op",
            Self::NotAuthorised => "not authorised for the channel",
            Self::UnknownChannel => "unknown channel",
            Self::TooManySubscriptions => "too many subscriptions",
            Self::RateLimited => "rate limited",
            Self::Unauthenticated => "authentication needed, failed or expired",
            Self::SlowConsumer => "slow consumer",
            Self::ConnectionLimit => "connection limit",
            Self::BadSince => "bad since",
            Self::MessageTooBig => "message too big",
            Self::Idle => "idle",
            Self::PongTimeout => "pong timeout",
            Self::Internal => "internal error",
            Self::Overloaded => "overloaded",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value(), self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CLOSE_REASON_BYTES_MAX;

    /// As the protocol lists them.
    const CODES: [(Code, u16); 16] = [
        (Code::BadRequest, 4000),
        (Code::BadJson, 4001),
        (Code::UnknownOp, 4002),
        (Code::NotAuthorised, 4003),
        (Code::UnknownChannel, 4004),
        (Code::TooManySubscriptions, 4005),
        (Code::RateLimited, 4006),
        (Code::Unauthenticated, 4007),
        (Code::SlowConsumer, 4008),
        (Code::ConnectionLimit, 4009),
        (Code::BadSince, 4010),
        (Code::MessageTooBig, 4011),
        (Code::Idle, 4013),
        (Code::PongTimeout, 4014),
        (Code::Internal, 4500),
        (Code::Overloaded, 4503),
    ];

    #[test]
    fn values_and_reasons_are_fit_for_a_close_frame() {
        for (code, value) in CODES {
            assert_eq!(code.value(), value);
            assert!(!code.reason().is_empty() && code.reason().len() <= CLOSE_REASON_BYTES_MAX);
        }
    }
}
