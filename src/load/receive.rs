//! Receiving: bytes land in lanes that all connections of a thread share, and are handled where they lie.
//!
//! Only what was cut is copied, into the connection that it belongs to. The clock is read once for every reception, so
//! that what came with it is timed to within the time that one reception takes.

use super::line::{Group, Line, Peer, Stage};
use super::opening::make_ready;
use super::part::{Desk, Part, Talk, Verdict};
use super::tally::{Phase, Setback};
use super::worker::{End, Worker, desk};
use crate::base::{Key, Socket};
use crate::limits::{LOAD_LANE_BYTES, LOAD_LANES};
use crate::ring::{Errno, Ring as _};
use crate::wire::{Client, ClientSession, CloseCode, CloseFrame, Event, Sender};
use memchr::memmem::Finder;

/// Who has something to say, and where it is put.
#[derive(Debug)]
pub(super) struct Intake {
    waiting: Vec<Key>,
    lanes: Box<[u8]>,
    batch: Vec<Key>,
    sockets: Vec<Socket>,
    received: Vec<Result<usize, Errno>>,
    /// Who ends when everything is sent.
    leaving: Vec<(Key, End)>,
}

/// What one reception came to for its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    GoOn,
    End(End),
}

impl Intake {
    pub(super) fn new() -> Self {
        Self {
            waiting: Vec::new(),
            lanes: vec![0; LOAD_LANES * LOAD_LANE_BYTES].into(),
            batch: Vec::with_capacity(LOAD_LANES),
            sockets: Vec::with_capacity(LOAD_LANES),
            received: Vec::with_capacity(LOAD_LANES),
            leaving: Vec::new(),
        }
    }

    /// Whether somebody waits to be heard.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl<P: Part> Worker<P> {
    /// A connection has something to say.
    pub(super) fn hear_soon(&mut self, key: Key) {
        if let Some(Peer { line, .. }) = self.peers.get_mut(key)
            && !line.waiting
        {
            line.waiting = true;
            self.intake.waiting.push(key);
        }
    }

    /// Hears everyone who waits, once.
    pub(super) fn receive(&mut self) {
        let mut serving = std::mem::take(&mut self.intake.waiting);
        for key in serving.drain(..) {
            let Some(Peer { line, .. }) = self.peers.get_mut(key) else {
                continue;
            };
            line.waiting = false;
            if matches!(line.stage, Stage::Connecting | Stage::Ended) {
                continue;
            }
            if self.phase == Phase::Stall && line.group == Group::Wayward && line.stage == Stage::Ready {
                line.stalled = true;
                continue;
            }
            self.intake.sockets.push(line.socket);
            self.intake.batch.push(key);
            if self.intake.batch.len() == LOAD_LANES {
                self.receive_batch();
            }
        }
        self.receive_batch();
        // Whoever was put on the list meanwhile is heard next time.
        serving.append(&mut self.intake.waiting);
        self.intake.waiting = serving;
    }

    fn receive_batch(&mut self) {
        let Intake {
            lanes,
            sockets,
            received,
            ..
        } = &mut self.intake;
        if sockets.is_empty() {
            return;
        }
        self.net
            .ring
            .recv_batch(sockets, lanes, LOAD_LANE_BYTES, received);
        self.now_ns = self.net.ring.now().mono_ns;
        sockets.clear();
        for index in 0..self.intake.batch.len() {
            let key = self.intake.batch[index];
            match self.intake.received[index] {
                Ok(0) => self.end_by_peer(key),
                Ok(bytes) => self.heard(key, index, bytes),
                Err(errno) if errno.would_block() => self.watch(key),
                Err(_) => self.end_by_peer(key),
            }
        }
        self.intake.batch.clear();
        let mut desk = desk!(self);
        self.part.received(&mut desk);
        self.flush();
        for (key, end) in std::mem::take(&mut self.intake.leaving) {
            self.end(key, end);
        }
    }

    /// Handles what one connection's lane holds.
    fn heard(&mut self, key: Key, index: usize, bytes: usize) {
        let lanes = std::mem::take(&mut self.intake.lanes);
        let mut lanes = lanes;
        let lane = &mut lanes[index * LOAD_LANE_BYTES..][..bytes];
        let before = self.peers.get_mut(key).map(|peer| std::mem::take(&mut peer.held));
        let mut joined = before.unwrap_or_default().into_vec();
        let fate = if joined.is_empty() {
            self.hear(key, lane)
        } else {
            joined.extend_from_slice(lane);
            self.hear(key, &mut joined)
        };
        self.intake.lanes = lanes;
        match fate {
            Fate::GoOn if bytes == LOAD_LANE_BYTES => self.hear_soon(key),
            Fate::GoOn => self.watch(key),
            Fate::End(end) => self.intake.leaving.push((key, end)),
        }
    }

