//! What the tests on real sockets share: servers to talk to, clients that we did not write, and bounded waits.
//!
//! Never measures time: a deadline here only turns a hang into a failure, and is far beyond what a loaded machine
//! needs.

pub(crate) mod folder;
pub(crate) mod process;
pub(crate) mod raw;
pub(crate) mod served;
pub(crate) mod socket;

use std::future::Future;
use std::time::Duration;

/// Beyond what anything here can take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// Whether there can be no server here; says so where that is the case.
pub(crate) fn cannot_serve() -> bool {
    match tickwire::ring::probe() {
        Ok(_) => false,
        Err(unavailable) => {
            println!("SKIPPED: {unavailable}");
            true
        }
    }
}

/// Whether no shard can have descriptors of its own here; says so where that is the case.
pub(crate) fn cannot_register() -> bool {
    let lacks = tickwire::ring::probe().map(|capabilities| capabilities.table_lacks());
    match lacks {
        Ok(None) => false,
        Ok(Some(lacks)) => {
            println!("SKIPPED: this kernel lacks {lacks}");
            true
        }
        Err(unavailable) => {
            println!("SKIPPED: {unavailable}");
            true
        }
    }
}

/// Runs `future` on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(future)
}

/// What `future` comes to, within the deadline.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: still waiting after {DEADLINE:?}"))
}
