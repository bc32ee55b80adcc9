//! The foreign client: tokio-tungstenite, with every wait bounded.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::Utf8Bytes;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use tickwire::dialect::native_binary::{self, Content};
use tickwire::dialect::{Encoding, native_json};

use super::within;

/// One connection of a client that we did not write.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What a connection said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Socket {
    /// Connects to the feed with this query, which may be empty.
    pub(crate) async fn connect(address: SocketAddr, query: &str) -> Self {
        let url = format!("ws://{address}/v1/ws{query}");
        let (stream, _) = within("connect", tokio_tungstenite::connect_async(&url))
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        Self { stream }
    }

    /// The same in `tickwire.v1.bin`: ticks are given as the JSON that others get.
    pub(crate) async fn connect_binary(address: SocketAddr, query: &str) -> Self {
        let url = format!("ws://{address}/v1/ws{query}");
        let mut request = url.as_str().into_client_request().expect("a URL");
        let language = Encoding::Binary.subprotocol();
        let value = language.parse().expect("a subprotocol is a field's value");
        request.headers_mut().insert("Sec-WebSocket-Protocol", value);
        let (stream, response) = within("connect", tokio_tungstenite::connect_async(request))
            .await
            .unwrap_or_else(|error| panic!("{url}: {error}"));
        let chosen = response.headers().get("Sec-WebSocket-Protocol");
        assert_eq!(chosen.map(|chosen| chosen.as_bytes()), Some(language.as_bytes()));
        Self { stream }
    }

    /// The next text, or why there will be none. Pings are answered on the way.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Closed> {
        loop {
            match within("a message", self.stream.next()).await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Binary(bytes))) => return Ok(said(&bytes).into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(frame))) => {
                    let frame = frame.expect("every close has a code and a reason");
                    return Err(Closed {
                        code: frame.code.into(),
                        reason: frame.reason.to_string(),
                    });
                }
                Some(Ok(other)) => panic!("a server never sends {other:?}"),
                Some(Err(error)) => panic!("the connection broke: {error}"),
                None => panic!("the connection ended without a close frame"),
            }
        }
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> Utf8Bytes {
        self.next()
            .await
            .unwrap_or_else(|closed| panic!("closed early: {closed:?}"))
    }

    /// The next message.
    pub(crate) async fn json(&mut self) -> Value {
        let text = self.text().await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The next message of type `t`; what comes before it is dropped.
    pub(crate) async fn json_of(&mut self, t: &str) -> Value {
        loop {
            let message = self.json().await;
            if message["t"] == t {
                return message;
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        within("send", self.stream.send(message))
            .await
            .expect("the server reads");
    }

    /// Closes from this end, and reads until the server's close frame and the end of the stream have come.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) -> Closed {
        use tokio_tungstenite::tungstenite::protocol::CloseFrame;
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.send_message(Message::Close(Some(frame))).await;
        self.last_words().await
    }

    /// Reads until the server's close frame and the end of the stream have come.
    pub(crate) async fn last_words(&mut self) -> Closed {
        let closed = loop {
            if let Err(closed) = self.next().await {
                break closed;
            }
        };
        self.ended().await;
        closed
    }

    /// Reads to the end of the stream, which comes without another message.
    pub(crate) async fn ended(&mut self) {
        match within("the end", self.stream.next()).await {
            None | Some(Err(Error::ConnectionClosed)) => {}
            Some(other) => panic!("after the close frame: {other:?}"),
        }
    }
}

/// A binary tick as JSON says it.
fn said(bytes: &[u8]) -> String {
    let mut levels = Vec::new();
    let message = native_binary::Message::decode(bytes, &mut levels).expect("a tick can be read");
    let Content::Tick(stamp, tick) = message.content else {
        panic!("{message:?} is of an unknown kind");
    };
    let mut text = Vec::new();
    native_json::encode(&mut text, &stamp, &tick);
    String::from_utf8(text).expect("JSON is text")
}
