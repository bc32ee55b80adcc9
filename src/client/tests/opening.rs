//! The opening handshake, and all the ways in which it fails.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::peer::{accept, answer, listen, said};
use crate::client::connection::{Connection, Wishes};
use crate::client::{ClientError, ConnectError, Url};
use crate::wire::{HeadScan, Refusal, Rejection, Request};

/// Makes a piece of an answer from the request.
type Piece<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Connects to a server that answers with these pieces and then hangs up.
async fn connect_to(pieces: &[Piece<'_>]) -> Result<Connection, ConnectError> {
    let (listener, url) = listen().await;
    let serve = async {
        let (mut stream, head) = accept(&listener).await;
        for piece in pieces {
            stream.write_all(&piece(&head)).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(Connection::open(&url, Wishes::default()), serve).0
}

fn text(text: &'static str) -> impl Fn(&[u8]) -> Vec<u8> {
    move |_| text.as_bytes().to_vec()
}

#[tokio::test]
async fn a_refusal_is_told_with_its_status_and_the_first_line_of_its_body() {
    for (refusal, words) in [
        (
            Refusal::ProtocolUnsupported {
                supported: &["other.v9"],
            },
            "400 Bad Request: ",
        ),
        (Refusal::NotFound, "404 Not Found: "),
        (Refusal::UpgradeMissing, "426 Upgrade Required: "),
        (
            Refusal::Overloaded { retry_after_s: 1 },
            "503 Service Unavailable: no room for another connection",
        ),
    ] {
        let mut response = Vec::new();
        refusal.write(&mut response);
        let body_start = response
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")
            .unwrap()
            + 4;
        let line = String::from_utf8(response[body_start..].to_vec()).unwrap();
        // Whole, and with its body in two pieces of its own.
        for cuts in [[0, 0], [body_start, body_start + 3], [10, body_start]] {
            let piece = |from: usize, to: usize| {
                let piece = response[from..to].to_vec();
                move |_: &[u8]| piece.clone()
            };
            let pieces = [
                piece(0, cuts[0]),
                piece(cuts[0], cuts[1]),
                piece(cuts[1], response.len()),
            ];
            let error = connect_to(&[&pieces[0], &pieces[1], &pieces[2]])
                .await
                .unwrap_err();
            let said = error.to_string();
            assert!(said.contains(words) && said.contains(line.trim_end()), "{said}");
            assert!(
                matches!(error, ConnectError::Rejected(Rejection::Status { status, .. }) if status == refusal.status())
            );
        }
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_or_speaks_something_else_is_told_apart() {
    let error = connect_to(&[]).await.unwrap_err();
    assert!(matches!(error, ConnectError::HungUp), "{error}");
    let error = connect_to(&[&text("HTTP/1.1 101 Switching")]).await.unwrap_err();
    assert!(matches!(error, ConnectError::HungUp), "{error}");
    let error = connect_to(&[&text("SSH-2.0-OpenSSH\r\n\r\n")]).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Rejected(Rejection::StatusLine)),
        "{error}"
    );
    let stale = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let error = connect_to(&[&text(stale)]).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Rejected(Rejection::Accept)),
        "{error}"
    );
}

#[tokio::test]
async fn a_websocket_that_does_not_speak_our_language_is_refused() {
    let without = |head: &[u8]| {
        let answer = String::from_utf8(answer(head)).unwrap();
        answer
            .replace("Sec-WebSocket-Protocol: tickwire.v1.json\r\n", "")
            .into_bytes()
    };
    let error = connect_to(&[&without]).await.unwrap_err();
    assert!(
        matches!(
            error,
            ConnectError::NoSubprotocol {
                asked: "tickwire.v1.json"
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_refuses() {
    let (listener, url) = listen().await;
    drop(listener);
    let error = Connection::open(&url, Wishes::default()).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Connect { .. }), "{error}");
    assert!(error.to_string().contains("refuses connections"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_given_up() {
    let (listener, url) = listen().await;
    let silent = async {
        let _open = accept(&listener).await;
        std::future::pending::<()>().await;
    };
    let error = tokio::select! {
        connected = Connection::open(&url, Wishes::default()) => connected.unwrap_err(),
        () = silent => unreachable!("it pends for ever"),
    };
    assert!(
        matches!(&error, ConnectError::Timeout { authority } if *authority == url.authority()),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn before_the_server_has_answered_nothing_follows_the_request() {
    let (listener, url) = listen().await;
    let silent = async {
        let (mut stream, head) = accept(&listener).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (head, rest)
    };
    let (connected, (head, rest)) = tokio::join!(Connection::open(&url, Wishes::default()), silent);
    assert!(connected.is_err() && rest.is_empty(), "{}", rest.escape_ascii());
    assert_eq!(head.windows(4).filter(|four| four == b"\r\n\r\n").count(), 1);
}

#[tokio::test]
async fn each_connection_has_a_key_of_its_own() {
    let mut keys = BTreeSet::new();
    for _ in 0..8 {
        let (listener, url) = listen().await;
        let serve = async { accept(&listener).await.1 };
        let (_, head) = tokio::join!(Connection::open(&url, Wishes::default()), serve);
        let (request, _) = Request::parse(&head, &mut HeadScan::default()).unwrap().unwrap();
        let key = request.fields().sole("Sec-WebSocket-Key").unwrap().unwrap();
        keys.insert(key.to_vec());
    }
    assert_eq!(keys.len(), 8);
}

#[tokio::test]
async fn the_request_is_the_one_of_the_address() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return; // A host without IPv6.
    };
    let address = listener.local_addr().unwrap();
    let url: Url = format!("ws://{address}/feed?ch=trade:*").parse().unwrap();
    let serve = async {
        let (_stream, head) = accept(&listener).await;
        String::from_utf8(head).unwrap()
    };
    let (_, head) = tokio::join!(Connection::open(&url, Wishes::default()), serve);
    assert!(head.starts_with("GET /feed?ch=trade:* HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nHost: {address}\r\n")), "{head}");
    assert!(
        head.contains("\r\nSec-WebSocket-Protocol: tickwire.v1.json\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn frames_that_come_with_the_answer_are_not_lost() {
    let with_frames = |head: &[u8]| [&answer(head)[..], b"\x81\x09{\"t\":\"a\"}\x81\x09{\"t\":"].concat();
    let rest = text("\"b\"}");
    let mut client = connect_to(&[&with_frames, &rest]).await.unwrap();
    let mut heard = String::new();
    let end = loop {
        let received = client.receive(|message| {
            heard.push_str(&said(message));
            ControlFlow::Continue(())
        });
        if let Err(end) = received.await {
            break end;
        }
    };
    assert_eq!(heard, r#"{"t":"a"}{"t":"b"}"#);
    assert!(matches!(end, ClientError::Cut), "{end}");
}
