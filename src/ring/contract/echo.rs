//! A server on nothing but the [`Ring`] trait: whatever a client says comes back.
//!
//! Small, but by the book: it survives every fault that the contract allows, which is what the simulator's runs
//! show, and it runs unchanged on the kernel's ring.

use super::stage::LiveStage;
use crate::base::{Key, Prng, Slab};
use crate::ring::{
    Batch, Client, ClientState, Completion, Errno, Faults, Interest, Readiness, Ring, Short, ShortCause,
    SimNet, Socket,
};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

struct Echo<R> {
    ring: R,
    guests: Slab<Guest>,
    completions: Vec<Completion>,
    served: usize,
}

#[derive(Default)]
struct Guest {
    socket: Socket,
    owed: Vec<u8>,
    reading: bool,
    writing: bool,
    ended: bool,
    leaving: bool,
}

impl<R: Ring> Echo<R> {
    fn new(mut ring: R) -> Self {
        ring.accept();
        Self {
            ring,
            guests: Slab::with_capacity(64),
            completions: Vec::new(),
            served: 0,
        }
    }

    fn turn(&mut self, deadline_ns: Option<u64>) {
        self.ring
            .wait(deadline_ns, &mut self.completions)
            .expect("the ring works");
        let mut readable = Vec::new();
        for completion in std::mem::take(&mut self.completions) {
            match completion {
                Completion::Accepted { socket } => {
                    let guest = Guest {
                        socket,
                        ..Guest::default()
                    };
                    assert!(
                        self.guests.insert(guest).is_ok(),
                        "there is room for every client"
                    );
                }
                Completion::AcceptStopped { errno } => {
                    assert!(errno.out_of_resources() || errno == Errno::OVERFLOW);
                    self.ring.accept();
                }
                Completion::Ready {
                    key,
                    interest,
                    readiness,
                } => {
                    if self.is_readable(key, interest, readiness) {
                        readable.push(key);
                    }
                }
                Completion::Disarmed { key } => panic!("{key:?} had no lasting poll"),
                Completion::Doorbell => {}
            }
        }
        self.receive(&readable);
        self.send();
        let keys: Vec<Key> = self.guests.keys().collect();
        keys.into_iter().for_each(|key| self.settle(key));
    }

    fn is_readable(&mut self, key: Key, interest: Interest, readiness: Readiness) -> bool {
        let guest = self
            .guests
            .get_mut(key)
            .expect("a guest stays until its polls have reported");
        match interest {
            Interest::Read => guest.reading = false,
            Interest::Write => guest.writing = false,
            Interest::ReadWrite | Interest::Arrivals => panic!("nobody asked for {interest:?}"),
        }
        // A hangup may come with last words: receiving finds out.
        (readiness.read || readiness.hangup) && !guest.leaving && !guest.ended
    }

    fn receive(&mut self, keys: &[Key]) {
        let sockets: Vec<Socket> = keys
            .iter()
            .filter_map(|key| self.guests.get(*key))
            .map(|g| g.socket)
            .collect();
        let (mut buffer, mut received) = (vec![0; LANE * keys.len()], Vec::new());
        self.ring.recv_batch(&sockets, &mut buffer, LANE, &mut received);
        for ((key, received), lane) in keys.iter().zip(received).zip(buffer.chunks(LANE)) {
            let guest = self.guests.get_mut(*key).expect("it was just looked up");
            match received {
                Ok(0) => guest.ended = true,
                Ok(count) => guest.owed.extend_from_slice(&lane[..count]),
                Err(errno) if errno.would_block() => {}
                Err(_) => leave(&mut self.ring, guest),
            }
        }
    }

    fn send(&mut self) {
        let (mut batch, mut keys, mut shorts) = (Batch::new(), Vec::new(), Vec::new());
        for key in self.guests.keys() {
            let guest = self.guests.get(key).expect("the key is the slab's own");
            if !guest.owed.is_empty() && !guest.writing && !guest.leaving {
                let (head, tail) = guest.owed.split_at(guest.owed.len() / 2);
                batch.push(guest.socket, [head, tail]);
                keys.push(key);
            }
        }
        self.ring.send_batch(&batch, &mut shorts);
        for (index, key) in (0_u32..).zip(keys) {
            let guest = self.guests.get_mut(key).expect("the key is the slab's own");
            match shorts.iter().find(|short| short.index == index) {
                None => guest.owed.clear(),
                Some(Short {
                    sent,
                    cause: ShortCause::Full,
                    ..
                }) => {
                    guest.owed.drain(..sent);
                    guest.writing = true;
                    self.ring.arm(key, guest.socket, Interest::Write);
                }
                Some(Short {
                    cause: ShortCause::Broken(_),
                    ..
                }) => leave(&mut self.ring, guest),
            }
        }
    }

