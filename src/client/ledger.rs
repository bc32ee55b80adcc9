//! What was handed out of each channel, and whether what comes next is next.
//!
//! Never allocates for a channel that it knows.
//!
//! Invariant: of a channel that is known, everything up to its number was handed out or told missing. At most
//! [`CHANNELS_MAX`] channels are known; those beyond are not judged and not resumed.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::dialect::native_json::Told;
use crate::limits::CHANNELS_MAX;
use crate::market::{ChannelClass, ChannelName, Pattern};

/// Where a client stands in each channel: what it needs to go on from there, in another process too.
///
/// ```
/// use tickwire::client::Places;
///
/// let text = r#"{"epoch":"61f2c8d5a4b00","seqs":{"trade:BTC-USD":4800}}"#;
/// let places: Places = serde_json::from_str(text)?;
/// assert_eq!(places.seqs["trade:BTC-USD"], 4800);
/// assert_eq!(serde_json::to_string(&places)?, text);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// Within which the numbers count.
    pub epoch: String,
    /// The number of the last message of each channel.
    pub seqs: BTreeMap<String, u64>,
}

/// How a connection stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// There was none.
    First,
    /// The numbers of channels go on.
    Same,
    /// The server has begun anew: all numbers have, and what was not sent before is gone.
    Anew,
}

/// How a number stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is the next, the first, or stands for all before it.
    Next,
    /// Numbers are missing because there was no connection, and the channel was not resumed.
    Away { from: u64, to: u64 },
    /// Numbers are missing of a channel of which nobody said that it has all of them.
    Unexplained { from: u64, to: u64 },
    /// Numbers are missing, and nothing said so.
    Hole { from: u64, to: u64 },
    /// It was there before.
    Repeated,
}

/// The newest number of each channel.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    epoch: Option<Box<str>>,
    channels: HashMap<Box<str>, Heard>,
    /// Of which class they are, as far as the server said.
    classes: Told,
    /// Whether a message came on this connection of which not even the channel could be read.
    unread: bool,
}

/// What is known of a channel.
#[derive(Debug)]
struct Heard {
    class: ChannelClass,
    /// Whether the server said that it is of this class: when it greeted, or when it was asked for the channel by its name.
    certain: bool,
    /// The newest number; `None` before the first.
    seq: Option<u64>,
    /// Whether messages may be missing, because the connection is another than that of the newest number.
    away: bool,
}

impl Ledger {
    /// A ledger that goes on from here.
    pub(super) fn since(places: Places) -> Self {
        let channels = places.seqs.into_iter().take(CHANNELS_MAX);
        Self {
            channels: channels
                .map(|(channel, seq)| {
                    let heard = Heard {
                        class: default_class(&channel),
                        certain: false,
                        seq: Some(seq),
                        away: true,
                    };
                    (channel.into(), heard)
                })
                .collect(),
            epoch: Some(places.epoch.into()),
            classes: Told::default(),
            unread: false,
        }
    }

    /// The server says of which classes its channels are. What it says of one by its name counts more, and comes later.
    pub(super) fn told(&mut self, classes: Told) {
        for (channel, heard) in &mut self.channels {
            if let Some(class) = told_class(&classes, channel) {
                (heard.class, heard.certain) = (class, true);
            }
        }
        self.classes = classes;
    }

    /// A connection has begun, within this epoch.
    pub(super) fn enter(&mut self, epoch: &str) -> Continuation {
        let before = self.epoch.replace(epoch.into());
        self.unread = false;
        match before.as_deref() {
            None => Continuation::First,
            Some(before) if before == epoch => {
                for heard in self.channels.values_mut() {
                    heard.away = true;
                }
                Continuation::Same
            }
            Some(_) => {
                // Of the new epoch nothing was handed out: all of it is still to come, of a channel that has a past or may have.
                self.channels.retain(|_, heard| match heard.class {
                    ChannelClass::Append => true,
                    ChannelClass::Replace => !heard.certain,
                    ChannelClass::Book => false,
                });
                for heard in self.channels.values_mut() {
                    (heard.seq, heard.away) = (Some(0), true);
                }
                Continuation::Anew
            }
        }
    }

    /// An acknowledgement said that `seq` is the newest number of the channel, and whether that is resumed. Of one that is
    /// not known only an append channel goes on from there: any other begins with an image, whose number is `seq` or one
    /// before it.
    pub(super) fn granted(&mut self, channel: &str, class: ChannelClass, seq: u64, resumed: bool) {
        if let Some(heard) = self.channels.get_mut(channel) {
            (heard.class, heard.certain) = (class, true);
            heard.away &= !resumed;
            return;
        }
        let heard = Heard {
            class,
            certain: true,
            seq: (class == ChannelClass::Append).then_some(seq),
            away: false,
        };
        self.insert(channel, heard);
    }

