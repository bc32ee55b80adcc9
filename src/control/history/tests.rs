//! What a walk finds while the tape stands still, and while it moves between slices.

use std::collections::BTreeMap;

use super::*;
use crate::market::Tick;
use crate::tape::{self, Shape};
use crate::writer::Sequencer;
use crate::writer::source::Event;

/// A sequencer and a reader of the smallest tape, and when each message was published.
struct Stage {
    sequencer: Sequencer,
    history: History,
    published: BTreeMap<&'static str, Vec<u64>>,
    ms: u64,
}

impl Stage {
    fn new() -> Self {
        let shape = Shape {
            records: limits::TAPE_RECORDS_MIN,
            track_bytes: vec![limits::TRACK_BYTES_MIN],
            readers: 1,
        };
        let (writer, mut readers) = tape::new(&shape).unwrap();
        Self {
            sequencer: Sequencer::new(writer),
            history: History::new(readers.remove(0)),
            published: BTreeMap::new(),
            ms: 0,
        }
    }

    /// One message, a millisecond after the one before.
    fn publish(&mut self, channel: &'static str) {
        self.ms += 1;
        let event = Event {
            channel,
            ts_ns: 0,
            tick: Tick::Message("1"),
        };
        self.sequencer.publish(&event, at(self.ms)).unwrap();
        self.sequencer.settle().expect("no reader is in the way");
        self.published.entry(channel).or_default().push(self.ms);
    }

    fn publish_all(&mut self, channel: &'static str, count: u64) {
        (0..count).for_each(|_| self.publish(channel));
    }

    /// What it has seen by then counts here, whether or not that is all.
    fn slice(&mut self, records_max: usize) -> bool {
        let is_whole = self.history.walk.slice(&mut self.history.reader, records_max);
        self.history.known.clone_from(&self.history.walk.channels);
        is_whole
    }

    /// Holds what is known against what the writer has on the tape.
    fn check(&self) {
        let tape = self.sequencer.tape();
        let mut oldest = BTreeMap::new();
        let mut position = tape.tail();
        while position < tape.head() {
            let record = tape.record(position);
            if record.kind.is_live() {
                oldest.entry(record.channel).or_insert((record.seq, record.pt_ns));
            }
            position = position.next();
        }
        let horizons = self.history.horizons();
        assert_eq!(horizons.len(), self.published.len());
        for (channel, horizon) in horizons.enumerate() {
            let known = horizon.oldest.map(|oldest| (oldest.seq, oldest.pt_ns));
            assert_eq!(known, oldest.get(&id(channel)).copied(), "{horizon:?}");
            let times = &self.published[horizon.channel];
            assert_eq!(horizon.newest_seq, times.len() as u64, "{horizon:?}");
            if let Some((seq, pt_ns)) = known {
                assert_eq!(pt_ns, times[usize::try_from(seq).unwrap() - 1] * 1_000_000);
            }
        }
        assert_eq!(
            self.history.records(),
            tape.head().number() - tape.tail().number()
        );
        let reach = oldest.values().map(|(_, pt_ns)| *pt_ns).min();
        assert_eq!(self.history.reach_ns(), reach);
    }

    fn horizon(&self, channel: &str) -> Horizon<'_> {
        let mut horizons = self.history.horizons();
        horizons
            .find(|horizon| horizon.channel == channel)
            .expect("it is there")
    }
}

