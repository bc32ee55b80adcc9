//! The kernel's error numbers as a value.
//!
//! Never zero for a failure; carries no context, which is its caller's to add.

use std::fmt;
use std::io;

/// An error number of the operating system (`errno(3)`), positive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Errno(pub i32);

impl Errno {
    /// Nothing to do now, try again when ready (`EAGAIN`).
    pub const AGAIN: Self = Self(libc::EAGAIN);
    /// The peer reset the connection (`ECONNRESET`).
    pub const CONNECTION_RESET: Self = Self(libc::ECONNRESET);
    /// Not over yet (`EINPROGRESS`).
    pub const IN_PROGRESS: Self = Self(libc::EINPROGRESS);
    /// The object is not in a state for this call (`EINVAL`).
    pub const INVALID: Self = Self(libc::EINVAL);
    /// No network buffers (`ENOBUFS`).
    pub const NO_BUFFERS: Self = Self(libc::ENOBUFS);
    /// This process may hold no more descriptors (`EMFILE`).
    pub const NO_DESCRIPTORS: Self = Self(libc::EMFILE);
    /// A table of descriptors is full (`ENFILE`): the whole system's, or a ring's own.
    pub const TABLE_FULL: Self = Self(libc::ENFILE);
    /// More completions than their queue holds (`EOVERFLOW`).
    pub const OVERFLOW: Self = Self(libc::EOVERFLOW);
    /// Sending on a connection that was shut down (`EPIPE`).
    pub const PIPE: Self = Self(libc::EPIPE);

    /// Whether the call did nothing because it would have had to wait, and may be repeated when the socket is
    /// ready: also when the kernel was out of memory or buffers for the moment.
    #[must_use]
    pub const fn would_block(self) -> bool {
        matches!(self.0, libc::EAGAIN | libc::EINTR | libc::ENOBUFS | libc::ENOMEM)
    }

    /// Whether accepting failed for want of something that comes back (descriptors, memory): pause, then again.
    #[must_use]
    pub const fn out_of_resources(self) -> bool {
        matches!(self.0, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
    }

    /// Whether nobody listens there, or nobody wants to.
    #[must_use]
    pub const fn is_refusal(self) -> bool {
        matches!(self.0, libc::ECONNREFUSED | libc::ECONNRESET)
    }

    /// The error of an `io::Result`; an error without a number counts as `EIO`.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}

impl std::error::Error for Errno {}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_the_system_calls_it() {
        assert!(Errno::CONNECTION_RESET.to_string().contains("reset by peer"));
        assert_eq!(Errno::of(&io::Error::from(Errno::PIPE)), Errno::PIPE);
        assert_eq!(Errno::of(&io::Error::other("no number")), Errno(libc::EIO));
    }

    #[test]
    fn a_moment_without_memory_is_not_a_broken_connection() {
        assert!(
            Errno::AGAIN.would_block()
                && Errno::NO_BUFFERS.would_block()
                && Errno(libc::ENOMEM).would_block()
        );
        assert!(!Errno::CONNECTION_RESET.would_block() && !Errno::PIPE.would_block());
        assert!(Errno::NO_DESCRIPTORS.out_of_resources() && !Errno::INVALID.out_of_resources());
    }
}
