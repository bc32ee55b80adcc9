//! The hub on a real tape, without a shard: clients come and go, subscribe, are cut short at any record and byte,
//! and fall behind; what each was sent is held against an oracle that keeps a plain list per client.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::tape::{self, Class, Entry, RecordKind, Shape, Writer};
use proptest::prelude::*;

/// What happens next.
#[derive(Clone, Debug)]
enum Op {
    /// A message on the channel of that number, of so many bytes.
    Publish(usize, usize),
    /// An image of a channel that has a state.
    Image(usize),
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Leave(usize),
    /// A turn in which each client that is sent something is cut with this chance in 8, by these draws.
    Turn(u8, u64),
}

const CHANNELS: [(&str, Class); 5] = [
    ("trade:A", Class::Append),
    ("trade:B", Class::Append),
    ("bbo:A", Class::Replace),
    ("book:A", Class::Book),
    ("room:A", Class::Append),
];
const TOPICS: [&str; 8] = [
    "*", "trade:*", "bbo:*", "trade:A", "bbo:A", "book:A", "room:A", "none:B",
];
const CLIENTS: usize = 4;
const TRACK: Track = Track::new(0);

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0..CHANNELS.len(), 0..40_usize).prop_map(|(c, n)| Op::Publish(c, n)),
        2 => (2..4_usize).prop_map(Op::Image),
        4 => (0..CLIENTS, 0..TOPICS.len()).prop_map(|(c, t)| Op::Subscribe(c, t)),
        3 => (0..CLIENTS, 0..TOPICS.len()).prop_map(|(c, t)| Op::Unsubscribe(c, t)),
        1 => (0..CLIENTS).prop_map(Op::Leave),
        6 => (0..6_u8, any::<u64>()).prop_map(|(chance, seed)| Op::Turn(chance, seed)),
    ]
}

fn selector(topic: &str) -> Selector<'_> {
    match topic.split_once(':') {
        None => Selector::All,
        Some((kind, "*")) => Selector::Kind(kind),
        Some(_) => Selector::Channel(topic),
    }
}

fn covers(topic: &str, channel: &str) -> bool {
    topic == "*"
        || topic == channel
        || topic
            .strip_suffix('*')
            .is_some_and(|kind| channel.starts_with(kind))
}

/// One client as the oracle knows it.
#[derive(Default)]
struct Expected {
    topics: BTreeSet<&'static str>,
    /// The positions that it is still to be sent.
    due: BTreeSet<u64>,
    /// What was sent so far that it must have got, by position, in the order in which it got it.
    got: Vec<u64>,
}

struct World {
    writer: Writer,
    reader: Reader,
    hub: Hub,
    wanted: Wanted,
    keys: [Key; CLIENTS],
    expected: [Expected; CLIENTS],
    /// Each record: channel, kind.
    records: Vec<(usize, RecordKind)>,
    seqs: [u64; CHANNELS.len()],
    declared: BTreeMap<usize, ChannelId>,
}

impl World {
    fn new() -> Self {
        let shape = Shape {
            records: 4096,
            track_bytes: vec![1 << 20],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).unwrap();
        let keys: [Key; CLIENTS] = std::array::from_fn(|slot| Key::new(u32::try_from(slot).unwrap(), 1));
        let mut hub = Hub::new(&["trade", "bbo"], CLIENTS, 24);
        for key in keys {
            hub.enter(key, TRACK);
        }
        let mut world = Self {
            writer,
            reader: readers.remove(0),
            hub,
            wanted: Wanted::default(),
            keys,
            expected: Default::default(),
            records: Vec::new(),
            seqs: [0; CHANNELS.len()],
            declared: BTreeMap::new(),
        };
        world.observe(0, 0);
        world
    }

    fn append(&mut self, channel: usize, kind: RecordKind, bytes: usize) {
        let (name, class) = CHANNELS[channel];
        let writer = &mut self.writer;
        let id = *self
            .declared
            .entry(channel)
            .or_insert_with(|| writer.declare(name, class).unwrap());
        let entry = Entry {
            channel: id,
            kind,
            seq: self.seqs[channel],
            ts_ns: 0,
            pt_ns: 0,
        };
        let at = self.writer.append(entry, &[&vec![b'x'; bytes]]).unwrap();
        self.records.push((channel, kind));
        assert_eq!(at.number(), self.records.len() as u64);
    }

