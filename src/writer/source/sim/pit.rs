//! One instrument's market: orders arrive, meet its book, and what they changed is told.
//!
//! It never looks at a clock: a step happens at the time it is given. Invariant: trades, book and quote agree.
//! What a step tells is, in this order, each trade at the level it consumed, the levels that changed, and the
//! new best bid and offer if they changed.

use std::fmt::Write as _;

use super::arrivals::Arrivals;
use super::book::{Book, Ladder, Rung};
use super::instrument::Instrument;
use crate::base::Prng;
use crate::market::{BookUpdate, BookUpdateKind, Level, Quote, Side, Tick, Trade};
use crate::writer::source::Event;

/// An instrument, its book, and the stream of orders.
#[derive(Debug)]
pub(super) struct Pit {
    instrument: Instrument,
    channels: Channels,
    book: Book,
    prng: Prng,
    arrivals: Arrivals,
    /// What the instrument is worth, in thousandths of a tick.
    fair_milliticks: i64,
    due_ns: u64,
    trades: u64,
    told: Told,
}

#[derive(Debug)]
struct Channels {
    trade: String,
    quote: String,
    book: String,
}

/// What the last step changed, and how much of it was told.
#[derive(Debug)]
struct Told {
    at_ns: u64,
    aggressor: Side,
    prints: Vec<Rung>,
    kind: BookUpdateKind,
    bids: Vec<Level>,
    asks: Vec<Level>,
    quote_changed: bool,
    next: Stage,
    trade_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Print(usize),
    Book,
    Quote,
    Done,
}

impl Pit {
    /// A market that opens at time 0.
    pub(super) fn new(instrument: Instrument, seed: u64) -> Self {
        let mut prng = Prng::new(seed);
        let symbol = instrument.symbol;
        Self {
            instrument,
            channels: Channels {
                trade: format!("trade:{symbol}"),
                quote: format!("bbo:{symbol}"),
                book: format!("book:{symbol}"),
            },
            book: Book::new(),
            arrivals: Arrivals::new(instrument.orders_per_second, &mut prng),
            prng,
            fair_milliticks: instrument.anchor_ticks * MILLI,
            due_ns: 0,
            trades: 0,
            told: Told {
                at_ns: 0,
                aggressor: Side::Buy,
                prints: Vec::new(),
                kind: BookUpdateKind::Snapshot,
                bids: Vec::new(),
                asks: Vec::new(),
                quote_changed: false,
                next: Stage::Done,
                trade_id: String::new(),
            },
        }
    }

    /// When the next order arrives.
    pub(super) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Lets the next order happen. What the one before changed must have been told.
    pub(super) fn step(&mut self) {
        debug_assert!(!self.has_more(), "a step is told before the next one happens");
        let before = self.book.touch();
        let opening = before == (None, None);
        self.told.clear(self.due_ns);
        if opening {
            self.open();
        } else {
            self.drift();
            self.order();
        }
        self.told.quote_changed = self.book.touch() != before;
        self.told.next = Stage::Print(0).settle(&self.told);
        self.due_ns = self.arrivals.next_after(self.due_ns, &mut self.prng);
        debug_assert!(self.has_more(), "every step changes something");
        if cfg!(debug_assertions) {
            self.book.invariants();
        }
    }

    /// Whether the last step has something left to tell.
    pub(super) fn has_more(&self) -> bool {
        self.told.next != Stage::Done
    }

