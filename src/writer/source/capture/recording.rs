//! A recording being played: bytes go in, events come out when they are due.
//!
//! It holds no file and no clock. Invariant: the events, their order and their times depend on the bytes only,
//! not on how they were cut.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use super::super::lines::{Line, Lines};
use super::super::pace::Pace;
use super::super::tally::{BadLine, Fault, Reporter};
use super::super::{Event, Next, Speed, Tally};
use super::binance::{self, Body, Levels, Message, Subject, Updates};
use super::depth::{Depth, Follows};
use crate::base::Now;
use crate::limits::CHANNELS_MAX;
use crate::market::{BookUpdate, BookUpdateKind, ChannelName, Tick, Trade};

/// A recording being played.
#[derive(Debug)]
pub(super) struct Recording {
    lines: Lines,
    reporter: Reporter,
    player: Player,
    pace: Pace,
    /// The next event, if one was read and not delivered yet.
    ready: Option<Ready>,
    /// No whole line is left in `lines`.
    drained: bool,
    abandoned: bool,
}

/// Turns lines into events and remembers what must be remembered between them.
#[derive(Debug, Default)]
struct Player {
    symbols: Vec<Symbol>,
    by_name: HashMap<String, usize>,
    levels: Levels,
    trade_id: String,
}

#[derive(Debug)]
struct Symbol {
    name: String,
    trade: String,
    quote: String,
    book: String,
    depth: Depth,
}

#[derive(Clone, Copy, Debug)]
struct Ready {
    symbol: usize,
    received_ns: u64,
    body: Body,
}

/// What a line turned out to be.
enum Played {
    Event(Ready),
    /// An event behind a gap: updates from here on were expected.
    Gapped(Ready, u64, Updates),
    Stale,
}

impl Recording {
    pub(super) fn new(speed: Speed) -> Self {
        Self {
            lines: Lines::default(),
            reporter: Reporter::default(),
            player: Player::default(),
            pace: Pace::new(speed),
            ready: None,
            drained: true,
            abandoned: false,
        }
    }

    /// Where bytes go in.
    pub(super) fn input(&mut self) -> &mut Lines {
        self.drained = false;
        &mut self.lines
    }

    /// Gives up what is not a whole line: the file cannot be read on.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.reporter.finish();
    }

    /// Lends the next event that is due.
    pub(super) fn next(&mut self, now: Now) -> Next<'_> {
        if self.ready.is_none() {
            self.read(now);
        }
        let Some(ready) = self.ready else {
            let over = self.drained && self.lines.ended() || self.abandoned;
            return if over { Next::End } else { Next::Wait };
        };
        if self.pace.due_ns(ready.received_ns, now) > now.mono_ns {
            return Next::Wait;
        }
        self.ready = None;
        self.pace.played(ready.received_ns);
        let event = self.player.event(&ready);
        self.reporter.delivered(&event.tick);
        Next::Event(event)
    }

    /// How long until the next event is due; `None` when it must be read first.
    pub(super) fn due_in_ns(&mut self, now: Now) -> Option<u64> {
        let ready = self.ready?;
        Some(
            self.pace
                .due_ns(ready.received_ns, now)
                .saturating_sub(now.mono_ns),
        )
    }

    /// Whether only more bytes can bring more events.
    pub(super) fn needs_bytes(&self) -> bool {
        self.drained && self.ready.is_none() && !self.lines.ended() && !self.abandoned
    }

    /// The event lent last was refused.
    pub(super) fn refuse(&mut self, now: Now, why: &impl fmt::Display) {
        self.reporter.refused(now, why);
    }

    /// What was delivered, and what could not be.
    pub(super) fn tally(&self) -> &Tally {
        &self.reporter.tally
    }

    /// From the first receive time to the last one delivered.
    pub(super) fn captured_ns(&self) -> Option<(u64, u64)> {
        self.pace.span_ns()
    }

    /// Reads lines until one holds an event.
    fn read(&mut self, now: Now) {
        let (bytes, cursor) = self.lines.split();
        while self.ready.is_none() {
            let Some((number, line)) = cursor.next(bytes) else {
                self.drained = true;
                if cursor.ended() {
                    self.reporter.finish();
                }
                break;
            };
            match self.player.play(line) {
                Ok(Played::Event(ready)) => self.ready = Some(ready),
                Ok(Played::Gapped(ready, expected, updates)) => {
                    let symbol = &self.player.symbols[ready.symbol].name;
                    self.reporter.gap(now, number, symbol, expected, updates.first);
                    self.ready = Some(ready);
                }
                Ok(Played::Stale) => self.reporter.tally.stale += 1,
                Err(bad) => self.reporter.bad_line(now, number, &bad),
            }
        }
        self.reporter.tally.lines = cursor.number();
    }
}

