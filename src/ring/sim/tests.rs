//! What is true of the simulator alone: virtual time, slow clients, faults, and its checks of the caller.

use super::*;
use crate::ring::{Readiness, ShortCause};

const KEY: Key = Key::new(0, 1);
const MS: u64 = 1_000_000;

fn wait(ring: &mut SimRing, deadline_ns: Option<u64>) -> Vec<Completion> {
    let mut completions = Vec::new();
    ring.wait(deadline_ns, &mut completions).unwrap();
    completions
}

/// A net without faults, its ring, a client and the client's socket.
fn pair() -> (SimNet, SimRing, Client, Socket) {
    let net = SimNet::new(1, Faults::default());
    let mut ring = net.ring();
    ring.accept();
    let client = net.connect(0);
    let socket = accepted(&wait(&mut ring, None));
    (net, ring, client, socket)
}

fn accepted(completions: &[Completion]) -> Socket {
    match *completions {
        [Completion::Accepted { socket }] => socket,
        ref other => panic!("one connection is accepted, not {other:?}"),
    }
}

fn send(ring: &mut SimRing, socket: Socket, bytes: &[u8]) -> Option<Short> {
    let (mut batch, mut short) = (Batch::new(), Vec::new());
    batch.push(socket, [bytes]);
    ring.send_batch(&batch, &mut short);
    short.pop()
}

fn receive(ring: &mut SimRing, socket: Socket) -> Result<Vec<u8>, Errno> {
    let (mut buffer, mut received) = ([0; 1024], Vec::new());
    ring.recv_batch(&[socket], &mut buffer, 1024, &mut received);
    received[0].map(|count| buffer[..count].to_vec())
}

fn slot_of(completion: &Completion) -> Option<u32> {
    if let Completion::Ready { key, .. } = completion {
        Some(key.slot())
    } else {
        None
    }
}

