//! The recorded capture, read by code that shares nothing with the server's: any JSON value, any number as its text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

/// What a recording says, in its order, by what it says it about.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Price, size, side and id.
    pub(crate) trades: Vec<[String; 4]>,
    /// Bid price and size, ask price and size.
    pub(crate) quotes: Vec<[String; 4]>,
    pub(crate) deltas: u64,
    pub(crate) book: Book,
}

/// Sizes by price, both as numbers of one form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Book {
    bids: BTreeMap<String, String>,
    asks: BTreeMap<String, String>,
}

/// The recording's path; says so where there is none.
pub(crate) fn path() -> Option<PathBuf> {
    let path = std::env::var_os("TICKWIRE_CAPTURE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/btcusdt_spot_20240809.gz"),
        PathBuf::from,
    );
    if path.is_file() {
        return Some(path);
    }
    println!(
        "SKIPPED: no capture at {}; name one with TICKWIRE_CAPTURE",
        path.display()
    );
    None
}

impl Recording {
    pub(crate) fn read(path: &Path) -> Self {
        let mut recording = Self::default();
        let file = File::open(path).expect("the capture can be opened");
        for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
            let line = line.expect("the capture can be read");
            let (_received, json) = line.split_once(' ').expect("a receive time and a message");
            let message: Value = serde_json::from_str(json).expect("every line holds JSON");
            recording.take(&message);
        }
        recording
    }

    fn take(&mut self, message: &Value) {
        let stream = message["stream"].as_str().expect("a combined stream");
        let data = &message["data"];
        match stream.split_once('@').expect("symbol and stream").1 {
            "trade" => {
                let buyer_is_maker = data["m"].as_bool().expect("m is a boolean");
                let side = if buyer_is_maker { "sell" } else { "buy" };
                let id = data["t"].as_u64().expect("t is an integer").to_string();
                self.trades
                    .push([text(&data["p"]), text(&data["q"]), side.to_owned(), id]);
            }
            "bookTicker" => self
                .quotes
                .push(["b", "B", "a", "A"].map(|field| text(&data[field]))),
            "depth@100ms" => {
                self.deltas += 1;
                self.book.apply(&data["b"], &data["a"]);
            }
            other => panic!("a stream that this test does not know: {other}"),
        }
    }
}

impl Book {
    /// Lays levels over the book; size 0 deletes.
    pub(crate) fn apply(&mut self, bids: &Value, asks: &Value) {
        for (side, levels) in [(&mut self.bids, bids), (&mut self.asks, asks)] {
            for level in levels.as_array().expect("a list of levels") {
                let (price, size) = (number(&text(&level[0])), number(&text(&level[1])));
                if size == "0" {
                    side.remove(&price);
                } else {
                    side.insert(price, size);
                }
            }
        }
    }

    pub(crate) fn levels(&self) -> usize {
        self.bids.len() + self.asks.len()
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().expect("decimals are strings").to_owned()
}

/// A positive decimal without zeros that say nothing.
fn number(text: &str) -> String {
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    let (whole, places) = (whole.trim_start_matches('0'), places.trim_end_matches('0'));
    match (whole, places) {
        ("", "") => "0".to_owned(),
        (whole, "") => whole.to_owned(),
        (whole, places) => format!("{whole}.{places}"),
    }
}
