//! Every answer of the tape equals that of a plain `Vec` that forgets nothing.

use super::*;
use crate::base::Prng;
use crate::tape::mirror::page_bytes;
use proptest::prelude::*;

/// The whole past, and who pins what of it.
struct Oracle {
    records: usize,
    track_bytes: Vec<usize>,
    past: Vec<Past>,
    /// Everything ever written to each track.
    tracks: Vec<Vec<u8>>,
    channels: Vec<(String, Class)>,
    tail: u64,
    /// Whether that and the head are held back, and what readers were shown of them.
    holding: bool,
    shown: (u64, u64),
    /// For each reader, the tail and the head as it pinned.
    pins: Vec<Option<(u64, u64)>>,
}

struct Past {
    record: Record,
    spans: Vec<Span>,
}

#[derive(Clone, Debug)]
enum Step {
    Declare(u8),
    Append {
        channel: u8,
        kind: u8,
        bytes: [u16; 3],
        retire: bool,
    },
    Retire,
    Hold,
    Show,
    Pin(u8),
    /// A reader that is pinned takes in what is new, and perhaps lets go of what is announced.
    Extend(u8),
    Park(u8),
}

impl Oracle {
    fn head(&self) -> u64 {
        self.past.len() as u64 + 1
    }

    fn past(&self, position: u64) -> &Past {
        &self.past[usize::try_from(position).unwrap() - 1]
    }

    /// Whether frames fit when all from `keep` on is kept, counted byte by byte.
    fn fits(&self, keep: u64, frames: &[Vec<u8>]) -> bool {
        let kept = keep..self.head();
        usize::try_from(self.head() - keep).unwrap() < self.records
            && frames.iter().enumerate().all(|(track, frame)| {
                let bytes: usize = kept
                    .clone()
                    .map(|p| self.past(p).spans[track].bytes as usize)
                    .sum();
                bytes + frame.len() <= self.track_bytes[track]
            })
    }

    fn expect(&self, frames: &[Vec<u8>]) -> Result<Position, Full> {
        if !self.fits(self.tail, frames) {
            return Err(Full::Unretired);
        }
        let pins = self.pins.iter().enumerate();
        let lowest = pins
            .filter_map(|(reader, pin)| pin.map(|(tail, _)| (tail, reader)))
            .min();
        let (shown_tail, _) = self.shown;
        match lowest {
            Some((pin, reader)) if pin < shown_tail && !self.fits(pin, frames) => {
                Err(Full::Pinned { reader })
            }
            Some(_) | None if !self.fits(shown_tail, frames) => Err(Full::Held),
            Some(_) | None => Ok(Position::new(self.head())),
        }
    }

    fn show(&mut self) {
        self.shown = (self.tail, self.head());
    }

    fn append(&mut self, entry: Entry, frames: &[Vec<u8>]) {
        let follows = |p: &u64| {
            let Record { channel, kind, .. } = self.past(*p).record;
            channel == entry.channel && (entry.kind.is_live() || kind.is_live())
        };
        let previous = (1..self.head()).rev().find(follows).unwrap_or(0);
        let record = Record {
            channel: entry.channel,
            class: self.channels[entry.channel.index()].1,
            kind: entry.kind,
            seq: entry.seq,
            ts_ns: entry.ts_ns,
            pt_ns: entry.pt_ns,
            previous: Position::new(previous),
        };
        let spans = self.tracks.iter_mut().zip(frames).map(|(track, frame)| {
            let start = track.len() as u64;
            track.extend_from_slice(frame);
            let bytes = u32::try_from(frame.len()).unwrap();
            Span { start, bytes }
        });
        let spans = spans.collect();
        self.past.push(Past { record, spans });
    }

    /// One record of a pinned reader, on all tracks.
    fn check_record(&self, reader: &Reader, position: u64) {
        let (past, at) = (self.past(position), Position::new(position));
        assert_eq!(*reader.record(at), past.record);
        for (track, span) in past.spans.iter().enumerate() {
            let name = Track::new(u8::try_from(track).unwrap());
            assert_eq!(reader.span(name, at), *span);
            let start = usize::try_from(span.start).unwrap();
            assert_eq!(
                reader.frame(name, at),
                &self.tracks[track][start..start + span.bytes as usize]
            );
        }
    }

    /// The first and the last record of each pin, as every other step may have damaged them.
    fn check_pins(&self, readers: &[Reader]) {
        for (reader, pin) in readers.iter().zip(&self.pins) {
            if let Some((tail, head)) = *pin
                && tail < head
            {
                self.check_record(reader, tail);
                self.check_record(reader, head - 1);
            }
        }
    }

