//! One thread of the generator: a ring, its connections, and the part that they play.
//!
//! Never waits but in [`Worker::turn`], and receives before it sends, so that an answer is timed before the next question
//! is asked. Invariant: a connection counts in exactly one of half open, ready, closing and ended.

use super::line::{Group, Peer, Stage};
use super::net::Net;
use super::opening::Opening;
use super::outgoing::Outgoing;
use super::part::{Desk, Part};
use super::receive::Intake;
use super::tally::{Outcome, Phase, Setback, Shared, Tally, adjust};
use super::target::Target;
use super::windows::Row;
use crate::base::{Key, Slab};
use crate::limits::{LOAD_CLOSE_MS, LOAD_CLOSE_NS_EACH, LOAD_CLOSING_MAX, LOAD_TURN_MS};
use crate::ring::{Completion, Errno, Interest, Ring as _};
use crate::wire::{CloseCode, CloseFrame};
use std::sync::Arc;

/// One thread's share of a run.
#[derive(Debug)]
pub(super) struct Worker<P: Part> {
    pub(super) net: Net,
    pub(super) peers: Slab<Peer>,
    pub(super) part: P,
    pub(super) target: Arc<Target>,
    pub(super) shared: Arc<Shared>,
    pub(super) tally: Arc<Tally>,
    pub(super) outcome: Outcome,
    pub(super) out: Outgoing,
    pub(super) intake: Intake,
    pub(super) opening: Opening,
    pub(super) phase: Phase,
    pub(super) now_ns: u64,
    completions: Vec<Completion>,
    /// Connections that a send found beyond use.
    broken: Vec<Key>,
    /// When the part has something due.
    due_ns: Option<u64>,
    /// Who is still to be told that we part.
    parting: Vec<Key>,
    /// How many have been told, and have not answered.
    closing: usize,
    /// When parting is over, whoever is left.
    part_by_ns: u64,
}

/// Why a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// It never became ready.
    Setback(Setback),
    /// The server's doing, with this close code; 0 without one.
    Lost(u16),
    /// As it was meant to.
    Finished,
    /// We dropped it.
    Dropped,
}

/// What a worker lends to its part.
macro_rules! desk {
    ($worker:expr) => {
        Desk {
            now_ns: $worker.now_ns,
            out: &mut $worker.out,
            tally: &$worker.tally,
            shared: &$worker.shared,
            outcome: &mut $worker.outcome,
        }
    };
}
pub(super) use desk;

/// What a worker is made of.
#[derive(Debug)]
pub(super) struct Share<P> {
    pub(super) part: P,
    pub(super) target: Arc<Target>,
    pub(super) shared: Arc<Shared>,
    pub(super) tally: Arc<Tally>,
    pub(super) opening: Opening,
    /// Connections that there can be at once, those included that are on their way out.
    pub(super) slots: usize,
    /// From a good source of randomness.
    pub(super) seed: u64,
}

impl<P: Part> Worker<P> {
    pub(super) fn new(net: Net, share: Share<P>) -> Self {
        Self {
            now_ns: net.ring.now().mono_ns,
            net,
            peers: Slab::with_capacity(share.slots),
            part: share.part,
            target: share.target,
            shared: share.shared,
            tally: share.tally,
            outcome: Outcome::new(),
            out: Outgoing::new(share.seed),
            intake: Intake::new(),
            opening: share.opening,
            phase: Phase::Open,
            completions: Vec::new(),
            broken: Vec::new(),
            due_ns: None,
            parting: Vec::new(),
            closing: 0,
            part_by_ns: u64::MAX,
        }
    }

    /// Works until it is told to part, and has.
    pub(super) fn run(mut self) -> Result<Outcome, Errno> {
        while !self.is_over() {
            self.turn()?;
        }
        Ok(self.outcome)
    }

    fn turn(&mut self) -> Result<(), Errno> {
        let deadline_ns = self.deadline_ns();
        let now = self.net.ring.wait(Some(deadline_ns), &mut self.completions)?;
        self.now_ns = now.mono_ns;
        self.obey();
        self.sort_completions();
        self.receive();
        self.expire();
        self.open();
        let mut desk = desk!(self);
        self.due_ns = self.part.turn(self.phase, &mut self.peers, &mut desk);
        self.tell_parting();
        self.flush();
        Ok(())
    }

