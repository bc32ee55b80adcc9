//! An open connection: requests, messages, pings, and how it ends.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::peer::{Peer, listen, said};
use crate::client::ClientError;
use crate::client::connection::{Connection, Wishes};
use crate::wire::{CloseCode, CloseFrame};

async fn pair() -> (Connection, Peer) {
    let (listener, url) = listen().await;
    let (client, peer) = tokio::join!(Connection::open(&url, Wishes::default()), Peer::open(&listener));
    (client.unwrap(), peer)
}

/// Receives until the connection ends.
async fn receive_all(client: &mut Connection) -> (Vec<String>, ClientError) {
    let mut heard = Vec::new();
    loop {
        let received = client.receive(|message| {
            heard.push(said(message));
            ControlFlow::Continue(())
        });
        if let Err(end) = received.await {
            return (heard, end);
        }
    }
}

#[tokio::test]
async fn requests_go_out_and_pings_are_answered_while_the_client_receives() {
    let (mut client, mut peer) = pair().await;
    client.ask("one").unwrap();
    client.ask("two").unwrap();
    let serve = async {
        assert_eq!(peer.hear().await, "one");
        assert_eq!(peer.hear().await, "two");
        // A ping between the fragments of a message.
        peer.send(b"\x01\x04{\"t\"\x89\x02hi\x80\x05:\"a\"}").await;
        assert_eq!(peer.hear().await, "Pong([104, 105])");
        let mut out = Vec::new();
        let frame = CloseFrame::new(CloseCode::new(4008).unwrap(), "slow consumer");
        peer.session.sender().close(Some(frame), &mut out).unwrap();
        peer.send(&out).await;
        let echo = peer.hear().await;
        peer.end().await;
        (echo, peer.hear().await)
    };
    let ((heard, end), answers) = tokio::join!(receive_all(&mut client), serve);
    assert_eq!(heard, [r#"{"t":"a"}"#]);
    assert_eq!(
        end.to_string(),
        "the server closed the connection: 4008 slow consumer"
    );
    let echo = r#"Close(Some(CloseFrame { code: CloseCode(4008), reason: "slow consumer" }))"#;
    assert_eq!(answers, (echo.to_owned(), "end".to_owned()));
    let again = client.receive(|_| ControlFlow::Continue(())).await.unwrap_err();
    assert!(matches!(again, ClientError::Cut), "{again}");
}

#[tokio::test]
async fn breaking_off_leaves_the_other_messages_for_the_next_call() {
    let (mut client, mut peer) = pair().await;
    peer.send(b"\x81\x09{\"t\":\"a\"}\x81\x09{\"t\":\"b\"}\x81\x09{\"t\":\"c\"}")
        .await;
    let mut calls: Vec<String> = Vec::new();
    while calls.concat().len() < 3 * 9 {
        let mut heard = String::new();
        let received = client.receive(|message| {
            heard.push_str(&said(message));
            if heard.len() == 2 * 9 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        received.await.unwrap();
        assert!(heard.len() <= 2 * 9);
        calls.push(heard);
    }
    assert_eq!(calls.concat(), r#"{"t":"a"}{"t":"b"}{"t":"c"}"#);
}

#[tokio::test]
async fn timers_and_signals_have_their_turn_even_when_messages_are_at_hand() {
    let (mut client, mut peer) = pair().await;
    peer.send(b"\x81\x09{\"t\":\"a\"}\x81\x09{\"t\":\"b\"}").await;
    client.receive(|_| ControlFlow::Break(())).await.unwrap();
    tokio::select! {
        biased;
        _ = client.receive(|message| panic!("{message:?} was lent before others had their turn")) => {}
        () = std::future::ready(()) => {}
    }
    let mut heard = String::new();
    let received = client.receive(|message| {
        heard.push_str(&said(message));
        ControlFlow::Break(())
    });
    received.await.unwrap();
    assert_eq!(heard, r#"{"t":"b"}"#);
}

#[tokio::test]
async fn dropping_a_receive_loses_nothing() {
    let (mut client, mut peer) = pair().await;
    peer.send(b"\x81\x09{\"t\":").await;
    // Polled until the first half must have come, and dropped each time.
    for _ in 0..64 {
        tokio::select! {
            biased;
            received = client.receive(|message| panic!("half a message was lent: {message:?}")) => received.unwrap(),
            () = tokio::task::yield_now() => {}
        }
    }
    peer.send(b"\"a\"}").await;
    drop(peer);
    let (heard, end) = receive_all(&mut client).await;
    assert_eq!(heard, [r#"{"t":"a"}"#]);
    assert!(matches!(end, ClientError::Cut), "{end}");
}

#[tokio::test]
async fn closing_waits_for_the_servers_close_frame_past_what_is_under_way() {
    let (client, mut peer) = pair().await;
    let serve = async {
        peer.say(r#"{"t":"late"}"#).await;
        let heard = peer.hear().await;
        peer.send(b"\x81\x09{\"t\":\"b\"}\x88\x02\x03\xe8").await;
        peer.end().await;
        (heard, peer.hear().await)
    };
    let (closed, heard) = tokio::join!(client.close(CloseCode::NORMAL, "done"), serve);
    closed.unwrap();
    let close = r#"Close(Some(CloseFrame { code: CloseCode(1000), reason: "done" }))"#;
    assert_eq!(heard, (close.to_owned(), "end".to_owned()));
}

#[tokio::test]
async fn closing_gives_up_on_a_server_that_does_not_answer() {
    let (client, _peer) = pair().await;
    tokio::time::pause();
    let error = client.close(CloseCode::NORMAL, "").await.unwrap_err();
    assert!(matches!(error, ClientError::CloseTimeout), "{error}");
}

#[tokio::test]
async fn the_server_ends_its_stream_first() {
    let servers_last_words: [&[u8]; 3] = [b"\x88\x02\x03\xe8", b"\x88\x00", b"\xff\xff"];
    for last_words in servers_last_words {
        let (mut client, mut peer) = pair().await;
        let ended = Cell::new(false);
        let serve = async {
            peer.send(last_words).await;
            let answer = peer.hear().await;
            // What comes behind the end is not looked at.
            peer.send(b"\x81\x09{\"t\":\"a\"}").await;
            ended.set(true);
            peer.end().await;
            (answer, peer.hear().await)
        };
        let receive = async {
            let (heard, _) = receive_all(&mut client).await;
            assert!(ended.get() && heard.is_empty());
        };
        let ((), (answer, end)) = tokio::join!(receive, serve);
        assert!(answer.starts_with("Close(") && end == "end", "{answer} {end}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_end_its_stream_is_not_waited_for_for_ever() {
    let (mut client, mut peer) = pair().await;
    peer.send(b"\x88\x02\x03\xe8").await;
    tokio::time::pause();
    let (_, end) = receive_all(&mut client).await;
    assert!(matches!(end, ClientError::Closed { .. }), "{end}");
    assert!(peer.hear().await.starts_with("Close("));
    assert_eq!(peer.hear().await, "end");
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_told_so() {
    let (mut client, mut peer) = pair().await;
    peer.send(b"\x82\x01x").await;
    let serve = async {
        let farewell = peer.hear().await;
        peer.end().await;
        farewell
    };
    let ((heard, end), farewell) = tokio::join!(receive_all(&mut client), serve);
    assert!(heard.is_empty() && matches!(end, ClientError::Binary), "{end}");
    assert!(farewell.contains("CloseCode(1003)"), "{farewell}");
}

#[test]
fn a_reason_cannot_steer_the_terminal() {
    let end = ClientError::Closed {
        code: None,
        reason: "\u{1b}[31m\u{9b}x".to_owned(),
    };
    let words = "the server closed the connection without a code \u{fffd}[31m\u{fffd}x";
    assert_eq!(end.to_string(), words);
}
