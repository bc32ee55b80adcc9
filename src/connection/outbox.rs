//! Bytes that a connection is owed and that only it is owed: replies, pongs, the close frame, the rest of a frame
//! that was cut short. A chain of blocks from one pool.
//!
//! An empty outbox holds no block, and an idle connection's is empty.

use super::Bounds;
use crate::base::{Block, Cost, Part, Pool};

/// One connection's chain.
#[derive(Debug, Default)]
pub struct Outbox {
    first: Option<Block>,
    last: u32,
    /// Bytes of the first block that have gone out.
    sent: u32,
    bytes: u32,
}

/// The blocks of all outboxes of a shard.
#[derive(Debug)]
pub struct Outboxes {
    pool: Pool,
    /// What follows each block in its chain.
    next: Vec<Option<Block>>,
    /// How much one connection may owe.
    bounds: Bounds,
}

/// A connection is owed more than it may be, or the shard has no block left. What was owed before is untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

impl Outboxes {
    /// `count` blocks of `block_bytes` each.
    ///
    /// # Panics
    /// When a connection might owe more than can be counted in 32 bits.
    #[must_use]
    pub fn new(block_bytes: usize, count: usize, bounds: Bounds) -> Self {
        assert!(
            u32::try_from(bounds.owed_bytes).is_ok(),
            "what is owed is counted in 32 bits"
        );
        Self {
            pool: Pool::new(block_bytes, count),
            next: Vec::with_capacity(count),
            bounds,
        }
    }

    /// What so many blocks cost when all have been lent.
    #[must_use]
    pub fn cost(block_bytes: usize, count: usize) -> Cost {
        let bytes = block_bytes + Pool::BYTES_PER_BLOCK + size_of::<Option<Block>>();
        Cost::new(Part::Pools, "blocks for replies", count, bytes)
    }

    /// Adds `bytes` to what `outbox` owes, all of them or none.
    ///
    /// # Errors
    /// When that is more than [`Bounds::owed_bytes`], or more than the pool has.
    pub fn append(&mut self, outbox: &mut Outbox, bytes: &[u8]) -> Result<(), OutboxFull> {
        self.append_all(outbox, [bytes])
    }

    /// Adds `parts`, one after the other, to what `outbox` owes, all of them or none.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_all<const N: usize>(
        &mut self,
        outbox: &mut Outbox,
        parts: [&[u8]; N],
    ) -> Result<(), OutboxFull> {
        let block_bytes = self.pool.block_bytes();
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        let needed = bytes
            .saturating_sub(block_bytes - outbox.used_of_last(block_bytes))
            .div_ceil(block_bytes);
        if outbox.len() + bytes > self.bounds.owed_bytes || needed > self.pool.available() {
            return Err(OutboxFull);
        }
        parts.into_iter().try_for_each(|part| self.fill(outbox, part))
    }

    /// Puts `bytes` before all that `outbox` owes, of which nothing has gone out; all of them or none.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    ///
    /// # Panics
    /// When some of the first block has gone out.
    pub fn prepend(&mut self, outbox: &mut Outbox, bytes: &[u8]) -> Result<(), OutboxFull> {
        if outbox.is_empty() {
            return self.append(outbox, bytes);
        }
        assert_eq!(outbox.sent, 0, "nothing comes before what has gone out");
        let block_bytes = self.pool.block_bytes();
        let needed = bytes.len().div_ceil(block_bytes);
        if outbox.len() + bytes.len() > self.bounds.owed_bytes || needed > self.pool.available() {
            return Err(OutboxFull);
        }
        // From the last piece to the first, each at the end of its block: only the first block may begin late.
        for piece in bytes.rchunks(block_bytes) {
            let block = self.pool.take().ok_or(OutboxFull)?;
            let (index, start) = (block.index(), block_bytes - piece.len());
            self.pool.bytes_mut(&block)[start..].copy_from_slice(piece);
            self.make_next(index);
            self.next[index] = outbox.first.replace(block);
            outbox.sent = small(start);
            outbox.grow(piece.len());
        }
        Ok(())
    }

    /// The first `parts_max` stretches of what `outbox` owes, in order.
    pub fn parts<'a>(&'a self, outbox: &'a Outbox, parts_max: usize) -> impl Iterator<Item = &'a [u8]> {
        let block_bytes = self.pool.block_bytes();
        let mut block = outbox.first.as_ref();
        let (mut start, mut left) = (outbox.sent as usize, outbox.len());
        std::iter::from_fn(move || {
            let present = block?;
            let end = block_bytes.min(start + left);
            let part = &self.pool.bytes(present)[start..end];
            (start, left) = (0, left - part.len());
            block = self.next[present.index()].as_ref();
            Some(part)
        })
        .take(parts_max)
    }

    /// `bytes` bytes have gone out.
    ///
    /// # Panics
    /// When that is more than `outbox` owes.
    pub fn consume(&mut self, outbox: &mut Outbox, bytes: usize) {
        let block_bytes = self.pool.block_bytes();
        assert!(bytes <= outbox.len(), "no more goes out than is owed");
        outbox.bytes -= small(bytes);
        let mut passed = outbox.sent as usize + bytes;
        while let Some(block) = outbox
            .first
            .take_if(|_| passed >= block_bytes || outbox.bytes == 0)
        {
            outbox.first = self.next[block.index()].take();
            passed = passed.saturating_sub(block_bytes);
            self.pool.give(block);
        }
        outbox.sent = if outbox.first.is_some() { small(passed) } else { 0 };
    }

    /// Forgets what `outbox` owes.
    pub fn clear(&mut self, outbox: &mut Outbox) {
        self.consume(outbox, outbox.len());
    }

    /// Whether so much is owed that nothing is read from the connection before it has read that.
    #[must_use]
    pub fn is_long(&self, outbox: &Outbox) -> bool {
        outbox.len() >= self.bounds.owed_bytes_pause
    }

    /// Whether there are blocks for all that one connection may be owed.
    #[must_use]
    pub fn have_room(&self) -> bool {
        self.pool.available() * self.pool.block_bytes() >= self.bounds.owed_bytes
    }

    /// Blocks in use by all outboxes.
    #[must_use]
    pub fn blocks_in_use(&self) -> usize {
        self.pool.in_use()
    }

    /// Copies `bytes` behind what `outbox` owes, first into what is left of its last block.
    fn fill(&mut self, outbox: &mut Outbox, mut bytes: &[u8]) -> Result<(), OutboxFull> {
        let block_bytes = self.pool.block_bytes();
        let used = outbox.used_of_last(block_bytes);
        if let Some(index) = outbox.last_index()
            && used < block_bytes
        {
            let take = bytes.len().min(block_bytes - used);
            self.pool.bytes_at_mut(index)[used..used + take].copy_from_slice(&bytes[..take]);
            outbox.grow(take);
            bytes = &bytes[take..];
        }
        for piece in bytes.chunks(block_bytes) {
            let block = self.pool.take().ok_or(OutboxFull)?;
            self.pool.bytes_mut(&block)[..piece.len()].copy_from_slice(piece);
            self.link(outbox, block);
            outbox.grow(piece.len());
        }
        Ok(())
    }

    fn link(&mut self, outbox: &mut Outbox, block: Block) {
        let index = block.index();
        self.make_next(index);
        match outbox.last_index() {
            Some(last) => self.next[last] = Some(block),
            None => outbox.first = Some(block),
        }
        outbox.last = small(index);
    }

    /// Makes room for what follows the block of that index.
    fn make_next(&mut self, index: usize) {
        while self.next.len() <= index {
            self.next.push(None);
        }
    }
}

