//! What is done about each message: printed, counted, answered for.
//!
//! Never touches a socket or a clock.

use std::io::{self, Write};
use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use tickwire::client::Message;
use tickwire::dialect::native_json::ServerMessage;
use tickwire::market::ChannelClass;

use super::line::{Heading, write_line};
use super::tally::Tally;
use super::{Args, SubError};

/// Follows one connection; ticks go to `W`.
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
            notices: Vec::new(),
            outcome: None,
        }
    }

    /// Deals with one message that arrived at `arrived_ns`; breaks when it was the last.
    pub(super) fn hear(&mut self, message: &Message<'_>, arrived_ns: u64) -> ControlFlow<()> {
        let content = &message.content;
        self.tally.message(&content.t, message.bytes);
        match (&content.ch, content.seq, content.pt_ns) {
            (Some(channel), Some(seq), Some(pt_ns)) => self.tick(message, (channel, seq, pt_ns), arrived_ns),
            _ => self.notice(message),
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

    /// Whether no number of ticks was asked for.
    pub(super) const fn is_open_ended(&self) -> bool {
        self.left.is_none()
    }

    /// All that came, in one line.
    pub(super) fn summary(&self, elapsed_ns: u64) -> String {
        self.tally.summary(elapsed_ns)
    }

    fn tick(&mut self, message: &Message<'_>, (channel, seq, pt_ns): (&str, u64, u64), arrived_ns: u64) {
        let image = message.content.k.as_deref() == Some("snap");
        let latency_ns = self.tally.tick(channel, seq, image, (pt_ns, arrived_ns));
        let heading = Heading {
            channel,
            seq,
            pt_ns,
            latency_ns,
        };
        let printed = match self.shape {
            Shape::Line => write_line(&mut self.out, &heading, message, &self.zone),
            Shape::Json => write_json(&mut self.out, message.text),
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

    /// A message that is no tick.
    fn notice(&mut self, message: &Message<'_>) {
        let content = &message.content;
        match &*content.t {
            "ack" => self.acknowledged(content),
            "error" => {
                let (code, words) = (
                    content.code.unwrap_or(0),
                    content.msg.as_deref().unwrap_or("no reason"),
                );
                self.notices.push(format!("the server says: {code} {words}"));
                self.answered();
            }
            "gap" | "warn" | "shutdown" => self.notices.push(format!("the server says: {}", message.text)),
            _ => {}
        }
    }

    fn acknowledged(&mut self, content: &ServerMessage<'_>) {
        for refused in &content.err {
            let notice = format!("{} was refused: {} {}", refused.ch, refused.code, refused.msg);
            self.notices.push(notice);
        }
        for granted in &content.ok {
            self.granted = true;
            let class = granted.class.as_deref().and_then(class);
            if let Some((class, seq)) = class.zip(granted.seq) {
                self.tally.granted(&granted.ch, class, seq);
            }
        }
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
fn write_json(out: &mut impl Write, text: &str) -> io::Result<()> {
    for part in text.split_inclusive(['\n', '\r']) {
        match part.strip_suffix(['\n', '\r']) {
            None => out.write_all(part.as_bytes())?,
            Some(part) => write!(out, "{part} ")?,
        }
    }
    out.write_all(b"\n")
}

fn class(word: &str) -> Option<ChannelClass> {
    [ChannelClass::Append, ChannelClass::Replace, ChannelClass::Book]
        .into_iter()
        .find(|class| class.as_str() == word)
}
