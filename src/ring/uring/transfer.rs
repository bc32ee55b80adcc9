//! Sends and receives from and into borrowed memory, begun and over within one call.
//!
//! Every transfer carries `MSG_DONTWAIT`, which makes the kernel finish it inside the submission: it never waits,
//! never goes to a worker, never keeps the memory. [`mod@super::trial`] checks that of the running kernel before any
//! ring is made, because the safety of this file rests on it.
//!
//! A send is silent when it went out whole (`IOSQE_CQE_SKIP_SUCCESS`). What "whole" means is up to
//! `MSG_WAITALL`: with it a short send is a failure and is reported with its byte count; without it a short send
//! is a success, is not reported, and the stream is cut. The two flags stay together in [`SEND_FLAGS`].

#![expect(
    unsafe_code,
    reason = "hands borrowed memory to the kernel for the length of one submission"
)]

use super::queue::Queue;
use super::token::{Place, Token};
use crate::ring::{Batch, Errno, Socket};
use io_uring::{opcode, squeue, types};
use std::io::IoSlice;
use std::os::fd::RawFd;

/// Makes every send of the batch, in order; those without bytes are left out.
pub(super) fn send(
    queue: &mut Queue,
    messages: &mut Vec<libc::msghdr>,
    number: u32,
    batch: &Batch<'_>,
) -> Result<(), Errno> {
    messages.clear();
    messages.extend(
        batch
            .iter()
            .filter(|(_, parts)| parts.len() > 1)
            .map(|(_, parts)| message(parts)),
    );
    let mut headers = messages.iter();
    let flags = squeue::Flags::SKIP_SUCCESS | queue.socket_flags();
    for (index, (socket, parts)) in (0_u32..).zip(batch.iter()) {
        let entry = match parts {
            [] => continue,
            [part] => one_part(socket, part),
            _ => match headers.next() {
                Some(header) => several_parts(socket, header),
                None => continue,
            },
        };
        let place = Place { batch: number, index };
        let entry = entry.flags(flags).user_data(Token::Send(place).to_user_data());
        // SAFETY: the entry points into `batch` and `messages`, both borrowed beyond the submit below; the
        // operation completes inside its submission. On a broken ring the entry is never read.
        unsafe { queue.push(&entry) }?;
    }
    queue.submit()
}

/// Receives from `sockets[i]` into the `i`th lane.
pub(super) fn receive(
    queue: &mut Queue,
    number: u32,
    sockets: &[Socket],
    buffer: &mut [u8],
    lane_bytes: usize,
) -> Result<(), Errno> {
    let length = u32::try_from(lane_bytes).unwrap_or(u32::MAX);
    for ((index, socket), lane) in (0_u32..).zip(sockets).zip(buffer.chunks_exact_mut(lane_bytes)) {
        let entry =
            opcode::Recv::new(types::Fd(socket.fd()), lane.as_mut_ptr(), length).flags(libc::MSG_DONTWAIT);
        let place = Place { batch: number, index };
        let entry = entry
            .build()
            .flags(queue.socket_flags())
            .user_data(Token::Receive(place).to_user_data());
        // SAFETY: the entry points into `buffer`, borrowed mutably beyond the submit below, and lanes do not
        // overlap; the operation completes inside its submission. On a broken ring the entry is never read.
        unsafe { queue.push(&entry) }?;
    }
    queue.submit()
}

fn one_part(socket: Socket, part: &IoSlice<'_>) -> squeue::Entry {
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    opcode::Send::new(types::Fd(socket.fd()), part.as_ptr(), length)
        .flags(SEND_FLAGS)
        .build()
}

fn several_parts(socket: Socket, header: &libc::msghdr) -> squeue::Entry {
    opcode::SendMsg::new(types::Fd(socket.fd()), std::ptr::from_ref(header))
        .flags(SEND_FLAGS.cast_unsigned())
        .build()
}

/// The header of a vectored send. `IoSlice` is laid out as `iovec` (documented by std), and the kernel only reads.
fn message(parts: &[IoSlice<'_>]) -> libc::msghdr {
    libc::msghdr {
        msg_name: std::ptr::null_mut(),
        msg_namelen: 0,
        msg_iov: parts.as_ptr().cast_mut().cast(),
        msg_iovlen: parts.len(),
        msg_control: std::ptr::null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    }
}

impl Socket {
    /// The descriptor or the slot, where an entry holds either; -1, which the kernel refuses, for a socket of no ring.
    pub(super) fn fd(self) -> RawFd {
        RawFd::try_from(self.raw()).unwrap_or(-1)
    }
}

const SEND_FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