    /// Everything that a reader can ask under its pin.
    fn check_reader(&self, reader: &Reader, prng: &mut Prng) {
        let (tail, head) = (reader.tail().number(), reader.head().number());
        assert_eq!((tail, head), self.shown);
        assert_eq!(reader.channels() as usize, self.channels.len());
        for (number, (name, class)) in (0..).zip(&self.channels) {
            let info = reader.channel(ChannelId::new(number));
            assert_eq!((info.name, info.class), (name.as_str(), *class));
        }
        for position in tail..head {
            self.check_record(reader, position);
        }
        for (track, bytes) in self.tracks.iter().enumerate() {
            let name = Track::new(u8::try_from(track).unwrap());
            let range = reader.range(name);
            if tail < head {
                let (first, last) = (self.past(tail).spans[track], self.past(head - 1).spans[track]);
                assert_eq!((range.start, range.end), (first.start, last.end()));
            }
            if range.is_empty() {
                continue;
            }
            for _ in 0..16 {
                let start = range.start + prng.below(range.end - range.start);
                let len = usize::try_from(prng.below(range.end - start + 1)).unwrap();
                let from = usize::try_from(start).unwrap();
                assert_eq!(reader.bytes(name, start, len), &bytes[from..from + len]);
                let owner = (tail..head).find(|&p| {
                    let span = self.past(p).spans[track];
                    (span.start..span.end()).contains(&start)
                });
                assert_eq!(Some(reader.position_at(name, start).number()), owner);
            }
            for position in tail..head {
                let span = self.past(position).spans[track];
                if !span.is_empty() {
                    assert_eq!(reader.position_at(name, span.start).number(), position);
                    assert_eq!(reader.position_at(name, span.end() - 1).number(), position);
                }
            }
        }
    }

