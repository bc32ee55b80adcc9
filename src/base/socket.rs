//! A socket's name.

/// A connection as its ring names it: a descriptor or an index, good until the ring closes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Socket(u32);

impl Default for Socket {
    /// A socket that no ring ever hands out; every call on it fails.
    fn default() -> Self {
        Self(u32::MAX)
    }
}

impl Socket {
    /// The socket that its ring calls `raw`.
    #[must_use]
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// What its ring calls it.
    #[must_use]
    pub const fn raw(self) -> u32 {
        self.0
    }
}
