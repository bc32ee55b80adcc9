//! An open connection's side of the talk: frames in, replies out.
//!
//! It works on borrowed parts of the shard, so that a message can be handled where it lies while the hub and the
//! pool of replies change.

use super::Shard;
use super::derived::Openings;
use super::errands::Errands;
use super::site::{Service, Site};
use crate::base::{Key, Now, PublisherId};
use crate::connection::inbox::InboxesFull;
use crate::connection::{Asked, Connection, Outbox, Outboxes, Pause, Rate, Stage};
use crate::dialect::Code;
use crate::dialect::native_json::reply::write_error;
use crate::dialect::native_json::{Command, CommandError};
use crate::hub::Hub;
use crate::limits;
use crate::ring::Ring;
use crate::tape::Reader;
use crate::wire::{CloseCode, Deflate, Event, Fault, Opcode, Sender, Server, ServerSession};

/// What is needed to answer a client.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) tape: &'a Reader,
    pub(super) hub: &'a mut Hub,
    pub(super) outboxes: &'a mut Outboxes,
    pub(super) errands: &'a mut Errands,
    pub(super) openings: &'a mut Openings,
    pub(super) site: &'a mut Site,
    pub(super) now: Now,
}

/// What a message may change of the connection that it came from, and what the reply depends on.
#[derive(Debug)]
pub(super) struct Caller<'a> {
    pub(super) key: Key,
    pub(super) rate: &'a mut Rate,
    pub(super) outbox: &'a mut Outbox,
    pub(super) deflate: Option<Deflate>,
    /// Whether this shard has looked at the tape since the next command arrived.
    pub(super) looked: bool,
    /// Errands of its that are under way.
    pub(super) under_way: &'a mut u8,
    /// What the writer was asked for because its next request names it.
    pub(super) asked: &'a mut Asked,
    /// As whom it may publish.
    pub(super) publisher: &'a mut PublisherId,
    /// Messages of its that were taken to be published since it was last heard.
    pub(super) published: usize,
    /// Bytes of messages that it was sent back since it was last heard.
    pub(super) echoed_bytes: usize,
}

/// How it goes on with a connection after it was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As before.
    GoOn,
    /// It is open now.
    Opened,
    /// It was refused for want of room.
    Refused,
    /// It is shut down once it has what it is owed.
    Finish,
    /// It is closed for this.
    Close(CloseCode, &'static str),
    /// The same, and it is not listened to any longer.
    Dismiss(Code, &'static str),
    /// It is dropped.
    HangUp,
}

/// The connection cannot be owed what it is to be told.
pub(super) const NO_ROOM_FOR_REPLIES: Verdict =
    Verdict::Close(CloseCode::TRY_AGAIN_LATER, "out of memory for replies");

/// It sends more than anybody needs to.
const TOO_MANY_FRAMES: Verdict = Verdict::Dismiss(Code::RateLimited, "too many frames");
/// The same, and has been told so again and again.
const TOO_MANY_COMMANDS: Verdict = Verdict::Dismiss(Code::RateLimited, "too many commands for too long");

/// What one event comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The reply, if there is one, is in the scratch, or is owed already.
    Given,
    /// The same, and it is the last: this is how it goes on.
    Last(Verdict),
    /// The event must wait for this.
    NotYet(Pause),
}

