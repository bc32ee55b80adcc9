//! Connections that come and go: connect, handshake, one message, close; how many a second, and how long each step takes.

use super::{ANSWERS, connections, per_second as per_second_of, server, settings};
use crate::load::churner::{Churner, Question};
use crate::load::conductor::{Conductor, Watch};
use crate::load::error::LoadError;
use crate::load::mark::Scan;
use crate::load::plan::Plan;
use crate::load::report::{Figure, Report, Section};
use crate::load::tally::Phase;
use crate::load::template::Template;
use crate::load::windows::Row;
use memchr::memmem::Finder;
use std::sync::Arc;
use std::time::Duration;

/// Short lives. As many at once as the plan has connections; as many a second as it says, or as there can be.
#[derive(Clone, Debug)]
pub struct Churn {
    /// What is said to a server that sends it back, where the plan does not say what is said and expected.
    pub message: Template,
    /// How long connections come and go before they count.
    pub warmup: Duration,
    /// How long they count.
    pub duration: Duration,
}

impl Churn {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let mut run = Conductor::prepare(plan, watch)?;
        // What makes a connection ready elsewhere is the one message here.
        let mut bare = plan.clone();
        (bare.target.send, bare.target.expect) = (None, None);
        run.plan = Arc::new(bare);
        run.launch([plan.connections as usize, 0], |_| {
            Churner::new(self.question(plan))
        })?;
        run.tell(Phase::Run);
        run.pass(self.warmup, "warming up")?;
        let finished = |run: &Conductor<'_>| run.sum(|tally| tally.finished.read());
        let (from, before) = (run.open_window(MEASURED)?, finished(&run));
        run.pass(self.duration, "measuring")?;
        let (to, after) = (run.open_window(MEASURED + 1)?, finished(&run));
        run.tell(Phase::Drain);
        run.pass(ANSWERS, "waiting for the last answers")?;
        let (outcome, run) = run.finish()?;

        let mut ends = connections(&run, &outcome);
        ends.figures.retain(|(name, _)| name != "open_at_the_end");
        let mut setting = settings(&run);
        setting.tell("asked", Figure::Rate(plan.connect_per_second));
        let mut lives = Section::new("lives");
        let span_ns = to.at_ns.saturating_sub(from.at_ns);
        lives.tell("finished", Figure::Rate(per_second_of(after - before, span_ns)));
        lives.count("unfinished", outcome.unfinished[MEASURED]);
        lives.count("never_begun", outcome.never_begun[MEASURED]);
        for (name, row) in [
            ("connect", Row::Connect),
            ("handshake", Row::Handshake),
            ("message", Row::Message),
            ("close", Row::Close),
            ("whole", Row::Whole),
        ] {
            lives.latency(name, &outcome.latencies, row, MEASURED);
        }
        Ok(Report {
            scenario: "churn",
            sections: vec![
                setting,
                ends,
                lives,
                server("server", [&from, &to], ("life", after - before)),
            ],
        })
    }

    fn question(&self, plan: &Plan) -> Question {
        match (&plan.target.send, &plan.target.expect) {
            (Some(ask), Some(answer)) => Question::Text {
                ask: ask.clone(),
                answer: Finder::new(answer).into_owned(),
            },
            _ => Question::Echo(self.message.clone(), Scan::new()),
        }
    }
}

/// The window that counts; the one before it warms up.
const MEASURED: usize = 1;
