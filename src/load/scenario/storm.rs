//! Everyone is dropped and comes back at once: how long until all are served again, and what those notice who stayed.

use super::{connections, frames, server, settings, streaming, ticks};
use crate::load::conductor::{Conductor, Watch};
use crate::load::error::LoadError;
use crate::load::line::Group;
use crate::load::plan::Plan;
use crate::load::publisher::Rate;
use crate::load::report::{Figure, Report, Section};
use crate::load::windows::Row;
use std::time::Duration;

/// Ticks to everyone, most of whom are dropped and reconnect.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Ticks a second.
    pub per_second: f64,
    /// Of the plan's connections, those that stay connected.
    pub bystanders: u32,
    /// How long ticks are published before they count.
    pub warmup: Duration,
    /// How long everything is calm, before the storm and after it.
    pub calm: Duration,
    /// How long the storm may last.
    pub patience: Duration,
}

impl Storm {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let bystanders = self.bystanders.min(plan.connections);
        let dropped = plan.connections - bystanders;
        let per_second = self.per_second;
        let rate = Rate { per_second, burst: 1 };
        let mut run = streaming(plan, watch, [bystanders, dropped], rate, self.warmup)?;
        run.open_window(CALM)?;
        run.pass(self.calm, "calm")?;
        let from = run.open_window(STORM)?;
        let begin_ns = run.begin_storm();
        let give_up_ns = begin_ns + u64::try_from(self.patience.as_nanos()).unwrap_or(u64::MAX);
        let served = |run: &Conductor<'_>| run.sum(|tally| tally.served.read());
        while served(&run) < u64::from(dropped) && run.clock.now_ns() < give_up_ns {
            let doing = format!("{} of {dropped} are served again", served(&run));
            run.pass(LOOK, &doing)?;
        }
        let to = run.open_window(AFTER)?;
        let again = served(&run);
        run.pass(self.calm, "calm again")?;
        run.end_stream()?;
        let (outcome, run) = run.finish()?;

        let mut setting = settings(&run);
        setting.tell("ticks", Figure::Rate(per_second));
        setting.count("bystanders", u64::from(bystanders));
        let mut storm = Section::new("storm");
        storm.count("dropped", u64::from(dropped));
        storm.count("served_again", again);
        for (name, row) in [
            ("ready_again", Row::ReadyAgain),
            ("served_again_after", Row::ServedAgain),
            ("reconnect", Row::Connect),
            ("handshake", Row::Handshake),
        ] {
            storm.latency(name, &outcome.latencies, row, STORM);
        }
        Ok(Report {
            scenario: "storm",
            sections: vec![
                setting,
                connections(&run, &outcome),
                storm,
                ticks("bystanders_before", &run, &outcome, CALM),
                ticks("bystanders_in_the_storm", &run, &outcome, STORM),
                ticks("bystanders_after", &run, &outcome, AFTER),
                frames("frames_of_bystanders", &run, &outcome, Group::Steady),
                server("server_in_the_storm", [&from, &to], ("reconnection", again)),
            ],
        })
    }
}

/// Before the storm.
const CALM: usize = 1;
/// From the first drop until all are served again.
const STORM: usize = 2;
/// Afterwards.
const AFTER: usize = 3;
/// How often it is looked whether all are served again.
const LOOK: Duration = Duration::from_millis(20);
