//! Messages that clients publish: from the text of a request to the sequencer, and what the client is told of it.
//!
//! Never decides who may publish what: shards have seen to that. Invariant: a message that is refused has changed nothing.

use std::sync::Arc;

use super::counter::Taken;
use super::journal::Journal;
use super::sequencer::{DeriveError, Keyed, PublishError, Published, Sequencer};
use super::source::Event;
use crate::base::Now;
use crate::dialect::errand::{Outcome, Publish, Want};
use crate::dialect::native_json::{Input, InputError, Label};
use crate::dialect::publisher::LINES_PUBLISHER;
use crate::dialect::{Code, Publishers};
use crate::market::Level;
use crate::tape::ChannelId;

/// Reads requests to publish.
#[derive(Debug)]
pub struct Publishing {
    publishers: Arc<Publishers>,
    levels: Vec<Level>,
}

/// What came of an errand, as far as it is known when it was carried out.
#[derive(Debug)]
pub struct Carried {
    /// What came of it.
    pub outcome: Outcome,
    /// The number in the journal of a message that was published before.
    pub journaled: Option<u64>,
}

impl Publishing {
    /// Publishes what these say.
    #[must_use]
    pub fn of(publishers: Arc<Publishers>) -> Self {
        Self {
            publishers,
            levels: Vec::new(),
        }
    }

    /// Does what an errand of a shard asks for. What it publishes is to be settled next, as after [`Sequencer::publish`].
    ///
    /// # Panics
    /// When something is staged.
    pub fn carry_out(&mut self, taken: &Taken, sequencer: &mut Sequencer, now: Now) -> Carried {
        match &taken.errand.want {
            Want::Publish(publish) => {
                let Publish {
                    publisher,
                    key,
                    text,
                    channel: _,
                } = &**publish;
                let publishers = Arc::clone(&self.publishers);
                let keyed = key.as_deref().map(|key| Keyed {
                    publisher: publishers.name(*publisher),
                    key,
                });
                self.publish(text, keyed, sequencer, now)
            }
            Want::Open(names) => {
                for name in names {
                    // Whoever asked for it finds out whether it is there.
                    let _ = sequencer.open_channel(name);
                }
                Carried {
                    outcome: Outcome::Opened,
                    journaled: None,
                }
            }
            Want::Derive(name) => match sequencer.open_derived(name, taken.shard(), now) {
                Ok(channel) => Carried {
                    outcome: Outcome::Derived {
                        channel: channel.number(),
                        seq: sequencer.seq(channel),
                    },
                    journaled: None,
                },
                Err(error) => refused(code_of_name(&error), &error),
            },
            Want::Dismiss(channel) => {
                sequencer.close_derived(ChannelId::new(*channel), taken.shard());
                Carried {
                    outcome: Outcome::Dismissed,
                    journaled: None,
                }
            }
        }
    }

    /// Publishes a line of a publisher that has connected to a socket for lines.
    pub fn publish_line(
        &mut self,
        text: &str,
        label: &Label<'_>,
        sequencer: &mut Sequencer,
        now: Now,
    ) -> Carried {
        let keyed = label.key.as_deref().map(|key| Keyed {
            publisher: LINES_PUBLISHER,
            key,
        });
        self.publish(text, keyed, sequencer, now)
    }

    /// Publishes the message of a request or a line, once.
    fn publish(
        &mut self,
        text: &str,
        keyed: Option<Keyed<'_>>,
        sequencer: &mut Sequencer,
        now: Now,
    ) -> Carried {
        let input = match Input::parse_request(text, &mut self.levels) {
            Ok(input) => input,
            Err(error) => return refused(code_of_input(&error), &error),
        };
        let event = Event {
            channel: input.channel.as_str(),
            ts_ns: input.ts_ns.unwrap_or(now.wall_ns),
            tick: input.tick,
        };
        match sequencer.publish_once(&event, keyed, now) {
            Ok(Published::Now { seq }) => Carried {
                outcome: Outcome::Published { seq },
                journaled: None,
            },
            Ok(Published::Before(kept)) => Carried {
                outcome: Outcome::Published { seq: kept.seq },
                journaled: kept.journaled,
            },
            Err(error) => refused(code_of(&error), &error),
        }
    }
}

/// What is to be told of a message that was published and whose number in the journal is `message`, where that is not that
/// it is published: it was to be on disk, and is not.
#[must_use]
pub fn judge(journal: &Journal, message: Option<u64>) -> Option<Outcome> {
    (!journal.keeps(message)).then(|| Outcome::Refused {
        code: Code::Internal,
        message: "published, but not safe: the journal's disk did not take it".to_owned(),
    })
}

fn refused(code: Code, why: &impl ToString) -> Carried {
    Carried {
        outcome: Outcome::Refused {
            code,
            message: why.to_string(),
        },
        journaled: None,
    }
}

/// Whose fault it is that there is no derived channel of a name.
const fn code_of_name(error: &DeriveError) -> Code {
    match error {
        DeriveError::Unknown | DeriveError::Derivation(_) | DeriveError::NotOffered(_) => {
            Code::UnknownChannel
        }
        DeriveError::BaseFull | DeriveError::StatesFull | DeriveError::Publish(_) => Code::Overloaded,
    }
}

const fn code_of_input(error: &InputError) -> Code {
    match error {
        InputError::Channel(_) => Code::UnknownChannel,
        InputError::NotUtf8 { .. }
        | InputError::NotJson(_)
        | InputError::NotAnObject
        | InputError::Missing { .. }
        | InputError::Twice { .. }
        | InputError::Expected { .. }
        | InputError::Decimal { .. }
        | InputError::NegativeSize { .. }
        | InputError::TradeIdTooLong { .. }
        | InputError::Level { .. }
        | InputError::TooManyLevels { .. } => Code::BadRequest,
    }
}

/// Whose fault it is: the publisher's, or that of a server which has no room.
const fn code_of(error: &PublishError) -> Code {
    match error {
        PublishError::Name(_) | PublishError::Derived => Code::UnknownChannel,
        PublishError::Kind { .. }
        | PublishError::Precision
        | PublishError::TradeId { .. }
        | PublishError::Book(_)
        | PublishError::Key
        | PublishError::TooLong { .. } => Code::BadRequest,
        PublishError::Declare(_)
        | PublishError::Channels { .. }
        | PublishError::DerivedChannels { .. }
        | PublishError::Unreadable
        | PublishError::Kinds
        | PublishError::ImagesFull => Code::Overloaded,
    }
}
