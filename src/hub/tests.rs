//! The hub on a real tape, without a shard: clients come and go, subscribe, are cut short at any record and byte,
//! and fall behind; what each was sent is held against an oracle that keeps a plain list per client.

mod terms;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::Now;
use crate::tape::{self, Class, Entry, RecordKind, Shape, Track, Writer};
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

/// The last one is for those who name it.
const CHANNELS: [(&str, Class); 6] = [
    ("trade:A", Class::Append),
    ("trade:B", Class::Append),
    ("bbo:A", Class::Replace),
    ("book:A", Class::Book),
    ("room:A", Class::Append),
    ("bbo:A@1s", Class::Replace),
];
const TOPICS: [&str; 9] = [
    "*", "trade:*", "bbo:*", "trade:A", "bbo:A", "book:A", "room:A", "bbo:A@1s", "none:B",
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
    let is_pattern = topic
        .strip_suffix('*')
        .is_some_and(|kind| channel.starts_with(kind));
    topic == channel || is_pattern && !channel.contains('@')
}

/// One client as the oracle knows it.
#[derive(Default)]
struct Expected {
    /// What it has subscribed to, and when; it wants nothing from before but what joining brings.
    topics: BTreeMap<&'static str, u64>,
    /// The positions that it is to be sent.
    due: BTreeSet<u64>,
    /// Those that it may be sent: of what it has unsubscribed from while its share of the round was pending.
    optional: BTreeSet<u64>,
    /// What was sent so far that it must have got, by position, in the order in which it got it.
    got: Vec<u64>,
}

impl Expected {
    /// What it was sent of what is due.
    fn got(&self) -> BTreeSet<u64> {
        let got = self.got.iter().filter(|at| !self.optional.contains(at));
        got.copied().collect()
    }
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
        let id = *self.declared.entry(channel).or_insert_with(|| {
            let declared = if name.contains('@') {
                writer.declare_unlisted(name, class, 0)
            } else {
                writer.declare(name, class)
            };
            declared.unwrap()
        });
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

