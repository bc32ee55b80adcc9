//! The ring on simulated sockets and virtual time, for tests, benches and fuzzers.
//!
//! Never blocks, never reads a clock, never draws a number but from its seed: the same seed and the same calls make
//! the same run, byte for byte, which [`SimNet::fingerprint`] attests. Several rings may share one net, as shards
//! share a machine; all belong to one thread.
//!
//! Time moves only in [`Ring::wait`], one event at a time, and only when no ring of the net has anything to do. So a
//! harness turns its shards one after the other until [`SimNet::is_idle`]; no ring runs ahead of another.
//!
//! ```
//! use tickwire::ring::{Completion, Faults, Ring, SimNet};
//! let net = SimNet::new(7, Faults::default());
//! let mut ring = net.ring();
//! ring.accept();
//! let _client = net.connect(0);
//! let mut completions = Vec::new();
//! ring.wait(None, &mut completions).unwrap();
//! assert!(matches!(completions[..], [Completion::Accepted { .. }]));
//! ```

mod client;
mod event;
mod faults;
mod link;
mod pipe;
mod polls;
#[cfg(test)]
mod tests;
mod trace;
mod world;

use super::{Batch, Bell, Completion, Counters, Errno, Interest, Ring, Short, Socket};
use crate::base::{Key, Now};
pub use client::{Client, ClientState};
pub use faults::Faults;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use trace::Mark;
use world::World;

/// A simulated network and its clock. Clones are the same net.
#[derive(Clone)]
pub struct SimNet {
    world: Rc<RefCell<World>>,
}

impl SimNet {
    /// A net whose every choice follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self {
            world: Rc::new(RefCell::new(World::new(seed, faults))),
        }
    }

    /// Another ring with a listener of its own. The first one is number 0.
    #[must_use]
    pub fn ring(&self) -> SimRing {
        SimRing {
            station: self.world.borrow_mut().add_station(),
            world: Rc::clone(&self.world),
        }
    }

    /// Connects a client to the listener of ring number `ring`.
    ///
    /// # Panics
    /// When there is no such ring.
    #[must_use]
    pub fn connect(&self, ring: usize) -> Client {
        let link = self.world.borrow_mut().connect(ring);
        Client::new(Rc::clone(&self.world), link)
    }

    /// The present. The wall clock starts in 2026 and keeps step.
    #[must_use]
    pub fn now(&self) -> Now {
        now_at(self.world.borrow().now_ns)
    }

    /// Moves the time on by `ns`, through everything that happens on the way.
    pub fn advance(&self, ns: u64) {
        let mut world = self.world.borrow_mut();
        let at_ns = world.now_ns.saturating_add(ns);
        world.run_until(at_ns);
    }

    /// Whether nothing is on its way and no ring has anything to hear: without new input only deadlines pass.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.world.borrow().is_idle()
    }

    /// Other faults from now on; none, for instance, to let a run come to its end.
    pub fn set_faults(&self, faults: Faults) {
        self.world.borrow_mut().faults = faults;
    }

    /// A hash of everything that has happened.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.world.borrow().trace.hash()
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

/// One ring of a [`SimNet`].
///
/// Beyond the contract it checks its caller. Using a socket that is closed, never accepted or another ring's,
/// arming a direction twice, arming a key on two sockets, and closing a socket with an armed poll are panics.
pub struct SimRing {
    world: Rc<RefCell<World>>,
    station: usize,
}

/// Rings a [`SimRing`].
#[derive(Clone, Debug)]
pub struct SimBell {
    rung: Arc<AtomicBool>,
}

impl Bell for SimBell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
    }
}

impl Ring for SimRing {
    type Doorbell = SimBell;

    fn wait(&mut self, deadline_ns: Option<u64>, completions: &mut Vec<Completion>) -> Result<Now, Errno> {
        let mut world = self.world.borrow_mut();
        world.wait(self.station, deadline_ns, completions);
        Ok(now_at(world.now_ns))
    }

    fn accept(&mut self) {
        self.world.borrow_mut().accept(self.station);
    }

    fn stop_listening(&mut self) {
        self.world.borrow_mut().stop_listening(self.station);
    }

    fn arm(&mut self, key: Key, socket: Socket, interest: Interest) {
        self.world.borrow_mut().arm(self.station, key, socket, interest);
    }

    fn disarm(&mut self, key: Key) {
        self.world.borrow_mut().disarm(self.station, key);
    }

