//! Derived channels at a shard's end: the writer is asked for one before a client subscribes to it, and told when nobody has
//! subscribed for a while.
//!
//! It never subscribes anybody: a command that names such a channel waits, unread, until the writer has answered and what it
//! has written is known here. Invariant: whatever anybody has subscribed to here has been asked for, and not given back.

use std::collections::BTreeMap;

use super::Shard;
use super::converse::Desk;
use super::errands::Unsent;
use crate::base::{Key, Now};
use crate::connection::Pause;
use crate::dialect::Code;
use crate::dialect::errand::{Answer, Errand, Outcome, Want};
use crate::dialect::native_json::Command;
use crate::hub::{Channel, Hub};
use crate::limits;
use crate::market::{ChannelName, Reading};
use crate::ring::Ring;
use crate::tape::ChannelId;

/// What the writer has said of names that it was asked for.
#[derive(Debug, Default)]
pub(super) struct Openings {
    /// At most [`NAMES_MAX`], in an order that is the same in each run.
    names: BTreeMap<Box<str>, Standing>,
    /// When it is looked at next who has been deserted.
    look_ns: u64,
}

/// What it has said of one, and when, or when somebody was last seen to have subscribed.
#[derive(Debug)]
struct Standing {
    said: Said,
    since_ns: u64,
}

#[derive(Debug)]
enum Said {
    /// It is made, from this message on.
    Open { channel: ChannelId, seq: u64 },
    /// It is not.
    Refused { code: Code, message: Box<str> },
}

/// What is to be done about a name before it can be subscribed to, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// To take in what the writer has written.
    News,
    /// To ask the writer.
    Answer,
}

impl Openings {
    /// Notes what came of an errand.
    pub(super) fn learn(&mut self, answer: &Answer, now: Now) {
        let Want::Derive(name) = &answer.errand.want else {
            return;
        };
        let said = match &answer.outcome {
            Outcome::Derived { channel, seq } => Said::Open {
                channel: ChannelId::new(*channel),
                seq: *seq,
            },
            Outcome::Refused { code, message } => Said::Refused {
                code: *code,
                message: message.as_str().into(),
            },
            Outcome::Published { .. } | Outcome::Opened | Outcome::Dismissed => return,
        };
        if self.names.is_empty() {
            self.look_ns = now.mono_ns + LINGER_NS;
        }
        if self.names.len() >= NAMES_MAX {
            // Whoever still waits for one of these asks again.
            self.names
                .retain(|_, standing| matches!(standing.said, Said::Open { .. }));
        }
        let since_ns = now.mono_ns;
        self.names.insert(name.clone(), Standing { said, since_ns });
    }

    /// Why nobody can subscribe to a name that the writer would have to make.
    pub(super) fn refusal(&self, hub: &Hub, name: &str) -> Option<(Code, &str)> {
        if !may_be_derived(name) {
            return None;
        }
        let known = hub.channel_id(name).map(|id| hub.channel(id));
        if known.is_some_and(Channel::is_listed) {
            return None;
        }
        match self.names.get(name).map(|standing| &standing.said) {
            Some(Said::Open { .. }) => None,
            Some(Said::Refused { code, message }) => Some((*code, message)),
            // Nobody could be asked.
            None => known.map(|_| (Code::Overloaded, "nothing is derived any more")),
        }
    }

    /// When it is to be looked whether anything can be given back.
    pub(super) fn due_ns(&self) -> Option<u64> {
        (!self.names.is_empty()).then_some(self.look_ns)
    }

    /// What is to be done about a name. `has_asked` says whether a refusal is the answer to whoever wants to know.
    fn need(&self, hub: &Hub, name: &str, has_asked: bool) -> Need {
        if !may_be_derived(name) {
            return Need::Nothing;
        }
        let Ok(channel) = ChannelName::parse(name) else {
            return Need::Nothing;
        };
        match hub.channel_id(name) {
            Some(id) if hub.channel(id).is_listed() => return Need::Nothing,
            Some(_) => {}
            None if Reading::of(channel).next().is_none() => return Need::Nothing,
            None => {}
        }
        match self.names.get(name).map(|standing| &standing.said) {
            Some(Said::Open { channel, seq }) if hub.has_observed(*channel, *seq) => Need::Nothing,
            Some(Said::Open { .. }) => Need::News,
            Some(Said::Refused { .. }) if has_asked => Need::Nothing,
            Some(Said::Refused { .. }) | None => Need::Answer,
        }
    }
}

impl Desk<'_> {
    /// Has the writer make what a command wants to subscribe to. Says what the command must wait for. `under_way` is how many
    /// answers the client waits for, and `has_asked` whether it has waited for some for this very command.
    pub(super) fn derive_first(
        &mut self,
        key: Key,
        under_way: &mut u8,
        has_asked: &mut bool,
        command: &Command<'_>,
    ) -> Option<Pause> {
        let Command::Subscribe { channels, .. } = command else {
            return None;
        };
        let mut wait = None;
        // What was refused to somebody before answers nobody who asks only now.
        let had_asked = *has_asked;
        for name in channels {
            match self.openings.need(self.hub, name, had_asked) {
                Need::Nothing => {}
                Need::News => wait = wait.or(Some(Pause::News)),
                Need::Answer if *under_way >= limits::ERRANDS_PER_CONNECTION_MAX => break,
                Need::Answer => match self.errands.send(open(key, name)) {
                    Ok(()) => {
                        (*under_way, *has_asked) = (*under_way + 1, true);
                        wait = Some(Pause::Answers);
                    }
                    Err(Unsent::Full) => {
                        if *under_way == 0 {
                            self.errands.wait(key);
                            wait = Some(Pause::Room);
                        }
                        break;
                    }
                    Err(Unsent::Closed) => {}
                },
            }
        }
        wait
    }
}

impl<R: Ring> Shard<R> {
    /// Gives back what nobody has subscribed to for a while, and forgets what was refused.
    pub(super) fn give_back(&mut self, now: Now) {
        if self.openings.due_ns().is_none_or(|due_ns| now.mono_ns < due_ns) {
            return;
        }
        self.openings.look_ns = now.mono_ns + LINGER_NS;
        let (hub, errands) = (&self.hub, &mut self.errands);
        self.openings.names.retain(|_, standing| {
            let is_old = now.mono_ns >= standing.since_ns + LINGER_NS;
            let Said::Open { channel, seq } = standing.said else {
                return !is_old;
            };
            if !hub.has_observed(channel, seq) {
                return true;
            }
            let known = hub.channel(channel);
            if known.is_listed() {
                return false;
            }
            if !known.is_deserted() {
                standing.since_ns = now.mono_ns;
                return true;
            }
            !is_old || errands.send(close(channel)).is_err()
        });
    }
}

/// Whether a name has what every derived channel's has: most have not, and are looked up no further.
fn may_be_derived(name: &str) -> bool {
    name.bytes().any(|byte| matches!(byte, b'@' | b'/'))
}

fn open(client: Key, name: &str) -> Errand {
    Errand {
        client,
        id: None,
        want: Want::Derive(name.into()),
    }
}

/// It is nobody's, so that nobody is told what came of it.
fn close(channel: ChannelId) -> Errand {
    Errand {
        client: Key::new(u32::MAX, 0),
        id: None,
        want: Want::Dismiss(channel.number()),
    }
}

/// As many as can be open, and as many refusals as errands that can be under way.
const NAMES_MAX: usize = limits::DERIVED_CHANNELS_MAX + limits::ERRANDS_PER_SHARD_MAX;
const LINGER_NS: u64 = limits::DERIVED_LINGER_MS * crate::base::now::NS_PER_MS;
