//! What the rings of a simulation share: connections, events to come, and virtual time.
//!
//! Never reads a clock, and takes every choice from one generator, so that a seed is a run. It checks its callers as
//! a kernel would not: a socket used after its close, armed twice, or closed while armed fails an assertion.
//! Invariant: an armed poll whose condition holds has fired, and a fired poll is delivered exactly once.

use super::event::{Event, Posted, What};
use super::faults::Faults;
use super::link::{Life, Link};
use super::trace::{Mark, Trace};
use crate::base::{Key, Prng};
use crate::ring::{Completion, Errno, Readiness, Socket};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Everything there is.
#[derive(Debug)]
pub(super) struct World {
    pub(super) prng: Prng,
    pub(super) faults: Faults,
    pub(super) now_ns: u64,
    pub(super) links: Vec<Link>,
    pub(super) stations: Vec<Station>,
    pub(super) trace: Trace,
    events: BinaryHeap<Reverse<Event>>,
    made: u64,
}

/// One ring's side of the world.
#[derive(Debug)]
pub(super) struct Station {
    pub(super) bell: Arc<AtomicBool>,
    pub(super) waits: u64,
    pub(super) overflows: u64,
    gone: bool,
    listening: bool,
    accepting: bool,
    queue: VecDeque<usize>,
    pub(super) ready: Vec<Posted>,
    pub(super) armed: BTreeMap<Key, usize>,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            prng: Prng::new(seed),
            faults,
            now_ns: START_NS,
            links: Vec::new(),
            stations: Vec::new(),
            trace: Trace::new(),
            events: BinaryHeap::new(),
            made: 0,
        }
    }

    pub(super) fn add_station(&mut self) -> usize {
        self.stations.push(Station {
            bell: Arc::default(),
            waits: 0,
            overflows: 0,
            gone: false,
            listening: true,
            accepting: false,
            queue: VecDeque::new(),
            ready: Vec::new(),
            armed: BTreeMap::new(),
        });
        self.stations.len() - 1
    }

    // ---- time ---------------------------------------------------------------------------------------

    /// Moves the time to `at_ns`, through everything that happens on the way.
    pub(super) fn run_until(&mut self, at_ns: u64) {
        while let Some(next_ns) = self.next_event_ns().filter(|next_ns| *next_ns <= at_ns) {
            self.now_ns = self.now_ns.max(next_ns);
            if let Some(Reverse(event)) = self.events.pop() {
                self.happen(event.what);
            }
        }
        self.now_ns = self.now_ns.max(at_ns);
    }

    pub(super) fn next_event_ns(&self) -> Option<u64> {
        self.events.peek().map(|Reverse(event)| event.at_ns)
    }

    /// Whether some ring would return at once from a wait.
    pub(super) fn has_work(&self) -> bool {
        self.stations.iter().any(Station::has_work)
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Arrival(link) => self.poke(link),
            What::Connection(link) => self.connected(link),
            What::Delivery(station, posted) => self.stations[station].ready.push(posted),
            What::Spurious(link, number) => {
                let arm = self.links[link]
                    .arms
                    .iter()
                    .find(|arm| arm.number == number && !arm.fired && !arm.ending);
                if let Some(&arm) = arm {
                    let lie = Readiness {
                        read: arm.interest.reads(),
                        write: arm.interest.writes(),
                        ..Readiness::default()
                    };
                    self.fire(link, arm, lie);
                }
            }
        }
    }

    pub(super) fn schedule(&mut self, at_ns: u64, what: What) {
        let number = self.next_number();
        self.events.push(Reverse(Event { at_ns, number, what }));
    }

    pub(super) fn next_number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    // ---- chance -------------------------------------------------------------------------------------

    pub(super) fn strikes(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.prng.chance(u64::from(per_mille), 1000)
    }

    /// When something that happens now is seen.
    pub(super) fn later(&mut self) -> u64 {
        let delay_ns = if self.strikes(self.faults.delay) {
            self.some_delay()
        } else {
            0
        };
        self.now_ns + delay_ns
    }

    pub(super) fn some_delay(&mut self) -> u64 {
        1 + self.prng.below(self.faults.delay_ns_max.max(1))
    }

    /// A number in `1..=most`, which is not 0.
    pub(super) fn some_of(&mut self, most: usize) -> usize {
        usize::try_from(1 + self.prng.below(most as u64)).unwrap_or(most)
    }

    pub(super) fn buffer_bytes(&mut self) -> usize {
        if self.strikes(self.faults.small_buffer) {
            self.some_of(SMALL_BUFFER_BYTES)
        } else {
            BUFFER_BYTES
        }
    }

    // ---- accepting ----------------------------------------------------------------------------------

    /// A connection to the listener of a station, by a client.
    pub(super) fn connect(&mut self, station: usize) -> usize {
        assert!(station < self.stations.len(), "no ring has the number {station}");
        let (to_server, to_client) = (self.buffer_bytes(), self.buffer_bytes());
        self.links.push(Link::new(station, to_server, to_client));
        let link = self.links.len() - 1;
        self.trace.note(Mark::Connect, &[station as u64, link as u64]);
        let at_ns = self.later();
        if at_ns > self.now_ns {
            self.schedule(at_ns, What::Connection(link));
        } else {
            self.connected(link);
        }
        link
    }

    pub(super) fn accept(&mut self, station: usize) {
        self.trace.note(Mark::Accept, &[station as u64]);
        assert!(!self.stations[station].accepting, "the ring is accepting already");
        self.stations[station].accepting = true;
        if self.stations[station].listening {
            self.admit(station);
        } else {
            self.stop_accepting(station, Errno::INVALID);
        }
    }

    pub(super) fn stop_listening(&mut self, station: usize) {
        self.trace.note(Mark::Stop, &[station as u64]);
        self.stations[station].listening = false;
        for link in std::mem::take(&mut self.stations[station].queue) {
            self.links[link].life = Life::Closed;
            self.reset(link);
        }
        if self.stations[station].accepting {
            self.stop_accepting(station, Errno::INVALID);
        }
    }

    fn connected(&mut self, link: usize) {
        let station = self.links[link].station;
        if self.stations[station].listening {
            self.stations[station].queue.push_back(link);
            self.admit(station);
        } else {
            self.links[link].life = Life::Closed;
            self.reset(link);
        }
    }

    fn admit(&mut self, station: usize) {
        while self.stations[station].accepting && !self.stations[station].queue.is_empty() {
            if self.strikes(self.faults.accept_no_buffers) {
                self.stop_accepting(station, Errno::NO_BUFFERS);
            } else if self.strikes(self.faults.accept_no_descriptors) {
                self.stop_accepting(station, Errno::NO_DESCRIPTORS);
            } else if let Some(link) = self.stations[station].queue.pop_front() {
                self.links[link].life = Life::Open;
                self.post(
                    station,
                    Completion::Accepted {
                        socket: socket_of(link),
                    },
                );
                if self.strikes(self.faults.accept_overflow) {
                    self.stations[station].overflows += 1;
                    self.stop_accepting(station, Errno::OVERFLOW);
                }
            }
        }
    }

    fn stop_accepting(&mut self, station: usize, errno: Errno) {
        self.stations[station].accepting = false;
        self.post(station, Completion::AcceptStopped { errno });
    }

    fn post(&mut self, station: usize, completion: Completion) {
        self.stations[station].ready.push(Posted {
            completion,
            poll: None,
        });
    }

    // ---- waiting ------------------------------------------------------------------------------------

    /// Takes the time one step on if nobody has work, and delivers to one station.
    pub(super) fn wait(
        &mut self,
        station: usize,
        deadline_ns: Option<u64>,
        completions: &mut Vec<Completion>,
    ) {
        self.stations[station].waits += 1;
        self.run_until(self.now_ns);
        if !self.has_work() {
            let next_ns = match (self.next_event_ns(), deadline_ns) {
                (Some(event_ns), Some(deadline_ns)) => event_ns.min(deadline_ns),
                (event_ns, deadline_ns) => event_ns.or(deadline_ns).unwrap_or(self.now_ns),
            };
            self.run_until(next_ns);
        }
        self.hear_bell(station);
        self.trace.note(Mark::Wait, &[station as u64, self.now_ns]);
        self.deliver(station, completions);
    }

    fn hear_bell(&mut self, station: usize) {
        let rung = self.stations[station].bell.swap(false, Ordering::AcqRel);
        if rung {
            let at_ns = self.later();
            let posted = Posted {
                completion: Completion::Doorbell,
                poll: None,
            };
            self.schedule(at_ns, What::Delivery(station, posted));
            self.run_until(self.now_ns);
        } else if self.strikes(self.faults.spurious_doorbell) {
            self.post(station, Completion::Doorbell);
        }
    }

    fn deliver(&mut self, station: usize, completions: &mut Vec<Completion>) {
        let mut ready = std::mem::take(&mut self.stations[station].ready);
        if self.strikes(self.faults.reorder) {
            self.shuffle(&mut ready);
        }
        for Posted { completion, poll } in ready {
            let first = completions.len();
            match poll {
                Some((link, number)) => self.deliver_poll(link, number, completion, completions),
                None => completions.push(completion),
            }
            for completion in &completions[first..] {
                self.trace.note(Mark::Delivered, &completion.words());
            }
        }
    }

    /// Any order, but that what accepting reports stays in its own.
    fn shuffle(&mut self, ready: &mut [Posted]) {
        let is_accept = |posted: &Posted| {
            matches!(
                posted.completion,
                Completion::Accepted { .. } | Completion::AcceptStopped { .. }
            )
        };
        let accepts: Vec<Posted> = ready.iter().filter(|posted| is_accept(posted)).copied().collect();
        for index in (1..ready.len()).rev() {
            let other = self.some_of(index + 1) - 1;
            ready.swap(index, other);
        }
        let places = ready.iter_mut().filter(|posted| is_accept(posted));
        places.zip(accepts).for_each(|(place, accept)| *place = accept);
    }

    // ---- sockets ------------------------------------------------------------------------------------

    pub(super) fn finish(&mut self, station: usize, socket: Socket) {
        self.trace.note(Mark::Finish, &[u64::from(socket.raw())]);
        let link = self.usable(station, socket, "finished");
        self.end_to_client(link);
    }

    pub(super) fn shutdown(&mut self, station: usize, socket: Socket) {
        self.trace.note(Mark::Shutdown, &[u64::from(socket.raw())]);
        let link = self.usable(station, socket, "shut down");
        self.links[link].shut = true;
        self.end_to_client(link);
        self.poke(link);
    }

    pub(super) fn close(&mut self, station: usize, socket: Socket) {
        self.trace.note(Mark::Close, &[u64::from(socket.raw())]);
        let link = self.usable(station, socket, "closed");
        assert!(
            self.links[link].arms.is_empty(),
            "{socket:?} is closed while a poll is armed on it: it would neither send a FIN nor be freed"
        );
        self.links[link].settle(self.now_ns);
        self.links[link].life = Life::Closed;
        if self.links[link].to_server.arrived() > 0 {
            // As TCP does (RFC 2525 §2.17): what the client sent was not read, so it is told of the loss.
            self.reset(link);
        } else {
            self.end_to_client(link);
        }
    }

    fn end_to_client(&mut self, link: usize) {
        let at_ns = self.later();
        let at_ns = self.links[link].to_client.finish(at_ns);
        self.arrive(link, at_ns);
    }

    /// Ends a connection for both ends; what was on its way is lost.
    pub(super) fn reset(&mut self, link: usize) {
        self.trace.note(Mark::Reset, &[link as u64]);
        self.links[link].reset();
        self.poke(link);
    }

    /// Something was sent on a link, to arrive at `at_ns`.
    pub(super) fn arrive(&mut self, link: usize, at_ns: u64) {
        if at_ns > self.now_ns {
            self.schedule(at_ns, What::Arrival(link));
        } else {
            self.poke(link);
        }
    }

    /// The link of a socket that its ring may use.
    pub(super) fn usable(&self, station: usize, socket: Socket, what: &str) -> usize {
        let index = socket.raw() as usize;
        let Some(link) = self.links.get(index) else {
            panic!("{socket:?} is {what}, but no ring ever accepted it");
        };
        assert_eq!(
            link.station, station,
            "{socket:?} is {what} by a ring that did not accept it"
        );
        assert_eq!(link.life, Life::Open, "{socket:?} is {what} while it is not open");
        index
    }

    /// A ring is gone: nobody listens there, and its clients are reset.
    pub(super) fn abandon(&mut self, station: usize) {
        self.stop_listening(station);
        for link in 0..self.links.len() {
            if self.links[link].station == station && self.links[link].life == Life::Open {
                self.links[link].arms.clear();
                self.links[link].life = Life::Closed;
                self.reset(link);
            }
        }
        self.stations[station].ready.clear();
        self.stations[station].gone = true;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.events.is_empty() && !self.has_work()
    }
}

impl Station {
    fn has_work(&self) -> bool {
        !self.gone && (!self.ready.is_empty() || self.bell.load(Ordering::Acquire))
    }
}

fn socket_of(link: usize) -> Socket {
    u32::try_from(link).map_or_else(|_| Socket::default(), Socket::new)
}

/// A simulation does not begin at 0, so that a time of 0 stands out.
const START_NS: u64 = 1_000_000_000;
const BUFFER_BYTES: usize = 64 * 1024;
const SMALL_BUFFER_BYTES: usize = 512;