    fn check_writer(&self, writer: &Writer) {
        assert_eq!(
            (writer.tail().number(), writer.head().number()),
            (self.tail, self.head())
        );
        let live = self.tail..self.head();
        assert_eq!(writer.free_records(), self.records - live.clone().count());
        for (track, bytes) in self.track_bytes.iter().enumerate() {
            let used: usize = live
                .clone()
                .map(|p| self.past(p).spans[track].bytes as usize)
                .sum();
            assert_eq!(
                writer.free_bytes(Track::new(u8::try_from(track).unwrap())),
                bytes - used
            );
        }
        let oldest = live
            .clone()
            .next()
            .map(|p| (Position::new(p), self.past(p).record));
        assert_eq!(writer.oldest(), oldest);
        for number in 0..u32::try_from(self.channels.len()).unwrap() {
            let channel = ChannelId::new(number);
            let latest = live
                .clone()
                .rev()
                .find(|p| self.past(*p).record.channel == channel);
            assert_eq!(writer.latest(channel), latest.map(Position::new));
        }
        for position in live.rev().take(2) {
            let at = Position::new(position);
            let past = self.past(position);
            assert_eq!(*writer.record(at), past.record);
            for (track, span) in past.spans.iter().enumerate() {
                let name = Track::new(u8::try_from(track).unwrap());
                assert_eq!(writer.span(name, at), *span);
                let start = usize::try_from(span.start).unwrap();
                assert_eq!(
                    writer.frame(name, at),
                    &self.tracks[track][start..start + span.bytes as usize]
                );
            }
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    // Mostly small frames, now and then none, now and then one that fills half a page or all of a track's first one.
    let bytes = prop_oneof![6 => 1..200_u16, 3 => Just(0), 2 => 200..2048_u16, 1 => Just(4096)];
    let append = (
        any::<u8>(),
        0..3_u8,
        [bytes.clone(), bytes.clone(), bytes],
        prop::bool::weighted(0.9),
    );
    prop_oneof![
        1 => any::<u8>().prop_map(Step::Declare),
        24 => append.prop_map(|(channel, kind, bytes, retire)| Step::Append { channel, kind, bytes, retire }),
        2 => Just(Step::Retire),
        1 => Just(Step::Hold),
        4 => Just(Step::Show),
        6 => any::<u8>().prop_map(Step::Pin),
        4 => any::<u8>().prop_map(Step::Extend),
        2 => any::<u8>().prop_map(Step::Park),
    ]
}

/// A tape and its oracle, side by side.
struct Pair {
    oracle: Oracle,
    writer: Writer,
    readers: Vec<Reader>,
    prng: Prng,
}

impl Pair {
    fn new(records: usize, pages: &[usize], readers: usize, seed: u64) -> Self {
        let track_bytes: Vec<usize> = pages.iter().map(|pages| page_bytes() * pages).collect();
        let oracle = Oracle {
            records,
            track_bytes: track_bytes.clone(),
            past: Vec::new(),
            tracks: vec![Vec::new(); pages.len()],
            channels: Vec::new(),
            tail: 1,
            holding: false,
            shown: (1, 1),
            pins: vec![None; readers],
        };
        let (writer, readers) = new(&Shape {
            records,
            track_bytes,
            readers,
        })
        .unwrap();
        let mut pair = Self {
            oracle,
            writer,
            readers,
            prng: Prng::new(seed),
        };
        pair.declare(0);
        pair
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Declare(number) => self.declare(number),
            Step::Append {
                channel,
                kind,
                bytes,
                retire,
            } => self.append(channel, kind, bytes, retire),
            Step::Retire => {
                if self.writer.oldest().is_some() {
                    self.retire();
                }
            }
            Step::Hold => {
                self.writer.hold();
                self.oracle.holding = true;
            }
            Step::Show => {
                self.writer.show();
                self.oracle.show();
            }
            Step::Pin(number) => {
                let reader = usize::from(number) % self.readers.len();
                self.readers[reader].pin();
                self.oracle.pins[reader] = Some(self.oracle.shown);
                self.oracle.check_reader(&self.readers[reader], &mut self.prng);
            }
            Step::Extend(number) => self.extend(number),
            Step::Park(number) => self.park(number),
        }
        if !self.oracle.holding {
            self.oracle.show();
        }
        self.oracle.check_pins(&self.readers);
        self.oracle.check_writer(&self.writer);
    }

    fn extend(&mut self, number: u8) {
        let reader = usize::from(number) % self.readers.len();
        let Some((tail, _)) = self.oracle.pins[reader] else {
            return;
        };
        let (shown, head) = self.oracle.shown;
        assert_eq!(self.readers[reader].extend().number(), shown);
        let tail = if number & 2 == 0 { tail } else { shown };
        if number & 2 != 0 {
            self.readers[reader].release(Position::new(tail));
        }
        self.oracle.pins[reader] = Some((tail, head));
        assert_eq!(
            (self.readers[reader].tail(), self.readers[reader].head()),
            (Position::new(tail), Position::new(head))
        );
    }

    fn park(&mut self, number: u8) {
        let reader = usize::from(number) % self.readers.len();
        let next = Position::new(self.oracle.head() - u64::from(number & 1));
        let expected = if next.number() >= self.oracle.shown.1 {
            Parked::Idle
        } else {
            Parked::Busy
        };
        let holds = self.oracle.pins[reader].is_some() && number & 2 == 0;
        let parked = if holds {
            self.readers[reader].park_holding(next)
        } else {
            self.readers[reader].park(next)
        };
        assert_eq!(parked, expected);
        if parked == Parked::Idle && !holds {
            self.oracle.pins[reader] = None;
        }
        assert_eq!(
            self.readers[reader].is_pinned(),
            self.oracle.pins[reader].is_some()
        );
    }

    fn declare(&mut self, number: u8) {
        let class = [Class::Append, Class::Replace, Class::Book][usize::from(number % 3)];
        let name = format!("kind{number}:{}", self.oracle.channels.len());
        let id = self.writer.declare(&name, class).unwrap();
        assert_eq!(id.index(), self.oracle.channels.len());
        self.oracle.channels.push((name, class));
    }

    fn append(&mut self, channel: u8, kind: u8, bytes: [u16; 3], retire: bool) {
        let channel = usize::from(channel) % self.oracle.channels.len();
        let entry = Entry {
            channel: ChannelId::new(u32::try_from(channel).unwrap()),
            kind: [RecordKind::Live, RecordKind::Image, RecordKind::Mark][usize::from(kind)],
            seq: self.oracle.head(),
            ts_ns: self.prng.next_u64(),
            pt_ns: self.prng.next_u64(),
        };
        let frames: Vec<Vec<u8>> = bytes[..self.oracle.tracks.len()]
            .iter()
            .map(|&len| (0..len).map(|_| self.prng.next_u64().to_le_bytes()[0]).collect())
            .collect();
        let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        loop {
            let expected = self.oracle.expect(&frames);
            assert_eq!(self.writer.append(entry, &slices), expected);
            match expected {
                Ok(_) => return self.oracle.append(entry, &frames),
                Err(Full::Unretired) if retire => self.retire(),
                Err(Full::Unretired | Full::Pinned { .. } | Full::Held) => return,
            }
        }
    }

    fn retire(&mut self) {
        self.writer.retire_oldest();
        self.oracle.tail += 1;
        if !self.oracle.holding {
            self.oracle.show();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_answer_equals_that_of_a_vec_that_forgets_nothing(
        records in prop::sample::select(vec![1_usize, 2, 8, 64]),
        pages in prop::collection::vec(prop::sample::select(vec![1_usize, 2]), 1..=3),
        readers in 1..=3_usize,
        steps in prop::collection::vec(step(), 0..300),
        seed in any::<u64>(),
    ) {
        let mut pair = Pair::new(records, &pages, readers, seed);
        for step in &steps {
            pair.step(step);
        }
    }
}

#[test]
fn a_long_run_goes_around_both_rings_many_times() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let steps = prop::collection::vec(step(), 6000)
        .new_tree(&mut runner)
        .unwrap()
        .current();
    let mut pair = Pair::new(8, &[1, 2, 1], 2, 1);
    for step in &steps {
        pair.step(step);
    }
    let written = pair.oracle.past.len();
    assert!(written > 100 * 8, "the index went around {} times", written / 8);
    let bytes = pair.oracle.tracks[0].len();
    assert!(
        bytes > 10 * page_bytes(),
        "the track went around {} times",
        bytes / page_bytes()
    );
}
