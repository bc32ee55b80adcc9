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
    /// The book after each of them, whole and its best levels for each depth.
    prints: Vec<Print>,
    windows: [Vec<Print>; DEPTHS.len()],
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
                for (windows, depth) in line.windows.iter_mut().zip(DEPTHS) {
                    windows.push(line.book.window(depth));
                }
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

impl Truth {
    /// The first state of a derived channel's base from number `from` on that a book or a quote is.
    pub fn find(&self, view: &View<'_>, from: u64, state: State) -> Option<u64> {
        let line = self.channels.get(view.base)?;
        let skipped = from.saturating_sub(1) as usize;
        let found = match state {
            State::Quote(said) => line
                .contents
                .iter()
                .skip(skipped)
                .position(|content| *content == said),
            State::Book(print) => {
                let prints = view.prints(line).iter().skip(skipped);
                prints.into_iter().position(|known| *known == print)
            }
        };
        found.map(|index| (skipped + index + 1) as u64)
    }

    /// Whether the base of a derived channel has come to that.
    pub fn ends(&self, view: &View<'_>, state: State) -> bool {
        let newest = self.newest(view.base);
        self.find(view, newest, state) == Some(newest)
    }
}

/// What a derived channel says last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Quote(u64),
    Book(Print),
}

/// What a derived channel shows of its base.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub base: &'a str,
    depth: Option<usize>,
}

impl<'a> View<'a> {
    /// `None` where the channel is not derived.
    pub fn of(channel: &'a str) -> Option<Self> {
        let named = channel
            .split_once('@')
            .map_or(channel, |(named, _interval)| named);
        let (base, depth) = match named.split_once('/') {
            Some((base, depth)) => (base, Some(depth.parse().expect("a number of levels"))),
            None => (named, None),
        };
        (base != channel).then_some(Self { base, depth })
    }

    fn prints<'b>(&self, line: &'b Line) -> &'b [Print] {
        let Some(depth) = self.depth else {
            return &line.prints;
        };
        let known = DEPTHS.iter().position(|known| *known == depth);
        &line.windows[known.expect("a depth that is asked for is known")]
    }
}

/// Of the derived books that anybody asks for.
const DEPTHS: [usize; 3] = [3, 5, 20];

/// A trade or quote in a number.
pub fn content(fields: [&str; 4]) -> u64 {
    hash(&fields)
}
