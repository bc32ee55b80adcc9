//! What is true of `io_uring` alone: what the kernel posts when, and what a full queue does.

#![expect(
    unsafe_code,
    reason = "the kernel's behaviour is proved with entries that no safe function makes"
)]

mod registered;

use super::*;
use crate::ring::contract::available;
use crate::ring::{ListenerOptions, listen};
use io_uring::{opcode, squeue, types};
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

const KEY: Key = Key::new(0, 1);
const TINY: UringOptions = UringOptions {
    submission_entries: 4,
    completion_entries: 8,
    registered_slots: None,
};

/// A ring of the given size and its address; `None`, loudly, where there can be none.
fn ring(options: UringOptions) -> Option<(UringRing, SocketAddr)> {
    let (builder, address) = builder(options)?;
    Some((builder.start().unwrap(), address))
}

fn builder(options: UringOptions) -> Option<(UringBuilder, SocketAddr)> {
    let capabilities = available()?;
    let options_of_clients = ListenerOptions {
        send_buffer_bytes: 16 * 1024,
        ..ListenerOptions::default()
    };
    let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &options_of_clients).unwrap();
    let address = listener.local_addr().unwrap();
    Some((
        UringBuilder::new(listener, &capabilities, options).unwrap(),
        address,
    ))
}

fn wait(ring: &mut UringRing) -> Vec<Completion> {
    let mut completions = Vec::new();
    while completions.is_empty() {
        ring.wait(None, &mut completions).unwrap();
    }
    completions
}

/// A client and its accepted socket.
fn pair(ring: &mut UringRing, address: SocketAddr) -> (TcpStream, Socket) {
    ring.accept();
    let client = TcpStream::connect(address).unwrap();
    match wait(ring)[..] {
        [Completion::Accepted { socket }] => (client, socket),
        ref other => panic!("one connection is accepted, not {other:?}"),
    }
}

fn socket_of(completion: &Completion) -> Option<Socket> {
    if let Completion::Accepted { socket } = *completion {
        Some(socket)
    } else {
        None
    }
}

fn slot_of(completion: &Completion) -> Option<u32> {
    if let Completion::Ready { key, .. } = completion {
        Some(key.slot())
    } else {
        None
    }
}

/// Submits one hand-made entry and gives the completions that were posted before the submission returned. Deferred
/// work does not run in a submission, so these were posted inline.
fn posted_inline(ring: &mut UringRing, entry: squeue::Entry) -> Vec<(u64, i32)> {
    // SAFETY: every entry of these tests points into a buffer of its caller's, and completes in the submission.
    unsafe { ring.queue.push(&entry) }.unwrap();
    ring.queue.submit().unwrap();
    let mut landed = Vec::new();
    ring.queue.take_landed(&mut landed);
    landed
        .iter()
        .map(|entry| (entry.user_data(), entry.result()))
        .collect()
}

fn send_entry(socket: Socket, bytes: &[u8], flags: i32) -> squeue::Entry {
    let length = u32::try_from(bytes.len()).unwrap();
    let send = opcode::Send::new(types::Fd(socket.fd()), bytes.as_ptr(), length)
        .flags(flags)
        .build();
    send.flags(squeue::Flags::SKIP_SUCCESS).user_data(42)
}

#[test]
fn without_waitall_a_short_send_is_silent_and_the_stream_is_cut() {
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    let (mut client, socket) = pair(&mut ring, address);
    let bytes: Vec<u8> = (0..=250).cycle().take(16 * 1024 * 1024).collect();
    let silent = posted_inline(
        &mut ring,
        send_entry(socket, &bytes, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL),
    );
    assert_eq!(silent, [], "the kernel calls it a success");
    ring.shutdown(socket);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert!(
        !heard.is_empty() && heard.len() < bytes.len(),
        "yet only {} bytes went out",
        heard.len()
    );
    ring.close(socket);
}

