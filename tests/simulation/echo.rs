//! An echo and its clients: messages of every length, whole and in fragments, compressed where that was agreed, from
//! clients that read slowly or not at all for a while. Each must come back, once, in order, as it was sent.

use std::collections::VecDeque;
use std::sync::Arc;

use tickwire::base::{Orders, Prng};
use tickwire::ring::{Bell as _, Client as Socket, ClientState, Faults, Ring as _, SimNet, SimRing};
use tickwire::shard::{Shard, Site, Size};
use tickwire::tape::{self, Shape};

use super::frames;
use super::seeds::hot_receptions;

pub struct Echo {
    prng: Prng,
    net: SimNet,
    faults: Faults,
    shard: Shard<SimRing>,
    orders: Arc<Orders>,
    talkers: Vec<Talker>,
}

/// A client that knows what must come back.
struct Talker {
    socket: Socket,
    prng: Prng,
    deflate: bool,
    upgraded: bool,
    outgoing: VecDeque<u8>,
    incoming: Vec<u8>,
    expected: VecDeque<(u8, Vec<u8>)>,
    /// Pings that have not been answered.
    pings: u32,
    /// The code of the server's close frame.
    closed: Option<u16>,
}

impl Echo {
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut prng = Prng::new(seed);
        let net = SimNet::new(prng.next_u64(), faults);
        let (_, mut tapes) = tape::new(&Shape::smallest(1)).unwrap();
        let orders = Arc::new(Orders::default());
        let shard = Shard::new(
            net.ring(),
            tapes.remove(0),
            Size {
                hot_receptions: hot_receptions(&mut prng),
                ..Size::echo(8, MESSAGE_BYTES_MAX)
            },
            Site::echo(0),
            Arc::default(),
            Arc::clone(&orders),
        );
        let talkers = (0..2 + prng.below(5))
            .map(|_| Talker::new(net.connect(0), Prng::new(prng.next_u64())))
            .collect();
        Self {
            prng,
            net,
            faults,
            shard,
            orders,
            talkers,
        }
    }

    pub fn run(mut self) {
        for _ in 0..300 {
            let talker = self.prng.below(self.talkers.len() as u64) as usize;
            match self.prng.below(8) {
                0 => self.talkers[talker].say(),
                1 => self.talkers[talker].change_pace(),
                2..=4 => self.talkers[talker].pump(),
                _ => self.turn(),
            }
        }
        self.net.set_faults(Faults::default());
        self.until_quiet();
        for talker in &self.talkers {
            talker.check(self.faults.reset > 0);
        }
        self.part();
    }

    /// A turn, unless the shard would only wait: the simulated time would leap to its next ping.
    fn turn(&mut self) {
        if !(self.shard.is_idle(self.net.now()) && self.net.is_idle()) {
            self.shard.turn().unwrap();
            self.shard.invariants();
        }
    }

    /// Everybody reads and says what it has to say until nothing more happens.
    fn until_quiet(&mut self) {
        for _ in 0..100_000 {
            for talker in &mut self.talkers {
                talker.socket.set_pace(usize::MAX);
                talker.pump();
            }
            if self.net.is_idle() && self.shard.is_idle(self.net.now()) {
                if !self.talkers.iter().any(Talker::has_more_to_say) {
                    return;
                }
                // The shard has paused accepting.
                self.net.advance(10_000_000);
            }
            self.turn();
        }
        panic!("the echo does not come to rest");
    }

    /// The server is told to stop, and nothing is left behind.
    fn part(mut self) {
        self.orders.drain();
        self.shard.ring().doorbell().ring();
        for _ in 0..100_000 {
            if self.shard.is_over() {
                break;
            }
            self.shard.turn().unwrap();
            for talker in &mut self.talkers {
                talker.pump();
            }
        }
        assert!(self.shard.is_over() && self.shard.borrowed() == 0);
        for talker in &mut self.talkers {
            talker.pump();
            assert!(
                talker.closed == Some(1001) || talker.is_over(),
                "{:?}",
                talker.closed
            );
        }
    }
}

impl Talker {
    fn new(socket: Socket, mut prng: Prng) -> Self {
        let deflate = prng.chance(1, 2);
        let offer = if deflate {
            format!("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={WINDOW_BITS}\r\n")
        } else {
            String::new()
        };
        let head = format!(
            "GET / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{offer}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        Self {
            socket,
            prng,
            deflate,
            upgraded: false,
            outgoing: head.into_bytes().into(),
            incoming: Vec::new(),
            expected: VecDeque::new(),
            pings: 0,
            closed: None,
        }
    }

