//! The kernel boundary of one shard: sockets, readiness, time and the doorbell, behind one trait.
//!
//! Nothing here knows what the bytes mean, and nothing is ever in flight: every transfer from or into
//! borrowed memory is over when the call that made it returns, so no buffer is owned by an operation.
//! Invariant: what the kernel reports is delivered once, by [`Ring::wait`], in whatever call it was reaped.
//!
//! Two implementations, held to one contract by one test suite: [`UringRing`] on `io_uring`, and [`SimRing`], a
//! seeded simulator on virtual time that injects every fault the contract allows.
//!
//! The life of a socket: [`Completion::Accepted`] → any number of [`Ring::arm`], [`Completion::Ready`], receives and
//! sends → [`Ring::finish`], where the last words matter, and receiving to the peer's end, for closing with bytes
//! unread resets the connection → [`Ring::shutdown`] → every armed poll reports, and a lasting one, which must be told
//! ([`Ring::disarm`]), has ended ([`Completion::Disarmed`]) → [`Ring::close`]. Closing earlier would neither send a FIN nor free the socket,
//! because the armed poll still holds it.

pub mod batch;
#[cfg(test)]
mod contract;
pub mod descriptors;
mod dial;
pub mod errno;
pub mod listener;
pub mod probe;
pub mod sim;
pub mod uring;

use crate::base::{Key, Now};

pub use crate::base::Socket;

pub use batch::{Batch, Short, ShortCause};
pub use descriptors::Descriptors;
pub use dial::{DialOptions, dial};
pub use errno::Errno;
pub use listener::{ListenError, ListenerOptions, listen};
pub use probe::{Capabilities, Unavailable, probe};
pub use sim::{Client, ClientState, Faults, SimNet, SimRing};
pub use uring::{UringBuilder, UringOptions, UringRing};

/// One shard's way to the kernel. Belongs to one thread.
pub trait Ring {
    /// What other threads wake this ring with.
    type Doorbell: Bell;

    /// Submits what is queued, waits until something happens or the monotonic clock reaches `deadline_ns`, and
    /// appends what happened to `completions`. `None` waits for ever; a deadline that has passed only polls.
    /// The only reading of the clock on the data path.
    ///
    /// May return early with nothing (a signal, a moment without memory): callers loop anyway.
    ///
    /// # Errors
    /// When the ring is broken for good: the kernel lost completions, or refuses the ring itself. Nothing more
    /// will come of it; the shard must end. A ring that broke within another method says so here.
    fn wait(&mut self, deadline_ns: Option<u64>, completions: &mut Vec<Completion>) -> Result<Now, Errno>;

    /// Accepts connections on the ring's listener until [`Completion::AcceptStopped`].
    ///
    /// # Panics
    /// When it is accepting already, or has no listener.
    fn accept(&mut self);

    /// Stops listening for good: the kernel refuses new connections and resets those not yet accepted, and an
    /// ongoing [`Ring::accept`] reports [`Completion::AcceptStopped`]. Harmless when repeated.
    fn stop_listening(&mut self);

    /// Arms a poll: a lasting one for [`Interest::Arrivals`], else a one-shot one. A key may have one poll that
    /// watches for reading and one that watches for writing ([`Interest::ReadWrite`] is both), so that a client whose
    /// send was cut can be watched for room while its read poll stays armed.
    fn arm(&mut self, key: Key, socket: Socket, interest: Interest);

    /// Ends the lasting poll of a key: [`Completion::Disarmed`] says when. Harmless when it has none, or has been told.
    /// Dear where many polls are armed, because the kernel searches for it.
    fn disarm(&mut self, key: Key);

    /// Receives from `sockets[i]`, without waiting, into `buffer[i * lane_bytes..][..lane_bytes]`. `received` is
    /// cleared and gets one entry a socket, in order: `Ok(0)` is the end of the stream, an
    /// [`Errno::would_block`] is nothing yet.
    ///
    /// # Panics
    /// When `buffer` is shorter than all lanes together, or a lane is empty.
    fn recv_batch(
        &mut self,
        sockets: &[Socket],
        buffer: &mut [u8],
        lane_bytes: usize,
        received: &mut Vec<Result<usize, Errno>>,
    );

