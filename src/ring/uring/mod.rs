//! The ring on `io_uring`: one multishot accept, one-shot polls, multishot polls for those who talk much, and transfers
//! that finish inside their submission.
//!
//! Never blocks but in [`Ring::wait`], never owns a buffer, never cancels but a multishot poll (a cancel walks one of
//! the ring's 256 hash buckets: 166 µs at 500,000 armed polls); a connection is torn down with shutdown, after which
//! its one-shot polls report.
//! Invariant: a completion that is no transfer's goes to the backlog, whichever call reaped it, and `wait` empties
//! the backlog. The backlog is bounded by what can complete: two polls a connection, one accept a descriptor, one
//! end of accepting, one doorbell, and for a multishot poll as many arrivals as its socket's buffer takes.

mod clock;
pub(super) mod kernel;
mod queue;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod transfer;
mod trial;

use super::{
    Batch, Bell, Capabilities, Completion, Counters, Errno, Interest, Readiness, Ring, Short, ShortCause,
    Socket, Unavailable,
};
use crate::base::{Cost, Key, Now, Part};
use crate::limits;
use io_uring::cqueue;
use kernel::Direction;
use queue::{Patience, Queue};
use std::fs::File;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use token::{Place, Token};
pub(super) use trial::trial;

/// Sizes of a ring, and whose descriptors its sockets are.
#[derive(Clone, Copy, Debug)]
pub struct UringOptions {
    /// Entries of the submission queue; the kernel rounds up to a power of two.
    pub submission_entries: u32,
    /// Entries of the completion queue; rounded likewise, and at least that of submissions.
    pub completion_entries: u32,
    /// How many sockets the ring can hold as descriptors of its own, in a table that is registered with it; `None` for
    /// descriptors of the process's. The process's limit of descriptors bounds each table for itself, and what is in
    /// tables does not count against it. When the table is full, accepting stops with [`Errno::TABLE_FULL`], and the
    /// connection that found no slot is reset.
    pub registered_slots: Option<u32>,
}

impl Default for UringOptions {
    fn default() -> Self {
        Self {
            submission_entries: limits::SUBMISSION_ENTRIES,
            completion_entries: limits::COMPLETION_ENTRIES,
            registered_slots: None,
        }
    }
}

impl UringOptions {
    /// What a ring of these sizes costs: the queues that it shares with the kernel, and what it collects from them.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let cost = |what, count: u32, bytes_each| Cost::new(Part::Rings, what, count as usize, bytes_each);
        let collected = size_of::<cqueue::Entry>() + size_of::<Completion>();
        let transfer = size_of::<(u32, i32)>() + size_of::<libc::msghdr>();
        vec![
            cost(
                "entries of the submission queue",
                self.submission_entries,
                SUBMISSION_BYTES,
            ),
            cost(
                "entries of the completion queue",
                self.completion_entries,
                COMPLETION_BYTES,
            ),
            // As many may be collected in one go, on kernels that hand over all they have.
            cost("completions collected", self.completion_entries, 2 * collected),
            Cost::new(Part::Rings, "transfers of a batch", limits::SEND_BATCH, transfer),
        ]
    }
}

/// Bytes of an entry of the submission queue, and of its place in the array that older kernels have.
const SUBMISSION_BYTES: usize = 64 + 4;
/// Bytes of an entry of the completion queue.
const COMPLETION_BYTES: usize = 16;

/// A ring that is made but not begun: goes to its shard's thread, which begins it. Every failure that the kernel's
/// setup may have happens here, before any thread is started.
#[derive(Debug)]
pub struct UringBuilder {
    queue: Queue,
    listener: Option<TcpListener>,
    bell: UringBell,
}

impl UringBuilder {
    /// A ring that will accept on `listener`, whether that is set to block or not: `io_uring` never waits in the
    /// accept itself. `capabilities` is the proof that this kernel was probed.
    ///
    /// # Errors
    /// When the kernel refuses the ring or one of its descriptors.
    pub fn new(
        listener: TcpListener,
        capabilities: &Capabilities,
        options: UringOptions,
    ) -> Result<Self, Unavailable> {
        Self::build(Some(listener), capabilities, options)
    }

