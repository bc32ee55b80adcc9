//! What the recording says, event by event, read by code that shares nothing with the server's.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::OnceLock;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tickwire::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};

use crate::recording::{self, text};

/// Price and size, as the venue wrote them.
pub type Pair = [String; 2];

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Price, size, side and name.
    Trade([String; 4]),
    /// Bid price and size, ask price and size.
    Quote([String; 4]),
    /// What changed of bids and asks.
    Delta([Vec<Pair>; 2]),
    /// A publisher's own value.
    Message(String),
}

impl Event {
    pub fn channel(&self) -> &'static str {
        match self {
            Self::Trade(_) => "trade:BTCUSDT",
            Self::Quote(_) => "bbo:BTCUSDT",
            Self::Delta(_) => "book:BTCUSDT",
            Self::Message(_) => "room:1",
        }
    }

    /// The same as a source lends it.
    pub fn lend<T>(&self, publish: impl FnOnce(Tick<'_>) -> T) -> T {
        let decimal = |text: &String| Decimal::parse(text).expect("the venue's numbers are decimals");
        match self {
            Self::Trade([price, size, side, id]) => publish(Tick::Trade(Trade {
                price: decimal(price),
                size: decimal(size),
                side: if side == "buy" { Side::Buy } else { Side::Sell },
                id,
            })),
            Self::Quote(fields) => {
                let [bid_price, bid_size, ask_price, ask_size] = fields.each_ref().map(decimal);
                publish(Tick::Quote(Quote {
                    bid_price,
                    bid_size,
                    ask_price,
                    ask_size,
                }))
            }
            Self::Delta(sides) => {
                let [bids, asks] = sides.each_ref().map(|side| {
                    let levels = side.iter().map(|[price, size]| Level {
                        price: decimal(price),
                        size: decimal(size),
                    });
                    levels.collect::<Vec<_>>()
                });
                publish(Tick::Book(BookUpdate {
                    kind: BookUpdateKind::Delta,
                    bids: &bids,
                    asks: &asks,
                }))
            }
            Self::Message(data) => publish(Tick::Message(data)),
        }
    }
}

/// Every event of the recording, in its order; says so where there is none.
pub fn events() -> Option<&'static [Event]> {
    static EVENTS: OnceLock<Option<Vec<Event>>> = OnceLock::new();
    EVENTS.get_or_init(read).as_deref()
}

fn read() -> Option<Vec<Event>> {
    let file = File::open(recording::path()?).expect("the capture can be opened");
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    let events = lines.map(|line| {
        let line = line.expect("the capture can be read");
        let (_received, json) = line.split_once(' ').expect("a receive time and a message");
        event(&serde_json::from_str(json).expect("every line holds JSON"))
    });
    Some(events.collect())
}

fn event(message: &Value) -> Event {
    let stream = message["stream"].as_str().expect("a combined stream");
    let data = &message["data"];
    let texts = |names: [&str; 4]| names.map(|name| text(&data[name]));
    match stream.split_once('@').expect("symbol and stream").1 {
        "trade" => {
            let buyer_is_maker = data["m"].as_bool().expect("m is a boolean");
            let side = if buyer_is_maker { "sell" } else { "buy" };
            let id = data["t"].as_u64().expect("t is an integer").to_string();
            Event::Trade([text(&data["p"]), text(&data["q"]), side.to_owned(), id])
        }
        "bookTicker" => Event::Quote(texts(["b", "B", "a", "A"])),
        "depth@100ms" => Event::Delta(["b", "a"].map(|side| {
            let levels = data[side].as_array().expect("a list of levels").iter();
            levels.map(|level| [text(&level[0]), text(&level[1])]).collect()
        })),
        other => panic!("a stream that this test does not know: {other}"),
    }
}