#[test]
fn with_waitall_a_short_send_is_reported_inline_with_its_exact_count() {
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    let (mut client, socket) = pair(&mut ring, address);
    let bytes: Vec<u8> = (0..=250).cycle().take(16 * 1024 * 1024).collect();
    let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
    assert_eq!(
        posted_inline(&mut ring, send_entry(socket, &bytes[..100], flags)),
        []
    );
    let posted = posted_inline(&mut ring, send_entry(socket, &bytes[100..], flags));
    let [(42, sent)] = posted[..] else {
        panic!("one completion is posted inline: {posted:?}")
    };
    ring.shutdown(socket);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert_eq!(heard.len(), 100 + usize::try_from(sent).unwrap());
    assert!(bytes.starts_with(&heard));
    ring.close(socket);
}

#[test]
fn receives_are_posted_inline_whether_they_find_bytes_or_not() {
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    let (mut client, socket) = pair(&mut ring, address);
    let mut lane = [0_u8; 8];
    let entry = opcode::Recv::new(types::Fd(socket.fd()), lane.as_mut_ptr(), 8).flags(libc::MSG_DONTWAIT);
    let entry = entry.build().user_data(42);
    assert_eq!(posted_inline(&mut ring, entry.clone()), [(42, -libc::EAGAIN)]);
    client.write_all(b"abc").unwrap();
    ring.arm(KEY, socket, Interest::Read);
    wait(&mut ring);
    assert_eq!(posted_inline(&mut ring, entry), [(42, 3)]);
    assert_eq!(&lane[..3], b"abc");
}

#[test]
fn deferred_completions_do_not_come_in_a_submission() {
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    let (mut client, socket) = pair(&mut ring, address);
    ring.arm(KEY, socket, Interest::Read);
    ring.queue.submit().unwrap();
    client.write_all(b"abc").unwrap();
    assert_eq!(
        posted_inline(&mut ring, opcode::Nop::new().build().user_data(42)),
        [(42, 0)]
    );
    assert!(matches!(wait(&mut ring)[..], [Completion::Ready { .. }]));
}

#[test]
fn one_wait_collects_more_than_the_kernel_does_for_one_enter() {
    const MANY: u32 = 70;
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    ring.accept();
    let _clients: Vec<TcpStream> = (0..MANY).map(|_| TcpStream::connect(address).unwrap()).collect();
    let mut accepted = Vec::new();
    while accepted.len() < MANY as usize {
        accepted.append(&mut wait(&mut ring));
    }
    let sockets: Vec<Socket> = accepted.iter().filter_map(socket_of).collect();
    for (slot, socket) in (0..MANY).zip(&sockets) {
        ring.arm(Key::new(slot, 1), *socket, Interest::Read);
    }
    ring.queue.submit().unwrap();
    // Each shutdown fires its poll before it returns; the completions are deferred to the wait.
    sockets.iter().for_each(|socket| ring.shutdown(*socket));
    let mut completions = Vec::new();
    ring.wait(None, &mut completions).unwrap();
    assert_eq!(completions.len(), MANY as usize);
    sockets.iter().for_each(|socket| ring.close(*socket));
}

#[test]
fn no_connection_is_lost_when_completions_overflow() {
    const CLIENTS: usize = 60;
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    ring.accept();
    let mut completions = Vec::new();
    ring.wait(Some(0), &mut completions).unwrap();
    let _clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    let (mut sockets, mut stops) = (Vec::new(), 0);
    while sockets.len() < CLIENTS {
        for completion in wait(&mut ring) {
            match completion {
                Completion::Accepted { socket } => sockets.push(socket),
                Completion::AcceptStopped { errno } => {
                    assert_eq!(errno, Errno::OVERFLOW);
                    stops += 1;
                    ring.accept();
                }
                other @ (Completion::Ready { .. } | Completion::Disarmed { .. } | Completion::Doorbell) => {
                    panic!("only connections come: {other:?}")
                }
            }
        }
    }
    assert!(stops > 0, "8 completions do not hold {CLIENTS} connections");
    sockets.iter().for_each(|socket| ring.close(*socket));
}

