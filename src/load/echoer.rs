//! The part of those who talk to an echo: in a closed loop each answer asks the next question; in an open loop questions
//! come when they are due, whoever still waits for an answer.
//!
//! Invariant: a question carries the time at which it was meant to be asked, and its latency counts from there.

use super::line::{Peer, Stage};
use super::mark::{Mark, Scan};
use super::outgoing::Said;
use super::pace::Pace;
use super::part::{Desk, Part, Talk, Verdict};
use super::tally::Phase;
use super::template::Template;
use super::windows::Row;
use crate::base::{Key, Slab};
use crate::limits::LOAD_MESSAGES_PER_TURN;

/// Asks and is answered.
#[derive(Debug)]
pub(super) struct Echoer {
    scan: Scan,
    template: Template,
    rhythm: Rhythm,
    talks: bool,
    /// Who may be asked, in turn.
    ready: Vec<Key>,
    turn: usize,
}

/// When questions are asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rhythm {
    /// A closed loop: so many are out on each connection.
    Depth(u32),
    /// An open loop: so many a second on all connections of this thread. The share of an interval by which the thread
    /// begins later than the first keeps threads from asking all at once.
    Rate {
        /// Questions a second.
        per_second: f64,
        /// Nanoseconds.
        offset_ns: u64,
    },
    /// An open loop under way.
    Paced(Pace),
}

impl Echoer {
    pub(super) fn new(template: Template, rhythm: Rhythm) -> Self {
        Self {
            scan: Scan::new(),
            template,
            rhythm,
            talks: false,
            ready: Vec::new(),
            turn: 0,
        }
    }

    fn ask(&mut self, talk: &mut Talk<'_>, at_ns: u64, desk: &mut Desk<'_>) {
        let n = talk.line.sent;
        // What was not said has no number: the next answer would seem to be one too late.
        if talk.say(self.template.fill(Mark { n, at_ns }), at_ns, desk) == Said::Queued {
            talk.line.sent = n.wrapping_add(1);
        }
    }

    fn begin(&mut self, peers: &mut Slab<Peer>, desk: &mut Desk<'_>) {
        self.talks = true;
        match self.rhythm {
            Rhythm::Depth(depth) => {
                for key in std::mem::take(&mut self.ready) {
                    if let Some(mut talk) = talk_to(key, peers) {
                        (0..depth).for_each(|_| self.ask(&mut talk, desk.now_ns, desk));
                    }
                }
            }
            Rhythm::Rate {
                per_second,
                offset_ns,
            } => {
                self.rhythm = Rhythm::Paced(Pace::new(per_second, desk.now_ns.saturating_add(offset_ns)));
            }
            Rhythm::Paced(_) => {}
        }
    }

    /// Asks somebody who can be.
    fn ask_somebody(&mut self, at_ns: u64, peers: &mut Slab<Peer>, desk: &mut Desk<'_>) {
        while !self.ready.is_empty() {
            self.turn %= self.ready.len();
            if let Some(mut talk) = talk_to(self.ready[self.turn], peers) {
                self.turn += 1;
                return self.ask(&mut talk, at_ns, desk);
            }
            self.ready.swap_remove(self.turn);
        }
        desk.never_begin(at_ns);
    }
}

impl Part for Echoer {
    fn ready(&mut self, talk: &mut Talk<'_>, desk: &mut Desk<'_>) {
        talk.line.next = 0;
        match self.rhythm {
            Rhythm::Depth(depth) if self.talks => {
                (0..depth).for_each(|_| self.ask(talk, desk.now_ns, desk));
            }
            Rhythm::Depth(_) | Rhythm::Rate { .. } | Rhythm::Paced(_) => self.ready.push(talk.key),
        }
    }

    fn message(&mut self, talk: &mut Talk<'_>, text: &[u8], desk: &mut Desk<'_>) -> Verdict {
        let Some(mark) = self.scan.marks(text).next() else {
            return Verdict::GoOn;
        };
        let group = talk.line.group;
        desk.record(Row::of(group), mark.at_ns);
        desk.tally.delivered.add(1);
        let outcome = desk.outcome.group(group);
        outcome.delivered += 1;
        if mark.n < talk.line.next {
            outcome.repeated += 1;
        } else {
            outcome.missing += u64::from(mark.n - talk.line.next);
            talk.line.next = mark.n.wrapping_add(1);
        }
        if matches!(self.rhythm, Rhythm::Depth(_)) && desk.shared.phase() == Phase::Run {
            self.ask(talk, desk.now_ns, desk);
        }
        Verdict::GoOn
    }

