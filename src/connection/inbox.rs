//! Where the beginning of a message waits for its end.
//!
//! Whole messages are handled where they were received; only what is left over is copied here. There are three
//! sizes of block: a small one for the usual cut command, a large one that holds the longest message, and one
//! between them where the longest message is far longer than most. A connection between messages holds none.
//!
//! Request heads have blocks of their own, so that whoever only knocks takes nothing from those inside.

use std::ops::RangeInclusive;

use crate::base::{Block, Cost, Part, Pool};
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

/// The blocks of all inboxes of a shard.
#[derive(Debug)]
pub struct Inboxes {
    /// From the smallest blocks to those that hold the longest message, and those for heads.
    pools: [Pool; POOLS],
}

/// The shard has no block left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxesFull {
    smallest: u8,
}

impl InboxesFull {
    /// The pools that would have had a block large enough, smallest first.
    pub fn pools(self) -> impl Iterator<Item = u8> {
        self.smallest..=self.smallest.max(LARGE)
    }
}

impl Inbox {
    /// The pool that its block is from.
    #[must_use]
    pub fn pool(&self) -> Option<u8> {
        match self {
            Self::Empty => None,
            Self::Kept { pool, .. } => Some(*pool),
        }
    }

    /// Whether what it holds is in a small block.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.pool() == Some(SMALL)
    }
}

impl Inboxes {
    /// So many small, medium and large blocks, for messages of at most so many bytes, and blocks for heads.
    #[must_use]
    pub fn new(blocks: [usize; POOLS], message_bytes_max: u32) -> Self {
        let sizes = sizes(message_bytes_max);
        Self {
            pools: std::array::from_fn(|pool| Pool::new(sizes[pool], blocks[pool])),
        }
    }

    /// What so many of them cost when all have been lent.
    #[must_use]
    pub fn costs(blocks: [usize; POOLS], message_bytes_max: u32) -> [Cost; POOLS] {
        let sizes = sizes(message_bytes_max);
        std::array::from_fn(|pool| {
            let bytes = sizes[pool] + Pool::BYTES_PER_BLOCK;
            Cost::new(Part::Pools, NAMES[pool], blocks[pool], bytes)
        })
    }

    /// Keeps the beginning of a message in an empty inbox, with room for more.
    ///
    /// # Errors
    /// When there is no block of the size needed.
    pub fn keep(&mut self, inbox: &mut Inbox, bytes: &[u8]) -> Result<(), InboxesFull> {
        self.keep_in(MESSAGES, inbox, bytes)
    }

    /// Keeps the beginning of a request head in an empty inbox, with room for its rest.
    ///
    /// # Errors
    /// When there is no block for heads.
    pub fn keep_head(&mut self, inbox: &mut Inbox, bytes: &[u8]) -> Result<(), InboxesFull> {
        self.keep_in(HEADS..=HEADS, inbox, bytes)
    }

    /// Moves what an inbox holds to the front of `bytes`, and says how much that was.
    ///
    /// # Panics
    /// When `bytes` has no room for it.
    pub fn lift(&mut self, inbox: &mut Inbox, bytes: &mut [u8]) -> usize {
        let held = self.held_mut(inbox, 0).map_or(0, |held| {
            bytes[..held.len()].copy_from_slice(held);
            held.len()
        });
        self.clear(inbox);
        held
    }

    /// The block of an inbox and how many bytes at its front are held; the rest is room to receive into, if
    /// [`make_room`](Self::make_room) has seen to it.
    pub fn block_mut(&mut self, inbox: &mut Inbox) -> Option<(&mut [u8], usize)> {
        match inbox {
            Inbox::Empty => None,
            Inbox::Kept { pool, block, bytes } => {
                Some((self.pools[usize::from(*pool)].bytes_mut(block), *bytes as usize))
            }
        }
    }

    /// Changes a block that is full for a larger one, as far as there are any.
    ///
    /// # Errors
    /// When a larger block is needed and there is none.
    pub fn make_room(&mut self, inbox: &mut Inbox) -> Result<(), InboxesFull> {
        let Inbox::Kept { pool, bytes, .. } = inbox else {
            return Ok(());
        };
        let held = *bytes as usize;
        let is_largest = self.pools.iter().all(|other| other.block_bytes() <= held);
        if held < self.pools[usize::from(*pool)].block_bytes() || is_largest {
            return Ok(());
        }
        self.change_block(inbox)
    }

