//! A client that comes back, against a server that breaks off at every point there is.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::peer::{Peer, accept, listen};
use crate::client::{Client, ClientError, Continuation, Event, GapReason, Url};
use crate::dialect::Encoding;
use crate::limits::CLIENT_AHEAD_BYTES;
use crate::wire::{CloseCode, CloseFrame, Refusal};

fn hello(epoch: &str) -> String {
    format!(
        r#"{{"t":"hello","v":1,"conn":"c","epoch":"{epoch}","time":1,"hb":1000,"limits":{{"subs":9,"msg":65536}}}}"#
    )
}

fn trade(seq: u64) -> String {
    format!(r#"{{"t":"trade","ch":"trade:X","seq":{seq},"ts":1,"pt":2,"px":"7.50","sz":"1","side":"buy"}}"#)
}

fn granted(id: u64, seq: u64, resume: &str) -> String {
    let how = if resume.is_empty() {
        String::new()
    } else {
        format!(r#","resume":"{resume}""#)
    };
    format!(r#"{{"t":"ack","id":{id},"ok":[{{"ch":"trade:X","class":"append","seq":{seq}{how}}}],"err":[]}}"#)
}

fn client(url: &Url) -> Client {
    let mut client = Client::builder(url).seed(1).build().unwrap();
    client.subscribe(&["trade:X"]).unwrap();
    client
}

/// Takes events until one is of the kind that is asked for, and gives what was found in it.
async fn until<T>(client: &mut Client, mut found: impl FnMut(&Event<'_>) -> Option<T>) -> T {
    loop {
        let event = client.next().await.expect("it comes back");
        if let Some(found) = found(&event) {
            return found;
        }
    }
}

async fn seq(client: &mut Client) -> u64 {
    until(client, |event| event.tick().map(|(stamp, _)| stamp.seq)).await
}

async fn lost(client: &mut Client) -> (String, Duration) {
    until(client, |event| match event {
        Event::Disconnected(lost) => Some((lost.why.to_string(), lost.retry_in)),
        _ => None,
    })
    .await
}

/// A connection of a client that subscribes; gives the request.
async fn greeted(listener: &TcpListener, epoch: &str) -> (Peer, String) {
    let mut peer = Peer::open(listener).await;
    peer.say(&hello(epoch)).await;
    let request = peer.hear().await;
    (peer, request)
}

#[tokio::test(start_paused = true)]
async fn wherever_the_connection_breaks_the_next_goes_on_from_the_last_trade_that_was_taken() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        // Before a word.
        drop(accept(&listener).await);
        // In the middle of the answer to the handshake.
        let (mut stream, _) = accept(&listener).await;
        stream.write_all(b"HTTP/1.1 101 Switching").await.unwrap();
        drop(stream);
        // Before the greeting, and in the middle of it.
        drop(Peer::open(&listener).await);
        let mut peer = Peer::open(&listener).await;
        peer.send(b"\x81\x7e\x01\x00{\"t\":").await;
        drop(peer);
        // Before the acknowledgement.
        let (peer, request) = greeted(&listener, "e").await;
        assert!(
            request.contains(r#""id":1"#) && !request.contains("since"),
            "{request}"
        );
        drop(peer);
        // Within a trade.
        let (mut peer, request) = greeted(&listener, "e").await;
        assert!(
            request.contains(r#""id":1"#) && !request.contains("since"),
            "{request}"
        );
        peer.say(&granted(1, 4, "")).await;
        peer.say(&trade(5)).await;
        peer.say(&trade(6)).await;
        peer.send(b"\x81\x7e\x01\x00{\"t\":\"trade\"").await;
        drop(peer);
        // With a close frame.
        let (mut peer, request) = greeted(&listener, "e").await;
        assert!(
            request.contains(r#""since":{"epoch":"e","trade:X":6}"#),
            "{request}"
        );
        peer.say(&granted(2, 8, "replay")).await;
        peer.say(&trade(7)).await;
        let mut out = Vec::new();
        let frame = CloseFrame::new(CloseCode::new(4008).unwrap(), "slow consumer");
        peer.session.sender().close(Some(frame), &mut out).unwrap();
        peer.send(&out).await;
        peer.end().await;
        let (mut peer, request) = greeted(&listener, "e").await;
        assert!(request.contains(r#""trade:X":7"#), "{request}");
        peer.say(&granted(3, 8, "replay")).await;
        peer.say(&trade(8)).await;
        peer
    };
    let follow = async {
        for expected in 5..=8 {
            assert_eq!(seq(&mut client).await, expected);
        }
    };
    tokio::join!(serve, follow);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_says_when_to_come_back_and_one_that_is_full_at_the_earliest() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut peer, _) = greeted(&listener, "e").await;
        peer.say(r#"{"t":"shutdown","in_ms":0,"retry_ms":[20000,21000]}"#)
            .await;
        drop(peer);
        let (mut stream, _) = accept(&listener).await;
        let mut refusal = Vec::new();
        Refusal::Overloaded { retry_after_s: 7 }.write(&mut refusal);
        stream.write_all(&refusal).await.unwrap();
        drop(stream);
        let mut peer = Peer::open(&listener).await;
        peer.say(&hello("f")).await;
        peer
    };
    let follow = async {
        let (_, wait) = lost(&mut client).await;
        assert!((20_000..=21_000).contains(&wait.as_millis()), "{wait:?}");
        let (why, wait) = lost(&mut client).await;
        assert!(why.contains("503"), "{why}");
        assert!((7_000..9_000).contains(&wait.as_millis()), "{wait:?}");
        let continuation = until(&mut client, |event| match event {
            Event::Connected(connected) => Some(connected.continuation),
            _ => None,
        });
        assert_eq!(continuation.await, Continuation::Anew);
    };
    tokio::join!(serve, follow);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_for_good_ends_the_client() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut stream, _) = accept(&listener).await;
        let mut refusal = Vec::new();
        Refusal::NotFound.write(&mut refusal);
        stream.write_all(&refusal).await.unwrap();
    };
    let follow = async {
        let end = client.next().await.unwrap_err();
        assert!(
            matches!(end, ClientError::Connect(_)) && end.to_string().contains("404"),
            "{end}"
        );
        let end = client.next().await.unwrap_err();
        assert!(matches!(end, ClientError::Over), "{end}");
    };
    tokio::join!(serve, follow);
}

#[tokio::test]
async fn a_client_that_was_told_not_to_come_back_ends_with_its_connection() {
    let (listener, url) = listen().await;
    let (client, peer) = tokio::join!(
        Client::builder(&url).reconnect(false).connect(),
        Peer::open(&listener)
    );
    let (mut client, mut peer) = (client.unwrap(), peer);
    peer.say(&hello("e")).await;
    drop(peer);
    assert!(matches!(client.next().await.unwrap(), Event::Connected(_)));
    let end = client.next().await.unwrap_err();
    assert!(matches!(end, ClientError::Cut), "{end}");
}

#[tokio::test]
async fn a_message_that_is_left_out_without_a_word_is_an_error_and_is_asked_for() {
    for telling in [trade(8), r#"{"t":"hb","time":1,"last":{"trade:X":7}}"#.to_owned()] {
        let (listener, url) = listen().await;
        let mut client = client(&url);
        let serve = async {
            let (mut peer, _) = greeted(&listener, "e").await;
            peer.say(&granted(1, 4, "")).await;
            peer.say(&trade(5)).await;
            peer.say(&telling).await;
            peer.say(&trade(9)).await;
            let farewell = peer.hear().await;
            assert!(farewell.contains("messages are missing"), "{farewell}");
            peer.end().await;
            let (mut peer, request) = greeted(&listener, "e").await;
            assert!(request.contains(r#""trade:X":5"#), "{request}");
            peer.say(&granted(2, 7, "replay")).await;
            peer.say(&trade(6)).await;
            peer
        };
        let follow = async {
            assert_eq!(seq(&mut client).await, 5);
            let missing = until(&mut client, |event| match event {
                Event::Missing { channel, from, to } => Some((channel.to_string(), *from, *to)),
                Event::Trade(..) => panic!("{event:?}"),
                _ => None,
            });
            assert_eq!(missing.await, ("trade:X".to_owned(), 6, 7));
            assert_eq!(seq(&mut client).await, 6);
        };
        tokio::join!(serve, follow);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_comes_is_left_for_another() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut mute, _) = greeted(&listener, "e").await;
        let ping = mute.hear().await;
        assert!(ping.contains(r#""op":"ping""#), "{ping}");
        // It says no more, and keeps the connection open.
        let (mut peer, _) = greeted(&listener, "e").await;
        peer.say(&granted(2, 4, "")).await;
        peer.say(&trade(5)).await;
        (mute, peer)
    };
    let follow = async {
        let (why, _) = lost(&mut client).await;
        assert!(why.contains("silent"), "{why}");
        assert_eq!(seq(&mut client).await, 5);
    };
    tokio::join!(serve, follow);
}

#[tokio::test]
async fn what_a_pattern_missed_meanwhile_is_told_and_what_came_before_is_not_told_twice() {
    let (listener, url) = listen().await;
    let url: Url = format!("{url}?ch=trade:*").parse().unwrap();
    let mut client = Client::builder(&url).seed(1).build().unwrap();
    let pattern =
        |id: u64| format!(r#"{{"t":"ack","id":{id},"ok":[{{"ch":"trade:*","match":1}}],"err":[]}}"#);
    let serve = async {
        let (mut peer, request) = greeted(&listener, "e").await;
        assert_eq!(request, r#"{"ch":["trade:*"],"id":1,"op":"sub"}"#);
        peer.say(&pattern(1)).await;
        peer.say(&trade(5)).await;
        peer.say(&trade(5)).await;
        drop(peer);
        let (mut peer, request) = greeted(&listener, "e").await;
        assert!(!request.contains("since"), "{request}");
        peer.say(&pattern(2)).await;
        peer.say(&trade(9)).await;
        peer
    };
    let follow = async {
        assert_eq!(seq(&mut client).await, 5);
        let event = client.next().await.unwrap();
        assert!(matches!(event, Event::Repeated { seq: 5, .. }), "{event:?}");
        let gap = until(&mut client, |event| match event {
            Event::Gap(gap) => Some((gap.from, gap.to, gap.why == GapReason::Away)),
            Event::Trade(..) => panic!("{event:?}"),
            _ => None,
        });
        assert_eq!(gap.await, (6, 8, true));
        assert_eq!(seq(&mut client).await, 9);
    };
    tokio::join!(serve, follow);
}

#[tokio::test]
async fn garbage_ends_a_connection_and_never_the_client() {
    let garbage: [&[u8]; 7] = [
        b"\x81\x08not JSON",
        b"\x81\x02[]",
        b"\x81\x02{}",
        b"\x82\x03abc",
        b"\xff\xff\xff\xff",
        b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x02\xff\xfe",
    ];
    for (encoding, bytes) in [Encoding::Json, Encoding::Binary]
        .into_iter()
        .flat_map(|encoding| garbage.map(|bytes| (encoding, bytes)))
    {
        let (listener, url) = listen().await;
        let mut client = Client::builder(&url).seed(1).encoding(encoding).build().unwrap();
        client.subscribe(&["trade:X"]).unwrap();
        let serve = async {
            let (mut peer, _) = greeted(&listener, "e").await;
            peer.send(bytes).await;
            peer.say(&trade(5)).await;
            let farewell = peer.hear().await;
            assert!(farewell.starts_with("Close("), "{farewell}");
            drop(peer);
            let (mut peer, _) = greeted(&listener, "e").await;
            peer.say(&trade(7)).await;
            peer
        };
        let follow = async {
            lost(&mut client).await;
            assert_eq!(seq(&mut client).await, 7);
        };
        tokio::join!(serve, follow);
    }
}

#[tokio::test]
async fn what_is_known_of_binary_ticks_is_the_same() {
    use crate::dialect::{Stamp, native_binary};
    use crate::market::{Decimal, Side, Tick, Trade};
    let (listener, url) = listen().await;
    let mut client = Client::builder(&url).encoding(Encoding::Binary).build().unwrap();
    let tick = Tick::Trade(Trade {
        price: Decimal::new(750, -2),
        size: Decimal::new(1, 0),
        side: Side::Buy,
        id: "",
    });
    let stamp = Stamp {
        channel: "trade:X",
        seq: 5,
        ts_ns: 1,
        pt_ns: 2,
    };
    let serve = async {
        let mut peer = Peer::open(&listener).await;
        peer.say(&hello("e")).await;
        let mut bytes = Vec::new();
        native_binary::encode(&mut bytes, &stamp, &tick);
        let mut out = Vec::new();
        // A kind of message that a newer server has stands before it.
        let sender = peer.session.sender();
        sender.binary(b"\x09\0\x63\0TW\x05\0new", &mut out).unwrap();
        sender.binary(&bytes, &mut out).unwrap();
        peer.send(&out).await;
        peer
    };
    let follow = async {
        assert!(matches!(client.next().await.unwrap(), Event::Connected(_)));
        assert!(matches!(client.next().await.unwrap(), Event::Other));
        assert_eq!(client.next().await.unwrap().tick(), Some((stamp, tick)));
    };
    tokio::join!(serve, follow);
}

#[tokio::test]
async fn not_more_is_received_than_the_user_takes_and_one_load() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut peer, _) = greeted(&listener, "e").await;
        peer.say(&granted(1, 0, "")).await;
        let mut out = Vec::new();
        for seq in 1..=20_000 {
            peer.session.sender().text(&trade(seq), &mut out).unwrap();
        }
        peer.send(&out).await;
        peer
    };
    let follow = async {
        for expected in 1..=20_000 {
            assert_eq!(seq(&mut client).await, expected);
            let mut ahead = 0;
            if expected % 5_000 == 0 {
                while let Some(received) = client.next_at_hand() {
                    ahead += received.bytes;
                }
                assert!(ahead <= CLIENT_AHEAD_BYTES + 200, "{ahead}");
                return;
            }
        }
    };
    let (peer, ()) = tokio::join!(serve, follow);
    drop(peer);
}

#[tokio::test]
async fn dropping_the_future_of_an_event_loses_nothing() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut peer, _) = greeted(&listener, "e").await;
        peer.say(&granted(1, 0, "")).await;
        for seq in 1..=50 {
            peer.say(&trade(seq)).await;
            tokio::task::yield_now().await;
        }
        peer
    };
    let follow = async {
        let mut next = 1;
        while next <= 50 {
            tokio::select! {
                biased;
                event = client.next() => {
                    if let Some((stamp, _)) = event.unwrap().tick() {
                        assert_eq!(stamp.seq, next);
                        next += 1;
                    }
                }
                () = tokio::task::yield_now() => {}
            }
        }
    };
    tokio::join!(serve, follow);
}

#[tokio::test]
async fn closing_says_goodbye_and_waits_for_the_servers() {
    let (listener, url) = listen().await;
    let mut client = client(&url);
    let serve = async {
        let (mut peer, _) = greeted(&listener, "e").await;
        let farewell = peer.hear().await;
        peer.send(b"\x88\x02\x03\xe8").await;
        peer.end().await;
        farewell
    };
    let follow = async {
        let event = client.next().await.unwrap();
        assert!(matches!(event, Event::Connected(_)), "{event:?}");
        drop(event);
        // The subscription goes out with the next call, which has nothing to give.
        tokio::select! {
            biased;
            event = client.next() => panic!("{event:?}"),
            () = async { for _ in 0..100 { tokio::task::yield_now().await; } } => {}
        }
        client.close().await.unwrap();
    };
    let (farewell, ()) = tokio::join!(serve, follow);
    assert!(farewell.contains("1000"), "{farewell}");
}
