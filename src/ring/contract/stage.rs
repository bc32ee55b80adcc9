//! Where the contract is played: a ring, its clients, and what every case needs of them.

use crate::base::Key;
use crate::base::now::{NS_PER_MS, Now};
use crate::ring::{
    Batch, Client, ClientState, Completion, Errno, Faults, Interest, ListenerOptions, Readiness, Ring, Short,
    SimNet, SimRing, Socket, UringBuilder, UringOptions, UringRing, listen,
};
use socket2::SockRef;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// A ring, and clients for it.
pub(super) trait Stage: Sized {
    type Ring: Ring;
    type Peer: Peer;

    fn ring(&mut self) -> &mut Self::Ring;

    /// A client whose connection has reached the listener.
    fn connect(&mut self) -> Self::Peer;

    /// Whether a new client is turned away.
    fn refuses(&mut self) -> bool;

    /// One wait, which gives up after a time that no machine needs; live waits that find nothing fail the test.
    fn wait(&mut self, completions: &mut Vec<Completion>) -> Now;

    /// One wait that does not wait.
    fn poll(&mut self) -> Vec<Completion> {
        let mut completions = Vec::new();
        self.ring()
            .wait(Some(0), &mut completions)
            .expect("the ring works");
        completions
    }

    /// Waits for `count` completions.
    fn wait_for(&mut self, count: usize) -> Vec<Completion> {
        let mut completions = Vec::new();
        while completions.len() < count {
            self.wait(&mut completions);
        }
        completions
    }

    /// A client and its accepted socket. The ring is accepting already.
    fn pair(&mut self) -> (Self::Peer, Socket) {
        let peer = self.connect();
        match self.wait_for(1)[..] {
            [Completion::Accepted { socket }] => (peer, socket),
            ref other => panic!("one connection is accepted, not {other:?}"),
        }
    }

    /// Arms a poll and waits for it.
    fn until_ready(&mut self, key: Key, socket: Socket, interest: Interest) -> Readiness {
        self.ring().arm(key, socket, interest);
        match self.wait_for(1)[..] {
            [
                Completion::Ready {
                    key: of,
                    interest: was,
                    readiness,
                },
            ] => {
                assert_eq!((of, was), (key, interest));
                readiness
            }
            ref other => panic!("the poll fires, and nothing else: {other:?}"),
        }
    }

    fn receive(&mut self, socket: Socket) -> Result<Vec<u8>, Errno> {
        let (mut buffer, mut received) = ([0; 4096], Vec::new());
        self.ring()
            .recv_batch(&[socket], &mut buffer, 4096, &mut received);
        assert_eq!(received.len(), 1);
        received[0].map(|count| buffer[..count].to_vec())
    }

    fn send(&mut self, socket: Socket, parts: &[&[u8]]) -> Option<Short> {
        let (mut batch, mut short) = (Batch::new(), Vec::new());
        batch.push(socket, parts.iter().copied());
        self.ring().send_batch(&batch, &mut short);
        assert!(
            short.len() <= 1 && short.iter().all(|short| short.index == 0),
            "{short:?}"
        );
        short.pop()
    }

    /// Ends a connection by the book.
    fn finish(&mut self, key: Key, socket: Socket) {
        self.ring().shutdown(socket);
        assert!(self.until_ready(key, socket, Interest::Read).hangup);
        self.ring().close(socket);
    }
}

/// The far end of a connection.
pub(super) trait Peer {
    fn write(&mut self, bytes: &[u8]);
    /// Exactly so many bytes.
    fn read(&mut self, count: usize) -> Vec<u8>;
    /// Everything to the end of the stream.
    fn read_to_end(&mut self) -> Vec<u8>;
    fn finish(&mut self);
    fn reset(self);
}

pub(super) struct LiveStage {
    ring: UringRing,
    address: SocketAddr,
}

pub(super) struct SimStage {
    net: SimNet,
    ring: SimRing,
}

pub(super) struct SimPeer {
    net: SimNet,
    client: Client,
}

