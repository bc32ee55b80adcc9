//! What every ring does.

pub(super) use super::arrivals::*;
use super::stage::{Peer, Stage};
use crate::base::Key;
use crate::ring::{Batch, Bell, Completion, Errno, Interest, Readiness, Ring, Short, ShortCause, Socket};

pub(super) const KEY: Key = Key::new(3, 5);
pub(super) const READ: Readiness = Readiness {
    read: true,
    end: false,
    write: false,
    hangup: false,
};
pub(super) const END: Readiness = Readiness { end: true, ..READ };
const WRITE: Readiness = Readiness {
    read: false,
    end: false,
    write: true,
    hangup: false,
};

pub(super) fn accepts_every_connection_once(mut stage: impl Stage) {
    let mut peers: Vec<_> = (0..3).map(|_| stage.connect()).collect();
    stage.ring().accept();
    peers.extend((0..2).map(|_| stage.connect()));
    let sockets = accepted(&stage.wait_for(5));
    // Each socket leads to a client of its own.
    for (number, peer) in (0_u8..).zip(&mut peers) {
        peer.write(&[number]);
    }
    let mut heard = Vec::new();
    for socket in sockets {
        assert_eq!(stage.until_ready(KEY, socket, Interest::Read), READ);
        heard.extend(stage.receive(socket).unwrap());
    }
    heard.sort_unstable();
    assert_eq!(heard, [0, 1, 2, 3, 4]);
    assert_eq!(stage.poll(), []);
}

pub(super) fn hands_out_every_completion_of_a_crowd(mut stage: impl Stage) {
    const MANY: u32 = 70;
    stage.ring().accept();
    let mut peers: Vec<_> = (0..MANY).map(|_| stage.connect()).collect();
    let sockets = accepted(&stage.wait_for(peers.len()));
    for (slot, socket) in (0..MANY).zip(&sockets) {
        stage.ring().arm(Key::new(slot, 1), *socket, Interest::Read);
    }
    assert_eq!(stage.poll(), []);
    for peer in &mut peers {
        peer.write(b"x");
    }
    let mut slots: Vec<u32> = stage
        .wait_for(peers.len())
        .iter()
        .map(|ready| key_of(ready).slot())
        .collect();
    slots.sort_unstable();
    assert_eq!(slots, (0..MANY).collect::<Vec<u32>>());
    assert_eq!(stage.poll(), []);
}

pub(super) fn a_poll_fires_once_and_then_not_until_it_is_armed_again(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Read);
    assert_eq!(stage.poll(), []);
    peer.write(b"one");
    let fired = Completion::Ready {
        key: KEY,
        interest: Interest::Read,
        readiness: READ,
    };
    assert_eq!(stage.wait_for(1), [fired]);
    peer.write(b"two");
    assert_eq!(stage.poll(), []);
    let mut heard = stage.receive(socket).unwrap();
    while heard.len() < 6 {
        stage.until_ready(KEY, socket, Interest::Read);
        heard.extend(stage.receive(socket).unwrap());
    }
    assert_eq!(heard, b"onetwo");
    assert_eq!(stage.receive(socket), Err(Errno::AGAIN));
    stage.ring().arm(KEY, socket, Interest::Read);
    assert_eq!(stage.poll(), []);
    peer.write(b"three");
    assert_eq!(stage.wait_for(1), [fired]);
}

pub(super) fn a_poll_of_a_socket_that_is_ready_already_fires(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    peer.write(b"early");
    assert_eq!(stage.until_ready(KEY, socket, Interest::Read), READ);
    assert_eq!(stage.until_ready(KEY, socket, Interest::Write), WRITE);
}

