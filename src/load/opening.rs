//! From nothing to a connection that is ready, as many at once as is bearable, and again where it failed.
//!
//! Never has more than its bound half open: a server's backlog is not what is measured. Invariant: the connections held
//! are those of every stage but ended.

use super::line::{Group, Line, Peer, Stage};
use super::pace::Pace;
use super::part::{Desk, Part, Talk};
use super::tally::{Phase, Setback, Shared, Tally, adjust};
use super::windows::Row;
use super::worker::{End, Worker, desk};
use crate::base::{Key, Prng};
use crate::limits::{LOAD_OPENING_MS, LOAD_RETRY_MS};
use crate::ring::{Interest, Ring as _};
use crate::wire::{Accepted, HeadScan, Offer, Rejection};
use std::collections::VecDeque;

/// How one thread opens its connections.
#[derive(Debug)]
pub(super) struct Opening {
    /// Connections to hold, by group.
    wanted: [usize; Group::COUNT],
    held: [usize; Group::COUNT],
    half_open: usize,
    half_open_max: usize,
    pace: Pace,
    /// Not before this, after a setback.
    held_off_until_ns: u64,
    /// Who is half open, and until when; the oldest first. Some of them have long become ready.
    expiries: VecDeque<(Key, u64)>,
    nonce_seed: u64,
}

impl Opening {
    /// Opens so many of each group, in that order, at that pace, with so many half open at most.
    pub(super) fn new(
        wanted: [usize; Group::COUNT],
        pace: Pace,
        half_open_max: usize,
        nonce_seed: u64,
    ) -> Self {
        Self {
            wanted,
            held: [0; Group::COUNT],
            half_open: 0,
            half_open_max,
            pace,
            held_off_until_ns: 0,
            expiries: VecDeque::new(),
            nonce_seed,
        }
    }

    /// From now on the bound on half-open connections is the only one.
    pub(super) fn hurry(&mut self, now_ns: u64) {
        self.pace = Pace::new(0.0, now_ns);
    }

    /// A connection has left its stage for good.
    pub(super) fn left(&mut self, group: Group, stage: Stage, tally: &Tally) {
        self.held[group.index()] -= 1;
        if stage.is_opening() {
            self.half_open -= 1;
            adjust(&tally.half_open, -1);
        }
    }

    /// A connection that is lost is not opened again.
    pub(super) fn want_less(&mut self, group: Group) {
        let wanted = &mut self.wanted[group.index()];
        *wanted = wanted.saturating_sub(1);
    }

    pub(super) fn hold_off(&mut self, now_ns: u64) {
        self.held_off_until_ns = now_ns.saturating_add(LOAD_RETRY_MS * NS_PER_MS);
    }

    /// The group that wants another connection, if one does and there may be one.
    fn wanting(&self) -> Option<Group> {
        let lacks = |group: &Group| self.held[group.index()] < self.wanted[group.index()];
        [Group::Steady, Group::Wayward]
            .into_iter()
            .find(lacks)
            .filter(|_| self.half_open < self.half_open_max)
    }

    /// The nonce of a connection: known again when it is answered, so that nothing need be kept.
    fn nonce(&self, key: Key) -> [u8; 16] {
        let slot = u64::from(key.slot()) << 32 | u64::from(key.generation());
        let mut random = Prng::new(self.nonce_seed ^ slot);
        let mut nonce = [0; 16];
        let (low, high) = nonce.split_at_mut(8);
        low.copy_from_slice(&random.next_u64().to_le_bytes());
        high.copy_from_slice(&random.next_u64().to_le_bytes());
        nonce
    }
}

impl<P: Part> Worker<P> {
    /// When something about opening is due.
    pub(super) fn opening_due_ns(&self) -> Option<u64> {
        let opening = &self.opening;
        let dial_ns = opening
            .wanting()
            .filter(|_| self.may_begin())
            .map(|_| opening.pace.next_ns().max(opening.held_off_until_ns));
        let expiry_ns = opening.expiries.front().map(|(_, expires_ns)| *expires_ns);
        [dial_ns, expiry_ns].into_iter().flatten().min()
    }

    /// Begins as many connections as are wanted and due.
    pub(super) fn open(&mut self) {
        if !self.may_begin() || self.now_ns < self.opening.held_off_until_ns {
            return;
        }
        while let Some(group) = self.opening.wanting() {
            if self.peers.len() == self.peers.capacity() {
                return;
            }
            let Some(intended_ns) = self.opening.pace.take(self.now_ns) else {
                return;
            };
            // Without a pace each begins when another has made room for it.
            let is_free = self.opening.pace.is_unlimited();
            let intended_ns = if is_free { self.now_ns } else { intended_ns };
            match self.net.dial() {
                Ok(socket) => self.begin(Line {
                    socket,
                    group,
                    intended_ns,
                    since_ns: self.now_ns,
                    stage: Stage::Connecting,
                    ..Line::default()
                }),
                Err(errno) => {
                    self.set_back(if errno.is_refusal() {
                        Setback::Refused
                    } else {
                        Setback::NoRoom
                    });
                    return;
                }
            }
        }
        if !P::CHURNS {
            // What could not begin for want of room is no debt: this pace is there to be kind to the server.
            let overdue = self.opening.pace.next_ns() < self.now_ns;
            if overdue && !self.opening.pace.is_unlimited() {
                self.opening.pace.forgive(self.now_ns);
            }
        }
    }

    const fn may_begin(&self) -> bool {
        !matches!(self.phase, Phase::Drain | Phase::Close)
    }

