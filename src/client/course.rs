//! The course of a client from one connection to the next, without sockets and clocks: what it asks for, what it has, when it
//! takes a connection for dead, when it comes back.
//!
//! Never waits: time is an argument, in milliseconds from any beginning. The caller says what happens
//! ([`opened`](Course::opened), [`hear`](Course::hear), [`lost`](Course::lost)), takes what is to be sent
//! ([`poll_request`](Course::poll_request)) and comes back at [`deadline_ms`](Course::deadline_ms).
//!
//! Invariant: nothing is asked before the server has greeted, and then first what is needed to go on: who the client is, and
//! what it was subscribed to, each channel from the last message that was handed out. Nothing is published before the server
//! has taken the client for who it said to be.

use std::collections::VecDeque;

use serde::de::IgnoredAny;

use super::backoff::{Backoff, Told};
use super::error::RequestError;
use super::ledger::{Continuation, Ledger, Places, Step};
use super::pace::Pace;
use super::requests::{Asked, Op, Requests};
use crate::dialect::Code;
use crate::dialect::native_json::message::{Answer, Granted, Greeting, RequestRefused};
use crate::dialect::native_json::{Input, ServerMessage};
use crate::limits::{
    CHANNELS_MAX, CLIENT_DOUBT_MS, CLIENT_GREETING_MS, CLIENT_REFUSED_RETRY_MS, CLIENT_REQUESTS_MAX,
    CLIENT_RESUMED_PER_REQUEST, CLIENT_SILENT_HEARTBEATS, CLIENT_STEADY_MS, HEARTBEAT_MS, MESSAGE_BYTES_MAX,
    REQUEST_CHANNELS_MAX,
};
use crate::market::{BookUpdateKind, ChannelClass, ChannelName, Pattern, Tick};

/// What one message comes to, besides what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// No more than that.
    Told,
    /// It is the greeting of a connection that stands so to the one before.
    Greeted(Continuation),
    /// It is another greeting of the same connection, and what the server says is not to be relied on.
    GreetedAgain,
    /// It answers a request, which the client made by itself or not.
    Answered { again: bool },
    /// It refuses a request that will be sent once more.
    Postponed,
    /// Before it, these are missing since there was no connection. It is to be heard again.
    Away { from: u64, to: u64 },
    /// Likewise, for a reason that nobody said.
    Unexplained { from: u64, to: u64 },
    /// Before it, these are missing, and nothing said so: the connection is not to be trusted.
    Hole { channel: Box<str>, from: u64, to: u64 },
    /// It was there before.
    Repeated,
}

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Poll {
    /// This is to be sent now.
    Ready(String),
    /// There may be one at that time.
    At(u64),
    /// There is none until something happens.
    Idle,
}

/// All that a client knows but its socket.
#[derive(Debug)]
pub(super) struct Course {
    ledger: Ledger,
    /// What is subscribed, in the order in which it was granted.
    granted: Vec<Box<str>>,
    requests: Requests,
    token: Option<Box<str>>,
    name: Name,
    /// Publications that are refused because the token was, and nobody was told.
    nameless: VecDeque<(u64, bool)>,
    /// The code and the words with which a token was refused last.
    refusal: (u16, Box<str>),
    /// The number of the newest request.
    id: u64,
    /// What the keys of this client's publications begin with.
    key_prefix: Box<str>,
    backoff: Backoff,
    pace: Pace,
    phase: Phase,
    heartbeat_ms: u64,
    /// When the last message came.
    heard_ms: u64,
    /// Whether the server was asked for a sign of life since.
    probed: bool,
    /// When a connection that seems dead will be taken for dead.
    doubted_until_ms: Option<u64>,
    /// When the connection was opened.
    opened_ms: u64,
    /// Within which time to come back when the connection ends, as the server says.
    retry_ms: Option<(u64, u64)>,
    /// What was subscribed and was refused when the client came back, and when it is asked for again.
    refused: Vec<Box<str>>,
    refused_until_ms: u64,
}

/// Whom the server takes the client for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Name {
    /// Whom it said to be, if it said so on this connection.
    #[default]
    Taken,
    /// That is what the request of this number asks.
    Asked(u64),
    /// Not for whom it said to be.
    Refused,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Away,
    /// It is open, and the server has not greeted.
    Opened,
    /// It is in use.
    Greeted,
}

