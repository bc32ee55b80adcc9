//! One run: a server and its clients, from the first connection to the last goodbye.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tickwire::base::{Census, Now, Orders, Prng};
use tickwire::connection::{Bounds, Pools};
use tickwire::dialect::Publishers;
use tickwire::dialect::errand::way;
use tickwire::market::Tick;
use tickwire::ring::{Bell as _, Faults, Ring as _, SimNet, SimRing};
use tickwire::shard::{Shard, Site, Size, Terms};
use tickwire::tape::{self, Position, Shape};
use tickwire::wire::{Direction, FrameHeader};
use tickwire::writer::formats::NATIVE_JSON;
use tickwire::writer::publish::Carried;
use tickwire::writer::source::{Event, Market};
use tickwire::writer::{Counter, Formats, Publishing, Sequencer};

use super::client::Client;
use super::manners::Configuration;
use super::oracle::{Oracle, derived};
use super::seeds::{hot_receptions, pace};

/// How often anybody skipped something, in all runs.
pub static CONFLATED: AtomicU64 = AtomicU64::new(0);
/// How many messages of derived channels there were.
pub static DERIVED: AtomicU64 = AtomicU64::new(0);
/// How often anybody was closed for being behind.
pub static DISPOSED: AtomicU64 = AtomicU64::new(0);
/// How often anybody gave up what the tape let go of.
pub static LAPSED: AtomicU64 = AtomicU64::new(0);

pub struct World {
    prng: Prng,
    net: SimNet,
    faults: Faults,
    shards: Vec<Shard<SimRing>>,
    bells: Vec<<SimRing as tickwire::ring::Ring>::Doorbell>,
    censuses: Vec<Arc<Census>>,
    orders: Arc<Orders>,
    sequencer: Sequencer,
    counter: Counter,
    publishing: Publishing,
    /// Whether the ends of intervals are not waited for any more.
    is_hurried: bool,
    market: Market,
    market_ns: u64,
    messages: u64,
    oracle: Oracle,
    clients: Vec<Client>,
}

impl World {
    pub fn new(seed: u64, faults: Faults) -> Self {
        let mut prng = Prng::new(seed);
        let net = SimNet::new(prng.next_u64(), faults);
        let readers = 1 + prng.below(3) as usize;
        let records = 1 << (8 + prng.below(6));
        let formats = Formats {
            deflated: prng.chance(1, 2).then(|| prng.below(600) as usize),
            binary: prng.chance(2, 3),
        };
        let shape = Shape {
            records,
            track_bytes: vec![tickwire::limits::TRACK_BYTES_MIN; formats.tracks()],
            readers,
        };
        let (writer, tapes) = tape::new(&shape).unwrap();
        let orders = Arc::new(Orders::default());
        let censuses: Vec<Arc<Census>> = (0..readers).map(|_| Arc::default()).collect();
        let pools = Pools {
            inbox_small: 16,
            inbox_medium: 0,
            inbox_large: 16,
            heads: 16,
            outbox: 512,
            outbox_block_bytes: 4096,
        };
        let size = Size {
            connections: 6,
            subscriptions: 200,
            pools,
            bounds: Bounds::default(),
            hot_receptions: hot_receptions(&mut prng),
            pace: pace(&mut prng),
        };
        let configuration = Configuration::any(&mut prng, &CHANNELS);
        let (rules, terms) = (configuration.rules(), configuration.terms());
        let rings: Vec<SimRing> = (0..readers).map(|_| net.ring()).collect();
        let bells: Vec<_> = rings.iter().map(|ring| ring.doorbell()).collect();
        let publishers = Arc::new(Publishers::default());
        let mut ends = Vec::new();
        let parts = rings.into_iter().zip(tapes).zip(&censuses).enumerate();
        let shards = parts
            .map(|(shard, ((ring, tape), census))| {
                let bell = bells[shard].clone();
                let (asking, asked) = way(|| {}, move || bell.ring());
                ends.push(asked);
                let site = site(shard, &terms, formats).asking(asking, Arc::clone(&publishers));
                Shard::new(ring, tape, size, site, Arc::clone(census), Arc::clone(&orders))
            })
            .collect();
        Self {
            market: Market::new(prng.next_u64()),
            market_ns: 0,
            messages: 0,
            oracle: Oracle::of(configuration),
            clients: Vec::new(),
            sequencer: Sequencer::writing(writer, formats).ruled_by(rules),
            counter: Counter::new(ends, Arc::default()),
            publishing: Publishing::of(publishers),
            is_hurried: false,
            prng,
            net,
            faults,
            shards,
            bells,
            censuses,
            orders,
        }
    }

