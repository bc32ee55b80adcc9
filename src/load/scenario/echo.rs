//! Messages there and back: how many, how long each takes, and what it costs the server.

use super::{ANSWERS, connections, per_second as per_second_of, server, settings};
use crate::load::conductor::{Conductor, Watch};
use crate::load::echoer::{Echoer, Rhythm};
use crate::load::error::LoadError;
use crate::load::line::Group;
use crate::load::plan::Plan;
use crate::load::report::{Figure, Report, Section};
use crate::load::tally::Phase;
use crate::load::template::Template;
use crate::load::windows::Row;
use std::time::Duration;

/// Messages to a server that sends each back.
#[derive(Clone, Debug)]
pub struct Echo {
    /// What is said.
    pub message: Template,
    /// When it is said.
    pub asking: Asking,
    /// How long messages are sent before they count.
    pub warmup: Duration,
    /// How long they count.
    pub duration: Duration,
}

/// When messages are sent.
#[derive(Clone, Copy, Debug)]
pub enum Asking {
    /// Each answer brings the next message; so many are under way on each connection (a closed loop).
    Depth(u32),
    /// So many a second altogether, answered or not (an open loop).
    Rate(f64),
}

impl Echo {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let mut run = Conductor::prepare(plan, watch)?;
        let threads = u32::try_from(run.layout.threads).unwrap_or(u32::MAX);
        run.launch([plan.connections as usize, 0], |index| {
            Echoer::new(self.message.clone(), self.rhythm(index, threads))
        })?;
        run.open()?;
        run.tell(Phase::Run);
        run.pass(self.warmup, "warming up")?;
        let delivered = |run: &Conductor<'_>| run.sum(|tally| tally.delivered.read());
        let (from, before) = (run.open_window(MEASURED)?, delivered(&run));
        run.pass(self.duration, "measuring")?;
        let (to, after) = (run.open_window(MEASURED + 1)?, delivered(&run));
        run.tell(Phase::Drain);
        run.pass(ANSWERS, "waiting for the last answers")?;
        let (sent, answered) = (run.sum(|tally| tally.sent.read()), delivered(&run));
        let (outcome, run) = run.finish()?;

        let mut setting = settings(&run);
        setting.count("message_bytes", self.message.bytes() as u64);
        match self.asking {
            Asking::Depth(depth) => setting.count("depth", u64::from(depth)),
            Asking::Rate(rate) => setting.tell("asked", Figure::Rate(rate)),
        }
        let mut messages = Section::new("messages");
        let span_ns = to.at_ns.saturating_sub(from.at_ns);
        messages.tell("answered", Figure::Rate(per_second_of(after - before, span_ns)));
        messages.latency("latency", &outcome.latencies, Row::Steady, MEASURED);
        messages.count("unanswered", sent.saturating_sub(answered));
        messages.count("never_sent", outcome.never_begun[MEASURED]);
        let steady = &outcome.groups[Group::Steady.index()];
        messages.count("out_of_order", steady.missing + steady.repeated);
        Ok(Report {
            scenario: "echo",
            sections: vec![
                setting,
                connections(&run, &outcome),
                messages,
                server("server", [&from, &to], ("message", after - before)),
            ],
        })
    }

    fn rhythm(&self, index: usize, threads: u32) -> Rhythm {
        match self.asking {
            Asking::Depth(depth) => Rhythm::Depth(depth),
            Asking::Rate(rate) => Rhythm::Rate {
                per_second: rate / f64::from(threads),
                offset_ns: offset_ns(rate, index),
            },
        }
    }
}

/// Threads begin one interval of the whole apart from each other.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "threads are few, and an interval is positive"
)]
fn offset_ns(per_second: f64, index: usize) -> u64 {
    (index as f64 * 1e9 / per_second) as u64
}

/// The window that counts; the one before it warms up.
const MEASURED: usize = 1;
