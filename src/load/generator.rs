//! The threads of a run: how many, with how many connections each, and how they begin and end.
//!
//! Everything that can be refused is refused before the first thread starts.

use super::error::LoadError;
use super::line::Group;
use super::net::{Net, Route, ring};
use super::opening::Opening;
use super::pace::Pace;
use super::part::Part;
use super::plan::{Descriptors, Plan};
use super::tally::{Outcome, Phase, Shared, Tally};
use super::worker::{Share, Worker};
use crate::limits::{DESCRIPTORS_APART, DESCRIPTORS_PER_SHARD, LOAD_PORTS_PER_SOURCE};
use crate::ring::descriptors::raise_descriptor_limit;
use crate::ring::uring::UringBell;
use crate::ring::{Bell as _, Capabilities, Errno};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// Running threads.
#[derive(Debug)]
pub(super) struct Generator {
    threads: Vec<Running>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Running {
    bell: UringBell,
    tally: Arc<Tally>,
    thread: JoinHandle<Result<Outcome, Errno>>,
}

/// How many threads there are, and how they hold their sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    pub(super) threads: usize,
    pub(super) registered: bool,
    /// Half-open connections of a thread.
    half_open: usize,
    /// Sockets of a thread, those on their way out among them.
    slots: usize,
}

impl Layout {
    /// What a plan comes to on this machine. Raises the process's limit of descriptors as far as needed.
    pub(super) fn new(plan: &Plan) -> Result<Self, LoadError> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let threads = plan.threads.map_or((cores / 2).max(1), usize::from);
        let threads = threads.min(plan.connections.max(1) as usize);
        let layout = Self::of(plan, threads, false);
        let apart = DESCRIPTORS_APART + threads as u64 * DESCRIPTORS_PER_SHARD;
        let needed = (layout.slots * threads) as u64 + apart;
        let shortage = match plan.descriptors {
            Descriptors::Registered => None,
            Descriptors::Process | Descriptors::Auto => match raise_descriptor_limit(needed) {
                Ok(_) => return Ok(layout),
                Err(shortage) if plan.descriptors == Descriptors::Process => {
                    return Err(LoadError::Descriptors(shortage));
                }
                Err(shortage) => Some(shortage.hard),
            },
        };
        // The limit bounds each table for itself, and is not raised for one that it has room for.
        let limit = match shortage {
            Some(hard) => raise_descriptor_limit(hard),
            None => raise_descriptor_limit(layout.slots as u64)
                .or_else(|shortage| raise_descriptor_limit(shortage.hard)),
        };
        let limit = usize::try_from(limit.map_err(LoadError::Descriptors)?).unwrap_or(usize::MAX);
        let fitting = (threads..=plan.connections as usize + threads)
            .map(|threads| Self::of(plan, threads, true))
            .find(|layout| layout.slots <= limit);
        Ok(fitting.unwrap_or(layout))
    }

    fn of(plan: &Plan, threads: usize, registered: bool) -> Self {
        let half_open = plan.half_open.div_ceil(threads);
        Self {
            threads,
            registered,
            half_open,
            slots: (plan.connections as usize).div_ceil(threads) + 2 * half_open + SLOTS_SPARE,
        }
    }
}

impl Generator {
    /// Starts the threads; they begin to connect at once. `parts` is asked for each thread's part.
    pub(super) fn start<P: Part>(
        plan: &Plan,
        layout: Layout,
        wanted: [usize; Group::COUNT],
        capabilities: &Capabilities,
        (shared, now_ns): (&Arc<Shared>, u64),
        mut parts: impl FnMut(usize) -> P,
    ) -> Result<Self, LoadError> {
        let target = Arc::new(plan.target.clone());
        let route = Route {
            target: target.address(),
            sources: sources(plan, target.address().ip()),
            receive_buffer_bytes: plan.receive_buffer_bytes,
        };
        let slots = u32::try_from(layout.slots).unwrap_or(u32::MAX);
        let rings: Result<Vec<_>, _> = (0..layout.threads)
            .map(|_| ring(capabilities, slots, layout.registered))
            .collect();
        let mut threads = Vec::with_capacity(layout.threads);
        for (index, ring) in rings?.into_iter().enumerate() {
            let pace = Pace::new(plan.connect_per_second / number(layout.threads), now_ns);
            let [seed, nonce_seed] =
                [getrandom::u64(), getrandom::u64()].map(|seed| seed.map_err(|_| LoadError::Random));
            let tally = Arc::<Tally>::default();
            let share = Share {
                part: parts(index),
                target: Arc::clone(&target),
                shared: Arc::clone(shared),
                tally: Arc::clone(&tally),
                opening: Opening::new(
                    wanted.map(|of_all| share_of(of_all, index, layout.threads)),
                    pace,
                    layout.half_open,
                    nonce_seed?,
                ),
                slots: layout.slots,
                seed: seed?,
            };
            let (bell, route) = (ring.doorbell(), route.clone());
            let body = move || Worker::new(Net::new(ring, route, index)?, share).run();
            let thread = thread::Builder::new().name(format!("load-{index}")).spawn(body);
            threads.push(Running {
                bell,
                tally,
                thread: thread.map_err(LoadError::Thread)?,
            });
        }
        Ok(Self {
            threads,
            shared: Arc::clone(shared),
        })
    }