    /// Runs to the end; gives what fingerprints the run.
    pub fn run(mut self) -> u64 {
        for _ in 0..2 {
            self.connect(true);
        }
        // A shard may pause accepting more than once. Who is to get everything must have subscribed before it begins.
        while !self.clients.iter().all(Client::is_served) {
            self.settle();
        }
        for _ in 0..300 + self.prng.below(300) {
            match self.prng.below(20) {
                0 if self.clients.len() < 14 => self.connect(false),
                0..=7 => {
                    let burst = if self.prng.chance(1, 12) { 400 } else { 12 };
                    for _ in 0..=self.prng.below(burst) {
                        self.publish();
                    }
                }
                8..=12 => {
                    let client = self.prng.below(self.clients.len() as u64) as usize;
                    self.clients[client].act(&self.oracle);
                }
                _ => self.turn(),
            }
            for client in &mut self.clients {
                client.pump(&self.oracle);
            }
        }
        self.net.set_faults(Faults::default());
        self.settle();
        self.is_hurried = true;
        self.sequencer.hurry();
        self.derive();
        self.settle();
        self.check();
        self.part();
        self.net.fingerprint()
    }

    fn connect(&mut self, everything: bool) {
        let shard = self.prng.below(self.shards.len() as u64) as usize;
        let prng = Prng::new(self.prng.next_u64());
        self.clients
            .push(Client::new(self.net.connect(shard), shard, prng, everything));
    }

    fn publish(&mut self) {
        let now = self.net.now();
        let mut data = String::new();
        let event = if self.prng.chance(1, 10) {
            self.messages += 1;
            data.push_str(&format!("{{\"n\":{}}}", self.messages));
            Event {
                channel: "room:1",
                ts_ns: now.wall_ns,
                tick: Tick::Message(&data),
            }
        } else {
            loop {
                // The borrow checker cannot see that a `None` ends the loan.
                if self.market.due_ns() <= self.market_ns {
                    break self.market.next(self.market_ns).expect("an event is due");
                }
                self.market_ns = self.market.due_ns();
            }
        };
        let head = self.sequencer.tape().head().number();
        self.oracle.tape_is(self.sequencer.tape().tail().number(), head);
        self.sequencer.publish(&event, now).unwrap();
        self.oracle.publish(event.channel, event.ts_ns, &event.tick, now);
        self.settle_tape();
        self.derive();
    }

    /// What was accepted goes on the tape, as soon as nobody is in the way.
    fn settle_tape(&mut self) {
        while self.sequencer.settle().is_err() {
            self.ring();
            for shard in 0..self.shards.len() {
                self.turn_shard(shard);
            }
        }
        self.sequencer.invariants();
        self.note_tape();
        self.ring();
    }

    /// The writer says what follows from what was published, as far as it is due.
    fn derive(&mut self) {
        loop {
            let (head, now) = (self.sequencer.tape().head(), self.net.now());
            match self.sequencer.derive(now) {
                None => return,
                Some(derived) => derived.unwrap(),
            }
            self.settle_tape();
            self.note_derived(head, now, false);
        }
    }

    /// The writer does what shards ask for; says whether any did.
    fn attend(&mut self) -> bool {
        let mut any = false;
        while let Some(taken) = self.counter.take() {
            let (head, now) = (self.sequencer.tape().head(), self.net.now());
            let Carried { outcome, journaled } = self.publishing.carry_out(&taken, &mut self.sequencer, now);
            self.settle_tape();
            self.note_derived(head, now, true);
            self.counter.note(taken, outcome, journaled);
            any = true;
        }
        self.counter.tell(|_| None);
        any
    }

    /// The oracle judges what has been said at this position, if something has.
    fn note_derived(&mut self, at: Position, now: Now, begins: bool) {
        let tape = self.sequencer.tape();
        if at < tape.head() && tape.tail() <= at {
            let frame = tape.frame(NATIVE_JSON, at);
            let header = FrameHeader::decode(frame, Direction::ToClient, false).unwrap();
            let (_, start) = header.unwrap();
            let text = std::str::from_utf8(&frame[start..]).unwrap();
            assert!(derived(self.sequencer.name(tape.record(at).channel)).is_some());
            DERIVED.fetch_add(1, Ordering::Relaxed);
            self.oracle
                .derive(text, at.number(), (!self.is_hurried).then_some(now), begins);
        }
    }

    fn note_tape(&mut self) {
        let tape = self.sequencer.tape();
        self.oracle.tape_is(tape.tail().number(), tape.head().number());
    }

    fn ring(&mut self) {
        let bells = &self.bells;
        self.sequencer.wake_readers(|reader| bells[reader].ring());
    }

    /// Gives one shard a turn, unless it would only wait: the simulated time would leap to its next timer, past
    /// whatever the other shards have to do.
    fn turn_shard(&mut self, shard: usize) {
        if self.shards[shard].is_idle(self.net.now()) && self.net.is_idle() {
            return;
        }
        self.shards[shard].turn().unwrap();
        if self.shards[shard].is_idle(self.net.now()) {
            self.oracle.all_is_known(shard);
        }
    }

    fn turn(&mut self) {
        let shard = self.prng.below(self.shards.len() as u64) as usize;
        self.turn_shard(shard);
        self.shards[shard].invariants();
        if self.prng.chance(1, 3) {
            self.attend();
        }
        self.derive();
        if self.prng.chance(1, 10) {
            self.net.advance(self.prng.below(10_000_000));
        }
        if self.faults == Faults::default() && self.prng.chance(1, 200) {
            // The machine stands still, whatever is under way, until every deadline of a client that is not heard has passed.
            self.pump_all();
            self.net.advance(100_000_000_000);
        }
        if self.prng.chance(1, 150) {
            // Pings are due, and everybody is there to answer them.
            self.until_quiet();
            self.net.advance(21_000_000_000);
            self.until_quiet();
        }
    }