    /// A message of the channel came; `image` says that it is a book's snapshot.
    pub(super) fn note(&mut self, channel: &str, seq: u64, image: bool) -> Step {
        let Some(heard) = self.channels.get_mut(channel) else {
            self.insert(channel, Heard::first(channel, &self.classes, seq));
            return Step::Next;
        };
        let Some(last) = heard.seq else {
            heard.seq = Some(seq);
            heard.away = false;
            return Step::Next;
        };
        // Of what is only guessed to be a channel whose newest message says it all, each may count: what is passed over is told.
        let stands_alone = image
            || match heard.class {
                ChannelClass::Replace if heard.certain => seq >= last,
                ChannelClass::Replace => seq == last,
                ChannelClass::Append | ChannelClass::Book => false,
            };
        if stands_alone {
            heard.seq = Some(seq);
            heard.away = false;
            return Step::Next;
        }
        if seq <= last {
            return Step::Repeated;
        }
        let step = heard.skip_to(last, seq, self.unread);
        if step == Step::Next {
            heard.seq = Some(seq);
            heard.away = false;
        }
        step
    }

    /// The server said that these are not sent.
    pub(super) fn gap(&mut self, channel: &str, from: u64, to: u64) -> Step {
        let Some(heard) = self.channels.get_mut(channel) else {
            self.insert(channel, Heard::first(channel, &self.classes, to));
            return Step::Next;
        };
        let unread = self.unread;
        let step = heard
            .seq
            .map_or(Step::Next, |last| heard.skip_to(last, from, unread));
        if step == Step::Next {
            heard.seq = heard.seq.max(Some(to));
            heard.away = false;
        }
        step
    }

    /// The server said that everything up to `seq` was sent.
    pub(super) fn sent(&self, channel: &str, seq: u64) -> Step {
        match self.channels.get(channel) {
            Some(Heard {
                seq: Some(last),
                away: false,
                ..
            }) if *last < seq && !self.unread => Step::Hole {
                from: *last + 1,
                to: seq,
            },
            Some(_) | None => Step::Next,
        }
    }

    /// A message came of which only channel and number can be read. It counts as any other, but on a book, where it may be one
    /// that stands for all before it.
    pub(super) fn pass(&mut self, channel: &str, seq: u64) -> Step {
        match self.channels.get_mut(channel) {
            Some(heard) if heard.class == ChannelClass::Book => {
                heard.seq = heard.seq.max(Some(seq));
                heard.away = false;
                Step::Next
            }
            Some(_) | None => self.note(channel, seq, false),
        }
    }

    /// A message came of which not even that can be read: what is missing from here on may be that.
    pub(super) const fn pass_unread(&mut self) {
        self.unread = true;
    }

    /// The subscription has ended: what the name or pattern stands for and `still` does not want is not known any more.
    pub(super) fn forget(&mut self, ended: &str, still: impl Fn(ChannelName<'_>) -> bool) {
        match Pattern::parse(ended) {
            Ok(Pattern::Exact(name)) if !still(name) => {
                self.channels.remove(ended);
            }
            Ok(pattern @ (Pattern::All | Pattern::Kind(_))) => {
                self.channels.retain(|channel, _| {
                    ChannelName::parse(channel).is_ok_and(|name| !pattern.matches(name) || still(name))
                });
            }
            Ok(Pattern::Exact(_)) | Err(_) => {}
        }
    }

    /// The epoch of the newest connection.
    pub(super) fn epoch(&self) -> Option<&str> {
        self.epoch.as_deref()
    }

    /// The newest number of a channel.
    pub(super) fn seq(&self, channel: &str) -> Option<u64> {
        self.channels.get(channel)?.seq
    }

    /// All of it.
    pub(super) fn places(&self) -> Option<Places> {
        let seqs = self.channels.iter();
        Some(Places {
            epoch: self.epoch.as_deref()?.to_owned(),
            seqs: seqs
                .filter_map(|(channel, heard)| Some((channel.to_string(), heard.seq?)))
                .collect(),
        })
    }

    fn insert(&mut self, channel: &str, heard: Heard) {
        if self.channels.len() < CHANNELS_MAX {
            self.channels.insert(channel.into(), heard);
        }
    }
}

impl Heard {
    /// A channel of which a message came before it was asked for by its name. Where nobody said so, its class is what it usually is.
    fn first(channel: &str, classes: &Told, seq: u64) -> Self {
        let told = told_class(classes, channel);
        Self {
            class: told.unwrap_or_else(|| default_class(channel)),
            certain: told.is_some(),
            seq: Some(seq),
            away: false,
        }
    }

    /// What lies between the newest number and `next`, for which everything before it must be known. What is missed
    /// for good is told once. Where messages are `unread`, it may be one of those.
    fn skip_to(&mut self, last: u64, next: u64, unread: bool) -> Step {
        let (from, to) = (last.saturating_add(1), next.saturating_sub(1));
        if from > to {
            return Step::Next;
        }
        let was_away = std::mem::take(&mut self.away);
        // A book goes on with an image, whatever happened.
        let must_be_whole = self.class == ChannelClass::Book || (self.certain && !was_away);
        if must_be_whole && !unread {
            return Step::Hole { from, to };
        }
        self.seq = Some(to);
        if was_away {
            Step::Away { from, to }
        } else {
            Step::Unexplained { from, to }
        }
    }
}

fn told_class(classes: &Told, channel: &str) -> Option<ChannelClass> {
    ChannelName::parse(channel)
        .ok()
        .and_then(|name| classes.class(name))
}

fn default_class(channel: &str) -> ChannelClass {
    let kind = ChannelName::parse(channel).map_or("", ChannelName::kind);
    ChannelClass::default_for_kind(kind)
}

#[cfg(test)]
mod tests;