    /// The next thing that the last step has to tell.
    pub(super) fn tell(&mut self) -> Option<Event<'_>> {
        let stage = self.told.next;
        self.told.next = stage.after().settle(&self.told);
        let (channel, tick) = match stage {
            Stage::Print(index) => {
                self.trades += 1;
                self.told.trade_id.clear();
                // Writing to a string cannot fail.
                let _ = write!(self.told.trade_id, "{}", self.trades);
                (self.channels.trade.as_str(), self.trade(index))
            }
            Stage::Book => (self.channels.book.as_str(), self.told.book()),
            Stage::Quote => (self.channels.quote.as_str(), self.quote()),
            Stage::Done => return None,
        };
        Some(Event {
            channel,
            ts_ns: self.told.at_ns,
            tick,
        })
    }

    #[cfg(test)]
    pub(super) fn book(&self) -> (&Instrument, &Book) {
        (&self.instrument, &self.book)
    }

    fn trade(&self, index: usize) -> Tick<'_> {
        let print = self.told.prints[index];
        Tick::Trade(Trade {
            price: self.instrument.price(print.ticks),
            size: self.instrument.size(print.lots),
            side: self.told.aggressor,
            id: &self.told.trade_id,
        })
    }

    fn quote(&self) -> Tick<'_> {
        let nobody = Rung { ticks: 0, lots: 0 };
        let (bid, ask) = self.book.touch();
        let (bid, ask) = (bid.unwrap_or(nobody), ask.unwrap_or(nobody));
        Tick::Quote(Quote {
            bid_price: self.instrument.price(bid.ticks),
            bid_size: self.instrument.size(bid.lots),
            ask_price: self.instrument.price(ask.ticks),
            ask_size: self.instrument.size(ask.lots),
        })
    }

    /// Fills both sides, as an auction would.
    fn open(&mut self) {
        for side in [Side::Buy, Side::Sell] {
            let mut ticks = self.instrument.anchor_ticks;
            for _ in 0..LEVELS_USUAL {
                ticks += away(side, 1 + self.below(2 * self.instrument.spacing_ticks));
                let lots = self.lots();
                self.book.side_mut(side).add(ticks, lots);
            }
        }
        self.told.kind = BookUpdateKind::Snapshot;
        for side in [Side::Buy, Side::Sell] {
            for rung in self.book.side(side).iter() {
                self.told.change(&self.instrument, side, rung);
            }
        }
    }

    /// Moves the fair price: a random walk that tends back to where it began.
    fn drift(&mut self) {
        let noise = self.instrument.volatility_milliticks;
        let anchor = self.instrument.anchor_ticks * MILLI;
        self.fair_milliticks += self.below(2 * noise + 1) - signed(noise);
        self.fair_milliticks -= (self.fair_milliticks - anchor) / REVERSION;
    }

    /// One order of a kind that the state of the book makes likely.
    fn order(&mut self) {
        let side = self.side();
        let resting = self.book.side(side).len();
        let (limits, cancels) = match resting {
            0..LEVELS_MIN => (100, 0),
            LEVELS_MIN..LEVELS_USUAL => (52, 34),
            _ => (40, 46),
        };
        match self.prng.below(100) {
            roll if roll < limits => self.limit(side),
            roll if roll < limits + cancels => self.cancel(other(side)),
            _ if self.book.side(other(side)).len() > LEVELS_MIN => self.market(side),
            _ => self.limit(other(side)),
        }
    }

    /// Who acts: more often who finds the price wrong in their favour.
    fn side(&mut self) -> Side {
        let (Some(bid), Some(ask)) = self.book.touch() else {
            return Side::Buy;
        };
        let mid_milliticks = (bid.ticks + ask.ticks) * MILLI / 2;
        let spacing_milliticks = signed(self.instrument.spacing_ticks) * MILLI;
        let cheap = (self.fair_milliticks - mid_milliticks) * 20 / spacing_milliticks;
        if self.below(100) < 50 + cheap.clamp(-45, 45) {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    /// A limit order: into the spread, at the touch, or somewhere behind it, and never across.
    fn limit(&mut self, side: Side) {
        let own = self.book.side(side);
        let (Some(best), Some(worst)) = (own.best(), own.worst()) else {
            return;
        };
        let full = own.len() > LEVELS_USUAL;
        let opposite = self.book.side(other(side)).best();
        let inside = opposite.map_or(best.ticks, |rung| rung.ticks + away(side, 1));
        let ticks = match self.prng.below(8) {
            0 | 1 => inside,
            2 => worse(side, self.fair_milliticks / MILLI + away(side, 1), inside),
            3 | 4 => best.ticks,
            _ => {
                let distance = self.steps() * self.below(2 * self.instrument.spacing_ticks + 1);
                best.ticks + away(side, distance)
            }
        };
        // A full side takes no level behind its last one.
        let ticks = if full {
            better(side, ticks, worst.ticks)
        } else {
            ticks
        };
        let lots = self.lots();
        let rung = self.book.side_mut(side).add(ticks, lots);
        self.told.change(&self.instrument, side, rung);
        if let Some(gone) = self.book.side_mut(side).trim() {
            self.told.change(&self.instrument, side, Rung { lots: 0, ..gone });
        }
    }

    /// Somebody takes an order back, whole or in part, most often near the touch.
    fn cancel(&mut self, side: Side) {
        let thin = self.book.side(side).len() < LEVELS_USUAL && self.prng.chance(1, 2);
        if thin || self.book.side(side).len() <= LEVELS_MIN {
            return self.limit(side);
        }
        let rank = self.steps().unsigned_abs() - 1;
        let rank = usize::try_from(rank)
            .unwrap_or(0)
            .min(self.book.side(side).len() - 1);
        let lots = if self.prng.chance(3, 5) {
            i64::MAX
        } else {
            self.lots()
        };
        if let Some((left, _)) = self.book.side_mut(side).take(rank, lots) {
            self.told.change(&self.instrument, side, left);
        }
    }

    /// A market order: takes the best levels of the other side until it is filled.
    fn market(&mut self, side: Side) {
        let mut wanted = self.lots() * self.steps();
        let ladder: &mut Ladder = self.book.side_mut(other(side));
        while wanted > 0 && ladder.len() > LEVELS_MIN {
            let Some((left, taken)) = ladder.take(0, wanted) else {
                break;
            };
            wanted -= taken;
            self.told.prints.push(Rung {
                ticks: left.ticks,
                lots: taken,
            });
            self.told.change(&self.instrument, other(side), left);
        }
        self.told.aggressor = side;
    }

    /// The size of an order: mostly usual, now and then ten times that.
    fn lots(&mut self) -> i64 {
        let usual = 1 + self.below(2 * self.instrument.order_lots);
        if self.prng.chance(1, 25) {
            10 * usual
        } else {
            usual
        }
    }

    /// A number of steps: geometric with mean 3, at least 1 and at most 30.
    fn steps(&mut self) -> i64 {
        let mut steps = 1;
        while steps < 30 && self.prng.chance(2, 3) {
            steps += 1;
        }
        steps
    }

    fn below(&mut self, bound: u64) -> i64 {
        signed(self.prng.below(bound))
    }
}

impl Told {
    fn clear(&mut self, at_ns: u64) {
        self.at_ns = at_ns;
        self.kind = BookUpdateKind::Delta;
        self.prints.clear();
        self.bids.clear();
        self.asks.clear();
    }

    fn change(&mut self, instrument: &Instrument, side: Side, rung: Rung) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        levels.push(Level {
            price: instrument.price(rung.ticks),
            size: instrument.size(rung.lots),
        });
    }

    fn book(&self) -> Tick<'_> {
        Tick::Book(BookUpdate {
            kind: self.kind,
            bids: &self.bids,
            asks: &self.asks,
        })
    }
}

