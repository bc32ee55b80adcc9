//! What is done about each message: printed, counted, answered for.
//!
//! Never touches a socket or a clock.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::io::{self, Write};
use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use tickwire::client::{ClientError, Continuation, Disconnected, Event, Gap, GapReason, Received};
use tickwire::dialect::native_json::message::Answer;
use tickwire::dialect::{Stamp, native_json};
use tickwire::market::Tick;
use tickwire::wire::CloseCode;

use super::line::{Heading, write_line};
use super::tally::Tally;
use super::{Args, SubError};
use crate::text::Span;

/// Follows one client; ticks go to `W`.
pub(super) struct Follower<W> {
    out: W,
    shape: Shape,
    zone: TimeZone,
    tally: Tally,
    /// Ticks until the end that was asked for.
    left: Option<u64>,
    /// Subscriptions that were asked for and not answered.
    unanswered: usize,
    /// Whether any channel or pattern was granted.
    granted: bool,
    /// Whether a server that closes for no fault has ended it.
    ends_when_closed: bool,
    /// A tick as JSON, where it did not come as that.
    json: Vec<u8>,
    /// What the person should know, in lines.
    notices: Vec<String>,
    /// How it ended, if it did.
    outcome: Option<Result<(), SubError>>,
}

/// How ticks are printed.
#[derive(Clone, Copy)]
enum Shape {
    Line,
    Json,
    Nothing,
}

impl<W: Write> Follower<W> {
    /// Follows as `args` ask, after that many requests to subscribe.
    pub(super) fn new(args: &Args, requests: usize, zone: TimeZone, out: W) -> Self {
        let shape = match (args.quiet, args.json) {
            (true, _) => Shape::Nothing,
            (false, true) => Shape::Json,
            (false, false) => Shape::Line,
        };
        Self {
            out,
            shape,
            zone,
            tally: Tally::new(),
            left: args.count.map(Into::into),
            unanswered: requests,
            granted: false,
            ends_when_closed: args.count.is_none() && args.limit.is_none(),
            json: Vec::new(),
            notices: Vec::new(),
            outcome: None,
        }
    }

    /// Deals with one event that arrived at `arrived_ns`; breaks when it was the last.
    pub(super) fn hear(&mut self, received: &Received<'_>, arrived_ns: u64) -> ControlFlow<()> {
        if received.bytes > 0 {
            self.tally.message(kind(&received.event), received.bytes);
        }
        match received.event.tick() {
            Some((stamp, tick)) => self.tick(&stamp, &tick, received.text, arrived_ns),
            None => self.notice(&received.event),
        }
        match self.outcome {
            None => ControlFlow::Continue(()),
            Some(_) => ControlFlow::Break(()),
        }
    }

    /// Writes out what was printed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What the person should know and was not told.
    pub(super) fn take_notices(&mut self) -> impl Iterator<Item = String> {
        std::mem::take(&mut self.notices).into_iter()
    }

    /// How it ended, if it did.
    pub(super) const fn take_outcome(&mut self) -> Option<Result<(), SubError>> {
        self.outcome.take()
    }

    /// Whether this end of a connection is as good as any that was asked for: the server is done, and nobody said until when
    /// to follow it.
    pub(super) fn is_enough(&self, end: &ClientError) -> bool {
        let is_normal = matches!(
            end,
            ClientError::Closed {
                code: Some(CloseCode::NORMAL),
                ..
            }
        );
        is_normal && self.ends_when_closed
    }

    /// All that came, in one line.
    pub(super) fn summary(&self, elapsed_ns: u64) -> String {
        self.tally.summary(elapsed_ns)
    }

    fn tick(&mut self, stamp: &Stamp<'_>, tick: &Tick<'_>, text: &str, arrived_ns: u64) {
        let latency_ns = self.tally.tick(stamp.pt_ns, arrived_ns);
        let printed = match self.shape {
            Shape::Line => write_line(&mut self.out, &Heading { stamp, latency_ns }, tick, &self.zone),
            Shape::Json => self.write_json(stamp, tick, text),
            Shape::Nothing => Ok(()),
        };
        if let Err(error) = printed {
            self.outcome = Some(Err(SubError::Output(error)));
            return;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
            if *left == 0 {
                self.outcome = Some(Ok(()));
            }
        }
    }

