//! What was published, and what each client must therefore have got.

use std::collections::BTreeMap;

use serde_json::Value;
use tickwire::base::Now;
use tickwire::dialect::native_json::{Stamp, encode};
use tickwire::market::{BookUpdateKind, ChannelClass, Level, Tick};
use tickwire::shard::Policy;

/// A book as a map of texts.
pub type Book = [BTreeMap<String, String>; 2];

/// Everything that went in, in order.
#[derive(Default)]
pub struct Oracle {
    /// The text of every message, as every subscriber must get it.
    pub messages: Vec<String>,
    pub channels: BTreeMap<String, Channel>,
    /// What is said of kinds of channel.
    manners: BTreeMap<String, Manners>,
    /// The tape's tail and head.
    tape: (u64, u64),
    pt_ns: u64,
    /// For each shard and channel, how many of its messages the shard is known to have looked at.
    known: BTreeMap<usize, BTreeMap<String, u64>>,
}

#[derive(Default)]
pub struct Channel {
    /// Its messages by number, from 1.
    pub texts: Vec<String>,
    /// Where on the tape each is or was.
    pub positions: Vec<u64>,
    /// The book after each of them.
    pub books: Vec<Book>,
}

/// What a channel keeps, and what becomes of those who are behind on it.
#[derive(Clone, Copy)]
pub struct Manners {
    pub class: ChannelClass,
    pub policy: Policy,
}

impl Oracle {
    pub fn of(manners: BTreeMap<String, Manners>) -> Self {
        Self {
            manners,
            ..Self::default()
        }
    }

    pub fn manners(&self, channel: &str) -> Manners {
        let kind = channel.split_once(':').unwrap().0;
        let by_kind = match kind {
            "bbo" => (ChannelClass::Replace, Policy::Conflate),
            "book" => (ChannelClass::Book, Policy::Conflate),
            _ => (ChannelClass::Append, Policy::Gap),
        };
        let (class, policy) = by_kind;
        self.manners
            .get(kind)
            .copied()
            .unwrap_or(Manners { class, policy })
    }

    /// Whether a channel has no state that could stand for what was before.
    pub fn is_append(&self, channel: &str) -> bool {
        self.manners(channel).class == ChannelClass::Append
    }

    /// The tape is there now, from one position up to another.
    pub fn tape_is(&mut self, tail: u64, head: u64) {
        self.tape = (tail, head);
    }

    /// Before which position somebody may have given everything up.
    pub fn given_up(&self) -> u64 {
        let (tail, head) = self.tape;
        tail + (head - tail).div_ceil(4) + 1
    }

    /// What is published gets the next position of the tape.
    pub fn publish(&mut self, channel: &str, ts_ns: u64, tick: &Tick<'_>, now: Now) {
        self.pt_ns = self.pt_ns.max(now.wall_ns);
        let entry = self.channels.entry(channel.to_owned()).or_default();
        let seq = entry.texts.len() as u64 + 1;
        let mut text = Vec::new();
        encode(
            &mut text,
            &Stamp {
                channel,
                seq,
                ts_ns,
                pt_ns: self.pt_ns,
            },
            tick,
        );
        let text = String::from_utf8(text).unwrap();
        if let Tick::Book(update) = tick {
            let mut book = entry.books.last().cloned().unwrap_or_default();
            if update.kind == BookUpdateKind::Snapshot {
                book = Book::default();
            }
            for (side, levels) in book.iter_mut().zip([update.bids, update.asks]) {
                apply(side, levels);
            }
            entry.books.push(book);
        }
        entry.positions.push(self.tape.1);
        entry.texts.push(text.clone());
        self.messages.push(text);
    }

    /// The number of the newest message of a channel.
    pub fn newest(&self, channel: &str) -> u64 {
        self.channels
            .get(channel)
            .map_or(0, |channel| channel.texts.len() as u64)
    }

    /// The shard has looked at everything.
    pub fn all_is_known(&mut self, shard: usize) {
        let newest = self
            .channels
            .iter()
            .map(|(name, channel)| (name.clone(), channel.texts.len() as u64));
        let newest = newest.collect();
        self.known.insert(shard, newest);
    }

    /// The number of the newest message of a channel that the shard has looked at: whoever subscribes there from now on
    /// gets none before the next one. A shard looks at nothing new while it sends what it has pinned.
    pub fn known(&self, shard: usize, channel: &str) -> u64 {
        let known = self.known.get(&shard).and_then(|known| known.get(channel));
        known.copied().unwrap_or(0)
    }

    /// Checks one data frame, byte for byte, and says which channel and number it is and whether it is an image.
    pub fn check(&self, text: &str) -> (String, u64, bool) {
        let value: Value = serde_json::from_str(text).unwrap();
        let channel = value["ch"].as_str().unwrap().to_owned();
        let seq = value["seq"].as_u64().unwrap();
        let known = &self.channels[&channel];
        if known.texts[seq as usize - 1] == text {
            let is_state = value["k"] == "snap" || self.manners(&channel).class == ChannelClass::Replace;
            return (channel, seq, is_state);
        }
        assert_eq!(
            value["k"], "snap",
            "only a book's image differs from what was published: {text}"
        );
        let sides = ["b", "a"].map(|side| levels(&value[side]));
        assert_eq!(
            sides,
            known.books[seq as usize - 1],
            "the image of {channel} at {seq}"
        );
        (channel, seq, true)
    }
}

fn apply(side: &mut BTreeMap<String, String>, levels: &[Level]) {
    for level in levels {
        if level.size.is_zero() {
            side.remove(&level.price.to_string());
        } else {
            side.insert(level.price.to_string(), level.size.to_string());
        }
    }
}

fn levels(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_array().unwrap().iter();
    pairs
        .map(|pair| {
            (
                pair[0].as_str().unwrap().to_owned(),
                pair[1].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

/// Whether a subscription covers a channel.
pub fn covers(pattern: &str, channel: &str) -> bool {
    pattern == "*"
        || pattern == channel
        || pattern
            .strip_suffix('*')
            .is_some_and(|kind| kind.ends_with(':') && channel.starts_with(kind))
}
