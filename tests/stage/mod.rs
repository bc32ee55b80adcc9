//! One shard on this thread, its tape's writer beside it, and clients on loopback: nothing happens but what the
//! test does, and the kernel is real.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tickwire::base::{Census, Now, Orders};
use tickwire::limits;
use tickwire::market::{Decimal, Side, Tick, Trade};
use tickwire::ring::uring::UringBell;
use tickwire::ring::{Bell as _, ListenerOptions, UringBuilder, UringOptions, UringRing, listen, probe};
use tickwire::shard::{Shard, Site, Size, Slack};
use tickwire::tape::{self, Shape};
use tickwire::writer::Sequencer;
use tickwire::writer::source::Event;

/// A shard and a writer.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) shard: Shard<UringRing>,
    pub(crate) census: Arc<Census>,
    sequencer: Sequencer,
    bell: UringBell,
    address: SocketAddr,
    published: u64,
}

/// A client that reads when it is told to.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Box<[u8]>,
    /// What was read and not taken.
    unread: Vec<u8>,
    /// Bytes read in all.
    pub(crate) bytes: u64,
    /// Whether the server's stream has ended.
    pub(crate) ended: bool,
}

impl Stage {
    /// A shard for so many connections on a tape of so many records; says so where there can be none.
    pub(crate) fn set(connections: usize, records: usize) -> Option<Self> {
        Self::sized(Size::feed(connections, 4), records, &ListenerOptions::default())
    }

    /// A shard of this size, whose clients' sockets are like this.
    pub(crate) fn sized(size: Size, records: usize, options: &ListenerOptions) -> Option<Self> {
        let capabilities = match probe() {
            Ok(capabilities) => capabilities,
            Err(unavailable) => {
                println!("SKIPPED: {unavailable}");
                return None;
            }
        };
        let shape = Self::shape(records);
        let (writer, mut readers) = tape::new(&shape).expect("a tape of this shape");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen(any_port, options).expect("a listener");
        let address = listener.local_addr().expect("a listener has an address");
        let builder = UringBuilder::new(listener, &capabilities, UringOptions::default()).expect("a ring");
        let bell = builder.doorbell();
        let ring = builder.start().expect("the ring begins on this thread");
        let census = Arc::new(Census::default());
        let reader = readers.pop().expect("one reader");
        // The times of what is published are not the machine's.
        let site = Site::new(0, "stage".into()).with_slack(Slack::UNBOUNDED);
        let shard = Shard::new(
            ring,
            reader,
            size,
            site,
            Arc::clone(&census),
            Arc::new(Orders::default()),
        );
        Some(Self {
            shard,
            census,
            sequencer: Sequencer::new(writer),
            bell,
            address,
            published: 0,
        })
    }

    /// A client that has subscribed to `channels` and read everything so far.
    pub(crate) fn client(&mut self, channels: &str) -> Client {
        let mut stream = TcpStream::connect(self.address).expect("the backlog has room");
        let request = format!(
            "GET /v1/ws?ch={channels} HTTP/1.1\r\nHost: stage\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .expect("a request fits into a socket");
        stream
            .set_nonblocking(true)
            .expect("a socket can be told not to wait");
        let mut client = Client {
            stream,
            buffer: vec![0; 64 * 1024].into(),
            unread: Vec::new(),
            bytes: 0,
            ended: false,
        };
        self.turn_until("a greeting", || {
            client.read();
            client.unread.windows(ACK.len()).any(|window| window == ACK)
        });
        client
    }

    /// The tape of a stage with so many records.
    pub(crate) fn shape(records: usize) -> Shape {
        Shape {
            records,
            track_bytes: vec![limits::TRACK_BYTES_MIN],
            readers: 1,
        }
    }

    /// Connects, sends `bytes`, and does not wait for anything. Little is received before it is read.
    pub(crate) fn knock(&self, bytes: &[u8]) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        socket
            .connect(&self.address.into())
            .expect("the backlog has room");
        let mut stream = TcpStream::from(socket);
        stream.write_all(bytes).expect("a request fits into a socket");
        stream
            .set_nonblocking(true)
            .expect("a socket can be told not to wait");
        Client {
            stream,
            buffer: vec![0; 64 * 1024].into(),
            unread: Vec::new(),
            bytes: 0,
            ended: false,
        }
    }

