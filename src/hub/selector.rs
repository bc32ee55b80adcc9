//! What a subscription names: one channel, all of a kind, or everything.

/// A channel's name or a pattern of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector<'a> {
    /// `*`: every channel.
    All,
    /// `kind:*`: every channel of the kind.
    Kind(&'a str),
    /// `kind:symbol`: that channel.
    Channel(&'a str),
}
