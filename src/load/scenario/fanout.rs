//! One publisher, many subscribers: how long from the intended tick to its first, its median and its last subscriber.

use super::{connections, frames, per_second as per_second_of, server, settings, streaming, ticks};
use crate::load::conductor::{Conductor, Watch};
use crate::load::error::LoadError;
use crate::load::line::Group;
use crate::load::plan::Plan;
use crate::load::publisher::Rate;
use crate::load::report::{Figure, Report};
use std::time::Duration;

/// Ticks at a steady rate to everyone.
#[derive(Clone, Copy, Debug)]
pub struct Fanout {
    /// Bursts a second.
    pub per_second: f64,
    /// Ticks that are due at the same time.
    pub burst: u32,
    /// How long ticks are published before they count.
    pub warmup: Duration,
    /// How long they count.
    pub duration: Duration,
}

impl Fanout {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let Self {
            per_second, burst, ..
        } = *self;
        let rate = Rate { per_second, burst };
        let mut run = streaming(plan, watch, [plan.connections, 0], rate, self.warmup)?;
        let delivered = |run: &Conductor<'_>| run.sum(|tally| tally.delivered.read());
        let (from, before) = (run.open_window(MEASURED)?, delivered(&run));
        run.pass(self.duration, "measuring")?;
        let (to, after) = (run.open_window(MEASURED + 1)?, delivered(&run));
        run.end_stream()?;
        let (outcome, run) = run.finish()?;

        let mut setting = settings(&run);
        setting.tell("ticks", Figure::Rate(per_second * f64::from(burst)));
        setting.count("burst", u64::from(burst));
        setting.count("tick_bytes", run.plan.tick.bytes() as u64);
        let mut frames = frames("frames", &run, &outcome, Group::Steady);
        let span_ns = to.at_ns.saturating_sub(from.at_ns);
        frames.tell("delivered", Figure::Rate(per_second_of(after - before, span_ns)));
        Ok(Report {
            scenario: "fanout",
            sections: vec![
                setting,
                connections(&run, &outcome),
                ticks("ticks", &run, &outcome, MEASURED),
                frames,
                server("server", [&from, &to], ("delivered_frame", after - before)),
            ],
        })
    }
}

/// The window that counts; the one before it warms up.
const MEASURED: usize = 1;
