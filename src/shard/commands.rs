//! Carrying out what a client asks for: one request, one reply, in order.

use super::converse::Desk;
use crate::base::Key;
use crate::connection::Pause;
use crate::dialect::Code;
use crate::dialect::native_json::{Ack, Command, Pong};
use crate::hub::{Hub, Selector, SubscribeError, Subscribed, UnsubscribeError};
use crate::market::{ChannelClass, ChannelName, Pattern};
use crate::tape::Class;

impl Desk<'_> {
    /// What a command must wait for. A client's subscriptions change only where that is exact: see
    /// [`Hub::may_subscribe`] and [`Hub::may_unsubscribe`].
    pub(super) fn must_wait(&self, key: Key, command: &Command<'_>) -> Option<Pause> {
        match command {
            Command::Subscribe { .. } => (!self.hub.may_subscribe(key)).then_some(Pause::Live),
            Command::Unsubscribe { .. } => (!self.hub.may_unsubscribe(key)).then_some(Pause::Joined),
            Command::List { .. } | Command::Ping { .. } => None,
        }
    }

    /// Carries out a command and writes the reply into the scratch of frames.
    pub(super) fn obey(&mut self, key: Key, command: &Command<'_>) {
        self.site.text.clear();
        let (hub, text) = (&mut *self.hub, &mut self.site.text);
        match command {
            Command::Subscribe { id, channels } => {
                let mut ack = Ack::new(text, *id);
                for channel in channels {
                    subscribe(hub, key, channel, &mut ack);
                }
                ack.finish();
            }
            Command::Unsubscribe { id, channels } => {
                let mut ack = Ack::new(text, *id);
                for channel in channels {
                    unsubscribe(hub, key, channel, &mut ack);
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
        }
        self.frame_text();
    }
}

fn subscribe(hub: &mut Hub, key: Key, channel: &str, ack: &mut Ack<'_>) {
    let pattern = match Pattern::parse(channel) {
        Ok(pattern) => pattern,
        Err(error) => return ack.refused(channel, Code::UnknownChannel, &error.to_string()),
    };
    match hub.subscribe(key, selector(pattern)) {
        Ok(subscribed) => acknowledge(hub, selector(pattern), subscribed, ack),
        Err(SubscribeError::Unknown) => ack.refused(channel, Code::UnknownChannel, "no such channel"),
        Err(SubscribeError::TooMany) => {
            ack.refused(
                channel,
                Code::TooManySubscriptions,
                "this connection has as many as it may",
            );
        }
        Err(SubscribeError::Overloaded) => {
            ack.refused(
                channel,
                Code::Overloaded,
                "the server has as many subscriptions as it can hold",
            );
        }
    }
}

fn unsubscribe(hub: &mut Hub, key: Key, channel: &str, ack: &mut Ack<'_>) {
    let pattern = match Pattern::parse(channel) {
        Ok(pattern) => pattern,
        Err(error) => return ack.refused(channel, Code::UnknownChannel, &error.to_string()),
    };
    match hub.unsubscribe(key, selector(pattern)) {
        Ok(()) => ack.named(channel),
        Err(UnsubscribeError::NotSubscribed) => {
            ack.refused(channel, Code::UnknownChannel, "not subscribed");
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
