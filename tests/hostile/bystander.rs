//! A client that only wants its ticks, next to those who want to do harm: what it gets, and how soon it is answered.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::raw::{FIN, PING, PONG, Raw, TEXT, UPGRADE, masked};

/// The client, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Bystander {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<[Heard; 2]>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Whether the harm is being done.
    attacked: AtomicBool,
    over: AtomicBool,
    /// Pings answered, before and after that began.
    answered: [AtomicU64; 2],
}

/// What it heard in one part of the test.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) ticks: u64,
    /// From each ping to its pong.
    round_trips: Vec<Duration>,
}

impl Bystander {
    /// Subscribes to everything.
    pub(crate) fn begin(address: SocketAddr) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = thread::spawn(move || watch(address, &theirs));
        Self {
            shared,
            thread: Some(thread),
        }
    }

    /// From now on harm is done.
    pub(crate) fn attacked(&self) {
        self.shared.attacked.store(true, Ordering::Release);
    }

    /// Waits until so many pings more have been answered.
    pub(crate) fn answered(&self, pings: u64) {
        let answered = &self.shared.answered[usize::from(self.shared.attacked.load(Ordering::Acquire))];
        let until = answered.load(Ordering::Acquire) + pings;
        while answered.load(Ordering::Acquire) < until {
            let thread = self.thread.as_ref().expect("it runs until it is ended");
            assert!(!thread.is_finished(), "the bystander is served on");
            thread::yield_now();
        }
    }

    /// Ends, and says what was heard before the harm, and since.
    pub(crate) fn end(mut self) -> [Heard; 2] {
        self.shared.over.store(true, Ordering::Release);
        let thread = self.thread.take().expect("it runs until it is ended");
        thread.join().expect("the bystander's stream is whole")
    }
}

impl Heard {
    /// The round trip that so many of a hundred stay below.
    pub(crate) fn percentile(&self, hundredths: usize) -> Duration {
        let mut sorted = self.round_trips.clone();
        sorted.sort();
        let index = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
        sorted.get(index).copied().unwrap_or_default()
    }

    pub(crate) fn pings(&self) -> usize {
        self.round_trips.len()
    }
}

/// Reads ticks, and pings after each of them that finds no ping under way.
///
/// # Panics
/// When the number of a tick is not the one after its channel's last, or anything else than ticks and pongs comes.
fn watch(address: SocketAddr, shared: &Shared) -> [Heard; 2] {
    let mut raw = Raw::connect(address);
    raw.send(UPGRADE.replace("/v1/ws", "/v1/ws?ch=*").as_bytes());
    raw.opened();
    let mut newest: HashMap<String, u64> = HashMap::new();
    let mut heard = <[Heard; 2]>::default();
    let mut pinged: Option<Instant> = None;
    while !shared.over.load(Ordering::Acquire) {
        let part = usize::from(shared.attacked.load(Ordering::Acquire));
        let frame = raw.frame();
        match frame.opcode {
            TEXT => {
                let message: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                if let Some(seq) = message["seq"].as_u64() {
                    let channel = message["ch"].as_str().expect("a tick has a channel").to_owned();
                    if let Some(before) = newest.insert(channel, seq) {
                        assert_eq!(seq, before + 1, "nothing is missing: {message}");
                    }
                    heard[part].ticks += 1;
                }
                if pinged.is_none() {
                    pinged = Some(present());
                    raw.send(&masked(FIN | PING, b""));
                }
            }
            PONG => {
                let round_trip = pinged.take().expect("one pong for each ping").elapsed();
                heard[part].round_trips.push(round_trip);
                shared.answered[part].fetch_add(1, Ordering::AcqRel);
            }
            PING => raw.send(&masked(FIN | PONG, &frame.payload)),
            other => panic!("opcode {other}: {frame:?}"),
        }
    }
    heard
}

#[expect(
    clippy::disallowed_methods,
    reason = "a round trip is shown; nothing depends on how long it takes"
)]
fn present() -> Instant {
    Instant::now()
}
