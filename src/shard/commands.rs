//! Carrying out what a client asks for: one request, one reply, in order.

use std::borrow::Cow;

use super::converse::Desk;
use crate::base::Key;
use crate::connection::Pause;
use crate::dialect::Code;
use crate::dialect::native_json::{Ack, Command, GapCause, Pong, Resume, ResumeFault, Since, write_gap};
use crate::hub::{
    Gap, Hub, ResumeError, Resumed, Selector, SnapError, SubscribeError, Subscribed, UnsubscribeError,
};
use crate::market::{ChannelClass, ChannelName, Pattern};
use crate::tape::{Class, Reader};

impl Desk<'_> {
    /// What a command must wait for. A client's subscriptions change only where that is exact: see
    /// [`Hub::may_subscribe`], [`Hub::may_snap`] and [`Hub::may_unsubscribe`]. `looked` says whether this shard has looked at the tape since
    /// the command arrived.
    pub(super) fn must_wait(&self, key: Key, command: &Command<'_>, looked: bool) -> Option<Pause> {
        match command {
            Command::Subscribe { .. } if !self.hub.may_subscribe(key) => Some(Pause::Live),
            Command::Subscribe { channels, since, .. } => {
                let is_ahead = |channel: &Cow<'_, str>| self.is_ahead(channel, since.as_ref());
                (!looked && channels.iter().any(is_ahead)).then_some(Pause::News)
            }
            Command::Snap { .. } => (!self.hub.may_snap(key)).then_some(Pause::Live),
            Command::Unsubscribe { .. } => (!self.hub.may_unsubscribe(key)).then_some(Pause::Joined),
            Command::List { .. }
            | Command::Ping { .. }
            | Command::Publish { .. }
            | Command::Authenticate { .. } => None,
        }
    }

    /// Whether the client knows more of a channel than this shard: it may come from another one, which had looked at the
    /// tape later.
    fn is_ahead(&self, channel: &str, since: Option<&Since<'_>>) -> bool {
        let Ok(pattern) = Pattern::parse(channel) else {
            return false;
        };
        let Some(newest) = self.hub.newest(selector(pattern)) else {
            return true;
        };
        let seen = since
            .filter(|since| since.epoch == *self.site.epoch)
            .and_then(|since| since.seqs.get(channel));
        seen.is_some_and(|seen| *seen > newest)
    }

    /// Carries out a command and writes the reply into the scratch of frames.
    pub(super) fn obey(&mut self, key: Key, command: &Command<'_>) {
        self.site.text.clear();
        let (hub, text, openings) = (&mut *self.hub, &mut self.site.text, &*self.openings);
        match command {
            Command::Subscribe { id, channels, since } => {
                let mut ack = Ack::new(text, *id);
                let mut gaps = Vec::new();
                for channel in channels {
                    if let Some((code, message)) = openings.refusal(hub, channel) {
                        ack.refused(channel, code, message);
                        continue;
                    }
                    let seen = since.as_ref().and_then(|since| {
                        let seq = since.seqs.get(channel)?;
                        Some((since.epoch == *self.site.epoch).then_some(*seq))
                    });
                    match seen {
                        None => subscribe(hub, key, channel, &mut ack),
                        Some(seq) => gaps.extend(resume(hub, self.tape, key, (channel, seq), &mut ack)),
                    }
                }
                ack.finish();
                self.site.frame_text();
                return self.tell_gaps(&gaps);
            }
            Command::Unsubscribe { id, channels } => {
                let mut ack = Ack::new(text, *id);
                for channel in channels {
                    unsubscribe(hub, key, channel, &mut ack);
                }
                ack.finish();
            }
            Command::Snap { id, channels } => {
                let mut ack = Ack::new(text, *id);
                for channel in channels {
                    snap(hub, key, channel, &mut ack);
                }
                ack.finish();
            }
            Command::List { id } => {
                let mut ack = Ack::new(text, *id);
                for (selector, subscribed) in hub.subscriptions(key) {
                    acknowledge(hub, selector, subscribed, &mut ack);
                }
                ack.finish();
            }
            Command::Ping { id, t0 } => {
                let time_ns = self.now.wall_ns;
                Pong {
                    id: *id,
                    t0: *t0,
                    t1_ns: time_ns,
                    t2_ns: time_ns,
                }
                .write_to(text);
            }
            // Neither is the hub's business: see `publish`.
            Command::Publish { .. } | Command::Authenticate { .. } => return,
        }
        self.site.frame_text();
    }

    /// Says behind the acknowledgement what the client will not be sent.
    fn tell_gaps(&mut self, gaps: &[Gap]) {
        for gap in gaps {
            let name = self.hub.channel(gap.channel).name();
            self.site.notice(|text| {
                write_gap(text, name, gap.from, gap.to, GapCause::Expired);
            });
        }
    }
}

fn subscribe(hub: &mut Hub, key: Key, channel: &str, ack: &mut Ack<'_>) {
    let Some(pattern) = pattern(channel, ack) else {
        return;
    };
    match hub.subscribe(key, selector(pattern)) {
        Ok(subscribed) => acknowledge(hub, selector(pattern), subscribed, ack),
        Err(error) => refuse(channel, error, ack),
    }
}

