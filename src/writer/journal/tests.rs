//! Journals that are written, killed, torn and damaged, and what comes back of them.

mod classes;
mod damage;
mod derived;
mod keys;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::base::{JournalCensus, Now, Prng};
use crate::market::{BookUpdate, BookUpdateKind, Decimal, Level, Quote, Side, Tick, Trade};
use crate::tape::{self, Position, Shape};
use crate::writer::formats::{Formats, NATIVE_JSON};
use crate::writer::runtime::runtime;
use crate::writer::sequencer::Sequencer;
use crate::writer::source::Event;

/// A directory that goes away with its test.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tickwire-journal-{}-{number}", std::process::id()));
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A journal in it of short segments.
    pub(super) fn spec(&self, sync: SyncPolicy) -> JournalSpec {
        JournalSpec {
            sync,
            segment_bytes: 16 * 1024,
            ..JournalSpec::new(self.0.clone())
        }
    }

    /// The segments that were begun. One more may have been made ready.
    pub(super) fn segments(&self) -> Vec<u64> {
        let mut segments = Directory::new(&self.0).segments().unwrap();
        // A server that runs may remove one meanwhile.
        segments.retain(|&segment| self.length(segment) > 0);
        segments
    }

    /// How long they are together.
    fn bytes(&self) -> u64 {
        let segments = self.segments().into_iter();
        segments.map(|segment| self.length(segment)).sum()
    }

    fn length(&self, segment: u64) -> u64 {
        std::fs::metadata(self.segment(segment)).map_or(0, |data| data.len())
    }

    pub(super) fn segment(&self, number: u64) -> PathBuf {
        Directory::new(&self.0).segment(number)
    }

    /// Another directory with the same files.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::new();
        std::fs::create_dir_all(&copy.0).unwrap();
        for entry in std::fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), copy.0.join(entry.file_name())).unwrap();
        }
        copy
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A writer with a journal and without a source.
pub(super) struct Server {
    pub(super) sequencer: Sequencer,
    pub(super) journal: Journal,
    pub(super) census: Arc<JournalCensus>,
    pub(super) epoch: u64,
    pub(super) recovered: Recovered,
    _lock: Lock,
    ms: u64,
}

impl Server {
    /// Starts on what is in the journal.
    pub(super) async fn start(spec: &JournalSpec) -> Result<Self, JournalError> {
        Self::on(spec, sequencer()).await
    }

    /// The same with a new sequencer of its own.
    pub(super) async fn on(spec: &JournalSpec, mut sequencer: Sequencer) -> Result<Self, JournalError> {
        let (opened, lock) = open(spec, &mut sequencer, at(0).wall_ns)?;
        sequencer.invariants();
        let (epoch, recovered) = (opened.epoch, opened.recovered);
        let census: Arc<JournalCensus> = Arc::default();
        let mut journal = Journal::start(opened, Arc::clone(&census));
        sequencer.hold();
        journal.begin(&mut sequencer, at(0)).await;
        assert_eq!(census.missing.read(), 0, "it journals");
        Ok(Self {
            sequencer,
            journal,
            census,
            epoch,
            recovered,
            _lock: lock,
            ms: 1,
        })
    }

    /// Publishes as the feed does.
    pub(super) fn publish(&mut self, channel: &str, tick: Tick<'_>) {
        self.ms += 1;
        let event = Event {
            channel,
            ts_ns: self.ms,
            tick,
        };
        self.sequencer.publish(&event, at(self.ms)).unwrap();
        self.journal.note(
            &self.sequencer.accepted().unwrap(),
            self.sequencer.accepted_key().as_ref(),
        );
        self.sequencer.settle().unwrap();
    }

    /// Asks for a derived channel; what it begins with is published as the feed does.
    pub(super) fn open(&mut self, name: &str) {
        self.sequencer.open_derived(name, 0, at(self.ms)).unwrap();
        self.journal.note(&self.sequencer.accepted().unwrap(), None);
        self.sequencer.settle().unwrap();
    }

