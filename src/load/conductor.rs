//! What every scenario does: start the server, look whether it does what it should, start the threads, wait for them,
//! follow the ticks, and come to an end in order and in time.
//!
//! Never sends or receives anything itself once the threads run.

use super::clock::Clock;
use super::error::LoadError;
use super::generator::{Generator, Layout};
use super::line::Group;
use super::part::Part;
use super::plan::{Plan, Publish};
use super::publisher::{Feed, Rate, Sink, Stream};
use super::scout::{Astray, Scout};
use super::subject::{Observation, Subject};
use super::tally::{Outcome, Phase, Shared};
use super::windows::{Latencies, Row};
use crate::limits::{
    LOAD_CLOSE_MS, LOAD_CLOSE_NS_EACH, LOAD_SCOUT_MS, LOAD_TICK_LATE_MS, LOAD_TICK_LATE_NS_EACH, LOAD_WINDOWS,
};
use crate::ring::{Capabilities, probe};
use hdrhistogram::Histogram;
use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who watches a run.
pub struct Watch<'a> {
    /// Is shown one line about how it gets on, several times a second.
    pub show: &'a mut dyn FnMut(&str),
    /// Is set by whoever wants it to stop.
    pub stop: &'a AtomicBool,
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("stop", self.stop)
            .finish_non_exhaustive()
    }
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Conductor<'a> {
    pub(super) plan: Arc<Plan>,
    pub(super) clock: Clock,
    pub(super) shared: Arc<Shared>,
    pub(super) ticks: Ticks,
    /// What was seen before the first connection.
    pub(super) start: Observation,
    /// How long it took until all were ready.
    pub(super) opened_ns: u64,
    pub(super) layout: Layout,
    capabilities: Capabilities,
    subject: Subject,
    feed: Option<Feed>,
    stream: Option<Stream>,
    generator: Option<Generator>,
    watch: Watch<'a>,
    shown_ns: u64,
}

/// How the ticks went, over all subscribers.
#[derive(Debug)]
pub(super) struct Ticks {
    /// Ticks that everyone had, and those that somebody lacked, by window.
    pub(super) complete: [u64; LOAD_WINDOWS],
    pub(super) incomplete: [u64; LOAD_WINDOWS],
    /// Ticks that were due before the publisher had to stop, and were never begun.
    pub(super) never_sent: [u64; LOAD_WINDOWS],
    /// To the first, the median and the last, of complete ticks.
    pub(super) latencies: Latencies,
    /// How late ticks were handed to the server.
    pub(super) handed_over: Option<Histogram<u64>>,
    /// How long after its time a tick may still reach its last subscriber.
    late_ns: u64,
    /// The number of the next tick to be looked at.
    next: u32,
}

