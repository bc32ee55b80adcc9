//! One run: a server, its successors, and two hundred clients who follow a stretch of the recording.

use std::sync::Arc;

use tickwire::base::{Census, Now, Orders, Prng};
use tickwire::connection::{Bounds, Pools};
use tickwire::dialect::Publishers;
use tickwire::dialect::errand::way;
use tickwire::dialect::native_json::Classes;
use tickwire::limits;
use tickwire::market::{BookUpdateKind, ChannelClass, Tick};
use tickwire::ring::{Bell as _, Faults, Ring, SimNet, SimRing};
use tickwire::shard::{Shard, Site, Size};
use tickwire::tape::{self, RecordKind, Shape};
use tickwire::writer::publish::Carried;
use tickwire::writer::sequencer::{Restored, Sequencer};
use tickwire::writer::source::Event as Lent;
use tickwire::writer::{Counter, Formats, Publishing};

use super::capture::Event;
use super::client::Client;
use super::follower::Counts;
use super::manners::{Configuration, Manners};
use super::seeds::{hot_receptions, pace, slack};
use super::truth::Truth;

/// Clients of each run.
const CLIENTS: usize = 200;

pub struct World {
    prng: Prng,
    net: SimNet,
    faults: Faults,
    server: Server,
    /// Rings that there were before this server's.
    rings_before: usize,
    /// What of the recording is still to come, and what comes beside it.
    events: &'static [Event],
    at: usize,
    messages: u64,
    /// One for each server, the present one last.
    truths: Vec<Truth>,
    /// How many epochs have ended.
    epoch: usize,
    /// What the server is told of channels. With its journal goes its configuration.
    configuration: Configuration,
    journal: Vec<Note>,
    /// How many of these are on disk.
    durable: usize,
    clients: Vec<Client>,
    pub restarts: u64,
}

/// A process.
struct Server {
    sequencer: Sequencer,
    counter: Counter,
    publishing: Publishing,
    shards: Vec<Shard<SimRing>>,
    bells: Vec<<SimRing as Ring>::Doorbell>,
}

/// What a journal has of a message.
#[derive(Clone, Debug)]
struct Note {
    what: Noted,
    seq: u64,
    at: Now,
}

#[derive(Clone, Debug)]
enum Noted {
    Published(Event),
    /// A message of a derived channel, of which only the number is needed.
    Derived {
        name: String,
        class: ChannelClass,
    },
}

impl World {
    /// Two hundred clients, each with a will of its own.
    pub fn of_many(seed: u64, faults: Faults, events: &'static [Event]) -> Self {
        let mut prng = Prng::new(seed);
        let configuration = Configuration::any(&mut prng, &CHANNELS);
        let mut world = Self::new(prng, faults, events, configuration);
        for _ in 0..CLIENTS {
            let prng = Prng::new(world.prng.next_u64());
            world.clients.push(Client::new(prng));
        }
        world
    }

    /// One that reads all the time, and one that does so once in a while: both follow everything.
    pub fn of_two(seed: u64, events: &'static [Event]) -> Self {
        let mut prng = Prng::new(seed);
        let configuration = Configuration::silent(slack(&mut prng));
        let mut world = Self::new(prng, Faults::default(), events, configuration);
        for client in 0..2 {
            let prng = Prng::new(world.prng.next_u64());
            world.clients.push(Client::of_everything(prng));
            world.connect(client);
        }
        world
    }

    fn new(mut prng: Prng, faults: Faults, events: &'static [Event], configuration: Configuration) -> Self {
        let net = SimNet::new(prng.next_u64(), faults);
        let at = prng.below(events.len() as u64 - 2000) as usize;
        let server = Server::start(&net, 0, &configuration, &mut prng);
        let mut world = Self {
            net,
            faults,
            server,
            rings_before: 0,
            events,
            at,
            messages: 0,
            truths: vec![Truth::of(configuration.clone())],
            epoch: 0,
            configuration,
            journal: Vec::new(),
            durable: 0,
            clients: Vec::new(),
            restarts: 0,
            prng,
        };
        world.server.sequencer.hold();
        world
    }

