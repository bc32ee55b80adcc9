//! Where the beginning of a message waits for its end.
//!
//! Whole messages are handled where they were received; only what is left over is copied here. There are three
//! sizes of block: a small one for the usual cut command, a large one that holds the longest message, and one
//! between them where the longest message is far longer than most. A connection between messages holds none.

use crate::base::{Block, Pool};
use crate::limits;
use crate::wire::ServerSession;

/// What one connection has left over.
#[derive(Debug, Default)]
pub enum Inbox {
    /// Nothing.
    #[default]
    Empty,
    /// The first bytes of a block.
    Kept {
        /// From which of the pools the block is.
        pool: u8,
        /// The block.
        block: Block,
        /// How many bytes at its front.
        bytes: u32,
    },
}

impl Inbox {
    /// Whether what it holds is in a small block.
    #[must_use]
    pub fn is_small(&self) -> bool {
        matches!(self, Self::Kept { pool: SMALL, .. })
    }
}

/// The blocks of all inboxes of a shard.
#[derive(Debug)]
pub struct Inboxes {
    /// From the smallest blocks to those that hold the longest message.
    pools: [Pool; 3],
}

/// The shard has no block left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxesFull;

impl Inboxes {
    /// So many small, medium and large blocks, for messages of at most so many bytes.
    #[must_use]
    pub fn new([small, medium, large]: [usize; 3], message_bytes_max: u32) -> Self {
        Self {
            pools: [
                Pool::new(SMALL_BYTES, small),
                Pool::new(block_bytes(MEDIUM_MESSAGE_BYTES), medium),
                Pool::new(block_bytes(message_bytes_max), large),
            ],
        }
    }

    /// Keeps `bytes` in an empty inbox, with room for more.
    ///
    /// # Errors
    /// When there is no block of the size needed.
    pub fn keep(&mut self, inbox: &mut Inbox, bytes: &[u8]) -> Result<(), InboxesFull> {
        debug_assert!(
            matches!(inbox, Inbox::Empty),
            "what was kept before is part of what is kept now"
        );
        if bytes.is_empty() {
            return Ok(());
        }
        let held = u32::try_from(bytes.len()).map_err(|_| InboxesFull)?;
        let (pool, block) = self.lend(bytes.len())?;
        self.pools[usize::from(pool)].bytes_mut(&block)[..bytes.len()].copy_from_slice(bytes);
        *inbox = Inbox::Kept {
            pool,
            block,
            bytes: held,
        };
        Ok(())
    }

    /// Moves what an inbox holds to the front of `bytes`, and says how much that was.
    ///
    /// # Panics
    /// When `bytes` has no room for it.
    pub fn take(&mut self, inbox: &mut Inbox, bytes: &mut [u8]) -> usize {
        let held = self.held_mut(inbox, 0).map_or(0, |held| {
            bytes[..held.len()].copy_from_slice(held);
            held.len()
        });
        self.clear(inbox);
        held
    }

    /// The block of an inbox and how many bytes at its front are held; the rest is room to receive into. A block
    /// that is full is changed for a larger one, as far as there are any.
    ///
    /// # Errors
    /// When a larger block is needed and there is none.
    pub fn block_mut(&mut self, inbox: &mut Inbox) -> Result<Option<(&mut [u8], usize)>, InboxesFull> {
        self.make_room(inbox)?;
        Ok(match inbox {
            Inbox::Empty => None,
            Inbox::Kept { pool, block, bytes } => {
                Some((self.pools[usize::from(*pool)].bytes_mut(block), *bytes as usize))
            }
        })
    }

    /// What an inbox holds, and `arrived` bytes behind it that were received into its block.
    pub fn held_mut(&mut self, inbox: &mut Inbox, arrived: usize) -> Option<&mut [u8]> {
        match inbox {
            Inbox::Empty => None,
            Inbox::Kept { pool, block, bytes } => {
                let block = self.pools[usize::from(*pool)].bytes_mut(block);
                Some(&mut block[..*bytes as usize + arrived])
            }
        }
    }

    /// So many bytes at the front of the inbox's block are held now; with none the block goes back.
    pub fn set_held(&mut self, inbox: &mut Inbox, held: usize) {
        match inbox {
            Inbox::Empty => debug_assert!(held == 0, "an empty inbox holds nothing"),
            Inbox::Kept { bytes, .. } => *bytes = u32::try_from(held).unwrap_or(u32::MAX),
        }
        if held == 0 {
            self.clear(inbox);
        }
    }

    /// Gives the block of an inbox back.
    pub fn clear(&mut self, inbox: &mut Inbox) {
        if let Inbox::Kept { pool, block, .. } = std::mem::take(inbox) {
            self.pools[usize::from(pool)].give(block);
        }
    }