impl Desk<'_> {
    /// Handles what a connection has sent. Says how many bytes at the front of `bytes` are to be kept until more
    /// arrive.
    pub(super) fn hear(
        &mut self,
        key: Key,
        connection: &mut Connection,
        bytes: &mut [u8],
    ) -> (usize, Verdict) {
        match connection.stage {
            Stage::Handshake { .. } => self.greet(key, connection, bytes),
            Stage::Open | Stage::Closing => self.converse(key, connection, bytes),
            Stage::Lingering { discarded } => {
                let discarded = discarded.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
                connection.stage = Stage::Lingering { discarded };
                let is_enough = discarded > limits::LINGER_BYTES_MAX;
                (0, if is_enough { Verdict::HangUp } else { Verdict::GoOn })
            }
            Stage::Flushing | Stage::Down => (0, Verdict::GoOn),
        }
    }

    /// Handles every whole message. A client that is owed too much, or whose subscriptions cannot change yet, waits
    /// with the rest of what it said.
    pub(super) fn converse(
        &mut self,
        key: Key,
        connection: &mut Connection,
        bytes: &mut [u8],
    ) -> (usize, Verdict) {
        let Connection {
            session,
            deflate,
            outbox,
            rate,
            pause,
            ended,
            told,
            under_way,
            asked,
            publisher,
            ..
        } = connection;
        let mut caller = Caller {
            key,
            rate,
            outbox,
            deflate: *deflate,
            looked: std::mem::take(pause) == Pause::News,
            under_way,
            asked,
            publisher,
            published: 0,
            echoed_bytes: 0,
        };
        // It is lent apart from the rest of the site, which the replies need.
        let mut inflater = self.site.inflater.take();
        let agreed = inflater.as_deref_mut().filter(|_| deflate.is_some());
        let mut decoder = session.decode_with(bytes, agreed);
        let verdict = loop {
            if let Some(until) = self.must_rest(&caller) {
                *pause = until;
                break Verdict::GoOn;
            }
            self.site.frame.clear();
            let (reply, is_message) = match decoder.next() {
                Ok(None) => break Verdict::GoOn,
                Ok(Some((event, sender))) => (
                    self.reply(&mut caller, &event, sender),
                    matches!(event, Event::Text(_) | Event::Binary(_)),
                ),
                Err(fault) => {
                    drop(decoder);
                    self.site.inflater = inflater;
                    return (0, self.fail(session, caller.outbox, fault));
                }
            };
            if let Reply::NotYet(until) = reply {
                decoder.put_back();
                *pause = until;
                break Verdict::GoOn;
            }
            *ended |= is_message;
            // A message is answered with one.
            *told |= is_message;
            if self.outboxes.append(caller.outbox, &self.site.frame).is_err() {
                break NO_ROOM_FOR_REPLIES;
            }
            if let Reply::Last(verdict) = reply {
                break verdict;
            }
        };
        // What has arrived counts as one frame at least, however small; but not that what arrived before must wait still. For what
        // is published the writer is the bound.
        let least = usize::from(*pause == Pause::None);
        let frames = decoder.frames().max(least).saturating_sub(caller.published);
        let held = decoder.finish();
        self.site.inflater = inflater;
        let is_counted = self.site.service == Service::Feed && verdict == Verdict::GoOn;
        if is_counted && !caller.rate.admit_frames(self.now.mono_ms(), frames) {
            return (0, TOO_MANY_FRAMES);
        }
        (held, verdict)
    }

    /// The client broke the protocol, and is told how.
    fn fail(&mut self, session: &mut ServerSession, outbox: &mut Outbox, fault: Fault) -> Verdict {
        tracing::debug!(%fault, "a client broke the protocol");
        // It has failed, so the closing handshake allows this one frame.
        let _ = session.sender().close(Some(fault.into()), &mut self.site.frame);
        match self.outboxes.append(outbox, &self.site.frame) {
            Ok(()) => Verdict::Finish,
            Err(_) => Verdict::HangUp,
        }
    }

    /// What the next message must wait for, whatever it is.
    fn must_rest(&self, caller: &Caller<'_>) -> Option<Pause> {
        if self.outboxes.is_long(caller.outbox) {
            return Some(Pause::Replies);
        }
        (caller.echoed_bytes >= limits::ECHO_TURN_BYTES).then_some(Pause::Turn)
    }

    /// Writes the reply to one event into the scratch of frames. What the closing handshake forbids is not written.
    fn reply(&mut self, caller: &mut Caller<'_>, event: &Event<'_>, sender: &mut Sender<Server>) -> Reply {
        match *event {
            Event::Text(text) => match self.site.service {
                Service::Feed => return self.command(caller, text),
                Service::Echo => return self.echo(caller, Opcode::Text, text.as_bytes()),
            },
            Event::Binary(bytes) => match self.site.service {
                Service::Feed => {
                    let verdict = Verdict::Close(CloseCode::UNSUPPORTED_DATA, "commands are text messages");
                    return Reply::Last(verdict);
                }
                Service::Echo => return self.echo(caller, Opcode::Binary, bytes),
            },
            Event::Ping(payload) => {
                let _ = sender.pong(payload, &mut self.site.frame);
            }
            Event::Pong(_) => {}
            Event::Close(frame) => {
                let _ = sender.close(frame, &mut self.site.frame);
                return Reply::Last(Verdict::Finish);
            }
        }
        Reply::Given
    }

    /// Carries out one text message, unless its time has not come.
    fn command(&mut self, caller: &mut Caller<'_>, text: &str) -> Reply {
        let (now_ms, max) = (self.now.mono_ms(), limits::COMMANDS_PER_SECOND_MAX);
        let parsed = Command::parse(text);
        if let Ok(command @ Command::Publish { .. }) = &parsed
            && let Some(reply) = self.publish(caller, command)
        {
            return reply;
        }
        if *caller.under_way > 0 {
            // Its reply is to stand behind the answers.
            return Reply::NotYet(Pause::Answers);
        }
        if !caller
            .rate
            .admit_frames(now_ms, text.len() / limits::MESSAGE_BYTES_PER_FRAME)
        {
            return Reply::Last(TOO_MANY_FRAMES);
        }
        if !caller.rate.admit(now_ms, 1, max) {
            return self.too_fast(*caller.rate, None);
        }
        let command = match parsed {
            Ok(command) => command,
            Err(CommandError { code, id, message }) => {
                self.error(id, code, &message);
                return Reply::Given;
            }
        };
        let looked = std::mem::take(&mut caller.looked);
        if let Some(until) = self.must_wait(caller.key, &command, looked) {
            caller.rate.forgive();
            return Reply::NotYet(until);
        }
        if let Some(until) =
            self.derive_first(caller.key, caller.under_way, &mut caller.asked.derived, &command)
        {
            // What the writer was asked for counts: it makes channels that there are only so many of.
            if until != Pause::Answers {
                caller.rate.forgive();
            }
            return Reply::NotYet(until);
        }
        if let Some(reply) = self.open_first(caller, &command) {
            caller.rate.forgive();
            return reply;
        }
        caller.asked.derived = false;
        let more = command.channels().len() / limits::CHANNELS_PER_COMMAND;
        if !caller
            .rate
            .admit(now_ms, u16::try_from(more).unwrap_or(u16::MAX), max)
        {
            return self.too_fast(*caller.rate, command.id());
        }
        match &command {
            Command::Authenticate { id, token } => self.authenticate(caller, *id, token),
            Command::Publish { id, channel, .. } => self.refuse_publish(*id, channel),
            Command::Subscribe { .. }
            | Command::Unsubscribe { .. }
            | Command::Snap { .. }
            | Command::List { .. }
            | Command::Ping { .. } => self.obey(caller.key, &command),
        }
        Reply::Given
    }

    fn too_fast(&mut self, rate: Rate, id: Option<u64>) -> Reply {
        let (commands, channels) = (limits::COMMANDS_PER_SECOND_MAX, limits::CHANNELS_PER_COMMAND);
        let message =
            format!("more than {commands} commands a second; {channels} channels count as one more");
        self.error(id, Code::RateLimited, &message);
        if rate.is_hopeless() {
            return Reply::Last(TOO_MANY_COMMANDS);
        }
        Reply::Given
    }

    /// Answers that a request went wrong.
    pub(super) fn error(&mut self, id: Option<u64>, code: Code, message: &str) {
        self.site.text.clear();
        write_error(&mut self.site.text, id, code, message);
        self.site.frame_text();
    }
}

