//! What a client tells its user, one thing after the other.
//!
//! Never drops anything: each message of the server is one event, and what is said about the connection stands where it
//! happened. An event borrows from the message that it was read from.

use std::borrow::Cow;
use std::time::Duration;

use super::course::Heard;
use super::error::ClientError;
use super::ledger::Continuation;
use crate::dialect::Stamp;
use crate::dialect::native_json::ServerMessage;
use crate::dialect::native_json::message::{Answer, Greeting, PongSeen, Published, RequestRefused};
use crate::market::{BookUpdate, Quote, Tick, Trade};

/// Something that happened.
///
/// ```
/// use tickwire::client::Event;
///
/// fn print(event: &Event<'_>) {
///     if let Event::Trade(stamp, trade) = event {
///         println!("{} {} {} x {}", stamp.channel, stamp.seq, trade.price, trade.size);
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A trade.
    Trade(Stamp<'a>, Trade<'a>),
    /// The best bid and offer.
    Quote(Stamp<'a>, Quote),
    /// A level-2 book, whole or in part.
    Book(Stamp<'a>, BookUpdate<'a>),
    /// Any other message: the publisher's own JSON.
    Message(Stamp<'a>, &'a str),
    /// Messages of a channel will not come. On a book a snapshot follows.
    Gap(Gap<'a>),
    /// What a channel was to be sent again has come, up to this number. What follows is new.
    Live {
        /// The channel.
        channel: Cow<'a, str>,
        /// The number.
        seq: u64,
    },
    /// The server is there and has nothing to say.
    Heartbeat {
        /// Its time, in nanoseconds since the epoch.
        time_ns: u64,
    },
    /// The user is behind: what is out of date is skipped from here on.
    Warning {
        /// By how many milliseconds.
        behind_ms: u64,
    },
    /// The server goes. The client comes back by itself, at a time that the server said.
    Shutdown {
        /// In how many milliseconds it ends the connection.
        in_ms: u64,
    },
    /// There is a connection. What was subscribed before is asked for again.
    Connected(Connected<'a>),
    /// There is no connection any more, or there could be none.
    Disconnected(Disconnected),
    /// What became of `subscribe`, `unsubscribe`, `list` or `snapshot`; how a channel goes on that was subscribed before.
    Answered {
        /// The channels.
        answer: Answer<'a>,
        /// Whether the client asked by itself, because it came back.
        again: bool,
    },
    /// What was to be published is.
    Published(Published<'a>),
    /// A request was refused.
    Refused {
        /// Which, and why.
        refused: RequestRefused<'a>,
        /// Whether the client will make it once more.
        again: bool,
    },
    /// The answer to a ping, the user's or one of the client's own in a long silence.
    Pong(PongSeen<'a>),
    /// Messages are missing, and nothing was said about it: an error of the server, or of what is between. The client connects
    /// again and asks for them.
    Missing {
        /// Their channel.
        channel: Box<str>,
        /// The number of the first.
        from: u64,
        /// That of the last.
        to: u64,
    },
    /// A message came that had come before.
    Repeated {
        /// Its channel.
        channel: Cow<'a, str>,
        /// Its number.
        seq: u64,
    },
    /// The server said something that is not known here.
    Other,
}

/// Messages that will not come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap<'a> {
    /// Their channel.
    pub channel: Cow<'a, str>,
    /// The number of the first.
    pub from: u64,
    /// That of the last.
    pub to: u64,
    /// Why.
    pub why: GapReason<'a>,
}

/// Why messages will not come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapReason<'a> {
    /// They were not read in time.
    Slow,
    /// The server does not have them any more.
    Expired,
    /// The publisher left them out.
    Publisher,
    /// They were published while there was no connection, on a channel that was subscribed by a pattern, which cannot be
    /// resumed.
    Away,
    /// Nobody said so. The channel was subscribed by a pattern, and may be one that the server conflates.
    Unexplained,
    /// The server's word for something else.
    Other(Cow<'a, str>),
}

/// A connection that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected<'a> {
    /// What the server said of itself.
    pub greeting: Greeting<'a>,
    /// How the numbers of channels stand to those of before.
    pub continuation: Continuation,
}

/// A connection that has ended, or did not come about.
#[derive(Debug)]
pub struct Disconnected {
    /// Why.
    pub why: ClientError,
    /// How long the client waits before it tries again.
    pub retry_in: Duration,
}

impl<'a> Event<'a> {
    /// What happened on a market, if it is that.
    #[must_use]
    pub fn tick(&self) -> Option<(Stamp<'a>, Tick<'a>)> {
        match *self {
            Self::Trade(stamp, trade) => Some((stamp, Tick::Trade(trade))),
            Self::Quote(stamp, quote) => Some((stamp, Tick::Quote(quote))),
            Self::Book(stamp, update) => Some((stamp, Tick::Book(update))),
            Self::Message(stamp, data) => Some((stamp, Tick::Message(data))),
            Self::Gap(_)
            | Self::Live { .. }
            | Self::Heartbeat { .. }
            | Self::Warning { .. }
            | Self::Shutdown { .. }
            | Self::Connected(_)
            | Self::Disconnected(_)
            | Self::Answered { .. }
            | Self::Published(_)
            | Self::Refused { .. }
            | Self::Pong(_)
            | Self::Missing { .. }
            | Self::Repeated { .. }
            | Self::Other => None,
        }
    }

    /// What a message comes to, by what it says and what that means here.
    pub(super) fn of(message: ServerMessage<'a>, heard: Heard) -> Self {
        match heard {
            Heard::Away { from, to } => Self::gap(message, from, to, GapReason::Away),
            Heard::Unexplained { from, to } => Self::gap(message, from, to, GapReason::Unexplained),
            Heard::Hole { channel, from, to } => Self::Missing { channel, from, to },
            Heard::Repeated => Self::repeated(message),
            Heard::GreetedAgain => Self::Other,
            Heard::Greeted(continuation) => Self::said(message, continuation, false),
            // A refusal is the end of a request, whoever made it.
            Heard::Answered { again } => {
                let refused = matches!(message, ServerMessage::Error(_));
                Self::said(message, Continuation::First, again && !refused)
            }
            Heard::Postponed => Self::said(message, Continuation::First, true),
            Heard::Told => Self::said(message, Continuation::First, false),
        }
    }

    fn said(message: ServerMessage<'a>, continuation: Continuation, again: bool) -> Self {
        match message {
            ServerMessage::Hello(greeting) => Self::Connected(Connected {
                greeting,
                continuation,
            }),
            ServerMessage::Tick(stamp, tick) => match tick {
                Tick::Trade(trade) => Self::Trade(stamp, trade),
                Tick::Quote(quote) => Self::Quote(stamp, quote),
                Tick::Book(update) => Self::Book(stamp, update),
                Tick::Message(data) => Self::Message(stamp, data),
            },
            ServerMessage::Ack(answer) => Self::Answered { answer, again },
            ServerMessage::Published(published) => Self::Published(published),
            ServerMessage::Pong(pong) => Self::Pong(pong),
            ServerMessage::Error(refused) => Self::Refused { refused, again },
            ServerMessage::Gap(gap) => Self::Gap(Gap {
                channel: gap.ch,
                from: gap.from,
                to: gap.to,
                why: GapReason::read(gap.why),
            }),
            ServerMessage::Live(live) => Self::Live {
                channel: live.ch,
                seq: live.seq,
            },
            ServerMessage::Heartbeat(heartbeat) => Self::Heartbeat {
                time_ns: heartbeat.time_ns,
            },
            ServerMessage::Warning(warning) => Self::Warning {
                behind_ms: warning.behind_ms,
            },
            ServerMessage::Shutdown(shutdown) => Self::Shutdown {
                in_ms: shutdown.in_ms,
            },
            ServerMessage::Other(_) => Self::Other,
        }
    }

    fn gap(message: ServerMessage<'a>, from: u64, to: u64, why: GapReason<'a>) -> Self {
        channel_of(message).map_or(Self::Other, |(channel, _)| {
            Self::Gap(Gap {
                channel,
                from,
                to,
                why,
            })
        })
    }

    fn repeated(message: ServerMessage<'a>) -> Self {
        channel_of(message).map_or(Self::Other, |(channel, seq)| Self::Repeated { channel, seq })
    }
}

/// What a message says by itself, without regard to what came before it.
impl<'a> From<ServerMessage<'a>> for Event<'a> {
    fn from(message: ServerMessage<'a>) -> Self {
        Self::said(message, Continuation::First, false)
    }
}

impl<'a> GapReason<'a> {
    fn read(word: Cow<'a, str>) -> Self {
        match &*word {
            "slow" => Self::Slow,
            "expired" => Self::Expired,
            "publisher" => Self::Publisher,
            _ => Self::Other(word),
        }
    }

    /// In a word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Slow => "slow",
            Self::Expired => "expired",
            Self::Publisher => "publisher",
            Self::Away => "away",
            Self::Unexplained => "unexplained",
            Self::Other(word) => word,
        }
    }
}

/// Where a message stands that has a number.
fn channel_of(message: ServerMessage<'_>) -> Option<(Cow<'_, str>, u64)> {
    match message {
        ServerMessage::Tick(stamp, _) => Some((stamp.channel.into(), stamp.seq)),
        ServerMessage::Gap(gap) => Some((gap.ch, gap.from)),
        ServerMessage::Other(other) => other.ch.zip(other.seq),
        ServerMessage::Hello(_)
        | ServerMessage::Ack(_)
        | ServerMessage::Published(_)
        | ServerMessage::Pong(_)
        | ServerMessage::Error(_)
        | ServerMessage::Live(_)
        | ServerMessage::Heartbeat(_)
        | ServerMessage::Warning(_)
        | ServerMessage::Shutdown(_) => None,
    }
}