impl<'a> Conductor<'a> {
    /// Starts the server, if it is ours to start, and waits until it does what is expected of it.
    pub(super) fn prepare(plan: &Plan, watch: Watch<'a>) -> Result<Self, LoadError> {
        let capabilities = probe()?;
        let clock = Clock::start(Clock::builder(&capabilities)?)?;
        let layout = Layout::new(plan)?;
        plan.target.with_offer([0; 16], |_| ())?;
        let (subject, stdin) = match &plan.server {
            Some(command) => Subject::start(command)?,
            None => (Subject::known(plan.pid), None),
        };
        let mut conductor = Self {
            plan: Arc::new(plan.clone()),
            clock,
            shared: Arc::new(Shared::new()),
            ticks: Ticks::new(late_ns(plan.connections)),
            start: Observation::default(),
            opened_ns: 0,
            layout,
            capabilities,
            subject,
            feed: None,
            stream: None,
            generator: None,
            watch,
            shown_ns: 0,
        };
        let mut sink = match (&plan.publish, stdin) {
            (Publish::Stdin, Some(stdin)) => Some(Sink::Stdin(stdin)),
            (Publish::Path(path), _) => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                Some(Sink::File(file.map_err(|error| LoadError::Publish {
                    path: path.clone(),
                    error,
                })?))
            }
            _ => None,
        };
        conductor.scout(&mut sink)?;
        conductor.pass_ms(SETTLE_MS, "the server is up")?;
        conductor.start = conductor.observe();
        Ok(conductor)
    }

    /// Tries until a connection becomes ready, or the time is up. The first one that opens is followed by a tick, so that
    /// a channel that only its first tick makes is there to be subscribed.
    fn scout(&mut self, sink: &mut Option<Sink>) -> Result<(), LoadError> {
        let give_up_ns = self.clock.now_ns() + LOAD_SCOUT_MS * NS_PER_MS;
        loop {
            let astray = match self.scout_once(sink)? {
                Ok(()) => return Ok(()),
                Err(astray) => astray,
            };
            if self.clock.now_ns() >= give_up_ns {
                return Err(LoadError::NotReady {
                    target: self.plan.target.to_string(),
                    last: astray.to_string(),
                });
            }
            self.pass_ms(SCOUT_PAUSE_MS, "waiting for the server")?;
        }
    }

    fn scout_once(&mut self, sink: &mut Option<Sink>) -> Result<Result<(), Astray>, LoadError> {
        let plan = Arc::clone(&self.plan);
        let seed = getrandom::u64().map_err(|_| LoadError::Random)?;
        let mut scout = match Scout::open(&plan.target, SCOUT_PATIENCE, seed) {
            Ok(scout) => scout,
            Err(astray) => return Ok(Err(astray)),
        };
        if let (None, Publish::WebSocket(target)) = (&self.feed, &plan.publish) {
            match Scout::open(target, SCOUT_PATIENCE, seed.rotate_left(1)) {
                Ok(publisher) => *sink = Some(Sink::Socket(Box::new(publisher))),
                Err(astray) => return Ok(Err(astray)),
            }
        }
        if let Some(sink) = sink.take() {
            let template = plan.tick.clone();
            self.feed = Some(Feed { sink, template });
            self.publish(1, 0)?;
        }
        Ok(ready(&mut scout, &plan))
    }

    /// Starts the threads, which connect at once.
    pub(super) fn launch<P: Part>(
        &mut self,
        wanted: [usize; Group::COUNT],
        parts: impl FnMut(usize) -> P,
    ) -> Result<(), LoadError> {
        let now = (&self.shared, self.clock.now_ns());
        let generator = Generator::start(&self.plan, self.layout, wanted, &self.capabilities, now, parts)?;
        self.generator = Some(generator);
        Ok(())
    }

    /// Waits until all connections are ready.
    pub(super) fn open(&mut self) -> Result<(), LoadError> {
        let (begin_ns, wanted) = (self.clock.now_ns(), u64::from(self.plan.connections));
        let give_up_ns = begin_ns.saturating_add(nanos(self.plan.open_within));
        loop {
            let [ready, half_open, setbacks, lost] = self.numbers();
            let now_ns = self.clock.now_ns();
            if ready == wanted {
                self.opened_ns = now_ns - begin_ns;
                return Ok(());
            }
            if now_ns >= give_up_ns {
                let words = self.shared.words.get().map_or("", String::as_str);
                let because = format!(
                    "{setbacks} attempts failed, {lost} connections were lost, {half_open} are half open; {words}"
                );
                return Err(LoadError::NotOpened {
                    ready,
                    wanted,
                    because,
                });
            }
            self.pass_ms(
                STEP_MS,
                &format!("{ready} of {wanted} ready, {setbacks} attempts failed"),
            )?;
        }
    }

    /// Connections that are ready, half open, failed and lost.
    pub(super) fn numbers(&self) -> [u64; 4] {
        let Some(generator) = &self.generator else {
            return [0; 4];
        };
        [
            generator.sum(|tally| tally.ready.iter().map(crate::base::census::Gauge::read).sum()),
            generator.sum(|tally| tally.half_open.read()),
            generator.sum(|tally| tally.setbacks.read()),
            generator.sum(|tally| tally.lost.read()),
        ]
    }

    /// A sum over all threads.
    pub(super) fn sum(&self, of: impl Fn(&super::tally::Tally) -> u64) -> u64 {
        self.generator.as_ref().map_or(0, |generator| generator.sum(of))
    }

    /// Ready connections of a group.
    pub(super) fn ready(&self, group: Group) -> u32 {
        let ready = self.sum(|tally| tally.ready[group.index()].read());
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    pub(super) fn tell(&self, phase: Phase) {
        if let Some(generator) = &self.generator {
            generator.tell(phase);
        }
    }

    /// Drops everyone wayward, now. Gives when.
    pub(super) fn begin_storm(&self) -> u64 {
        let now_ns = self.clock.now_ns();
        if let Some(generator) = &self.generator {
            generator.begin_storm(now_ns);
        }
        now_ns
    }

    /// A window begins in a moment, which is waited for: so every thread knows of it before there can be a message that
    /// belongs to it. Gives what was seen then.
    pub(super) fn open_window(&mut self, window: usize) -> Result<Observation, LoadError> {
        let start_ns = self.clock.now_ns() + NOTICE_NS;
        self.shared.windows.open(window, start_ns);
        self.clock.wait_until(start_ns)?;
        Ok(self.observe())
    }

    pub(super) fn observe(&self) -> Observation {
        self.subject.observe(self.clock.now_ns())
    }

    pub(super) const fn pid(&self) -> Option<u32> {
        self.subject.pid()
    }

    /// Publishes once, for so many.
    pub(super) fn publish(&mut self, burst: u32, expected: u32) -> Result<(), LoadError> {
        let feed = self.feed.as_mut().ok_or(LoadError::NoPublisher)?;
        let published = feed.publish(self.clock.now_ns(), burst, expected, &self.shared);
        published.map_err(|error| LoadError::Publish {
            path: "the server".into(),
            error,
        })
    }

    /// Whether there is somebody who can publish.
    pub(super) const fn can_publish(&self) -> bool {
        self.feed.is_some()
    }

    /// Begins to publish at this rate, for all steady connections that are ready at each tick.
    pub(super) fn begin_stream(&mut self, rate: Rate) -> Result<(), LoadError> {
        let feed = self.feed.take().ok_or(LoadError::NoPublisher)?;
        let clock = Clock::builder(&self.capabilities)?;
        let expected = self.ready(Group::Steady);
        let clock = (clock, self.clock.now_ns());
        self.stream = Some(feed.stream(rate, expected, Arc::clone(&self.shared), clock)?);
        Ok(())
    }

    /// Stops publishing, and waits until all ticks have arrived or are late.
    pub(super) fn end_stream(&mut self) -> Result<(), LoadError> {
        let now_ns = self.clock.now_ns();
        if let Some(stream) = &mut self.stream {
            stream.stop(now_ns);
        }
        let give_up_ns = now_ns + self.ticks.late_ns;
        while self.clock.now_ns() < give_up_ns {
            if let Some(stream) = self.stream.take() {
                let is_over = stream.is_over();
                self.ticks.never_sent = stream.never_sent(&self.shared.windows);
                if is_over {
                    let (feed, handed_over) = stream.join()?;
                    self.feed = Some(feed);
                    self.ticks.handed_over = Some(handed_over);
                } else {
                    self.stream = Some(stream);
                }
            }
            if self.stream.is_none() && self.ticks.next == self.shared.board.begun() {
                break;
            }
            self.pass_ms(STEP_MS, "waiting for the last ticks")?;
        }
        Ok(())
    }

    /// Lets that much time pass.
    pub(super) fn pass(&mut self, span: Duration, doing: &str) -> Result<(), LoadError> {
        let until_ns = self.clock.now_ns().saturating_add(nanos(span));
        loop {
            let now_ns = self.clock.now_ns();
            let step_ns = now_ns.saturating_add(STEP_MS * NS_PER_MS).min(until_ns);
            self.clock.wait_until(step_ns)?;
            self.attend(doing)?;
            if step_ns >= until_ns {
                return Ok(());
            }
        }
    }

    fn pass_ms(&mut self, ms: u64, doing: &str) -> Result<(), LoadError> {
        self.pass(Duration::from_millis(ms), doing)
    }

    /// Sees to everything that is to be seen to several times a second.
    fn attend(&mut self, doing: &str) -> Result<(), LoadError> {
        if self.watch.stop.load(Ordering::Relaxed) {
            return Err(LoadError::Stopped);
        }
        self.subject.check()?;
        let now_ns = self.clock.now_ns();
        self.ticks.follow(&self.shared, now_ns);
        if self.generator.as_ref().is_some_and(Generator::has_ended)
            && self.shared.phase() != Phase::Close
            && let Some(generator) = self.generator.take()
        {
            // Before its time a thread ends with an error only.
            generator.tell(Phase::Close);
            generator.join()?;
        }
        if let Some(stream) = &self.stream {
            stream.expect(self.ready(Group::Steady));
        }
        if now_ns >= self.shown_ns {
            self.shown_ns = now_ns + SHOW_MS * NS_PER_MS;
            (self.watch.show)(doing);
        }
        Ok(())
    }

    /// Parts from everyone, ends the server if it is ours, and gives what it all came to.
    pub(super) fn finish(mut self) -> Result<(Outcome, Self), LoadError> {
        let now_ns = self.clock.now_ns();
        self.ticks.give_up(&self.shared, now_ns);
        self.tell(Phase::Close);
        let each_ns = u64::from(self.plan.connections) * LOAD_CLOSE_NS_EACH;
        let give_up_ns = now_ns + 4 * LOAD_CLOSE_MS * NS_PER_MS + each_ns;
        while let Some(generator) = &self.generator {
            if generator.have_all_ended() || self.clock.now_ns() >= give_up_ns {
                break;
            }
            self.pass_ms(STEP_MS, "closing")?;
        }
        let joined = self.generator.take().map(Generator::join);
        self.subject.stop(&mut self.clock);
        let outcome = joined.unwrap_or_else(|| Ok(Outcome::new()))?;
        Ok((outcome, self))
    }
}

