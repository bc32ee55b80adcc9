//! A small ring put to the test before any real one is made: does this kernel have what the shards rest on?
//!
//! Never touches the network: the transfers go through a pair of Unix sockets. Invariant: when it passes, a
//! transfer with `MSG_DONTWAIT` is over when its submission returns, which is what makes borrowed sends sound.

use super::kernel::{self, Direction};
use super::queue::Queue;
use super::token::{Place, Token};
use super::{UringOptions, outcome, table, transfer};
use crate::ring::probe::{Capabilities, Unavailable};
use crate::ring::{Batch, Errno, Socket};
use io_uring::{opcode, register};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;

/// Tries everything a [`super::UringRing`] needs of the kernel.
pub(in crate::ring) fn trial() -> Result<Capabilities, Unavailable> {
    let options = UringOptions {
        submission_entries: 8,
        completion_entries: 16,
        registered_slots: None,
    };
    let mut queue = Queue::new(options, false)?;
    features(&queue)?;
    operations(&queue)?;
    queue.enable().map_err(Unavailable::from_setup)?;
    let inline = sends_are_inline(&mut queue).map_err(Unavailable::from_setup)?;
    if !inline {
        return Err(Unavailable::SendsNotInline);
    }
    let no_sqarray = Queue::new(options, true).is_ok();
    Ok(Capabilities {
        no_sqarray,
        table_lacks: table_lacks(options),
    })
}

/// What is missing of a table of registered sockets, if anything is. Nobody needs to have one.
fn table_lacks(options: UringOptions) -> Option<&'static str> {
    let registered_slots = Some(2);
    let Ok(mut queue) = Queue::new(
        UringOptions {
            registered_slots,
            ..options
        },
        false,
    ) else {
        return Some("sparse tables of registered files");
    };
    let needed = [
        (opcode::FilesUpdate::CODE, "IORING_OP_FILES_UPDATE"),
        (opcode::Close::CODE, "IORING_OP_CLOSE"),
        (opcode::Shutdown::CODE, "IORING_OP_SHUTDOWN"),
        (opcode::FixedFdInstall::CODE, "IORING_OP_FIXED_FD_INSTALL"),
    ];
    match lacking(&queue, &needed) {
        Ok(None) => {}
        Ok(lacks) => return lacks,
        Err(_) => return Some("IORING_REGISTER_PROBE"),
    }
    let inline = queue.enable().and_then(|()| slots_change_inline(&mut queue));
    (inline != Ok(true)).then_some("changes of registered files that are over when they are submitted")
}

/// A socket gets the slots that are free and no others; is shut down through a descriptor that is lent; and its peer
/// sees it closed when its slots have been given back.
fn slots_change_inline(queue: &mut Queue) -> Result<bool, Errno> {
    let (near, far) = UnixStream::pair().map_err(|error| Errno::of(&error))?;
    let far = table::insert(queue, far.as_fd())?;
    let first = table::insert(queue, near.as_fd())?;
    let full = table::insert(queue, near.as_fd()) == Err(Errno::TABLE_FULL);
    drop(near);

    kernel::end(table::lend(queue, first)?.as_raw_fd(), Direction::Ours);
    let ended = receive(queue, far, &mut [0])? == [Ok(0)];
    let open = send(queue, far, [b"x", b"y"])?.is_empty();
    table::remove(queue, first);
    queue.submit()?;
    let closed = matches!(send(queue, far, [b"x", b"y"])?[..], [Err(_)]);
    table::remove(queue, far);
    queue.submit()?;
    let gone = table::lend(queue, far).is_err();
    Ok(full && ended && open && closed && gone)
}

fn features(queue: &Queue) -> Result<(), Unavailable> {
    let params = queue.io().params();
    let needed = [
        (params.is_feature_nodrop(), "IORING_FEAT_NODROP"),
        (params.is_feature_submit_stable(), "IORING_FEAT_SUBMIT_STABLE"),
        (params.is_feature_ext_arg(), "IORING_FEAT_EXT_ARG"),
        (params.is_feature_skip_cqe_on_success(), "IORING_FEAT_CQE_SKIP"),
    ];
    needed
        .iter()
        .find(|(present, _)| !present)
        .map_or(Ok(()), |(_, feature)| Err(Unavailable::too_old(feature)))
}

