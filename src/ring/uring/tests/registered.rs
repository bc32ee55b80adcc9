//! What is true of rings whose sockets are descriptors of their own, and of sockets that a ring adopts.

use super::{KEY, pair, socket_of, wait};
use crate::base::Key;
use crate::limits;
use crate::ring::contract::available_with_table;
use crate::ring::{
    Batch, Completion, Errno, Interest, ListenerOptions, Readiness, Ring, ShortCause, Socket, Unavailable,
    UringBuilder, UringOptions, UringRing, listen,
};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

/// A ring that accepts into a table of so many slots, and its address; `None`, loudly, where there can be none.
fn ring(slots: u32) -> Option<(UringRing, SocketAddr)> {
    let capabilities = available_with_table()?;
    let listener = listen(any_port(), &ListenerOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let builder = UringBuilder::new(listener, &capabilities, options(Some(slots))).unwrap();
    Some((builder.start().unwrap(), address))
}

/// A ring for what it adopts.
fn ring_of_clients(registered_slots: Option<u32>) -> Option<UringRing> {
    let capabilities = available_with_table()?;
    let builder = UringBuilder::without_listener(&capabilities, options(registered_slots)).unwrap();
    Some(builder.start().unwrap())
}

fn options(registered_slots: Option<u32>) -> UringOptions {
    UringOptions {
        registered_slots,
        ..UringOptions::default()
    }
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A socket that is about to be connected.
fn connecting(address: SocketAddr) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let error = socket.connect(&address.into()).unwrap_err();
    assert_eq!(Errno::of(&error), Errno::IN_PROGRESS);
    socket
}

fn until_ready(ring: &mut UringRing, socket: Socket, interest: Interest) -> Readiness {
    ring.arm(KEY, socket, interest);
    match wait(ring)[..] {
        [Completion::Ready { readiness, .. }] => readiness,
        ref other => panic!("the poll fires, and nothing else: {other:?}"),
    }
}

/// Sends a few bytes, and gives why they did not go out, if they did not.
fn send(ring: &mut UringRing, socket: Socket, bytes: &[u8]) -> Option<ShortCause> {
    let (mut batch, mut short) = (Batch::new(), Vec::new());
    batch.push(socket, [bytes]);
    ring.send_batch(&batch, &mut short);
    short.first().map(|short| short.cause)
}

fn receive(ring: &mut UringRing, socket: Socket) -> Result<Vec<u8>, Errno> {
    let (mut buffer, mut received) = ([0; 64], Vec::new());
    ring.recv_batch(&[socket], &mut buffer, 64, &mut received);
    received[0].map(|count| buffer[..count].to_vec())
}

/// Whether this is a process that may hold few descriptors. If not, runs the test in one that is.
fn is_short_of_descriptors(test: &str) -> bool {
    if std::env::var_os(SHORT_OF_DESCRIPTORS).is_some() {
        return true;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let limited = format!("ulimit -n {FEW} && exec \"$0\" \"$@\"");
    let output = Command::new("sh")
        .args(["-c", &limited])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(SHORT_OF_DESCRIPTORS, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 passed"), "{said}{complained}");
    std::io::stderr().write_all(&output.stderr).unwrap();
    false
}

#[test]
fn rings_together_hold_more_sockets_than_the_process_may_hold_descriptors() {
    const EACH: u32 = FEW - 10;
    if !is_short_of_descriptors("rings_together_hold_more_sockets_than_the_process_may_hold_descriptors") {
        return;
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        let Some((mut server, address)) = ring(EACH) else {
            return;
        };
        let mut clients = ring_of_clients(Some(EACH)).unwrap();
        let ours: Vec<Socket> = (0..EACH)
            .map(|_| clients.adopt(TcpStream::connect(address).unwrap()).unwrap())
            .collect();
        server.accept();
        let mut theirs = Vec::new();
        while theirs.len() < ours.len() {
            theirs.extend(wait(&mut server).iter().filter_map(socket_of));
        }
        held.push((server, clients, ours, theirs));
    }
    let sockets: usize = held
        .iter()
        .map(|(_, _, ours, theirs)| ours.len() + theirs.len())
        .sum();
    assert!(sockets > 5 * FEW as usize, "{sockets} sockets");
    for (server, clients, ours, theirs) in &mut held {
        for (number, socket) in (0_u8..).zip(&*ours) {
            assert_eq!(send(clients, *socket, &[number]), None);
        }
        let mut heard = Vec::new();
        for socket in &*theirs {
            assert!(until_ready(server, *socket, Interest::Read).read);
            heard.extend(receive(server, *socket).unwrap());
        }
        heard.sort_unstable();
        assert!(heard.iter().copied().eq((0_u8..).take(ours.len())));
    }
}

#[test]
fn a_connection_is_ended_though_the_process_has_no_descriptor_left() {
    if !is_short_of_descriptors("a_connection_is_ended_though_the_process_has_no_descriptor_left") {
        return;
    }
    let Some((mut ring, address)) = ring(2) else {
        return;
    };
    let (mut finished, first) = pair(&mut ring, address);
    let mut shut_down = TcpStream::connect(address).unwrap();
    let second = wait(&mut ring).iter().find_map(socket_of).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(taken.len() < FEW as usize);

    ring.finish(first);
    ring.shutdown(second);
    assert!(until_ready(&mut ring, second, Interest::Read).hangup);
    assert!(matches!(shut_down.read(&mut [0]), Ok(0)));
    assert!(matches!(finished.read(&mut [0]), Ok(0)));
    finished.write_all(b"on we go").unwrap();
    assert!(until_ready(&mut ring, first, Interest::Read).read);
    assert_eq!(receive(&mut ring, first).unwrap(), b"on we go");
    assert_eq!(ring.counters().strays, 0);
}

#[test]
fn a_full_table_stops_accepting_and_a_slot_that_was_given_back_is_taken_again() {
    let Some((mut ring, address)) = ring(2) else {
        return;
    };
    let (_first, first) = pair(&mut ring, address);
    let _second = TcpStream::connect(address).unwrap();
    let second = wait(&mut ring).iter().find_map(socket_of).unwrap();
    assert_ne!(first, second);
    for _ in 0..3 {
        let mut unlucky = TcpStream::connect(address).unwrap();
        let stopped = Completion::AcceptStopped {
            errno: Errno::TABLE_FULL,
        };
        assert_eq!(wait(&mut ring), [stopped]);
        assert!(Errno::TABLE_FULL.out_of_resources());
        assert!(matches!(unlucky.read(&mut [0]), Ok(0) | Err(_)));
        ring.accept();
    }
    ring.shutdown(first);
    ring.close(first);
    let mut third = TcpStream::connect(address).unwrap();
    assert_eq!(wait(&mut ring), [Completion::Accepted { socket: first }]);
    // It is the newcomer's now.
    third.write_all(b"third").unwrap();
    assert_eq!(
        until_ready(&mut ring, first, Interest::Read),
        Readiness {
            read: true,
            end: false,
            write: false,
            hangup: false
        }
    );
    assert_eq!(receive(&mut ring, first).unwrap(), b"third");
}

#[test]
fn many_pass_through_few_slots_and_each_hears_its_own_answer() {
    const SLOTS: u32 = 8;
    let Some((mut ring, address)) = ring(SLOTS) else {
        return;
    };
    ring.accept();
    for round in 0..20_u8 {
        let mut clients: Vec<TcpStream> = (0..SLOTS).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut sockets: Vec<Socket> = Vec::new();
        while sockets.len() < clients.len() {
            sockets.extend(wait(&mut ring).iter().filter_map(socket_of));
        }
        for (number, client) in (0_u8..).zip(&mut clients) {
            client.write_all(&[round, number]).unwrap();
        }
        for (slot, socket) in (0_u32..).zip(&sockets) {
            until_ready(&mut ring, *socket, Interest::Read);
            let words = receive(&mut ring, *socket).unwrap();
            assert_eq!(send(&mut ring, *socket, &words), None);
            ring.finish(*socket);
            ring.shutdown(*socket);
            ring.arm(Key::new(slot, 1), *socket, Interest::Read);
            assert!(matches!(wait(&mut ring)[..], [Completion::Ready { key, .. }] if key.slot() == slot));
            ring.close(*socket);
        }
        for (number, client) in (0_u8..).zip(&mut clients) {
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).unwrap();
            assert_eq!(heard, [round, number]);
        }
    }
    assert_eq!(ring.counters().strays, 0);
}

#[test]
fn closing_with_bytes_unread_resets_and_closing_without_does_not() {
    let Some((mut ring, address)) = ring(2) else {
        return;
    };
    let (mut unheard, first) = pair(&mut ring, address);
    let mut heard = TcpStream::connect(address).unwrap();
    let second = wait(&mut ring).iter().find_map(socket_of).unwrap();
    unheard.write_all(b"words").unwrap();
    assert!(until_ready(&mut ring, first, Interest::Read).read);
    ring.close(first);
    ring.finish(second);
    assert_eq!(heard.read(&mut [0]).unwrap(), 0);
    ring.close(second);
    // What is queued happens when the ring waits next, at the latest.
    ring.wait(Some(0), &mut Vec::new()).unwrap();
    let error = unheard.read(&mut [0]).unwrap_err();
    assert_eq!(Errno::of(&error), Errno::CONNECTION_RESET);
    assert_eq!(heard.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_dropped_ring_drops_everyone_in_its_table() {
    let Some((mut ring, address)) = ring(4) else {
        return;
    };
    let (mut handed_out, _) = pair(&mut ring, address);
    let mut armed = TcpStream::connect(address).unwrap();
    let socket = wait(&mut ring).iter().find_map(socket_of).unwrap();
    ring.arm(KEY, socket, Interest::Read);
    ring.wait(Some(0), &mut Vec::new()).unwrap();
    let mut never = TcpStream::connect(address).unwrap();
    drop(ring);
    TcpListener::bind(address).unwrap();
    for client in [&mut handed_out, &mut armed, &mut never] {
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    }
}

#[test]
fn an_adopted_socket_says_when_it_is_connected_and_lives_like_an_accepted_one() {
    for registered_slots in [None, Some(1)] {
        let Some(mut ring) = ring_of_clients(registered_slots) else {
            return;
        };
        let listener = TcpListener::bind(any_port()).unwrap();
        let socket = ring.adopt(connecting(listener.local_addr().unwrap())).unwrap();
        let room = Readiness {
            read: false,
            end: false,
            write: true,
            hangup: false,
        };
        assert_eq!(until_ready(&mut ring, socket, Interest::Write), room);
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(receive(&mut ring, socket), Err(Errno::AGAIN));
        assert_eq!(send(&mut ring, socket, b"question"), None);
        let mut question = [0; 8];
        peer.read_exact(&mut question).unwrap();
        assert_eq!(&question, b"question");
        peer.write_all(b"answer").unwrap();
        assert!(until_ready(&mut ring, socket, Interest::Read).read);
        assert_eq!(receive(&mut ring, socket).unwrap(), b"answer");
        ring.finish(socket);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        drop(peer);
        assert!(until_ready(&mut ring, socket, Interest::Read).read);
        assert_eq!(receive(&mut ring, socket).unwrap(), b"");
        ring.close(socket);
        // The slot, where there is but one, is free for the next.
        let next = ring.adopt(connecting(listener.local_addr().unwrap())).unwrap();
        assert_eq!(until_ready(&mut ring, next, Interest::Write), room);
        ring.close(next);
    }
}

#[test]
fn an_adopted_socket_whose_connect_fails_hangs_up_and_a_send_says_why() {
    for registered_slots in [None, Some(1)] {
        let Some(mut ring) = ring_of_clients(registered_slots) else {
            return;
        };
        // Bound, so that nobody else has the port, and not listening.
        let refusing = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        refusing.bind(&any_port().into()).unwrap();
        let address = refusing.local_addr().unwrap().as_socket().unwrap();
        let socket = ring.adopt(connecting(address)).unwrap();
        assert!(until_ready(&mut ring, socket, Interest::Write).hangup);
        let refused = ShortCause::Broken(Errno(libc::ECONNREFUSED));
        assert_eq!(send(&mut ring, socket, b"hello"), Some(refused));
        let later = ShortCause::Broken(Errno::PIPE);
        assert_eq!(send(&mut ring, socket, b"hello"), Some(later), "it says so once");
        ring.close(socket);
    }
}

#[test]
fn a_socket_that_finds_no_slot_is_not_adopted_but_closed() {
    let Some(mut ring) = ring_of_clients(Some(1)) else {
        return;
    };
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let first = ring.adopt(TcpStream::connect(address).unwrap()).unwrap();
    let (_peer, _) = listener.accept().unwrap();
    let refused = ring.adopt(TcpStream::connect(address).unwrap());
    assert_eq!(refused, Err(Errno::TABLE_FULL));
    assert_eq!(listener.accept().unwrap().0.read(&mut [0]).unwrap(), 0);
    assert_eq!(send(&mut ring, first, b"still here"), None);
}

#[test]
fn what_is_accepted_and_what_is_adopted_share_a_table() {
    let Some((mut ring, address)) = ring(2) else {
        return;
    };
    let (_client, accepted) = pair(&mut ring, address);
    let listener = TcpListener::bind(any_port()).unwrap();
    let adopted = ring.adopt(TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    assert!(adopted.is_ok_and(|adopted| adopted != accepted));
    let _unlucky = TcpStream::connect(address).unwrap();
    let stopped = Completion::AcceptStopped {
        errno: Errno::TABLE_FULL,
    };
    assert_eq!(wait(&mut ring), [stopped]);
}

#[test]
#[should_panic(expected = "has a listener")]
fn a_ring_without_a_listener_does_not_accept() {
    match ring_of_clients(None) {
        Some(mut ring) => {
            ring.stop_listening();
            ring.accept();
        }
        None => panic!("skipped: no ring has a listener here"),
    }
}

#[test]
fn a_table_beyond_any_limit_is_refused_with_the_cure() {
    let Some(capabilities) = available_with_table() else {
        return;
    };
    let slots = u32::try_from(limits::REGISTERED_SLOTS_MAX + 1).unwrap();
    let refused = UringBuilder::without_listener(&capabilities, options(Some(slots))).map(drop);
    assert_eq!(refused, Err(Unavailable::TableTooLarge { slots }));
}

#[test]
fn a_kernel_that_lacks_something_has_rings_of_the_processs_descriptors_only() {
    let Some(mut capabilities) = available_with_table() else {
        return;
    };
    capabilities.table_lacks = Some("IORING_OP_FIXED_FD_INSTALL");
    let of =
        |registered_slots| UringBuilder::without_listener(&capabilities, options(registered_slots)).map(drop);
    assert_eq!(of(None), Ok(()));
    let refused = of(Some(1)).unwrap_err();
    assert!(matches!(refused, Unavailable::NoTable { .. }), "{refused}");
}

/// Descriptors that a process may hold which is short of them.
const FEW: u32 = 100;
const SHORT_OF_DESCRIPTORS: &str = "TICKWIRE_TEST_SHORT_OF_DESCRIPTORS";