    /// Handles all that has come of a connection, and keeps what is not whole.
    fn hear(&mut self, key: Key, bytes: &mut [u8]) -> Fate {
        let mut start = 0;
        if self.stage(key) == Stage::Greeting {
            match self.greeted(key, bytes) {
                Ok(Some(head_bytes)) => {
                    start = head_bytes;
                    self.opened(key);
                }
                Ok(None) => {
                    self.keep(key, bytes);
                    return Fate::GoOn;
                }
                Err(setback) => return Fate::End(End::Setback(setback)),
            }
        }
        let frames = &mut bytes[start..];
        let was_preparing = self.stage(key) == Stage::Preparing;
        let (kept, fate) = self.converse(key, frames);
        if was_preparing && self.stage(key) != Stage::Preparing {
            self.count_ready();
        }
        self.keep(key, &bytes[start..start + kept]);
        fate
    }

    fn converse(&mut self, key: Key, frames: &mut [u8]) -> (usize, Fate) {
        let Some(Peer { session, line, .. }) = self.peers.get_mut(key) else {
            return (0, Fate::GoOn);
        };
        self.outcome.bytes += frames.len() as u64;
        let mut ear = Ear {
            key,
            line,
            part: &mut self.part,
            expect: self.target.expect.as_deref(),
            desk: desk!(self),
        };
        ear.listen(session, frames)
    }

    fn stage(&self, key: Key) -> Stage {
        self.peers.get(key).map_or(Stage::Ended, |peer| peer.line.stage)
    }

    fn keep(&mut self, key: Key, bytes: &[u8]) {
        if let Some(peer) = self.peers.get_mut(key)
            && !bytes.is_empty()
        {
            peer.held = bytes.into();
        }
    }
}

/// One connection's frames, and who wants them.
struct Ear<'a, P> {
    key: Key,
    line: &'a mut Line,
    part: &'a mut P,
    expect: Option<&'a str>,
    desk: Desk<'a>,
}

impl<P: Part> Ear<'_, P> {
    /// Decodes what has come; gives how much of it is to be kept.
    fn listen(&mut self, session: &mut ClientSession, frames: &mut [u8]) -> (usize, Fate) {
        let mut decoder = session.decode(frames);
        let mut fate = Fate::GoOn;
        let fault = loop {
            match decoder.next() {
                Ok(None) => break None,
                Ok(Some((event, sender))) => {
                    let next = self.event(&event, sender);
                    if next != Fate::GoOn {
                        fate = next;
                    }
                }
                Err(fault) => break Some(fault),
            }
        };
        let kept = decoder.finish();
        if let Some(fault) = fault {
            let mask = self.desk.out.mask();
            let close = Some(CloseFrame::from(fault));
            self.desk.out.write(self.key, self.line, |out| {
                session.sender().close(close, mask, out)
            });
            fate = Fate::End(if self.line.stage.is_opening() {
                End::Setback(Setback::Rejected)
            } else {
                End::Lost(CloseCode::PROTOCOL_ERROR.number())
            });
        }
        (kept, fate)
    }

    fn event(&mut self, event: &Event<'_>, sender: &mut Sender<Client>) -> Fate {
        match event {
            Event::Text(text) => self.message(text.as_bytes(), sender),
            Event::Binary(bytes) => self.message(bytes, sender),
            Event::Ping(payload) => {
                self.desk.outcome.pings += 1;
                let mask = self.desk.out.mask();
                self.desk
                    .out
                    .write(self.key, self.line, |out| sender.pong(payload, mask, out));
                Fate::GoOn
            }
            Event::Pong(_) => Fate::GoOn,
            Event::Close(frame) => {
                let mask = self.desk.out.mask();
                self.desk
                    .out
                    .write(self.key, self.line, |out| sender.close(*frame, mask, out));
                let code = frame.map_or(0, |frame| frame.code.number());
                Fate::End(match self.line.stage {
                    Stage::Closing | Stage::Ended => End::Finished,
                    Stage::Ready => End::Lost(code),
                    Stage::Connecting | Stage::Greeting | Stage::Preparing => End::Setback(Setback::NotReady),
                })
            }
        }
    }

    fn message(&mut self, text: &[u8], sender: &mut Sender<Client>) -> Fate {
        self.desk.outcome.frames += 1;
        let mut talk = Talk {
            key: self.key,
            line: self.line,
            sender,
        };
        match talk.line.stage {
            Stage::Ready => match self.part.message(&mut talk, text, &mut self.desk) {
                Verdict::GoOn => {}
                Verdict::Close => {
                    talk.line.stage = Stage::Closing;
                    talk.line.since_ns = self.desk.now_ns;
                    super::tally::adjust(&self.desk.tally.ready[talk.line.group.index()], -1);
                    let mask = self.desk.out.mask();
                    let close = Some(CloseFrame::new(CloseCode::NORMAL, ""));
                    let sender = talk.sender;
                    self.desk
                        .out
                        .write(self.key, talk.line, |out| sender.close(close, mask, out));
                }
            },
            Stage::Preparing => {
                let expected = self.expect.unwrap_or_default().as_bytes();
                if Finder::new(expected).find(text).is_some() {
                    make_ready(&mut talk, &mut self.desk, self.part);
                }
            }
            Stage::Connecting | Stage::Greeting | Stage::Closing | Stage::Ended => {}
        }
        Fate::GoOn
    }
}