    /// One turn of a round: the hub takes note of some of what is new, or some who are live are sent their shares;
    /// `chance` in 8 of these are cut.
    fn observe(&mut self, chance: u8, seed: u64) {
        let mut prng = crate::base::Prng::new(seed);
        if self.hub.fan_out().is_over() {
            self.reader.pin();
            self.hub.observe(&self.reader);
            self.hub.begin_round(&self.reader);
        }
        let from = self.hub.cursor();
        let [records, notes, sends] = [(); 3].map(|()| 1 + usize::try_from(prng.below(6)).unwrap());
        let is_routed = self.hub.route(&self.reader, records, notes);
        for at in from.number()..self.hub.cursor().number() {
            let (channel, kind) = self.records[usize::try_from(at).unwrap() - 1];
            let name = CHANNELS[channel].0;
            let wants = |expected: &&mut Expected| {
                let mut topics = expected.topics.iter();
                topics.any(|(topic, since)| covers(topic, name) && at >= *since)
            };
            if kind.is_live() {
                for expected in self.expected.iter_mut().filter(wants) {
                    expected.due.insert(at);
                }
            }
        }
        if !is_routed {
            return;
        }
        let mut parcels = Vec::new();
        self.hub.fan_out_mut().send(sends, |parcel| parcels.push(*parcel));
        assert!(parcels.len() <= sends);
        for (index, parcel) in parcels.iter().enumerate() {
            assert_eq!(self.hub.fan_out().sent(index).ranges(), parcel.ranges());
            assert!(!self.hub.fan_out().is_pending(parcel.key));
            let positions = positions(&self.reader, parcel.ranges());
            let sent = if prng.chance(u64::from(chance), 8) {
                usize::try_from(prng.below(positions.len() as u64)).unwrap()
            } else {
                positions.len()
            };
            self.expected[parcel.key.slot() as usize]
                .got
                .extend(&positions[..sent]);
            if let Some(&next) = positions.get(sent) {
                self.hub.fall_behind(parcel.key, Position::new(next));
            } else if !parcel.overflow.is_none() && self.hub.is_live(parcel.key) {
                self.hub.fall_behind(parcel.key, parcel.overflow);
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
            let mut ranges = Vec::new();
            let Caught { before, .. } = self
                .hub
                .catch_up(key, &self.reader, (&mut self.wanted, &mut ranges), Now::default())
                .expect("nothing falls off this tape");
            let sent = positions(&self.reader, &ranges);
            assert!(sent.is_sorted(), "a slice is in tape order");
            let cut = if !sent.is_empty() && prng.chance(u64::from(chance), 8) {
                usize::try_from(prng.below(sent.len() as u64)).unwrap()
            } else {
                sent.len()
            };
            let cursor = self.hub.cursor().number();
            // A join goes on to where it began, which may not be routed yet.
            for &at in sent[..cut].iter().filter(|&&at| at >= cursor) {
                let name = CHANNELS[self.records[usize::try_from(at).unwrap() - 1].0].0;
                let expected = &mut self.expected[slot];
                let is_wanted = |(topic, since): (&&str, &u64)| covers(topic, name) && at >= *since;
                assert!(expected.due.contains(&at) || expected.topics.iter().any(is_wanted));
                expected.due.insert(at);
            }
            self.expected[slot].got.extend(&sent[..cut]);
            if let Some(&next) = sent.get(cut) {
                self.hub.step_back(key, before, Position::new(next));
            } else {
                self.hub.go_live(key);
            }
        }
    }

    fn leave(&mut self, slot: usize) {
        let key = self.keys[slot];
        self.hub.leave(key);
        self.hub.withdraw(key);
        // As the connection table does it: the slot's next tenant has another name.
        let key = Key::new(key.slot(), key.generation() + 2);
        self.keys[slot] = key;
        self.hub.enter(key, TRACK);
        self.expected[slot] = Expected::default();
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
            assert_eq!(expected.due, expected.got(), "live is up to date");
        }
        for (channel, (name, class)) in CHANNELS.into_iter().enumerate() {
            let new = covers(topic, name) && !expected.topics.keys().any(|topic| covers(topic, name));
            if new && class != Class::Append {
                let end = usize::try_from(self.hub.observed.number()).unwrap() - 1;
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
                    expected.optional.remove(&at);
                    expected.got.retain(|&got| got != at);
                }
            }
        }
        let since = self.hub.observed.number();
        expected.topics.entry(topic).or_insert(since);
    }

    fn unsubscribe(&mut self, slot: usize, topic: &'static str) {
        let key = self.keys[slot];
        if !self.hub.may_unsubscribe(key) {
            return;
        }
        let ended = self.hub.unsubscribe(key, selector(topic)).is_ok();
        let expected = &mut self.expected[slot];
        assert_eq!(ended, expected.topics.remove(topic).is_some());
        let Expected {
            topics,
            due,
            optional,
            got,
            ..
        } = expected;
        let (records, is_pending) = (&self.records, self.hub.fan_out().is_pending(key));
        due.retain(|at| {
            let name = CHANNELS[records[usize::try_from(*at).unwrap() - 1].0].0;
            let stays = got.contains(at) || topics.keys().any(|topic| covers(topic, name));
            if !stays && is_pending {
                optional.insert(*at);
            }
            stays
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
            let all: BTreeSet<u64> = expected.got.iter().copied().collect();
            assert_eq!(all.len(), expected.got.len(), "nothing is sent twice");
            let got = expected.got();
            assert!(
                got.is_subset(&expected.due),
                "nothing is sent that was not asked for"
            );
            let key = self.keys[slot];
            if self.hub.is_live(key) && !self.hub.fan_out().is_pending(key) {
                assert_eq!(got, expected.due, "a live client has everything");
            }
            let listed = self.hub.subscriptions(self.keys[slot]).count();
            assert_eq!(listed, expected.topics.len());
            for (selector, subscribed) in self.hub.subscriptions(self.keys[slot]) {
                let matching = self.declared.keys().filter(|channel| {
                    let name = CHANNELS[**channel].0;
                    self.hub.ids.contains_key(name)
                        && match selector {
                            Selector::All => covers("*", name),
                            Selector::Kind(kind) => covers(&format!("{kind}:*"), name),
                            Selector::Channel(_) => false,
                        }
                });
                if let Subscribed::Pattern { channels } = subscribed {
                    assert_eq!(
                        channels as usize,
                        matching.count(),
                        "a pattern counts what it means"
                    );
                }
            }
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

/// The records whose bytes the ranges are.
fn positions(reader: &Reader, ranges: &[Range]) -> Vec<u64> {
    let mut positions = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end() {
            let position = reader.position_at(TRACK, at);
            positions.push(position.number());
            at = reader.span(TRACK, position).end();
        }
    }
    positions
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
                Op::Leave(slot) => world.leave(slot),
                Op::Turn(chance, seed) => world.turn(chance, seed),
            }
        }
        let is_at_rest = |world: &World| {
            world.hub.cursor().number() > world.records.len() as u64
                && world.hub.fan_out().is_over()
                && world.keys.iter().all(|&key| world.hub.is_live(key))
        };
        let turns = (0..2000).take_while(|_| !is_at_rest(&world) && { world.turn(0, 0); true }).count();
        prop_assert!(turns < 2000, "in the end everyone is live");
        for key in world.keys {
            world.hub.leave(key);
        }
        prop_assert_eq!((world.hub.subscriptions_in_use(), world.hub.subscribers()), (0, 0));
    }
}

