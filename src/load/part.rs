//! What a scenario has its connections do once they are ready.
//!
//! A part never connects, never closes and never touches a socket: it is told what happens, and says what to say.

use super::line::{Line, Peer};
use super::outgoing::{Outgoing, Said};
use super::tally::{Outcome, Phase, Shared, Tally};
use super::windows::Row;
use crate::base::{Key, Slab};
use crate::wire::{Client, Sender};

/// One thread's part.
pub(super) trait Part: Send + 'static {
    /// Whether each connection lives for one message only, and another one takes its place.
    const CHURNS: bool = false;

    /// A connection is ready.
    fn ready(&mut self, _talk: &mut Talk<'_>, _desk: &mut Desk<'_>) {}

    /// A message has come.
    fn message(&mut self, talk: &mut Talk<'_>, text: &[u8], desk: &mut Desk<'_>) -> Verdict;

    /// Everything that one reception brought has been told.
    fn received(&mut self, _desk: &mut Desk<'_>) {}

    /// The run is at its end: what was due and has not begun never will.
    fn finish(&mut self, _desk: &mut Desk<'_>) {}

    /// A turn ends: what is due is said. Gives when the next is.
    fn turn(&mut self, _phase: Phase, _peers: &mut Slab<Peer>, _desk: &mut Desk<'_>) -> Option<u64> {
        None
    }
}

/// A connection, to talk on.
#[derive(Debug)]
pub(super) struct Talk<'a> {
    pub(super) key: Key,
    pub(super) line: &'a mut Line,
    pub(super) sender: &'a mut Sender<Client>,
}

/// What becomes of a connection after a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    GoOn,
    /// It has served its purpose and is closed in order.
    Close,
}

/// What a part has to work with.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) now_ns: u64,
    pub(super) out: &'a mut Outgoing,
    pub(super) tally: &'a Tally,
    pub(super) shared: &'a Shared,
    pub(super) outcome: &'a mut Outcome,
}

impl Talk<'_> {
    /// Says a text that was due at `at_ns`; what cannot even be queued is counted.
    pub(super) fn say(&mut self, text: &str, at_ns: u64, desk: &mut Desk<'_>) -> Said {
        let said = desk.out.text(self.key, self.line, self.sender, text);
        match said {
            Said::Queued => desk.tally.sent.add(1),
            Said::NoRoom => desk.never_begin(at_ns),
        }
        said
    }
}

impl Desk<'_> {
    /// Something that was due at `at_ns` will never begin.
    pub(super) fn never_begin(&mut self, at_ns: u64) {
        self.outcome.never_begun[self.shared.windows.of(at_ns)] += 1;
    }

    /// Something that was meant to begin at `from_ns` is over.
    pub(super) fn record(&mut self, row: Row, from_ns: u64) {
        let window = self.shared.windows.of(from_ns);
        let latency_ns = self.now_ns.saturating_sub(from_ns);
        self.outcome.latencies.record(row, window, latency_ns, 1);
    }
}
