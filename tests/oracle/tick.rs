//! Ticks as a client reads them, in either encoding.

use serde::Deserialize;
use serde_json::value::RawValue;
use tickwire::dialect::native_binary::{Content, Message};
use tickwire::market::{BookUpdateKind, Side, Tick as Decoded};

use super::book::hash;
use super::truth::content;

/// One tick.
#[derive(Debug)]
pub struct Tick {
    pub channel: String,
    pub seq: u64,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    /// A trade, a quote or any other message, and what it says.
    One(u64),
    Snap([Vec<[String; 2]>; 2]),
    Delta([Vec<[String; 2]>; 2]),
}

#[derive(Deserialize)]
struct Text<'a> {
    t: &'a str,
    ch: &'a str,
    seq: u64,
    k: Option<&'a str>,
    px: Option<&'a str>,
    sz: Option<&'a str>,
    side: Option<&'a str>,
    tid: Option<&'a str>,
    bp: Option<&'a str>,
    bs: Option<&'a str>,
    ap: Option<&'a str>,
    r#as: Option<&'a str>,
    b: Option<Vec<[String; 2]>>,
    a: Option<Vec<[String; 2]>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Tick {
    pub fn of_text(text: &str) -> Self {
        let read: Text<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let fields = |four: [Option<&str>; 4]| content(four.map(|field| field.expect(text)));
        let what = match (read.t, read.k) {
            ("trade", None) => What::One(fields([read.px, read.sz, read.side, read.tid])),
            ("bbo", None) => What::One(fields([read.bp, read.bs, read.ap, read.r#as])),
            ("msg", None) => What::One(hash(&read.data.expect(text).get())),
            ("book", Some(kind)) => {
                let sides = [read.b.expect(text), read.a.expect(text)];
                match kind {
                    "snap" => What::Snap(sides),
                    "delta" => What::Delta(sides),
                    _ => panic!("{text}"),
                }
            }
            _ => panic!("no tick: {text}"),
        };
        Self {
            channel: read.ch.to_owned(),
            seq: read.seq,
            what,
        }
    }

    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut levels = Vec::new();
        let message = Message::decode(bytes, &mut levels).expect("what the server sends can be read");
        let Content::Tick(stamp, tick) = message.content else {
            panic!("{message:?}");
        };
        let what = match tick {
            Decoded::Trade(trade) => {
                let side = match trade.side {
                    Side::Buy => "buy",
                    Side::Sell => "sell",
                };
                What::One(content([
                    &trade.price.to_string(),
                    &trade.size.to_string(),
                    side,
                    trade.id,
                ]))
            }
            Decoded::Quote(quote) => What::One(content([
                &quote.bid_price.to_string(),
                &quote.bid_size.to_string(),
                &quote.ask_price.to_string(),
                &quote.ask_size.to_string(),
            ])),
            Decoded::Message(data) => What::One(hash(&data)),
            Decoded::Book(update) => {
                let sides = [update.bids, update.asks].map(|side| {
                    let levels = side
                        .iter()
                        .map(|level| [level.price.to_string(), level.size.to_string()]);
                    levels.collect()
                });
                match update.kind {
                    BookUpdateKind::Snapshot => What::Snap(sides),
                    BookUpdateKind::Delta => What::Delta(sides),
                }
            }
        };
        Self {
            channel: stamp.channel.to_owned(),
            seq: stamp.seq,
            what,
        }
    }
}
