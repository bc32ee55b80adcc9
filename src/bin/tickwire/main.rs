//! The `tickwire` command: parse, resolve, run.

mod args;
mod demo;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Threads free what other threads allocated, and most of it is small.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Demo(demo) => demo::run(&demo),
        Command::Serve(serve) => serve::run(&serve),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tickwire: {error}");
            ExitCode::FAILURE
        }
    }
}