    /// Runs to the end; gives what has happened to the clients.
    pub fn run(mut self) -> Counts {
        for _ in 0..STEPS {
            match self.prng.below(16) {
                0..=5 => {
                    let burst = if self.prng.chance(1, 10) { 60 } else { 8 };
                    for _ in 0..=self.prng.below(burst) {
                        self.publish();
                    }
                    self.sync();
                }
                6..=9 => {
                    for _ in 0..20 {
                        let client = self.prng.below(CLIENTS as u64) as usize;
                        if self.clients[client].is_connected() {
                            self.clients[client].act();
                        } else {
                            self.connect(client);
                        }
                    }
                }
                10 if self.prng.chance(1, 8) => self.restart(),
                _ => self.turn(),
            }
            self.pump();
        }
        self.net.set_faults(Faults::default());
        self.faults = Faults::default();
        self.until_all_is_said();
        // What would be said at the end of an interval is said now.
        self.server.sequencer.hurry();
        self.derive();
        self.sync();
        self.until_all_is_said();
        let mut counts = Counts::default();
        for client in &self.clients {
            client.wire.follower.check(&self.truths[self.truths.len() - 1]);
            counts.add(&client.wire.follower.counts);
        }
        counts
    }

    /// Publishes `count` events for each time that the second client reads; gives what has happened to both.
    pub fn run_with_pauses(mut self, pauses: usize, count: usize) -> [Counts; 2] {
        for _ in 0..pauses {
            for _ in 0..count {
                self.publish();
                self.sync();
                for shard in 0..self.server.shards.len() {
                    self.turn_shard(shard);
                }
                // Time is compressed, so that nobody is taken for dead.
                self.net.advance(1_000_000);
                self.clients[0].pump(&self.truths);
            }
            let borrowed: usize = self.server.shards.iter().map(Shard::borrowed).sum();
            // Two subscriptions, and blocks for the rest of one frame; that of a book is the longest.
            let newest = self.truth().newest("book:BTCUSDT");
            let levels = self.truth().print("book:BTCUSDT", newest);
            let frame_bytes = 256 + levels.map_or(0, |print| print.levels()) * LEVEL_BYTES;
            let most = 2 + frame_bytes.div_ceil(BLOCK_BYTES);
            assert!(
                borrowed <= most,
                "{borrowed} are borrowed, and one frame takes {most} at most"
            );
            // Whenever it reads, it comes to have what there is.
            self.until_all_is_said();
            for client in &self.clients {
                client.wire.follower.check(&self.truths[self.truths.len() - 1]);
            }
        }
        [0, 1].map(|client: usize| self.clients[client].wire.follower.counts)
    }

    fn connect(&mut self, client: usize) {
        let shard = self.prng.below(self.server.shards.len() as u64) as usize;
        let socket = self.net.connect(self.rings_before + shard);
        self.clients[client].connect(socket, self.truths.len() - 1);
    }

    fn truth(&mut self) -> &mut Truth {
        self.truths.last_mut().expect("there is always a present")
    }

    /// The next event of the recording, or a message beside it, gets a number.
    fn publish(&mut self) {
        let event = if self.prng.chance(1, 20) {
            self.messages += 1;
            Event::Message(format!("{{\"n\":{}}}", self.messages))
        } else {
            self.at += 1;
            self.events[self.at % self.events.len()].clone()
        };
        let at = self.net.now();
        let position = self.server.sequencer.tape().head().number();
        let lent = event.lend(|tick| {
            let channel = event.channel();
            let ts_ns = at.wall_ns;
            self.server.sequencer.publish(&Lent { channel, ts_ns, tick }, at)
        });
        lent.expect("every event of the recording is one");
        let seq = self.truth().publish(&event);
        self.truth().is_at(event.channel(), seq, position);
        self.journal.push(Note {
            what: Noted::Published(event),
            seq,
            at,
        });
        self.settle();
        self.derive();
    }

    /// The writer says what follows from what was published, as far as it is due.
    fn derive(&mut self) {
        while let Some(derived) = self.server.sequencer.derive(self.net.now()) {
            derived.expect("there is room for what is derived");
            self.note_derived();
            self.settle();
        }
    }

    /// The writer does what shards ask for; says whether any did.
    fn attend(&mut self) -> bool {
        let mut any = false;
        while let Some(taken) = self.server.counter.take() {
            let now = self.net.now();
            let server = &mut self.server;
            let Carried { outcome, journaled } =
                server.publishing.carry_out(&taken, &mut server.sequencer, now);
            self.note_derived();
            self.settle();
            self.server.counter.note(taken, outcome, journaled);
            any = true;
        }
        if any {
            self.sync();
        }
        self.server.counter.tell(|_| None);
        any
    }