impl Player {
    fn play(&mut self, line: Line<'_>) -> Result<Played, BadLine> {
        let Line::Text(line) = line else {
            return Err(BadLine::too_long());
        };
        let Message {
            received_ns,
            subject,
            body,
        } = binance::parse(line, &mut self.levels)?;
        let symbol = self.symbol(subject)?;
        let ready = Ready {
            symbol,
            received_ns,
            body,
        };
        let depth = &mut self.symbols[symbol].depth;
        match body {
            Body::Trade { .. } | Body::Quote(_) => {}
            Body::Snapshot { last_update } => depth.snapshot(last_update, &mut self.levels)?,
            Body::Delta { updates, .. } => match depth.delta(updates, &self.levels) {
                Follows::Directly => {}
                Follows::Gap { expected } => return Ok(Played::Gapped(ready, expected, updates)),
                Follows::Stale => return Ok(Played::Stale),
            },
        }
        Ok(Played::Event(ready))
    }

    /// The event of the line that was played last.
    fn event(&mut self, ready: &Ready) -> Event<'_> {
        let symbol = &self.symbols[ready.symbol];
        let book = |kind| {
            let Levels { bids, asks } = &self.levels;
            Tick::Book(BookUpdate { kind, bids, asks })
        };
        let (channel, ts_ns, tick) = match ready.body {
            Body::Trade {
                ts_ns,
                id,
                price,
                size,
                side,
            } => {
                self.trade_id.clear();
                // Writing to a string cannot fail.
                let _ = write!(self.trade_id, "{id}");
                let trade = Trade {
                    price,
                    size,
                    side,
                    id: &self.trade_id,
                };
                (&symbol.trade, ts_ns, Tick::Trade(trade))
            }
            Body::Quote(quote) => (&symbol.quote, ready.received_ns, Tick::Quote(quote)),
            Body::Delta { ts_ns, .. } => (&symbol.book, ts_ns, book(BookUpdateKind::Delta)),
            Body::Snapshot { .. } => (&symbol.book, ready.received_ns, book(BookUpdateKind::Snapshot)),
        };
        Event { channel, ts_ns, tick }
    }

    fn symbol(&mut self, subject: Subject<'_>) -> Result<usize, BadLine> {
        match subject {
            Subject::Named(name) => match self.by_name.get(name) {
                Some(&symbol) => Ok(symbol),
                None => self.new_symbol(name.to_owned()),
            },
            Subject::Stream(name) => {
                match self
                    .symbols
                    .iter()
                    .position(|symbol| symbol.name.eq_ignore_ascii_case(name))
                {
                    Some(symbol) => Ok(symbol),
                    None => self.new_symbol(name.to_ascii_uppercase()),
                }
            }
            Subject::Unnamed if self.symbols.len() == 1 => Ok(0),
            Subject::Unnamed => {
                let detail = format!(
                    "a snapshot without a stream belongs to the file's only symbol, but {} were named before",
                    self.symbols.len()
                );
                Err(BadLine::new(Fault::Name, detail))
            }
        }
    }

    fn new_symbol(&mut self, name: String) -> Result<usize, BadLine> {
        if self.symbols.len() == SYMBOLS_MAX {
            return Err(BadLine::new(
                Fault::Name,
                format!("more than {SYMBOLS_MAX} symbols"),
            ));
        }
        let symbol = Symbol {
            trade: format!("trade:{name}"),
            quote: format!("bbo:{name}"),
            book: format!("book:{name}"),
            depth: Depth::default(),
            name: name.clone(),
        };
        // The longest of the three; what is right for it is right for the others.
        if let Err(error) = ChannelName::parse(&symbol.trade) {
            return Err(BadLine::new(Fault::Name, format!("{:?}: {error}", symbol.trade)));
        }
        self.symbols.push(symbol);
        self.by_name.insert(name, self.symbols.len() - 1);
        Ok(self.symbols.len() - 1)
    }
}

/// Each symbol opens three channels.
const SYMBOLS_MAX: usize = CHANNELS_MAX / 3;