    /// The head is over: what the inbox holds is the beginning of a message, and moves to where those are kept.
    ///
    /// # Errors
    /// When there is no block of the size needed.
    pub fn leave_heads(&mut self, inbox: &mut Inbox) -> Result<(), InboxesFull> {
        if inbox.pool() == Some(HEADS) {
            return self.change_block(inbox);
        }
        Ok(())
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
            Inbox::Kept { bytes, .. } => *bytes = narrow(held),
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

    /// Keeps `bytes` in an empty inbox, in a block of one of these pools.
    fn keep_in(
        &mut self,
        pools: RangeInclusive<u8>,
        inbox: &mut Inbox,
        bytes: &[u8],
    ) -> Result<(), InboxesFull> {
        debug_assert!(
            matches!(inbox, Inbox::Empty),
            "what was kept before is part of what is kept now"
        );
        if bytes.is_empty() {
            return Ok(());
        }
        let (pool, block) = self.take(pools, bytes.len())?;
        self.pools[usize::from(pool)].bytes_mut(&block)[..bytes.len()].copy_from_slice(bytes);
        *inbox = Inbox::Kept {
            pool,
            block,
            bytes: narrow(bytes.len()),
        };
        Ok(())
    }

    /// Changes the block of an inbox for one of another pool, that holds messages and has room for more.
    fn change_block(&mut self, inbox: &mut Inbox) -> Result<(), InboxesFull> {
        let Inbox::Kept { pool, block, bytes } = inbox else {
            return Ok(());
        };
        let (from, held) = (usize::from(*pool), *bytes as usize);
        let (to, other) = self.take(MESSAGES, held)?;
        if let Ok([old, new]) = self.pools.get_disjoint_mut([from, usize::from(to)]) {
            new.bytes_mut(&other)[..held].copy_from_slice(&old.bytes(block)[..held]);
            old.give(std::mem::replace(block, other));
            *pool = to;
        }
        Ok(())
    }

    /// A block with room for more than so many bytes, of the smallest size that has one left.
    fn take(&mut self, pools: RangeInclusive<u8>, bytes: usize) -> Result<(u8, Block), InboxesFull> {
        let mut full = None;
        for number in pools {
            let pool = &mut self.pools[usize::from(number)];
            if pool.block_bytes() <= bytes {
                continue;
            }
            if let Some(block) = pool.take() {
                return Ok((number, block));
            }
            full = full.or(Some(InboxesFull { smallest: number }));
        }
        Err(full.unwrap_or(InboxesFull { smallest: LARGE }))
    }
}

/// Bytes of a block of each pool.
fn sizes(message_bytes_max: u32) -> [usize; POOLS] {
    [
        SMALL_BYTES,
        block_bytes(MEDIUM_MESSAGE_BYTES),
        block_bytes(message_bytes_max),
        limits::HEAD_BYTES_MAX,
    ]
}

/// Bytes of a block that holds a message of at most so many bytes and a control frame between its fragments, whatever
/// is received with their ends.
#[must_use]
pub fn block_bytes(message_bytes_max: u32) -> usize {
    ServerSession::buffer_bytes_min(message_bytes_max).max(limits::HEAD_BYTES_MAX) + limits::RECV_BYTES
}

/// A block's bytes can be counted in 32 bits, as a message's can.
fn narrow(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// How many pools there are, numbered from 0.
pub const POOLS: usize = 4;
const SMALL: u8 = 0;
const LARGE: u8 = 2;
/// The pool of those that shake hands.
pub const HEADS: u8 = 3;
const _: () = assert!(HEADS as usize == POOLS - 1 && HEADS > LARGE);
/// What the pools are called in a plan of memory.
const NAMES: [&str; POOLS] = [
    "small blocks for messages",
    "medium blocks for messages",
    "large blocks for messages",
    "blocks for request heads",
];
/// The pools of those that are open.
pub const MESSAGES: RangeInclusive<u8> = SMALL..=LARGE;

/// Holds most commands.
const SMALL_BYTES: usize = 4 * 1024;
// Two lanes have room for what is lifted out of it and what is received behind that.
const _: () = assert!(SMALL_BYTES <= limits::RECV_BYTES && limits::RECV_BATCH > 1);
/// A medium block holds a message of so many bytes.
const MEDIUM_MESSAGE_BYTES: u32 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// The block of an inbox, with room for more, and how much of it is held.
    fn room<'i>(inboxes: &'i mut Inboxes, inbox: &mut Inbox) -> (&'i mut [u8], usize) {
        inboxes.make_room(inbox).unwrap();
        inboxes.block_mut(inbox).unwrap()
    }