    /// Publishes what derived channels have to say.
    pub(super) fn derive(&mut self) {
        self.ms += 5;
        while let Some(derived) = self.sequencer.derive(at(self.ms)) {
            derived.unwrap();
            self.journal.note(&self.sequencer.accepted().unwrap(), None);
            self.sequencer.settle().unwrap();
        }
        self.sequencer.invariants();
    }

    pub(super) async fn commit(&mut self) {
        self.journal.commit(&mut self.sequencer, at(self.ms)).await;
        self.sequencer.show();
        // The others have their turn, as they do in a server.
        tokio::task::yield_now().await;
    }

    /// So many random ticks on a few channels, in batches.
    pub(super) async fn trade(&mut self, prng: &mut Prng, count: usize) {
        for _ in 0..count {
            self.random(prng);
            if prng.below(4) == 0 {
                self.commit().await;
            }
        }
        self.commit().await;
    }

    fn random(&mut self, prng: &mut Prng) {
        let number = |prng: &mut Prng| Decimal::new(i64::try_from(prng.below(1000)).unwrap() + 1, -2);
        let level = |prng: &mut Prng| Level {
            price: number(prng),
            size: Decimal::new(i64::try_from(prng.below(3)).unwrap(), -1),
        };
        let symbol = prng.below(3);
        match prng.below(8) {
            0..3 => {
                let id = prng.below(1_000_000).to_string();
                let tick = Tick::Trade(Trade {
                    price: number(prng),
                    size: number(prng),
                    side: if prng.below(2) == 0 { Side::Buy } else { Side::Sell },
                    id: if symbol == 0 { "" } else { &id },
                });
                self.publish(&format!("trade:{symbol}"), tick);
            }
            3..5 => {
                let tick = Tick::Quote(Quote {
                    bid_price: number(prng),
                    bid_size: number(prng),
                    ask_price: number(prng),
                    ask_size: number(prng),
                });
                self.publish(&format!("bbo:{symbol}"), tick);
            }
            5..7 => {
                let (bids, asks) = ([level(prng), level(prng)], [level(prng)]);
                let kind = if prng.below(20) == 0 {
                    BookUpdateKind::Snapshot
                } else {
                    BookUpdateKind::Delta
                };
                let update = BookUpdate {
                    kind,
                    bids: &bids,
                    asks: &asks,
                };
                self.publish(&format!("book:{symbol}"), Tick::Book(update));
            }
            _ => {
                let data = format!(r#"{{"n": {}, "s":"\u00e9 \"ü\""}}"#, prng.next_u64());
                self.publish(&format!("room:{symbol}"), Tick::Message(&data));
            }
        }
    }

    /// What clients know: each message on the tape, oldest first.
    pub(super) fn messages(&self) -> Vec<Message> {
        messages(&self.sequencer)
    }

    pub(super) fn states(&mut self) -> Vec<State> {
        states(&mut self.sequencer)
    }

    pub(super) async fn close(mut self) {
        let ms = self.ms;
        self.journal.close(&mut self.sequencer, at(ms)).await;
    }

    /// Ends as by kill -9: nothing more is written.
    pub(super) fn kill(self) {}
}

/// A message's channel, number and frames.
pub(super) type Message = (String, u64, Vec<Vec<u8>>);
/// A channel's name, number, time and state.
pub(super) type State = (String, u64, u64, Vec<u8>);

pub(super) fn sequencer() -> Sequencer {
    let shape = Shape {
        records: 1024,
        track_bytes: FORMATS.track_bytes(limits::TRACK_BYTES_MIN),
        readers: 1,
    };
    let (writer, _) = tape::new(&shape).unwrap();
    Sequencer::writing(writer, FORMATS)
}

/// Every form that there is.
const FORMATS: Formats = Formats {
    deflated: Some(0),
    binary: true,
};

pub(super) fn messages(sequencer: &Sequencer) -> Vec<Message> {
    let tape = sequencer.tape();
    let positions = (tape.tail().number()..tape.head().number()).map(Position::new);
    let live = positions.filter(|&position| tape.record(position).kind.is_live());
    live.map(|position| {
        let tracks = [
            Some(NATIVE_JSON),
            FORMATS.deflated_track(),
            FORMATS.binary_track(),
        ];
        let frames = tracks
            .into_iter()
            .flatten()
            .map(|track| tape.frame(track, position).to_vec());
        let name = sequencer.name(tape.record(position).channel).to_owned();
        (name, tape.record(position).seq, frames.collect())
    })
    .collect()
}

/// The states of all channels, by name, without the time at which they were written down.
pub(super) fn states(sequencer: &mut Sequencer) -> Vec<State> {
    let mut scratch = Vec::new();
    let mut states: Vec<State> = (0..sequencer.channels())
        .filter_map(|channel| {
            let state = sequencer.state(channel, &mut scratch)?;
            Some((state.name.to_owned(), state.seq, state.ts_ns, state.text.to_vec()))
        })
        .collect();
    states.sort();
    states
}

pub(super) fn at(ms: u64) -> Now {
    Now {
        mono_ns: ms * 1_000_000,
        wall_ns: 1_700_000_000_000_000_000 + ms * 1_000_000,
    }
}

pub(super) fn run<F: Future>(body: F) -> F::Output {
    runtime().unwrap().block_on(body)
}

#[test]
fn what_was_shown_before_a_kill_is_there_again_byte_for_byte() {
    for (seed, sync) in (1..).zip([SyncPolicy::Each, SyncPolicy::default(), SyncPolicy::Never]) {
        run(async {
            let folder = Folder::new();
            let mut prng = Prng::new(seed);
            let mut epoch = None;
            let (mut before, mut known): (Vec<Message>, Vec<State>) = (Vec::new(), Vec::new());
            let mut kills = 0;
            // A segment goes on for as long as a slow disk has no other one ready.
            while kills < 5 || folder.segments().len() <= 10 {
                kills += 1;
                assert!(kills < 100, "segments are short");
                let mut server = Server::start(&folder.spec(sync)).await.unwrap();
                assert_eq!(*epoch.get_or_insert(server.epoch), server.epoch, "{sync}");
                assert_eq!(server.states(), known, "{sync}");
                let again = server.messages();
                assert!(before.ends_with(&again), "{sync}: another history");
                assert!(
                    before.is_empty() || again.len() > 300,
                    "{} are there",
                    again.len()
                );
                server.trade(&mut prng, 700).await;
                (before, known) = (server.messages(), server.states());
                server.kill();
            }
        });
    }
}

#[test]
fn a_server_that_was_closed_goes_on_as_if_nothing_had_been() {
    run(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder.spec(SyncPolicy::Never)).await.unwrap();
        let epoch = server.epoch;
        server.trade(&mut Prng::new(9), 100).await;
        let states = server.states();
        server.close().await;
        let left = Directory::new(folder.path()).left().unwrap();
        assert_eq!(left.standing, epoch::Standing::Closed);
        let mut server = Server::start(&folder.spec(SyncPolicy::Never)).await.unwrap();
        assert_eq!((server.epoch, server.states()), (epoch, states));
        assert_eq!(server.recovered.messages, 100);
        server.kill();
    });
}

