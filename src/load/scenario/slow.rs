//! Some subscribers stop reading: what the others notice of it, what becomes of the slow ones, and what it costs.

use super::{connections, frames, server, settings, streaming, ticks};
use crate::load::conductor::{Conductor, Watch};
use crate::load::error::LoadError;
use crate::load::line::Group;
use crate::load::plan::Plan;
use crate::load::publisher::Rate;
use crate::load::report::{Figure, Report};
use crate::load::tally::Phase;
use std::time::Duration;

/// Ticks to everyone, some of whom do not read for a while.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// Bursts a second.
    pub per_second: f64,
    /// Ticks that are due at the same time.
    pub burst: u32,
    /// Which share of the connections stops reading.
    pub share: f64,
    /// How long ticks are published before they count.
    pub warmup: Duration,
    /// How long everyone reads, and then how long the slow ones do not.
    pub duration: Duration,
    /// How long they read again afterwards; `None` where they never do.
    pub resume: Option<Duration>,
}

impl Slow {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let Self {
            per_second, burst, ..
        } = *self;
        let (rate, slow) = (Rate { per_second, burst }, self.stopped(plan.connections));
        let mut run = streaming(plan, watch, [plan.connections - slow, slow], rate, self.warmup)?;
        let delivered = |run: &Conductor<'_>| run.sum(|tally| tally.delivered.read());
        let (all_read, from) = (run.open_window(ALL_READ)?, delivered(&run));
        run.pass(self.duration, "everyone reads")?;
        let (stopped, until) = (run.open_window(STOPPED)?, delivered(&run));
        run.tell(Phase::Stall);
        run.pass(self.duration, "some do not read")?;
        let (end, last) = (run.open_window(RESUMED)?, delivered(&run));
        let still_open = run.ready(Group::Wayward);
        if let Some(resume) = self.resume {
            run.tell(Phase::Resume);
            run.pass(resume, "they read again")?;
        }
        run.end_stream()?;
        let (outcome, run) = run.finish()?;

        let mut setting = settings(&run);
        setting.tell("ticks", Figure::Rate(per_second * f64::from(burst)));
        setting.tell("slow", Figure::Share(self.share));
        let mut sections = vec![
            setting,
            connections(&run, &outcome),
            ticks("ticks_while_all_read", &run, &outcome, ALL_READ),
            ticks("ticks_while_some_do_not", &run, &outcome, STOPPED),
        ];
        if self.resume.is_some() {
            sections.push(ticks("ticks_while_they_read_again", &run, &outcome, RESUMED));
        }
        sections.push(frames("frames_of_the_healthy", &run, &outcome, Group::Steady));
        let mut of_the_slow = frames("frames_of_the_slow", &run, &outcome, Group::Wayward);
        of_the_slow
            .figures
            .retain(|(name, _)| !name.starts_with("handed") && !name.starts_with("ticks"));
        let wayward = &outcome.groups[Group::Wayward.index()];
        of_the_slow.count("stopped_reading", u64::from(slow));
        of_the_slow.count("open_when_the_stop_ended", u64::from(still_open));
        of_the_slow.count("closed", wayward.closes.values().sum());
        of_the_slow.count("caught_up", wayward.current);
        sections.push(of_the_slow);
        sections.push(server(
            "server_while_all_read",
            [&all_read, &stopped],
            ("delivered_frame", until - from),
        ));
        sections.push(server(
            "server_while_some_do_not",
            [&stopped, &end],
            ("delivered_frame", last - until),
        ));
        Ok(Report {
            scenario: "slow",
            sections,
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the connections is no more than all of them"
    )]
    fn stopped(&self, connections: u32) -> u32 {
        (f64::from(connections) * self.share.clamp(0.0, 1.0)).round() as u32
    }
}

/// Everyone reads.
const ALL_READ: usize = 1;
/// Some do not.
const STOPPED: usize = 2;
/// They do again.
const RESUMED: usize = 3;