    /// A ring that accepts nobody: its sockets are those that it [adopts](UringRing::adopt).
    ///
    /// # Errors
    /// As for [`UringBuilder::new`].
    pub fn without_listener(capabilities: &Capabilities, options: UringOptions) -> Result<Self, Unavailable> {
        Self::build(None, capabilities, options)
    }

    fn build(
        listener: Option<TcpListener>,
        capabilities: &Capabilities,
        options: UringOptions,
    ) -> Result<Self, Unavailable> {
        if let (Some(_), Some(lacks)) = (options.registered_slots, capabilities.table_lacks) {
            return Err(Unavailable::no_table(lacks));
        }
        Ok(Self {
            queue: Queue::new(options, capabilities.no_sqarray)?,
            listener,
            bell: UringBell {
                eventfd: Arc::new(kernel::eventfd().map_err(Unavailable::from_setup)?),
            },
        })
    }

    /// What other threads wake the ring with; works before it begins.
    #[must_use]
    pub fn doorbell(&self) -> UringBell {
        self.bell.clone()
    }

    /// Begins the ring on the calling thread, to which it belongs from then on.
    ///
    /// # Errors
    /// When the kernel refuses, which it has no known reason to.
    pub fn start(self) -> Result<UringRing, Errno> {
        self.queue.enable()?;
        let mut ring = UringRing {
            queue: self.queue,
            listener: self.listener,
            bell: self.bell,
            accepting: false,
            rung: false,
            backlog: Vec::with_capacity(limits::WAIT_COMPLETIONS),
            landed: Vec::with_capacity(limits::WAIT_COMPLETIONS),
            transfers: Vec::with_capacity(limits::SEND_BATCH),
            messages: Vec::with_capacity(limits::SEND_BATCH),
            batch_number: 0,
        };
        ring.watch_bell();
        Ok(ring)
    }
}

/// One shard's ring. Not `Send`: the kernel takes submissions from the thread that began it, and no other.
pub struct UringRing {
    queue: Queue,
    listener: Option<TcpListener>,
    bell: UringBell,
    accepting: bool,
    rung: bool,
    backlog: Vec<Completion>,
    landed: Vec<cqueue::Entry>,
    transfers: Vec<(u32, i32)>,
    messages: Vec<libc::msghdr>,
    batch_number: u32,
}

/// Rings a [`UringRing`]: one write to an eventfd. The count is never read: the ring's multishot poll reports each
/// write that comes after the last report, so neither a read nor a new poll is needed per ring.
#[derive(Clone, Debug)]
pub struct UringBell {
    eventfd: Arc<File>,
}

impl Bell for UringBell {
    fn ring(&self) {
        // Fails only when the counter is at its end, 2⁶⁴ - 2 rings from now; the ring would be awake.
        let _count = (&*self.eventfd).write(&1_u64.to_ne_bytes());
    }
}

impl Ring for UringRing {
    type Doorbell = UringBell;

    fn wait(&mut self, deadline_ns: Option<u64>, completions: &mut Vec<Completion>) -> Result<Now, Errno> {
        // What a full queue, or a socket that came or went, has made the ring submit and reap is news as well.
        self.sort_landed();
        let patience = match deadline_ns {
            _ if !self.backlog.is_empty() => Patience::Poll,
            None => Patience::Forever,
            Some(deadline_ns) => match deadline_ns.saturating_sub(clock::mono_ns()) {
                0 => Patience::Poll,
                left_ns => Patience::Until(Duration::from_nanos(left_ns)),
            },
        };
        let waited = self.queue.wait(patience);
        self.sort_landed();
        self.rung = false;
        completions.append(&mut self.backlog);
        waited.map(|()| clock::now())
    }

    fn accept(&mut self) {
        assert!(!self.accepting, "the ring is accepting already");
        let listener = self.listener.as_ref().expect("the ring has a listener");
        self.accepting = true;
        self.queue.accept(listener.as_raw_fd(), Token::Accept);
    }

    fn stop_listening(&mut self) {
        if let Some(listener) = &self.listener {
            kernel::end(listener.as_raw_fd(), Direction::Both);
        }
    }