impl Course {
    /// A course that is about to begin. All chance in it follows from `seed`, but for `key_prefix`, which must be another
    /// for each client.
    pub(super) fn new(seed: u64, key_prefix: &str) -> Self {
        Self {
            ledger: Ledger::default(),
            granted: Vec::new(),
            requests: Requests::default(),
            token: None,
            name: Name::default(),
            nameless: VecDeque::new(),
            refusal: Default::default(),
            id: 0,
            key_prefix: key_prefix.into(),
            backoff: Backoff::new(seed),
            pace: Pace::new(None),
            phase: Phase::Away,
            heartbeat_ms: HEARTBEAT_MS,
            heard_ms: 0,
            probed: false,
            doubted_until_ms: None,
            opened_ms: 0,
            retry_ms: None,
            refused: Vec::new(),
            refused_until_ms: 0,
        }
    }

    /// What is known already.
    pub(super) fn since(&mut self, places: Places) {
        self.ledger = Ledger::since(places);
    }

    /// Who the client is: said first on each connection, and now where there is one.
    pub(super) fn authenticate(&mut self, token: &str) {
        self.token = Some(token.into());
        if self.phase == Phase::Greeted {
            // Of two tokens the later one counts.
            self.requests.take_back_unsent_token();
            let asked = self.say_who();
            self.requests.put_first(asked);
        }
    }

    /// The request that says who the client is, where it does.
    fn say_who(&mut self) -> Vec<Asked> {
        let Some(token) = self.token.clone() else {
            return Vec::new();
        };
        let asked = self.by_itself(Op::Authenticate(token));
        self.name = Name::Asked(asked.id);
        vec![asked]
    }

    /// Makes a request; gives its number.
    pub(super) fn ask(&mut self, op: Op) -> Result<u64, RequestError> {
        let channels = op.channel_count();
        if channels > REQUEST_CHANNELS_MAX {
            return Err(RequestError::TooManyChannels { channels });
        }
        let id = self.id + 1;
        let bytes = op.text(id, &self.ledger, |_| false).len();
        if bytes > MESSAGE_BYTES_MAX {
            return Err(RequestError::TooLong { bytes });
        }
        let is_refused = matches!((&op, &self.name), (Op::Publish { .. }, Name::Refused));
        let asked = Asked {
            id,
            op,
            again: false,
            doubtful: false,
        };
        let has_room = self.unanswered() < CLIENT_REQUESTS_MAX;
        if !has_room || !is_refused && !self.requests.push(asked) {
            return Err(RequestError::TooManyUnanswered {
                requests: self.unanswered(),
            });
        }
        if is_refused {
            self.nameless.push_back((id, false));
        }
        self.id = id;
        Ok(id)
    }

