//! Which messages were published with a key, so that one that is sent again is not published again.
//!
//! Of each publisher the newest [`KEYS_PER_PUBLISHER_MAX`](crate::limits::KEYS_PER_PUBLISHER_MAX) are remembered, and the
//! oldest is forgotten for one more. Invariant: a key that is remembered stands for one message, which is on its channel
//! under the number that is remembered with it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::{ChannelName, Event, Now, PublishError, Sequencer};
use crate::limits::{KEYS_PER_PUBLISHER_MAX, PUBLISH_KEY_BYTES_MAX, PUBLISHERS_MAX};
use crate::tape::ChannelId;

/// Who publishes, and what tells a message from every other one of that publisher's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyed<'a> {
    /// The publisher's name; nothing for all who have none.
    pub publisher: &'a str,
    /// The message's key.
    pub key: &'a str,
}

/// A message that stands for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Where it is.
    pub channel: ChannelId,
    /// Its number there.
    pub seq: u64,
    /// When it was published.
    pub pt_ns: u64,
    /// Its number in the journal; 0 where it was read from one.
    pub journaled: Option<u64>,
}

/// What became of a message that was to be published once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It was accepted, under this number, and is to be [settled](Sequencer::settle).
    Now {
        /// The number.
        seq: u64,
    },
    /// It was published before.
    Before(Kept),
}

/// A key on its way to a journal or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Whose it is.
    pub publisher: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The message that it stands for.
    pub kept: Kept,
}

/// Bytes that a key takes while it is remembered: itself, and its places in a map and a queue that have grown.
pub const KEY_BYTES: usize = PUBLISH_KEY_BYTES_MAX
    + 2 * size_of::<usize>()
    + 2 * (size_of::<Arc<str>>() + size_of::<Kept>())
    + 2 * size_of::<Arc<str>>();

/// All keys that are remembered.
#[derive(Debug, Default)]
pub(super) struct Keys {
    publishers: HashMap<Arc<str>, OfPublisher>,
    /// That of the message which was accepted last, until the next one comes.
    newest: Option<(Arc<str>, Arc<str>)>,
}

#[derive(Debug, Default)]
struct OfPublisher {
    kept: HashMap<Arc<str>, Kept>,
    /// From the oldest to the newest.
    order: VecDeque<Arc<str>>,
}

/// Keys that were read from a journal, in whatever order, with the names of channels that may be opened only later.
#[derive(Debug, Default)]
pub struct RestoredKeys {
    publishers: HashMap<Box<str>, ByTime>,
}

/// The keys of one publisher, by when they were first used.
type ByTime = BTreeMap<(u64, Box<str>), Place>;

/// Where the message of a key is.
#[derive(Debug)]
struct Place {
    channel: Box<str>,
    seq: u64,
}

impl Keys {
    pub(super) fn find(&self, keyed: Keyed<'_>) -> Option<Kept> {
        self.publishers.get(keyed.publisher)?.kept.get(keyed.key).copied()
    }

    /// Remembers a key that is not remembered yet.
    fn remember(&mut self, keyed: Keyed<'_>, kept: Kept) {
        let publisher = match self.publishers.get_key_value(keyed.publisher) {
            Some((publisher, _)) => Arc::clone(publisher),
            None => keyed.publisher.into(),
        };
        let key: Arc<str> = keyed.key.into();
        let of = self.publishers.entry(Arc::clone(&publisher)).or_default();
        if of.order.len() >= KEYS_PER_PUBLISHER_MAX
            && let Some(oldest) = of.order.pop_front()
        {
            of.kept.remove(&oldest);
        }
        of.order.push_back(Arc::clone(&key));
        of.kept.insert(Arc::clone(&key), kept);
        self.newest = Some((publisher, key));
    }

    /// Another message comes.
    pub(super) fn forget_newest(&mut self) {
        self.newest = None;
    }

    fn newest_mut(&mut self) -> Option<&mut Kept> {
        let (publisher, key) = self.newest.as_ref()?;
        self.publishers.get_mut(publisher)?.kept.get_mut(key)
    }
}

