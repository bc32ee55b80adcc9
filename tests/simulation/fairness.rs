//! One busy channel with many subscribers: whoever else wants something does not wait until all of them are served.

use std::sync::Arc;

use tickwire::base::{Census, Now};
use tickwire::limits::{ROUND_RECORDS, TURN_SENDS};
use tickwire::market::Tick;
use tickwire::ring::{Bell as _, Client, Faults, Ring as _, SimNet, SimRing};
use tickwire::shard::{Shard, Site, Size};
use tickwire::tape::{self, Shape};
use tickwire::writer::Sequencer;
use tickwire::writer::source::Event;

use super::frames;

/// A shard whose subscribers all want the channel `note:X`.
struct Crowd {
    net: SimNet,
    shard: Shard<SimRing>,
    census: Arc<Census>,
    bell: <SimRing as tickwire::ring::Ring>::Doorbell,
    sequencer: Sequencer,
    subscribers: Vec<Client>,
}

const SUBSCRIBERS: usize = 10_000;
/// Enough to be heard, sent what one owes, and heard again.
const ROUNDS: usize = 4;

impl Crowd {
    fn gather() -> Self {
        Self::of(SUBSCRIBERS, 4096)
    }

    /// So many subscribers, and a tape of so many records.
    fn of(subscribers: usize, records: usize) -> Self {
        let net = SimNet::new(1, Faults::default());
        let shape = Shape {
            records,
            track_bytes: vec![tickwire::limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, mut tapes) = tape::new(&shape).unwrap();
        let ring = net.ring();
        let bell = ring.doorbell();
        let census: Arc<Census> = Arc::default();
        let (size, site) = (Size::feed(subscribers + 8, 2), Site::new(0, "epoch".into()));
        let shard = Shard::new(
            ring,
            tapes.remove(0),
            size,
            site,
            Arc::clone(&census),
            Arc::default(),
        );
        let mut crowd = Self {
            net,
            shard,
            census,
            bell,
            sequencer: Sequencer::new(writer),
            subscribers: Vec::new(),
        };
        crowd.publish();
        crowd.rest();
        // Not all at once: they would be owed more replies than there is room for.
        for number in 0..subscribers {
            let client = crowd.connect("?ch=note:X");
            crowd.subscribers.push(client);
            if number % 1000 == 999 {
                crowd.rest();
            }
        }
        crowd.rest();
        for client in &mut crowd.subscribers {
            let mut greeting = Vec::new();
            client.read(&mut greeting);
            assert!(greeting.starts_with(b"HTTP/1.1 101") && greeting.ends_with(b"}"));
        }
        crowd
    }

    fn publish(&mut self) {
        self.publish_on("note:X");
    }

    fn publish_on(&mut self, channel: &str) {
        let event = Event {
            channel,
            ts_ns: 1,
            tick: Tick::Message("1"),
        };
        let now = Now {
            mono_ns: 1,
            wall_ns: 1,
        };
        self.sequencer.publish(&event, now).unwrap();
        while self.sequencer.settle().is_err() {
            self.ring();
            self.shard.turn().unwrap();
        }
        self.ring();
    }

    fn ring(&mut self) {
        let bell = &self.bell;
        self.sequencer.wake_readers(|_| bell.ring());
    }

    fn connect(&self, query: &str) -> Client {
        let mut client = self.net.connect(0);
        let head = format!(
            "GET /v1/ws{query} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        assert_eq!(client.write(head.as_bytes()), head.len());
        client
    }

    /// One turn; it makes no more sends of ticks than a turn may.
    fn turn(&mut self) {
        let before = self.census.sends.read();
        self.shard.turn().unwrap();
        self.shard.invariants();
        assert!(self.census.sends.read() - before <= TURN_SENDS as u64);
    }

    /// Publishes a tick and makes one turn: gives a subscriber that has been sent it, and one that is among the last.
    fn amid_a_round(&mut self) -> (Client, Client) {
        self.publish();
        self.turn();
        let (mut first, last) = (self.subscribers.remove(0), self.subscribers.pop().unwrap());
        if read(&mut first).is_empty() {
            (last, first)
        } else {
            (first, last)
        }
    }

    fn rest(&mut self) {
        while !(self.net.is_idle() && self.shard.is_idle(self.net.now())) {
            self.shard.turn().unwrap();
        }
    }

    /// How many have been sent the tick.
    fn served(&mut self) -> usize {
        let mut bytes = Vec::new();
        let served = |client: &mut Client| client.read(&mut bytes) > 0;
        self.subscribers
            .iter_mut()
            .map(served)
            .filter(|served| *served)
            .count()
    }
}

fn read(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    bytes
}

fn ping(client: &mut Client) {
    let frame = frames::masked(1, br#"{"op":"ping","id":7}"#, [1, 2, 3, 4]);
    assert_eq!(client.write(&frame), frame.len());
}

#[test]
fn whoever_asks_or_connects_while_thousands_are_sent_a_tick_waits_for_a_slice_of_them() {
    let mut crowd = Crowd::gather();
    let mut bystander = crowd.connect("");
    crowd.rest();
    assert!(read(&mut bystander).starts_with(b"HTTP/1.1 101"));
    crowd.publish();
    crowd.turn();
    ping(&mut bystander);
    let mut newcomer = crowd.connect("");
    crowd.turn();
    assert!(
        read(&mut bystander).ends_with(b"}"),
        "a command is answered in the turn in which it arrives"
    );
    crowd.turn();
    assert!(
        read(&mut newcomer).starts_with(b"HTTP/1.1 101"),
        "and a newcomer in the turn after"
    );
    let served = crowd.served();
    assert_eq!(served, 3 * TURN_SENDS, "while most of the others still wait");
    crowd.rest();
    assert_eq!(served + crowd.served(), SUBSCRIBERS);
}

#[test]
fn a_subscriber_is_sent_its_tick_before_the_reply_to_what_it_asked_meanwhile() {
    let mut crowd = Crowd::gather();
    let (mut first, mut last) = crowd.amid_a_round();
    ping(&mut first);
    ping(&mut last);
    crowd.turn();
    assert!(
        text(&read(&mut first)).contains(r#""t":"pong""#),
        "who has its tick is answered at once"
    );
    assert!(read(&mut last).is_empty(), "who waits for it waits for both");
    crowd.rest();
    let got = text(&read(&mut last));
    let [tick, pong] = [r#""t":"msg""#, r#""t":"pong""#].map(|message| got.find(message));
    assert!(tick.is_some() && tick < pong, "{got}");
}

#[test]
fn a_subscriber_whose_share_comes_last_is_heard_although_there_is_always_another_tick() {
    let mut crowd = Crowd::gather();
    let (_, mut last) = crowd.amid_a_round();
    let command = frames::masked(1, br#"{"op":"sub","id":9,"ch":["trade:*"]}"#, [1, 2, 3, 4]);
    assert_eq!(last.write(&command), command.len());
    let mut got = String::new();
    for _ in 0..ROUNDS * SUBSCRIBERS.div_ceil(TURN_SENDS) {
        crowd.publish();
        crowd.turn();
        got.push_str(&text(&read(&mut last)));
    }
    assert!(got.contains(r#""t":"ack","id":9"#), "{got}");
}

/// A known bound: who has subscriptions gets more only when its shard has routed all that it has seen, and a shard that is
/// always more than a round behind never has. Everything else is served meanwhile, and the wait ends with the overload.
#[test]
fn a_subscriber_may_subscribe_to_more_although_its_shard_stays_more_than_a_round_behind() {
    let mut crowd = Crowd::of(1, 4 * ROUND_RECORDS);
    let mut client = crowd.subscribers.remove(0);
    crowd.publish_on("note:Y");
    let mut got = String::new();
    for round in 0..100 {
        for _ in 1..ROUND_RECORDS {
            crowd.publish_on("note:Y");
        }
        crowd.publish();
        crowd.turn();
        got.push_str(&text(&read(&mut client)));
        if round == 10 {
            for command in [
                &br#"{"op":"ping","id":7}"#[..],
                br#"{"op":"sub","id":9,"ch":["trade:*"]}"#,
            ] {
                let frame = frames::masked(1, command, [1, 2, 3, 4]);
                assert_eq!(client.write(&frame), frame.len());
            }
        }
    }
    assert!(got.contains(r#""t":"pong","id":7"#), "it is heard");
    assert!(got.contains(r#""t":"ack","id":9"#), "and answered");
    crowd.rest();
    got.push_str(&text(&read(&mut client)));
    let messages = got.matches(r#""t":"msg""#).count();
    assert_eq!(messages, 100, "it misses nothing");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
