//! What a shard tells everyone who connects, and where it answers.

use crate::tape::Track;

/// The kinds of channel that exist before their first message.
pub const KINDS: [&str; 3] = ["trade", "bbo", "book"];
/// Where subscribers connect.
pub const FEED_PATH: &str = "/v1/ws";
/// Where load balancers ask.
pub const HEALTH_PATH: &str = "/healthz";
/// The languages that are spoken.
pub const PROTOCOLS: &[&str] = &["tickwire.v1.json"];

/// One shard's view of the server it is part of, and the scratch in which it writes.
#[derive(Debug, Default)]
pub struct Site {
    /// Which shard this is.
    pub shard: usize,
    /// Connections that are served at once; one more is told to come back later.
    pub connections_max: usize,
    /// Sequence numbers count within this epoch; it changes when their continuity is lost.
    pub epoch: Box<str>,
    /// The track of the native JSON language.
    pub track: Track,
    /// How many connections have been opened, which names the next one.
    pub(super) opened: u64,
    /// A message being written.
    pub(super) text: Vec<u8>,
    /// Frames being written.
    pub(super) frame: Vec<u8>,
}

impl Site {
    /// What the shard of that number tells its clients.
    #[must_use]
    pub fn new(shard: usize, epoch: Box<str>) -> Self {
        Self {
            shard,
            epoch,
            ..Self::default()
        }
    }
}
