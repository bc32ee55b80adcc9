//! The submission and completion queues of one ring, and the only callers of `io_uring_enter`.
//!
//! Knows nothing of what an operation means. Invariants: when [`Queue::submit`] returns `Ok`, the kernel has
//! taken every entry, and every completion it has posted by then is in `landed`; once broken, the ring is never
//! entered again, so entries that were left in the submission queue are never read.

#![expect(
    unsafe_code,
    reason = "submission entries may point at memory; the kernel reads them inside enter"
)]

use super::token::Token;
use crate::limits::{SUBMIT_STALLS_MAX, WAIT_COMPLETIONS};
use crate::ring::{Counters, Errno, Socket, Unavailable, UringOptions};
use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};
use std::os::fd::RawFd;
use std::time::Duration;

/// How long a wait lasts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    /// Not at all.
    Poll,
    /// At most so long.
    Until(Duration),
    /// Until something happens.
    Forever,
}

/// The two queues of one ring.
pub(super) struct Queue {
    io: IoUring,
    landed: Vec<cqueue::Entry>,
    broken: Option<Errno>,
    stalls_in_a_row: u32,
    counters: Counters,
    socket_flags: squeue::Flags,
}

impl Queue {
    /// A ring that is disabled until [`Queue::enable`], so that it can be made on one thread and used by another.
    ///
    /// `SINGLE_ISSUER | DEFER_TASKRUN`: completions of polls and accepts are posted only when the owner waits.
    /// `TASKRUN_FLAG` is left out so that submitting sends does not run that work in between. `SUBMIT_ALL`: one
    /// refused entry does not hold up the rest. `NO_SQARRAY` saves an indirection where the kernel has it (6.6).
    pub(super) fn new(options: UringOptions, no_sqarray: bool) -> Result<Self, Unavailable> {
        let mut builder = IoUring::<squeue::Entry, cqueue::Entry>::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_r_disabled()
            .setup_cqsize(options.completion_entries);
        if no_sqarray {
            builder.setup_no_sqarray();
        }
        let io = builder
            .build(options.submission_entries)
            .map_err(|error| Unavailable::from_setup(Errno::of(&error)))?;
        let mut socket_flags = squeue::Flags::empty();
        if let Some(slots) = options.registered_slots {
            io.submitter()
                .register_files_sparse(slots)
                .map_err(|error| Unavailable::from_table(Errno::of(&error), slots))?;
            socket_flags = squeue::Flags::FIXED_FILE;
        }
        Ok(Self {
            io,
            landed: Vec::with_capacity(WAIT_COMPLETIONS),
            broken: None,
            stalls_in_a_row: 0,
            counters: Counters::default(),
            socket_flags,
        })
    }

    /// Makes the calling thread the ring's only user.
    pub(super) fn enable(&self) -> Result<(), Errno> {
        self.io
            .submitter()
            .register_enable_rings()
            .map_err(|error| Errno::of(&error))
    }

    /// Queues a poll of a client's socket. A broken ring ignores it: its next wait says so.
    pub(super) fn poll(&mut self, socket: Socket, events: u32, multishot: bool, token: Token) {
        let entry = opcode::PollAdd::new(types::Fd(socket.fd()), events)
            .multi(multishot)
            .build()
            .flags(self.socket_flags);
        // SAFETY: a poll points at no memory.
        let _broken = unsafe { self.push(&entry.user_data(token.to_user_data())) };
    }

    /// Queues a multishot poll of a descriptor of the process's. A broken ring ignores it: its next wait says so.
    pub(super) fn watch(&mut self, fd: RawFd, events: u32, token: Token) {
        let entry = opcode::PollAdd::new(types::Fd(fd), events).multi(true).build();
        // SAFETY: a poll points at no memory.
        let _broken = unsafe { self.push(&entry.user_data(token.to_user_data())) };
    }

    /// Queues the end of the operation that goes by `token`, which is not to be reported. A broken ring ignores it:
    /// its next wait says so.
    pub(super) fn cancel(&mut self, token: Token, by: Token) {
        let entry = opcode::AsyncCancel::new(token.to_user_data())
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: what is to be cancelled is named by its token; no memory is pointed at.
        let _broken = unsafe { self.push(&entry.user_data(by.to_user_data())) };
    }

    /// Queues a multishot accept. A broken ring ignores it: its next wait says so.
    pub(super) fn accept(&mut self, fd: RawFd, token: Token) {
        // What is no descriptor of the process's cannot be inherited, and the kernel refuses the flag for it.
        let registered = self.is_registered();
        let flags = if registered { 0 } else { libc::SOCK_CLOEXEC };
        let entry = opcode::AcceptMulti::new(types::Fd(fd))
            .allocate_file_index(registered)
            .flags(flags)
            .build();
        // SAFETY: a multishot accept asks for no peer address, so it points at no memory.
        let _broken = unsafe { self.push(&entry.user_data(token.to_user_data())) };
    }

