//! What was handed out of each channel, and whether what comes next is next.
//!
//! Never allocates for a channel that it knows.
//!
//! Invariant: of a channel that is known, everything up to its number was handed out or told missing. At most
//! [`CHANNELS_MAX`] channels are known; those beyond are not judged and not resumed.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

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
}

/// What is known of a channel.
#[derive(Debug)]
struct Heard {
    class: ChannelClass,
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
                        seq: Some(seq),
                        away: true,
                    };
                    (channel.into(), heard)
                })
                .collect(),
            epoch: Some(places.epoch.into()),
        }
    }

    /// A connection has begun, within this epoch.
    pub(super) fn enter(&mut self, epoch: &str) -> Continuation {
        let before = self.epoch.replace(epoch.into());
        match before.as_deref() {
            None => Continuation::First,
            Some(before) if before == epoch => {
                for heard in self.channels.values_mut() {
                    heard.away = true;
                }
                Continuation::Same
            }
            Some(_) => {
                self.channels.clear();
                Continuation::Anew
            }
        }
    }

    /// An acknowledgement said that `seq` is the newest number of the channel, and whether that is resumed. Of one that is
    /// not known only an append channel goes on from there: any other begins with an image, whose number is `seq` or one
    /// before it.
    pub(super) fn granted(&mut self, channel: &str, class: ChannelClass, seq: u64, resumed: bool) {
        if let Some(heard) = self.channels.get_mut(channel) {
            heard.class = class;
            heard.away &= !resumed;
            return;
        }
        // Of a channel that is resumed and not known all is sent, from the first message of the epoch on.
        let newest = if resumed { 0 } else { seq };
        self.insert(channel, class, (class == ChannelClass::Append).then_some(newest));
    }

    /// A message of the channel came; `image` says that it is a book's snapshot.
    pub(super) fn note(&mut self, channel: &str, seq: u64, image: bool) -> Step {
        let Some(heard) = self.channels.get_mut(channel) else {
            self.insert(channel, default_class(channel), Some(seq));
            return Step::Next;
        };
        let Some(last) = heard.seq else {
            heard.seq = Some(seq);
            heard.away = false;
            return Step::Next;
        };
        let stands_alone = image || (heard.class == ChannelClass::Replace && seq >= last);
        if stands_alone {
            heard.seq = Some(seq);
            heard.away = false;
            return Step::Next;
        }
        if seq <= last {
            return Step::Repeated;
        }
        let step = heard.skip_to(last, seq);
        if step == Step::Next {
            heard.seq = Some(seq);
            heard.away = false;
        }
        step
    }

    /// The server said that these are not sent.
    pub(super) fn gap(&mut self, channel: &str, from: u64, to: u64) -> Step {
        let Some(heard) = self.channels.get_mut(channel) else {
            self.insert(channel, default_class(channel), Some(to));
            return Step::Next;
        };
        let step = heard.seq.map_or(Step::Next, |last| heard.skip_to(last, from));
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
            }) if *last < seq => Step::Hole {
                from: *last + 1,
                to: seq,
            },
            Some(_) | None => Step::Next,
        }
    }

    /// A message came that cannot be read: its number counts, and what it was is not known.
    pub(super) fn pass(&mut self, channel: &str, seq: u64) {
        if let Some(heard) = self.channels.get_mut(channel) {
            heard.seq = heard.seq.max(Some(seq));
            heard.away = false;
        }
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

    fn insert(&mut self, channel: &str, class: ChannelClass, seq: Option<u64>) {
        if self.channels.len() < CHANNELS_MAX {
            let heard = Heard {
                class,
                seq,
                away: false,
            };
            self.channels.insert(channel.into(), heard);
        }
    }
}

impl Heard {
    /// What lies between the newest number and `next`, for which everything before it must be known. What was missed
    /// while there was no connection is told once.
    fn skip_to(&mut self, last: u64, next: u64) -> Step {
        let (from, to) = (last.saturating_add(1), next.saturating_sub(1));
        if from > to {
            return Step::Next;
        }
        // A book goes on with an image then, and a quote stands for itself.
        if !std::mem::take(&mut self.away) || self.class == ChannelClass::Book {
            return Step::Hole { from, to };
        }
        self.seq = Some(to);
        Step::Away { from, to }
    }
}

fn default_class(channel: &str) -> ChannelClass {
    let kind = ChannelName::parse(channel).map_or("", ChannelName::kind);
    ChannelClass::default_for_kind(kind)
}

#[cfg(test)]
mod tests;
