//! What a shard tells the other threads about itself, and what it is told: plain counters and one order.
//!
//! Everything is relaxed: a reader sees each number as it was a moment ago, and draws no conclusion from one
//! number about another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The numbers of one shard.
#[derive(Debug, Default)]
pub struct Census {
    /// Connections that hold a slot.
    pub connections: Gauge,
    /// Connections with a subscription.
    pub subscribers: Gauge,
    /// Connections accepted.
    pub accepted: Gauge,
    /// Connections answered 503 or closed unanswered for want of a slot.
    pub refused: Gauge,
    /// Connections closed 4008: they could not be owed what they were to be told.
    pub lost: Gauge,
    /// Times a connection was so far behind that it skipped what was out of date.
    pub conflated: Gauge,
    /// Times a connection gave up what the tape was about to let go of.
    pub lapsed: Gauge,
    /// Sends that went out whole.
    pub sends: Gauge,
    /// Sends that a socket took in part or not at all.
    pub sends_short: Gauge,
    /// Times more was written than the shard could send to those who were live.
    pub overtaken: Gauge,
}

/// The numbers of a journal.
#[derive(Debug, Default)]
pub struct JournalCensus {
    /// The number of the newest message that was taken.
    pub messages: Gauge,
    /// The number of the newest message that is on disk, with all before it but those that a failure took: one that was
    /// acknowledged to be durable is not above it.
    pub durable: Gauge,
    /// Bytes written.
    pub bytes: Gauge,
    /// Syncs.
    pub syncs: Gauge,
    /// Times that it could not be gone on with.
    pub failures: Gauge,
    /// 1 while what is published is not journaled, else 0.
    pub missing: Gauge,
}

/// A number that one thread writes and others read.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds `amount`. Only the owning thread calls this.
    pub fn add(&self, amount: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(amount),
            Ordering::Relaxed,
        );
    }

    /// Sets it. Only the owning thread calls this.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it was a moment ago.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What every shard of a server is told to do.
#[derive(Debug, Default)]
pub struct Orders {
    drain: AtomicBool,
}

impl Orders {
    /// Tells everyone to close their connections and stop. Ring their doorbells afterwards.
    pub fn drain(&self) {
        self.drain.store(true, Ordering::Release);
    }

    /// Whether everyone has been told to stop.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }
}
