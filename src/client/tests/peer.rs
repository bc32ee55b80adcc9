//! The other end: a listener on a port of its own, and a server's session behind it.

use std::collections::VecDeque;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Url;
use crate::client::conversation::Payload;
use crate::wire::{DeflatePolicy, Event, HeadScan, Request, ServerSession, Upgrade};

/// What a message is, as text.
pub(in crate::client) fn said(payload: Payload<'_>) -> String {
    match payload {
        Payload::Text(text) => text.to_owned(),
        Payload::Binary(bytes) => format!("{bytes:?}"),
    }
}

/// A listener, and the address that leads to it.
pub(super) async fn listen() -> (TcpListener, Url) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    (listener, url)
}

/// Accepts a connection and reads its request.
pub(super) async fn accept(listener: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(
            stream.read_buf(&mut head).await.unwrap() > 0,
            "the request is cut"
        );
    }
    (stream, head)
}

/// The answer that opens the connection.
pub(super) fn answer(head: &[u8]) -> Vec<u8> {
    answer_with(head, &DeflatePolicy::default())
}

/// The same, with what this policy makes of an offer of compression.
pub(super) fn answer_with(head: &[u8], policy: &DeflatePolicy) -> Vec<u8> {
    let (request, _) = Request::parse(head, &mut HeadScan::default()).unwrap().unwrap();
    let upgrade = Upgrade::parse(request).unwrap();
    let mut out = Vec::new();
    upgrade.accept(upgrade.protocols().next(), upgrade.deflate(policy), &mut out);
    out
}

/// One open connection, as the server has it.
pub(super) struct Peer {
    stream: TcpStream,
    pub(super) session: ServerSession,
    buffer: Vec<u8>,
    heard: VecDeque<String>,
}

impl Peer {
    pub(super) async fn open(listener: &TcpListener) -> Self {
        Self::open_with(listener, &DeflatePolicy::default()).await
    }

    pub(super) async fn open_with(listener: &TcpListener, policy: &DeflatePolicy) -> Self {
        let (mut stream, head) = accept(listener).await;
        stream.write_all(&answer_with(&head, policy)).await.unwrap();
        Self {
            stream,
            session: ServerSession::new(64 * 1024),
            buffer: Vec::new(),
            heard: VecDeque::new(),
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Ends our stream.
    pub(super) async fn end(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    pub(super) async fn say(&mut self, text: &str) {
        let mut out = Vec::new();
        self.session.sender().text(text, &mut out).unwrap();
        self.send(&out).await;
    }

    /// The next event in its debugging form; `"end"` where the client hung up.
    pub(super) async fn hear(&mut self) -> String {
        while self.heard.is_empty() {
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return "end".to_owned();
            }
            let mut decoder = self.session.decode(&mut self.buffer);
            while let Some((event, _)) = decoder.next().unwrap() {
                self.heard.push_back(match event {
                    Event::Text(text) => text.to_owned(),
                    Event::Binary(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => {
                        format!("{event:?}")
                    }
                });
            }
            let held = decoder.finish();
            self.buffer.truncate(held);
        }
        self.heard.pop_front().unwrap()
    }
}
