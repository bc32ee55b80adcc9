//! One shard with its clients on simulated sockets, and where counting begins and ends.

use std::hint::black_box;
use std::sync::Arc;

use tickwire::base::{Census, Key, Now, Orders, Socket};
use tickwire::market::{Decimal, Quote, Side, Tick, Trade};
use tickwire::ring::{
    Batch, Bell as _, Client, Completion, Counters, Errno, Faults, Interest, Ring, Short, SimNet, SimRing,
};
use tickwire::shard::{Shard, Site, Size, Slack};
use tickwire::tape::{self, Shape};
use tickwire::writer::Sequencer;
use tickwire::writer::source::Event;

/// A channel of trades.
pub(crate) const TRADE: &str = "trade:X";
/// A channel on which nothing is published unless a scenario says so.
pub(crate) const WANTED: &str = "trade:W";

/// A shard, the writer of its tape, and everybody who is connected.
#[derive(Debug)]
pub(crate) struct Stage {
    net: SimNet,
    shard: Shard<Simulated>,
    bell: <SimRing as Ring>::Doorbell,
    sequencer: Sequencer,
    clients: Vec<Reader>,
    published: u64,
    /// Frames that clients have read of what was sent while counting.
    pub(crate) counted_frames: u64,
}

/// A client that counts frames.
#[derive(Debug)]
struct Reader {
    socket: Client,
    unread: Vec<u8>,
    upgraded: bool,
    stopped: bool,
    frames: u64,
}

impl Stage {
    /// So many have subscribed to `channels` and read everything so far.
    pub(crate) fn of(subscribers: usize, channels: &str) -> Self {
        let net = SimNet::new(1, Faults::default());
        let shape = Shape {
            records: 64 * 1024,
            track_bytes: vec![tickwire::limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).expect("a tape of this shape");
        let ring = net.ring();
        let bell = ring.doorbell();
        let shard = Shard::new(
            Simulated(ring),
            readers.pop().expect("one reader"),
            Size::feed(2048, 4),
            // The times of what is published are not the machine's.
            Site::new(0, "stage".into()).with_slack(Slack::UNBOUNDED),
            Arc::new(Census::default()),
            Arc::new(Orders::default()),
        );
        let mut stage = Self {
            net,
            shard,
            bell,
            sequencer: Sequencer::new(writer),
            clients: Vec::new(),
            published: 0,
            counted_frames: 0,
        };
        for channel in [WANTED, TRADE, "trade:Y", "bbo:X", "note:X"] {
            stage.publish(channel);
        }
        stage.rest();
        stage.connect(subscribers, channels);
        stage.rest();
        for client in &mut stage.clients {
            client.read();
            assert!(client.upgraded && client.unread.is_empty());
        }
        stage
    }

    /// Does something so many times; what the shard makes of it each time is counted.
    pub(crate) fn count(&mut self, times: u64, what: impl Fn(&mut Self)) {
        for _ in 0..times {
            what(self);
            self.wake();
            let before = self.frames();
            while !(self.net.is_idle() && self.shard.is_idle(self.net.now())) {
                counted_turn(&mut self.shard);
            }
            self.counted_frames += self.frames() - before;
        }
    }

    /// Frames that everybody has read by now.
    pub(crate) fn frames(&mut self) -> u64 {
        for client in &mut self.clients {
            client.read();
        }
        self.clients.iter().map(|client| client.frames).sum()
    }

    /// Turns, uncounted, until the shard would only wait.
    pub(crate) fn rest(&mut self) {
        self.wake();
        while !(self.net.is_idle() && self.shard.is_idle(self.net.now())) {
            self.shard.turn().expect("a simulated ring does not break");
        }
    }

    /// So many more connect, and subscribe in doing so.
    pub(crate) fn connect(&mut self, count: usize, channels: &str) {
        let head = format!(
            "GET /v1/ws?ch={channels} HTTP/1.1\r\nHost: stage\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        for _ in 0..count {
            let mut socket = self.net.connect(0);
            assert_eq!(socket.write(head.as_bytes()), head.len());
            self.clients.push(Reader {
                socket,
                unread: Vec::new(),
                upgraded: false,
                stopped: false,
                frames: 0,
            });
        }
    }

    /// So many in a hundred read no more, and their sockets are full. Says how many.
    pub(crate) fn stop_reading(&mut self, percent: usize) -> usize {
        for (number, client) in self.clients.iter_mut().enumerate() {
            client.stopped = number % 100 * percent / 100 != (number % 100 + 1) * percent / 100;
        }
        for _ in 0..20 {
            for _ in 0..40 {
                self.publish(TRADE);
            }
            self.rest();
            self.frames();
        }
        self.clients.iter().filter(|client| client.stopped).count()
    }

    /// Everybody sends a frame.
    pub(crate) fn say(&mut self, opcode: u8, payload: &[u8]) {
        let length = u8::try_from(payload.len()).expect("a short payload");
        let mask = [0x12, 0x34, 0x56, 0x78];
        let mut frame = vec![0x80 | opcode, 0x80 | length];
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        for client in &mut self.clients {
            assert_eq!(client.socket.write(&frame), frame.len());
        }
    }

    /// Puts something on a channel. The shard is not told.
    pub(crate) fn publish(&mut self, channel: &str) {
        let one = Decimal::new(1, -5);
        match channel.split_once(':') {
            Some(("trade", _)) => self.put(
                channel,
                Tick::Trade(Trade {
                    price: Decimal::new(6_168_599, -2),
                    size: one,
                    side: Side::Buy,
                    id: "",
                }),
            ),
            Some(("bbo", _)) => self.put(
                channel,
                Tick::Quote(Quote {
                    bid_price: Decimal::new(6_168_598, -2),
                    bid_size: one,
                    ask_price: Decimal::new(6_168_599, -2),
                    ask_size: one,
                }),
            ),
            _ => self.put(
                channel,
                Tick::Message("\"a message of some length, as they come\""),
            ),
        }
    }

    fn put(&mut self, channel: &str, tick: Tick<'_>) {
        self.published += 1;
        let now = Now {
            mono_ns: self.published,
            wall_ns: 1_723_161_600_000_000_000 + self.published,
        };
        let event = Event {
            channel,
            ts_ns: now.wall_ns,
            tick,
        };
        self.sequencer.publish(&event, now).expect("a proper event");
        self.sequencer
            .settle()
            .expect("between its turns a shard pins nothing");
    }

    fn wake(&mut self) {
        let bell = &self.bell;
        self.sequencer.wake_readers(|_| bell.ring());
    }
}

impl Reader {
    /// Reads what there is, and counts its frames.
    fn read(&mut self) {
        if self.stopped {
            return;
        }
        self.socket.read(&mut self.unread);
        let mut start = 0;
        if !self.upgraded
            && let Some(end) = self.unread.windows(4).position(|four| four == b"\r\n\r\n")
        {
            (self.upgraded, start) = (true, end + 4);
        }
        while let Some(bytes) = frame_bytes(&self.unread[start..]) {
            start += bytes;
            self.frames += 1;
        }
        self.unread.drain(..start);
    }
}

/// Bytes of the whole frame at the front.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let whole = match *bytes {
        [_, length @ 0..126, ..] => 2 + usize::from(length),
        [_, 126, high, low, ..] => 4 + usize::from(u16::from_be_bytes([high, low])),
        _ => return None,
    };
    (bytes.len() >= whole).then_some(whole)
}