pub(super) fn receives_each_socket_into_its_own_lane(mut stage: impl Stage) {
    stage.ring().accept();
    let mut pairs: Vec<_> = (0..4).map(|_| stage.pair()).collect();
    pairs[0].0.write(b"abcdefgh");
    pairs[1].0.write(b"ij");
    pairs[3].0.finish();
    let sockets: Vec<Socket> = pairs.iter().map(|(_, socket)| *socket).collect();
    for (index, readiness) in [(0, READ), (1, READ), (3, END)] {
        assert_eq!(stage.until_ready(KEY, sockets[index], Interest::Read), readiness);
    }
    let (mut buffer, mut received) = ([b'.'; 26], vec![Ok(9); 9]);
    stage.ring().recv_batch(&sockets, &mut buffer, 6, &mut received);
    assert_eq!(received, [Ok(6), Ok(2), Err(Errno::AGAIN), Ok(0)]);
    assert_eq!(&buffer, b"abcdefij..................");
    assert_eq!(stage.receive(sockets[0]).unwrap(), b"gh");
}

pub(super) fn tells_the_end_of_a_stream_from_nothing_yet(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    assert_eq!(stage.receive(socket), Err(Errno::AGAIN));
    peer.write(b"last words");
    peer.finish();
    let readiness = stage.until_ready(KEY, socket, Interest::Read);
    assert!([READ, END].contains(&readiness), "{readiness:?}");
    assert_eq!(stage.receive(socket).unwrap(), b"last words");
    assert_eq!(stage.until_ready(KEY, socket, Interest::Read), END);
    assert_eq!(stage.receive(socket).unwrap(), b"");
    // The other direction still works.
    assert_eq!(stage.send(socket, &[b"farewell"]), None);
    stage.finish(KEY, socket);
    assert_eq!(peer.read_to_end(), b"farewell");
}

pub(super) fn a_send_that_goes_out_whole_says_nothing(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut one, a) = stage.pair();
    let (mut other, b) = stage.pair();
    let mut batch = Batch::new();
    batch.push(a, [&b"single"[..]]);
    batch.push(b, [&b"several"[..], b"", b", in", b" order"]);
    let mut short = vec![Short {
        index: 9,
        sent: 9,
        cause: ShortCause::Full,
    }];
    stage.ring().send_batch(&batch, &mut short);
    assert_eq!(short, []);
    assert_eq!(one.read(6), b"single");
    assert_eq!(other.read(17), b"several, in order");
    assert_eq!(stage.poll(), []);
}

pub(super) fn a_batch_larger_than_the_queue_goes_out_whole(mut stage: impl Stage) {
    const SENDS: usize = 5000;
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(SENDS).collect();
    let mut batch = Batch::new();
    for byte in bytes.chunks(1) {
        batch.push(socket, [byte]);
    }
    let mut short = Vec::new();
    stage.ring().send_batch(&batch, &mut short);
    // A byte each in a buffer of its own may fill the kernel's; but what went out went out in order.
    let first_short = short
        .iter()
        .map(|short| short.index as usize)
        .min()
        .unwrap_or(SENDS);
    assert!(first_short > 16, "{first_short}");
    assert_eq!(peer.read(first_short), &bytes[..first_short]);
}

pub(super) fn a_short_send_says_exactly_how_much_went_out(stage: impl Stage) {
    fill_and_drain(stage, |rest| vec![rest]);
}

pub(super) fn a_vectored_short_send_says_exactly_how_much_went_out(stage: impl Stage) {
    fill_and_drain(stage, |rest| rest.chunks(rest.len().div_ceil(7).max(1)).collect());
}

/// Sends more than the connection holds, whatever room there is, and checks that the peer reads all of it, once.
fn fill_and_drain(mut stage: impl Stage, cut: fn(&[u8]) -> Vec<&[u8]>) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    let bytes: Vec<u8> = (0..=250).cycle().take(1024 * 1024).collect();
    let (mut sent, mut read, mut fulls) = (0, 0, 0);
    while sent < bytes.len() {
        match stage.send(socket, &cut(&bytes[sent..])) {
            None => sent = bytes.len(),
            Some(Short {
                sent: more, cause, ..
            }) => {
                assert_eq!(cause, ShortCause::Full);
                sent += more;
                fulls += 1;
            }
        }
        // What the ring says went out can be read without any more being sent.
        assert_eq!(peer.read(sent - read), &bytes[read..sent]);
        read = sent;
        assert!(stage.until_ready(KEY, socket, Interest::Write).write);
    }
    assert!(fulls > 0, "the connection was full at least once");
    stage.finish(KEY, socket);
    assert_eq!(peer.read_to_end(), b"");
}