    fn publish(&mut self, channel: usize, bytes: usize) {
        self.seqs[channel] += 1;
        let kind = match CHANNELS[channel].1 {
            Class::Append => RecordKind::Live,
            Class::Replace => RecordKind::State,
            Class::Book if self.seqs[channel] == 1 || bytes == 7 => RecordKind::State,
            Class::Book => RecordKind::Live,
        };
        self.append(channel, kind, bytes + 1);
    }

    /// An image, unless one is the channel's newest record: a second one is written only when the first falls.
    fn image(&mut self, channel: usize) {
        let newest = self.records.iter().rev().find(|record| record.0 == channel);
        if newest.is_some_and(|(_, kind)| kind.is_live()) {
            self.append(channel, RecordKind::Image, 9);
        }
    }

    /// The hub takes note of what is new, and everyone live is sent it; `chance` in 8 of them are cut.
    fn observe(&mut self, chance: u8, seed: u64) {
        let mut prng = crate::base::Prng::new(seed);
        self.reader.pin();
        self.hub.learn(&self.reader);
        let from = self.hub.cursor();
        let mut routed: BTreeMap<Key, Vec<u64>> = BTreeMap::new();
        let mut at = from;
        while at < self.reader.head() {
            let record = *self.reader.record(at);
            self.hub.observe(at, &record);
            if record.kind.is_live() {
                for (key, _) in self.hub.route(&record) {
                    let to = routed.entry(key).or_default();
                    if to.last() != Some(&at.number()) {
                        to.push(at.number());
                    }
                }
                for expected in &mut self.expected {
                    let (channel, _) = self.records[usize::try_from(at.number()).unwrap() - 1];
                    let wants = expected
                        .topics
                        .iter()
                        .any(|topic| covers(topic, CHANNELS[channel].0));
                    if wants {
                        expected.due.insert(at.number());
                    }
                }
            }
            at = at.next();
        }
        for (key, positions) in routed {
            let slot = key.slot() as usize;
            let sent = if prng.chance(u64::from(chance), 8) {
                usize::try_from(prng.below(positions.len() as u64)).unwrap()
            } else {
                positions.len()
            };
            self.expected[slot].got.extend(&positions[..sent]);
            if let Some(&next) = positions.get(sent) {
                self.hub.fall_behind(key, Position::new(next));
            }
        }
    }

    /// Everyone behind gets a slice; `chance` in 8 of them are cut within it, at a record.
    fn serve(&mut self, chance: u8, seed: u64) {
        let mut prng = crate::base::Prng::new(seed ^ 1);
        for slot in 0..CLIENTS {
            let key = self.keys[slot];
            if self.hub.is_live(key) || prng.chance(u64::from(chance), 16) {
                continue;
            }
            let before = self.hub.place(key);
            let mut ranges = Vec::new();
            let joined = self
                .hub
                .catch_up(key, &self.reader, &mut self.wanted, &mut ranges)
                .expect("nothing falls off this tape");
            let sent = self.positions(&ranges);
            let joined_sent = self.positions(&ranges[..joined]).len();
            let cut = if !sent.is_empty() && prng.chance(u64::from(chance), 8) {
                usize::try_from(prng.below(sent.len() as u64)).unwrap()
            } else {
                sent.len()
            };
            self.expected[slot].got.extend(&sent[..cut]);
            if let Some(&next) = sent.get(cut) {
                let next = Position::new(next);
                if cut < joined_sent {
                    self.hub.resume_join(key, before, next);
                } else {
                    self.hub.resume_scan(key, next);
                }
            } else {
                self.hub.go_live(key);
            }
        }
    }

    /// The records whose bytes the ranges are.
    fn positions(&self, ranges: &[Range]) -> Vec<u64> {
        let mut positions = Vec::new();
        for range in ranges {
            let mut at = range.start;
            while at < range.end() {
                let position = self.reader.position_at(TRACK, at);
                positions.push(position.number());
                at = self.reader.span(TRACK, position).end();
            }
        }
        positions
    }