/// Faults of one kind only, which always strike.
fn always(set: impl Fn(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    set(&mut faults);
    faults
}

#[test]
fn a_wait_ends_at_its_deadline_to_the_nanosecond() {
    let net = SimNet::new(1, Faults::default());
    let mut ring = net.ring();
    let deadline_ns = net.now().mono_ns + 12_345;
    assert_eq!(
        ring.wait(Some(deadline_ns), &mut Vec::new()).unwrap().mono_ns,
        deadline_ns
    );
    assert_eq!(net.now().mono_ns, deadline_ns);
    assert_eq!(wait(&mut ring, Some(deadline_ns - 1)), []);
    assert_eq!(net.now().mono_ns, deadline_ns, "time never goes back");
}

#[test]
fn a_wait_for_nothing_returns_and_the_net_is_idle() {
    let (net, mut ring, mut client, socket) = pair();
    ring.arm(KEY, socket, Interest::Read);
    assert!(net.is_idle());
    let before = net.now();
    assert_eq!(wait(&mut ring, None), []);
    assert_eq!(net.now(), before);
    client.write(b"x");
    assert!(!net.is_idle());
}

#[test]
fn no_ring_runs_ahead_of_another_that_has_work() {
    let net = SimNet::new(1, Faults::default());
    let (mut first, mut second) = (net.ring(), net.ring());
    second.accept();
    let _client = net.connect(1);
    let before = net.now();
    assert_eq!(wait(&mut first, Some(before.mono_ns + MS)), []);
    assert_eq!(net.now(), before);
    accepted(&wait(&mut second, None));
    assert_eq!(wait(&mut first, Some(before.mono_ns + MS)), []);
    assert_eq!(net.now().mono_ns, before.mono_ns + MS);
}

#[test]
fn delayed_bytes_arrive_within_the_longest_delay_and_in_order() {
    let (net, mut ring, mut client, socket) = pair();
    net.set_faults(always(|faults| {
        faults.delay = 1000;
        faults.delay_ns_max = 10 * MS;
    }));
    client.write(b"one ");
    client.write(b"two");
    assert_eq!(receive(&mut ring, socket), Err(Errno::AGAIN));
    net.advance(10 * MS);
    assert_eq!(receive(&mut ring, socket).unwrap(), b"one two");
    assert!(net.is_idle());
}

#[test]
fn a_client_that_stops_reading_fills_the_servers_buffer_until_it_reads_again() {
    let (_net, mut ring, mut client, socket) = pair();
    client.set_pace(0);
    let bytes = vec![7; 100 * 1024];
    let Some(Short {
        sent,
        cause: ShortCause::Full,
        ..
    }) = send(&mut ring, socket, &bytes)
    else {
        panic!("a buffer is smaller than that");
    };
    assert!(sent > 0);
    assert_eq!(
        send(&mut ring, socket, &bytes),
        Some(Short::new(0, Err(Errno::AGAIN)))
    );
    ring.arm(KEY, socket, Interest::Write);
    let mut heard = Vec::new();
    assert_eq!((client.read(&mut heard), wait(&mut ring, None)), (0, vec![]));
    // A little room is not worth a wake; a third of the buffer is.
    client.set_pace(sent / 4);
    client.read(&mut heard);
    assert_eq!(wait(&mut ring, None), []);
    client.read(&mut heard);
    let room = Readiness {
        read: false,
        end: false,
        write: true,
        hangup: false,
    };
    let ready = Completion::Ready {
        key: KEY,
        interest: Interest::Write,
        readiness: room,
    };
    assert_eq!(wait(&mut ring, None), [ready]);
}

#[test]
fn each_fault_of_a_transfer_strikes() {
    let (net, mut ring, mut client, socket) = pair();
    net.set_faults(always(|faults| faults.refused_send = 1000));
    assert_eq!(
        send(&mut ring, socket, b"abc"),
        Some(Short::new(0, Err(Errno::AGAIN)))
    );
    net.set_faults(always(|faults| faults.short_send = 1000));
    let short = send(&mut ring, socket, b"abc").unwrap();
    assert!((1..3).contains(&short.sent) && short.cause == ShortCause::Full);
    net.set_faults(always(|faults| faults.short_receive = 1000));
    client.write(b"abc");
    assert!((1..3).contains(&receive(&mut ring, socket).unwrap().len()));
    net.set_faults(always(|faults| faults.reset = 1000));
    let short = send(&mut ring, socket, b"abc").unwrap();
    assert_eq!(short.cause, ShortCause::Broken(Errno::CONNECTION_RESET));
    let mut heard = Vec::new();
    client.read(&mut heard);
    assert_eq!(client.state(), ClientState::Reset);
}

#[test]
fn each_fault_of_accepting_strikes_and_loses_nobody() {
    let no_buffers = always(|faults| faults.accept_no_buffers = 1000);
    let no_descriptors = always(|faults| faults.accept_no_descriptors = 1000);
    for (errno, faults) in [
        (Errno::NO_BUFFERS, no_buffers),
        (Errno::NO_DESCRIPTORS, no_descriptors),
    ] {
        let net = SimNet::new(1, faults);
        let mut ring = net.ring();
        let client = net.connect(0);
        ring.accept();
        assert_eq!(wait(&mut ring, None), [Completion::AcceptStopped { errno }]);
        assert_eq!(client.state(), ClientState::Waiting);
        net.set_faults(Faults::default());
        ring.accept();
        accepted(&wait(&mut ring, None));
        assert_eq!(client.state(), ClientState::Open);
    }
    let net = SimNet::new(1, always(|faults| faults.accept_overflow = 1000));
    let mut ring = net.ring();
    let _clients = [net.connect(0), net.connect(0)];
    ring.accept();
    let completions = wait(&mut ring, None);
    let errno = Errno::OVERFLOW;
    assert!(
        matches!(completions[..], [Completion::Accepted { .. }, Completion::AcceptStopped { errno: e }] if e == errno)
    );
    assert_eq!(ring.counters().overflows, 1);
}

#[test]
fn each_fault_of_waiting_strikes() {
    let (net, mut ring, _client, socket) = pair();
    net.set_faults(always(|faults| faults.spurious_doorbell = 1000));
    assert_eq!(wait(&mut ring, None), [Completion::Doorbell]);
    net.set_faults(always(|faults| faults.spurious_readiness = 1000));
    ring.arm(KEY, socket, Interest::Read);
    assert!(matches!(wait(&mut ring, None)[..], [Completion::Ready { readiness, .. }] if readiness.read));
    assert_eq!(receive(&mut ring, socket), Err(Errno::AGAIN));
}

#[test]
fn reordering_keeps_what_accepting_reports_in_its_order() {
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let net = SimNet::new(seed, Faults::default());
        let mut ring = net.ring();
        ring.accept();
        let mut clients: Vec<Client> = (0..3).map(|_| net.connect(0)).collect();
        for (slot, accept) in (0_u32..).zip(wait(&mut ring, None)) {
            ring.arm(Key::new(slot, 1), accepted(&[accept]), Interest::Read);
        }
        clients.iter_mut().for_each(|client| client.finish());
        net.set_faults(always(|faults| {
            faults.reorder = 1000;
            faults.accept_overflow = 1000;
        }));
        let _last = net.connect(0);
        let completions = wait(&mut ring, None);
        let place = |wanted: fn(&Completion) -> bool| completions.iter().position(wanted);
        let stopped = place(|completion| matches!(completion, Completion::AcceptStopped { .. }));
        assert!(place(|completion| matches!(completion, Completion::Accepted { .. })) < stopped);
        let slots = completions.iter().filter_map(slot_of);
        orders.insert(slots.collect::<Vec<u32>>());
    }
    assert_eq!(orders.len(), 6, "every order of three polls comes up");
}

