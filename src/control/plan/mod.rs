//! The plan of a server's memory: every table, pool, ring and stack, with how many there are and what each costs.
//!
//! Never measures: a plan is the most that the server takes, whatever clients do, and what is not used of it costs
//! address space only. Invariant: its total is the sum of its lines, and each line is what the one who reserves that
//! memory says of it. What the kernel takes is an estimate and no part of the total.

mod report;

use std::fmt;

use super::config::most;
use super::history::CHANNEL_BYTES;
use super::{Bytes, Machine, Purpose, Resolved, StartError};
use crate::base::cost::{self, Cost, Part};
use crate::dialect::errand;
use crate::limits;
use crate::shard;
use crate::tape::TRACK;
use crate::writer::sequencer::KEY_BYTES;
use crate::writer::{ingest, journal};

/// What a server's memory may come to.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What it is a plan of.
    resolved: Resolved,
    costs: Vec<Cost>,
}

/// The plan comes to more than there may be. Shown as one line with the cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryShortage {
    /// What the plan comes to.
    pub planned: Bytes,
    /// What there may be.
    pub allowed: Bytes,
    /// Who says so.
    pub source: String,
    /// So many connections would fit.
    pub connections: usize,
}

impl Plan {
    /// The plan of this server.
    #[must_use]
    pub fn of(resolved: &Resolved) -> Self {
        let per_shard = resolved.size().costs();
        let rings = resolved.ring_options().costs();
        let in_each = per_shard.into_iter().chain(rings);
        let mut costs: Vec<Cost> = in_each.map(|cost| cost.times(resolved.shards)).collect();
        costs.extend(tape(resolved));
        let threads = match &resolved.purpose {
            Purpose::Feed(_) => resolved.shards + WRITER,
            Purpose::Echo { .. } => resolved.shards,
        };
        costs.push(Cost::new(Part::Stacks, "threads", threads, limits::STACK_BYTES));
        if let Purpose::Feed(config) = &resolved.purpose
            && config.journal.is_some()
        {
            costs.push(Cost::new(
                Part::Working,
                "journal's batch",
                1,
                journal::memory_bytes(),
            ));
        }
        if let Purpose::Feed(config) = &resolved.purpose {
            costs.extend(errand::costs(resolved.shards));
            costs.push(Cost::new(
                Part::Working,
                "history of channels",
                limits::CHANNELS_MAX,
                CHANNEL_BYTES,
            ));
            if config.admin.is_some() {
                costs.push(Cost::new(
                    Part::Working,
                    "admin's connections",
                    limits::ADMIN_CONNECTIONS_MAX,
                    limits::ADMIN_ANSWER_BYTES + 2 * limits::ADMIN_HEAD_BYTES_MAX,
                ));
            }
            costs.push(Cost::new(
                Part::Pools,
                "keys of messages",
                config.publishers.count() * limits::KEYS_PER_PUBLISHER_MAX,
                KEY_BYTES,
            ));
            if !config.ingest.is_empty() {
                costs.push(Cost::new(
                    Part::Working,
                    "lines coming in",
                    1,
                    ingest::memory_bytes(),
                ));
            }
        }
        costs.push(Cost::new(
            Part::Program,
            "process (allowance)",
            1,
            limits::PROGRAM_BYTES,
        ));
        costs.sort_by_key(|cost| cost.part);
        Self {
            resolved: resolved.clone(),
            costs,
        }
    }

    /// Its lines, part by part.
    #[must_use]
    pub fn costs(&self) -> &[Cost] {
        &self.costs
    }

    /// What it comes to.
    #[must_use]
    pub fn total(&self) -> Bytes {
        Bytes::of(cost::sum(&self.costs))
    }

    /// What one of its parts comes to.
    #[must_use]
    pub fn part(&self, part: Part) -> Bytes {
        let costs = self.costs.iter().filter(|cost| cost.part == part);
        Bytes::of(costs.map(Cost::bytes).fold(0, usize::saturating_add))
    }

