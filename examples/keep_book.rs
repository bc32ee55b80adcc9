//! Keeps the level-2 book of one market, and prints its best five levels when they change.
//!
//! ```console
//! $ tickwire demo
//! $ cargo run --example keep_book -- ws://127.0.0.1:9001 book:BTC-USD
//! ```
//!
//! The book is the server's, exactly: where something is missing there is none until the next snapshot.

use std::error::Error;

use tickwire::client::{Client, LocalBook};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let channel = arguments.next().unwrap_or_else(|| "book:BTC-USD".to_owned());

    let mut client = Client::builder(&url.parse()?).build()?;
    client.subscribe(&[&channel])?;
    let mut book = LocalBook::new(&channel);
    let mut shown = (Vec::new(), Vec::new());
    loop {
        if !book.apply(&client.next().await?)? {
            continue;
        }
        let depth = book.depth(5);
        if depth == shown {
            continue;
        }
        match book.seq() {
            None => println!("{channel} is not known at present"),
            Some(seq) => println!("{channel} {seq}"),
        }
        for ask in depth.1.iter().rev() {
            println!("{:>40} {}", ask.price.to_string(), ask.size);
        }
        for bid in &depth.0 {
            println!("{:>20} {}", bid.price.to_string(), bid.size);
        }
        shown = depth;
    }
}