    /// The journal takes what was just said on a derived channel, if anything was.
    fn note_derived(&mut self) {
        let Some(accepted) = self.server.sequencer.accepted() else {
            return;
        };
        assert!(accepted.is_derived, "{}", accepted.name);
        let (name, class, seq) = (accepted.name.to_owned(), accepted.class, accepted.seq);
        let position = self.server.sequencer.tape().head().number();
        self.truth().is_at(&name, seq, position);
        self.journal.push(Note {
            seq,
            what: Noted::Derived { name, class },
            at: self.net.now(),
        });
    }

    fn settle(&mut self) {
        while self.server.sequencer.settle().is_err() {
            self.sync();
            for shard in 0..self.server.shards.len() {
                self.turn_shard(shard);
            }
        }
        let tape = self.server.sequencer.tape();
        let (tail, head) = (tape.tail().number(), tape.head().number());
        self.truth().tape_is(tail, head);
    }

    /// The journal has everything, and so readers may see it.
    fn sync(&mut self) {
        self.durable = self.journal.len();
        self.server.sequencer.show();
        self.ring();
    }

    fn ring(&mut self) {
        let bells = &self.server.bells;
        self.server.sequencer.wake_readers(|reader| bells[reader].ring());
    }

    /// The process ends, and another one takes its place: with its journal, a part of which may be torn, or without.
    fn restart(&mut self) {
        self.restarts += 1;
        self.rings_before += self.server.shards.len();
        let keeps = self.prng.chance(3, 4);
        if keeps {
            let torn = self.journal.len() - self.durable;
            let kept = self.durable + self.prng.below(torn as u64 + 1) as usize;
            self.journal.truncate(kept);
        } else {
            self.journal.clear();
            self.epoch += 1;
            self.configuration = Configuration::any(&mut self.prng, &CHANNELS);
        }
        self.server = Server::start(&self.net, self.epoch, &self.configuration, &mut self.prng);
        self.truths.push(Truth::of(self.configuration.clone()));
        self.server.sequencer.hold();
        self.restore_all();
        if let [.., before, now] = &mut self.truths[..]
            && keeps
        {
            before.end_with(now);
        }
        self.sync();
    }

    /// The server takes back what the journal has.
    fn restore_all(&mut self) {
        let journal = std::mem::take(&mut self.journal);
        for note in &journal {
            match &note.what {
                Noted::Published(event) => {
                    let first = self.truth().newest(event.channel()) == 0;
                    assert_eq!(self.truth().publish(event), note.seq);
                    let position = self.server.sequencer.tape().head().number();
                    self.truth().is_at(event.channel(), note.seq, position);
                    self.restore(note, event, first);
                }
                Noted::Derived { name, class } => self.restore_number(note, name, *class),
            }
        }
        self.journal = journal;
    }

    fn restore_number(&mut self, note: &Note, name: &str, class: ChannelClass) {
        let restored = self.server.sequencer.restore(&Restored {
            channel: name,
            kind: RecordKind::Mark,
            seq: note.seq,
            ts_ns: note.at.wall_ns,
            pt_ns: note.at.wall_ns,
            tick: None,
            derived: Some(class),
        });
        assert_eq!(restored, Ok(true), "a number that was journaled is taken back");
        self.settle();
    }

    fn restore(&mut self, note: &Note, event: &Event, first: bool) {
        let Manners { class, .. } = self.truth().manners(event.channel());
        let restored = event.lend(|mut tick| {
            let kind = match &mut tick {
                Tick::Book(update) if first => {
                    // What is published of a book first is the whole of it.
                    update.kind = BookUpdateKind::Snapshot;
                    RecordKind::State
                }
                Tick::Quote(_) | Tick::Trade(_) | Tick::Message(_) if class == ChannelClass::Replace => {
                    RecordKind::State
                }
                Tick::Book(_) | Tick::Quote(_) | Tick::Trade(_) | Tick::Message(_) => RecordKind::Live,
            };
            self.server.sequencer.restore(&Restored {
                channel: event.channel(),
                derived: None,
                kind,
                seq: note.seq,
                ts_ns: note.at.wall_ns,
                pt_ns: note.at.wall_ns,
                tick: Some(tick),
            })
        });
        assert_eq!(restored, Ok(true), "what was journaled is taken back");
        self.settle();
    }

    /// Gives one shard a turn, unless it would only wait and the time run past what others have to do.
    fn turn_shard(&mut self, shard: usize) {
        let shard = &mut self.server.shards[shard];
        if shard.is_idle(self.net.now()) && self.net.is_idle() {
            return;
        }
        shard.turn().expect("the simulated kernel does not fail");
    }

