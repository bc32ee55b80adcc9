//! What was published under which number: what every client must have been sent or told.

use std::collections::BTreeMap;

use super::book::{Book, Print, hash};
use super::capture::Event;

/// All channels within one epoch.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    channels: BTreeMap<&'static str, Line>,
}

/// The messages of one channel by number, from 1.
#[derive(Clone, Debug, Default)]
struct Line {
    contents: Vec<u64>,
    /// The book after each of them.
    prints: Vec<Print>,
    book: Book,
}

impl Truth {
    /// The event has the next number of its channel.
    pub fn publish(&mut self, event: &Event) -> u64 {
        let line = self.channels.entry(event.channel()).or_default();
        line.contents.push(match event {
            Event::Trade(fields) | Event::Quote(fields) => content(fields.each_ref().map(|field| &**field)),
            Event::Message(data) => hash(data),
            Event::Delta(sides) => {
                for (side, levels) in sides.iter().enumerate() {
                    for [price, size] in levels {
                        line.book.set(side, price, size);
                    }
                }
                line.prints.push(line.book.print());
                let sides = sides.each_ref().map(|side| {
                    let levels = side.iter().map(|level| level.each_ref().map(|text| &**text));
                    levels.collect::<Vec<[&str; 2]>>()
                });
                hash(&sides)
            }
        });
        line.contents.len() as u64
    }

    pub fn channels(&self) -> impl Iterator<Item = &'static str> {
        self.channels.keys().copied()
    }

    /// The number of the newest message of a channel; 0 before the first.
    pub fn newest(&self, channel: &str) -> u64 {
        self.channels
            .get(channel)
            .map_or(0, |line| line.contents.len() as u64)
    }

    /// What the message of that number says.
    pub fn content(&self, channel: &str, seq: u64) -> Option<u64> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.channels.get(channel)?.contents.get(index).copied()
    }

    /// The book behind the message of that number.
    pub fn print(&self, channel: &str, seq: u64) -> Option<Print> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.channels.get(channel)?.prints.get(index).copied()
    }
}

/// A trade or quote in a number.
pub fn content(fields: [&str; 4]) -> u64 {
    hash(&fields)
}
