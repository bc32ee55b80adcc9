//! A real recording, served whole to a hundred clients that we did not write.

#[allow(dead_code, reason = "each test uses its part")]
mod recording;
#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::Path;

use serde_json::Value;
use tickwire::control::Config;
use tickwire::control::server::News;
use tickwire::shard::Slack;
use tickwire::writer::FeedEnd;
use tickwire::writer::source::{SourceSpec, Speed};
use tokio::task::JoinSet;

use recording::{Book, Recording, text};
use scene::served::{Served, small};
use scene::socket::{Closed, Socket};
use scene::{block_on, cannot_serve, within};

/// All that one subscriber was sent after its acknowledgement.
#[derive(Debug, Default)]
struct Received {
    frames: u64,
    hasher: DefaultHasher,
    /// The hash after each thousand frames: says where two streams part.
    milestones: Vec<u64>,
    kept: Option<Vec<String>>,
    closed: Option<Closed>,
}

impl Received {
    fn keeping(keep: bool) -> Self {
        Self {
            kept: keep.then(Vec::new),
            ..Self::default()
        }
    }

    fn take(&mut self, frame: &str) {
        frame.hash(&mut self.hasher);
        self.frames += 1;
        if self.frames.is_multiple_of(1000) {
            self.milestones.push(self.hasher.finish());
        }
        if let Some(kept) = &mut self.kept {
            kept.push(frame.to_owned());
        }
    }

    /// Reads until `frames` frames have come, or the server closes.
    async fn read(&mut self, socket: &mut Socket, frames: u64) {
        while self.frames < frames {
            match socket.next().await {
                Ok(frame) => self.take(&frame),
                Err(closed) => {
                    self.closed = Some(closed);
                    return;
                }
            }
        }
    }
}

#[test]
fn a_hundred_subscribers_receive_every_record_of_a_recording_in_order() {
    if cannot_serve() {
        return;
    }
    let Some(path) = recording::path() else { return };
    let file = Recording::read(&path);
    let total = (file.trades.len() + file.quotes.len()) as u64 + file.deltas;
    let mut served = Served::start(Config {
        track_bytes: 64 * 1024 * 1024,
        ..replay(&path, 2, 100)
    });
    let address = served.address();
    let received = block_on(async {
        let mut subscribers = JoinSet::new();
        for number in 0..100 {
            subscribers.spawn(subscriber(address, number, total));
        }
        let mut received = Vec::new();
        while let Some(joined) = within("a subscriber", subscribers.join_next()).await {
            received.push(joined.expect("no subscriber panics"));
        }
        let summary = feed_summary(&mut served).await;
        let expected = format!(
            "{total} ticks ({} trades, {} quotes, {} books, 0 messages), 0 bad lines",
            file.trades.len(),
            file.quotes.len(),
            file.deltas
        );
        assert!(summary.contains(&expected), "{summary}");
        received
    });
    assert_eq!(received.len(), 100);
    let kept = received
        .iter()
        .find(|received| received.kept.is_some())
        .expect("one is kept whole");
    for other in &received {
        assert_eq!(other.closed, None);
        assert_eq!(
            other.milestones, kept.milestones,
            "the streams part within a thousand frames"
        );
        assert_eq!(
            (other.frames, other.hasher.finish()),
            (total, kept.hasher.finish())
        );
    }
    check_against(&file, kept.kept.as_deref().unwrap_or_default());
    let lost: u64 = served.server().census().map(|census| census.lost.read()).sum();
    assert_eq!(lost, 0);
}

#[test]
fn on_a_tape_that_is_too_short_each_subscriber_ends_with_the_present_state_and_knows_what_it_missed() {
    if cannot_serve() {
        return;
    }
    let Some(path) = recording::path() else { return };
    let file = Recording::read(&path);
    let mut served = Served::start(Config {
        records: 2048,
        slack: Slack::default(),
        ..replay(&path, 2, 12)
    });
    let address = served.address();
    let newest = [file.trades.len() as u64, file.quotes.len() as u64, file.deltas];
    let followers = block_on(async {
        let mut sockets = Vec::new();
        for _ in 0..12 {
            let mut socket = Socket::connect(address, "?ch=*").await;
            assert_eq!(socket.json().await["t"], "hello");
            assert_eq!(socket.json().await["t"], "ack");
            sockets.push(socket);
        }
        // The last four read nothing before the source has ended.
        let idle = sockets.split_off(8);
        let mut readers = JoinSet::new();
        for socket in sockets {
            readers.spawn(Follower::default().follow(socket, newest));
        }
        feed_summary(&mut served).await;
        for socket in idle {
            readers.spawn(async move {
                let follower = Follower::default().follow(socket, newest).await;
                assert!(follower.missed > 0, "the tape holds a part of what it was to get");
                follower
            });
        }
        let mut followers = Vec::new();
        while let Some(joined) = within("a subscriber", readers.join_next()).await {
            followers.push(joined.expect("no subscriber panics"));
        }
        followers
    });
    assert_eq!(followers.len(), 12);
    for follower in &followers {
        assert_eq!(follower.book, file.book);
        assert_eq!(
            follower.trades + follower.missed,
            newest[0],
            "each trade came or was told"
        );
    }
}

/// A client that keeps a book, and knows at each message what it has and what it misses.
#[derive(Default)]
struct Follower {
    newest: HashMap<String, u64>,
    book: Book,
    trades: u64,
    /// Trades that it was told that it misses.
    missed: u64,
    warned: bool,
}

