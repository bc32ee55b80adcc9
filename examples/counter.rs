//! A counter that many share: whoever runs this adds one for each line that is typed, and sees what all have added.
//!
//! ```console
//! $ tickwire serve --source none --publish '*' --journal counter
//! $ cargo run --example counter -- ws://127.0.0.1:9001 count:clicks
//! ```
//!
//! The count is the number of the channel's newest message: the server counts messages without holes anyway. A click is
//! published once, also when the connection breaks while it is under way.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::error::Error;
use std::io::BufRead;

use tickwire::client::{Client, Event};
use tokio::sync::mpsc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let channel = arguments.next().unwrap_or_else(|| "count:clicks".to_owned());

    let (sender, mut clicks) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines();
        while let Some(Ok(_)) = lines.next() {
            if sender.blocking_send(()).is_err() {
                return;
            }
        }
    });

    let mut client = Client::builder(&url.parse()?).build()?;
    // Before the first click there is no such channel: the pattern stands for it until then.
    let kind = channel.split(':').next().unwrap_or_default();
    client.subscribe(&[&channel, &format!("{kind}:*")])?;
    loop {
        tokio::select! {
            Some(()) = clicks.recv() => {
                client.publish(&channel, "1")?;
            }
            event = client.next() => match event? {
                Event::Message(stamp, _) if stamp.channel == channel => println!("{}", stamp.seq),
                Event::Answered { answer, .. } => {
                    if let Some(seq) = answer.ok.iter().find_map(|granted| granted.seq) {
                        println!("{seq}");
                    }
                }
                Event::Refused { refused, .. } => eprintln!("{}", refused.msg),
                _ => {}
            },
        }
    }
}