fn at(ms: u64) -> Now {
    Now {
        mono_ns: ms * 1_000_000,
        wall_ns: ms * 1_000_000,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(future)
}

const RECORDS: u64 = limits::TAPE_RECORDS_MIN as u64;

#[test]
fn each_channels_oldest_message_is_the_first_that_the_tape_still_has() {
    let mut stage = Stage::new();
    stage.publish("room:silent");
    for n in 1..2 * RECORDS {
        stage.publish(if n % 41 == 0 { "room:rare" } else { "room:busy" });
    }
    block_on(stage.history.walk(at(1)));
    stage.check();
    let silent = stage.horizon("room:silent");
    assert_eq!(
        (silent.newest_seq, silent.oldest),
        (1, None),
        "its number was written again"
    );
    assert!(stage.horizon("room:rare").oldest.is_some());
    stage.history.report(at(10_000));
}

#[test]
fn an_empty_tape_has_no_history() {
    let mut stage = Stage::new();
    block_on(stage.history.walk(at(1)));
    stage.check();
    assert_eq!(stage.history.reach_ns(), None);
    stage.history.report(at(1));
}

#[test]
fn slices_between_which_little_is_published_add_up_to_the_whole() {
    let mut stage = Stage::new();
    stage.publish("room:silent");
    stage.publish_all("room:busy", RECORDS);
    stage.publish("room:rare");
    stage.history.walk.begin();
    let mut slices = 0;
    while !stage.slice(8) {
        stage.publish(if slices % 3 == 0 { "room:rare" } else { "room:busy" });
        slices += 1;
    }
    assert!(slices > 3, "{slices}");
    stage.check();
}

#[test]
fn a_number_that_is_written_again_between_slices_is_not_missed() {
    let mut stage = Stage::new();
    stage.publish("room:silent");
    // Its record is the next to be retired.
    while stage.sequencer.tape().tail() == Position::FIRST {
        stage.publish("room:busy");
    }
    stage.publish_all("room:busy", RECORDS / 2);
    stage.history.walk.begin();
    assert!(!stage.slice(4));
    // Once around: whatever number of the silent channel there was is behind the walk's beginning now.
    stage.publish_all("room:busy", RECORDS);
    while !stage.slice(usize::MAX) {}
    stage.check();
    assert_eq!(stage.horizon("room:silent").newest_seq, 1);
}

#[test]
fn a_walk_that_the_tapes_end_overtakes_begins_anew() {
    let mut stage = Stage::new();
    stage.publish_all("room:a", RECORDS);
    stage.publish_all("room:b", 3);
    stage.history.walk.begin();
    assert!(!stage.slice(10));
    assert!(
        stage
            .horizon("room:b")
            .oldest
            .is_some_and(|oldest| oldest.seq == 1)
    );
    stage.publish_all("room:a", 2 * RECORDS);
    let mut slices = 1;
    while !stage.slice(10) {
        slices += 1;
    }
    assert!(slices > 3, "what was seen first does not count: {slices}");
    stage.check();
    assert_eq!(stage.horizon("room:b").oldest, None);
}

#[test]
fn a_walk_ends_however_fast_the_tape_moves_and_what_was_known_before_it_has_to_do() {
    let mut stage = Stage::new();
    stage.publish_all("room:a", 10);
    block_on(stage.history.walk(at(1)));
    let before = stage.horizon("room:a").oldest;
    assert_eq!(before.map(|oldest| oldest.seq), Some(1));
    let Stage {
        sequencer, history, ..
    } = &mut stage;
    let mut seq = 10;
    block_on(async {
        let mut walk = std::pin::pin!(history.walk_by(1, at(2)));
        // Each time that the walk lets others run, two messages come.
        std::future::poll_fn(|context| {
            let polled = walk.as_mut().poll(context);
            for _ in 0..if polled.is_pending() { 2 } else { 0 } {
                seq += 1;
                let event = Event {
                    channel: "room:a",
                    ts_ns: 0,
                    tick: Tick::Message("1"),
                };
                sequencer.publish(&event, at(seq)).unwrap();
                sequencer.settle().expect("no reader is in the way");
            }
            polled
        })
        .await;
    });
    assert!(
        sequencer.tape().tail() > Position::new(RECORDS),
        "it was overtaken"
    );
    let horizon = stage.horizon("room:a");
    assert!(horizon.newest_seq > RECORDS);
    assert_eq!(horizon.oldest, before, "no walk has seen more");
}

#[test]
fn a_walk_a_moment_ago_does() {
    let mut stage = Stage::new();
    stage.publish("room:a");
    block_on(stage.history.refresh(at(1)));
    stage.publish("room:a");
    block_on(stage.history.refresh(at(limits::HISTORY_FRESH_MS)));
    assert_eq!(stage.horizon("room:a").newest_seq, 1);
    block_on(stage.history.refresh(at(1 + limits::HISTORY_FRESH_MS)));
    stage.check();
}

#[test]
fn nobody_waits_for_a_reader_that_has_walked() {
    let mut stage = Stage::new();
    stage.publish_all("room:a", RECORDS / 2);
    block_on(stage.history.walk(at(1)));
    assert!(!stage.history.reader.is_pinned());
    // Twice around, and each time there is room.
    stage.publish_all("room:a", 2 * RECORDS);
}

#[test]
fn seconds_have_one_decimal() {
    assert_eq!(Seconds(12_345_678_901).to_string(), "12.3 s");
    assert_eq!(Seconds(0).to_string(), "0.0 s");
}
