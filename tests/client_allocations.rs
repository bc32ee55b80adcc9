//! Once a channel is known, taking a trade or quote of it allocates nothing, and nothing else does that is binary. JSON within
//! JSON costs one allocation, in which its reader notes how deep it is.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use allocation_counter::measure;
use tickwire::client::{Client, Url};
use tickwire::dialect::{Encoding, Stamp, native_binary, native_json};
use tickwire::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};
use tickwire::wire::{DeflatePolicy, HeadScan, Request, ServerSession, Upgrade};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use scene::{block_on, within};

#[test]
fn a_trade_or_quote_of_a_known_channel_is_taken_without_allocating_and_all_that_is_binary() {
    for (encoding, nested) in [(Encoding::Json, 1), (Encoding::Binary, 0)] {
        let taken = block_on(taken_at_hand(encoding));
        assert!(taken.len() > 100, "most of them were at hand: {}", taken.len());
        for (channel, allocations) in taken {
            let most = if ["book:X", "room:42"].contains(&&*channel) {
                nested
            } else {
                0
            };
            assert!(
                allocations <= most,
                "{allocations} for one of {channel}, {encoding:?}"
            );
        }
    }
}

/// The channels of events that were at hand, and how many allocations it took to take each.
async fn taken_at_hand(encoding: Encoding) -> Vec<(String, u64)> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it has one");
    let url: Url = format!("ws://{address}").parse().expect("a URL");
    let serve = async {
        let (mut stream, _) = listener.accept().await.expect("a client comes");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut head).await.expect("a request");
        }
        let (request, _) = Request::parse(&head, &mut HeadScan::default())
            .expect("a request")
            .expect("it is whole");
        let upgrade = Upgrade::parse(request).expect("a handshake");
        let mut out = Vec::new();
        let policy = DeflatePolicy::default();
        upgrade.accept(upgrade.protocols().next(), upgrade.deflate(&policy), &mut out);
        write(encoding, &mut out);
        stream.write_all(&out).await.expect("it reads");
        stream
    };
    let follow = async {
        let mut client = Client::builder(&url)
            .encoding(encoding)
            .build()
            .expect("a client");
        let mut taken = Vec::new();
        loop {
            let event = within("an event", client.next()).await.expect("there are others");
            // By then every channel is known, and the levels of a book have room.
            if event.tick().is_none_or(|(stamp, _)| stamp.seq <= 1) {
                continue;
            }
            loop {
                let mut received = None;
                let info = measure(|| received = client.next_at_hand());
                let Some(received) = received else { break };
                let Some((stamp, _)) = received.event.tick() else {
                    continue;
                };
                taken.push((stamp.channel.to_owned(), info.count_total));
                if stamp.seq == ROUNDS {
                    return taken;
                }
            }
        }
    };
    let (_stream, taken) = tokio::join!(serve, follow);
    taken
}

/// A greeting, and rounds of a message of each kind.
fn write(encoding: Encoding, out: &mut Vec<u8>) {
    let mut session = ServerSession::new(1024);
    let hello = r#"{"t":"hello","v":1,"conn":"c","epoch":"e","time":1,"limits":{"subs":9,"msg":65536}}"#;
    session.sender().text(hello, out).expect("it is open");
    let one = Decimal::new(100, -2);
    let levels = [Level {
        price: one,
        size: one,
    }; 20];
    for seq in 1..=ROUNDS {
        for (channel, tick) in [
            (
                "trade:X",
                Tick::Trade(Trade {
                    price: one,
                    size: one,
                    side: Side::Buy,
                    id: "a1",
                }),
            ),
            (
                "bbo:X",
                Tick::Quote(Quote {
                    bid_price: one,
                    bid_size: one,
                    ask_price: one,
                    ask_size: one,
                }),
            ),
            (
                "book:X",
                Tick::Book(BookUpdate {
                    kind: BookUpdateKind::Snapshot,
                    bids: &levels,
                    asks: &levels,
                }),
            ),
            ("room:42", Tick::Message(r#"{"a":[1,2,3]}"#)),
        ] {
            let ts_ns = if channel == "room:42" { 0 } else { 1 };
            let stamp = Stamp {
                channel,
                seq,
                ts_ns,
                pt_ns: 2,
            };
            let mut bytes = Vec::new();
            match encoding {
                Encoding::Json => {
                    native_json::encode(&mut bytes, &stamp, &tick);
                    let text = str::from_utf8(&bytes).expect("JSON is text");
                    session.sender().text(text, out).expect("it is open");
                }
                Encoding::Binary => {
                    native_binary::encode(&mut bytes, &stamp, &tick);
                    session.sender().binary(&bytes, out).expect("it is open");
                }
            }
        }
    }
}

const ROUNDS: u64 = 100;