    /// Queues any operation, submitting first when the queue is full.
    ///
    /// # Safety
    /// What the entry points to must stay valid, and unaliased where the kernel writes, until [`Queue::submit`]
    /// has returned, and beyond that if the operation does not complete within its submission.
    pub(super) unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), Errno> {
        loop {
            // SAFETY: the caller's promise is the one that this call asks for.
            let pushed = unsafe { self.io.submission().push(entry) };
            if pushed.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
    }

    /// Hands every queued entry to the kernel and collects what completed meanwhile. Does not wait, and runs no
    /// deferred work unless the completion queue overflowed.
    pub(super) fn submit(&mut self) -> Result<(), Errno> {
        while self.pending() > 0 {
            self.check()?;
            let result = self.io.submit();
            self.settle(result.map(|taken| taken > 0))?;
            self.reap();
        }
        while self.overflowed() {
            self.enter(Patience::Poll)?;
            self.reap();
        }
        self.reap();
        Ok(())
    }

    /// Submits, waits, and collects everything that has happened, up to about [`WAIT_COMPLETIONS`].
    ///
    /// One enter runs at most 20 pieces of deferred work on kernels from 6.13, so it is repeated for as long as
    /// it yields that many.
    pub(super) fn wait(&mut self, patience: Patience) -> Result<(), Errno> {
        self.enter(patience)?;
        while (self.reap() >= TASK_WORK_CAP || self.overflowed()) && self.landed.len() < WAIT_COMPLETIONS {
            self.enter(Patience::Poll)?;
        }
        Ok(())
    }

    /// What has been collected, oldest first, into `taken`, which is cleared.
    pub(super) fn take_landed(&mut self, taken: &mut Vec<cqueue::Entry>) {
        taken.clear();
        std::mem::swap(taken, &mut self.landed);
    }

    /// Takes out what an operation has posted, of those that are alone with their token.
    pub(super) fn take_posted(&mut self, token: Token) -> Option<i32> {
        let user_data = token.to_user_data();
        let at = self
            .landed
            .iter()
            .rposition(|entry| entry.user_data() == user_data)?;
        Some(self.landed.remove(at).result())
    }

    /// Counts a completion that belongs to nothing.
    pub(super) fn count_stray(&mut self) {
        self.counters.strays += 1;
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Entries that the kernel has not taken.
    pub(super) fn pending(&mut self) -> usize {
        self.io.submission().len()
    }

    /// Whether sockets are slots of a table that is registered with this ring, and not the process's descriptors.
    pub(super) fn is_registered(&self) -> bool {
        !self.socket_flags.is_empty()
    }

    /// What every entry carries that names a client's socket.
    pub(super) fn socket_flags(&self) -> squeue::Flags {
        self.socket_flags
    }

    /// The ring's own view of itself, for what a probe asks.
    pub(super) fn io(&self) -> &IoUring {
        &self.io
    }

    fn enter(&mut self, patience: Patience) -> Result<(), Errno> {
        self.check()?;
        let pending = self.pending();
        let result = match patience {
            Patience::Poll => {
                let submit = u32::try_from(pending).unwrap_or(u32::MAX);
                let submitter = self.io.submitter();
                // SAFETY: no argument is passed, and what the entries point to was promised to `push`.
                unsafe { submitter.enter::<libc::sigset_t>(submit, 0, EnterFlags::GETEVENTS.bits(), None) }
            }
            Patience::Until(duration) => {
                let timespec = types::Timespec::from(duration);
                let args = types::SubmitArgs::new().timespec(&timespec);
                self.io.submitter().submit_with_args(1, &args)
            }
            Patience::Forever => self.io.submit_and_wait(1),
        };
        match result {
            Err(error) if error.raw_os_error() == Some(libc::ETIME) => self.settle(Ok(true)),
            other => self.settle(other.map(|taken| taken > 0 || pending == 0)),
        }
    }

    /// Sorts the outcome of an enter: progress, a moment without memory or room (again later, but not for ever),
    /// or the end.
    fn settle(&mut self, progress: std::io::Result<bool>) -> Result<(), Errno> {
        self.counters.enters += 1;
        let stalled = match progress {
            Ok(true) => None,
            Ok(false) => Some(Errno::AGAIN),
            Err(error) => match Errno::of(&error) {
                Errno(libc::EINTR) => return Ok(()),
                errno @ Errno(libc::EAGAIN | libc::EBUSY | libc::ENOMEM) => Some(errno),
                errno => return self.break_with(errno),
            },
        };
        let Some(errno) = stalled else {
            self.stalls_in_a_row = 0;
            return Ok(());
        };
        self.counters.stalls += 1;
        self.stalls_in_a_row += 1;
        if self.stalls_in_a_row > SUBMIT_STALLS_MAX {
            return self.break_with(errno);
        }
        std::thread::yield_now();
        Ok(())
    }

    fn break_with(&mut self, errno: Errno) -> Result<(), Errno> {
        self.broken = Some(errno);
        Err(errno)
    }

    fn check(&self) -> Result<(), Errno> {
        self.broken.map_or(Ok(()), Err)
    }

    /// Moves every posted completion to `landed` and says how many there were.
    fn reap(&mut self) -> usize {
        let before = self.landed.len();
        self.landed.extend(self.io.completion());
        self.landed.len() - before
    }

    /// Whether the kernel keeps completions in its own memory because ours is full; counted.
    fn overflowed(&mut self) -> bool {
        let overflowed = self.io.submission().cq_overflow();
        self.counters.overflows += u64::from(overflowed);
        overflowed
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("landed", &self.landed.len())
            .field("broken", &self.broken)
            .field("counters", &self.counters)
            .finish_non_exhaustive()
    }
}

/// Pieces of deferred work that the kernel runs in one enter that waits for one completion (6.13 and later).
const TASK_WORK_CAP: usize = 20;