#[test]
fn a_machine_that_went_down_ends_the_epoch_unless_all_was_synced() {
    run(async {
        for (sync, goes_on) in [(SyncPolicy::Each, true), (SyncPolicy::default(), false)] {
            let folder = Folder::new();
            let mut server = Server::start(&folder.spec(sync)).await.unwrap();
            server.trade(&mut Prng::new(9), 20).await;
            let (epoch, states) = (server.epoch, server.states());
            server.kill();
            let directory = Directory::new(folder.path());
            let mut left = directory.left().unwrap();
            left.boot ^= 1;
            directory.stand(&left).unwrap();
            let mut server = Server::start(&folder.spec(sync)).await.unwrap();
            assert_eq!(server.epoch == epoch, goes_on, "{sync}");
            assert_eq!(server.states(), states, "what is there is there");
        }
    });
}

#[test]
fn a_message_is_durable_when_its_policy_says_so() {
    run(async {
        for sync in [SyncPolicy::Each, SyncPolicy::Never] {
            let folder = Folder::new();
            let mut server = Server::start(&folder.spec(sync)).await.unwrap();
            for _ in 0..3 {
                server.publish("room:1", Tick::Message("1"));
            }
            assert_eq!(server.census.messages.read(), 3);
            assert_eq!(server.census.durable.read(), 0);
            server.commit().await;
            let durable = if sync == SyncPolicy::Each { 3 } else { 0 };
            assert_eq!(server.census.durable.read(), durable, "{sync}");
            let census = Arc::clone(&server.census);
            server.close().await;
            assert_eq!(census.durable.read(), 3, "whatever it says, when it is closed");
        }
    });
}

