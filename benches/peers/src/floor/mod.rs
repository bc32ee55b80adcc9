//! The floor: the same bytes to the same sockets, and nothing else.
//!
//! It never reads from a client once that is connected, knows no channels, answers no ping and keeps no place for who
//! reads slowly: it waits for that one, and all others with it. What a server costs beyond this is what it does for it.

pub(crate) mod echo;
pub(crate) mod send;
pub(crate) mod uring;

use crate::{Args, feed, handshake, messages};
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;
use tickwire::ring::{ListenerOptions, listen};

/// A way to send the same bytes to many sockets, which do not block.
pub(crate) trait Crowd {
    /// Sends all bytes to every socket. Those that cannot be sent to any more are dropped.
    fn send_all(&mut self, sockets: &mut Vec<TcpStream>, bytes: &[u8]) -> io::Result<()>;
}

/// What a thread that sends is told.
enum Job {
    Join(TcpStream),
    Send(Arc<[u8]>),
}

/// Reads lines and sends them to everybody who has connected, who are dealt out to the threads.
pub(crate) fn fan_out<C: Crowd + 'static>(args: &Args, crowd: fn() -> io::Result<C>) -> io::Result<()> {
    // The sockets are made as tickwire's are: the same options, so the same work for the kernel.
    let listener = listen(args.listen, &ListenerOptions::default())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut threads = Vec::new();
    for _ in 0..args.threads.get() {
        let (jobs, received) = channel();
        threads.push(jobs);
        thread::spawn(move || match crowd().and_then(|crowd| work(crowd, &received)) {
            Ok(()) => {}
            Err(error) => eprintln!("peers: the floor has given way: {error}"),
        });
    }
    let joins = threads.clone();
    thread::spawn(move || admit(&listener, &joins));
    feed::run(args.messages, |burst| {
        let bytes: Arc<[u8]> = messages::framed(burst).into();
        for thread in &threads {
            // A thread that has ended has said why.
            let _ended = thread.send(Job::Send(Arc::clone(&bytes)));
        }
    })
}

fn work(mut crowd: impl Crowd, jobs: &Receiver<Job>) -> io::Result<()> {
    let mut sockets = Vec::new();
    for job in jobs {
        match job {
            Job::Join(socket) => sockets.push(socket),
            Job::Send(bytes) => crowd.send_all(&mut sockets, &bytes)?,
        }
    }
    Ok(())
}

fn admit(listener: &TcpListener, threads: &[Sender<Job>]) {
    for thread in threads.iter().cycle() {
        match listener.accept().and_then(|(socket, _)| welcome(socket)) {
            Ok(socket) => {
                let _ended = thread.send(Job::Join(socket));
            }
            Err(error) => eprintln!("peers: a client is turned away: {error}"),
        }
    }
}

fn welcome(mut socket: TcpStream) -> io::Result<TcpStream> {
    socket.set_read_timeout(Some(PATIENCE))?;
    handshake::accept(&mut socket)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Sends the rest to a socket that has taken what it has room for, waiting until there is room again.
fn send_rest(socket: &mut TcpStream, rest: &[u8]) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.write_all(rest)?;
    socket.set_nonblocking(true)
}

/// For a client's handshake.
const PATIENCE: Duration = Duration::from_secs(5);
