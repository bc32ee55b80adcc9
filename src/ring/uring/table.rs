//! The table of sockets that a ring has registered with the kernel: how one comes in, is lent to a system call, and
//! goes.
//!
//! Never chooses a slot: the kernel gives the lowest free one to whom is accepted and to whom is adopted alike.
//! Invariant: coming in and lending are over when their submission returns, which [`mod@super::trial`] checks of the
//! running kernel; going is queued, and done before anything that is queued later.

#![expect(
    unsafe_code,
    reason = "the kernel writes a slot's number into our memory, and makes a descriptor that nobody else knows"
)]

use super::kernel::Direction;
use super::queue::{Patience, Queue};
use super::token::Token;
use crate::ring::{Errno, Socket};
use io_uring::{opcode, squeue, types};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Puts a socket into a free slot, whose number is what the ring calls it from then on. The descriptor may be closed
/// then: the slot holds the socket.
pub(super) fn insert(queue: &mut Queue, socket: BorrowedFd<'_>) -> Result<Socket, Errno> {
    // In: a descriptor. Out: the slot that it was put into.
    let mut slot = [socket.as_raw_fd()];
    let entry = opcode::FilesUpdate::new(slot.as_mut_ptr().cast_const(), 1).offset(ANY_FREE_SLOT);
    let entry = entry.build().user_data(Token::Insert.to_user_data());
    // SAFETY: the entry points at `slot`, which outlives the submit below and is not touched before that; the
    // operation completes inside its submission. On a broken ring the entry is never read.
    unsafe { queue.push(&entry) }?;
    queue.submit()?;
    answer(queue, Token::Insert)?;
    Ok(Socket::new(slot[0].cast_unsigned()))
}

/// A descriptor of the process's for the socket, for a system call that takes no other. To be closed soon: there are
/// spare ones for a few.
pub(super) fn lend(queue: &mut Queue, socket: Socket) -> Result<OwnedFd, Errno> {
    let entry = opcode::FixedFdInstall::new(slot(socket), 0).build();
    // SAFETY: the entry points at no memory.
    unsafe { queue.push(&entry.user_data(Token::Lend.to_user_data())) }?;
    queue.submit()?;
    let fd = answer(queue, Token::Lend)?;
    // SAFETY: the kernel has just made this descriptor, and nobody but this line knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends one or both directions by a worker of the kernel's, and waits until it has: the worker looks the socket up by its
/// slot, which must not have become another's by then. For when nothing can be lent, which is rare. A broken ring ignores
/// it: its next wait says so.
pub(super) fn end_by_worker(queue: &mut Queue, socket: Socket, direction: Direction) {
    let entry = opcode::Shutdown::new(slot(socket), direction.how()).build();
    // SAFETY: the entry points at no memory.
    let pushed = unsafe { queue.push(&entry.user_data(Token::Lend.to_user_data())) };
    let mut waited = pushed.and_then(|()| queue.submit());
    while waited.is_ok() && queue.take_posted(Token::Lend).is_none() {
        waited = queue.wait(Patience::Forever);
    }
}

/// Queues the giving back of a slot; submitted, it closes the socket. A broken ring ignores it: its next wait says so,
/// and the table goes with the ring.
pub(super) fn remove(queue: &mut Queue, socket: Socket) {
    push_silent(queue, opcode::Close::new(slot(socket)).build());
}

/// Errors (not connected any more) mean that what was asked for is so already.
fn push_silent(queue: &mut Queue, entry: squeue::Entry) {
    let entry = entry
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(Token::Part.to_user_data());
    // SAFETY: the entry points at no memory.
    let _broken = unsafe { queue.push(&entry) };
}

/// What an operation came to that completes within its submission.
fn answer(queue: &mut Queue, token: Token) -> Result<i32, Errno> {
    match queue.take_posted(token) {
        Some(result @ 0..) => Ok(result),
        Some(error) => Err(Errno(error.saturating_neg())),
        None => Err(Errno::IN_PROGRESS),
    }
}

/// The slot; for a socket of no ring, one that no table has.
fn slot(socket: Socket) -> types::Fixed {
    types::Fixed(socket.raw().min(i32::MAX.cast_unsigned()))
}

/// `IORING_FILE_INDEX_ALLOC`.
const ANY_FREE_SLOT: i32 = -1;