    /// Publishes a JSON value; gives the number of the request. Without a key of its own it gets one that no other has.
    pub(super) fn publish(
        &mut self,
        channel: &str,
        data: &str,
        key: Option<&str>,
    ) -> Result<u64, RequestError> {
        let channel = ChannelName::parse(channel).map_err(RequestError::Channel)?;
        serde_json::from_str::<IgnoredAny>(data).map_err(RequestError::NotJson)?;
        // The name needs no escapes.
        self.publish_said(&format!(r#""ch":"{channel}","data":{}"#, data.trim()), key)
    }

    /// Publishes what an input line says.
    pub(super) fn publish_line(&mut self, line: &str, key: Option<&str>) -> Result<u64, RequestError> {
        Input::parse(line.as_bytes(), &mut Vec::new()).map_err(RequestError::Line)?;
        // It is an object with members.
        let line = line.trim();
        let said = line.strip_prefix('{').and_then(|line| line.strip_suffix('}'));
        self.publish_said(said.unwrap_or_default(), key)
    }

    fn publish_said(&mut self, said: &str, key: Option<&str>) -> Result<u64, RequestError> {
        let made = format!("{}-{}", self.key_prefix, self.id + 1);
        self.ask(Op::Publish {
            said: said.into(),
            key: key.unwrap_or(&made).into(),
        })
    }

    /// A connection is open.
    pub(super) const fn opened(&mut self, now_ms: u64) {
        self.phase = Phase::Opened;
        self.opened_ms = now_ms;
        self.received(now_ms);
        self.retry_ms = None;
    }

    /// Messages came.
    pub(super) const fn received(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.probed = false;
        self.doubted_until_ms = None;
    }

    /// The connection ended, or there was none; gives the milliseconds until the next. `not_before_s` is what a server that
    /// refused said.
    pub(super) fn lost(&mut self, now_ms: u64, not_before_s: Option<u32>) -> u64 {
        let was_open = self.phase != Phase::Away;
        self.phase = Phase::Away;
        self.requests.lost();
        // The next connection says anew who the client is.
        self.name = Name::default();
        self.refused.clear();
        if was_open && now_ms.saturating_sub(self.opened_ms) >= CLIENT_STEADY_MS {
            self.backoff.reset();
        }
        let told = match (self.retry_ms.take(), not_before_s) {
            (Some((least, most)), _) => Told::Within(least, most),
            (None, Some(seconds)) => Told::NotBefore(u64::from(seconds) * 1000),
            (None, None) => Told::Nothing,
        };
        self.backoff.wait_ms(told)
    }

    /// Takes the next request that may be made.
    pub(super) fn poll_request(&mut self, now_ms: u64) -> Poll {
        if self.phase != Phase::Greeted {
            return Poll::Idle;
        }
        self.ask_for_refused(now_ms);
        self.probe(now_ms);
        let Some(asked) = self.requests.unsent() else {
            return Poll::Idle;
        };
        if matches!((&asked.op, &self.name), (Op::Publish { .. }, Name::Asked(_))) {
            return Poll::Idle;
        }
        if let Err(later) = self.pace.admit(now_ms, asked.op.cost()) {
            return Poll::At(later);
        }
        let text = asked.op.text(asked.id, &self.ledger, |channel| {
            self.requests.is_leaving(channel)
        });
        self.requests.sent();
        Poll::Ready(text)
    }

    /// When to look again, whatever happens until then.
    pub(super) fn deadline_ms(&self) -> u64 {
        if let Some(doubted_until_ms) = self.doubted_until_ms {
            return doubted_until_ms;
        }
        let silence = match self.phase {
            Phase::Greeted if !self.probed => self.probe_ms(),
            Phase::Away | Phase::Opened | Phase::Greeted => self.silent_ms(),
        };
        if self.refused.is_empty() {
            silence
        } else {
            silence.min(self.refused_until_ms)
        }
    }

    /// Whether the server has been silent for too long. Whoever was not reading all that time may not know yet that
    /// messages have come, and gets a moment to find out.
    pub(super) fn is_dead(&mut self, now_ms: u64) -> bool {
        if self.phase == Phase::Away || now_ms < self.silent_ms() {
            return false;
        }
        match self.doubted_until_ms {
            Some(until_ms) if now_ms < until_ms => false,
            Some(until_ms) if now_ms < until_ms + CLIENT_DOUBT_MS => true,
            Some(_) | None => {
                self.doubted_until_ms = Some(now_ms + CLIENT_DOUBT_MS);
                false
            }
        }
    }

    /// Deals with one message.
    pub(super) fn hear(&mut self, message: &ServerMessage<'_>, now_ms: u64) -> Heard {
        match message {
            ServerMessage::Hello(_) if self.phase == Phase::Greeted => Heard::GreetedAgain,
            ServerMessage::Hello(greeting) => Heard::Greeted(self.greeted(greeting)),
            ServerMessage::Tick(stamp, tick) => {
                let image = matches!(tick, Tick::Book(update) if update.kind == BookUpdateKind::Snapshot);
                let step = self.ledger.note(stamp.channel, stamp.seq, image);
                heard(stamp.channel, step)
            }
            ServerMessage::Ack(answer) => self.acknowledged(answer, now_ms),
            ServerMessage::Published(published) => self.answered(published.id),
            ServerMessage::Pong(pong) => self.answered(pong.id),
            ServerMessage::Error(refused) => self.refused(refused, now_ms),
            ServerMessage::Gap(gap) => heard(&gap.ch, self.ledger.gap(&gap.ch, gap.from, gap.to)),
            ServerMessage::Live(live) => heard(&live.ch, self.ledger.sent(&live.ch, live.seq)),
            ServerMessage::Heartbeat(heartbeat) => {
                let mut steps = heartbeat
                    .last
                    .iter()
                    .map(|(channel, seq)| (channel, self.ledger.sent(channel, *seq)));
                let hole = steps.find(|(_, step)| *step != Step::Next);
                hole.map_or(Heard::Told, |(channel, step)| heard(channel, step))
            }
            ServerMessage::Shutdown(shutdown) => {
                self.retry_ms = Some(shutdown.retry_ms);
                Heard::Told
            }
            ServerMessage::Warning(_) => Heard::Told,
            // What was published on a channel counts there. A number in anything else may be any.
            ServerMessage::Other(other) => match (&other.ch, other.seq, other.pt_ns) {
                (Some(channel), Some(seq), Some(_)) => heard(channel, self.ledger.pass(channel, seq)),
                _ => Heard::Told,
            },
        }
    }

    /// A message came of which not even the channel can be read.
    pub(super) const fn pass_unread(&mut self) {
        self.ledger.pass_unread();
    }

    /// Where the client stands.
    pub(super) fn places(&self) -> Option<Places> {
        self.ledger.places()
    }

    /// Requests that are not answered yet.
    pub(super) fn unanswered(&self) -> usize {
        self.requests.len() + self.nameless.len()
    }

    /// Whether a publication is refused because the token was, and nobody was told.
    pub(super) fn has_nameless(&self) -> bool {
        !self.nameless.is_empty()
    }

    /// The next of these, with what the server said of the token.
    pub(super) fn take_nameless(&mut self) -> Option<RequestRefused<'static>> {
        let (id, doubtful) = self.nameless.pop_front()?;
        let mut msg = self.refusal.1.to_string();
        if doubtful {
            msg += "; but it was sent on a connection that broke, and may have been published";
        }
        Some(RequestRefused {
            id: Some(id),
            code: self.refusal.0,
            msg: msg.into(),
        })
    }

    fn greeted(&mut self, greeting: &Greeting<'_>) -> Continuation {
        self.ledger.told(greeting.classes.clone());
        let continuation = self.ledger.enter(&greeting.epoch);
        self.phase = Phase::Greeted;
        self.heartbeat_ms = greeting.heartbeat_ms.unwrap_or(HEARTBEAT_MS).max(1);
        self.pace = Pace::new(greeting.limits.requests_per_s);
        let mut first = self.say_who();
        // Names before patterns: what a pattern matches too is then resumed and not begun anew.
        let granted = std::mem::take(&mut self.granted);
        let (names, patterns): (Vec<_>, Vec<_>) = granted
            .iter()
            .cloned()
            .partition(|name| ChannelName::parse(name).is_ok());
        for channels in [names, patterns]
            .iter()
            .flat_map(|all| all.chunks(CLIENT_RESUMED_PER_REQUEST))
        {
            first.push(self.by_itself(Op::Subscribe(channels.into())));
        }
        self.granted = granted;
        self.requests.put_first(first);
        continuation
    }

    fn acknowledged(&mut self, answer: &Answer<'_>, now_ms: u64) -> Heard {
        let Some(asked) = answer.id.and_then(|id| self.requests.answered(id)) else {
            return Heard::Told;
        };
        match &asked.op {
            Op::Subscribe(channels) => {
                for granted in &answer.ok {
                    self.subscribed(granted);
                }
                for refused in &answer.err {
                    let name = channels.iter().find(|name| ***name == *refused.ch);
                    if let Some(name) = name.filter(|_| asked.again) {
                        self.lost_subscription(name, refused.code, now_ms);
                    }
                }
            }
            Op::Unsubscribe(channels) => {
                // What is refused was not subscribed.
                self.granted.retain(|name| !channels.contains(name));
                self.refused.retain(|name| !channels.contains(name));
                for channel in channels {
                    let granted = &self.granted;
                    self.ledger.forget(channel, |name| is_wanted(granted, name));
                }
            }
            Op::Authenticate(_) if self.name == Name::Asked(asked.id) => self.name = Name::Taken,
            Op::Authenticate(_) | Op::Snapshot(_) | Op::List | Op::Ping { .. } | Op::Publish { .. } => {}
        }
        Heard::Answered { again: asked.again }
    }

    fn subscribed(&mut self, granted: &Granted<'_>) {
        let is_new = !self.granted.iter().any(|name| **name == *granted.ch);
        if is_new && self.granted.len() < CHANNELS_MAX {
            self.granted.push((&*granted.ch).into());
        }
        let class = granted.class.as_deref().and_then(ChannelClass::of_word);
        if let Some((class, seq)) = class.zip(granted.seq) {
            self.ledger
                .granted(&granted.ch, class, seq, granted.resume.is_some());
        }
    }

    /// What was subscribed is refused to a client that came back. A channel that is not there yet may come back as well.
    fn lost_subscription(&mut self, name: &str, code: u16, now_ms: u64) {
        const UNKNOWN: u16 = Code::UnknownChannel.value();
        const SINCE: u16 = Code::BadSince.value();
        const OVERLOADED: u16 = Code::Overloaded.value();
        if code == SINCE {
            self.ledger.forget(name, |_| false);
        }
        if matches!(code, UNKNOWN | SINCE | OVERLOADED) {
            if !self.refused.iter().any(|refused| **refused == *name) {
                self.refused.push(name.into());
            }
            self.refused_until_ms = now_ms + if code == SINCE { 0 } else { CLIENT_REFUSED_RETRY_MS };
        } else {
            self.granted.retain(|granted| **granted != *name);
        }
    }

    fn answered(&mut self, id: Option<u64>) -> Heard {
        let asked = id.and_then(|id| self.requests.answered(id));
        asked.map_or(Heard::Told, |asked| Heard::Answered { again: asked.again })
    }

    fn refused(&mut self, refused: &RequestRefused<'_>, now_ms: u64) -> Heard {
        // A server that goes takes no more: the next one will.
        let goes = self.retry_ms.is_some() && refused.code == Code::Overloaded.value();
        if goes || refused.code == Code::RateLimited.value() {
            self.pace.hold(now_ms);
            if refused.id.is_some_and(|id| self.requests.postponed(id)) {
                if self.name == Name::Refused {
                    self.take_nameless_publications();
                }
                return Heard::Postponed;
            }
        }
        if let Name::Asked(id) = self.name
            && refused.id == Some(id)
        {
            self.refuse_publications(refused);
        }
        self.answered(refused.id)
    }

    /// The token was refused. What was to be published under its name is not published under another, or under none.
    fn refuse_publications(&mut self, refused: &RequestRefused<'_>) {
        self.name = Name::Refused;
        self.refusal = (refused.code, (&*refused.msg).into());
        self.take_nameless_publications();
    }

    fn take_nameless_publications(&mut self) {
        let taken = self.requests.take_unsent_publications().into_iter();
        self.nameless
            .extend(taken.map(|asked| (asked.id, asked.doubtful)));
    }

    fn ask_for_refused(&mut self, now_ms: u64) {
        if !self.refused.is_empty() && now_ms >= self.refused_until_ms {
            let refused = std::mem::take(&mut self.refused);
            let asked = refused
                .chunks(CLIENT_RESUMED_PER_REQUEST)
                .map(|channels| self.by_itself(Op::Subscribe(channels.into())))
                .collect();
            self.requests.put_first(asked);
        }
    }

    /// Asks for a sign of life in good time: a server says nothing by itself to those who have not subscribed.
    fn probe(&mut self, now_ms: u64) {
        if !self.probed && now_ms >= self.probe_ms() {
            self.probed = true;
            let ping = self.by_itself(Op::Ping { t0_ns: 0 });
            self.requests.put_first(vec![ping]);
        }
    }

    fn by_itself(&mut self, op: Op) -> Asked {
        self.id += 1;
        Asked {
            id: self.id,
            op,
            again: true,
            doubtful: false,
        }
    }

    /// When silence has lasted too long.
    fn silent_ms(&self) -> u64 {
        let allowed = match self.phase {
            Phase::Away | Phase::Opened => CLIENT_GREETING_MS,
            Phase::Greeted => self.heartbeat_ms.saturating_mul(CLIENT_SILENT_HEARTBEATS),
        };
        self.heard_ms.saturating_add(allowed)
    }

    fn probe_ms(&self) -> u64 {
        self.silent_ms().saturating_sub(self.heartbeat_ms)
    }
}

fn heard(channel: &str, step: Step) -> Heard {
    match step {
        Step::Next => Heard::Told,
        Step::Repeated => Heard::Repeated,
        Step::Away { from, to } => Heard::Away { from, to },
        Step::Unexplained { from, to } => Heard::Unexplained { from, to },
        Step::Hole { from, to } => Heard::Hole {
            channel: channel.into(),
            from,
            to,
        },
    }
}

/// Whether any of the names and patterns stands for the channel.
fn is_wanted(granted: &[Box<str>], channel: ChannelName<'_>) -> bool {
    let mut patterns = granted.iter().filter_map(|name| Pattern::parse(name).ok());
    patterns.any(|pattern| pattern.matches(channel))
}

#[cfg(test)]
mod tests;