    /// What an idle connection with one subscription takes of it, at most.
    #[must_use]
    pub fn idle_connection(&self) -> Bytes {
        Bytes::of(match self.resolved.purpose {
            Purpose::Feed(_) => shard::IDLE_CONNECTION_BYTES,
            Purpose::Echo { .. } => shard::SLOT_BYTES,
        })
    }

    /// What all connections take in the kernel while they are idle: an estimate.
    #[must_use]
    pub fn kernel_idle(&self) -> Bytes {
        Bytes::of(limits::KERNEL_CONNECTION_BYTES.saturating_mul(self.resolved.connections))
    }

    /// What the socket of a client that reads nothing may take in the kernel on top of that, once its send buffer is
    /// full: the kernel doubles what it is asked for.
    #[must_use]
    pub fn kernel_send_buffer(&self) -> Bytes {
        Bytes(2 * u64::from(self.resolved.listener.send_buffer_bytes))
    }

    /// Holds the plan against what was allowed, and against what every kernel allows.
    ///
    /// # Errors
    /// When it comes to more.
    pub fn check(&self) -> Result<(), StartError> {
        self.resolved.check_table().map_err(StartError::Table)?;
        self.check_memory().map_err(StartError::Memory)
    }

    /// Holds the plan against what was allowed.
    ///
    /// # Errors
    /// When it comes to more.
    pub fn check_memory(&self) -> Result<(), MemoryShortage> {
        let Some(allowed) = self.resolved.memory.filter(|allowed| self.total() > *allowed) else {
            return Ok(());
        };
        let fits = |connections| self.resolved.with_connections(connections).plan().total() <= allowed;
        Err(MemoryShortage {
            planned: self.total(),
            allowed,
            source: OPTION.to_owned(),
            connections: most(self.resolved.connections, fits),
        })
    }

    /// Why it may be more than this machine has: the plan, and the kernel's part while every connection is idle. A
    /// server starts all the same, for it is the most that there may be, and seldom all of it is used; `None` where it
    /// fits or the machine does not say what it has.
    #[must_use]
    pub fn beyond(&self, machine: &Machine<'_>) -> Option<MemoryShortage> {
        let room = machine.memory()?;
        let need = |plan: &Self| plan.total().0.saturating_add(plan.kernel_idle().0);
        let fits = |connections| need(&self.resolved.with_connections(connections).plan()) <= room.bytes.0;
        (need(self) > room.bytes.0).then(|| MemoryShortage {
            planned: Bytes(need(self)),
            allowed: room.bytes,
            source: room.source,
            connections: most(self.resolved.connections, fits),
        })
    }
}

/// What the tape costs, each track under the name of what it holds.
fn tape(resolved: &Resolved) -> Vec<Cost> {
    let mut costs = resolved.shape.costs();
    if let Purpose::Feed(config) = &resolved.purpose {
        let tracks = costs.iter_mut().filter(|cost| cost.what == TRACK);
        for (cost, name) in tracks.zip(config.formats().names()) {
            cost.what = name;
        }
    }
    costs
}

impl fmt::Display for MemoryShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            planned,
            allowed,
            source,
            connections,
        } = self;
        write!(
            f,
            "the plan comes to {planned} of memory, and {source} allows {allowed}; "
        )?;
        match connections {
            0 => write!(f, "choose a shorter tape, shorter messages or fewer shards")?,
            _ => write!(f, "serve fewer connections (--connections {connections} fits)")?,
        }
        write!(
            f,
            ", or allow as much: --memory {} (tickwire plan shows every line)",
            planned.argument()
        )
    }
}

impl std::error::Error for MemoryShortage {}

/// The thread that publishes.
const WRITER: usize = 1;
const OPTION: &str = "--memory";

#[cfg(test)]
mod tests;