pub(super) fn a_blocked_socket_is_watched_for_both_directions(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Read);
    let held = fill(&mut stage, socket);
    stage.ring().arm(KEY, socket, Interest::Write);
    // Each poll reports by itself, once. The writing one may come first: the peer's kernel acknowledges by itself.
    peer.write(b"hello?");
    let mut ready = stage.wait_for(1);
    peer.read(held);
    if ready.len() < 2 {
        ready.extend(stage.wait_for(1));
    }
    ready.sort_by_key(|ready| {
        matches!(
            ready,
            Completion::Ready {
                interest: Interest::Write,
                ..
            }
        )
    });
    let fired = |interest, readiness| Completion::Ready {
        key: KEY,
        interest,
        readiness,
    };
    assert_eq!(
        ready,
        [fired(Interest::Read, READ), fired(Interest::Write, WRITE)]
    );
    assert_eq!(stage.poll(), []);
}

pub(super) fn one_poll_may_watch_both_directions(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    let held = fill(&mut stage, socket);
    stage.ring().arm(KEY, socket, Interest::ReadWrite);
    peer.read(held);
    let fired = Completion::Ready {
        key: KEY,
        interest: Interest::ReadWrite,
        readiness: WRITE,
    };
    assert_eq!(stage.wait_for(1), [fired]);
    peer.write(b"x");
    // Bytes are in when a poll for them says so; a poll for both sees both then.
    assert_eq!(stage.until_ready(KEY, socket, Interest::Read), READ);
    let readiness = stage.until_ready(KEY, socket, Interest::ReadWrite);
    assert_eq!(
        readiness,
        Readiness {
            read: true,
            end: false,
            write: true,
            hangup: false
        }
    );
}

pub(super) fn a_reset_hangs_up_and_breaks_sends(mut stage: impl Stage) {
    stage.ring().accept();
    let (peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Read);
    assert_eq!(stage.poll(), []);
    peer.reset();
    assert!(
        matches!(stage.wait_for(1)[..], [Completion::Ready { readiness, .. }] if readiness.hangup && readiness.read)
    );
    assert_eq!(stage.receive(socket), Err(Errno::CONNECTION_RESET));
    let short = stage.send(socket, &[b"anyone?"]);
    assert_eq!(
        short,
        Some(Short {
            index: 0,
            sent: 0,
            cause: ShortCause::Broken(Errno::PIPE)
        })
    );
    stage.ring().shutdown(socket);
    stage.ring().close(socket);
}

pub(super) fn shutdown_makes_armed_polls_report_and_the_peer_see_the_end(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    let held = fill(&mut stage, socket);
    stage.ring().arm(KEY, socket, Interest::Read);
    stage.ring().arm(KEY, socket, Interest::Write);
    assert_eq!(stage.poll(), []);
    stage.ring().shutdown(socket);
    let reports = stage.wait_for(2);
    assert!(reports.iter().all(|report| key_of(report) == KEY));
    let mut interests: Vec<Interest> = reports.iter().map(interest_of).collect();
    interests.sort_by_key(|interest| interest.writes());
    assert_eq!(interests, [Interest::Read, Interest::Write]);
    stage.ring().close(socket);
    assert_eq!(peer.read_to_end().len(), held);
}

pub(super) fn what_was_sent_before_a_shutdown_still_arrives(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    assert_eq!(stage.send(socket, &[b"good", b"bye"]), None);
    stage.finish(KEY, socket);
    assert_eq!(peer.read_to_end(), b"goodbye");
}

