//! The built binary as a process of its own, which ends with the test.

use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use super::DEADLINE;

/// A running `tickwire`.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stderr: Receiver<String>,
    /// What it has said so far on standard error.
    said: Vec<String>,
}

/// A `tickwire` that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts the binary with these arguments, separated by spaces.
    pub(crate) fn start(arguments: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments.split_whitespace());
        Self::spawn(&mut command)
    }

    /// Starts the binary as `command` says.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        command.env_remove("RUST_LOG");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary is built");
        let stderr = lines(child.stderr.take().expect("piped"));
        Self {
            child,
            stderr,
            said: Vec::new(),
        }
    }

    /// The address it says that it serves on.
    pub(crate) fn address(&mut self) -> SocketAddr {
        address_in(&self.line("serving on ws://"))
    }

    /// A server where there was one, once the kernel has let go of the listener of that: what waits in a ring outlives its
    /// process by a moment. Gives the address that it serves on as well.
    pub(crate) fn again(start: impl Fn() -> Self) -> (Self, SocketAddr) {
        loop {
            let mut server = start();
            let line = loop {
                let line = server.line("");
                if line.contains("serving on ws://") || line.contains("the address is in use") {
                    break line;
                }
            };
            if line.contains("serving on ws://") {
                return (server, address_in(&line));
            }
            server.wait();
        }
    }

    /// The next line that it says with `part` in it.
    pub(crate) fn line(&mut self, part: &str) -> String {
        loop {
            let Ok(line) = self.stderr.recv_timeout(DEADLINE) else {
                panic!("it never said {part:?}, but: {:#?}", self.said);
            };
            self.said.push(line);
            let line = &self.said[self.said.len() - 1];
            if line.contains(part) {
                return line.clone();
            }
        }
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("taken once")
    }

    /// What it has said, as far as it was read.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(kill.expect("kill is everywhere").success());
    }

    /// A number that the kernel states about its memory, in bytes: `VmRSS`, `VmHWM`, `RssAnon` or another.
    pub(crate) fn memory(&self, field: &str) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("a child's status can be read");
        let kibibytes = status
            .lines()
            .filter_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
            .find_map(|value| value.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kibibytes.unwrap_or_else(|| panic!("no {field} in {status}")) * 1024
    }

    /// How many descriptors it holds.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        std::fs::read_dir(folder)
            .expect("a child's descriptors can be listed")
            .count()
    }

    /// Waits for its end; it is to come by itself.
    pub(crate) fn wait(mut self) -> Ended {
        // Its standard error ends when it does.
        loop {
            match self.stderr.recv_timeout(DEADLINE) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end, but said: {:#?}", self.said),
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        Ended {
            status,
            stderr: self.said.join("\n"),
        }
    }
}

/// Any port of an address of this machine that nobody else uses: while no server listens there, a connection from
/// elsewhere could take the port, or the client's own could meet itself.
pub(crate) fn own_host(number: u8) -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{high}.{low}:0", 100 + number)
}

/// The address in the line that says where a server serves.
fn address_in(line: &str) -> SocketAddr {
    let (address, _path) = line
        .trim_start_matches("serving on ws://")
        .split_once('/')
        .unwrap_or_else(|| panic!("{line} names no path"));
    address.parse().unwrap_or_else(|error| panic!("{error}: {line}"))
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary to its end, which is to come by itself.
pub(crate) fn run(arguments: &str) -> Ended {
    Process::start(arguments).wait()
}

fn lines(stderr: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Whoever started the process may be gone already.
            let _ = sender.send(line);
        }
    });
    receiver
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tickwire");
