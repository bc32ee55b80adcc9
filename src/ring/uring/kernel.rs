//! The system calls besides `io_uring`: eventfd, shutdown, close, resource limits.
//!
//! Never keeps a pointer. Each call is one line of C with its errors turned into [`Errno`].

#![expect(
    unsafe_code,
    reason = "the few system calls that neither std nor io_uring offers for a bare descriptor"
)]

use crate::ring::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A counter that a thread can poll and any thread can add to.
pub(super) fn eventfd() -> Result<File, Errno> {
    // SAFETY: takes two integers and touches no memory of ours.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(last());
    }
    // SAFETY: the descriptor is open, and nobody but this line knows it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(File::from(owned))
}

/// Which of a socket's directions end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    Ours,
    Both,
}

impl Direction {
    /// As shutdown(2) has it.
    pub(super) fn how(self) -> libc::c_int {
        match self {
            Self::Ours => libc::SHUT_WR,
            Self::Both => libc::SHUT_RDWR,
        }
    }
}

/// Ends one or both directions of a socket. Errors (not connected any more) mean that it is ended already.
pub(super) fn end(fd: RawFd, direction: Direction) {
    // SAFETY: takes two integers; a descriptor that is not a socket is an error, not a fault.
    let _ended = unsafe { libc::shutdown(fd, direction.how()) };
}

/// Gives a descriptor back. Errors are reports about earlier writes; the descriptor is gone all the same.
pub(super) fn close(fd: RawFd) {
    // SAFETY: takes an integer; the caller owns the descriptor by the contract of `Ring::close`.
    let _closed = unsafe { libc::close(fd) };
}

/// The soft and hard limit of descriptors of this process.
pub(in crate::ring) fn descriptor_limit() -> Result<(u64, u64), Errno> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: writes one rlimit, which lives for the whole call.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result < 0 {
        Err(last())
    } else {
        Ok((limit.rlim_cur, limit.rlim_max))
    }
}

/// Sets the soft limit of descriptors of this process, and keeps the hard one.
pub(in crate::ring) fn set_descriptor_limit(soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: reads one rlimit, which lives for the whole call.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result < 0 { Err(last()) } else { Ok(()) }
}

/// Leaves the choice of a local port to the connection, though an address is bound before (`IP_BIND_ADDRESS_NO_PORT`).
pub(in crate::ring) fn bind_without_port(fd: RawFd) -> Result<(), Errno> {
    let yes: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&yes)).unwrap_or_default();
    // SAFETY: reads one integer of the length that is given, which lives for the whole call.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const yes).cast(),
            length,
        )
    };
    if result < 0 { Err(last()) } else { Ok(()) }
}

/// Asks a process to end (`SIGTERM`). Errors mean that there is none.
pub(in crate::ring) fn terminate(pid: libc::pid_t) {
    // SAFETY: takes two integers and touches no memory of ours.
    let _gone = unsafe { libc::kill(pid, libc::SIGTERM) };
}

fn last() -> Errno {
    Errno::of(&io::Error::last_os_error())
}
