//! A server on fastwebsockets and tokio: in the fan-out two tasks a client, one that reads and one that writes.
//!
//! The library writes each frame to its stream at once, so that stream is buffered and flushed when everything that was
//! broadcast has been written: however many messages wait, they go out in one write. The echo is the library's own
//! example, with fragments put together.

use crate::{Args, Flush, Mode, handshake, on_tokio};
use bytes::Bytes;
use fastwebsockets::{
    FragmentCollector, FragmentCollectorRead, Frame, OpCode, Payload, Role, WebSocket, WebSocketError,
    after_handshake_split,
};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc::{Sender, channel};

/// The messages of one burst.
type Burst = Arc<[Bytes]>;

pub(crate) fn run(args: &Args) -> io::Result<()> {
    match args.mode {
        Mode::Echo => on_tokio::serve(args, |socket| ended(echo(socket))),
        Mode::Fanout => {
            let flush = args.flush;
            on_tokio::fan_out(args, make, move |socket, bursts| {
                ended(follow(socket, bursts, flush))
            })
        }
    }
}

/// A client that has gone or broken the protocol is no client any more; there is nothing else to it.
async fn ended(client: impl Future<Output = Result<(), WebSocketError>>) {
    let _why = client.await;
}

fn make(burst: &[String]) -> Burst {
    burst
        .iter()
        .map(|message| Bytes::copy_from_slice(message.as_bytes()))
        .collect()
}

async fn follow(
    mut socket: TcpStream,
    mut bursts: Receiver<Burst>,
    flush: Flush,
) -> Result<(), WebSocketError> {
    accept(&mut socket).await?;
    let (read_half, write_half) = socket.into_split();
    let (reader, mut writer) = after_handshake_split(read_half, BufWriter::new(write_half), Role::Server);
    let (owed, mut owing) = channel(OWED_FRAMES);
    let hearing = tokio::spawn(hear(FragmentCollectorRead::new(reader), owed));
    loop {
        tokio::select! {
            burst = on_tokio::next(&mut bursts) => {
                let Some(mut burst) = burst else { break };
                loop {
                    for message in burst.iter() {
                        writer.write_frame(Frame::text(Payload::Borrowed(message))).await?;
                        if flush == Flush::Each {
                            writer.flush().await?;
                        }
                    }
                    match on_tokio::another(&mut bursts) {
                        Some(another) => burst = another,
                        None => break,
                    }
                }
            }
            frame = owing.recv() => match frame {
                Some(frame) => writer.write_frame(frame).await?,
                None => break,
            },
        }
        writer.flush().await?;
    }
    hearing.abort();
    Ok(())
}

/// Reads until the client goes, and passes on what it is owed: pongs, and the answer to its close frame.
async fn hear(
    mut reader: FragmentCollectorRead<OwnedReadHalf>,
    owed: Sender<Frame<'static>>,
) -> Result<(), WebSocketError> {
    loop {
        let frame = reader.read_frame(&mut |frame| owed.send(frame)).await?;
        if frame.opcode == OpCode::Close {
            return Ok(());
        }
    }
}

async fn echo(mut socket: TcpStream) -> Result<(), WebSocketError> {
    accept(&mut socket).await?;
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(socket, Role::Server));
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
        }
    }
}

async fn accept(socket: &mut TcpStream) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        if socket.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((response, head_bytes)) = handshake::answer(&received)? {
            if head_bytes < received.len() {
                return Err(io::Error::other("a client must wait for the handshake's end"));
            }
            return socket.write_all(&response).await;
        }
    }
}

/// Frames that a client may be owed before it is no longer read from.
const OWED_FRAMES: usize = 8;
