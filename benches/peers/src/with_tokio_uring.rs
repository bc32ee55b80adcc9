//! A server on tokio-uring by itself: one runtime and one listener a thread, two tasks a client in the fan-out.
//!
//! It has no WebSocket of its own, so frames and handshake are tickwire's. A burst is framed once, as one piece of memory that
//! every client's task writes from; bursts that have gathered are joined to one write.

use crate::listen::listen;
use crate::{Args, Mode, feed, handshake, messages, on_tokio};
use bytes::Bytes;
use std::fmt::Debug;
use std::io;
use std::net::{Shutdown, TcpListener as StdListener};
use std::rc::Rc;
use std::thread;
use tickwire::wire::{Event, Phase, ServerSession};
use tokio::sync::{broadcast, mpsc};
use tokio_uring::buf::BoundedBuf;
use tokio_uring::net::{TcpListener, TcpStream};

pub(crate) fn run(args: &Args) -> io::Result<()> {
    let (bursts, _) = broadcast::channel(on_tokio::LAG_BURSTS);
    let mut threads = Vec::new();
    for _ in 0..args.threads.get() {
        let listener = listen(args.listen)?;
        let bursts = (args.mode == Mode::Fanout).then(|| bursts.clone());
        let read_bytes = args.read_buffer;
        threads.push(thread::spawn(move || {
            serve(listener, bursts.as_ref(), read_bytes)
        }));
    }
    match args.mode {
        Mode::Echo => threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread died")))
        }),
        Mode::Fanout => feed::run(args.messages, |burst| {
            // An error says that nobody has connected.
            let _nobody = bursts.send(Bytes::from(messages::framed(burst)));
        }),
    }
}

fn serve(
    listener: StdListener,
    bursts: Option<&broadcast::Sender<Bytes>>,
    read_bytes: usize,
) -> io::Result<()> {
    let mut uring = tokio_uring::uring_builder();
    uring.setup_single_issuer().setup_coop_taskrun();
    let mut builder = tokio_uring::builder();
    builder.entries(ENTRIES).uring_builder(&uring);
    builder.start(async move {
        let listener = TcpListener::from_std(listener);
        loop {
            match listener.accept().await {
                Ok((socket, _)) => drop(match bursts {
                    Some(bursts) => tokio_uring::spawn(ended(follow(Rc::new(socket), bursts.subscribe()))),
                    None => tokio_uring::spawn(ended(echo(socket, read_bytes))),
                }),
                Err(error) => eprintln!("peers: a client is turned away: {error}"),
            }
        }
    })
}

/// A client that has gone or broken the protocol is no client any more; there is nothing else to it.
async fn ended(client: impl Future<Output = io::Result<()>>) {
    let _why = client.await;
}

async fn follow(socket: Rc<TcpStream>, mut bursts: broadcast::Receiver<Bytes>) -> io::Result<()> {
    let inbound = Inbound::accept(&socket, QUIET_READ_BYTES).await?;
    let (owed, mut owing) = mpsc::channel(OWED_REPLIES);
    let heard = Rc::clone(&socket);
    tokio_uring::spawn(ended(async move {
        let owe = async |replies| {
            let owed = owed.send(Bytes::from(replies)).await;
            owed.map(|()| Vec::new()).map_err(other)
        };
        let told = inbound.hear(&heard, false, owe).await;
        // A read is not given up by dropping it, so it is this task that learns that the client has gone.
        heard.shutdown(Shutdown::Both)?;
        told
    }));
    loop {
        let bytes = tokio::select! {
            burst = on_tokio::next(&mut bursts) => match burst {
                Some(first) => joined(first, &mut bursts),
                None => break,
            },
            replies = owing.recv() => match replies {
                Some(replies) => replies,
                None => break,
            },
        };
        socket.write_all(bytes).await.0?;
    }
    Ok(())
}

/// The burst and all that have gathered behind it.
fn joined(first: Bytes, bursts: &mut broadcast::Receiver<Bytes>) -> Bytes {
    let Some(second) = on_tokio::another(bursts) else {
        return first;
    };
    let mut all = [first, second].concat();
    while let Some(another) = on_tokio::another(bursts) {
        all.extend_from_slice(&another);
    }
    all.into()
}

async fn echo(socket: TcpStream, read_bytes: usize) -> io::Result<()> {
    let inbound = Inbound::accept(&socket, read_bytes).await?;
    let answer = async |replies| {
        let (written, replies) = socket.write_all(replies).await;
        written.map(|()| replies)
    };
    inbound.hear(&socket, true, answer).await
}

/// What a client sends, as it comes in.
struct Inbound {
    session: ServerSession,
    buffer: Vec<u8>,
    /// Bytes at the buffer's front that have not been decoded.
    held: usize,
}

impl Inbound {
    /// Shakes hands.
    async fn accept(socket: &TcpStream, read_bytes: usize) -> io::Result<Self> {
        let mut inbound = Self {
            session: ServerSession::new(MESSAGE_BYTES_MAX),
            buffer: vec![0; read_bytes],
            held: 0,
        };
        loop {
            let filled = inbound.read(socket).await?;
            let Some((response, head_bytes)) = handshake::answer(&inbound.buffer[..filled])? else {
                inbound.held = filled;
                continue;
            };
            if head_bytes < filled {
                return Err(io::Error::other("a client must wait for the handshake's end"));
            }
            inbound.held = 0;
            socket.write_all(response).await.0?;
            return Ok(inbound);
        }
    }

    /// Reads until the client goes. What it is owed is given to `send`, which gives the memory back.
    async fn hear(
        mut self,
        socket: &TcpStream,
        echoes: bool,
        mut send: impl AsyncFnMut(Vec<u8>) -> io::Result<Vec<u8>>,
    ) -> io::Result<()> {
        let mut replies = Vec::new();
        while self.session.phase() == Phase::Open {
            let filled = self.read(socket).await?;
            let mut decoder = self.session.decode(&mut self.buffer[..filled]);
            while let Some((event, sender)) = decoder.next().map_err(other)? {
                match event {
                    Event::Text(text) if echoes => sender.text(text, &mut replies),
                    Event::Binary(bytes) if echoes => sender.binary(bytes, &mut replies),
                    Event::Text(_) | Event::Binary(_) | Event::Pong(_) => Ok(()),
                    Event::Ping(payload) => sender.pong(payload, &mut replies),
                    Event::Close(close) => sender.close(close, &mut replies),
                }
                .map_err(other)?;
            }
            self.held = decoder.finish();
            if !replies.is_empty() {
                replies = send(replies).await?;
                replies.clear();
            }
        }
        Ok(())
    }

    /// Receives behind what is held, and says how much there is now.
    async fn read(&mut self, socket: &TcpStream) -> io::Result<usize> {
        if self.held == self.buffer.len() {
            self.buffer.resize(2 * self.held, 0);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let (read, slice) = socket.read(buffer.slice(self.held..)).await;
        self.buffer = slice.into_inner();
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(self.held + read),
        }
    }
}

fn other(error: impl Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

const MESSAGE_BYTES_MAX: u32 = 1 << 20;
const QUIET_READ_BYTES: usize = 1024;
/// Replies that a client may be owed before it is no longer read from.
const OWED_REPLIES: usize = 8;
/// Of the ring: more than it needs between two submissions, so that it submits when it has nothing else to do.
const ENTRIES: u32 = 4096;
