//! What the writer adds to a tick: in every language the same.

/// What the writer adds to a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp<'a> {
    /// The channel's name; must be what [`ChannelName::parse`](crate::market::ChannelName::parse) accepts, for it is not
    /// escaped.
    pub channel: &'a str,
    /// The number within the channel, from 1.
    pub seq: u64,
    /// When it happened at its venue, in nanoseconds since the epoch.
    pub ts_ns: u64,
    /// When it was published here, in nanoseconds since the epoch.
    pub pt_ns: u64,
}
