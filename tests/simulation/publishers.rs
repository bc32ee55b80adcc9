//! Clients that publish, on several shards: each is acknowledged in order, each message is published once, and every
//! subscriber gets it once, whatever is short or late.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tickwire::base::Prng;
use tickwire::dialect::Publishers;
use tickwire::dialect::errand::way;
use tickwire::dialect::publisher::Grants;
use tickwire::limits::TRACK_BYTES_MIN;
use tickwire::ring::{Bell as _, Client, Faults, Ring as _, SimNet, SimRing};
use tickwire::shard::{Shard, Site, Size, Slack};
use tickwire::tape::{self, Shape};
use tickwire::writer::publish::Carried;
use tickwire::writer::{Counter, Publishing, Sequencer};

use super::frames;

/// A server, whose writer does something when the test says so.
pub struct Hall {
    prng: Prng,
    net: SimNet,
    shards: Vec<Shard<SimRing>>,
    bells: Vec<<SimRing as tickwire::ring::Ring>::Doorbell>,
    sequencer: Sequencer,
    counter: Counter,
    publishing: Publishing,
    guests: Vec<Guest>,
}

/// A client that publishes and subscribes.
struct Guest {
    client: Client,
    name: usize,
    /// What it has not been able to say yet, and what it has read and not understood yet.
    unsaid: Vec<u8>,
    unread: Vec<u8>,
    opened: bool,
    asked: u64,
    /// The keys of what it has published, by the number of the request.
    keys: BTreeMap<u64, String>,
    /// The replies that it got, in order, and the messages.
    acks: Vec<(u64, u64)>,
    pongs: Vec<u64>,
    refused: usize,
    messages: Vec<(u64, String)>,
}

impl Hall {
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut prng = Prng::new(seed);
        let net = SimNet::new(prng.next_u64(), faults);
        let readers = 1 + prng.below(3) as usize;
        let shape = Shape {
            records: 1 << 14,
            track_bytes: vec![TRACK_BYTES_MIN],
            readers,
        };
        let (writer, tapes) = tape::new(&shape).unwrap();
        let publishers = Publishers::new(Grants::parse(["room:*"]).unwrap(), Vec::new());
        let publishers = Arc::new(publishers.unwrap());
        let rings: Vec<SimRing> = (0..readers).map(|_| net.ring()).collect();
        let bells: Vec<_> = rings.iter().map(|ring| ring.doorbell()).collect();
        let (mut shards, mut ends) = (Vec::new(), Vec::new());
        for (shard, (ring, tape)) in rings.into_iter().zip(tapes).enumerate() {
            let bell = bells[shard].clone();
            let (asking, asked) = way(|| {}, move || bell.ring());
            ends.push(asked);
            let site = Site::new(shard, "epoch".into())
                .with_slack(Slack::UNBOUNDED)
                .asking(asking, Arc::clone(&publishers));
            let size = Size::feed(8, 4);
            shards.push(Shard::new(ring, tape, size, site, Arc::default(), Arc::default()));
        }
        Self {
            prng,
            net,
            shards,
            bells,
            sequencer: Sequencer::new(writer),
            counter: Counter::new(ends, Arc::default()),
            publishing: Publishing::of(publishers),
            guests: Vec::new(),
        }
    }

    pub fn run(mut self) {
        for name in 0..2 + self.prng.below(4) as usize {
            let shard = self.prng.below(self.shards.len() as u64) as usize;
            self.guests.push(Guest::new(self.net.connect(shard), name));
        }
        while !self.guests.iter().all(|guest| guest.opened) {
            self.turn();
            self.net.advance(1_000_000);
        }
        for _ in 0..400 {
            match self.prng.below(8) {
                0..=2 => {
                    let guest = self.prng.below(self.guests.len() as u64) as usize;
                    for _ in 0..=self.prng.below(40) {
                        self.guests[guest].ask(&mut self.prng);
                    }
                }
                3 => {
                    let most = self.prng.below(50) as usize;
                    self.write(most);
                }
                _ => self.turn(),
            }
        }
        self.settle();
        self.check();
    }

    /// The writer does what it was asked for, up to so many things, and tells what came of them.
    fn write(&mut self, most: usize) {
        let now = self.net.now();
        for _ in 0..most {
            let Some(taken) = self.counter.take() else { break };
            let Carried { outcome, journaled } =
                self.publishing.carry_out(&taken.errand, &mut self.sequencer, now);
            while self.sequencer.settle().is_err() {
                self.ring();
                self.turn();
            }
            self.counter.note(taken, outcome, journaled);
        }
        // As the feed does before it sleeps; and it sleeps until there is something to do.
        if self.counter.has_news() {
            self.ring();
            self.counter.tell(|_| None);
        }
    }

    fn ring(&mut self) {
        let bells = &self.bells;
        self.sequencer.wake_readers(|reader| bells[reader].ring());
    }

    /// Whoever has something to do, does it.
    fn turn(&mut self) {
        for guest in &mut self.guests {
            guest.pump();
        }
        for shard in &mut self.shards {
            if !(shard.is_idle(self.net.now()) && self.net.is_idle()) {
                shard.turn().unwrap();
                shard.invariants();
            }
        }
    }

    fn settle(&mut self) {
        let is_done = |guest: &Guest, published: u64| {
            guest.acks.len() + guest.pongs.len() + guest.refused == guest.asked as usize
                && guest.messages.len() as u64 >= published
        };
        for _ in 0..100_000 {
            self.write(1000);
            self.turn();
            let now = self.net.now();
            let quiet = self.net.is_idle() && self.shards.iter().all(|shard| shard.is_idle(now));
            let newest = self
                .guests
                .iter()
                .flat_map(|guest| guest.acks.iter().map(|(_, seq)| *seq));
            let published = newest.max().unwrap_or(0);
            if quiet && self.guests.iter().all(|guest| is_done(guest, published)) {
                return;
            }
            if quiet {
                self.net.advance(10_000_000);
            }
        }
        let left = self
            .guests
            .iter()
            .map(|guest| (guest.asked, guest.acks.len(), guest.pongs.len()));
        panic!("not everybody was answered: {:?}", left.collect::<Vec<_>>());
    }

    fn check(&self) {
        let mut published = BTreeMap::new();
        for guest in &self.guests {
            assert!(
                guest.acks.is_sorted_by(|(one, _), (other, _)| one < other) && guest.pongs.is_sorted(),
                "replies stand in the order of requests"
            );
            for (id, seq) in &guest.acks {
                let key = &guest.keys[id];
                let before = published.insert(*seq, key.clone());
                assert!(
                    before.is_none_or(|before| before == *key),
                    "number {seq} is of {key}"
                );
            }
        }
        let keys: std::collections::BTreeSet<_> = published.values().collect();
        assert_eq!(keys.len(), published.len(), "each key was published once");
        for guest in &self.guests {
            let got: BTreeMap<u64, String> = guest.messages.iter().cloned().collect();
            assert_eq!(got.len(), guest.messages.len(), "each message came once");
            let other = got.iter().zip(&published).find(|(one, other)| one != other);
            assert_eq!(
                (got.len(), other),
                (published.len(), None),
                "and every message came"
            );
        }
    }
}