impl RestoredKeys {
    /// Adds a key that stood in a journal. Of each publisher the newest are kept.
    pub fn add(&mut self, keyed: Keyed<'_>, channel: &str, seq: u64, pt_ns: u64) {
        // Those with a name, whoever has none, and lines.
        let most = PUBLISHERS_MAX + 2;
        if !self.publishers.contains_key(keyed.publisher) && self.publishers.len() >= most {
            return;
        }
        let keys = self.publishers.entry(keyed.publisher.into()).or_default();
        let channel = channel.into();
        keys.insert((pt_ns, keyed.key.into()), Place { channel, seq });
        if keys.len() > KEYS_PER_PUBLISHER_MAX {
            keys.pop_first();
        }
    }
}

impl Sequencer {
    /// Accepts an event as [`publish`](Self::publish) does, unless one of the same publisher with the same key was accepted
    /// before.
    ///
    /// # Errors
    /// As there; and when the key stands for a message on another channel.
    ///
    /// # Panics
    /// As there.
    pub fn publish_once(
        &mut self,
        event: &Event<'_>,
        keyed: Option<Keyed<'_>>,
        now: Now,
    ) -> Result<Published, PublishError> {
        if let Some(kept) = keyed.and_then(|keyed| self.keys.find(keyed)) {
            if self.name(kept.channel) != event.channel {
                return Err(PublishError::Key);
            }
            return Ok(Published::Before(kept));
        }
        self.publish(event, now)?;
        let Some(entry) = self.staged.first().map(|staged| staged.entry) else {
            unreachable!("what was accepted is staged");
        };
        if let Some(keyed) = keyed {
            let kept = Kept {
                channel: entry.channel,
                seq: entry.seq,
                pt_ns: entry.pt_ns,
                journaled: None,
            };
            self.keys.remember(keyed, kept);
        }
        Ok(Published::Now { seq: entry.seq })
    }

    /// The key of the message that was accepted last, until it is settled.
    #[must_use]
    pub fn accepted_key(&self) -> Option<Remembered> {
        self.staged.first()?;
        let (publisher, key) = self.keys.newest.as_ref()?;
        let kept = self.keys.find(Keyed { publisher, key })?;
        Some(Remembered {
            publisher: Arc::clone(publisher),
            key: Arc::clone(key),
            kept,
        })
    }

    /// The journal has given this number to the message that was accepted last.
    pub fn journaled_as(&mut self, number: Option<u64>) {
        if let Some(kept) = self.keys.newest_mut() {
            kept.journaled = number;
        }
    }

    /// The journal has lost its messages from this number on, whatever it has behind them later.
    pub fn lost_from(&mut self, first: u64) {
        let kept = self
            .keys
            .publishers
            .values_mut()
            .flat_map(|of| of.kept.values_mut());
        for kept in kept.filter(|kept| kept.journaled.is_some_and(|number| number >= first)) {
            kept.journaled = None;
        }
    }

    /// All keys that are remembered, each publisher's from the oldest to the newest.
    #[must_use]
    pub fn keys(&self) -> Vec<Remembered> {
        let mut keys = Vec::new();
        for (publisher, of) in &self.keys.publishers {
            keys.extend(of.order.iter().filter_map(|key| {
                Some(Remembered {
                    publisher: Arc::clone(publisher),
                    key: Arc::clone(key),
                    kept: *of.kept.get(key)?,
                })
            }));
        }
        keys
    }

    /// Remembers keys that were journaled. One whose message was not is forgotten: it was on its way when the server ended.
    pub fn restore_keys(&mut self, restored: &RestoredKeys) {
        for (publisher, keys) in &restored.publishers {
            for ((pt_ns, key), place) in keys {
                let keyed = Keyed { publisher, key };
                let known = ChannelName::parse(&place.channel)
                    .ok()
                    .and_then(|name| self.ids.get(name.as_str()).copied());
                let Some(channel) = known.filter(|id| place.seq <= self.channels[id.index()].seq) else {
                    continue;
                };
                if self.keys.find(keyed).is_none() {
                    let kept = Kept {
                        channel,
                        seq: place.seq,
                        pt_ns: *pt_ns,
                        journaled: Some(0),
                    };
                    self.keys.remember(keyed, kept);
                }
            }
        }
        self.keys.newest = None;
    }
}
