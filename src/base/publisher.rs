//! Who publishes, by number.

/// Names one of those who may publish; the default is whoever has not said who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherId(u8);

impl PublisherId {
    /// The one of this number; 0 is whoever has not said who it is.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}
