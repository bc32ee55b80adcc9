//! What a client that is behind is sent on which terms, record by record.

use super::*;
use crate::hub::terms::{Policy, Slack, Terms};

/// A tape, a hub and one client, which has subscribed to everything.
struct Pair {
    writer: Writer,
    reader: Reader,
    hub: Hub,
    wanted: Wanted,
    seqs: BTreeMap<u32, u64>,
}

const CLIENT: Key = Key::new(0, 1);

impl Pair {
    fn on(terms: &[Terms]) -> Self {
        let shape = Shape {
            records: 64,
            track_bytes: vec![1 << 16],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).unwrap();
        let mut hub = Hub::new(&["trade", "bbo", "book"], 1, 4).on_terms(terms);
        hub.enter(CLIENT, TRACK);
        Self {
            writer,
            reader: readers.remove(0),
            hub,
            wanted: Wanted::default(),
            seqs: BTreeMap::new(),
        }
    }

    fn append(&mut self, channel: ChannelId, kind: RecordKind, bytes: usize, pt_ms: u64) -> u64 {
        let seq = self.seqs.entry(channel.number()).or_default();
        *seq += u64::from(kind.is_live());
        let entry = Entry {
            channel,
            kind,
            seq: *seq,
            ts_ns: 0,
            pt_ns: at(pt_ms).wall_ns,
        };
        self.writer.append(entry, &[&vec![b'x'; bytes]]).unwrap().number()
    }

    /// Takes note of everything, without routing it.
    fn observe(&mut self) {
        self.reader.pin();
        self.hub.observe(&self.reader);
    }

    /// Everybody live is sent everything.
    fn route(&mut self) {
        self.observe();
        while self.hub.cursor() < self.reader.head() {
            self.hub.begin_round(&self.reader);
            while !self.hub.route(&self.reader, 100, 100) {}
            self.hub.fan_out_mut().send(1, |_| ());
        }
    }

    /// The next slice at so many milliseconds: its positions, and what the hub says of it.
    fn slice(&mut self, ms: u64) -> Result<(Vec<u64>, Caught), Fallen> {
        let mut ranges = Vec::new();
        let parts = (&mut self.wanted, &mut ranges);
        let caught = self.hub.catch_up(CLIENT, &self.reader, parts, at(ms))?;
        Ok((positions(&self.reader, &ranges), caught))
    }

    /// Everything until it is live, from now on at so many milliseconds.
    fn rest(&mut self, ms: u64) -> Vec<u64> {
        let mut all = Vec::new();
        while !self.hub.go_live(CLIENT) {
            let (positions, caught) = self.slice(ms).expect("nothing falls");
            assert_eq!(caught.late, None);
            all.extend(positions);
        }
        all
    }

    fn subscribe(&mut self) {
        self.route();
        self.hub.subscribe(CLIENT, Selector::All).unwrap();
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono_ns: 0,
        wall_ns: (1_000_000 + ms) * 1_000_000,
    }
}

fn terms(policy: Option<Policy>, ms: u64) -> Terms {
    let bytes = u64::MAX;
    Terms {
        policy,
        slack: Slack { ms, bytes },
    }
}

#[test]
fn a_join_whose_image_was_written_again_behind_its_end_skips_to_that() {
    let mut pair = Pair::on(&[]);
    let [a, b] = ["bbo:a", "bbo:b"].map(|name| pair.writer.declare(name, Class::Replace).unwrap());
    pair.append(b, RecordKind::State, 9, 0);
    let quote = pair.append(a, RecordKind::State, 9, 0);
    let image = pair.append(b, RecordKind::Image, 9, 0);
    pair.subscribe();
    let (sent, Caught { before, .. }) = pair.slice(0).unwrap();
    assert_eq!(sent, [quote, image]);
    // The second of them did not go out, and its room is needed before it does.
    pair.hub.step_back(CLIENT, before, Position::new(image));
    let again = pair.append(b, RecordKind::Image, 9, 0);
    (0..image).for_each(|_| pair.writer.retire_oldest());
    pair.observe();
    assert!(pair.slice(0).is_err(), "the image has fallen");
    assert_eq!(pair.slice(0).unwrap().0, [again]);
}

