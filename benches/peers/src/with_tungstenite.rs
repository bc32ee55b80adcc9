//! A server on tokio-tungstenite: one task a client.
//!
//! The messages of a burst are made once and broadcast together; a clone of one is a reference to it. A client's task feeds
//! all that has been broadcast since it ran last and then flushes, so that however many messages wait, they go out
//! in one write. The echo does the same with what its client has sent.

use crate::{Args, Flush, Mode, on_tokio};
use futures_util::{FutureExt, SinkExt, StreamExt};
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::broadcast::Receiver;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};

/// The messages of one burst.
type Burst = Arc<[Utf8Bytes]>;

pub(crate) fn run(args: &Args) -> io::Result<()> {
    match args.mode {
        Mode::Echo => {
            let read_bytes = args.read_buffer;
            on_tokio::serve(args, move |socket| ended(echo(socket, read_bytes)))
        }
        Mode::Fanout => {
            let flush = args.flush;
            on_tokio::fan_out(args, make, move |socket, bursts| {
                ended(follow(socket, bursts, flush))
            })
        }
    }
}

/// A client that has gone or broken the protocol is no client any more; there is nothing else to it.
async fn ended(client: impl Future<Output = Result<(), Error>>) {
    let _why = client.await;
}

fn make(burst: &[String]) -> Burst {
    burst
        .iter()
        .map(|message| Utf8Bytes::from(message.as_str()))
        .collect()
}

async fn follow(socket: TcpStream, mut bursts: Receiver<Burst>, flush: Flush) -> Result<(), Error> {
    // Its documentation advises small buffers where there are many clients that say little.
    let config = WebSocketConfig::default().read_buffer_size(QUIET_READ_BYTES);
    let mut socket = accept_async_with_config(socket, Some(config)).await?;
    loop {
        tokio::select! {
            burst = on_tokio::next(&mut bursts) => {
                let Some(burst) = burst else { return Ok(()) };
                feed(&mut socket, &burst, flush).await?;
                while let Some(burst) = on_tokio::another(&mut bursts) {
                    feed(&mut socket, &burst, flush).await?;
                }
                socket.flush().await?;
            }
            said = socket.next() => match said {
                Some(said) => drop(said?),
                None => return Ok(()),
            },
        }
    }
}

async fn feed(socket: &mut WebSocketStream<TcpStream>, burst: &Burst, flush: Flush) -> Result<(), Error> {
    for message in burst.iter() {
        socket.feed(Message::Text(message.clone())).await?;
        if flush == Flush::Each {
            socket.flush().await?;
        }
    }
    Ok(())
}

async fn echo(socket: TcpStream, read_bytes: usize) -> Result<(), Error> {
    // The whole buffer is filled with zeros for each read, so one that is much longer than what comes is dear.
    let config = WebSocketConfig::default().read_buffer_size(read_bytes);
    let mut socket = accept_async_with_config(socket, Some(config)).await?;
    while let Some(said) = socket.next().await {
        answer(&mut socket, said?).await?;
        while let Some(said) = socket.next().now_or_never() {
            let Some(said) = said else { return Ok(()) };
            answer(&mut socket, said?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

/// Pings it answers by itself.
async fn answer(socket: &mut WebSocketStream<TcpStream>, said: Message) -> Result<(), Error> {
    if said.is_text() || said.is_binary() {
        socket.feed(said).await?;
    }
    Ok(())
}

const QUIET_READ_BYTES: usize = 4096;
