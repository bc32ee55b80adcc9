//! Counts trades, and goes on where it was when it is started again: no trade is counted twice, and none left out without a word.
//!
//! ```console
//! $ tickwire serve --source sim --journal feed
//! $ cargo run --example resume -- trades.json ws://127.0.0.1:9001 trade:BTC-USD
//! ```
//!
//! Kill either of them, or both, and start it again. What it has counted and where it stands are in one file, which is
//! replaced as a whole.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::error::Error;
use std::fs;

use serde::{Deserialize, Serialize};
use tickwire::client::{Client, Event, Places};

#[derive(Default, Serialize, Deserialize)]
struct State {
    trades: u64,
    missed: u64,
    places: Option<Places>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "trades.json".to_owned());
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let channel = arguments.next().unwrap_or_else(|| "trade:BTC-USD".to_owned());

    let mut state = match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => State::default(),
    };
    let mut builder = Client::builder(&url.parse()?);
    if let Some(places) = state.places.take() {
        builder = builder.since(places);
    }
    let mut client = builder.build()?;
    client.subscribe(&[&channel])?;
    loop {
        match client.next().await? {
            Event::Trade(..) => state.trades += 1,
            Event::Gap(gap) => state.missed += gap.to - gap.from + 1,
            _ => continue,
        }
        state.places = client.places();
        fs::write(format!("{path}.new"), serde_json::to_vec(&state)?)?;
        fs::rename(format!("{path}.new"), &path)?;
        println!("{} trades counted, {} missed", state.trades, state.missed);
    }
}