/// What is counted.
#[inline(never)]
fn counted_turn(shard: &mut Shard<Simulated>) {
    black_box(shard).turn().expect("a simulated ring does not break");
}

/// What is not, although it happens within.
#[inline(never)]
fn uncounted<T>(what: impl FnOnce() -> T) -> T {
    black_box(what())
}

/// A simulated ring that is left out of the count.
#[derive(Debug)]
struct Simulated(SimRing);

impl Ring for Simulated {
    type Doorbell = <SimRing as Ring>::Doorbell;

    fn wait(&mut self, deadline_ns: Option<u64>, completions: &mut Vec<Completion>) -> Result<Now, Errno> {
        uncounted(|| self.0.wait(deadline_ns, completions))
    }

    fn accept(&mut self) {
        uncounted(|| self.0.accept());
    }

    fn stop_listening(&mut self) {
        uncounted(|| self.0.stop_listening());
    }

    fn arm(&mut self, key: Key, socket: Socket, interest: Interest) {
        uncounted(|| self.0.arm(key, socket, interest));
    }

    fn disarm(&mut self, key: Key) {
        uncounted(|| self.0.disarm(key));
    }

    fn recv_batch(
        &mut self,
        sockets: &[Socket],
        buffer: &mut [u8],
        lane_bytes: usize,
        received: &mut Vec<Result<usize, Errno>>,
    ) {
        uncounted(|| self.0.recv_batch(sockets, buffer, lane_bytes, received));
    }

    fn send_batch(&mut self, batch: &Batch<'_>, short: &mut Vec<Short>) {
        uncounted(|| self.0.send_batch(batch, short));
    }

    fn finish(&mut self, socket: Socket) {
        uncounted(|| self.0.finish(socket));
    }

    fn shutdown(&mut self, socket: Socket) {
        uncounted(|| self.0.shutdown(socket));
    }

    fn close(&mut self, socket: Socket) {
        uncounted(|| self.0.close(socket));
    }

    fn doorbell(&self) -> Self::Doorbell {
        self.0.doorbell()
    }

    fn counters(&self) -> Counters {
        self.0.counters()
    }
}
