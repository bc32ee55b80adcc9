//! What was published, and what each client must therefore have got.

use std::collections::BTreeMap;

use serde_json::Value;
use tickwire::base::Now;
use tickwire::dialect::native_json::{Stamp, encode};
use tickwire::market::{BookUpdateKind, Level, Tick};

/// A book as a map of texts.
pub type Book = [BTreeMap<String, String>; 2];

/// Everything that went in, in order.
#[derive(Default)]
pub struct Oracle {
    /// The text of every message, as every subscriber must get it.
    pub messages: Vec<String>,
    pub channels: BTreeMap<String, Channel>,
    pt_ns: u64,
    /// For each shard and channel, how many of its messages the shard is known to have looked at.
    known: BTreeMap<usize, BTreeMap<String, u64>>,
}

#[derive(Default)]
pub struct Channel {
    /// Its messages by number, from 1.
    pub texts: Vec<String>,
    /// The book after each of them.
    pub books: Vec<Book>,
}

impl Oracle {
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
            return (channel, seq, value["k"] == "snap" || value["t"] == "bbo");
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