pub(super) fn a_finished_connection_still_hears_its_peer(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    assert_eq!(stage.send(socket, &[b"last words"]), None);
    stage.ring().finish(socket);
    peer.write(b"answer");
    stage.ring().arm(KEY, socket, Interest::Read);
    assert_eq!(key_of(&stage.wait_for(1)[0]), KEY);
    assert_eq!(stage.receive(socket).unwrap(), b"answer");
    stage.ring().shutdown(socket);
    stage.ring().close(socket);
    assert_eq!(peer.read_to_end(), b"last words");
}

pub(super) fn sending_after_a_shutdown_is_broken_not_blocked(mut stage: impl Stage) {
    stage.ring().accept();
    let (_peer, socket) = stage.pair();
    stage.ring().shutdown(socket);
    let broken = Some(Short {
        index: 0,
        sent: 0,
        cause: ShortCause::Broken(Errno::PIPE),
    });
    assert_eq!(stage.send(socket, &[b"late"]), broken);
    assert_eq!(stage.send(socket, &[b"very", b"late"]), broken);
    assert_eq!(stage.receive(socket).unwrap(), b"");
    stage.ring().close(socket);
}

pub(super) fn completions_that_come_during_a_batch_are_not_lost(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut talker, a) = stage.pair();
    let (mut hearer, b) = stage.pair();
    talker.write(b"x");
    let _new = stage.connect();
    stage.ring().doorbell().ring();
    // The poll fires in the very submission that carries the send, the receive and the next send.
    stage.ring().arm(KEY, a, Interest::Read);
    assert_eq!(stage.send(b, &[b"one"]), None);
    assert_eq!(stage.receive(b), Err(Errno::AGAIN));
    assert_eq!(stage.send(b, &[b" two"]), None);
    let completions = stage.wait_for(3);
    let has = |wanted: fn(&Completion) -> bool| completions.iter().filter(|c| wanted(c)).count() == 1;
    assert!(
        has(|c| matches!(
            c,
            Completion::Ready {
                key: KEY,
                readiness: READ,
                ..
            }
        )),
        "{completions:?}"
    );
    assert!(
        has(|c| matches!(c, Completion::Accepted { .. })),
        "{completions:?}"
    );
    assert!(has(|c| *c == Completion::Doorbell), "{completions:?}");
    assert_eq!(hearer.read(7), b"one two");
}

pub(super) fn a_completion_that_a_batch_reaped_ends_the_next_wait(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut hearer, a) = stage.pair();
    let (_idler, b) = stage.pair();
    let mut completions = Vec::new();
    let start = stage.ring().wait(Some(0), &mut completions).unwrap();
    // There is room, so the poll fires in the submission that carries the send, and nothing else is to come.
    stage.ring().arm(KEY, b, Interest::Write);
    assert_eq!(stage.send(a, &[b"x"]), None);
    assert_eq!(hearer.read(1), b"x");
    let deadline_ns = start.mono_ns + 20_000_000_000;
    let now = stage.ring().wait(Some(deadline_ns), &mut completions).unwrap();
    assert_eq!(
        completions,
        [Completion::Ready {
            key: KEY,
            interest: Interest::Write,
            readiness: WRITE
        }]
    );
    assert!(now.mono_ns < deadline_ns);
}

pub(super) fn a_completion_that_came_when_another_connection_ended_ends_the_next_wait(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut finished, a) = stage.pair();
    let (mut shut_down, b) = stage.pair();
    let (_idler, c) = stage.pair();
    let mut completions = Vec::new();
    let start = stage.ring().wait(Some(0), &mut completions).unwrap();
    for (slot, socket) in [(1, a), (2, b)] {
        let key = Key::new(slot, 1);
        // There is room, so the poll may fire as soon as the kernel hears of it, and nothing else is to come.
        stage.ring().arm(key, c, Interest::Write);
        if slot == 1 {
            stage.ring().finish(socket);
        } else {
            stage.ring().shutdown(socket);
        }
        let deadline_ns = start.mono_ns + 20_000_000_000;
        let now = stage.ring().wait(Some(deadline_ns), &mut completions).unwrap();
        assert!(now.mono_ns < deadline_ns);
        let ready = completions.drain(..).map(|completion| key_of(&completion));
        assert_eq!(ready.collect::<Vec<Key>>(), [key]);
    }
    assert_eq!(finished.read_to_end(), b"");
    assert_eq!(shut_down.read_to_end(), b"");
}