    fn deadline_ns(&self) -> u64 {
        let may_part = !self.parting.is_empty() && self.closing < LOAD_CLOSING_MAX;
        if self.intake.is_waiting() || may_part {
            return 0;
        }
        let dues = [self.due_ns, self.opening_due_ns(), Some(self.part_by_ns)];
        let idle_ns = self.now_ns.saturating_add(LOAD_TURN_MS * NS_PER_MS);
        dues.into_iter().flatten().fold(idle_ns, u64::min)
    }

    fn is_over(&self) -> bool {
        let last_ns = self.part_by_ns.saturating_add(LOAD_CLOSE_MS * NS_PER_MS);
        self.phase == Phase::Close
            && self.parting.is_empty()
            && (self.peers.is_empty() || self.now_ns >= last_ns)
    }

    /// Does what a new phase asks of everyone.
    fn obey(&mut self) {
        let phase = self.shared.phase();
        if phase == self.phase {
            if self.now_ns >= self.part_by_ns {
                self.parting.clear();
                self.each(|worker, key| worker.end(key, End::Dropped));
            }
            return;
        }
        self.phase = phase;
        match phase {
            Phase::Open | Phase::Run | Phase::Stall | Phase::Drain => {}
            Phase::Resume => self.each(Self::hear_stalled),
            Phase::Storm => {
                self.opening.hurry(self.now_ns);
                self.each(Self::drop_wayward);
            }
            Phase::Close => {
                self.count_overdue();
                self.part.finish(&mut desk!(self));
                self.each(Self::take_stock);
                self.parting = self.peers.keys().collect();
                let each_ns = self.parting.len() as u64 * LOAD_CLOSE_NS_EACH;
                self.part_by_ns = self.now_ns.saturating_add(LOAD_CLOSE_MS * NS_PER_MS + each_ns);
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Self, Key)) {
        let keys: Vec<Key> = self.peers.keys().collect();
        for key in keys {
            act(self, key);
        }
    }

    fn hear_stalled(&mut self, key: Key) {
        if let Some(peer) = self.peers.get_mut(key)
            && std::mem::take(&mut peer.line.stalled)
        {
            self.hear_soon(key);
        }
    }

    fn drop_wayward(&mut self, key: Key) {
        let wayward = |peer: &&mut Peer| peer.line.group == Group::Wayward;
        if self.peers.get_mut(key).filter(wayward).is_some() {
            self.end(key, End::Dropped);
        }
    }

    /// Who is open at the end, and who of them has had everything. A life that is still under way has come to nothing.
    fn take_stock(&mut self, key: Key) {
        let published = self.shared.board.begun();
        let Some(Peer { line, .. }) = self.peers.get_mut(key) else {
            return;
        };
        if P::CHURNS {
            let window = self.shared.windows.of(line.intended_ns);
            self.outcome.unfinished[window] += u64::from(line.stage != Stage::Ended);
        } else if line.stage == Stage::Ready {
            let group = self.outcome.group(line.group);
            group.open += 1;
            let behind = published.saturating_sub(line.next);
            group.missing += u64::from(behind);
            group.current += u64::from(behind == 0);
        }
    }

    /// Says goodbye to some of those to whom it is still to be said.
    fn tell_parting(&mut self) {
        while self.closing < LOAD_CLOSING_MAX {
            let Some(key) = self.parting.pop() else {
                break;
            };
            let Some(Peer { session, line, .. }) = self.peers.get_mut(key) else {
                continue;
            };
            if line.stage != Stage::Ready {
                self.end(key, End::Dropped);
                continue;
            }
            line.stage = Stage::Closing;
            self.closing += usize::from(!P::CHURNS);
            adjust(&self.tally.ready[line.group.index()], -1);
            let mask = self.out.mask();
            let close = Some(CloseFrame::new(CloseCode::NORMAL, ""));
            self.out
                .write(key, line, |out| session.sender().close(close, mask, out));
            if line.stalled {
                self.hear_stalled(key);
            }
        }
    }

    fn sort_completions(&mut self) {
        let mut completions = std::mem::take(&mut self.completions);
        for completion in completions.drain(..) {
            let Completion::Ready {
                key,
                interest,
                readiness,
            } = completion
            else {
                continue;
            };
            let Some(Peer { line, .. }) = self.peers.get_mut(key) else {
                continue;
            };
            line.disarm(interest);
            match line.stage {
                Stage::Ended if line.is_armed() => {}
                Stage::Ended => self.free(key),
                Stage::Connecting if readiness.hangup => self.end(key, End::Setback(Setback::Refused)),
                Stage::Connecting => self.connected(key),
                Stage::Greeting | Stage::Preparing | Stage::Ready | Stage::Closing if interest.writes() => {
                    self.out
                        .send_unsent(key, &mut self.net, &mut self.peers, &mut self.broken);
                    self.end_broken();
                }
                Stage::Greeting | Stage::Preparing | Stage::Ready | Stage::Closing => self.hear_soon(key),
            }
        }
        self.completions = completions;
    }

    /// Sends everything that was said.
    pub(super) fn flush(&mut self) {
        self.out.flush(&mut self.net, &mut self.peers, &mut self.broken);
        self.end_broken();
    }

    fn end_broken(&mut self) {
        for key in std::mem::take(&mut self.broken) {
            self.end_by_peer(key);
        }
    }

    /// The server ended the stream, or the connection broke.
    pub(super) fn end_by_peer(&mut self, key: Key) {
        let Some(peer) = self.peers.get(key) else {
            return;
        };
        let end = match peer.line.stage {
            Stage::Connecting | Stage::Greeting => End::Setback(Setback::Reset),
            Stage::Preparing => End::Setback(Setback::NotReady),
            Stage::Ready => End::Lost(0),
            Stage::Closing | Stage::Ended => End::Finished,
        };
        self.end(key, end);
    }

    /// A connection is over.
    pub(super) fn end(&mut self, key: Key, end: End) {
        let Some(Peer { held, line, .. }) = self.peers.get_mut(key) else {
            return;
        };
        let stage = std::mem::replace(&mut line.stage, Stage::Ended);
        if stage == Stage::Ended {
            return;
        }
        (*held, line.unsent) = (Box::default(), Vec::new());
        let (socket, group, armed) = (line.socket, line.group, line.is_armed());
        let (since_ns, intended_ns) = (line.since_ns, line.intended_ns);
        self.opening.left(group, stage, &self.tally);
        match stage {
            Stage::Ready => adjust(&self.tally.ready[group.index()], -1),
            Stage::Closing if !P::CHURNS => self.closing -= 1,
            Stage::Connecting | Stage::Greeting | Stage::Preparing | Stage::Closing | Stage::Ended => {}
        }
        match end {
            End::Setback(setback) => self.set_back(setback),
            End::Lost(code) => {
                *self.outcome.group(group).closes.entry(code).or_default() += 1;
                self.tally.lost.add(1);
                if !P::CHURNS {
                    self.opening.want_less(group);
                }
            }
            // A life that ends because the run does is unfinished.
            End::Finished if P::CHURNS && self.phase != Phase::Close => {
                self.tally.finished.add(1);
                let window = self.shared.windows.of(intended_ns);
                for (row, from_ns) in [(Row::Close, since_ns), (Row::Whole, intended_ns)] {
                    let latency_ns = self.now_ns.saturating_sub(from_ns);
                    self.outcome.latencies.record(row, window, latency_ns, 1);
                }
            }
            End::Finished | End::Dropped => {}
        }
        if armed {
            self.net.ring.shutdown(socket);
        } else {
            self.free(key);
        }
    }

    /// An attempt came to nothing; the next waits a little.
    pub(super) fn set_back(&mut self, setback: Setback) {
        *self.outcome.setbacks.entry(setback).or_default() += 1;
        self.tally.setbacks.add(1);
        self.opening.hold_off(self.now_ns);
    }

    /// Watches a connection for something to read.
    pub(super) fn watch(&mut self, key: Key) {
        if let Some(Peer { line, .. }) = self.peers.get_mut(key)
            && !line.reading
            && line.stage != Stage::Ended
        {
            line.reading = true;
            self.net.ring.arm(key, line.socket, Interest::Read);
        }
    }

    fn free(&mut self, key: Key) {
        if let Some(peer) = self.peers.remove(key) {
            self.net.ring.close(peer.line.socket);
        }
    }
}

const NS_PER_MS: u64 = 1_000_000;
