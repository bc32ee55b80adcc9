//! What a connection is doing.
//!
//! ```text
//!            ┌───────────────────────────┐
//! Handshake ─┤                           ├─► Flushing ─► Lingering ─► Down ─► (slot free)
//!            └─► Open ───┬───────────────┤
//!                        └─► Closing ────┘
//! ```
//!
//! From every stage a broken socket or an expired deadline leads straight to `Down`.

use crate::wire::HeadScan;

/// A connection's stage of life. Each stage but `Open` has a deadline in the shard's timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Its request head is arriving.
    Handshake {
        /// How far that has been searched for its end.
        scan: HeadScan,
    },
    /// It speaks the protocol.
    #[default]
    Open,
    /// Our close frame is on its way; the peer's has not come.
    Closing,
    /// It was answered for the last time; that is on its way out, and nothing is read.
    Flushing,
    /// Our stream has ended. What the peer still sends is thrown away until it ends its own: closing earlier would
    /// reset the connection, and the peer might lose our last words.
    Lingering,
    /// Shut down; its slot is free when the kernel has reported the last poll.
    Down,
}

impl Stage {
    /// Whether what the peer sends still matters.
    #[must_use]
    pub fn reads(self) -> bool {
        matches!(
            self,
            Self::Handshake { .. } | Self::Open | Self::Closing | Self::Lingering
        )
    }
}
