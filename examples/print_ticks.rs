//! Prints trades and quotes, for as long as it runs.
//!
//! ```console
//! $ tickwire demo
//! $ cargo run --example print_ticks -- ws://127.0.0.1:9001 'trade:*' bbo:BTC-USD
//! ```
//!
//! Stop the server and start it again: the client comes back by itself.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::error::Error;

use tickwire::client::{Client, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let mut channels: Vec<String> = arguments.collect();
    if channels.is_empty() {
        channels.push("trade:*".to_owned());
    }

    let mut client = Client::builder(&url.parse()?).build()?;
    client.subscribe(&channels)?;
    loop {
        match client.next().await? {
            Event::Trade(stamp, trade) => {
                println!(
                    "{} {:?} {} x {}",
                    stamp.channel, trade.side, trade.price, trade.size
                );
            }
            Event::Quote(stamp, quote) => {
                println!("{} {} / {}", stamp.channel, quote.bid_price, quote.ask_price);
            }
            Event::Gap(gap) => eprintln!("{} lacks {} to {}", gap.channel, gap.from, gap.to),
            Event::Disconnected(lost) => eprintln!("{}; again in {:?}", lost.why, lost.retry_in),
            Event::Answered { answer, .. } => {
                for refused in &answer.err {
                    eprintln!("{}: {}", refused.ch, refused.msg);
                }
            }
            _ => {}
        }
    }
}
