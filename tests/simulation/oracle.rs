//! What was published, and what each client must therefore have got.

use std::collections::BTreeMap;

use serde_json::Value;
use tickwire::base::Now;
use tickwire::dialect::native_json::{Stamp, encode};
use tickwire::market::{BookUpdateKind, ChannelClass, Level, Tick};

use super::manners::{Configuration, Manners};

/// A book as a map of texts.
pub type Book = [BTreeMap<String, String>; 2];

/// Everything that went in, in order.
#[derive(Default)]
pub struct Oracle {
    /// The text of every message, as every subscriber must get it.
    pub messages: Vec<String>,
    pub channels: BTreeMap<String, Channel>,
    configuration: Configuration,
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
    /// Of a derived one with an interval: in which one it has said something last.
    interval: Option<u64>,
}

impl Oracle {
    pub fn of(configuration: Configuration) -> Self {
        Self {
            configuration,
            ..Self::default()
        }
    }

    pub fn manners(&self, channel: &str) -> Manners {
        self.configuration.manners(channel)
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

    /// The server says something on a derived channel: it must be what its base says by now. `begins` says that nobody had
    /// asked for it before, and `now` when it is, unless the end of an interval was not waited for.
    pub fn derive(&mut self, text: &str, at: u64, now: Option<Now>, begins: bool) {
        let value: Value = serde_json::from_str(text).unwrap();
        let name = value["ch"].as_str().unwrap().to_owned();
        let (base, depth, interval) = derived(&name).unwrap();
        let base = &self.channels[base];
        let expected = base.books.last().map(|book| window(book, depth));
        let newest: Value = serde_json::from_str(base.texts.last().unwrap()).unwrap();
        assert_eq!(value["ts"], newest["ts"], "{text}");
        let channel = self.channels.entry(name.clone()).or_default();
        assert_eq!(
            value["seq"].as_u64(),
            Some(channel.texts.len() as u64 + 1),
            "{text}"
        );
        if let Some(expected) = expected {
            assert_eq!(value["k"] == "snap", begins, "{text}");
            let before = channel.books.last().cloned().unwrap_or_default();
            let mut book = if begins { Book::default() } else { before.clone() };
            for (side, key) in book.iter_mut().zip(["b", "a"]) {
                for (price, size) in levels(&value[key]) {
                    if size == "0" {
                        assert!(side.remove(&price).is_some(), "{text} deletes what is not there");
                    } else {
                        side.insert(price, size);
                    }
                }
            }
            assert_eq!(book, expected, "{name} is the window of its base: {text}");
            assert!(begins || book != before, "{text} says nothing");
            channel.books.push(book);
        } else {
            for field in ["bp", "bs", "ap", "as"] {
                assert_eq!(value[field], newest[field], "{text}");
            }
        }
        if let (Some(interval), Some(now)) = (interval, now) {
            let number = now.mono_ns / interval;
            let last = channel.interval.replace(number);
            assert!(
                begins || last.is_none_or(|last| last < number),
                "one message in an interval: {text}"
            );
        }
        channel.texts.push(text.to_owned());
        channel.positions.push(at);
    }

    /// Nothing is left to be said on a derived channel.
    pub fn check_current(&self, name: &str) {
        let Some((base, depth, _)) = derived(name) else {
            return;
        };
        let (base, known) = (&self.channels[base], &self.channels[name]);
        if let Some(book) = base.books.last() {
            assert_eq!(
                known.books.last(),
                Some(&window(book, depth)),
                "{name} in the end"
            );
        } else {
            let [base, known]: [Value; 2] =
                [base, known].map(|channel| serde_json::from_str(channel.texts.last().unwrap()).unwrap());
            for field in ["bp", "bs", "ap", "as"] {
                assert_eq!(known[field], base[field], "{name} in the end");
            }
        }
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

/// The channel that a derived one follows, how many levels it keeps, and how long its interval is, if it has one.
pub fn derived(name: &str) -> Option<(&str, usize, Option<u64>)> {
    let (rest, interval) = match name.split_once('@') {
        Some((rest, interval)) => (rest, Some(interval)),
        None => (name, None),
    };
    let interval = interval.map(|text| match text.strip_suffix("ms") {
        Some(ms) => ms.parse::<u64>().unwrap() * 1_000_000,
        None => text.strip_suffix('s').unwrap().parse::<u64>().unwrap() * 1_000_000_000,
    });
    let (base, depth) = match rest.split_once('/') {
        Some((base, depth)) => (base, depth.parse().unwrap()),
        None => (rest, usize::MAX),
    };
    (base != name).then_some((base, depth, interval))
}

/// The best levels of a book, found anew.
fn window(book: &Book, depth: usize) -> Book {
    let [bids, asks] = book;
    let best = |side: &BTreeMap<String, String>, sign: f64| {
        let mut levels: Vec<(&String, &String)> = side.iter().collect();
        let price = |level: &(&String, &String)| sign * level.0.parse::<f64>().unwrap();
        levels.sort_by(|a, b| price(a).total_cmp(&price(b)));
        let levels = levels.into_iter().take(depth);
        levels
            .map(|(price, size)| (price.clone(), size.clone()))
            .collect()
    };
    [best(bids, -1.0), best(asks, 1.0)]
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
    let is_of_kind = |kind: &str| kind.is_empty() || kind.ends_with(':') && channel.starts_with(kind);
    pattern == channel || pattern.strip_suffix('*').is_some_and(is_of_kind) && derived(channel).is_none()
}
