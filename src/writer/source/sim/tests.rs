//! The market against an oracle that rebuilds every book from what was told.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};

/// What a subscriber of one instrument knows. Prices and sizes are mantissas: each instrument has one exponent.
#[derive(Default)]
struct Subscriber {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
    /// Traded since the last book message, by price, and who was the aggressor.
    traded: BTreeMap<i64, i64>,
    aggressor: Option<Side>,
    last_trade_id: u64,
    quote: Option<Quote>,
    quote_due: bool,
    book_messages: usize,
    last_ns: u64,
}

impl Subscriber {
    fn trade(&mut self, trade: &Trade<'_>) {
        assert!(!self.quote_due, "a quote is told before the next trade");
        let (price, size) = (trade.price.mantissa(), trade.size.mantissa());
        let levels = if trade.side == Side::Buy {
            &self.asks
        } else {
            &self.bids
        };
        let untouched = levels
            .iter()
            .filter(|(price, _)| !self.traded.contains_key(price));
        let best = if trade.side == Side::Buy {
            untouched.min()
        } else {
            untouched.max()
        };
        let (&best_price, &resting) = best.expect("somebody to trade with");
        assert_eq!(price, best_price, "a trade happens at the touch");
        assert!((1..=resting).contains(&size));
        self.traded.insert(price, size);
        self.aggressor = Some(trade.side);
        let id = trade.id.parse().unwrap();
        assert_eq!(id, self.last_trade_id + 1);
        self.last_trade_id = id;
    }

    fn book(&mut self, update: &BookUpdate<'_>) {
        let first = self.book_messages == 0;
        self.book_messages += 1;
        assert_eq!(update.kind == BookUpdateKind::Snapshot, first);
        let before = (self.bids.last_key_value(), self.asks.first_key_value());
        let before = (before.0.map(pair), before.1.map(pair));
        let vanished = [
            apply(&mut self.bids, update.bids, first),
            apply(&mut self.asks, update.asks, first),
        ];
        match self.aggressor.take() {
            Some(Side::Buy) => assert_eq!(vanished, [BTreeMap::new(), std::mem::take(&mut self.traded)]),
            Some(Side::Sell) => assert_eq!(vanished, [std::mem::take(&mut self.traded), BTreeMap::new()]),
            None => {}
        }
        let after = (self.bids.last_key_value(), self.asks.first_key_value());
        let after = (after.0.map(pair), after.1.map(pair));
        assert!(after.0.unwrap().0 < after.1.unwrap().0, "never crossed");
        self.quote_due = before != after;
    }

    fn quote(&mut self, quote: Quote) {
        let (bid, ask) = (
            self.bids.last_key_value().unwrap(),
            self.asks.first_key_value().unwrap(),
        );
        assert_eq!((quote.bid_price.mantissa(), quote.bid_size.mantissa()), pair(bid));
        assert_eq!((quote.ask_price.mantissa(), quote.ask_size.mantissa()), pair(ask));
        assert!(
            self.quote_due,
            "a quote follows a change of the touch and nothing else"
        );
        assert_ne!(self.quote, Some(quote), "a quote says something new");
        self.quote_due = false;
        self.quote = Some(quote);
    }

    fn event(&mut self, event: &Event<'_>) {
        assert!(event.ts_ns >= self.last_ns);
        self.last_ns = event.ts_ns;
        match &event.tick {
            Tick::Trade(trade) => self.trade(trade),
            Tick::Book(update) => {
                assert!(!self.quote_due, "a quote is told before the next change");
                self.book(update);
            }
            Tick::Quote(quote) => self.quote(*quote),
            Tick::Message(_) => panic!("the market sends no messages"),
        }
    }
}

fn pair((price, size): (&i64, &i64)) -> (i64, i64) {
    (*price, *size)
}

/// Applies levels and returns how much vanished at which price.
fn apply(side: &mut BTreeMap<i64, i64>, levels: &[Level], snapshot: bool) -> BTreeMap<i64, i64> {
    let mut seen = BTreeMap::new();
    for level in levels {
        let (price, size) = (level.price.mantissa(), level.size.mantissa());
        let old = side.get(&price).copied().unwrap_or(0);
        assert_ne!(old, size, "a level in a delta has changed");
        assert!(price > 0 && size >= 0 && (size > 0 || !snapshot));
        assert!(seen.insert(price, old - size).is_none(), "a level is told once");
        if size == 0 {
            side.remove(&price)
        } else {
            side.insert(price, size)
        };
    }
    seen.retain(|_, vanished| *vanished > 0);
    seen
}

/// Runs a market until so many events have been told, and checks each of them.
fn check(seed: u64, events: usize) {
    let mut market = Market::new(seed);
    let mut subscribers: HashMap<String, Subscriber> = HashMap::new();
    let mut last_ns = 0;
    for _ in 0..events {
        let event = market.next(u64::MAX).expect("the market never closes");
        assert!(event.ts_ns >= last_ns, "time never goes back");
        last_ns = event.ts_ns;
        let (kind, symbol) = event.channel.split_once(':').unwrap();
        let expected = match event.tick {
            Tick::Trade(_) => "trade",
            Tick::Quote(_) => "bbo",
            Tick::Book(_) => "book",
            Tick::Message(_) => "msg",
        };
        assert_eq!(kind, expected);
        subscribers.entry(symbol.to_owned()).or_default().event(&event);
    }
    assert_eq!(subscribers.len(), LISTED.len());
    while market.pits[market.telling].has_more() {
        let event = market.next(u64::MAX).unwrap();
        let symbol = event.channel.split_once(':').unwrap().1.to_owned();
        subscribers.get_mut(&symbol).unwrap().event(&event);
    }
    for pit in &market.pits {
        let (instrument, book) = pit.book();
        let levels = |side| -> BTreeMap<i64, i64> {
            let rungs = book.side(side).iter();
            rungs
                .map(|rung| (rung.ticks, rung.lots * instrument.lot_units))
                .collect()
        };
        let known = &subscribers[instrument.symbol];
        assert_eq!(
            (&known.bids, &known.asks),
            (&levels(Side::Buy), &levels(Side::Sell))
        );
    }
}