/// Subscribes a client that has the messages of the channel up to a number, if it is of this epoch. Says what it is to be
/// told that it misses.
fn resume(
    hub: &mut Hub,
    tape: &Reader,
    key: Key,
    (channel, seq): (&str, Option<u64>),
    ack: &mut Ack<'_>,
) -> Option<Gap> {
    let Ok(Pattern::Exact(name)) = Pattern::parse(channel) else {
        let message = "since: what was seen of it is told for each channel by itself";
        ack.refused(channel, Code::BadSince, message);
        return None;
    };
    let (id, resumed) = match hub.resume(key, channel, seq, tape) {
        Ok(resumed) => resumed,
        Err(ResumeError::Subscribe(error)) => {
            refuse(channel, error, ack);
            return None;
        }
        Err(ResumeError::Ahead { newest }) => {
            let message = format!("since: the newest message is number {newest}");
            ack.refused(channel, Code::BadSince, &message);
            return None;
        }
    };
    let known = hub.channel(id);
    let (class, newest) = (class(known.class()), known.seq());
    let fault = match seq {
        Some(_) => ResumeFault::Expired,
        None => ResumeFault::Epoch,
    };
    match resumed {
        None => ack.subscribed(name, class, newest),
        Some(Resumed::Replay) => ack.resumed(name, class, newest, Resume::Replay),
        Some(Resumed::Snap) => ack.resumed(name, class, newest, Resume::Snap(fault)),
        Some(Resumed::Rest { from, to }) => {
            ack.resumed(name, class, newest, Resume::Gap(fault));
            return Some(Gap {
                channel: id,
                from,
                to,
            });
        }
    }
    None
}

fn refuse(channel: &str, error: SubscribeError, ack: &mut Ack<'_>) {
    let (code, message) = match error {
        SubscribeError::Unknown => (Code::UnknownChannel, "no such channel"),
        SubscribeError::TooMany => (
            Code::TooManySubscriptions,
            "this connection has as many as it may",
        ),
        SubscribeError::Overloaded => (
            Code::Overloaded,
            "the server has as many subscriptions as it can hold",
        ),
    };
    ack.refused(channel, code, message);
}

fn unsubscribe(hub: &mut Hub, key: Key, channel: &str, ack: &mut Ack<'_>) {
    let Some(pattern) = pattern(channel, ack) else {
        return;
    };
    match hub.unsubscribe(key, selector(pattern)) {
        Ok(()) => ack.named(channel),
        Err(UnsubscribeError::NotSubscribed) => {
            ack.refused(channel, Code::UnknownChannel, "not subscribed");
        }
    }
}

fn snap(hub: &mut Hub, key: Key, channel: &str, ack: &mut Ack<'_>) {
    let Some(pattern) = pattern(channel, ack) else {
        return;
    };
    match hub.snap(key, selector(pattern)) {
        Ok(subscribed) => acknowledge(hub, selector(pattern), subscribed, ack),
        Err(SnapError::NotSubscribed) => ack.refused(channel, Code::UnknownChannel, "not subscribed"),
        Err(SnapError::NoState) => {
            let message = "an append channel has no image: every message counts";
            ack.refused(channel, Code::BadRequest, message);
        }
    }
}

/// Says what the client now gets: for a channel its class and the number of its newest message, for a pattern how
/// many channels it matches.
fn acknowledge(hub: &Hub, selector: Selector<'_>, subscribed: Subscribed, ack: &mut Ack<'_>) {
    match (selector, subscribed) {
        (Selector::Channel(name), Subscribed::Channel(id)) => {
            if let Ok(name) = ChannelName::parse(name) {
                let channel = hub.channel(id);
                ack.subscribed(name, class(channel.class()), channel.seq());
            }
        }
        (Selector::Kind(kind), Subscribed::Pattern { channels }) => {
            ack.subscribed_pattern(&format!("{kind}:*"), channels.into());
        }
        (_, Subscribed::Pattern { channels }) => ack.subscribed_pattern("*", channels.into()),
        (_, Subscribed::Channel(_)) => {}
    }
}

/// What a name or pattern of a request means; where it is none, the reply says so.
fn pattern<'a>(channel: &'a str, ack: &mut Ack<'_>) -> Option<Pattern<'a>> {
    Pattern::parse(channel)
        .inspect_err(|error| ack.refused(channel, Code::UnknownChannel, &error.to_string()))
        .ok()
}

fn selector(pattern: Pattern<'_>) -> Selector<'_> {
    match pattern {
        Pattern::All => Selector::All,
        Pattern::Kind(kind) => Selector::Kind(kind),
        Pattern::Exact(name) => Selector::Channel(name.as_str()),
    }
}

fn class(class: Class) -> ChannelClass {
    match class {
        Class::Append => ChannelClass::Append,
        Class::Replace => ChannelClass::Replace,
        Class::Book => ChannelClass::Book,
    }
}