    /// Arms, ends or frees a guest, whichever it is time for.
    fn settle(&mut self, key: Key) {
        let guest = self.guests.get_mut(key).expect("the key is the slab's own");
        if guest.ended && guest.owed.is_empty() {
            leave(&mut self.ring, guest);
        }
        if guest.leaving {
            if !guest.reading && !guest.writing {
                self.ring.close(guest.socket);
                self.guests.remove(key);
                self.served += 1;
            }
        } else if !guest.reading && !guest.ended && guest.owed.len() < LANE {
            guest.reading = true;
            self.ring.arm(key, guest.socket, Interest::Read);
        }
    }
}

fn leave(ring: &mut impl Ring, guest: &mut Guest) {
    if !guest.leaving {
        guest.leaving = true;
        ring.shutdown(guest.socket);
    }
}

/// A simulated client that speaks and listens as it pleases.
struct Speaker {
    client: Client,
    words: Vec<u8>,
    said: usize,
    heard: Vec<u8>,
    finished: bool,
}

impl Speaker {
    fn step(&mut self, prng: &mut Prng) {
        if self.said < self.words.len() {
            let most = (self.words.len() - self.said).min(1 + some(prng, 3000));
            self.said += self.client.write(&self.words[self.said..][..most]);
        } else if !self.finished {
            self.finished = true;
            self.client.finish();
        }
        let pace = some(prng, 2000);
        self.client.set_pace(pace);
        self.client.read(&mut self.heard);
    }
}

/// Plays one seed to its end; gives what was said and heard, and the fingerprint of it all.
fn play(seed: u64, faults: Faults) -> (Vec<Speaker>, u64) {
    let net = SimNet::new(seed, faults);
    let mut prng = Prng::new(seed ^ 0x5eed);
    let mut server = Echo::new(net.ring());
    let mut speakers: Vec<Speaker> = (0..5)
        .map(|_| Speaker {
            client: net.connect(0),
            words: (0..some(&mut prng, 20_000))
                .map(|_| prng.next_u64().to_le_bytes()[0])
                .collect(),
            said: 0,
            heard: Vec::new(),
            finished: false,
        })
        .collect();
    let is_over =
        |speaker: &Speaker| matches!(speaker.client.state(), ClientState::Ended | ClientState::Reset);
    for _ in 0..100_000 {
        let which = some(&mut prng, 5);
        speakers[which].step(&mut prng);
        server.turn(Some(net.now().mono_ns + 1_000_000));
        if speakers.iter().all(is_over) && server.guests.is_empty() && server.served == 5 {
            return (speakers, net.fingerprint());
        }
    }
    panic!("seed {seed} does not come to an end");
}

fn some(prng: &mut Prng, below: u64) -> usize {
    usize::try_from(prng.below(below)).expect("it is below a small number")
}

#[test]
fn every_byte_comes_back_whatever_the_kernel_may_do() {
    for seed in 0..150 {
        for speaker in play(seed, Faults::lossless()).0 {
            assert_eq!(speaker.client.state(), ClientState::Ended, "seed {seed}");
            assert!(
                speaker.heard == speaker.words,
                "seed {seed}: a stream was changed on its way"
            );
        }
    }
}

#[test]
fn a_connection_that_breaks_at_any_time_leaves_a_true_prefix() {
    let mut broken = 0;
    for seed in 0..150 {
        for speaker in play(seed, Faults::all()).0 {
            assert!(speaker.words.starts_with(&speaker.heard), "seed {seed}");
            broken += usize::from(speaker.client.state() == ClientState::Reset);
        }
    }
    assert!(broken > 50, "{broken} resets in 150 runs");
}

#[test]
fn the_same_seed_is_the_same_run_to_the_byte() {
    let mut fingerprints: Vec<u64> = (0..20).map(|seed| play(seed, Faults::all()).1).collect();
    assert!(
        (0..20)
            .zip(&fingerprints)
            .all(|(seed, first)| play(seed, Faults::all()).1 == *first)
    );
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 20, "another seed is another run");
}

#[test]
fn the_same_server_runs_on_the_kernel() {
    runs_on_the_kernel(None);
}

#[test]
fn the_same_server_runs_on_the_kernel_with_registered_sockets() {
    runs_on_the_kernel(Some(16));
}

fn runs_on_the_kernel(registered_slots: Option<u32>) {
    let Some(stage) = LiveStage::new(registered_slots) else {
        return;
    };
    let (ring, address) = stage.into_parts();
    let mut server = Echo::new(ring);
    let clients: Vec<_> = (1..=8_usize)
        .map(|number| {
            std::thread::spawn(move || {
                let words: Vec<u8> = (0..=250).cycle().skip(number).take(number * 100_000).collect();
                let mut stream = TcpStream::connect(address).unwrap();
                let (mut reader, expected) = (stream.try_clone().unwrap(), words.clone());
                let listening = std::thread::spawn(move || {
                    let mut heard = Vec::new();
                    reader.read_to_end(&mut heard).unwrap();
                    heard == expected
                });
                stream.write_all(&words).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
                listening.join().unwrap()
            })
        })
        .collect();
    while server.served < 8 {
        server.turn(None);
    }
    assert!(clients.into_iter().all(|client| client.join().unwrap()));
}

const LANE: usize = 4096;
