//! A socket's name.

/// Names a socket to the ring that accepted it, and to nobody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Socket(u32);

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