impl Guest {
    fn new(client: Client, name: usize) -> Self {
        let head = b"GET /v1/ws?ch=* HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        Self {
            client,
            name,
            unsaid: head.to_vec(),
            unread: Vec::new(),
            opened: false,
            asked: 0,
            keys: BTreeMap::new(),
            acks: Vec::new(),
            pongs: Vec::new(),
            refused: 0,
            messages: Vec::new(),
        }
    }

    /// Publishes something, mostly new, or asks for the time.
    fn ask(&mut self, prng: &mut Prng) {
        self.asked += 1;
        let id = self.asked;
        let request = if prng.chance(1, 20) {
            format!(r#"{{"op":"ping","id":{id}}}"#)
        } else {
            // Some are said again, and some of those by another.
            let number = if prng.chance(1, 8) { prng.below(id) } else { id };
            let name = if prng.chance(1, 50) { 0 } else { self.name };
            let key = format!("{name}-{number}");
            self.keys.insert(id, key.clone());
            format!(r#"{{"op":"pub","id":{id},"ch":"room:1","data":"{key}","key":"{key}"}}"#)
        };
        self.unsaid
            .extend(frames::masked(1, request.as_bytes(), [1, 2, 3, 4]));
    }

    fn pump(&mut self) {
        let said = self.client.write(&self.unsaid);
        self.unsaid.drain(..said);
        self.client.read(&mut self.unread);
        if !self.opened {
            let Some(end) = self.unread.windows(4).position(|part| part == b"\r\n\r\n") else {
                return;
            };
            self.unread.drain(..end + 4);
            self.opened = true;
        }
        while let Some((opcode, payload)) = frames::take(&mut self.unread, false) {
            match opcode {
                1 => self.hear(&serde_json::from_slice(&payload).unwrap()),
                8 => panic!("closed: {}", String::from_utf8_lossy(&payload)),
                _ => self.unsaid.extend(frames::masked(10, &payload, [0; 4])),
            }
        }
    }

    fn hear(&mut self, message: &Value) {
        let number = |field: &str| message[field].as_u64().unwrap();
        match message["t"].as_str().unwrap() {
            "hello" | "hb" => {}
            "ack" if message["ok"].is_array() => {}
            "ack" => self.acks.push((number("id"), number("seq"))),
            // Of those there are so many a second, and the others are refused in their place.
            "error" if message["code"] == 4006 => self.refused += 1,
            "pong" => self.pongs.push(number("id")),
            "msg" => {
                let data = message["data"].as_str().unwrap();
                self.messages.push((number("seq"), data.to_owned()));
            }
            other => panic!("{other}: {message}"),
        }
    }
}