    /// Has something more to say, unless it has much to say already.
    fn say(&mut self) {
        if self.outgoing.len() > 512 * 1024 {
            return;
        }
        for _ in 0..=self.prng.below(6) {
            let message = self.message();
            let opcode = if self.prng.chance(1, 2) { 1 } else { 2 };
            let mask = (self.prng.next_u64() as u32).to_ne_bytes();
            let frame = if self.deflate && self.prng.chance(2, 3) {
                frames::masked_deflated(opcode, &message, mask)
            } else {
                frames::masked(opcode, &message, mask)
            };
            if self.prng.chance(1, 2) {
                self.outgoing.extend(frame);
            } else {
                self.say_in_fragments(frame, mask);
            }
            self.expected.push_back((opcode, message));
        }
    }

    /// Cuts a frame's payload into frames, with a ping here and there.
    fn say_in_fragments(&mut self, frame: Vec<u8>, mask: [u8; 4]) {
        let header_bytes = match frame[1] & 0x7f {
            126 => 8,
            127 => 14,
            _ => 6,
        };
        let unmasked = |(byte, mask): (&u8, &u8)| byte ^ mask;
        let payload: Vec<u8> = frame[header_bytes..]
            .iter()
            .zip(mask.iter().cycle())
            .map(unmasked)
            .collect();
        let piece_bytes = 1 + self.prng.below(1 + payload.len() as u64) as usize;
        let mut first = frame[0] & 0x4f;
        for piece in payload.chunks(piece_bytes.max(payload.len() / 500)) {
            let mut fragment = frames::masked(first, piece, mask);
            fragment[0] &= 0x7f;
            self.outgoing.extend(fragment);
            first = 0;
            if self.prng.chance(1, 20) {
                self.outgoing.extend(frames::masked(9, b"amid", mask));
                self.pings += 1;
            }
        }
        self.outgoing.extend(frames::masked(first, b"", mask));
    }

    /// Text that repeats itself here and there.
    fn message(&mut self) -> Vec<u8> {
        let magnitude = self.prng.below(18);
        let bytes = self.prng.below(1 + (1 << magnitude)) as usize;
        let variety = 1 + self.prng.below(90);
        (0..bytes.min(MESSAGE_BYTES_MAX as usize))
            .map(|_| b' ' + self.prng.below(variety) as u8)
            .collect()
    }

    fn change_pace(&mut self) {
        let pace = [0, 0, 100, 5000, usize::MAX][self.prng.below(5) as usize];
        self.socket.set_pace(pace);
    }

    /// Says what there is room for, reads what has come, and holds it against what must.
    fn pump(&mut self) {
        let (front, _) = self.outgoing.as_slices();
        let written = self.socket.write(front);
        self.outgoing.drain(..written);
        self.socket.read(&mut self.incoming);
        if !self.upgraded {
            let Some(end) = self.incoming.windows(4).position(|window| window == b"\r\n\r\n") else {
                return;
            };
            let head: Vec<u8> = self.incoming.drain(..end + 4).collect();
            assert!(head.starts_with(b"HTTP/1.1 101 "));
            self.upgraded = true;
        }
        while let Some((first, payload)) = frames::take(&mut self.incoming, self.deflate) {
            match first & 0x0f {
                9 => {}
                10 => {
                    assert_eq!(payload, b"amid");
                    self.pings -= 1;
                }
                8 => self.closed = Some(u16::from_be_bytes([payload[0], payload[1]])),
                opcode => {
                    let message = match first & 0x40 {
                        0 => payload,
                        _ => frames::inflated(&payload, WINDOW_BITS),
                    };
                    let expected = self.expected.pop_front();
                    assert!(
                        expected.as_ref() == Some(&(opcode, message)),
                        "an echo is what was sent"
                    );
                }
            }
        }
    }

    fn has_more_to_say(&self) -> bool {
        !self.outgoing.is_empty() && !self.is_over()
    }

    fn is_over(&self) -> bool {
        matches!(self.socket.state(), ClientState::Ended | ClientState::Reset)
    }

    fn check(&self, resets: bool) {
        if self.is_over() {
            assert!(resets, "dropped without a word: {:?}", self.closed);
            return;
        }
        assert_eq!((self.closed, self.pings), (None, 0));
        assert!(
            self.expected.is_empty(),
            "{} messages have not come back",
            self.expected.len()
        );
    }
}

const MESSAGE_BYTES_MAX: u32 = 150_000;
const WINDOW_BITS: u8 = 9;