    /// Blocks in use by all inboxes, of every size.
    #[must_use]
    pub fn blocks_in_use(&self) -> usize {
        self.pools.iter().map(Pool::in_use).sum()
    }

    /// Changes a block that is full for a larger one. One of the largest is as full as it ever gets.
    fn make_room(&mut self, inbox: &mut Inbox) -> Result<(), InboxesFull> {
        let Inbox::Kept { pool, block, bytes } = inbox else {
            return Ok(());
        };
        let (from, held) = (usize::from(*pool), *bytes as usize);
        let is_largest = self.pools.iter().all(|other| other.block_bytes() <= held);
        if held < self.pools[from].block_bytes() || is_largest {
            return Ok(());
        }
        let (to, larger) = self.lend(held)?;
        let [old, new] = self
            .pools
            .get_disjoint_mut([from, usize::from(to)])
            .map_err(|_| InboxesFull)?;
        new.bytes_mut(&larger)[..held].copy_from_slice(&old.bytes(block)[..held]);
        old.give(std::mem::replace(block, larger));
        *pool = to;
        Ok(())
    }

    /// A block with room for more than so many bytes, of the smallest size that has one left.
    fn lend(&mut self, bytes: usize) -> Result<(u8, Block), InboxesFull> {
        (0_u8..)
            .zip(&mut self.pools)
            .filter(|(_, pool)| pool.block_bytes() > bytes)
            .find_map(|(number, pool)| Some((number, pool.take()?)))
            .ok_or(InboxesFull)
    }
}

/// Bytes of a block that holds a message of at most so many bytes, a control frame between its fragments, and the
/// largest request head, whatever is received with their ends.
#[must_use]
pub fn block_bytes(message_bytes_max: u32) -> usize {
    ServerSession::buffer_bytes_min(message_bytes_max).max(limits::HEAD_BYTES_MAX) + limits::RECV_BYTES
}

/// The number of the pool of small blocks.
const SMALL: u8 = 0;
/// Holds most commands.
const SMALL_BYTES: usize = 4 * 1024;
const _: () = assert!(SMALL_BYTES <= limits::RECV_BYTES && limits::RECV_BATCH > 1);
/// A medium block holds a message of so many bytes.
const MEDIUM_MESSAGE_BYTES: u32 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_moves_to_a_large_block_when_it_outgrows_the_small_one() {
        let mut inboxes = Inboxes::new([1, 0, 1], 64 * 1024);
        let mut inbox = Inbox::default();
        inboxes.keep(&mut inbox, b"begin").unwrap();
        let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
        assert_eq!((&block[..held], block.len()), (&b"begin"[..], SMALL_BYTES));
        block[held..].fill(b'x');
        inboxes.set_held(&mut inbox, SMALL_BYTES);
        let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
        assert_eq!(
            (&block[..5], held, block.len()),
            (&b"begin"[..], SMALL_BYTES, block_bytes(64 * 1024))
        );
        assert!(block[5..held].iter().all(|&byte| byte == b'x'));
        inboxes.set_held(&mut inbox, 0);
        assert_eq!(inboxes.blocks_in_use(), 0);
    }

    #[test]
    fn a_message_moves_through_every_size_and_never_to_one_that_it_has_outgrown() {
        let mut inboxes = Inboxes::new([1, 2, 1], 1024 * 1024);
        let (mut inbox, mut other) = (Inbox::default(), Inbox::default());
        inboxes.keep(&mut inbox, b"begin").unwrap();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
            block[held..].fill(7);
            assert!(block.starts_with(b"begin"));
            let full = block.len();
            sizes.push(full);
            inboxes.set_held(&mut inbox, full);
        }
        assert_eq!(
            sizes,
            [SMALL_BYTES, block_bytes(64 * 1024), block_bytes(1024 * 1024)]
        );
        let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
        assert_eq!(block.len(), held, "the largest is as full as it gets");
        inboxes.keep(&mut other, &[7; SMALL_BYTES]).unwrap();
        inboxes.set_held(&mut other, block_bytes(64 * 1024));
        assert_eq!(
            inboxes.block_mut(&mut other),
            Err(InboxesFull),
            "the other medium block does not help"
        );
        inboxes.clear(&mut inbox);
        inboxes.clear(&mut other);
        assert_eq!(inboxes.blocks_in_use(), 0);
    }

    #[test]
    fn without_a_block_it_says_so() {
        let mut inboxes = Inboxes::new([0, 0, 1], 64 * 1024);
        let (mut a, mut b) = (Inbox::default(), Inbox::default());
        inboxes.keep(&mut a, b"a").unwrap();
        assert_eq!(inboxes.keep(&mut b, b"b"), Err(InboxesFull));
        inboxes.clear(&mut a);
        assert_eq!(inboxes.keep(&mut b, b"b"), Ok(()));
    }
}
