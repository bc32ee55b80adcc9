//! The scenarios: what each asks of a run, in which order, and what it tells in the end.
//!
//! None of them waits for something without a bound.

mod churn;
mod echo;
mod fanout;
mod idle;
mod slow;
mod storm;

pub use churn::Churn;
pub use echo::{Asking, Echo};
pub use fanout::Fanout;
pub use idle::Idle;
pub use slow::Slow;
pub use storm::Storm;

use super::conductor::{Conductor, Watch};
use super::error::LoadError;
use super::line::Group;
use super::plan::Plan;
use super::publisher::Rate;
use super::report::{Figure, Report, Section};
use super::subject::Observation;
use super::subscriber::Subscriber;
use super::tally::Outcome;
use super::windows::Row;
use std::time::Duration;

/// What a run is about.
#[derive(Clone, Debug)]
pub enum Scenario {
    /// Open, hold, and see what it costs.
    Idle(Idle),
    /// One publisher, many subscribers.
    Fanout(Fanout),
    /// Messages there and back.
    Echo(Echo),
    /// Connections that come and go.
    Churn(Churn),
    /// Some subscribers stop reading.
    Slow(Slow),
    /// Everyone reconnects at once.
    Storm(Storm),
}

/// Runs a scenario to its end.
///
/// # Errors
/// Why there is no report. Whatever was started has been ended then.
pub fn run(plan: &Plan, scenario: &Scenario, watch: Watch<'_>) -> Result<Report, LoadError> {
    match scenario {
        Scenario::Idle(idle) => idle.run(plan, watch),
        Scenario::Fanout(fanout) => fanout.run(plan, watch),
        Scenario::Echo(echo) => echo.run(plan, watch),
        Scenario::Churn(churn) => churn.run(plan, watch),
        Scenario::Slow(slow) => slow.run(plan, watch),
        Scenario::Storm(storm) => storm.run(plan, watch),
    }
}

/// A run whose subscribers are all there, so many of each group, and have had ticks for as long as does not count.
fn streaming<'a>(
    plan: &Plan,
    watch: Watch<'a>,
    wanted: [u32; Group::COUNT],
    rate: Rate,
    warmup: Duration,
) -> Result<Conductor<'a>, LoadError> {
    let mut run = Conductor::prepare(plan, watch)?;
    run.launch(wanted.map(|wanted| wanted as usize), |_| Subscriber::new())?;
    run.open()?;
    run.begin_stream(rate)?;
    run.pass(warmup, "warming up")?;
    Ok(run)
}

/// What there is to tell about the run itself.
fn settings(conductor: &Conductor<'_>) -> Section {
    let mut section = Section::new("settings");
    let plan = &conductor.plan;
    section.tell("url", Figure::Text(plan.target.to_string()));
    section.count("connections", u64::from(plan.connections));
    section.count("threads", conductor.layout.threads as u64);
    let descriptors = if conductor.layout.registered {
        "registered"
    } else {
        "process"
    };
    section.tell("descriptors", Figure::Text(descriptors.to_owned()));
    section
}

/// How opening went, and what became of the connections.
fn connections(conductor: &Conductor<'_>, outcome: &Outcome) -> Section {
    let mut section = Section::new("connections");
    let opened_ns = conductor.opened_ns;
    if opened_ns > 0 {
        section.tell("opening", Figure::Span(opened_ns));
        section.tell(
            "opened",
            Figure::Rate(per_second(u64::from(conductor.plan.connections), opened_ns)),
        );
    }
    for (setback, count) in &outcome.setbacks {
        section.count(&format!("attempts_{}", setback.name()), *count);
    }
    let lost: u64 = outcome
        .groups
        .iter()
        .flat_map(|group| group.closes.values())
        .sum();
    section.count("lost", lost);
    for (code, count) in outcome.groups.iter().flat_map(|group| &group.closes) {
        let name = match code {
            0 => "lost_without_close".to_owned(),
            code => format!("closed_{code}"),
        };
        section.count(&name, *count);
    }
    section.count(
        "open_at_the_end",
        outcome.groups.iter().map(|group| group.open).sum(),
    );
    section.count("pings_answered", outcome.pings);
    for (name, row) in [
        ("connect", Row::Connect),
        ("handshake", Row::Handshake),
        ("prepare", Row::Prepare),
    ] {
        section.latency(name, &outcome.latencies, row, 0);
    }
    if let Some(words) = conductor.shared.words.get() {
        section.tell("first_refusal", Figure::Text(words.clone()));
    }
    section
}

/// The ticks of one window: how many, and how long they took.
fn ticks(name: &'static str, conductor: &Conductor<'_>, outcome: &Outcome, window: usize) -> Section {
    let mut section = Section::new(name);
    let ticks = &conductor.ticks;
    section.count("complete", ticks.complete[window]);
    section.count("incomplete", ticks.incomplete[window]);
    section.count("never_sent", ticks.never_sent[window]);
    for (name, row) in [
        ("to_first", Row::First),
        ("to_median", Row::Median),
        ("to_last", Row::Last),
    ] {
        section.latency(name, &ticks.latencies, row, window);
    }
    section.latency("delivery", &outcome.latencies, Row::Steady, window);
    section
}

/// What all subscribers of a group had, exactly.
fn frames(name: &'static str, conductor: &Conductor<'_>, outcome: &Outcome, group: Group) -> Section {
    let mut section = Section::new(name);
    let all = &outcome.groups[group.index()];
    section.count("delivered", all.delivered);
    section.count("missing", all.missing);
    section.count("repeated", all.repeated);
    section.count("ticks_unmeasured", u64::from(conductor.shared.board.unmeasured()));
    if let Some(handed_over) = &conductor.ticks.handed_over {
        section.tell(
            "handed_over",
            Figure::Latency(super::report::Quantiles::of(handed_over)),
        );
    }
    section
}

/// What the server used between two moments, in which it did so many things.
fn server(name: &'static str, [from, to]: [&Observation; 2], (what, things): (&str, u64)) -> Section {
    let mut section = Section::new(name);
    let span_ns = to.at_ns.saturating_sub(from.at_ns);
    if let (Some(before), Some(after)) = (from.cpu_ns, to.cpu_ns) {
        let cpu_ns = after.saturating_sub(before);
        section.tell("cpu", Figure::Span(cpu_ns));
        section.tell("cpu_of_one_core", Figure::Share(ratio(cpu_ns, span_ns)));
        if let Some(each_ns) = cpu_ns.checked_div(things) {
            section.tell(&format!("cpu_per_{what}"), Figure::Span(each_ns));
        }
    }
    if let (Some(before), Some(after)) = (from.memory, to.memory) {
        section.tell("rss_before", Figure::Bytes(whole(before.rss)));
        section.tell("rss_after", Figure::Bytes(whole(after.rss)));
    }
    section
}

/// So many in so much time.
fn per_second(count: u64, span_ns: u64) -> f64 {
    ratio(count, span_ns) * 1e9
}

fn ratio(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { whole(part) / whole(of) }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what is shown has fewer digits than a float"
)]
fn whole(number: u64) -> f64 {
    number as f64
}

/// How long answers are waited for after the last message.
const ANSWERS: Duration = Duration::from_millis(500);
