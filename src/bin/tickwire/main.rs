//! The `tickwire` command: parse, resolve, run.

mod args;
mod bench;
mod demo;
mod doctor;
mod echo;
mod plan;
mod publish;
mod serve;
mod signals;
mod sub;
mod text;

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Threads free what other threads allocated, and most of it is small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Args::parse().command {
        Command::Demo(demo) => exit("tickwire", demo::run(&demo)),
        Command::Serve(args) if args.check => exit("tickwire", serve::check(&args)),
        Command::Serve(args) => exit("tickwire", args.config().and_then(serve::run)),
        Command::Replay(args) => exit("tickwire", args.config().and_then(serve::run)),
        Command::Echo(echo) => exit("tickwire", echo::run(&echo)),
        Command::Bench(args) => exit("tickwire bench", bench::run(&args)),
        Command::Plan(args) => exit("tickwire", plan::run(&args)),
        Command::Doctor(args) => exit("tickwire", doctor::run(&args)),
        Command::Sub(args) => exit("tickwire sub", sub::run(&args)),
        Command::Pub(args) => exit("tickwire pub", publish::run(&args)),
    }
}

/// Says it on standard output. Whoever has stopped reading there has read enough.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// What went wrong is one line.
fn exit<E: Display>(name: &str, result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