impl Follower {
    /// Reads until it has the newest trade, quote and delta of the recording.
    async fn follow(mut self, mut socket: Socket, newest: [u64; 3]) -> Self {
        let channels = ["trade", "bbo", "book"].map(|kind| format!("{kind}:BTCUSDT"));
        let is_through = |newest_of: &HashMap<String, u64>| {
            let mut pairs = channels.iter().zip(newest);
            pairs.all(|(channel, newest)| newest_of.get(channel) == Some(&newest))
        };
        while !is_through(&self.newest) {
            self.take(&socket.text().await);
        }
        self
    }

    fn take(&mut self, frame: &str) {
        let message: Value = serde_json::from_str(frame).expect("every frame is JSON");
        let number = |name: &str| message[name].as_u64().expect("a number");
        let t = text(&message["t"]);
        if t == "warn" {
            self.warned = true;
            return;
        }
        let newest = self.newest.entry(text(&message["ch"])).or_default();
        let next = *newest + 1;
        if t == "gap" {
            assert!(self.warned && message["ch"] == "trade:BTCUSDT", "{frame}");
            assert_eq!(number("from"), next, "{frame}");
            self.missed += number("to") + 1 - next;
            *newest = number("to");
            return;
        }
        *newest = number("seq");
        let is_state = t == "bbo" || message["k"] == "snap";
        let may_skip = is_state && self.warned && (t == "book" || *newest + 1 >= next);
        assert!(*newest == next || may_skip, "{next}: {frame}");
        match &*t {
            "trade" => self.trades += 1,
            "book" => {
                if is_state {
                    self.book = Book::default();
                }
                self.book.apply(&message["b"], &message["a"]);
            }
            _ => assert_eq!(t, "bbo", "{frame}"),
        }
    }
}

fn replay(path: &Path, shards: usize, wait_for: u64) -> Config {
    Config {
        shards: NonZeroUsize::new(shards),
        speed: Speed::Max,
        wait_for,
        // Nobody skips anything that the tape has, and only ticks come.
        slack: Slack::UNBOUNDED,
        heartbeat_seconds: 0,
        ..small(SourceSpec::Capture {
            path: path.to_owned(),
        })
    }
}

/// Subscribes to everything, every other one by a command, and reads `total` frames and nothing more.
async fn subscriber(address: SocketAddr, number: u64, total: u64) -> Received {
    let by_query = number.is_multiple_of(2);
    let mut socket = Socket::connect(address, if by_query { "?ch=*" } else { "" }).await;
    assert_eq!(socket.json().await["t"], "hello");
    if !by_query {
        socket.send(r#"{"op":"sub","id":1,"ch":["*"]}"#).await;
    }
    let ack = socket.json().await;
    assert_eq!((&ack["t"], &ack["ok"][0]["ch"]), (&"ack".into(), &"*".into()));
    let mut received = Received::keeping(number == 0);
    received.read(&mut socket, total).await;
    socket.send(r#"{"op":"ping","id":99}"#).await;
    let next = socket.json().await;
    assert_eq!(
        (&next["t"], &next["id"]),
        (&"pong".into(), &99.into()),
        "the file has no more than that"
    );
    assert_eq!(socket.close(1000, "done").await.code, 1000);
    received
}

async fn feed_summary(served: &mut Served) -> String {
    loop {
        match within("the end of the source", served.server_mut().news()).await {
            Some(News::Feed(FeedEnd::Over(summary))) => return summary,
            Some(News::Ended) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Numbers count up by one from 1 within each channel.
fn contiguous(frames: &[String]) -> HashMap<String, u64> {
    let mut newest: HashMap<String, u64> = HashMap::new();
    for frame in frames {
        let message: Value = serde_json::from_str(frame).expect("every frame is JSON");
        let seq = newest.entry(text(&message["ch"])).or_default();
        *seq += 1;
        assert_eq!(message["seq"], *seq, "{frame}");
    }
    newest
}

/// What was received says exactly what the file says.
fn check_against(file: &Recording, frames: &[String]) {
    let newest = contiguous(frames);
    let counts = [file.trades.len() as u64, file.quotes.len() as u64, file.deltas];
    for (kind, count) in ["trade", "bbo", "book"].iter().zip(counts) {
        assert_eq!(newest[&format!("{kind}:BTCUSDT")], count);
    }
    if std::env::var_os("TICKWIRE_CAPTURE").is_none() {
        assert_eq!(counts, [10_147, 45_134, 3_044]);
    }
    let (mut trades, mut quotes) = (file.trades.iter(), file.quotes.iter());
    let mut book = Book::default();
    let (mut snaps, mut deltas) = (0, 0);
    for frame in frames {
        let message: Value = serde_json::from_str(frame).expect("every frame is JSON");
        match message["t"].as_str() {
            Some("trade") => {
                let said = ["px", "sz", "side", "tid"].map(|field| text(&message[field]));
                assert_eq!(Some(&said), trades.next(), "{frame}");
            }
            Some("bbo") => {
                let said = ["bp", "bs", "ap", "as"].map(|field| text(&message[field]));
                assert_eq!(Some(&said), quotes.next(), "{frame}");
            }
            Some("book") => {
                if message["k"] == "snap" {
                    assert_eq!(deltas, 0, "a snapshot comes first");
                    book = Book::default();
                    snaps += 1;
                } else {
                    assert_eq!(message["k"], "delta");
                    deltas += 1;
                }
                book.apply(&message["b"], &message["a"]);
            }
            _ => panic!("no frame of the feed: {frame}"),
        }
    }
    assert_eq!((trades.next(), quotes.next()), (None, None));
    assert_eq!((snaps, deltas + 1), (1, file.deltas));
    assert!(book.levels() > 1000, "a book of {} levels", book.levels());
    assert_eq!(book, file.book);
}
