//! What can be asked of a running server that serves ticks: how far back its history reaches.
//!
//! Never on the path of a tick, and never waits for a thread that is: the tape is read through a reader of its own.
//! Invariant: one task at a time walks the tape.

use tokio::sync::Mutex;

use super::history::History;
use crate::writer::Clock;

/// What a server of ticks says of itself.
#[derive(Debug)]
pub struct Vitals {
    history: Mutex<History>,
    clock: Clock,
}

impl Vitals {
    /// Of the server whose tape that is.
    pub(super) fn new(history: History) -> Self {
        Self {
            history: Mutex::new(history),
            clock: Clock::start(),
        }
    }

    /// Says in the log how far back the tape reaches now.
    pub async fn report_history(&self) {
        let mut history = self.history.lock().await;
        history.walk().await;
        history.report(self.clock.now());
    }
}
