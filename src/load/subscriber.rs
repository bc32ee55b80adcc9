//! The part of those who receive ticks: each is timed, counted, and its number compared with the one that was due.
//!
//! Never answers. Invariant: a tick counts on the board once a connection, whatever the server repeats.

use super::line::{Group, Line};
use super::mark::{Mark, Scan};
use super::part::{Desk, Part, Talk, Verdict};
use super::windows::Row;

/// Receives ticks.
#[derive(Debug)]
pub(super) struct Subscriber {
    scan: Scan,
    strips: [Strip; Group::COUNT],
}

/// Ticks that came with one reception, by number: many connections have the same few, which are recorded together.
#[derive(Debug)]
struct Strip {
    runs: [Run; RUNS],
    /// Which runs have a count.
    dirty: u64,
}

/// How often one tick came.
#[derive(Clone, Copy, Debug)]
struct Run {
    mark: Mark,
    count: u32,
}

impl Subscriber {
    pub(super) fn new() -> Self {
        Self {
            scan: Scan::new(),
            strips: std::array::from_fn(|_| Strip {
                runs: [NO_RUN; RUNS],
                dirty: 0,
            }),
        }
    }

    fn settle(&mut self, group: Group, slot: usize, desk: &mut Desk<'_>) {
        let strip = &mut self.strips[group.index()];
        let Run { mark, count } = std::mem::replace(&mut strip.runs[slot], NO_RUN);
        strip.dirty &= !(1 << slot);
        let latency_ns = desk.now_ns.saturating_sub(mark.at_ns);
        let window = desk.shared.windows.of(mark.at_ns);
        desk.outcome
            .latencies
            .record(Row::of(group), window, latency_ns, u64::from(count));
        desk.outcome.group(group).delivered += u64::from(count);
        desk.tally.delivered.add(u64::from(count));
        if group == Group::Steady {
            desk.shared.board.note(mark.n, count, desk.now_ns);
        }
    }
}

impl Part for Subscriber {
    fn message(&mut self, talk: &mut Talk<'_>, text: &[u8], desk: &mut Desk<'_>) -> Verdict {
        let line = &mut *talk.line;
        let scan = std::mem::take(&mut self.scan);
        for mark in scan.marks(text) {
            if !follows(line, mark.n, desk) {
                continue;
            }
            let (group, slot) = (line.group, mark.n as usize % RUNS);
            let run = &self.strips[group.index()].runs[slot];
            if run.count > 0 && run.mark != mark {
                self.settle(group, slot, desk);
            }
            let strip = &mut self.strips[group.index()];
            strip.runs[slot].mark = mark;
            strip.runs[slot].count += 1;
            strip.dirty |= 1 << slot;
        }
        self.scan = scan;
        Verdict::GoOn
    }

    fn received(&mut self, desk: &mut Desk<'_>) {
        for group in [Group::Steady, Group::Wayward] {
            while self.strips[group.index()].dirty != 0 {
                let slot = self.strips[group.index()].dirty.trailing_zeros() as usize;
                self.settle(group, slot, desk);
            }
        }
    }
}

/// Whether this number is one that the connection has not had. One that was published before the connection was ready may
/// come or not; from then on each is due.
fn follows(line: &mut Line, n: u32, desk: &mut Desk<'_>) -> bool {
    let outcome = &mut *desk.outcome;
    if n < line.next {
        if line.begun {
            outcome.group(line.group).repeated += 1;
        }
        return !line.begun;
    }
    outcome.group(line.group).missing += u64::from(n - line.next);
    line.begun = true;
    line.next = n.wrapping_add(1);
    if line.group == Group::Wayward
        && !line.served
        && let Some(storm_ns) = desk
            .shared
            .storm_ns()
            .filter(|storm_ns| line.intended_ns >= *storm_ns)
    {
        line.served = true;
        desk.tally.served.add(1);
        desk.record(Row::ServedAgain, storm_ns);
    }
    true
}

/// Ticks that are told apart within one reception; more are recorded as they come.
const RUNS: usize = 64;
const NO_RUN: Run = Run {
    mark: Mark { n: 0, at_ns: 0 },
    count: 0,
};

#[cfg(test)]
mod tests {
    use super::super::outgoing::Outgoing;
    use super::super::tally::{Outcome, Shared, Tally};
    use super::*;
    use crate::base::Key;
    use crate::wire::ClientSession;

