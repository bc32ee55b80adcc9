//! A follower's end of one connection after the other: bytes in, bytes out, and what to say first.

use tickwire::base::Prng;

use super::follower::Follower;
use super::frames;
use super::truth::Truth;

pub struct Wire {
    prng: Prng,
    pub follower: Follower,
    /// What is to be written.
    pub outgoing: Vec<u8>,
    /// What was read and not looked at.
    pub incoming: Vec<u8>,
    upgraded: bool,
    refused: bool,
    /// What it offers at each connection.
    binary: bool,
    deflate: bool,
    /// Whether the server agreed to that.
    inflates: bool,
    /// Whether it has said goodbye.
    pub closing: bool,
}

impl Wire {
    /// One who wants some channels or other.
    pub fn new(mut prng: Prng) -> Self {
        let channels = (0..=prng.below(3)).map(|_| any_channel(&mut prng)).collect();
        Self::following(channels, prng)
    }

    /// One who wants these channels.
    pub fn following(channels: Vec<String>, mut prng: Prng) -> Self {
        let mut follower = Follower::default();
        // What it wants it asks for when it connects.
        drop(follower.subscribe(channels, false));
        Self {
            follower,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            upgraded: false,
            refused: false,
            binary: prng.chance(1, 2),
            deflate: prng.chance(1, 3),
            inflates: false,
            closing: false,
            prng,
        }
    }

    /// A connection begins.
    pub fn begin(&mut self) {
        self.incoming.clear();
        self.upgraded = false;
        self.refused = false;
        self.inflates = false;
        self.closing = false;
        let protocol = if self.binary {
            "tickwire.v1.bin, tickwire.v1.json"
        } else {
            "tickwire.v1.json"
        };
        let extension = if self.deflate {
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        } else {
            ""
        };
        let head = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Protocol: {protocol}\r\n{extension}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.outgoing = head.into_bytes();
        if let Some(request) = self.follower.connect(&mut self.prng) {
            self.send(1, request.as_bytes());
        }
    }

    /// Asks for other channels.
    pub fn subscribe(&mut self) {
        let channels = (0..=self.prng.below(2))
            .map(|_| any_channel(&mut self.prng))
            .collect();
        let resumes = self.prng.chance(1, 2);
        let request = self.follower.subscribe(channels, resumes);
        self.send(1, request.as_bytes());
    }

    /// Gives up a subscription, if it has any.
    pub fn unsubscribe(&mut self) {
        if let Some(request) = self.follower.unsubscribe(&mut self.prng) {
            self.send(1, request.as_bytes());
        }
    }

    pub fn say_goodbye(&mut self) {
        self.send(8, &3000_u16.to_be_bytes());
        self.closing = true;
    }

    /// Looks at all that has come and is whole.
    pub fn digest(&mut self, truth: &Truth) {
        if !self.upgraded {
            let Some(end) = self.incoming.windows(4).position(|four| four == b"\r\n\r\n") else {
                return;
            };
            let head: Vec<u8> = self.incoming.drain(..end + 4).collect();
            let head = String::from_utf8(head).expect("a head is ASCII");
            if head.starts_with("HTTP/1.1 503") {
                // Those whom it has lost sight of have not all been missed yet. It will be closed, and come back.
                self.refused = true;
            } else {
                assert!(head.starts_with("HTTP/1.1 101"), "{head}");
            }
            self.inflates = head.contains("\r\nSec-WebSocket-Extensions: ");
            self.upgraded = true;
        }
        while !self.refused
            && let Some((opcode, payload)) = frames::take(&mut self.incoming, self.inflates)
        {
            match opcode {
                1 => self.follower.text(&text(&payload), truth),
                0x41 => {
                    let message = frames::inflated(&payload, WINDOW_BITS);
                    self.follower.text(&text(&message), truth);
                }
                2 => self.follower.bytes(&payload, truth),
                8 => self.close(&payload, truth),
                9 => self.send(10, &payload),
                other => panic!("opcode {other}"),
            }
        }
    }

    fn close(&mut self, payload: &[u8], truth: &Truth) {
        let code = u16::from_be_bytes([payload[0], payload[1]]);
        let reason = text(&payload[2..]);
        let is_fair = match code {
            1012 => true,
            3000 => self.closing,
            4008 => reason.starts_with(SLOW),
            _ => false,
        };
        assert!(is_fair, "{code} {reason}");
        if let Some(why) = reason.strip_prefix(SLOW) {
            self.follower.disposed(why, truth);
        }
        if !self.closing {
            self.send(8, &payload[..2]);
            self.closing = true;
        }
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = self.prng.next_u64().to_be_bytes()[..4]
            .try_into()
            .expect("four bytes");
        self.outgoing.extend(frames::masked(opcode, payload, mask));
    }
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).expect("text is UTF-8")
}

fn any_channel(prng: &mut Prng) -> String {
    const CHANNELS: [&str; 17] = [
        "*",
        "trade:*",
        "bbo:*",
        "book:*",
        "trade:BTCUSDT",
        "trade:BTCUSDT",
        "bbo:BTCUSDT",
        "book:BTCUSDT",
        "room:1",
        "book:BTCUSDT/5",
        "book:BTCUSDT/20",
        "book:BTCUSDT@20ms",
        "book:BTCUSDT/3@20ms",
        "bbo:BTCUSDT@20ms",
        "trade:BTCUSDT@20ms",
        "room:1@20ms",
        "bbo:BTCUSDT",
    ];
    CHANNELS[prng.below(CHANNELS.len() as u64) as usize].to_owned()
}

/// Of what the server compresses.
const WINDOW_BITS: u8 = 12;
/// What a close says first of who is behind.
const SLOW: &str = "slow consumer: ";