#[test]
fn no_short_send_is_lost_when_completions_overflow() {
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    let (_client, socket) = pair(&mut ring, address);
    ring.shutdown(socket);
    let (mut batch, mut short) = (Batch::new(), Vec::new());
    for _ in 0..100 {
        batch.push(socket, [&b"a"[..]]);
        batch.push(socket, [&b"b"[..], b"c"]);
    }
    ring.send_batch(&batch, &mut short);
    let mut indexes: Vec<u32> = short.iter().map(|short| short.index).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, (0..200).collect::<Vec<u32>>());
    assert!(
        short
            .iter()
            .all(|short| short.cause == ShortCause::Broken(Errno::PIPE))
    );
}

#[test]
fn a_short_send_behind_an_overflow_belongs_to_its_own_batch() {
    const POLLS: u32 = 50;
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    let (_client, socket) = pair(&mut ring, address);
    for slot in 0..POLLS {
        ring.arm(Key::new(slot, 1), socket, Interest::Read);
    }
    ring.queue.submit().unwrap();
    ring.shutdown(socket);
    let flags = io_uring::EnterFlags::GETEVENTS.bits();
    // SAFETY: nothing is submitted, and no argument is passed.
    unsafe {
        ring.queue
            .io()
            .submitter()
            .enter::<libc::sigset_t>(0, 0, flags, None)
    }
    .unwrap();
    // The completion queue is full, and the kernel keeps more: what the sends post lines up behind that.
    let (mut batch, mut short) = (Batch::new(), Vec::new());
    for _ in 0..3 {
        batch.push(socket, [&b"a"[..]]);
    }
    ring.send_batch(&batch, &mut short);
    assert_eq!(short.len(), 3);
    let mut polls = 0;
    while polls < POLLS as usize {
        polls += wait(&mut ring).iter().filter_map(slot_of).count();
    }
    assert_eq!((polls, ring.counters().strays), (POLLS as usize, 0));
}

#[test]
fn polls_beyond_both_queues_are_all_delivered() {
    const POLLS: u32 = 50;
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    let (_client, socket) = pair(&mut ring, address);
    // Every one of them fires inline, in a submission that a full queue forces.
    for slot in 0..POLLS {
        ring.arm(Key::new(slot, 1), socket, Interest::Write);
    }
    let mut slots = Vec::new();
    while slots.len() < POLLS as usize {
        slots.extend(wait(&mut ring).iter().filter_map(slot_of));
    }
    slots.sort_unstable();
    assert_eq!(slots, (0..POLLS).collect::<Vec<u32>>());
}

#[test]
fn what_a_full_queue_made_the_ring_reap_ends_the_next_wait() {
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    let (_client, socket) = pair(&mut ring, address);
    let mut completions = Vec::new();
    let start = ring.wait(Some(0), &mut completions).unwrap();
    for slot in 0..TINY.submission_entries {
        ring.arm(Key::new(slot, 1), socket, Interest::Write);
    }
    // For this one the queue is submitted, in which the others fire. It does not.
    ring.arm(Key::new(TINY.submission_entries, 1), socket, Interest::Read);
    let deadline_ns = start.mono_ns + 20_000_000_000;
    let now = ring.wait(Some(deadline_ns), &mut completions).unwrap();
    assert!(now.mono_ns < deadline_ns);
    assert_eq!(completions.len(), TINY.submission_entries as usize);
}

#[test]
fn the_bell_is_heard_after_its_poll_was_ended_by_an_overflow() {
    const POLLS: u32 = 50;
    let Some((mut ring, address)) = ring(TINY) else {
        return;
    };
    let (_client, socket) = pair(&mut ring, address);
    let bell = ring.doorbell();
    for _ in 0..5 {
        for slot in 0..POLLS {
            ring.arm(Key::new(slot, 1), socket, Interest::Read);
        }
        ring.queue.submit().unwrap();
        // All of them fire at once, and the bell among them finds the queue full.
        ring.shutdown(socket);
        bell.ring();
        let (mut polls, mut rings) = (0, 0);
        while polls < POLLS || rings == 0 {
            for completion in wait(&mut ring) {
                polls += u32::from(slot_of(&completion).is_some());
                rings += u32::from(completion == Completion::Doorbell);
            }
        }
        assert_eq!(polls, POLLS);
    }
    assert!(ring.counters().overflows > 0);
}