    /// Everybody reads and answers, as far as that goes without the server.
    fn pump_all(&mut self) {
        for client in &mut self.clients {
            client.read_all();
            while client.pump(&self.oracle) {}
        }
    }

    /// Everybody is served, those too who wait for a shard that has paused accepting.
    fn settle(&mut self) {
        self.until_quiet();
        self.net.advance(100_000_000);
        self.until_quiet();
    }

    /// Everybody reads and answers until nothing more happens.
    fn until_quiet(&mut self) {
        for _ in 0..200_000 {
            self.attend();
            self.derive();
            for shard in 0..self.shards.len() {
                self.pump_all();
                let now = self.net.now();
                if self.net.is_idle() && self.shards.iter().all(|shard| shard.is_idle(now)) {
                    if self.attend() {
                        // The last turn has asked the writer for something.
                        break;
                    }
                    if !self.clients.iter().any(Client::has_more_to_say) {
                        return;
                    }
                    // Somebody has more to say to a shard that has paused accepting.
                    self.net.advance(10_000_000);
                }
                self.turn_shard(shard);
            }
        }
        panic!("the server does not come to rest");
    }

    fn check(&self) {
        let (resets, mut dropped) = (self.faults.reset > 0, 0);
        for (index, client) in self.clients.iter().enumerate() {
            if client.hung_up || client.refused {
                continue;
            }
            match (&client.closed, client.sin) {
                (Some((4008, reason)), _) => client.check_slow(reason, &self.oracle),
                (Some((code, reason)), Some(sin)) => assert_eq!(*code, sin, "client {index}: {reason}"),
                (Some((code, reason)), None) => {
                    assert!(
                        client.close_sent && *code == 3000,
                        "client {index}: {code} {reason}"
                    );
                }
                // Who does not read its close frame either is dropped in the end.
                (None, sin) if client.is_over() => dropped += u64::from(sin.is_none()),
                (None, Some(sin)) => panic!("client {index} was not closed {sin}"),
                (None, None) => {
                    assert!(!client.close_sent, "client {index}: a close is answered");
                    client.check_complete(&self.oracle);
                }
            }
        }
        for census in &self.censuses {
            CONFLATED.fetch_add(census.conflated.read(), Ordering::Relaxed);
            DISPOSED.fetch_add(census.lost.read(), Ordering::Relaxed);
            LAPSED.fetch_add(census.lapsed.read(), Ordering::Relaxed);
        }
        let lost: u64 = self.censuses.iter().map(|census| census.lost.read()).sum();
        let told = self
            .clients
            .iter()
            .filter(|client| matches!(client.closed, Some((4008, _))))
            .count();
        assert!(told as u64 <= lost, "nobody is closed 4008 who is not counted");
        assert!(
            resets || told as u64 + dropped <= lost,
            "{dropped} clients were dropped without a word"
        );
    }

    /// The server is told to stop: everybody still there is closed 1012, and nothing is left behind.
    fn part(&mut self) {
        let there: Vec<bool> = self
            .clients
            .iter()
            .map(|client| !client.is_over() && !client.hung_up && client.closed.is_none())
            .collect();
        self.orders.drain();
        for bell in &self.bells {
            bell.ring();
        }
        for _ in 0..1_000_000 {
            self.pump_all();
            // Also those that have ended: what their rings still hold would hold up the simulated time.
            for shard in &mut self.shards {
                shard.turn().unwrap();
            }
            if self.shards.iter().all(Shard::is_over) {
                break;
            }
        }
        assert!(self.shards.iter().all(Shard::is_over), "every shard has ended");
        self.pump_all();
        for (client, there) in self.clients.iter().zip(there) {
            if there {
                assert_eq!(client.closed.as_ref().map(|(code, _)| *code), Some(1012));
            }
        }
        for (shard, census) in self.shards.iter().zip(&self.censuses) {
            shard.invariants();
            assert_eq!(
                (census.connections.read(), census.subscribers.read()),
                (0, 0),
                "no slot is left behind"
            );
            assert_eq!(shard.borrowed(), 0, "no block of a pool is left behind");
        }
    }
}

/// What a shard offers whose tape has these forms.
fn site(shard: usize, terms: &[Terms], formats: Formats) -> Site {
    let mut site = Site::new(shard, "epoch".into()).on_terms(terms.to_vec());
    if let Some(track) = formats.deflated_track() {
        site = site.compressing(track);
    }
    if let Some(track) = formats.binary_track() {
        site = site.speaking_binary(track);
    }
    site
}

/// Of which something may be said.
const CHANNELS: [&str; 4] = ["trade:BTC-USD", "bbo:ETH-USD", "book:BTC-USD", "room:1"];