    fn arm(&mut self, key: Key, socket: Socket, interest: Interest) {
        let mut events = 0;
        if interest.reads() {
            events |= libc::POLLIN | libc::POLLRDHUP;
        }
        if interest.writes() {
            events |= libc::POLLOUT;
        }
        let lasting = interest == Interest::Arrivals;
        self.queue
            .poll(socket, mask(events), lasting, Token::Poll(key, interest));
    }

    fn disarm(&mut self, key: Key) {
        self.queue
            .cancel(Token::Poll(key, Interest::Arrivals), Token::Disarm);
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
        let number = self.next_batch();
        let mut result = transfer::receive(&mut self.queue, number, sockets, buffer, lane_bytes);
        self.sort_landed();
        // Every receive reports, so a kernel that posted one later could be waited for; none is known to.
        while result.is_ok() && self.transfers.len() < sockets.len() {
            result = self.queue.wait(Patience::Forever);
            self.sort_landed();
        }
        received.clear();
        received.resize(sockets.len(), Err(result.err().unwrap_or(Errno::AGAIN)));
        for &(index, result) in &self.transfers {
            if let Some(entry) = received.get_mut(index as usize) {
                *entry = outcome(result);
            }
        }
    }

    fn send_batch(&mut self, batch: &Batch<'_>, short: &mut Vec<Short>) {
        let number = self.next_batch();
        let result = transfer::send(&mut self.queue, &mut self.messages, number, batch);
        self.sort_landed();
        short.clear();
        if let Err(errno) = result {
            // The ring is over, and with it every connection: which of them got their bytes no longer matters.
            let cause = ShortCause::Broken(errno);
            short.extend((0_u32..).zip(batch.iter()).map(|(index, _)| Short {
                index,
                sent: 0,
                cause,
            }));
            return;
        }
        short.extend(
            self.transfers
                .iter()
                .map(|&(index, result)| Short::new(index, outcome(result))),
        );
    }

    fn finish(&mut self, socket: Socket) {
        self.end(socket, Direction::Ours);
    }

    fn shutdown(&mut self, socket: Socket) {
        self.end(socket, Direction::Both);
    }

    fn close(&mut self, socket: Socket) {
        if self.queue.is_registered() {
            table::remove(&mut self.queue, socket);
        } else {
            kernel::close(socket.fd());
        }
    }

    fn doorbell(&self) -> UringBell {
        self.bell.clone()
    }

    fn counters(&self) -> Counters {
        self.queue.counters()
    }
}

impl UringRing {
    /// The present, for those who time what one call brought. A shard has no use for it: what [`Ring::wait`] says is its
    /// turn's time.
    #[must_use]
    pub fn now(&self) -> Now {
        clock::now()
    }

    /// Takes over a socket that was made elsewhere. It goes by the name that this returns, lives as one that was
    /// accepted, and is the ring's to close.
    ///
    /// It may still be connecting: a connect that does not wait is over when a poll for [`Interest::Write`] reports.
    /// If it has failed, what the poll saw is a hangup, and the next send or receive says why, once
    /// ([`ShortCause::Broken`] with `ECONNREFUSED`, `ETIMEDOUT` or the like). Until it is over, a send finds no room
    /// and a receive nothing yet.
    ///
    /// # Errors
    /// [`Errno::TABLE_FULL`] when the ring's table has no free slot. The socket is closed then.
    pub fn adopt(&mut self, socket: impl Into<OwnedFd>) -> Result<Socket, Errno> {
        let socket = socket.into();
        if self.queue.is_registered() {
            return table::insert(&mut self.queue, socket.as_fd());
        }
        Ok(Socket::new(socket.into_raw_fd().cast_unsigned()))
    }

    fn end(&mut self, socket: Socket, direction: Direction) {
        if !self.queue.is_registered() {
            return kernel::end(socket.fd(), direction);
        }
        // No operation of the ring's ends a connection within its submission, so a system call does.
        match table::lend(&mut self.queue, socket) {
            Ok(lent) => kernel::end(lent.as_raw_fd(), direction),
            Err(_) => table::end_by_worker(&mut self.queue, socket, direction),
        }
    }

