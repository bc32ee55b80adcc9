//! permessage-deflate on real sockets, with our own client: what is compressed once for all says what is sent plain.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use serde_json::Value;
use tickwire::client::{Client, Url};
use tickwire::control::Config;
use tickwire::writer::source::SourceSpec;

use scene::served::{Served, small};
use scene::{block_on, cannot_serve, within};

/// Ticks of every kind until there are so many, as text.
async fn ticks(client: &mut Client, count: usize) -> Vec<String> {
    client.subscribe(&["*"]).expect("a request");
    let mut ticks = Vec::new();
    while ticks.len() < count {
        let received = within("ticks", client.receive())
            .await
            .expect("a live connection");
        if received.event.tick().is_some() {
            ticks.push(received.text.to_owned());
        }
    }
    ticks
}

fn key(tick: &str) -> (String, u64) {
    let tick: Value = serde_json::from_str(tick).expect("JSON");
    let channel = tick["ch"].as_str().expect("a channel").to_owned();
    (channel, tick["seq"].as_u64().expect("a number"))
}

#[test]
fn a_client_that_asks_for_compression_is_told_the_same_as_one_that_does_not() {
    if cannot_serve() {
        return;
    }
    let served = Served::start(Config {
        compression: Some(0),
        ..small(SourceSpec::Sim { seed: 1 })
    });
    let url: Url = format!("ws://{}", served.address()).parse().expect("a URL");
    block_on(async {
        let builder = Client::builder(&url);
        let mut plain = builder.clone().connect().await.expect("a connection");
        let mut compressed = builder.compression(true).connect().await.expect("a connection");
        let (plain, compressed) = tokio::join!(ticks(&mut plain, 600), ticks(&mut compressed, 600));
        let plain: std::collections::HashMap<_, _> = plain.iter().map(|tick| (key(tick), tick)).collect();
        let both: Vec<_> = compressed
            .iter()
            .filter_map(|tick| Some((tick, *plain.get(&key(tick))?)))
            .collect();
        assert!(both.len() > 300, "both heard most of it: {}", both.len());
        // A book's image may have been written again in between, under the number of its newest message.
        let differing = both.iter().filter(|(one, other)| one != other);
        assert!(
            differing.clone().all(|(one, _)| one.contains("\"snap\"")),
            "{differing:?}"
        );
    });
}
