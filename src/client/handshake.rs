//! From an address to an open connection: look up, connect, ask for a WebSocket (RFC 6455 §4.1).
//!
//! Never follows a redirect, never tries twice and never speaks another subprotocol than it was told to.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::connection::Wishes;
use super::conversation::{Conversation, receive_buffer};
use super::{ConnectError, Url};
use crate::limits::{CLIENT_CONNECT_MS, CLIENT_REFUSAL_MS, HEAD_BYTES_MAX};
use crate::wire::{HeadScan, Offer, Rejection};

/// Opens a connection, within [`CLIENT_CONNECT_MS`].
pub(super) async fn open(url: &Url, wishes: Wishes) -> Result<(TcpStream, Conversation), ConnectError> {
    let opening = async {
        let mut stream = connect(url).await?;
        let conversation = greet(url, wishes, &mut stream).await?;
        Ok((stream, conversation))
    };
    match timeout(Duration::from_millis(CLIENT_CONNECT_MS), opening).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::Timeout {
            authority: url.authority(),
        }),
    }
}

async fn connect(url: &Url) -> Result<TcpStream, ConnectError> {
    let found = lookup_host((url.host(), url.port())).await;
    let addresses: Vec<_> = found
        .map_err(|error| ConnectError::Lookup {
            host: url.host().to_owned(),
            error,
        })?
        .collect();
    let connected = TcpStream::connect(&addresses[..]).await;
    let stream = connected.map_err(|error| ConnectError::Connect {
        authority: url.authority(),
        error,
    })?;
    stream.set_nodelay(true).map_err(ConnectError::Lost)?;
    Ok(stream)
}

/// Asks for a WebSocket and reads the answer; frames that came with it begin the conversation.
async fn greet(url: &Url, wishes: Wishes, stream: &mut TcpStream) -> Result<Conversation, ConnectError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(ConnectError::Random)?;
    let authority = url.authority();
    let protocols = [wishes.encoding.subprotocol()];
    let mut offer = Offer::new(&authority, url.target(), &protocols, nonce).map_err(ConnectError::Offer)?;
    if let Some(deflate) = wishes.deflate {
        offer = offer.with_deflate(deflate).map_err(ConnectError::Offer)?;
    }
    let mut request = Vec::new();
    offer.write(&mut request);
    stream.write_all(&request).await.map_err(ConnectError::Lost)?;

    let mut buffer = receive_buffer();
    let mut scan = HeadScan::default();
    let mut filled = 0;
    loop {
        let received = stream
            .read(&mut buffer[filled..])
            .await
            .map_err(ConnectError::Lost)?;
        if received == 0 {
            return Err(ConnectError::HungUp);
        }
        filled += received;
        match offer.read(&buffer[..filled], &mut scan) {
            Ok(None) => {}
            Ok(Some(accepted)) if accepted.protocol.is_none() => {
                let [asked] = protocols;
                return Err(ConnectError::NoSubprotocol { asked });
            }
            Ok(Some(accepted)) => {
                buffer.copy_within(accepted.head_bytes..filled, 0);
                let fresh = filled - accepted.head_bytes;
                return Ok(Conversation::new(
                    buffer,
                    fresh,
                    wishes.encoding,
                    accepted.deflate,
                ));
            }
            Err(rejection @ Rejection::Status { .. }) => {
                let filled = read_first_line(stream, &mut buffer, filled).await;
                let told = offer.read(&buffer[..filled], &mut HeadScan::default());
                return Err(ConnectError::Rejected(told.err().unwrap_or(rejection)));
            }
            Err(rejection) => return Err(ConnectError::Rejected(rejection)),
        }
    }
}

/// Reads on until the first line of a refusal's body is whole, for it says what to do better, and gives how far
/// the buffer is filled then. What goes wrong here only makes the refusal less telling.
async fn read_first_line(stream: &mut TcpStream, buffer: &mut [u8], mut filled: usize) -> usize {
    let reading = async {
        while filled < 2 * HEAD_BYTES_MAX && !has_first_line(&buffer[..filled]) {
            match stream.read(&mut buffer[filled..]).await {
                Ok(received @ 1..) => filled += received,
                Ok(0) | Err(_) => break,
            }
        }
    };
    // A server that keeps silent has said enough.
    let _ = timeout(Duration::from_millis(CLIENT_REFUSAL_MS), reading).await;
    filled
}

fn has_first_line(answer: &[u8]) -> bool {
    match HeadScan::default().find_end(answer) {
        Ok(Some(head_bytes)) => answer[head_bytes..].contains(&b'\n'),
        Ok(None) | Err(_) => true,
    }
}