impl<R: Ring> Shard<R> {
    /// Does what hearing a connection has come to. `kept` says whether what is left over found a place.
    pub(super) fn conclude(&mut self, key: Key, verdict: Verdict, kept: Result<(), InboxesFull>, now: Now) {
        match verdict {
            Verdict::GoOn => {}
            Verdict::Opened => self.opened(key, now),
            Verdict::Refused => {
                self.census.refused.add(1);
                self.finish(key, now);
            }
            Verdict::Finish => self.finish(key, now),
            Verdict::Close(code, reason) => self.close(key, code, reason, now),
            Verdict::Dismiss(code, reason) => self.dismiss(key, close_code(code), reason, now),
            Verdict::HangUp => self.hang_up(key),
        }
        if kept.is_err() {
            self.no_room(key, now);
        }
        self.stand(key, now);
        self.settle_debts();
        let Some(connection) = self.connections.slots.get(key) else {
            return;
        };
        let pause = connection.pause;
        // Whoever is live and must wait to subscribe is gone on with as if it were owed a reply.
        if !connection.outbox.is_empty() || pause == Pause::Live && self.hub.is_live(key) {
            self.owe(key);
        }
        if matches!(pause, Pause::Turn | Pause::News) {
            self.hear_soon(key);
        }
        self.queue_if_behind(key);
        self.watch(key);
    }
}

/// A code of the native protocol as a close code.
pub(super) fn close_code(code: Code) -> CloseCode {
    CloseCode::new(code.value()).unwrap_or(CloseCode::INTERNAL_ERROR)
}