    fn watch_bell(&mut self) {
        self.queue
            .watch(self.bell.eventfd.as_raw_fd(), mask(libc::POLLIN), Token::Doorbell);
    }

    /// Begins a batch: what completes with another number is a stray.
    fn next_batch(&mut self) -> u32 {
        self.transfers.clear();
        self.batch_number = (self.batch_number + 1) & Key::GENERATION_MAX;
        self.batch_number
    }

    /// Gives every collected completion to whom it belongs: this batch's transfers, or the backlog.
    fn sort_landed(&mut self) {
        let mut landed = std::mem::take(&mut self.landed);
        self.queue.take_landed(&mut landed);
        for entry in landed.drain(..) {
            let (result, more) = (entry.result(), cqueue::more(entry.flags()));
            match Token::from_user_data(entry.user_data()) {
                Some(Token::Accept) => self.accepted(result, more),
                Some(Token::Doorbell) => self.was_rung(more),
                Some(Token::Poll(key, Interest::Arrivals)) => self.arrived(key, result, more),
                Some(Token::Poll(key, interest)) => self.backlog.push(Completion::Ready {
                    key,
                    interest,
                    readiness: readiness(result),
                }),
                Some(Token::Send(Place { batch, index }) | Token::Receive(Place { batch, index }))
                    if batch == self.batch_number =>
                {
                    self.transfers.push((index, result));
                }
                Some(Token::Part | Token::Disarm) => {}
                Some(Token::Send(_) | Token::Receive(_) | Token::Insert | Token::Lend) | None => {
                    self.queue.count_stray();
                }
            }
        }
        self.landed = landed;
    }

    fn accepted(&mut self, result: i32, more: bool) {
        let ended = match u32::try_from(result) {
            Ok(fd) => {
                self.backlog.push(Completion::Accepted {
                    socket: Socket::new(fd),
                });
                // The kernel ends a multishot without an error of its own only when its completions overflow.
                Errno::OVERFLOW
            }
            Err(_) => Errno(result.saturating_neg()),
        };
        if !more {
            self.accepting = false;
            self.backlog.push(Completion::AcceptStopped { errno: ended });
        }
    }

    /// A lasting poll has fired, or ended, or both.
    fn arrived(&mut self, key: Key, result: i32, more: bool) {
        if result != -libc::ECANCELED {
            self.backlog.push(Completion::Ready {
                key,
                interest: Interest::Arrivals,
                readiness: readiness(result),
            });
        }
        if !more {
            self.backlog.push(Completion::Disarmed { key });
        }
    }

    fn was_rung(&mut self, more: bool) {
        if !self.rung {
            self.rung = true;
            self.backlog.push(Completion::Doorbell);
        }
        if !more {
            self.watch_bell();
        }
    }
}

impl Drop for UringRing {
    /// Frees the port at once, though the kernel takes the ring apart later, and closes what was accepted but never
    /// handed out. Sockets that were handed out are their owner's to close, unless they are registered: then they go
    /// with the ring.
    fn drop(&mut self) {
        self.stop_listening();
        let _broken = self.queue.submit();
        self.sort_landed();
        for completion in std::mem::take(&mut self.backlog) {
            if let Completion::Accepted { socket } = completion {
                self.close(socket);
            }
        }
        let _broken = self.queue.submit();
    }
}

impl std::fmt::Debug for UringRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UringRing")
            .field("listener", &self.listener)
            .field("queue", &self.queue)
            .field("accepting", &self.accepting)
            .field("backlog", &self.backlog.len())
            .finish_non_exhaustive()
    }
}

/// The result of a transfer: a count, or a negated error number.
fn outcome(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno(result.saturating_neg()))
}

/// What a poll's result says: a mask, or an error, which means that the socket cannot be watched.
fn readiness(result: i32) -> Readiness {
    let has = |events: i16| result < 0 || result & i32::from(events) != 0;
    Readiness {
        read: has(libc::POLLIN | libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR),
        end: has(libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR),
        write: has(libc::POLLOUT | libc::POLLHUP | libc::POLLERR),
        hangup: has(libc::POLLHUP | libc::POLLERR),
    }
}

fn mask(events: i16) -> u32 {
    u32::from(events.cast_unsigned())
}