#[test]
fn a_completion_of_nobodys_is_counted_and_ignored() {
    let Some((mut ring, _)) = ring(UringOptions::default()) else {
        return;
    };
    let stale = Token::Send(Place { batch: 77, index: 0 }).to_user_data();
    for user_data in [0, u64::MAX, stale] {
        // SAFETY: an operation that does nothing points at nothing.
        unsafe { ring.queue.push(&opcode::Nop::new().build().user_data(user_data)) }.unwrap();
    }
    let mut completions = Vec::new();
    ring.wait(Some(0), &mut completions).unwrap();
    assert_eq!(completions, []);
    assert_eq!(ring.counters().strays, 3);
}

#[test]
fn a_broken_ring_is_never_entered_again() {
    let Some((builder, _)) = builder(UringOptions::default()) else {
        return;
    };
    // A ring that was never enabled refuses every submission, as a ring that broke would.
    let mut queue = builder.queue;
    queue.poll(
        Socket::default(),
        mask(libc::POLLIN),
        false,
        Token::Poll(KEY, Interest::Read),
    );
    assert_eq!(queue.submit(), Err(Errno(libc::EBADFD)));
    let enters = queue.counters().enters;
    assert_eq!(queue.submit(), Err(Errno(libc::EBADFD)));
    assert_eq!(queue.wait(Patience::Forever), Err(Errno(libc::EBADFD)));
    assert_eq!(queue.counters().enters, enters);
}

#[test]
fn a_ring_made_on_one_thread_works_on_another_and_its_bell_before_it_does() {
    let Some((builder, _)) = builder(UringOptions::default()) else {
        return;
    };
    let bell = builder.doorbell();
    bell.ring();
    let (heard, hears) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut ring = builder.start().unwrap();
        for _ in 0..100 {
            assert_eq!(wait(&mut ring), [Completion::Doorbell]);
            heard.send(()).unwrap();
        }
    });
    for _ in 0..99 {
        // The ring was awake to say so; whether it sleeps again by now, the next ring wakes it.
        hears.recv().unwrap();
        bell.ring();
    }
    thread.join().unwrap();
}

#[test]
fn accepting_waits_for_clients_whether_the_listener_is_set_to_block_or_not() {
    let Some(capabilities) = available() else { return };
    for nonblocking in [false, true] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(nonblocking).unwrap();
        let address = listener.local_addr().unwrap();
        let mut ring = UringBuilder::new(listener, &capabilities, TINY)
            .unwrap()
            .start()
            .unwrap();
        ring.accept();
        let mut completions = Vec::new();
        ring.wait(Some(0), &mut completions).unwrap();
        assert_eq!(completions, [], "nobody has come, and accepting goes on");
        let _client = TcpStream::connect(address).unwrap();
        assert!(matches!(wait(&mut ring)[..], [Completion::Accepted { .. }]));
    }
}

#[test]
fn a_dropped_ring_frees_its_port_and_drops_whom_it_never_handed_out() {
    let Some((mut ring, address)) = ring(UringOptions::default()) else {
        return;
    };
    let (mut handed_out, socket) = pair(&mut ring, address);
    let mut never = TcpStream::connect(address).unwrap();
    drop(ring);
    TcpListener::bind(address).unwrap();
    assert!(matches!(never.read(&mut [0]), Ok(0) | Err(_)));
    // A socket that was handed out is its owner's.
    let bytes = *b"x";
    // SAFETY: reads one byte that lives for the whole call.
    let sent = unsafe { libc::send(socket.fd(), bytes.as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
    assert_eq!(sent, 1);
    handed_out.read_exact(&mut [0]).unwrap();
    kernel::close(socket.fd());
}