pub(super) fn a_doorbell_wakes_and_several_are_one(mut stage: impl Stage) {
    let bell = stage.ring().doorbell();
    assert_eq!(stage.poll(), []);
    for _ in 0..3 {
        bell.ring();
        bell.clone().ring();
        assert_eq!(stage.wait_for(1), [Completion::Doorbell]);
        assert_eq!(stage.poll(), []);
    }
}

pub(super) fn a_doorbell_rung_by_another_thread_wakes<S: Stage>(mut stage: S)
where
    <S::Ring as Ring>::Doorbell: 'static,
{
    let bell = stage.ring().doorbell();
    std::thread::spawn(move || bell.ring())
        .join()
        .expect("the bell rings");
    assert_eq!(stage.wait_for(1), [Completion::Doorbell]);
}

pub(super) fn a_deadline_ends_the_wait_and_a_past_one_does_not_wait(mut stage: impl Stage) {
    let mut completions = Vec::new();
    let start = stage.ring().wait(Some(0), &mut completions).unwrap();
    let deadline_ns = start.mono_ns + 3_000_000;
    let mut now = start;
    while now.mono_ns < deadline_ns {
        let next = stage.ring().wait(Some(deadline_ns), &mut completions).unwrap();
        assert!(next.mono_ns >= now.mono_ns && next.wall_ns > 1_600_000_000_000_000_000);
        now = next;
    }
    let past = stage.ring().wait(Some(deadline_ns), &mut completions).unwrap();
    assert!(past.mono_ns >= now.mono_ns);
    assert_eq!(completions, []);
}

pub(super) fn stopping_to_listen_ends_accepting_and_refuses_clients(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().stop_listening();
    assert_eq!(
        stage.wait_for(1),
        [Completion::AcceptStopped {
            errno: Errno::INVALID
        }]
    );
    assert!(stage.refuses());
    stage.ring().stop_listening();
    // Who was accepted before stays.
    assert_eq!(stage.send(socket, &[b"still here"]), None);
    assert_eq!(peer.read(10), b"still here");
}

pub(super) fn an_empty_batch_does_nothing(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    let (mut short, mut received) = (Vec::new(), Vec::new());
    stage.ring().send_batch(&Batch::new(), &mut short);
    stage.ring().recv_batch(&[], &mut [], 1, &mut received);
    assert_eq!(stage.send(socket, &[]), None);
    assert_eq!(stage.send(socket, &[b"", b""]), None);
    assert_eq!((short, received), (vec![], vec![]));
    stage.finish(KEY, socket);
    assert_eq!(peer.read_to_end(), b"");
}

/// Sends until nothing more goes out; gives how much did.
fn fill(stage: &mut impl Stage, socket: Socket) -> usize {
    let bytes = vec![7; 1024 * 1024];
    let mut held = 0;
    loop {
        match stage.send(socket, &[&bytes]) {
            None => held += bytes.len(),
            Some(Short { sent: 0, .. }) => return held,
            Some(Short { sent, .. }) => held += sent,
        }
    }
}

fn accepted(completions: &[Completion]) -> Vec<Socket> {
    let socket = |completion: &Completion| {
        let Completion::Accepted { socket } = *completion else {
            panic!("only connections come: {completion:?}")
        };
        socket
    };
    completions.iter().map(socket).collect()
}

fn interest_of(completion: &Completion) -> Interest {
    let Completion::Ready { interest, .. } = *completion else {
        panic!("only polls fire: {completion:?}")
    };
    interest
}

fn key_of(completion: &Completion) -> Key {
    let Completion::Ready { key, .. } = *completion else {
        panic!("only polls fire: {completion:?}")
    };
    key
}
