//! This crate's `Session`, as a shard drives it.

use super::{Decoder, MESSAGE_BYTES_MAX, RECEIVE_BYTES};
use crate::talk::Tally;
use crate::talk::link::Link;
use std::hint::black_box;
use tickwire::wire::{Event, ServerSession};

pub(super) struct Tickwire {
    link: Link,
    session: ServerSession,
    buffer: Vec<u8>,
    replies: Vec<u8>,
}

impl Tickwire {
    pub(super) fn new(link: Link) -> Self {
        let message_bytes_max = u32::try_from(MESSAGE_BYTES_MAX).expect("it is a megabyte");
        Self {
            link,
            session: ServerSession::new(message_bytes_max),
            buffer: vec![0; ServerSession::buffer_bytes_min(message_bytes_max) + RECEIVE_BYTES],
            replies: Vec::new(),
        }
    }
}

impl Decoder for Tickwire {
    fn pass(&mut self) -> Tally {
        self.link.rewind();
        let mut tally = Tally::default();
        loop {
            let held = self.session.held();
            let received = self.link.receive(&mut self.buffer[held..held + RECEIVE_BYTES]);
            if received == 0 {
                tally.reply_bytes = self.link.reply_bytes();
                return tally;
            }
            let mut decoder = self.session.decode(&mut self.buffer[..held + received]);
            while let Some((event, sender)) = decoder.next().expect("the stream is valid") {
                match event {
                    Event::Text(text) => {
                        tally.messages += 1;
                        tally.message_bytes += black_box(text).len() as u64;
                    }
                    Event::Ping(payload) => {
                        self.replies.clear();
                        sender
                            .pong(payload, &mut self.replies)
                            .expect("the session is open");
                        self.link.send(&self.replies);
                    }
                    Event::Pong(_) => {}
                    Event::Binary(_) | Event::Close(_) => unreachable!("the stream has none"),
                }
            }
            let _ = decoder.finish();
        }
    }
}