    /// One thread with nobody on its sockets.
    struct Bench {
        part: Subscriber,
        out: Outgoing,
        tally: Tally,
        shared: Shared,
        outcome: Outcome,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                part: Subscriber::new(),
                out: Outgoing::new(1),
                tally: Tally::default(),
                shared: Shared::new(),
                outcome: Outcome::new(),
            }
        }

        /// These connections receive this text at that time, in one reception.
        fn receive<'a>(&mut self, now_ns: u64, lines: impl IntoIterator<Item = &'a mut Line>, text: &str) {
            let mut session = ClientSession::new(1024);
            let mut desk = Desk {
                now_ns,
                out: &mut self.out,
                tally: &self.tally,
                shared: &self.shared,
                outcome: &mut self.outcome,
            };
            for line in lines {
                let mut talk = Talk {
                    key: Key::new(0, 1),
                    line,
                    sender: session.sender(),
                };
                self.part.message(&mut talk, text.as_bytes(), &mut desk);
            }
            self.part.received(&mut desk);
        }
    }

    fn text(numbers: &[u32]) -> String {
        numbers
            .iter()
            .map(|n| Mark { n: *n, at_ns: 100 }.to_string())
            .collect()
    }

    #[test]
    fn what_is_missing_and_what_comes_again_is_counted_exactly() {
        let mut bench = Bench::new();
        let mut line = Line::default();
        for numbers in [&[0, 1][..], &[4], &[4, 3], &[5]] {
            bench.receive(200, [&mut line], &text(numbers));
        }
        let steady = &bench.outcome.groups[Group::Steady.index()];
        assert_eq!((steady.delivered, steady.missing, steady.repeated), (4, 2, 2));
        assert_eq!(line.next, 6);
    }

    #[test]
    fn what_was_published_before_a_connection_was_ready_may_come_or_not() {
        let mut bench = Bench::new();
        let mut lines = [10, 10].map(|next| Line {
            next,
            ..Line::default()
        });
        bench.receive(200, [&mut lines[0]], &text(&[9, 10]));
        bench.receive(200, [&mut lines[1]], &text(&[10]));
        let steady = &bench.outcome.groups[Group::Steady.index()];
        assert_eq!((steady.delivered, steady.missing, steady.repeated), (3, 0, 0));
    }

    #[test]
    fn a_burst_to_many_is_recorded_tick_by_tick() {
        let mut bench = Bench::new();
        let begun: Vec<u32> = (0..70).map(|_| bench.shared.board.begin(100, 3)).collect();
        let mut lines = [(); 3].map(|()| Line::default());
        bench.receive(150, &mut lines, &text(&begun));
        let histogram = bench.outcome.latencies.of(Row::Steady, 0).unwrap();
        assert_eq!((histogram.len(), histogram.min(), histogram.max()), (210, 50, 50));
        for n in begun {
            assert!(
                bench
                    .shared
                    .board
                    .look(n)
                    .is_some_and(|tick| tick.is_complete() && tick.count == 3),
                "{n}"
            );
        }
    }

    #[test]
    fn only_steady_connections_count_towards_a_ticks_last_subscriber() {
        let mut bench = Bench::new();
        let n = bench.shared.board.begin(100, 1);
        let mut wayward = Line {
            group: Group::Wayward,
            ..Line::default()
        };
        bench.receive(150, [&mut wayward], &text(&[n]));
        assert_eq!(bench.shared.board.look(n).map(|tick| tick.count), Some(0));
        bench.receive(160, [&mut Line::default()], &text(&[n]));
        assert_eq!(bench.shared.board.look(n).map(|tick| tick.last_ns), Some(60));
    }

    #[test]
    fn only_connections_that_were_begun_in_the_storm_are_served_again() {
        let mut bench = Bench::new();
        bench.shared.begin_storm(1_000);
        for (intended_ns, served) in [(900, 0), (1_000, 1), (1_100, 2)] {
            let mut line = Line {
                group: Group::Wayward,
                intended_ns,
                ..Line::default()
            };
            bench.receive(1_500, [&mut line], &text(&[0, 1]));
            assert_eq!(bench.tally.served.read(), served);
        }
        let again = bench.outcome.latencies.of(Row::ServedAgain, 0).unwrap();
        assert_eq!((again.len(), again.max()), (2, 500));
    }
}