#[test]
fn a_channel_that_was_silent_outlives_the_segments_that_it_spoke_in() {
    run(async {
        let folder = Folder::new();
        let spec = JournalSpec {
            retain_bytes: Some(64 * 1024),
            ..folder.spec(SyncPolicy::Never)
        };
        let mut server = Server::start(&spec).await.unwrap();
        let level = [Level {
            price: Decimal::new(5, 0),
            size: Decimal::new(2, 0),
        }];
        let update = BookUpdate {
            kind: BookUpdateKind::Snapshot,
            bids: &level,
            asks: &[],
        };
        server.publish("book:silent", Tick::Book(update));
        server.publish("room:silent", Tick::Message("7"));
        let mut prng = Prng::new(3);
        server.trade(&mut prng, 6000).await;
        // A slow disk may take its time over the old ones.
        let mut trades = 0;
        while folder.segments()[0] <= 10 || folder.bytes() >= 128 * 1024 {
            trades += 100;
            assert!(trades < 100_000, "{} bytes are kept", folder.bytes());
            server.trade(&mut prng, 100).await;
        }
        let states = server.states();
        server.kill();
        let mut server = Server::start(&spec).await.unwrap();
        assert_eq!(server.states(), states);
        server.publish("room:silent", Tick::Message("8"));
        assert!(
            server
                .messages()
                .iter()
                .any(|(name, seq, _)| name == "room:silent" && *seq == 2)
        );
    });
}

#[test]
fn segments_that_are_too_old_are_removed() {
    run(async {
        let folder = Folder::new();
        let spec = JournalSpec {
            retain_age: Some("1s".parse().unwrap()),
            ..folder.spec(SyncPolicy::Never)
        };
        let mut server = Server::start(&spec).await.unwrap();
        // A millisecond each.
        let mut prng = Prng::new(3);
        server.trade(&mut prng, 4000).await;
        // A slow disk may take its time over new segments, and over old ones.
        let mut trades = 0;
        while folder.segments()[0] <= 1 || folder.segments().len() <= 2 {
            trades += 100;
            assert!(trades < 100_000, "{:?}", folder.segments());
            server.trade(&mut prng, 100).await;
        }
        let states = server.states();
        server.kill();
        assert_eq!(Server::start(&spec).await.unwrap().states(), states);
    });
}

#[test]
fn two_servers_never_write_one_journal() {
    run(async {
        let folder = Folder::new();
        let server = Server::start(&folder.spec(SyncPolicy::Never)).await.unwrap();
        let refused = Server::start(&folder.spec(SyncPolicy::Never))
            .await
            .err()
            .unwrap();
        assert!(matches!(refused, JournalError::Locked { .. }), "{refused}");
        assert!(refused.to_string().contains("--journal DIR"));
        server.kill();
        assert!(Server::start(&folder.spec(SyncPolicy::Never)).await.is_ok());
    });
}

#[test]
fn a_journal_that_was_missing_something_begins_a_new_epoch() {
    run(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder.spec(SyncPolicy::Each)).await.unwrap();
        server.publish("room:1", Tick::Message("1"));
        server.commit().await;
        let epoch = server.epoch;
        server.kill();
        let directory = Directory::new(folder.path());
        let left = directory.left().unwrap();
        let standing = epoch::Standing::Missing;
        directory.stand(&epoch::EpochFile { standing, ..left }).unwrap();
        let server = Server::start(&folder.spec(SyncPolicy::Each)).await.unwrap();
        assert!(server.epoch > epoch, "and no epoch is used twice");
        server.kill();
        std::fs::remove_file(directory.epoch_file()).unwrap();
        let again = Server::start(&folder.spec(SyncPolicy::Each)).await.unwrap();
        assert_eq!(again.messages().len(), 1);
    });
}
