//! tungstenite's `WebSocket` on a socket that does not block.

use super::{Decoder, MESSAGE_BYTES_MAX, RECEIVE_BYTES};
use crate::talk::Tally;
use crate::talk::link::Link;
use std::hint::black_box;
use std::io::ErrorKind;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

pub(super) struct Tungstenite {
    link: Link,
    socket: WebSocket<Link>,
}

impl Tungstenite {
    pub(super) fn new(link: Link) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(RECEIVE_BYTES)
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        Self {
            socket: WebSocket::from_raw_socket(link.clone(), Role::Server, Some(config)),
            link,
        }
    }
}

impl Decoder for Tungstenite {
    fn pass(&mut self) -> Tally {
        self.link.rewind();
        let mut tally = Tally::default();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => {
                    tally.messages += 1;
                    tally.message_bytes += black_box(text.as_str()).len() as u64;
                }
                // It has answered, or does with the next read.
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) => unreachable!("the stream has none"),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        tally.reply_bytes = self.link.reply_bytes();
        tally
    }
}
