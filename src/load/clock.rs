//! Time for the threads that have no connections: the one that conducts and the one that publishes.
//!
//! Never reads a clock of its own: a ring without sockets waits, and says what time it is, as the other threads' rings do.

use crate::ring::{Capabilities, Errno, Ring as _, Unavailable, UringBuilder, UringOptions, UringRing};

/// A ring that is only waited on.
#[derive(Debug)]
pub(super) struct Clock {
    ring: UringRing,
}

impl Clock {
    /// A ring to start on the thread that is to use it.
    pub(super) fn builder(capabilities: &Capabilities) -> Result<UringBuilder, Unavailable> {
        let options = UringOptions {
            submission_entries: 8,
            completion_entries: 16,
            ..UringOptions::default()
        };
        UringBuilder::without_listener(capabilities, options)
    }

    pub(super) fn start(builder: UringBuilder) -> Result<Self, Errno> {
        Ok(Self {
            ring: builder.start()?,
        })
    }

    /// Monotonic time, comparable with that of all rings of this process.
    pub(super) fn now_ns(&self) -> u64 {
        self.ring.now().mono_ns
    }

    /// Waits until that time.
    pub(super) fn wait_until(&mut self, ns: u64) -> Result<(), Errno> {
        let mut nothing = Vec::new();
        while self.now_ns() < ns {
            self.ring.wait(Some(ns), &mut nothing)?;
            nothing.clear();
        }
        Ok(())
    }
}