#[test]
fn trades_books_and_quotes_agree_over_a_hundred_thousand_events() {
    check(1, 100_000);
}

#[test]
fn trades_books_and_quotes_agree_for_every_seed() {
    for seed in 0..200 {
        check(seed, 2_000);
    }
}

#[test]
fn the_same_seed_is_the_same_market_however_time_is_cut() {
    let mut whole = Market::new(9);
    let mut cut = Market::new(9);
    let mut other = Market::new(10);
    let mut differs = false;
    let mut now_ns = 0;
    for _ in 0..20_000 {
        let expected = whole.next(u64::MAX).map(|event| format!("{event:?}"));
        let got = loop {
            if let Some(event) = cut.next(now_ns) {
                assert!(event.ts_ns <= now_ns);
                break format!("{event:?}");
            }
            assert!(cut.due_ns() > now_ns);
            now_ns += 1_000_000;
        };
        assert_eq!(Some(&got), expected.as_ref());
        differs |= other.next(u64::MAX).map(|event| format!("{event:?}")) != expected;
    }
    assert!(differs);
}

#[test]
fn the_rates_are_those_of_a_real_feed() {
    const HOUR: usize = 3600;
    const SECOND_NS: u64 = 1_000_000_000;
    let mut market = Market::new(1);
    let mut counts: HashMap<String, (usize, Vec<usize>)> = HashMap::new();
    let mut kinds: HashMap<String, usize> = HashMap::new();
    while let Some(event) = market.next(HOUR as u64 * SECOND_NS - 1) {
        let second = usize::try_from(event.ts_ns / SECOND_NS).unwrap();
        let (kind, symbol) = event.channel.split_once(':').unwrap();
        let (total, seconds) = counts
            .entry(symbol.to_owned())
            .or_insert_with(|| (0, vec![0; HOUR]));
        *total += 1;
        seconds[second] += 1;
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    for (symbol, (total, seconds)) in counts {
        let mean = total / HOUR;
        assert!((190..=270).contains(&mean), "{symbol}: {mean} a second");
        let busiest = seconds.iter().max().unwrap() / mean;
        assert!((5..=10).contains(&busiest), "{symbol}: {busiest} times the mean");
    }
    let per_trade = kinds["bbo"] * 10 / kinds["trade"];
    assert!(
        (15..=60).contains(&per_trade),
        "{per_trade} tenths of a quote a trade: {kinds:?}"
    );
}

#[test]
fn prices_stay_near_where_they_began_and_move() {
    let mut market = Market::new(4);
    let mut seen: HashMap<String, (i64, i64)> = HashMap::new();
    for _ in 0..300_000 {
        let event = market.next(u64::MAX).unwrap();
        if let Tick::Quote(quote) = event.tick {
            let price = quote.bid_price.mantissa();
            let range = seen.entry(event.channel.to_owned()).or_insert((price, price));
            *range = (range.0.min(price), range.1.max(price));
        }
    }
    for instrument in LISTED {
        let (low, high) = seen[&format!("bbo:{}", instrument.symbol)];
        let anchor = instrument.anchor_ticks;
        assert!(
            low > anchor * 98 / 100 && high < anchor * 102 / 100,
            "{}: {low} to {high}",
            instrument.symbol
        );
        assert!(high - low > 5, "{}: {low} to {high}", instrument.symbol);
    }
}

#[test]
fn prices_are_written_with_the_places_of_their_market() {
    let mut market = Market::new(1);
    let event = market.next(0).unwrap();
    assert_eq!((event.channel, event.ts_ns), ("book:BTC-USD", 0));
    let Tick::Book(update) = event.tick else {
        panic!("a book comes first");
    };
    assert_eq!(update.bids[0].price.exponent(), -2);
    assert_eq!(update.bids[0].size.exponent(), -5);
    assert_eq!(LISTED[3].size(3), Decimal::new(3_000, 0));
}

#[test]
fn real_time_starts_when_first_asked_and_catches_up_after_a_pause() {
    let start = Now {
        mono_ns: 5_000,
        wall_ns: 1_700_000_000_000_000_000,
    };
    let mut sim = Sim::new(1);
    let drain = |sim: &mut Sim, now: Now| {
        let mut events = 0;
        loop {
            match sim.next(now) {
                Next::Event(event) => {
                    assert!(
                        (start.wall_ns..=start.wall_ns + now.mono_ns - start.mono_ns).contains(&event.ts_ns)
                    );
                    events += 1;
                }
                Next::Wait => return events,
                Next::End => panic!("the market never closes"),
            }
        }
    };
    assert_eq!(drain(&mut sim, start), 2 * LISTED.len());
    let later = Now {
        mono_ns: start.mono_ns + 10_000_000_000,
        ..start
    };
    assert!(drain(&mut sim, later) > 1_000);
    assert_eq!(
        sim.tally().books + sim.tally().quotes + sim.tally().trades,
        sim.tally().ticks()
    );
}
