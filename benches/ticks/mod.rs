//! Ticks as a market makes them: trades, quotes and changes of a book, in turn.

use tickwire::base::Prng;
use tickwire::dialect::native_json::Stamp;
use tickwire::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};

/// A tick that owns its levels and its name.
pub(crate) struct Event {
    pub(crate) channel: String,
    pub(crate) seq: u64,
    pub(crate) ts_ns: u64,
    pub(crate) what: What,
}

/// What happened.
pub(crate) enum What {
    Trade {
        price: Decimal,
        size: Decimal,
        side: Side,
        id: String,
    },
    Quote(Quote),
    Delta {
        bids: Vec<Level>,
        asks: Vec<Level>,
    },
}

/// As many ticks of some channels.
pub(crate) fn events(count: u64) -> Vec<Event> {
    const SYMBOLS: [&str; 3] = ["BTC-USD", "ETH-USD", "SOL-USDT"];
    let mut prng = Prng::new(7692);
    let event = |n: u64| {
        let symbol = SYMBOLS[usize::try_from(prng.below(3)).unwrap_or(0)];
        let mid = 6_168_599 + i64::try_from(prng.below(2000)).unwrap_or(0);
        let mut level = |offset: i64| Level {
            price: Decimal::new(mid + offset, -2),
            size: Decimal::new(i64::try_from(prng.below(5_000_000)).unwrap_or(0), -5),
        };
        let (kind, what) = match n % 4 {
            0 => ("trade", {
                let Level { price, size } = level(0);
                let side = if mid % 2 == 0 { Side::Buy } else { Side::Sell };
                let id = (3_724_812_000 + n).to_string();
                What::Trade {
                    price,
                    size,
                    side,
                    id,
                }
            }),
            1 | 2 => ("bbo", {
                let (bid, ask) = (level(-1), level(1));
                What::Quote(Quote {
                    bid_price: bid.price,
                    bid_size: bid.size,
                    ask_price: ask.price,
                    ask_size: ask.size,
                })
            }),
            _ => ("book", {
                let bids = (1..4).map(|offset| level(-offset)).collect();
                let asks = (1..4).map(&mut level).collect();
                What::Delta { bids, asks }
            }),
        };
        Event {
            channel: format!("{kind}:{symbol}"),
            seq: 48_000 + n,
            ts_ns: 1_723_161_600_001_000_000 + 1_731_000 * n,
            what,
        }
    };
    (0..count).map(event).collect()
}

impl Event {
    /// As the sequencer has it before it writes.
    pub(crate) fn tick(&self) -> Tick<'_> {
        match &self.what {
            What::Trade {
                price,
                size,
                side,
                id,
            } => Tick::Trade(Trade {
                price: *price,
                size: *size,
                side: *side,
                id,
            }),
            What::Quote(quote) => Tick::Quote(*quote),
            What::Delta { bids, asks } => Tick::Book(BookUpdate {
                kind: BookUpdateKind::Delta,
                bids,
                asks,
            }),
        }
    }

    /// Its place in the channel, and its times.
    pub(crate) fn stamp(&self) -> Stamp<'_> {
        Stamp {
            channel: &self.channel,
            seq: self.seq,
            ts_ns: self.ts_ns,
            pt_ns: self.ts_ns + 250_000,
        }
    }
}
