//! The polls of a simulation: armed, fired, delivered, ended.
//!
//! Never keeps one that has ended. Invariant: a one-shot poll whose condition holds has fired; a lasting one has when
//! anything has come since its last report was delivered.

use super::event::{Posted, What};
use super::link::{Arm, Link};
use super::trace::Mark;
use super::world::World;
use crate::base::Key;
use crate::ring::{Completion, Interest, Readiness, Socket};

impl World {
    pub(super) fn arm(&mut self, station: usize, key: Key, socket: Socket, interest: Interest) {
        let words = [key.slot(), key.generation(), socket.raw(), interest as u32].map(u64::from);
        self.trace.note(Mark::Arm, &words);
        let link = self.usable(station, socket, "armed");
        let holder = self.stations[station].armed.get(&key);
        assert!(
            holder.is_none_or(|holder| *holder == link),
            "{key:?} is armed on another socket"
        );
        let arms = &self.links[link].arms;
        assert!(
            arms.iter().all(|arm| arm.key == key),
            "{socket:?} is armed under another key"
        );
        let clash = |arm: &Arm| {
            arm.interest.reads() && interest.reads() || arm.interest.writes() && interest.writes()
        };
        assert!(
            !arms.iter().any(clash),
            "{socket:?} is armed twice for {interest:?}"
        );
        let number = self.next_number();
        self.stations[station].armed.insert(key, link);
        let seen = self.links[link].news(self.now_ns);
        self.links[link].arms.push(Arm {
            key,
            interest,
            number,
            fired: false,
            ending: false,
            seen,
        });
        if self.strikes(self.faults.spurious_readiness) {
            let at_ns = self.now_ns + self.some_delay();
            self.schedule(at_ns, What::Spurious(link, number));
        }
        self.poke(link);
        // What is there already is news to a lasting poll.
        self.fire_where(link, |arm| arm.number == number);
    }

    /// Ends the lasting poll of a key, if there is one that was not told to end.
    pub(super) fn disarm(&mut self, station: usize, key: Key) {
        let words = [key.slot(), key.generation()].map(u64::from);
        self.trace.note(Mark::Disarm, &words);
        let Some(&link) = self.stations[station].armed.get(&key) else {
            return;
        };
        let arms = &mut self.links[link].arms;
        let Some(arm) = arms.iter_mut().find(|arm| arm.is_lasting() && !arm.ending) else {
            return;
        };
        arm.ending = true;
        let poll = Some((link, arm.number));
        let completion = Completion::Disarmed { key };
        self.post_late(station, Posted { completion, poll });
    }

    /// Lands what is due on a link, and fires the polls whose condition holds.
    pub(super) fn poke(&mut self, link: usize) {
        let now_ns = self.now_ns;
        self.links[link].settle(now_ns);
        let news = self.links[link].news(now_ns);
        self.fire_where(link, |arm| !arm.is_lasting() || arm.seen != news);
    }

    /// Fires such polls of a link as wait for what is the case.
    fn fire_where(&mut self, link: usize, mut holds: impl FnMut(&Arm) -> bool) {
        let readiness = self.links[link].readiness(self.now_ns);
        let mut arms = self.links[link].arms.clone();
        arms.retain(|arm| !arm.fired && !arm.ending && holds(arm));
        for arm in arms {
            let seen = arm.interest.of(readiness);
            if seen != Readiness::default() {
                self.fire(link, arm, seen);
            }
        }
    }

    pub(super) fn fire(&mut self, link: usize, arm: Arm, readiness: Readiness) {
        for armed in &mut self.links[link].arms {
            armed.fired |= armed.number == arm.number;
        }
        let station = self.links[link].station;
        let Arm {
            key,
            interest,
            number,
            ..
        } = arm;
        let posted = Posted {
            completion: Completion::Ready {
                key,
                interest,
                readiness,
            },
            poll: Some((link, number)),
        };
        self.post_late(station, posted);
    }

    /// Posts a completion, or a while later.
    fn post_late(&mut self, station: usize, posted: Posted) {
        let at_ns = self.later();
        if at_ns > self.now_ns {
            self.schedule(at_ns, What::Delivery(station, posted));
        } else {
            self.stations[station].ready.push(posted);
        }
    }

    /// Delivers what a poll has to say, if it is still there: once it has ended, nothing follows.
    pub(super) fn deliver_poll(
        &mut self,
        link: usize,
        number: u64,
        completion: Completion,
        completions: &mut Vec<Completion>,
    ) {
        let now_ns = self.now_ns;
        let (news, readiness) = (self.links[link].news(now_ns), self.links[link].readiness(now_ns));
        let Link { arms, station, .. } = &mut self.links[link];
        let Some(at) = arms.iter().position(|arm| arm.number == number) else {
            return;
        };
        let (key, station) = (arms[at].key, *station);
        if let Completion::Ready {
            interest: Interest::Arrivals,
            readiness: seen,
            ..
        } = completion
        {
            arms[at].fired = false;
            arms[at].seen = news;
            completions.push(Completion::Ready {
                key,
                interest: Interest::Arrivals,
                // It also tells what has come since it fired.
                readiness: seen.and(Interest::Arrivals.of(readiness)),
            });
            if !self.strikes(self.faults.lasting_poll_ends) {
                return;
            }
            completions.push(Completion::Disarmed { key });
        } else {
            completions.push(completion);
        }
        let arms = &mut self.links[link].arms;
        arms.remove(at);
        if arms.is_empty() {
            self.stations[station].armed.remove(&key);
        }
    }
}
