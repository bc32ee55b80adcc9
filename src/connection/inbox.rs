//! Where the beginning of a message waits for its end.
//!
//! Whole messages are handled where they were received; only what is left over is copied here. There are two
//! sizes of block: a small one for the usual cut command, and one that holds the largest message. A connection
//! between messages holds neither.

use super::MESSAGE_BYTES_MAX;
use crate::base::{Block, Pool};
use crate::limits;
use crate::wire::ServerSession;

/// What one connection has left over.
#[derive(Debug, Default)]
pub enum Inbox {
    /// Nothing.
    #[default]
    Empty,
    /// So many bytes at the front of a small block.
    Small(Block, u32),
    /// So many bytes at the front of a large block.
    Large(Block, u32),
}

/// The blocks of all inboxes of a shard.
#[derive(Debug)]
pub struct Inboxes {
    small: Pool,
    large: Pool,
}

/// The shard has no block left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxesFull;

impl Inboxes {
    /// So many blocks of each size.
    #[must_use]
    pub fn new(small: usize, large: usize) -> Self {
        Self {
            small: Pool::new(SMALL_BYTES, small),
            large: Pool::new(LARGE_BYTES, large),
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
        if bytes.len() < SMALL_BYTES
            && let Some(block) = self.small.take()
        {
            self.small.bytes_mut(&block)[..bytes.len()].copy_from_slice(bytes);
            *inbox = Inbox::Small(block, held);
            return Ok(());
        }
        let block = self.large.take().ok_or(InboxesFull)?;
        self.large.bytes_mut(&block)[..bytes.len()].copy_from_slice(bytes);
        *inbox = Inbox::Large(block, held);
        Ok(())
    }

    /// The block of an inbox and how many bytes at its front are held; the rest is room to receive into. A small
    /// block that is full is changed for a large one.
    ///
    /// # Errors
    /// When a large block is needed and there is none.
    pub fn block_mut(&mut self, inbox: &mut Inbox) -> Result<Option<(&mut [u8], usize)>, InboxesFull> {
        if let Inbox::Small(_, held) = inbox
            && *held as usize == SMALL_BYTES
        {
            let block = self.large.take().ok_or(InboxesFull)?;
            let held = *held;
            if let Inbox::Small(old, _) = std::mem::replace(inbox, Inbox::Empty) {
                self.large.bytes_mut(&block)[..SMALL_BYTES].copy_from_slice(self.small.bytes(&old));
                self.small.give(old);
            }
            *inbox = Inbox::Large(block, held);
        }
        Ok(match inbox {
            Inbox::Empty => None,
            Inbox::Small(block, held) => Some((self.small.bytes_mut(block), *held as usize)),
            Inbox::Large(block, held) => Some((self.large.bytes_mut(block), *held as usize)),
        })
    }

    /// So many bytes at the front of the inbox's block are held now; with none the block goes back.
    pub fn set_held(&mut self, inbox: &mut Inbox, bytes: usize) {
        match inbox {
            Inbox::Empty => debug_assert!(bytes == 0, "an empty inbox holds nothing"),
            Inbox::Small(_, held) | Inbox::Large(_, held) => *held = u32::try_from(bytes).unwrap_or(u32::MAX),
        }
        if bytes == 0 {
            self.clear(inbox);
        }
    }

    /// Gives the block of an inbox back.
    pub fn clear(&mut self, inbox: &mut Inbox) {
        match std::mem::take(inbox) {
            Inbox::Empty => {}
            Inbox::Small(block, _) => self.small.give(block),
            Inbox::Large(block, _) => self.large.give(block),
        }
    }

    /// Blocks in use by all inboxes, of both sizes.
    #[must_use]
    pub fn blocks_in_use(&self) -> usize {
        self.small.in_use() + self.large.in_use()
    }
}

/// Holds most commands.
const SMALL_BYTES: usize = 4 * 1024;
/// Holds the largest message, a control frame between its fragments, and the largest request head.
const LARGE_BYTES: usize =
    ServerSession::buffer_bytes_min(MESSAGE_BYTES_MAX) + limits::FRAME_HEADER_BYTES_MAX + limits::RECV_BYTES;

const _: () = assert!(LARGE_BYTES > limits::HEAD_BYTES_MAX + limits::RECV_BYTES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_moves_to_a_large_block_when_it_outgrows_the_small_one() {
        let mut inboxes = Inboxes::new(1, 1);
        let mut inbox = Inbox::default();
        inboxes.keep(&mut inbox, b"begin").unwrap();
        let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
        assert_eq!((&block[..held], block.len()), (&b"begin"[..], SMALL_BYTES));
        block[held..].fill(b'x');
        inboxes.set_held(&mut inbox, SMALL_BYTES);
        let (block, held) = inboxes.block_mut(&mut inbox).unwrap().unwrap();
        assert_eq!(
            (&block[..5], held, block.len()),
            (&b"begin"[..], SMALL_BYTES, LARGE_BYTES)
        );
        assert!(block[5..held].iter().all(|&byte| byte == b'x'));
        inboxes.set_held(&mut inbox, 0);
        assert_eq!(inboxes.blocks_in_use(), 0);
    }

    #[test]
    fn without_a_block_it_says_so() {
        let mut inboxes = Inboxes::new(0, 1);
        let (mut a, mut b) = (Inbox::default(), Inbox::default());
        inboxes.keep(&mut a, b"a").unwrap();
        assert_eq!(inboxes.keep(&mut b, b"b"), Err(InboxesFull));
        inboxes.clear(&mut a);
        assert_eq!(inboxes.keep(&mut b, b"b"), Ok(()));
    }
}
