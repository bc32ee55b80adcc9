//! The forms in which the native language writes ticks, by the subprotocols that name them.

/// In which form a client gets its ticks. Whatever else is said is JSON text in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// JSON text.
    #[default]
    Json,
    /// Fixed binary layouts.
    Binary,
}

impl Encoding {
    /// The subprotocol (RFC 6455 §1.9) that asks for it.
    ///
    /// ```
    /// use tickwire::dialect::Encoding;
    ///
    /// assert_eq!(Encoding::Binary.subprotocol(), "tickwire.v1.bin");
    /// ```
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "tickwire.v1.json",
            Self::Binary => "tickwire.v1.bin",
        }
    }
}
