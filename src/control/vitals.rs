//! What can be asked of a running server that serves ticks: its counters, its health and its history.
//!
//! Never on the path of a tick, and never waits for a thread that is: counters are read as they are, and the tape through
//! a reader of its own. Invariant: one task at a time walks the tape; others wait for it and use what it has found.

use std::sync::Arc;

use tokio::sync::{Mutex, MutexGuard};

use super::history::History;
use crate::base::{Census, JournalCensus, Now, Orders};
use crate::shard::site;
use crate::writer::Clock;

/// What a server of ticks says of itself.
#[derive(Debug)]
pub struct Vitals {
    pub(super) shards: Vec<Arc<Census>>,
    pub(super) journal: Option<Arc<JournalCensus>>,
    pub(super) orders: Arc<Orders>,
    history: Mutex<History>,
    clock: Clock,
}

impl Vitals {
    /// Of the server whose parts these are.
    pub(super) fn new(
        shards: Vec<Arc<Census>>,
        journal: Option<Arc<JournalCensus>>,
        orders: Arc<Orders>,
        history: History,
    ) -> Self {
        Self {
            shards,
            journal,
            orders,
            history: Mutex::new(history),
            clock: Clock::start(),
        }
    }

    /// Says in the log how far back the tape reaches now.
    pub async fn report_history(&self) {
        let mut history = self.history.lock().await;
        history.walk(self.clock.now()).await;
        history.report(self.clock.now());
    }

    /// How far back the tape reaches, as it was a moment ago, and what time it is.
    pub(super) async fn history(&self) -> (MutexGuard<'_, History>, Now) {
        let mut history = self.history.lock().await;
        history.refresh(self.clock.now()).await;
        (history, self.clock.now())
    }

    /// What load balancers are told; `None` when the server is about to end.
    pub(super) fn health(&self) -> Option<&'static str> {
        (!self.orders.is_draining()).then(|| site::health(self.journal.as_deref()))
    }
}