    #[test]
    fn a_message_moves_to_a_large_block_when_it_outgrows_the_small_one() {
        let mut inboxes = Inboxes::new([1, 0, 1, 0], 64 * 1024);
        let mut inbox = Inbox::default();
        inboxes.keep(&mut inbox, b"begin").unwrap();
        let (block, held) = room(&mut inboxes, &mut inbox);
        assert_eq!((&block[..held], block.len()), (&b"begin"[..], SMALL_BYTES));
        block[held..].fill(b'x');
        inboxes.set_held(&mut inbox, SMALL_BYTES);
        let (block, held) = room(&mut inboxes, &mut inbox);
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
        let mut inboxes = Inboxes::new([1, 2, 1, 0], 1024 * 1024);
        let (mut inbox, mut other) = (Inbox::default(), Inbox::default());
        inboxes.keep(&mut inbox, b"begin").unwrap();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let (block, held) = room(&mut inboxes, &mut inbox);
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
        let (block, held) = room(&mut inboxes, &mut inbox);
        assert_eq!(block.len(), held, "the largest is as full as it gets");
        inboxes.keep(&mut other, &[7; SMALL_BYTES]).unwrap();
        inboxes.set_held(&mut other, block_bytes(64 * 1024));
        let full = inboxes.make_room(&mut other).unwrap_err();
        assert_eq!(
            full.pools().collect::<Vec<_>>(),
            [LARGE],
            "the other medium block does not help"
        );
        inboxes.clear(&mut inbox);
        inboxes.clear(&mut other);
        assert_eq!(inboxes.blocks_in_use(), 0);
    }

    #[test]
    fn without_a_block_it_says_so() {
        let mut inboxes = Inboxes::new([0, 0, 1, 0], 64 * 1024);
        let (mut a, mut b) = (Inbox::default(), Inbox::default());
        inboxes.keep(&mut a, b"a").unwrap();
        let full = inboxes.keep(&mut b, b"b").unwrap_err();
        assert_eq!(full.pools().collect::<Vec<_>>(), [0, 1, 2]);
        inboxes.clear(&mut a);
        assert_eq!(inboxes.keep(&mut b, b"b"), Ok(()));
    }

    #[test]
    fn heads_have_blocks_of_their_own_and_leave_them_with_what_follows() {
        let mut inboxes = Inboxes::new([1, 0, 0, 1], 64 * 1024);
        let (mut a, mut b) = (Inbox::default(), Inbox::default());
        inboxes.keep_head(&mut a, b"GET").unwrap();
        assert_eq!(room(&mut inboxes, &mut a).0.len(), limits::HEAD_BYTES_MAX);
        let full = inboxes.keep_head(&mut b, b"GET").unwrap_err();
        assert_eq!(full.pools().collect::<Vec<_>>(), [HEADS]);
        inboxes.leave_heads(&mut a).unwrap();
        let (block, held) = room(&mut inboxes, &mut a);
        assert_eq!((&block[..held], block.len()), (&b"GET"[..], SMALL_BYTES));
        assert_eq!(inboxes.keep_head(&mut b, b"GET"), Ok(()));
        let full = inboxes.leave_heads(&mut b).unwrap_err();
        assert_eq!(full.pools().next(), Some(SMALL));
        assert_eq!(b.pool(), Some(HEADS), "nothing is lost");
    }
}
