//! What the servers on tokio have in common: the runtime, accepting clients, and the channel that bursts are broadcast through.
//!
//! A client that is more than [`LAG_BURSTS`] behind loses the oldest of them, which is what the channel does with
//! those who lag, and goes on with the next.

use crate::listen::listen;
use crate::{Args, feed};
use std::io;
use std::thread;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::broadcast::{Receiver, channel};

/// Gives every client to `client`, each as a task of its own.
pub(crate) fn serve<F>(args: &Args, client: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    runtime(args)?.block_on(accept(args, client))
}

/// Does the same with a receiver of what `make` makes of each burst of lines.
pub(crate) fn fan_out<B, F>(
    args: &Args,
    make: fn(&[String]) -> B,
    client: impl Fn(TcpStream, Receiver<B>) -> F + Send + 'static,
) -> io::Result<()>
where
    B: Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (bursts, _) = channel(LAG_BURSTS);
    let sender = bursts.clone();
    let copy = *args;
    thread::spawn(move || {
        if let Err(error) = serve(&copy, move |socket| client(socket, sender.subscribe())) {
            eprintln!("peers: {}: {error}", copy.listen);
            std::process::exit(1);
        }
    });
    feed::run(args.messages, |burst| {
        // An error says that nobody has connected.
        let _nobody = bursts.send(make(burst));
    })
}

/// The next burst; `None` when there will be no more.
pub(crate) async fn next<B: Clone>(bursts: &mut Receiver<B>) -> Option<B> {
    loop {
        match bursts.recv().await {
            Ok(burst) => return Some(burst),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Another burst, where there is one already.
pub(crate) fn another<B: Clone>(bursts: &mut Receiver<B>) -> Option<B> {
    loop {
        match bursts.try_recv() {
            Ok(burst) => return Some(burst),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
        }
    }
}

/// One thread needs none of what several must agree on.
fn runtime(args: &Args) -> io::Result<Runtime> {
    let mut builder = match args.threads.get() {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.worker_threads(args.threads.get()).enable_io().build()
}

async fn accept<F>(args: &Args, client: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = listen(args.listen)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(client(socket))),
            Err(error) => eprintln!("peers: a client is turned away: {error}"),
        }
    }
}

/// Bursts that a client may be behind.
pub(crate) const LAG_BURSTS: usize = 1024;