    /// Counts the lives that were due and not begun. For whom a pace is there to be kind owes nothing.
    pub(super) fn count_overdue(&mut self) {
        if P::CHURNS {
            let overdue = self.shared.windows.overdue(&self.opening.pace, self.now_ns);
            self.outcome.never_begin(overdue);
        }
    }

    fn begin(&mut self, line: Line) {
        let (socket, group) = (line.socket, line.group);
        let peer = Peer {
            line,
            ..Peer::default()
        };
        let Ok(key) = self.peers.insert(peer) else {
            return self.net.ring.close(socket);
        };
        self.opening.held[group.index()] += 1;
        self.opening.half_open += 1;
        self.tally.half_open.add(1);
        let expires_ns = self.now_ns.saturating_add(LOAD_OPENING_MS * NS_PER_MS);
        self.opening.expiries.push_back((key, expires_ns));
        if let Some(Peer { line, .. }) = self.peers.get_mut(key) {
            line.writing = true;
        }
        self.net.ring.arm(key, socket, Interest::Write);
    }

    /// A connection stands: a WebSocket is asked for.
    pub(super) fn connected(&mut self, key: Key) {
        let nonce = self.opening.nonce(key);
        let Some(Peer { line, .. }) = self.peers.get_mut(key) else {
            return;
        };
        desk!(self).record_since(Row::Connect, line);
        line.stage = Stage::Greeting;
        line.since_ns = self.now_ns;
        let (target, out) = (&self.target, &mut self.out);
        // What no request can be made of was refused before the first thread began.
        let _asked = target.with_offer(nonce, |offer| {
            out.write(key, line, |bytes| {
                offer.write(bytes);
                Ok(())
            })
        });
        self.watch(key);
    }

    /// Gives up on those who take too long.
    pub(super) fn expire(&mut self) {
        while let Some(&(key, expires_ns)) = self.opening.expiries.front() {
            let is_opening = self
                .peers
                .get(key)
                .is_some_and(|peer| peer.line.stage.is_opening());
            if is_opening && self.now_ns < expires_ns {
                break;
            }
            self.opening.expiries.pop_front();
            if is_opening {
                let preparing = self
                    .peers
                    .get(key)
                    .is_some_and(|peer| peer.line.stage == Stage::Preparing);
                let setback = if preparing {
                    Setback::NotReady
                } else {
                    Setback::TimedOut
                };
                self.end(key, End::Setback(setback));
            }
        }
    }

    /// Reads the answer to the request; gives the bytes of its head, once it is whole.
    pub(super) fn greeted(&self, key: Key, bytes: &[u8]) -> Result<Option<usize>, Setback> {
        let nonce = self.opening.nonce(key);
        let read = |offer: &Offer<'_>| {
            let accepted = offer.read(bytes, &mut HeadScan::default());
            accepted.map(|accepted| accepted.map(|Accepted { head_bytes, .. }| head_bytes))
        };
        match self.target.with_offer(nonce, read) {
            Ok(Ok(head_bytes)) => Ok(head_bytes),
            Ok(Err(rejection)) => {
                note_words(&self.shared, &rejection);
                Err(Setback::Rejected)
            }
            Err(_) => Err(Setback::Rejected),
        }
    }

    /// The server said yes: what was to be said is said, and where nothing is expected the connection is ready.
    pub(super) fn opened(&mut self, key: Key) {
        let Some(Peer { session, line, .. }) = self.peers.get_mut(key) else {
            return;
        };
        let mut desk = desk!(self);
        desk.record_since(Row::Handshake, line);
        line.stage = Stage::Preparing;
        line.since_ns = self.now_ns;
        let mut talk = Talk {
            key,
            line,
            sender: session.sender(),
        };
        if let Some(text) = &self.target.send {
            talk.say(text, desk.now_ns, &mut desk);
        }
        if self.target.expect.is_none() {
            make_ready(&mut talk, &mut desk, &mut self.part);
            self.opening.half_open -= 1;
        }
    }

    /// What was expected has come.
    pub(super) fn count_ready(&mut self) {
        self.opening.half_open -= 1;
    }
}

/// A connection is ready.
pub(super) fn make_ready<P: Part>(talk: &mut Talk<'_>, desk: &mut Desk<'_>, part: &mut P) {
    desk.record_since(Row::Prepare, talk.line);
    let line = &mut *talk.line;
    line.stage = Stage::Ready;
    line.since_ns = desk.now_ns;
    line.next = desk.shared.board.begun();
    adjust(&desk.tally.half_open, -1);
    desk.tally.ready[line.group.index()].add(1);
    desk.tally.opened.add(1);
    if let Some(storm_ns) = desk
        .shared
        .storm_ns()
        .filter(|storm_ns| line.group == Group::Wayward && line.intended_ns >= *storm_ns)
    {
        desk.record(Row::ReadyAgain, storm_ns);
    }
    part.ready(talk, desk);
}

impl Desk<'_> {
    /// The step under way of a connection is over.
    fn record_since(&mut self, row: Row, line: &Line) {
        let window = self.shared.windows.of(line.intended_ns);
        let latency_ns = self.now_ns.saturating_sub(line.since_ns);
        self.outcome.latencies.record(row, window, latency_ns, 1);
    }
}

/// Keeps what the first refusal said, to quote it.
fn note_words(shared: &Shared, rejection: &Rejection) {
    let _kept = shared.words.set(rejection.to_string());
}

const NS_PER_MS: u64 = 1_000_000;