impl Stage {
    fn after(self) -> Self {
        match self {
            Self::Print(index) => Self::Print(index + 1),
            Self::Book => Self::Quote,
            Self::Quote | Self::Done => Self::Done,
        }
    }

    /// This stage, or the next one that has something to tell.
    fn settle(self, told: &Told) -> Self {
        match self {
            Self::Print(index) if index >= told.prints.len() => Self::Book.settle(told),
            Self::Book if told.bids.is_empty() && told.asks.is_empty() => Self::Quote.settle(told),
            Self::Quote if !told.quote_changed => Self::Done,
            Self::Print(_) | Self::Book | Self::Quote | Self::Done => self,
        }
    }
}

fn other(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// A step of so many ticks into the book of a side, away from the other one.
fn away(side: Side, ticks: i64) -> i64 {
    match side {
        Side::Buy => -ticks,
        Side::Sell => ticks,
    }
}

/// Which of two prices is deeper in the book.
fn worse(side: Side, a: i64, b: i64) -> i64 {
    match side {
        Side::Buy => a.min(b),
        Side::Sell => a.max(b),
    }
}

/// Which of two prices is nearer to the other side.
fn better(side: Side, a: i64, b: i64) -> i64 {
    match side {
        Side::Buy => a.max(b),
        Side::Sell => a.min(b),
    }
}

fn signed(x: u64) -> i64 {
    i64::try_from(x).unwrap_or(i64::MAX)
}

const MILLI: i64 = 1000;
/// The fair price loses one part in so many of its distance from the anchor with each order.
const REVERSION: i64 = 100_000;
/// A side is never emptied below this: somebody always makes a market.
const LEVELS_MIN: usize = 5;
/// As many levels as a side usually has.
const LEVELS_USUAL: usize = 25;
const _: () = assert!(LEVELS_MIN < LEVELS_USUAL && LEVELS_USUAL < crate::limits::SIM_BOOK_LEVELS);