    fn turn(&mut self) {
        if self.prng.chance(1, 2) {
            self.attend();
            self.derive();
            self.sync();
        }
        for _ in 0..4 {
            let shard = self.prng.below(self.server.shards.len() as u64) as usize;
            self.turn_shard(shard);
            if self.prng.chance(1, 8) {
                self.net.advance(self.prng.below(20_000_000));
            }
        }
    }

    fn pump(&mut self) {
        for client in &mut self.clients {
            client.pump(&self.truths);
        }
    }

    /// Everybody is there, reads and is served until nothing more happens.
    fn until_all_is_said(&mut self) {
        for _ in 0..100_000 {
            for client in &mut self.clients {
                client.read_all();
                while client.pump(&self.truths) {}
            }
            let now = self.net.now();
            let has_asked = self.attend();
            if !has_asked && self.net.is_idle() && self.server.shards.iter().all(|shard| shard.is_idle(now)) {
                let is_served =
                    |client: &Client| client.wire.follower.is_answered() && !client.has_more_to_say();
                if self.clients.iter().all(is_served) {
                    return;
                }
                // A shard may have paused accepting, limit somebody's requests, or have missed nobody yet who has gone.
                self.net.advance(1_000_000_000);
                for client in 0..self.clients.len() {
                    if !self.clients[client].is_connected() {
                        self.connect(client);
                    }
                }
            }
            for shard in 0..self.server.shards.len() {
                self.turn_shard(shard);
            }
        }
        panic!("the server does not come to rest");
    }
}

impl Server {
    fn start(net: &SimNet, epoch: usize, configuration: &Configuration, prng: &mut Prng) -> Self {
        let readers = 1 + prng.below(3) as usize;
        let formats = Formats {
            deflated: prng.chance(1, 2).then(|| prng.below(600) as usize),
            binary: prng.chance(3, 4),
        };
        let shape = Shape {
            records: 1 << (8 + prng.below(4)),
            track_bytes: vec![limits::TRACK_BYTES_MIN; formats.tracks()],
            readers,
        };
        let (writer, tapes) = tape::new(&shape).expect("a tape of this shape");
        let size = Size {
            connections: CLIENTS,
            subscriptions: CLIENTS * 8,
            pools: Pools {
                inbox_small: 256,
                inbox_medium: 0,
                inbox_large: 64,
                heads: 256,
                outbox: 4096,
                outbox_block_bytes: BLOCK_BYTES,
            },
            bounds: Bounds::default(),
            hot_receptions: hot_receptions(prng),
            pace: pace(prng),
        };
        let terms = configuration.terms();
        let orders = Arc::new(Orders::default());
        let rings: Vec<SimRing> = (0..readers).map(|_| net.ring()).collect();
        let bells: Vec<_> = rings.iter().map(|ring| ring.doorbell()).collect();
        let publishers = Arc::new(Publishers::default());
        let mut ends = Vec::new();
        let parts = rings.into_iter().zip(tapes).enumerate();
        let shards = parts.map(|(shard, (ring, tape))| {
            let mut site = Site::new(shard, format!("epoch-{epoch}").into())
                .on_terms(terms.clone())
                .classed(Classes::of(&configuration.rules()));
            if let Some(track) = formats.deflated_track() {
                site = site.compressing(track);
            }
            if let Some(track) = formats.binary_track() {
                site = site.speaking_binary(track);
            }
            let bell = bells[shard].clone();
            let (asking, asked) = way(|| {}, move || bell.ring());
            ends.push(asked);
            let site = site.asking(asking, Arc::clone(&publishers));
            Shard::new(
                ring,
                tape,
                size,
                site,
                Arc::new(Census::default()),
                Arc::clone(&orders),
            )
        });
        Self {
            shards: shards.collect(),
            sequencer: Sequencer::writing(writer, formats).ruled_by(configuration.rules()),
            counter: Counter::new(ends, Arc::default()),
            publishing: Publishing::of(publishers),
            bells,
        }
    }
}

/// Of which something may be said.
const CHANNELS: [&str; 4] = ["trade:BTCUSDT", "bbo:BTCUSDT", "book:BTCUSDT", "room:1"];
/// Of each run.
const STEPS: usize = 200;
const BLOCK_BYTES: usize = 4096;
/// `["61685.99000000","1.25869000"],` with digits to spare.
const LEVEL_BYTES: usize = 48;
