//! The runtime of the writer thread: tokio-uring with the ring flags that it is known to work with.
//!
//! Never `DEFER_TASKRUN`: tokio-uring 0.5 waits for its ring through epoll, which the kernel does not wake for
//! deferred task work, so the runtime would hang. Never `SQPOLL` either: on few cores it costs several times
//! the latency. `SINGLE_ISSUER | COOP_TASKRUN` is what remains, and what a single busy thread wants.

use std::io;

/// A runtime for the calling thread, which must be the one that uses it (`SINGLE_ISSUER`).
///
/// tokio's own timers work in it. Operations in flight when it is dropped are cancelled.
///
/// # Errors
/// When the kernel refuses a ring (an old kernel, a seccomp filter, `kernel.io_uring_disabled`, or a limit of
/// locked memory or descriptors).
pub fn runtime() -> io::Result<tokio_uring::Runtime> {
    let mut ring = tokio_uring::uring_builder();
    ring.setup_single_issuer().setup_coop_taskrun();
    tokio_uring::Runtime::new(tokio_uring::builder().entries(SUBMISSIONS).uring_builder(&ring))
}

/// Submission queue entries: the writer has a handful of files and sockets in flight, not thousands.
const SUBMISSIONS: u32 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use tokio_uring::fs::File;

    #[test]
    fn a_read_that_never_completes_does_not_hold_up_the_end() {
        let (silent, _writer) = io::pipe().unwrap();
        let runtime = runtime().unwrap();
        runtime.block_on(async {
            let file = File::from_std(std::fs::File::from(OwnedFd::from(silent)));
            let read = file.read_at(Vec::with_capacity(16), u64::MAX);
            let brief = std::time::Duration::from_millis(1);
            assert!(tokio::time::timeout(brief, read).await.is_err());
        });
        drop(runtime);
    }
}