    /// A tick as the server sent it, or would have sent it.
    fn write_json(&mut self, stamp: &Stamp<'_>, tick: &Tick<'_>, text: &str) -> io::Result<()> {
        if !text.is_empty() {
            return write_in_one_line(&mut self.out, text);
        }
        self.json.clear();
        native_json::encode(&mut self.json, stamp, tick);
        self.json.push(b'\n');
        self.out.write_all(&self.json)
    }

    /// An event that is no tick.
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::Answered { answer, .. } => self.acknowledged(answer),
            Event::Refused { refused, again } => {
                let then = if *again { "; it is asked again" } else { "" };
                self.notices
                    .push(format!("the server says: {} {}{then}", refused.code, refused.msg));
                if !again {
                    self.answered();
                }
            }
            Event::Gap(gap) => self.gap(gap),
            Event::Missing { channel, from, to } => {
                self.tally.gap(channel, *from, *to);
                self.notices.push(format!(
                    "{channel}: {from} to {to} did not come and nothing was said about it; connecting again to ask for them"
                ));
            }
            Event::Repeated { channel, .. } => self.tally.back(channel),
            Event::Warning { behind_ms } => self.notices.push(format!(
                "the server says: this client is {} behind, and is not sent everything until it has caught up",
                Span(behind_ms.saturating_mul(1_000_000))
            )),
            Event::Shutdown { in_ms } => self.notices.push(format!(
                "the server says: it shuts down in {}",
                Span(in_ms.saturating_mul(1_000_000))
            )),
            Event::Connected(connected) => match connected.continuation {
                Continuation::First => {}
                Continuation::Same => self.notices.push("connected again".to_owned()),
                Continuation::Anew => self
                    .notices
                    .push("connected again; the server has begun anew, and so have all numbers".to_owned()),
            },
            Event::Disconnected(disconnected) => self.disconnected(disconnected),
            _ => {}
        }
    }

    fn disconnected(&mut self, disconnected: &Disconnected) {
        if self.is_enough(&disconnected.why) {
            self.outcome = Some(Ok(()));
            return;
        }
        let retry_ns = u64::try_from(disconnected.retry_in.as_nanos()).unwrap_or(u64::MAX);
        self.notices.push(format!(
            "{}; trying again in {}",
            disconnected.why,
            Span(retry_ns)
        ));
    }

    fn gap(&mut self, gap: &Gap<'_>) {
        let Gap {
            channel, from, to, ..
        } = gap;
        self.tally.gap(channel, *from, *to);
        let why = match &gap.why {
            GapReason::Slow => "they were not read in time",
            GapReason::Expired => "the server does not have them any more",
            GapReason::Publisher => "the publisher left them out",
            GapReason::Away => "they were published while there was no connection",
            other => other.as_str(),
        };
        self.notices
            .push(format!("{channel}: {from} to {to} will not come: {why}"));
    }

    fn acknowledged(&mut self, answer: &Answer<'_>) {
        for refused in &answer.err {
            let notice = format!("{} was refused: {} {}", refused.ch, refused.code, refused.msg);
            self.notices.push(notice);
        }
        self.granted |= !answer.ok.is_empty();
        self.answered();
    }

    /// A request was answered. When all were and nothing was granted, nothing will ever come.
    fn answered(&mut self) {
        if self.unanswered == 0 {
            return;
        }
        self.unanswered -= 1;
        if self.unanswered == 0 && !self.granted {
            self.outcome = Some(Err(SubError::NothingSubscribed));
        }
    }
}

/// A message in one line: a line break in JSON text stands between tokens, where a space does as well.
fn write_in_one_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    for part in text.split_inclusive(['\n', '\r']) {
        match part.strip_suffix(['\n', '\r']) {
            None => out.write_all(part.as_bytes())?,
            Some(part) => write!(out, "{part} ")?,
        }
    }
    out.write_all(b"\n")
}

/// What is counted apart.
fn kind(event: &Event<'_>) -> &'static str {
    match event {
        Event::Trade(..) => "trade",
        Event::Quote(..) => "bbo",
        Event::Book(..) => "book",
        Event::Message(..) => "msg",
        Event::Gap(_) => "gap",
        Event::Live { .. } => "live",
        Event::Heartbeat { .. } => "hb",
        Event::Warning { .. } => "warn",
        Event::Shutdown { .. } => "shutdown",
        Event::Connected(_) => "hello",
        Event::Answered { .. } | Event::Published(_) => "ack",
        Event::Refused { .. } => "error",
        Event::Pong(_) => "pong",
        _ => "other",
    }
}