#[test]
fn whoever_skips_on_a_book_is_sent_the_deltas_or_the_image_whichever_is_fewer_bytes() {
    for (bytes, is_delta) in [(99, true), (101, false)] {
        let mut pair = Pair::on(&[]);
        let book = pair.writer.declare("book:a", Class::Book).unwrap();
        pair.append(book, RecordKind::State, 300, 0);
        pair.subscribe();
        pair.rest(0);
        pair.route();
        let deltas: Vec<u64> = (0..3)
            .map(|_| pair.append(book, RecordKind::Live, bytes, 0))
            .collect();
        let image = pair.append(book, RecordKind::Image, 300, 0);
        let last = pair.append(book, RecordKind::Live, 10, 0);
        pair.route();
        pair.hub.fall_behind(CLIENT, Position::new(deltas[0]));
        pair.hub.conflate(CLIENT);
        // A slice that was cut in the middle goes on as it was begun.
        let (sent, Caught { before, .. }) = pair.slice(0).unwrap();
        let expected = if is_delta {
            [&deltas[..], &[last]].concat()
        } else {
            vec![image, last]
        };
        assert_eq!(sent, expected, "{bytes}");
        pair.hub.step_back(CLIENT, before, Position::new(expected[1]));
        assert_eq!(pair.rest(0), expected[1..], "{bytes}");
    }
}

#[test]
fn a_message_is_judged_by_the_terms_of_its_own_channel_when_its_turn_comes() {
    let table = [
        terms(None, 1000),
        terms(None, 100),
        terms(Some(Policy::Disconnect), 300),
    ];
    let mut pair = Pair::on(&table);
    let [trade, bbo, book] = [
        ("trade:a", Class::Append),
        ("bbo:a", Class::Replace),
        ("book:a", Class::Book),
    ]
    .into_iter()
    .zip(0..)
    .map(|((name, class), terms)| pair.writer.declare_on(name, class, terms).unwrap())
    .collect::<Vec<_>>()
    .try_into()
    .unwrap();
    pair.subscribe();
    pair.rest(0);
    let first = pair.append(trade, RecordKind::Live, 9, 0);
    let snap = pair.append(book, RecordKind::State, 9, 0);
    let quote = pair.append(bbo, RecordKind::State, 9, 0);
    pair.route();
    pair.hub.fall_behind(CLIENT, Position::new(first));
    let late = |caught: Caught| caught.late.map(|late| late.channel);
    // At 200 the quote is too old, and nothing before it.
    let (sent, caught) = pair.slice(200).unwrap();
    assert_eq!((sent, late(caught)), (vec![first, snap], None));
    let begun = caught.before;
    pair.hub.step_back(CLIENT, begun, Position::new(first));
    // At 400 the book is, too.
    let (sent, caught) = pair.slice(400).unwrap();
    assert_eq!((sent, late(caught)), (vec![first], None));
    let (sent, caught) = pair.slice(400).unwrap();
    assert_eq!((sent, late(caught)), (vec![], Some(book)));
    // Two seconds later everything is; whoever knows it is sent trades all the same.
    pair.hub.step_back(CLIENT, begun, Position::new(first));
    assert_eq!(late(pair.slice(2000).unwrap().1), Some(trade));
    assert!(pair.hub.warn(CLIENT));
    assert_eq!(pair.slice(2000).unwrap().0, [first]);
    assert_eq!(quote, snap + 1);
}

#[test]
fn whoever_skips_is_sent_every_message_of_channels_on_which_nobody_does() {
    let mut pair = Pair::on(&[terms(None, 100), terms(Some(Policy::Gap), 100)]);
    let bbo = pair.writer.declare("bbo:a", Class::Replace).unwrap();
    let every = pair.writer.declare_on("bbo:b", Class::Replace, 1).unwrap();
    pair.subscribe();
    pair.rest(0);
    let sent: Vec<u64> = (0..6)
        .map(|number| pair.append(if number % 2 == 0 { bbo } else { every }, RecordKind::State, 9, 0))
        .collect();
    pair.route();
    pair.hub.fall_behind(CLIENT, Position::new(sent[0]));
    pair.hub.conflate(CLIENT);
    assert_eq!(pair.rest(0), [sent[1], sent[3], sent[4], sent[5]]);
}

#[test]
fn a_state_that_is_asked_for_once_more_comes_in_order_with_all_else() {
    let mut pair = Pair::on(&[]);
    let book = pair.writer.declare("book:a", Class::Book).unwrap();
    let trade = pair.writer.declare("trade:a", Class::Append).unwrap();
    let snap = pair.append(book, RecordKind::State, 9, 0);
    let delta = pair.append(book, RecordKind::Live, 9, 0);
    pair.append(trade, RecordKind::Live, 9, 0);
    pair.subscribe();
    pair.rest(0);
    pair.route();
    // What is new and was not routed yet is sent once.
    let newer =
        [(trade, RecordKind::Live), (book, RecordKind::Live)].map(|(id, kind)| pair.append(id, kind, 9, 0));
    pair.observe();
    assert!(pair.hub.may_snap(CLIENT));
    pair.hub.snap(CLIENT, Selector::All).unwrap();
    assert_eq!(
        pair.hub.snap(CLIENT, Selector::Channel("book:a")),
        Err(SnapError::NotSubscribed)
    );
    assert_eq!(pair.slice(0).unwrap().0, [snap, delta, newer[0], newer[1]]);
}