    fn finish(&mut self, desk: &mut Desk<'_>) {
        if let Rhythm::Paced(pace) = &self.rhythm {
            let overdue = desk.shared.windows.overdue(pace, desk.now_ns);
            desk.outcome.never_begin(overdue);
        }
    }

    fn turn(&mut self, phase: Phase, peers: &mut Slab<Peer>, desk: &mut Desk<'_>) -> Option<u64> {
        if phase != Phase::Run {
            return None;
        }
        if !self.talks {
            self.begin(peers, desk);
        }
        let Rhythm::Paced(mut pace) = self.rhythm else {
            return None;
        };
        for _ in 0..LOAD_MESSAGES_PER_TURN {
            if desk.out.is_full() {
                break;
            }
            match pace.take(desk.now_ns) {
                Some(at_ns) => self.ask_somebody(at_ns, peers, desk),
                None => break,
            }
        }
        self.rhythm = Rhythm::Paced(pace);
        Some(pace.next_ns())
    }
}

/// A connection that is ready, to talk on.
fn talk_to(key: Key, peers: &mut Slab<Peer>) -> Option<Talk<'_>> {
    let Peer { session, line, .. } = peers.get_mut(key)?;
    (line.stage == Stage::Ready).then(|| Talk {
        key,
        line,
        sender: session.sender(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::line::{Group, Line};
    use super::super::outgoing::Outgoing;
    use super::super::tally::{Outcome, Shared, Tally};
    use super::*;
    use crate::limits::LOAD_UNSENT_BYTES_MAX;

    const MS: u64 = 1_000_000;

    /// A question a millisecond.
    const EACH_MS: Rhythm = Rhythm::Rate {
        per_second: 1_000.0,
        offset_ns: 0,
    };

    /// One thread of ready connections whose messages go nowhere.
    struct Bench {
        part: Echoer,
        peers: Slab<Peer>,
        out: Outgoing,
        tally: Tally,
        shared: Shared,
        outcome: Outcome,
    }

    impl Bench {
        fn new(rhythm: Rhythm, connections: usize) -> Self {
            let mut bench = Self {
                part: Echoer::new(Template::new("{mark}", 0).unwrap(), rhythm),
                peers: Slab::with_capacity(connections),
                out: Outgoing::new(1),
                tally: Tally::default(),
                shared: Shared::new(),
                outcome: Outcome::new(),
            };
            for _ in 0..connections {
                let line = Line {
                    stage: Stage::Ready,
                    ..Line::default()
                };
                let peer = Peer {
                    line,
                    ..Peer::default()
                };
                let key = bench.peers.insert(peer).unwrap();
                bench.with(key, 0, |part, talk, desk| part.ready(talk, desk));
            }
            bench.shared.set_phase(Phase::Run);
            bench
        }

        fn with(
            &mut self,
            key: Key,
            now_ns: u64,
            act: impl FnOnce(&mut Echoer, &mut Talk<'_>, &mut Desk<'_>),
        ) {
            let mut talk = talk_to(key, &mut self.peers).unwrap();
            let mut desk = Desk {
                now_ns,
                out: &mut self.out,
                tally: &self.tally,
                shared: &self.shared,
                outcome: &mut self.outcome,
            };
            act(&mut self.part, &mut talk, &mut desk);
        }

        fn turn(&mut self, now_ns: u64) -> Option<u64> {
            let mut desk = Desk {
                now_ns,
                out: &mut self.out,
                tally: &self.tally,
                shared: &self.shared,
                outcome: &mut self.outcome,
            };
            let phase = self.shared.phase();
            self.part.turn(phase, &mut self.peers, &mut desk)
        }

        fn finish(&mut self, now_ns: u64) {
            self.part.finish(&mut Desk {
                now_ns,
                out: &mut self.out,
                tally: &self.tally,
                shared: &self.shared,
                outcome: &mut self.outcome,
            });
        }

        fn answer(&mut self, now_ns: u64, mark: Mark) {
            let key = self.peers.key_at(0).unwrap();
            self.with(key, now_ns, |part, talk, desk| {
                part.message(talk, mark.to_string().as_bytes(), desk);
            });
        }

        fn latencies(&self) -> Vec<u64> {
            let histogram = self.outcome.latencies.of(Row::Steady, 0);
            histogram.map_or_else(Vec::new, |all| {
                all.iter_recorded().map(|step| step.value_iterated_to()).collect()
            })
        }
    }

    #[test]
    fn in_a_closed_loop_an_answer_brings_the_next_question() {
        let mut bench = Bench::new(Rhythm::Depth(2), 1);
        assert_eq!(bench.turn(MS), None);
        assert_eq!(bench.tally.sent.read(), 2);
        bench.answer(3 * MS, Mark { n: 0, at_ns: MS });
        assert_eq!(bench.tally.sent.read(), 3);
        bench.shared.set_phase(Phase::Drain);
        bench.answer(3 * MS, Mark { n: 1, at_ns: MS });
        assert_eq!(
            (
                bench.tally.sent.read(),
                bench.outcome.group(Group::Steady).missing
            ),
            (3, 0)
        );
    }

    #[test]
    fn in_an_open_loop_nobody_waits_for_answers_and_what_is_late_keeps_its_time() {
        let mut bench = Bench::new(EACH_MS, 3);
        assert_eq!(bench.turn(0), Some(MS));
        assert_eq!(bench.turn(5 * MS), Some(6 * MS));
        assert_eq!(bench.tally.sent.read(), 6);
        // The second question was due after one millisecond, whenever it was asked.
        bench.answer(9 * MS, Mark { n: 0, at_ns: MS });
        assert!(
            bench.latencies()[0].abs_diff(8 * MS) < MS / 100,
            "{:?}",
            bench.latencies()
        );
        assert_eq!(bench.tally.sent.read(), 6);
    }

    #[test]
    fn what_nobody_is_there_to_be_asked_is_counted() {
        let mut bench = Bench::new(EACH_MS, 1);
        bench.turn(0);
        let key = bench.peers.key_at(0).unwrap();
        bench.peers.remove(key);
        bench.turn(2 * MS);
        assert_eq!((bench.tally.sent.read(), bench.outcome.never_begun[0]), (1, 2));
    }

    #[test]
    fn what_was_due_before_the_end_and_not_asked_is_counted_in_its_window() {
        let mut bench = Bench::new(EACH_MS, 1);
        bench.turn(0);
        bench.shared.windows.open(1, 2 * MS);
        bench.turn(5 * MS);
        bench.shared.windows.open(2, 9 * MS);
        bench.shared.set_phase(Phase::Drain);
        // From the sixth to the eighth millisecond the thread was held up; what was due then is not asked any more.
        bench.turn(20 * MS);
        bench.finish(20 * MS);
        assert_eq!(bench.tally.sent.read(), 6);
        assert_eq!(bench.outcome.never_begun[..2], [0, 3]);
    }

    #[test]
    fn a_question_that_found_no_room_has_no_number() {
        let mut bench = Bench::new(EACH_MS, 1);
        bench.turn(0);
        let key = bench.peers.key_at(0).unwrap();
        bench.peers.get_mut(key).unwrap().line.unsent = vec![0; LOAD_UNSENT_BYTES_MAX + 1];
        bench.turn(3 * MS);
        bench.peers.get_mut(key).unwrap().line.unsent.clear();
        bench.turn(4 * MS);
        assert_eq!((bench.tally.sent.read(), bench.outcome.never_begun[0]), (2, 3));
        let last = bench.peers.get(key).unwrap().line.sent - 1;
        for n in [0, last] {
            bench.answer(5 * MS, Mark { n, at_ns: MS });
        }
        let steady = bench.outcome.group(Group::Steady);
        assert_eq!((steady.delivered, steady.missing), (2, 0));
    }
}