    /// Puts a message with so many bytes of text on the channel `note:X`. The shard is not told.
    pub(crate) fn publish(&mut self, bytes: usize) {
        let data = format!("\"{}\"", "x".repeat(bytes));
        self.put("note:X", Tick::Message(&data));
    }

    /// Puts a trade on the channel `trade:X`. The shard is not told.
    pub(crate) fn publish_trade(&mut self) {
        let trade = Trade {
            price: Decimal::new(6_168_599, -2),
            size: Decimal::new(1, -5),
            side: Side::Buy,
            id: "",
        };
        self.put("trade:X", Tick::Trade(trade));
    }

    fn put(&mut self, channel: &str, tick: Tick<'_>) {
        self.published += 1;
        let now = Now {
            mono_ns: self.published,
            wall_ns: 1_723_161_600_000_000_000 + self.published,
        };
        let event = Event {
            channel,
            ts_ns: now.wall_ns,
            tick,
        };
        self.sequencer.publish(&event, now).expect("a proper event");
        while self.sequencer.settle().is_err() {
            // As long as anybody has subscribed, the shard holds on to what it has not been told to let go of.
            self.turn();
        }
    }

    /// How many records the test has put on the tape.
    pub(crate) fn published(&self) -> u64 {
        self.published
    }

    /// One turn, which has something to wake up for.
    pub(crate) fn turn(&mut self) {
        self.wake();
        self.shard.turn().expect("the ring is whole");
    }

    /// Rings for the shard, so that its next turn does not wait.
    pub(crate) fn wake(&mut self) {
        self.sequencer.wake_readers(|_| {});
        self.bell.ring();
    }

    /// Turns until something is so.
    pub(crate) fn turn_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let patience = Patience::begin();
        while !is_so() {
            self.turn();
            patience.check(what);
        }
        self.shard.invariants();
    }
}

impl Client {
    /// Reads whatever there is. `false` when nothing is.
    pub(crate) fn read(&mut self) -> bool {
        let before = self.bytes;
        loop {
            match self.stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.ended = true;
                    return self.bytes > before;
                }
                Ok(count) => {
                    self.bytes += count as u64;
                    self.unread.extend_from_slice(&self.buffer[..count]);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return self.bytes > before,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.ended = true;
                    return self.bytes > before;
                }
                Err(error) => panic!("receive: {error}"),
            }
        }
    }

    /// Sends what fits into its socket, and says how much that was.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> usize {
        self.stream.write(bytes).unwrap_or(0)
    }

    /// What it has read and not taken, as it came.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Takes the texts of all whole frames that it has read.
    pub(crate) fn take(&mut self) -> Vec<String> {
        let mut frames = Vec::new();
        let mut rest = &self.unread[..];
        while let Some((text, after)) = first_frame(rest) {
            frames.push(text.to_owned());
            rest = after;
        }
        self.unread = rest.to_vec();
        frames
    }

    /// Forgets what it has read.
    pub(crate) fn forget(&mut self) {
        self.unread.clear();
    }
}

/// A text frame of at most 65,535 bytes, and what comes after it.
fn first_frame(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    assert_eq!(first, 0x81, "a final text frame");
    let (&short, rest) = rest.split_first()?;
    let (len, rest) = if short == 126 {
        let (len, rest) = rest.split_first_chunk()?;
        (u16::from_be_bytes(*len).into(), rest)
    } else {
        (usize::from(short), rest)
    };
    let (text, after) = rest.split_at_checked(len)?;
    Some((std::str::from_utf8(text).expect("text is UTF-8"), after))
}

/// Turns a hang into a failure.
#[derive(Debug)]
pub(crate) struct Patience {
    begun: Instant,
}

impl Patience {
    #[expect(
        clippy::disallowed_methods,
        reason = "bounds a wait for the kernel; nothing depends on it"
    )]
    pub(crate) fn begin() -> Self {
        Self {
            begun: Instant::now(),
        }
    }

    pub(crate) fn check(&self, what: &str) {
        assert!(
            self.begun.elapsed() < Duration::from_secs(120),
            "{what}: still waiting"
        );
    }
}

const ACK: &[u8] = b"{\"t\":\"ack\"";