    /// Sends without waiting; when this returns nothing is in flight and the batch's bytes are free. `short` is
    /// cleared and gets one entry for each send that did not go out whole, in no order. Sends are made in the
    /// order of the batch; a socket should have one at most, since a later one would be tried after a short one.
    fn send_batch(&mut self, batch: &Batch<'_>, short: &mut Vec<Short>);

    /// Ends our direction of a connection: what was sent is still delivered, and the peer's stream goes on.
    fn finish(&mut self, socket: Socket);

    /// Ends both directions of a connection. What was sent is still delivered; every armed poll reports.
    fn shutdown(&mut self, socket: Socket);

    /// Gives the socket back. Only when no poll is armed on it: see the module's life of a socket.
    fn close(&mut self, socket: Socket);

    /// What other threads wake this ring with.
    fn doorbell(&self) -> Self::Doorbell;

    /// What the ring has counted since it started.
    fn counters(&self) -> Counters;
}

/// Wakes a ring from another thread. Several rings before the ring looks are one [`Completion::Doorbell`].
pub trait Bell: Clone + Send + Sync {
    /// Makes the ring's present or next [`Ring::wait`] return.
    fn ring(&self);
}

/// Asks a process of this machine to end. One that there is none of is not missed.
pub fn terminate(pid: u32) {
    // Zero and negative numbers are groups of processes, which nobody means here.
    if let Ok(pid @ 1..) = i32::try_from(pid) {
        uring::kernel::terminate(pid);
    }
}

/// What a poll watches for. Hangups and errors are always reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interest {
    /// Bytes to receive, or the end of the peer's stream.
    Read,
    /// Either of both.
    ReadWrite,
    /// Room to send.
    Write,
    /// Each arrival of something to receive: a lasting poll. It reports what is there when it is armed, and then
    /// whatever comes, not that something is still there. So whoever has received less than there was room for has
    /// everything (epoll(7), Q9), unless the end of the stream was reported: that comes behind the last bytes without a report of
    /// its own.
    Arrivals,
}

impl Interest {
    /// Whether it watches for something to receive.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite | Self::Arrivals)
    }

    /// Whether it watches for room to send.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// What a poll saw. A hint: by the time it is acted upon, a transfer may still find nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Readiness {
    /// Something to receive: bytes or the end of the stream.
    pub read: bool,
    /// The peer's stream ends behind what can be received.
    pub end: bool,
    /// Room to send.
    pub write: bool,
    /// The connection is over in both directions, or failed, or cannot be watched.
    pub hangup: bool,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Completion {
    /// A connection was accepted; its socket belongs to the caller now.
    Accepted {
        /// The new connection.
        socket: Socket,
    },
    /// Accepting ended, after every connection already reported. The caller calls [`Ring::accept`] again:
    /// at once after [`Errno::OVERFLOW`], after a pause when the kernel is short of something.
    AcceptStopped {
        /// Why.
        errno: Errno,
    },
    /// A poll fired. It is no longer armed, unless it is a lasting one.
    Ready {
        /// As given to [`Ring::arm`].
        key: Key,
        /// As given to [`Ring::arm`]: tells which poll of the key this was.
        interest: Interest,
        /// What it saw.
        readiness: Readiness,
    },
    /// A lasting poll has ended: it was told to, or the kernel could not go on with it. What came meanwhile may not
    /// have been reported. Nothing follows it.
    Disarmed {
        /// As given to [`Ring::arm`].
        key: Key,
    },
    /// Somebody rang.
    Doorbell,
}

/// What a ring has counted; each only grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Calls into the kernel.
    pub enters: u64,
    /// Completions that belong to nothing this ring asked for; ignored.
    pub strays: u64,
    /// Times the completion queue was found to have overflowed.
    pub overflows: u64,
    /// Times the kernel took none of what was submitted, for want of memory or room.
    pub stalls: u64,
}
