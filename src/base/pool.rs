//! Blocks of one size out of one reservation: what a connection borrows when it needs more than its slot.
//!
//! The memory is zeroed by the operating system on first touch, so a pool costs what has been used of it at
//! its busiest, and never more than was planned. An empty pool says so; what follows is its caller's policy.

use std::num::NonZeroU32;

/// A block on loan. Not clonable: whoever holds it gives it back with [`Pool::give`].
#[derive(Debug, PartialEq, Eq)]
pub struct Block(
    /// One more than its number, so that no block takes no more room than one.
    NonZeroU32,
);

impl Block {
    /// Its number, below the pool's count.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.0.get() as usize - 1
    }
}

/// `count` blocks of `block_bytes` bytes.
#[derive(Debug)]
pub struct Pool {
    bytes: Vec<u8>,
    block_bytes: usize,
    count: usize,
    fresh: usize,
    free: Vec<NonZeroU32>,
}

impl Pool {
    /// Bytes that a block costs besides its own.
    pub const BYTES_PER_BLOCK: usize = size_of::<Block>();

    /// A pool whose every block is free.
    ///
    /// # Panics
    /// When the blocks cannot be numbered in 32 bits.
    #[must_use]
    pub fn new(block_bytes: usize, count: usize) -> Self {
        assert!(u32::try_from(count).is_ok(), "blocks are numbered in 32 bits");
        Self {
            bytes: vec![0; block_bytes * count],
            block_bytes,
            count,
            fresh: 0,
            free: Vec::with_capacity(count),
        }
    }

    /// Lends a block; its bytes are whatever its last borrower left. `None` when all are out.
    pub fn take(&mut self) -> Option<Block> {
        if let Some(index) = self.free.pop() {
            return Some(Block(index));
        }
        if self.fresh == self.count {
            return None;
        }
        self.fresh += 1;
        u32::try_from(self.fresh)
            .ok()
            .and_then(NonZeroU32::new)
            .map(Block)
    }

    /// Takes a block back.
    pub fn give(&mut self, block: Block) {
        debug_assert!(!self.free.contains(&block.0), "a block is given back once");
        self.free.push(block.0);
    }

    /// The bytes of a block.
    pub fn bytes_mut(&mut self, block: &Block) -> &mut [u8] {
        self.bytes_at_mut(block.index())
    }

    /// The bytes of the block of that [index](Block::index), for a chain that knows its last block by number.
    pub fn bytes_at_mut(&mut self, index: usize) -> &mut [u8] {
        let start = index * self.block_bytes;
        &mut self.bytes[start..start + self.block_bytes]
    }

    /// The bytes of a block.
    #[must_use]
    pub fn bytes(&self, block: &Block) -> &[u8] {
        let start = block.index() * self.block_bytes;
        &self.bytes[start..start + self.block_bytes]
    }

    /// Bytes of each block.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// Blocks that can still be taken.
    #[must_use]
    pub fn available(&self) -> usize {
        self.count - self.in_use()
    }

    /// Blocks on loan.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.fresh - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_each_block_once_and_says_when_all_are_out() {
        let mut pool = Pool::new(8, 2);
        let a = pool.take().unwrap();
        let b = pool.take().unwrap();
        assert_eq!(pool.take(), None);
        pool.bytes_mut(&a).fill(1);
        pool.bytes_mut(&b).fill(2);
        assert_eq!((pool.bytes(&a), pool.bytes(&b)), (&[1_u8; 8][..], &[2_u8; 8][..]));
        pool.give(a);
        assert_eq!(pool.in_use(), 1);
        let again = pool.take().unwrap();
        assert_eq!(pool.bytes(&again).len(), 8);
        assert_eq!(pool.take(), None);
    }
}