    fn subscribe(&mut self, slot: usize, topic: &'static str) {
        let key = self.keys[slot];
        if !self.hub.may_subscribe(key) {
            return;
        }
        let was_live = self.hub.is_live(key);
        let subscribed = self.hub.subscribe(key, selector(topic));
        if subscribed.is_err() {
            let known = self.hub.topic_id(selector(topic)).is_some();
            assert!(!known || self.hub.subscriptions_in_use() == 24);
            return;
        }
        let expected = &mut self.expected[slot];
        if was_live {
            assert!(
                expected
                    .due
                    .iter()
                    .eq(expected.got.iter().collect::<BTreeSet<_>>()),
                "live is up to date"
            );
        }
        for (channel, (name, class)) in CHANNELS.into_iter().enumerate() {
            let new = covers(topic, name) && !expected.topics.iter().any(|topic| covers(topic, name));
            if new && class != Class::Append {
                let end = usize::try_from(self.hub.cursor().number()).unwrap() - 1;
                let of_channel = |at: &usize| self.records[*at].0 == channel;
                let image = (0..end)
                    .rev()
                    .filter(of_channel)
                    .find(|&at| self.records[at].1.is_image());
                let Some(image) = image else { continue };
                let after = (image + 1..end).filter(of_channel);
                let wanted = std::iter::once(image).chain(after).map(|at| at as u64 + 1);
                // What it was sent of an earlier subscription is sent again.
                for at in wanted {
                    expected.due.insert(at);
                    expected.got.retain(|&got| got != at);
                }
            }
        }
        expected.topics.insert(topic);
    }

    fn unsubscribe(&mut self, slot: usize, topic: &'static str) {
        let key = self.keys[slot];
        if !self.hub.may_unsubscribe(key) {
            return;
        }
        let ended = self.hub.unsubscribe(key, selector(topic)).is_ok();
        let expected = &mut self.expected[slot];
        assert_eq!(ended, expected.topics.remove(topic));
        let Expected { topics, due, got } = expected;
        let records = &self.records;
        due.retain(|at| {
            let name = CHANNELS[records[usize::try_from(*at).unwrap() - 1].0].0;
            got.contains(at) || topics.iter().any(|topic| covers(topic, name))
        });
    }

    fn turn(&mut self, chance: u8, seed: u64) {
        self.observe(chance, seed);
        self.serve(chance, seed);
        self.check();
    }

    fn check(&self) {
        self.hub.invariants(self.keys.into_iter());
        let subscribers = self
            .expected
            .iter()
            .filter(|expected| !expected.topics.is_empty())
            .count();
        assert_eq!(self.hub.subscribers() as usize, subscribers);
        for (slot, expected) in self.expected.iter().enumerate() {
            let got: BTreeSet<u64> = expected.got.iter().copied().collect();
            assert_eq!(got.len(), expected.got.len(), "nothing is sent twice");
            assert!(
                got.is_subset(&expected.due),
                "nothing is sent that was not asked for"
            );
            if self.hub.is_live(self.keys[slot]) {
                assert_eq!(got, expected.due, "a live client has everything");
            }
            let listed = self.hub.subscriptions(self.keys[slot]).count();
            assert_eq!(listed, expected.topics.len());
            for channel in 0..CHANNELS.len() {
                let of_channel = expected
                    .got
                    .iter()
                    .filter(|&&at| self.records[usize::try_from(at).unwrap() - 1].0 == channel);
                assert!(of_channel.is_sorted(), "a channel's records come in order");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn everyone_gets_what_they_subscribed_to_in_order_and_once(ops in prop::collection::vec(op(), 1..150)) {
        let mut world = World::new();
        for op in ops {
            match op {
                Op::Publish(channel, bytes) => world.publish(channel, bytes),
                Op::Image(channel) => world.image(channel),
                Op::Subscribe(slot, topic) => world.subscribe(slot, TOPICS[topic]),
                Op::Unsubscribe(slot, topic) => world.unsubscribe(slot, TOPICS[topic]),
                Op::Leave(slot) => {
                    world.hub.leave(world.keys[slot]);
                    world.hub.enter(world.keys[slot], TRACK);
                    world.expected[slot] = Expected::default();
                }
                Op::Turn(chance, seed) => world.turn(chance, seed),
            }
        }
        for _ in 0..3 {
            world.turn(0, 0);
        }
        prop_assert!(world.keys.iter().all(|&key| world.hub.is_live(key)), "in the end everyone is live");
        for key in world.keys {
            world.hub.leave(key);
        }
        prop_assert_eq!((world.hub.subscriptions_in_use(), world.hub.subscribers()), (0, 0));
    }
}
