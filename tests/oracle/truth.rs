//! What was published under which number: what every client must have been sent or told.

use std::collections::BTreeMap;

use tickwire::market::ChannelClass;
use tickwire::shard::Policy;

use super::book::{Book, Print, hash};
use super::capture::Event;
use super::manners::{Configuration, Manners};

/// All channels of one server.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    channels: BTreeMap<&'static str, Line>,
    configuration: Configuration,
    tape: Option<Tape>,
}

/// Where the server's messages are, as far as that is known.
#[derive(Clone, Debug, Default)]
struct Tape {
    /// By channel and number.
    positions: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Before which position somebody may have given everything up.
    given_up: u64,
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
    /// Nothing yet, on a server that was told this.
    pub fn of(configuration: Configuration) -> Self {
        Self {
            configuration,
            ..Self::default()
        }
    }

    pub fn manners(&self, channel: &str) -> Manners {
        self.configuration.manners(channel)
    }

    pub fn is_append(&self, channel: &str) -> bool {
        self.manners(channel).class == ChannelClass::Append
    }

    /// Whether it is of another class than its kind is where nothing is said.
    pub fn is_reclassed(&self, channel: &str) -> bool {
        self.manners(channel).class != Configuration::default().manners(channel).class
    }

    /// Whether a client that is behind on the channel skips to its newest message.
    pub fn is_skipped(&self, channel: &str) -> bool {
        self.manners(channel).policy == Policy::Conflate
    }

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

    /// The message of that number is there on the tape.
    pub fn is_at(&mut self, channel: &str, seq: u64, position: u64) {
        let tape = self.tape.get_or_insert_default();
        let positions = tape.positions.entry(channel.to_owned()).or_default();
        positions.insert(seq, position);
    }

    /// The tape is there now, from one position up to another: whoever is behind may have given up a quarter of it.
    pub fn tape_is(&mut self, tail: u64, head: u64) {
        self.tape.get_or_insert_default().given_up = tail + (head - tail).div_ceil(4) + 1;
    }

    /// Whether a client may have been left behind by the tape that has everything of a channel up to that number: what comes
    /// next was let go of; or the last one was, and it was the state with which the client joined, so that it joins anew.
    pub fn is_given_up(&self, channel: &str, last: u64) -> bool {
        let Some(tape) = &self.tape else { return true };
        let Some(positions) = tape.positions.get(channel) else {
            return false;
        };
        let is_behind = |seq| {
            positions
                .get(&seq)
                .is_some_and(|&position| position < tape.given_up)
        };
        positions.contains_key(&(last + 1)) && (is_behind(last) || is_behind(last + 1))
    }

    /// The server has ended, and its successor has this of what it published: nobody was sent more.
    pub fn end_with(&mut self, successor: &Self) {
        for (channel, line) in &mut self.channels {
            let kept = successor.newest(channel) as usize;
            line.contents.truncate(kept);
            line.prints.truncate(kept);
            line.windows.iter_mut().for_each(|windows| windows.truncate(kept));
        }
    }

    pub fn channels(&self) -> impl Iterator<Item = &'static str> {
        let said = |line: &Line| !line.contents.is_empty();
        let lines = self.channels.iter().filter(move |(_, line)| said(line));
        lines.map(|(name, _)| *name)
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
    /// The first state of a derived channel's base from number `from` on that a book or a message is.
    pub fn find(&self, view: &View<'_>, from: u64, state: State) -> Option<u64> {
        let line = self.channels.get(view.base)?;
        let skipped = from.saturating_sub(1) as usize;
        let found = match state {
            State::One(said) => line
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
    One(u64),
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
