//! What is traded on the simulated market, with the ticks, lots and prices of the real ones.

use crate::market::Decimal;

/// One thing that is traded. Prices are counted in ticks, sizes in lots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instrument {
    pub(super) symbol: &'static str,
    /// One tick is one unit of the price's last decimal place.
    pub(super) price_exponent: i8,
    /// One lot is this many units of the size's last decimal place.
    pub(super) lot_units: i64,
    pub(super) size_exponent: i8,
    /// Where the price starts and what it tends back to.
    pub(super) anchor_ticks: i64,
    /// How far the fair price moves at most with one order, in thousandths of a tick.
    pub(super) volatility_milliticks: u64,
    /// About how far apart neighbouring levels are.
    pub(super) spacing_ticks: u64,
    /// About the size of one order.
    pub(super) order_lots: u64,
    /// Orders of a calm second: limit orders, cancellations and market orders together.
    pub(super) orders_per_second: u64,
}

impl Instrument {
    pub(super) fn price(&self, ticks: i64) -> Decimal {
        Decimal::new(ticks, self.price_exponent)
    }

    pub(super) fn size(&self, lots: i64) -> Decimal {
        Decimal::new(lots * self.lot_units, self.size_exponent)
    }
}

/// Three coins, a currency pair and a stock.
pub(super) const LISTED: [Instrument; 5] = [
    Instrument {
        symbol: "BTC-USD",
        price_exponent: -2,
        lot_units: 1,
        size_exponent: -5,
        anchor_ticks: 6_168_600,
        volatility_milliticks: 15_000,
        spacing_ticks: 30,
        order_lots: 8_000,
        orders_per_second: 112,
    },
    Instrument {
        symbol: "ETH-USD",
        price_exponent: -2,
        lot_units: 1,
        size_exponent: -4,
        anchor_ticks: 268_450,
        volatility_milliticks: 3_000,
        spacing_ticks: 6,
        order_lots: 9_000,
        orders_per_second: 108,
    },
    Instrument {
        symbol: "SOL-USD",
        price_exponent: -2,
        lot_units: 1,
        size_exponent: -3,
        anchor_ticks: 15_872,
        volatility_milliticks: 400,
        spacing_ticks: 1,
        order_lots: 25_000,
        orders_per_second: 104,
    },
    Instrument {
        symbol: "EUR-USD",
        price_exponent: -5,
        lot_units: 1_000,
        size_exponent: 0,
        anchor_ticks: 109_150,
        volatility_milliticks: 300,
        spacing_ticks: 1,
        order_lots: 500,
        orders_per_second: 100,
    },
    Instrument {
        symbol: "AAPL",
        price_exponent: -2,
        lot_units: 1,
        size_exponent: 0,
        anchor_ticks: 21_624,
        volatility_milliticks: 400,
        spacing_ticks: 1,
        order_lots: 120,
        orders_per_second: 95,
    },
];
