//! The far end of a simulated connection, in the hands of a test.

use super::link::Life;
use super::trace::Mark;
use super::world::World;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// A client of a simulated server. Dropping it changes nothing: a client that says nothing is still connected.
pub struct Client {
    world: Rc<RefCell<World>>,
    link: usize,
    pace_bytes: usize,
}

/// How a connection looks from the client's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientState {
    /// The server has not accepted it.
    Waiting,
    /// Bytes may come.
    Open,
    /// The server has ended its stream, and every byte of it was read.
    Ended,
    /// The connection was reset or refused, and every byte that had arrived before was read.
    Reset,
}

impl Client {
    pub(super) fn new(world: Rc<RefCell<World>>, link: usize) -> Self {
        Self {
            world,
            link,
            pace_bytes: usize::MAX,
        }
    }

    /// Sends bytes, as many as there is room for; gives how many. None after [`Client::finish`] or a reset.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let mut world = self.world.borrow_mut();
        let fault = world.faults.reset;
        if world.strikes(fault) {
            world.reset(self.link);
        }
        let link = &world.links[self.link];
        if link.broken || link.to_server.is_finished() {
            return 0;
        }
        if link.shut || link.life == Life::Closed {
            // Nobody will read this, and TCP says so (RFC 9293 §3.10.7.1).
            world.reset(self.link);
            return bytes.len();
        }
        let taken = &bytes[..bytes.len().min(link.to_server.room())];
        world
            .trace
            .note(Mark::ClientWrite, &[self.link as u64, taken.len() as u64]);
        world.trace.bytes(taken);
        if !taken.is_empty() {
            let at_ns = world.later();
            let at_ns = world.links[self.link].to_server.write(taken, at_ns);
            world.arrive(self.link, at_ns);
        }
        taken.len()
    }

    /// Appends what has arrived to `bytes`, at most what the pace allows; gives how much.
    pub fn read(&mut self, bytes: &mut Vec<u8>) -> usize {
        let mut world = self.world.borrow_mut();
        let now_ns = world.now_ns;
        let pipe = &mut world.links[self.link].to_client;
        pipe.settle(now_ns);
        let start = bytes.len();
        bytes.resize(start + pipe.arrived().min(self.pace_bytes), 0);
        let count = pipe.read(&mut bytes[start..]);
        if count > 0 {
            let ran_empty = pipe.is_empty();
            world
                .trace
                .note(Mark::ClientRead, &[self.link as u64, count as u64]);
            if ran_empty {
                let capacity = world.buffer_bytes();
                world.links[self.link].to_client.resize(capacity);
            }
            world.poke(self.link);
        }
        count
    }

    /// Reads at most so many bytes at a time from now on; 0 stops reading, so that the server's buffer fills.
    pub fn set_pace(&mut self, bytes: usize) {
        self.pace_bytes = bytes;
    }

    /// Ends the client's stream; it goes on reading.
    pub fn finish(&mut self) {
        let mut world = self.world.borrow_mut();
        world.trace.note(Mark::ClientFinish, &[self.link as u64]);
        let at_ns = world.later();
        let at_ns = world.links[self.link].to_server.finish(at_ns);
        world.arrive(self.link, at_ns);
    }

    /// Resets the connection.
    pub fn reset(&mut self) {
        self.world.borrow_mut().reset(self.link);
    }

    /// How the connection looks from here.
    #[must_use]
    pub fn state(&self) -> ClientState {
        let mut world = self.world.borrow_mut();
        let now_ns = world.now_ns;
        let link = &mut world.links[self.link];
        link.settle(now_ns);
        if link.to_client.arrived() > 0 {
            ClientState::Open
        } else if link.broken {
            ClientState::Reset
        } else if link.to_client.has_ended(now_ns) {
            ClientState::Ended
        } else if link.life == Life::Waiting {
            ClientState::Waiting
        } else {
            ClientState::Open
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}