#[test]
fn closing_with_unread_bytes_tells_the_client_of_the_loss() {
    let (_net, mut ring, mut client, socket) = pair();
    client.write(b"never read");
    assert_eq!(send(&mut ring, socket, b"read"), None);
    ring.shutdown(socket);
    ring.close(socket);
    let mut heard = Vec::new();
    client.read(&mut heard);
    assert_eq!((&heard[..], client.state()), (&b"read"[..], ClientState::Reset));
}

#[test]
fn writing_to_a_server_that_left_resets_the_client() {
    let (_net, mut ring, mut client, socket) = pair();
    ring.shutdown(socket);
    ring.close(socket);
    assert_eq!(client.state(), ClientState::Ended);
    assert_eq!(client.write(b"hello?"), 6);
    assert_eq!((client.state(), client.write(b"hello?")), (ClientState::Reset, 0));
}

#[test]
fn a_dropped_ring_resets_its_clients_and_lets_the_others_run() {
    let (net, ring, client, _) = pair();
    let mut other = net.ring();
    drop(ring);
    assert_eq!(client.state(), ClientState::Reset);
    assert_eq!(net.connect(0).state(), ClientState::Reset);
    let deadline_ns = net.now().mono_ns + MS;
    wait(&mut other, Some(deadline_ns));
    assert_eq!(net.now().mono_ns, deadline_ns);
}

#[test]
#[should_panic(expected = "is armed twice for Write")]
fn arming_a_direction_twice_is_a_mistake() {
    let (_net, mut ring, _client, socket) = pair();
    ring.arm(KEY, socket, Interest::ReadWrite);
    ring.arm(KEY, socket, Interest::Write);
}

#[test]
#[should_panic(expected = "is armed on another socket")]
fn arming_a_key_on_two_sockets_is_a_mistake() {
    let (net, mut ring, _client, socket) = pair();
    let _other = net.connect(0);
    let other = accepted(&wait(&mut ring, None));
    ring.arm(KEY, socket, Interest::Read);
    ring.arm(KEY, other, Interest::Read);
}

#[test]
#[should_panic(expected = "is closed while a poll is armed on it")]
fn closing_an_armed_socket_is_a_mistake_even_if_its_poll_has_fired() {
    let (_net, mut ring, mut client, socket) = pair();
    ring.arm(KEY, socket, Interest::Read);
    client.write(b"x");
    ring.close(socket);
}

#[test]
#[should_panic(expected = "is sent to while it is not open")]
fn sending_to_a_closed_socket_is_a_mistake() {
    let (_net, mut ring, _client, socket) = pair();
    ring.close(socket);
    send(&mut ring, socket, b"x");
}

#[test]
#[should_panic(expected = "is closed while it is not open")]
fn closing_twice_is_a_mistake() {
    let (_net, mut ring, _client, socket) = pair();
    ring.close(socket);
    ring.close(socket);
}

#[test]
#[should_panic(expected = "no ring ever accepted it")]
fn using_a_socket_of_no_ring_is_a_mistake() {
    let (_net, mut ring, _client, _socket) = pair();
    ring.shutdown(Socket::default());
}

#[test]
#[should_panic(expected = "by a ring that did not accept it")]
fn using_a_socket_of_another_ring_is_a_mistake() {
    let (net, _ring, _client, socket) = pair();
    net.ring().arm(KEY, socket, Interest::Read);
}

#[test]
#[should_panic(expected = "accepting already")]
fn accepting_twice_is_a_mistake() {
    let (_net, mut ring, _client, _socket) = pair();
    ring.accept();
}
