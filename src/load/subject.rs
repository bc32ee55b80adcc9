//! The server under load, as a process: started, watched and ended, where it is ours to start.
//!
//! Never leaves one behind that it has started. What cannot be read of a process is not told.

use super::error::LoadError;
use super::procfs::{self, Memory};
use crate::limits::LOAD_SERVER_STOP_MS;
use crate::ring::terminate;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::clock::Clock;

/// The server's process, if one is known.
#[derive(Debug)]
pub(super) struct Subject {
    child: Option<(Child, String)>,
    pid: Option<u32>,
}

/// What was seen at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Observation {
    pub(super) at_ns: u64,
    pub(super) memory: Option<Memory>,
    pub(super) cpu_ns: Option<u64>,
    pub(super) slabs: BTreeMap<String, u64>,
}

impl Subject {
    /// The process of this number, or none.
    pub(super) const fn known(pid: Option<u32>) -> Self {
        Self { child: None, pid }
    }

    /// Starts `command`, which is split into words as a shell splits them, with a pipe to its standard input.
    pub(super) fn start(command: &str) -> Result<(Self, Option<ChildStdin>), LoadError> {
        let words = shlex::split(command).ok_or_else(|| LoadError::Quote(command.to_owned()))?;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| LoadError::Quote(command.to_owned()))?;
        let spawned = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn();
        let mut child = spawned.map_err(|error| LoadError::Server {
            command: command.to_owned(),
            error,
        })?;
        let stdin = child.stdin.take();
        let pid = Some(child.id());
        let child = Some((child, command.to_owned()));
        Ok((Self { child, pid }, stdin))
    }

    pub(super) const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Fails when the server has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), LoadError> {
        if let Some((child, command)) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            return Err(LoadError::ServerEnded {
                command: command.clone(),
                status: status.to_string(),
            });
        }
        Ok(())
    }

    /// What can be seen now.
    pub(super) fn observe(&self, now_ns: u64) -> Observation {
        let read = |name: &str| {
            let pid = self.pid?;
            fs::read_to_string(format!("/proc/{pid}/{name}")).ok()
        };
        let rollup = read("smaps_rollup").and_then(|text| Memory::from_smaps_rollup(&text));
        let status = || read("status").and_then(|text| Memory::from_status(&text));
        let slabinfo = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
        Observation {
            at_ns: now_ns,
            memory: rollup.or_else(status),
            cpu_ns: self
                .cpu_ns()
                .or_else(|| read("stat").and_then(|text| procfs::cpu_ns(&text))),
            slabs: procfs::slabs(&slabinfo),
        }
    }

    /// What all threads of the process have run, where the kernel counts it. Threads that have ended are not in it: those
    /// of a server that matter do not.
    fn cpu_ns(&self) -> Option<u64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid?)).ok()?;
        threads
            .map(|thread| {
                let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
                procfs::thread_cpu_ns(&text)
            })
            .sum()
    }

    /// Asks the server that was started to end, waits for that, and does not wait for ever.
    pub(super) fn stop(&mut self, clock: &mut Clock) {
        let Some((mut child, _)) = self.child.take() else {
            return;
        };
        terminate(child.id());
        let patience_ns = clock.now_ns() + LOAD_SERVER_STOP_MS * NS_PER_MS;
        while let (Ok(None), true) = (child.try_wait(), clock.now_ns() < patience_ns) {
            if clock.wait_until(clock.now_ns() + 10 * NS_PER_MS).is_err() {
                break;
            }
        }
        let _ended = child.kill();
        let _reaped = child.wait();
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        if let Some((child, _)) = &mut self.child {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

const NS_PER_MS: u64 = 1_000_000;