impl Outbox {
    /// Bytes owed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes as usize
    }

    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn last_index(&self) -> Option<usize> {
        self.first.is_some().then_some(self.last as usize)
    }

    /// How much of the last block is taken; all of it where there is no block, so that a new one is due.
    fn used_of_last(&self, block_bytes: usize) -> usize {
        if self.first.is_none() {
            return block_bytes;
        }
        match (self.sent as usize + self.len()) % block_bytes {
            0 => block_bytes,
            used => used,
        }
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += small(bytes);
    }
}

fn small(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owed(outboxes: &Outboxes, outbox: &Outbox) -> Vec<u8> {
        outboxes.parts(outbox, usize::MAX).flatten().copied().collect()
    }

    #[test]
    fn a_full_pool_leaves_what_was_owed_untouched() {
        let mut outboxes = Outboxes::new(4, 2, Bounds::default());
        let mut outbox = Outbox::default();
        outboxes.append(&mut outbox, b"abcdef").unwrap();
        assert_eq!(outboxes.append(&mut outbox, b"ghi"), Err(OutboxFull));
        outboxes.append(&mut outbox, b"gh").unwrap();
        assert_eq!(owed(&outboxes, &outbox), b"abcdefgh");
        outboxes.clear(&mut outbox);
        assert_eq!((outboxes.blocks_in_use(), outbox.is_empty()), (0, true));
    }

    #[test]
    fn a_connection_is_never_owed_more_than_its_limit() {
        let bounds = Bounds {
            owed_bytes: 100,
            owed_bytes_pause: 90,
            ..Bounds::default()
        };
        let mut outboxes = Outboxes::new(64, 64, bounds);
        let mut outbox = Outbox::default();
        outboxes.append(&mut outbox, &[0; 89]).unwrap();
        assert!(!outboxes.is_long(&outbox));
        outboxes.append(&mut outbox, &[0; 11]).unwrap();
        assert!(outboxes.is_long(&outbox));
        assert_eq!(outboxes.append(&mut outbox, b"x"), Err(OutboxFull));
    }

    proptest! {
        #[test]
        fn two_outboxes_of_one_pool_behave_as_two_byte_queues(
            ops in prop::collection::vec((any::<bool>(), prop::option::of((any::<bool>(), 0_usize..20)), 0_usize..30), 0..60),
        ) {
            let mut outboxes = Outboxes::new(8, 12, Bounds::default());
            let mut boxes = [Outbox::default(), Outbox::default()];
            let mut oracle = [Vec::new(), Vec::new()];
            let mut next = 0_u8;
            for (which, append, consume) in ops {
                let (outbox, queue) = (&mut boxes[usize::from(which)], &mut oracle[usize::from(which)]);
                if let Some((first, count)) = append {
                    let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    let parts = bytes.split_at(bytes.len() / 3);
                    if first && outbox.sent == 0 {
                        if outboxes.prepend(outbox, &bytes).is_ok() { queue.splice(0..0, bytes); }
                    } else if outboxes.append_all(outbox, [parts.0, parts.1]).is_ok() { queue.extend(bytes); }
                } else {
                    let count = consume.min(queue.len());
                    outboxes.consume(outbox, count);
                    queue.drain(..count);
                }
                for (outbox, queue) in boxes.iter().zip(&oracle) {
                    prop_assert_eq!(&owed(&outboxes, outbox), queue);
                    prop_assert_eq!(outbox.len(), queue.len());
                }
            }
            for outbox in &mut boxes { outboxes.clear(outbox); }
            prop_assert_eq!(outboxes.blocks_in_use(), 0);
        }
    }
}