    /// Tells everyone what comes next.
    pub(super) fn tell(&self, phase: Phase) {
        self.shared.set_phase(phase);
        self.ring();
    }

    /// Drops everyone wayward.
    pub(super) fn begin_storm(&self, now_ns: u64) {
        self.shared.begin_storm(now_ns);
        self.ring();
    }

    /// The sum of what all threads say of themselves.
    pub(super) fn sum(&self, of: impl Fn(&Tally) -> u64) -> u64 {
        self.threads.iter().map(|running| of(&running.tally)).sum()
    }

    /// Whether a thread has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.threads.iter().any(|running| running.thread.is_finished())
    }

    /// Whether all have.
    pub(super) fn have_all_ended(&self) -> bool {
        self.threads.iter().all(|running| running.thread.is_finished())
    }

    /// What all threads together came to.
    pub(super) fn join(self) -> Result<Outcome, LoadError> {
        let mut all = Outcome::new();
        for running in self.threads {
            let outcome = running.thread.join().map_err(|_| LoadError::Panicked)?;
            all.add(&outcome?);
        }
        Ok(all)
    }

    fn ring(&self) {
        for running in &self.threads {
            running.bell.ring();
        }
    }
}

/// The part of a number that is thread `index`'s.
pub(super) const fn share_of(number: usize, index: usize, threads: usize) -> usize {
    number * (index + 1) / threads - number * index / threads
}

/// Our addresses. On this machine itself each has ports for so many connections, and any of 127.0.0.0/8 is ours.
fn sources(plan: &Plan, target: IpAddr) -> Vec<IpAddr> {
    let connections = plan.connections;
    if !plan.sources.is_empty()
        || connections <= LOAD_PORTS_PER_SOURCE
        || !target.is_loopback()
        || target.is_ipv6()
    {
        return plan.sources.clone();
    }
    let first = u32::from(Ipv4Addr::LOCALHOST);
    (0..=connections / LOAD_PORTS_PER_SOURCE)
        .map(|index| IpAddr::V4(Ipv4Addr::from(first + index)))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "threads are few")]
fn number(threads: usize) -> f64 {
    threads as f64
}

/// Slots of a thread for connections that are on their way out.
const SLOTS_SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::target::Target;
    use super::super::template::Template;
    use super::*;

    fn plan(connections: u32) -> Plan {
        let target = Target::new("ws://127.0.0.1:1/").unwrap();
        Plan::new(target, connections, Template::new("{mark}", 0).unwrap())
    }

    #[test]
    fn the_shares_of_all_threads_are_the_whole() {
        for (number, threads) in [(0, 3), (1, 3), (100, 7), (5, 5)] {
            let shares: Vec<usize> = (0..threads)
                .map(|index| share_of(number, index, threads))
                .collect();
            assert_eq!(shares.iter().sum::<usize>(), number);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn there_are_as_many_sources_as_ports_are_needed() {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(sources(&plan(LOAD_PORTS_PER_SOURCE), local).is_empty());
        let many = sources(&plan(LOAD_PORTS_PER_SOURCE * 50), local);
        assert!(many.len() > 50 && many.iter().all(IpAddr::is_loopback));
        assert!(sources(&plan(1_000_000), "10.0.0.1".parse().unwrap()).is_empty());
    }

    #[test]
    fn registered_descriptors_spread_over_as_many_threads_as_the_limit_asks_for() {
        let plan = Plan {
            descriptors: Descriptors::Registered,
            ..plan(3_000_000)
        };
        let layout = Layout::new(&plan).unwrap();
        let limit = usize::try_from(raise_descriptor_limit(1).unwrap()).unwrap();
        assert!(layout.registered && layout.slots <= limit);
        assert!(layout.threads * layout.slots >= 3_000_000);
    }
}
