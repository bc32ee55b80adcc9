//! A client whose server greets twice, or does not take its token.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use super::peer::{Peer, listen};
use crate::client::{Client, ClientError, Event};

const HELLO: &str =
    r#"{"t":"hello","v":1,"conn":"c","epoch":"e","time":1,"hb":1000,"limits":{"subs":9,"msg":65536}}"#;

/// Takes events until one is of the kind that is asked for, and gives what was found in it.
async fn until<T>(client: &mut Client, mut found: impl FnMut(&Event<'_>) -> Option<T>) -> T {
    loop {
        let event = client.next().await.expect("it goes on");
        if let Some(found) = found(&event) {
            return found;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_greets_twice_is_left_with_the_reason_and_connected_to_anew() {
    let (listener, url) = listen().await;
    let mut client = Client::builder(&url).seed(1).build().unwrap();
    let serve = async {
        let mut peer = Peer::open(&listener).await;
        peer.say(HELLO).await;
        peer.say(HELLO).await;
        let mut next = Peer::open(&listener).await;
        next.say(HELLO).await;
        (peer, next)
    };
    let take = async {
        let is_connected = |event: &Event<'_>| matches!(event, Event::Connected(_)).then_some(());
        until(&mut client, is_connected).await;
        let why = until(&mut client, |event| match event {
            Event::Connected(_) => panic!("it is one connection"),
            Event::Disconnected(lost) => Some((
                matches!(lost.why, ClientError::GreetedAgain),
                lost.why.to_string(),
            )),
            _ => None,
        });
        let (is_it, words) = why.await;
        assert!(is_it && words.contains("said hello twice"), "{words}");
        until(&mut client, is_connected).await;
    };
    drop(tokio::join!(serve, take));
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_published_under_a_refused_token_is_refused_for_the_same_reason_and_never_sent() {
    let (listener, url) = listen().await;
    let mut client = Client::builder(&url).seed(1).build().unwrap();
    client.authenticate("nobody");
    let first = client.publish("room:42", "1").unwrap();
    let second = client.publish("room:42", "2").unwrap();
    let ping = client.ping(7).unwrap();
    let serve = async {
        let mut peer = Peer::open(&listener).await;
        peer.say(HELLO).await;
        let auth = peer.hear().await;
        assert!(auth.contains(r#""op":"auth""#), "{auth}");
        let id: serde_json::Value = serde_json::from_str(&auth).unwrap();
        let id = &id["id"];
        peer.say(&format!(
            r#"{{"t":"error","id":{id},"code":4007,"msg":"nobody has this token"}}"#
        ))
        .await;
        let next = peer.hear().await;
        assert!(next.contains(r#""op":"ping""#), "{next}");
        peer.say(&format!(r#"{{"t":"pong","id":{ping},"t1":1,"t2":1}}"#))
            .await;
        peer
    };
    let take = async {
        let mut refused = Vec::new();
        until(&mut client, |event| {
            if let Event::Refused { refused: why, again } = event {
                assert_eq!(
                    (why.code, &*why.msg, *again),
                    (4007, "nobody has this token", false)
                );
                refused.push(why.id);
            }
            matches!(event, Event::Pong(_)).then_some(())
        })
        .await;
        assert_eq!(
            refused.len(),
            3,
            "the token and each publication, once: {refused:?}"
        );
        assert_eq!(refused[1..], [Some(first), Some(second)]);
        assert_eq!(client.unanswered(), 0);
    };
    drop(tokio::join!(serve, take));
}