fn operations(queue: &Queue) -> Result<(), Unavailable> {
    let needed = [
        (opcode::PollAdd::CODE, "IORING_OP_POLL_ADD"),
        (opcode::AsyncCancel::CODE, "IORING_OP_ASYNC_CANCEL"),
        (opcode::AcceptMulti::CODE, "IORING_OP_ACCEPT"),
        (opcode::Send::CODE, "IORING_OP_SEND"),
        (opcode::SendMsg::CODE, "IORING_OP_SENDMSG"),
        (opcode::Recv::CODE, "IORING_OP_RECV"),
    ];
    lacking(queue, &needed)
        .map_err(Unavailable::from_setup)?
        .map_or(Ok(()), |operation| Err(Unavailable::too_old(operation)))
}

/// The first of these operations that the kernel does not have.
fn lacking(queue: &Queue, needed: &[(u8, &'static str)]) -> Result<Option<&'static str>, Errno> {
    let mut probe = register::Probe::new();
    queue
        .io()
        .submitter()
        .register_probe(&mut probe)
        .map_err(|error| Errno::of(&error))?;
    let first = needed.iter().find(|(code, _)| !probe.is_supported(*code));
    Ok(first.map(|(_, operation)| *operation))
}

/// A send that fits says nothing; one that does not says at once how much went out; so does one that finds no
/// room, and a receive, whether it finds something or not.
fn sends_are_inline(queue: &mut Queue) -> Result<bool, Errno> {
    let (near, far) = UnixStream::pair().map_err(|error| Errno::of(&error))?;
    let [near, far] = [&near, &far].map(|stream| Socket::new(stream.as_raw_fd().cast_unsigned()));
    let big = vec![0_u8; BIG_BYTES];
    let mut lane = [0_u8; 1];

    let silent = send(queue, near, [&big[..1], &big[..1]])?.is_empty();
    let found = receive(queue, far, &mut lane)? == [Ok(1)];
    let cut =
        matches!(send(queue, near, [&big[..], &big[..1]])?[..], [Ok(sent)] if 0 < sent && sent < BIG_BYTES);
    let refused = matches!(send(queue, near, [&big[..], &[]])?[..], [Err(errno)] if errno.would_block());
    let empty = receive(queue, near, &mut lane)? == [Err(Errno::AGAIN)];
    Ok(silent && found && cut && refused && empty)
}

/// What one send posts within its submission.
fn send(queue: &mut Queue, socket: Socket, parts: [&[u8]; 2]) -> Result<Vec<Result<usize, Errno>>, Errno> {
    let mut batch = Batch::new();
    batch.push(socket, parts);
    transfer::send(queue, &mut Vec::new(), TRIAL, &batch)?;
    Ok(posted(
        queue,
        Token::Send(Place {
            batch: TRIAL,
            index: 0,
        }),
    ))
}

/// What one receive posts within its submission.
fn receive(queue: &mut Queue, socket: Socket, lane: &mut [u8]) -> Result<Vec<Result<usize, Errno>>, Errno> {
    let lane_bytes = lane.len();
    transfer::receive(queue, TRIAL, &[socket], lane, lane_bytes)?;
    Ok(posted(
        queue,
        Token::Receive(Place {
            batch: TRIAL,
            index: 0,
        }),
    ))
}

fn posted(queue: &mut Queue, token: Token) -> Vec<Result<usize, Errno>> {
    let mut landed = Vec::new();
    queue.take_landed(&mut landed);
    let ours = landed
        .iter()
        .filter(|entry| entry.user_data() == token.to_user_data());
    ours.map(|entry| outcome(entry.result())).collect()
}

/// More than any socket buffer takes in one go.
const BIG_BYTES: usize = 16 * 1024 * 1024;
const TRIAL: u32 = 1;
