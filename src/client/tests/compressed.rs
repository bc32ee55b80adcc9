//! A server that compresses what it sends, with its history and without.

use std::ops::ControlFlow;

use super::peer::{Peer, listen, said};
use crate::client::ClientError;
use crate::client::connection::{Connection, Wishes};
use crate::client::conversation::Payload;
use crate::wire::{DeflateOffer, DeflatePolicy, Deflater, Fault};

const HELLO: &str = r#"{"t":"hello","v":1,"conn":"a","epoch":"e","time":1,"limits":{"subs":1,"msg":1}}"#;

#[tokio::test]
async fn compressed_messages_are_read_with_the_server_s_history_and_without() {
    for server_context_takeover in [false, true] {
        let policy = DeflatePolicy {
            server_context_takeover,
            ..DeflatePolicy::default()
        };
        let (listener, url) = listen().await;
        let wishes = Wishes {
            deflate: Some(DeflateOffer::default()),
            ..Wishes::default()
        };
        let (client, mut peer) = tokio::join!(
            Connection::open(&url, wishes),
            Peer::open_with(&listener, &policy)
        );
        let mut client = client.unwrap();
        let mut deflater = if server_context_takeover {
            Deflater::with_context_takeover(15)
        } else {
            Deflater::new(15)
        };
        let mut frames = Vec::new();
        for _ in 0..3 {
            let sender = peer.session.sender();
            sender.text_deflated(HELLO, &mut deflater, &mut frames).unwrap();
        }
        assert!(frames.len() < 3 * HELLO.len(), "it was worth it");
        peer.send(&frames).await;
        let mut heard = Vec::new();
        while heard.len() < 3 {
            let each = |message: Payload<'_>| {
                heard.push(said(message));
                ControlFlow::Continue(())
            };
            client.receive(each).await.unwrap();
        }
        assert_eq!(heard, [HELLO; 3]);
    }
}

#[tokio::test]
async fn a_server_that_compresses_unasked_is_told_so() {
    let (listener, url) = listen().await;
    let (client, mut peer) = tokio::join!(Connection::open(&url, Wishes::default()), Peer::open(&listener));
    let mut frame = Vec::new();
    let sender = peer.session.sender();
    sender
        .text_deflated(HELLO, &mut Deflater::new(15), &mut frame)
        .unwrap();
    peer.send(&frame).await;
    let mut client = client.unwrap();
    let (ended, heard) = tokio::join!(
        async {
            loop {
                if let Err(error) = client.receive(|_| ControlFlow::Continue(())).await {
                    break error;
                }
            }
        },
        async {
            let heard = peer.hear().await;
            peer.end().await;
            heard
        }
    );
    assert!(
        matches!(ended, ClientError::Fault(Fault::ReservedBits)),
        "{ended}"
    );
    assert!(heard.contains("1002"), "{heard}");
}
