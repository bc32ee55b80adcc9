//! Servers to measure tickwire beside: the floor, which sends bytes and does nothing else, and small servers on
//! libraries that others wrote, each as its users would write it who care for speed.
//!
//! An echo sends every message back. A fan-out reads lines on standard input and sends each as one text message to every
//! client that is connected. Both run until they are ended. `benches/compare` drives them.

mod feed;
mod floor;
mod handshake;
mod listen;
mod messages;
mod on_tokio;
mod with_fastwebsockets;
mod with_tokio_uring;
mod with_tungstenite;

use clap::{Parser, ValueEnum};
use messages::Form;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// The allocator of tickwire's binary, so that none of the differences is the allocator's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Servers to measure tickwire beside.
#[derive(Clone, Copy, Debug, Parser)]
#[command(version)]
struct Args {
    /// Which server.
    server: Server,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9002", value_name = "ADDR")]
    listen: SocketAddr,
    /// What it offers.
    #[arg(long, value_name = "echo|fanout")]
    mode: Mode,
    /// Threads that serve clients.
    #[arg(long, default_value = "1", value_name = "N")]
    threads: NonZeroUsize,
    /// What a fan-out sends: each line as it is read, or what tickwire makes of it.
    #[arg(long, default_value = "line", value_name = "line|tickwire")]
    messages: Form,
    /// How a fan-out on tokio-tungstenite or fastwebsockets writes: all that waits at once, or each message by itself, as
    /// the libraries' own examples do.
    #[arg(long, default_value = "all", value_name = "all|each")]
    flush: Flush,
    /// Bytes of an echo's read buffer, where the library has it to choose.
    #[arg(long, default_value_t = 32 * 1024, value_name = "BYTES")]
    read_buffer: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Server {
    /// Bare send(2) to one socket after the other; its echo is bare epoll, recv(2) and send(2).
    FloorSend,
    /// Bare io_uring, 2,048 sends a submission; it has no echo.
    FloorUring,
    /// tokio-uring by itself, one runtime a thread; frames and handshake are tickwire's.
    TokioUring,
    /// tokio-tungstenite on tokio.
    TokioTungstenite,
    /// fastwebsockets on tokio; the handshake is tickwire's.
    Fastwebsockets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Flush {
    /// When everything that waits has been fed.
    All,
    /// After each message.
    Each,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Sends every message back.
    Echo,
    /// Sends the lines of standard input to everybody.
    Fanout,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match (args.server, args.mode) {
        (Server::FloorSend, Mode::Fanout) => floor::fan_out(&args, floor::send::Sends::new),
        (Server::FloorUring, Mode::Fanout) => floor::fan_out(&args, floor::uring::Sends::new),
        (Server::FloorSend, Mode::Echo) => floor::echo::run(&args),
        (Server::FloorUring, Mode::Echo) => Err(std::io::Error::other(
            "floor-uring has no echo; floor-send has one: --mode echo floor-send",
        )),
        (Server::TokioUring, _) => with_tokio_uring::run(&args),
        (Server::TokioTungstenite, _) => with_tungstenite::run(&args),
        (Server::Fastwebsockets, _) => with_fastwebsockets::run(&args),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {}: {error}", args.listen);
            ExitCode::FAILURE
        }
    }
}
