//! Many connections that do nothing: what they cost the server, what is lost, and how long it takes to reach them all.

use super::{connections, frames, ratio, server, settings, ticks, whole};
use crate::load::conductor::{Conductor, Watch};
use crate::load::error::LoadError;
use crate::load::line::Group;
use crate::load::plan::Plan;
use crate::load::report::{Figure, Report, Section};
use crate::load::subject::Observation;
use crate::load::subscriber::Subscriber;
use crate::load::tally::Phase;
use std::time::Duration;

/// Connections that are held.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// For how long.
    pub hold: Duration,
    /// Whether one tick is published at the end that is to reach them all.
    pub tick: bool,
}

impl Idle {
    pub(super) fn run(&self, plan: &Plan, watch: Watch<'_>) -> Result<Report, LoadError> {
        let mut run = Conductor::prepare(plan, watch)?;
        if self.tick && !run.can_publish() {
            return Err(LoadError::NoPublisher);
        }
        run.launch([plan.connections as usize, 0], |_| Subscriber::new())?;
        run.open()?;
        run.tell(Phase::Run);
        run.pass(SETTLE, "settling")?;
        let full = run.observe();
        run.pass(self.hold, "holding")?;
        let held = run.open_window(HELD)?;
        if self.tick {
            let expected = run.ready(Group::Steady);
            run.publish(1, expected)?;
            run.end_stream()?;
        }
        let (outcome, run) = run.finish()?;

        let mut setting = settings(&run);
        setting.tell(
            "hold",
            Figure::Span(u64::try_from(self.hold.as_nanos()).unwrap_or(u64::MAX)),
        );
        let mut sections = vec![
            setting,
            connections(&run, &outcome),
            memory([&run.start, &full, &held], u64::from(plan.connections)),
            kernel(
                [&run.start, &full],
                u64::from(plan.connections),
                run.plan.target.address().ip().is_loopback(),
            ),
            server("server_while_idle", [&full, &held], ("nothing", 0)),
        ];
        if self.tick {
            sections.push(ticks("tick", &run, &outcome, HELD));
            sections.push(frames("frames", &run, &outcome, Group::Steady));
        }
        if run.pid().is_none() {
            sections.retain(|section| !matches!(section.name, "memory" | "server_while_idle"));
        }
        Ok(Report {
            scenario: "idle",
            sections,
        })
    }
}

/// The server's own memory, above what it was before the first connection.
fn memory([start, full, held]: [&Observation; 3], connections: u64) -> Section {
    let mut section = Section::new("memory");
    let (Some(start), Some(full), Some(held)) = (start.memory, full.memory, held.memory) else {
        return section;
    };
    section.tell("rss_empty", Figure::Bytes(whole(start.rss)));
    section.tell("rss_open", Figure::Bytes(whole(full.rss)));
    section.tell("rss_held", Figure::Bytes(whole(held.rss)));
    for (name, start, now) in [
        ("rss_per_connection", start.rss, held.rss),
        ("anonymous_per_connection", start.anonymous, held.anonymous),
    ] {
        section.tell(name, Figure::Bytes(growth(start, now, connections)));
    }
    section
}

/// The kernel's memory. Where both ends are on this machine every kind of object that both ends need is halved; what only
/// one end can have is its own.
fn kernel([start, full]: [&Observation; 2], connections: u64, both_here: bool) -> Section {
    let mut section = Section::new("kernel_memory");
    if full.slabs.is_empty() {
        return section;
    }
    let before = |name: &str| start.slabs.get(name).copied().unwrap_or_default();
    let ends = if both_here { 2.0 } else { 1.0 };
    let (mut all, mut servers) = (0.0, 0.0);
    for (name, bytes) in &full.slabs {
        let bytes = growth(before(name), *bytes, connections);
        all += bytes;
        // Epoll is something that the generator has no use for.
        servers += if name.starts_with("eventpoll") {
            bytes
        } else {
            bytes / ends
        };
        if bytes >= SHOWN_BYTES {
            section.tell(&format!("{name}_per_connection"), Figure::Bytes(bytes));
        }
    }
    let pair = if both_here {
        "all_per_pair"
    } else {
        "all_per_connection"
    };
    section.tell(pair, Figure::Bytes(all));
    if both_here {
        section.tell("one_end", Figure::Bytes(servers));
    }
    section
}

fn growth(before: u64, after: u64, connections: u64) -> f64 {
    ratio(after, connections) - ratio(before, connections)
}

/// From the last connection that is ready to the first look at what all cost.
const SETTLE: Duration = Duration::from_secs(2);
/// The window of the tick at the end.
const HELD: usize = 1;
/// Kinds of objects of which there is less are not shown by themselves.
const SHOWN_BYTES: f64 = 16.0;
