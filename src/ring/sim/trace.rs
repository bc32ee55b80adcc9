//! A fingerprint of everything that happened in a simulation.
//!
//! FNV-1a, 64 bits (Fowler, Noll, Vo): two runs that agree in it did the same, byte for byte. Not for adversaries.

/// The running fingerprint.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace(u64);

/// What happened, as the fingerprint knows it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mark {
    Wait,
    Accept,
    Stop,
    Arm,
    Disarm,
    Receive,
    Send,
    Shutdown,
    Finish,
    Close,
    Delivered,
    Connect,
    ClientWrite,
    ClientRead,
    ClientFinish,
    Reset,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self(OFFSET_BASIS)
    }

    pub(super) fn note(&mut self, mark: Mark, words: &[u64]) {
        self.bytes(&[mark as u8]);
        for word in words {
            self.bytes(&word.to_le_bytes());
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    pub(super) const fn hash(self) -> u64 {
        self.0
    }
}

const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_published_function() {
        let mut trace = Trace::new();
        trace.bytes(b"foobar");
        assert_eq!(trace.hash(), 0x8594_4171_f739_67e8);
    }
}