#[test]
fn a_join_of_more_channels_than_a_slice_takes_goes_on_from_slice_to_slice() {
    let channels = 5 * u32::try_from(limits::CATCH_UP_RECORDS).unwrap() / 2;
    let shape = Shape {
        records: 16 * 1024,
        track_bytes: vec![1 << 20],
        readers: 1,
    };
    let (mut writer, mut readers) = tape::new(&shape).unwrap();
    let mut reader = readers.remove(0);
    let ids: Vec<ChannelId> = (0..channels)
        .map(|number| writer.declare(&format!("bbo:{number}"), Class::Replace).unwrap())
        .collect();
    // Not in the order of their numbers, some twice, and some of them after the subscription.
    let order = (0..channels).rev().chain((0..channels).step_by(7));
    let entry = |id: ChannelId, seq| Entry {
        channel: id,
        kind: RecordKind::State,
        seq,
        ts_ns: 0,
        pt_ns: 0,
    };
    for number in order {
        writer.append(entry(ids[number as usize], 1), &[b"xx"]).unwrap();
    }
    let route_all = |hub: &mut Hub, reader: &mut Reader| {
        reader.pin();
        hub.observe(reader);
        while hub.cursor() < reader.head() {
            hub.begin_round(reader);
            while !hub.route(reader, 1000, 1000) {}
            hub.fan_out_mut().send(1, |_| ());
        }
    };
    let (key, mut hub) = (Key::new(0, 1), Hub::new(&["bbo"], 1, 4));
    hub.enter(key, TRACK);
    route_all(&mut hub, &mut reader);
    hub.subscribe(key, Selector::All).unwrap();
    for number in (0..channels).step_by(100) {
        writer.append(entry(ids[number as usize], 2), &[b"xx"]).unwrap();
    }
    route_all(&mut hub, &mut reader);
    let (mut wanted, mut got) = (Wanted::default(), Vec::new());
    while !hub.go_live(key) {
        let mut ranges = Vec::new();
        hub.catch_up(key, &reader, (&mut wanted, &mut ranges), Now::default())
            .unwrap();
        for range in ranges {
            got.extend(
                (range.start..range.end())
                    .step_by(2)
                    .map(|at| reader.position_at(TRACK, at)),
            );
        }
    }
    let mut newest: Vec<Position> = ids.iter().map(|_| Position::NONE).collect();
    for (at, number) in (1..).zip((0..channels).rev().chain((0..channels).step_by(7))) {
        newest[number as usize] = Position::new(at);
    }
    newest.sort();
    let later = reader.head().number() - u64::from(channels.div_ceil(100))..reader.head().number();
    newest.extend(later.map(Position::new));
    assert_eq!(
        got, newest,
        "each channel's image, and what came after, in tape order"
    );
}