    fn recv_batch(
        &mut self,
        sockets: &[Socket],
        buffer: &mut [u8],
        lane_bytes: usize,
        received: &mut Vec<Result<usize, Errno>>,
    ) {
        assert!(lane_bytes > 0, "a lane has bytes");
        assert!(
            buffer.len() / lane_bytes >= sockets.len(),
            "the buffer has a lane for each socket"
        );
        received.clear();
        for (socket, lane) in sockets.iter().zip(buffer.chunks_exact_mut(lane_bytes)) {
            received.push(self.receive(*socket, lane));
        }
    }

    fn send_batch(&mut self, batch: &Batch<'_>, short: &mut Vec<Short>) {
        short.clear();
        for (index, (socket, parts)) in (0_u32..).zip(batch.iter()) {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter()).copied().collect();
            let result = self.send(socket, &bytes);
            if result != Ok(bytes.len()) {
                short.push(Short::new(index, result));
            }
        }
    }

    fn finish(&mut self, socket: Socket) {
        self.world.borrow_mut().finish(self.station, socket);
    }

    fn shutdown(&mut self, socket: Socket) {
        self.world.borrow_mut().shutdown(self.station, socket);
    }

    fn close(&mut self, socket: Socket) {
        self.world.borrow_mut().close(self.station, socket);
    }

    fn doorbell(&self) -> SimBell {
        SimBell {
            rung: Arc::clone(&self.world.borrow().stations[self.station].bell),
        }
    }

    fn counters(&self) -> Counters {
        let world = self.world.borrow();
        let station = &world.stations[self.station];
        Counters {
            enters: station.waits,
            overflows: station.overflows,
            ..Counters::default()
        }
    }
}

impl SimRing {
    fn receive(&self, socket: Socket, lane: &mut [u8]) -> Result<usize, Errno> {
        let mut world = self.world.borrow_mut();
        let link = world.usable(self.station, socket, "received from");
        let (reset, short) = (world.faults.reset, world.faults.short_receive);
        if world.strikes(reset) {
            world.reset(link);
        }
        let now_ns = world.now_ns;
        let mut most = world.links[link].receivable(now_ns)?.min(lane.len());
        let is_cut = most > 1 && world.strikes(short);
        if is_cut {
            most = world.some_of(most - 1);
        }
        let count = world.links[link].to_server.read(&mut lane[..most]);
        if is_cut {
            // The rest comes a moment later, or a lasting poll would never tell of it.
            world.links[link].to_server.renew();
            world.poke(link);
        }
        if count > 0 && world.links[link].to_server.is_empty() {
            let capacity = world.buffer_bytes();
            world.links[link].to_server.resize(capacity);
        }
        world.trace.note(Mark::Receive, &[link as u64, count as u64]);
        world.trace.bytes(&lane[..count]);
        Ok(count)
    }

    fn send(&self, socket: Socket, bytes: &[u8]) -> Result<usize, Errno> {
        let mut world = self.world.borrow_mut();
        let link = world.usable(self.station, socket, "sent to");
        let (reset, refused, short) = (
            world.faults.reset,
            world.faults.refused_send,
            world.faults.short_send,
        );
        if bytes.is_empty() {
            return Ok(0);
        }
        if world.strikes(reset) {
            world.reset(link);
        }
        let mut most = world.links[link].sendable()?.min(bytes.len());
        if world.strikes(refused) {
            return Err(Errno::AGAIN);
        }
        if most > 1 && world.strikes(short) {
            most = world.some_of(most - 1);
        }
        let sent = &bytes[..most];
        world.trace.note(Mark::Send, &[link as u64, most as u64]);
        world.trace.bytes(sent);
        let at_ns = world.later();
        let at_ns = world.links[link].to_client.write(sent, at_ns);
        world.arrive(link, at_ns);
        Ok(most)
    }
}

impl Drop for SimRing {
    /// As when a process ends: its clients are reset.
    fn drop(&mut self) {
        // A failed assertion unwinds through here with the world borrowed; there is nothing left to simulate then.
        if let Ok(mut world) = self.world.try_borrow_mut() {
            world.abandon(self.station);
        }
    }
}

impl fmt::Debug for SimRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRing")
            .field("number", &self.station)
            .finish_non_exhaustive()
    }
}

fn now_at(now_ns: u64) -> Now {
    Now {
        mono_ns: now_ns,
        wall_ns: WALL_START_NS + now_ns,
    }
}

/// 1 January 2026, 00:00 UTC.
const WALL_START_NS: u64 = 1_767_225_600_000_000_000;