impl LiveStage {
    /// `None`, loudly, where the kernel has no such ring for us.
    pub(super) fn new(registered_slots: Option<u32>) -> Option<Self> {
        let capabilities = match registered_slots {
            Some(_) => super::available_with_table()?,
            None => super::available()?,
        };
        let options = ListenerOptions {
            send_buffer_bytes: 16 * 1024,
            ..ListenerOptions::default()
        };
        let listener =
            listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), &options).expect("loopback has ports");
        let address = listener.local_addr().expect("a listener has an address");
        let options = UringOptions {
            registered_slots,
            ..UringOptions::default()
        };
        let builder = UringBuilder::new(listener, &capabilities, options).expect("the probe passed");
        let ring = builder.start().expect("the ring was made");
        Some(Self { ring, address })
    }
}

impl LiveStage {
    pub(super) fn into_parts(self) -> (UringRing, SocketAddr) {
        (self.ring, self.address)
    }
}

impl Stage for LiveStage {
    type Ring = UringRing;
    type Peer = TcpStream;

    fn ring(&mut self) -> &mut UringRing {
        &mut self.ring
    }

    fn connect(&mut self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("the listener listens");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a socket has timeouts");
        stream
    }

    fn refuses(&mut self) -> bool {
        TcpStream::connect(self.address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    fn wait(&mut self, completions: &mut Vec<Completion>) -> Now {
        let before = completions.len();
        let now = self.ring.wait(Some(0), completions).expect("the ring works");
        if completions.len() > before {
            return now;
        }
        let deadline_ns = now.mono_ns + u64::try_from(PATIENCE.as_millis()).unwrap() * NS_PER_MS;
        let now = self
            .ring
            .wait(Some(deadline_ns), completions)
            .expect("the ring works");
        assert!(now.mono_ns < deadline_ns, "something happens");
        now
    }
}

impl Peer for TcpStream {
    fn write(&mut self, bytes: &[u8]) {
        self.write_all(bytes).expect("the connection holds");
    }

    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.read_exact(&mut bytes).expect("the bytes come");
        bytes
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(self, &mut bytes).expect("the end comes");
        bytes
    }

    fn finish(&mut self) {
        self.shutdown(Shutdown::Write).expect("the connection holds");
    }

    fn reset(self) {
        SockRef::from(&self)
            .set_linger(Some(Duration::ZERO))
            .expect("a socket has options");
    }
}

impl SimStage {
    pub(super) fn new() -> Self {
        let net = SimNet::new(1, Faults::default());
        Self {
            ring: net.ring(),
            net,
        }
    }
}

impl Stage for SimStage {
    type Ring = SimRing;
    type Peer = SimPeer;

    fn ring(&mut self) -> &mut SimRing {
        &mut self.ring
    }

    fn connect(&mut self) -> SimPeer {
        SimPeer {
            client: self.net.connect(0),
            net: self.net.clone(),
        }
    }

    fn refuses(&mut self) -> bool {
        self.connect().client.state() == ClientState::Reset
    }

    fn wait(&mut self, completions: &mut Vec<Completion>) -> Now {
        assert!(!self.net.is_idle(), "something happens");
        self.ring.wait(None, completions).expect("the ring works")
    }
}

impl Peer for SimPeer {
    fn write(&mut self, bytes: &[u8]) {
        assert_eq!(self.client.write(bytes), bytes.len(), "there is room");
    }

    fn read(&mut self, count: usize) -> Vec<u8> {
        self.client.set_pace(count);
        let mut bytes = Vec::new();
        assert_eq!(self.client.read(&mut bytes), count, "the bytes come");
        bytes
    }

    fn read_to_end(&mut self) -> Vec<u8> {
        self.client.set_pace(usize::MAX);
        let mut bytes = Vec::new();
        self.client.read(&mut bytes);
        assert_eq!(
            self.client.state(),
            ClientState::Ended,
            "the end comes at {:?}",
            self.net.now()
        );
        bytes
    }

    fn finish(&mut self) {
        self.client.finish();
    }

    fn reset(mut self) {
        self.client.reset();
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