/// Says to a connection what is to be said, and waits for what is expected.
fn ready(scout: &mut Scout, plan: &Plan) -> Result<(), Astray> {
    if let Some(text) = &plan.target.send {
        scout.say(text)?;
    }
    match &plan.target.expect {
        Some(text) => scout.expect(text),
        None => Ok(()),
    }
}

impl Ticks {
    fn new(late_ns: u64) -> Self {
        Self {
            complete: [0; LOAD_WINDOWS],
            incomplete: [0; LOAD_WINDOWS],
            never_sent: [0; LOAD_WINDOWS],
            latencies: Latencies::new(),
            handed_over: None,
            late_ns,
            next: 0,
        }
    }

    /// Looks at the ticks under way, the oldest first, up to the first that somebody may still get.
    fn follow(&mut self, shared: &Shared, now_ns: u64) {
        while self.next != shared.board.begun() {
            if let Some(delivery) = shared.board.look(self.next) {
                let is_late = now_ns >= delivery.at_ns.saturating_add(self.late_ns);
                if !delivery.is_complete() && !is_late {
                    return;
                }
                self.take(shared);
            }
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Looks at all ticks for the last time.
    fn give_up(&mut self, shared: &Shared, now_ns: u64) {
        self.follow(shared, now_ns);
        while self.next != shared.board.begun() {
            self.take(shared);
            self.next = self.next.wrapping_add(1);
        }
    }

    fn take(&mut self, shared: &Shared) {
        let Some(delivery) = shared.board.look(self.next) else {
            return;
        };
        shared.board.clear(self.next);
        let window = shared.windows.of(delivery.at_ns);
        if !delivery.is_complete() {
            self.incomplete[window] += 1;
        } else if delivery.expected > 0 {
            self.complete[window] += 1;
            for (row, latency_ns) in [
                (Row::First, delivery.first_ns),
                (Row::Median, delivery.median_ns),
                (Row::Last, delivery.last_ns),
            ] {
                self.latencies.record(row, window, latency_ns, 1);
            }
        }
    }
}

/// How long a tick may take to so many.
fn late_ns(connections: u32) -> u64 {
    LOAD_TICK_LATE_MS * NS_PER_MS + u64::from(connections) * LOAD_TICK_LATE_NS_EACH
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

const NS_PER_MS: u64 = 1_000_000;
/// From the announcement of a window to its beginning.
const NOTICE_NS: u64 = 2_000_000;
/// How often the run is attended to.
const STEP_MS: u64 = 20;
/// How often it is shown.
const SHOW_MS: u64 = 100;
/// From a server that is up to the first look at its memory.
const SETTLE_MS: u64 = 300;
/// From one scout to the next.
const SCOUT_PAUSE_MS: u64 = 20;
/// How long a scout waits for anything.
const SCOUT_PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    const LATE_NS: u64 = 5_000;

    #[test]
    fn ticks_are_told_in_order_and_a_late_one_is_incomplete() {
        let (shared, mut ticks) = (Shared::new(), Ticks::new(LATE_NS));
        shared.windows.open(1, 0);
        let numbers = [100, 200, 300].map(|at_ns| shared.board.begin(at_ns, 2));
        shared.board.note(numbers[1], 2, 250);
        ticks.follow(&shared, 1_000);
        assert_eq!(
            (ticks.next, ticks.complete[1]),
            (0, 0),
            "the first may still come"
        );
        ticks.follow(&shared, 100 + LATE_NS);
        assert_eq!((ticks.next, ticks.complete[1], ticks.incomplete[1]), (2, 1, 1));
        ticks.give_up(&shared, 100 + LATE_NS);
        assert_eq!((ticks.complete[1], ticks.incomplete[1]), (1, 2));
        let last = ticks.latencies.of(Row::Last, 1).unwrap();
        assert_eq!((last.len(), last.max()), (1, 50));
    }

    #[test]
    fn a_tick_that_is_for_nobody_is_not_counted() {
        let (shared, mut ticks) = (Shared::new(), Ticks::new(LATE_NS));
        shared.board.begin(100, 0);
        ticks.follow(&shared, 200);
        assert_eq!((ticks.next, ticks.complete[0], ticks.incomplete[0]), (1, 0, 0));
    }
}
