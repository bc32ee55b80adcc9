//! The event loop of one core: where the ring, the tape, the hub and the connections meet.
//!
//! A shard owns its listener, its connections and their subscriptions, and shares nothing with the other shards
//! but the tape. It never waits for a client, for another shard or for the writer.
//!
//! One [`turn`](Shard::turn) is the whole program:
//!
//! | step | file | what happens |
//! |---|---|---|
//! | 1 | | wait for the kernel or the doorbell; the only clock reading |
//! | 2 | `broadcast`, `lag` | take in what is new on the tape; each new record → hub → ranges → one send per live client, so many a turn |
//! | 3 | `dispatch`, `hot`, `receive`, `admission`, `converse` | completions → connections → commands → hub → replies |
//! | | `errands`, `publish` | what the writer has done for clients → replies; what it is asked for |
//! | 4 | `expire`, `heartbeat` | handshakes, messages, pings, heartbeats, closes that are due |
//! | 5 | `flush`, `catch_up` | replies go out; clients that are behind get their next slice |
//!
//! What those get who connect is the shard's [`Service`]: the feed, or an echo. It decides what a request head comes to
//! (`admission`) and what a message does (`commands`, `echo`); all the rest is the same code.
//!
//! Ticks go before commands: they are what a turn is late for, and a command then finds the hub exactly at the
//! end of the pinned tape, so that a subscription's image is certainly there to be read.

mod admission;
mod broadcast;
mod catch_up;
mod commands;
mod converse;
mod deflaters;
mod derived;
mod dispatch;
mod echo;
mod errands;
mod expire;
mod farewell;
mod flush;
mod heartbeat;
mod hot;
mod lag;
mod outgoing;
mod plan;
mod publish;
mod receive;
mod room;
pub mod wheel;

pub mod site;

use std::sync::Arc;

use crate::base::{Census, Now, Orders, SlotQueue};
use crate::connection::{Connections, Pause, Stage};
use crate::hub::Hub;
pub use crate::hub::{Policy, Slack, Terms};
use crate::limits;
use crate::ring::{Completion, Errno, Ring};
use crate::tape::{Parked, Reader};
use crate::wire::Inflater;
use catch_up::CatchUp;
use derived::Openings;
use errands::Errands;
use flush::Pushed;
use hot::Hot;
use outgoing::Outgoing;
pub use plan::{IDLE_CONNECTION_BYTES, Pace, SLOT_BYTES, Size};
use receive::Intake;
pub use site::{Service, Site};
use wheel::Wheel;

/// One shard.
#[derive(Debug)]
pub struct Shard<R: Ring> {
    ring: R,
    tape: Reader,
    hub: Hub,
    connections: Connections,
    timers: Wheel,
    site: Site,
    census: Arc<Census>,
    orders: Arc<Orders>,
    completions: Vec<Completion>,
    expired: Vec<u32>,
    intake: Intake,
    hot: Hot,
    pace: Pace,
    outgoing: Outgoing,
    /// Connections that are owed something and can be sent it.
    owing: SlotQueue,
    /// Those who are owed something, or wait to be heard, and must be sent their share of the round first.
    held: SlotQueue,
    pushed: Pushed,
    catch_up: CatchUp,
    catching_up: SlotQueue,
    errands: Errands,
    openings: Openings,
    life: Life,
    /// Whether all records of the round have been routed. Before that those who are behind wait: those who are live have
    /// not been sent anything yet.
    routed: bool,
    /// Whether it has looked at the tape in this turn.
    looked: bool,
    /// Whether the round was not over when the last turn ended, or the tape had news.
    busy: bool,
}

/// Whether a shard takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// It accepts.
    Open,
    /// It accepts again at this time: the kernel was short of something.
    Paused { until_ns: u64 },
    /// It was told to stop, and so are those who are connected or ask, until this time. It still accepts, or does so again
    /// at the other: the kernel was short of something.
    Leaving { until_ns: u64, accept_ns: Option<u64> },
    /// It has closed everyone and waits until this time for them to part.
    Draining { until_ns: u64 },
    /// It has hung up on everyone left and waits until this time for the kernel to report their last polls.
    HungUp { until_ns: u64 },
    /// It has nothing left to do.
    Over,
}

impl<R: Ring> Shard<R> {
    /// A shard that accepts on `ring`'s listener and serves what `tape` holds.
    pub fn new(
        mut ring: R,
        tape: Reader,
        size: Size,
        site: Site,
        census: Arc<Census>,
        orders: Arc<Orders>,
    ) -> Self {
        let slots = size.slots();
        let (way, site) = site.without_way();
        ring.accept();
        Self {
            ring,
            tape,
            hub: Hub::new(&site.kinds(), slots, size.subscriptions).on_terms(&site.terms),
            connections: Connections::new(slots, size.pools, size.bounds),
            timers: Wheel::with_capacity(slots),
            site: Site {
                connections_max: size.connections,
                message_bytes_max: size.bounds.message_bytes,
                message_ms: size.bounds.message_ms,
                text: Vec::with_capacity(site::SCRATCH_BYTES),
                frame: Vec::with_capacity(site::SCRATCH_BYTES),
                inflater: site
                    .deflate
                    .map(|_| Box::new(Inflater::new(size.bounds.message_bytes))),
                ..site
            },
            census,
            orders,
            completions: Vec::with_capacity(limits::COMPLETIONS_PER_TURN),
            expired: Vec::with_capacity(limits::EXPIRED_PER_TURN),
            intake: Intake::new(slots),
            hot: Hot::new(size.hot_receptions),
            pace: size.pace,
            outgoing: Outgoing::new(),
            owing: SlotQueue::with_capacity(slots),
            held: SlotQueue::with_capacity(slots),
            pushed: Vec::with_capacity(limits::SEND_BATCH),
            catch_up: CatchUp::new(),
            catching_up: SlotQueue::with_capacity(slots),
            errands: Errands::new(way, slots),
            openings: Openings::default(),
            life: Life::Open,
            routed: true,
            looked: false,
            busy: false,
        }
    }

    /// Runs until it has been told to stop and every connection is closed.
    ///
    /// # Errors
    /// When the ring is broken for good.
    pub fn run(&mut self) -> Result<(), Errno> {
        while !self.is_over() {
            self.turn()?;
        }
        Ok(())
    }

    /// Does everything that is to be done now.
    ///
    /// # Errors
    /// When the ring is broken for good.
    pub fn turn(&mut self) -> Result<(), Errno> {
        let now = self.ring.wait(self.deadline_ns(), &mut self.completions)?; // 1 reap; the only clock
        self.broadcast(now); // 2 pin; records → hub → ranges → one send per live client
        self.dispatch(now); // 3 completions → connections → hub
        self.expire(now); // 4 handshake, ping, close
        self.flush(now); // 5 replies, and those who catch up
        Ok(())
    }

    /// Whether it has stopped.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.life == Life::Over
    }

    /// Whether a turn at `now` would have nothing to do but wait for the kernel.
    #[must_use]
    pub fn is_idle(&self, now: Now) -> bool {
        self.deadline_ns()
            .is_none_or(|deadline_ns| deadline_ns > now.mono_ns)
    }

    /// The ring, for what it has counted.
    #[must_use]
    pub fn ring(&self) -> &R {
        &self.ring
    }

    /// Blocks and subscriptions that connections have borrowed from the shard's pools.
    #[must_use]
    pub fn borrowed(&self) -> usize {
        let Connections {
            inboxes, outboxes, ..
        } = &self.connections;
        inboxes.blocks_in_use() + outboxes.blocks_in_use() + self.hub.subscriptions_in_use()
    }

    /// Checks what must hold between turns. For tests: it walks everything.
    ///
    /// # Panics
    /// When it does not hold.
    pub fn invariants(&self) {
        self.hub.invariants(self.connections.slots.keys());
        let (mut open, mut lasting, mut under_way) = (0, 0, 0);
        for key in self.connections.slots.keys() {
            let Some(connection) = self.connections.slots.get(key) else {
                continue;
            };
            assert!(
                self.hub.subscription_count(key) == 0
                    || !self.hub.is_live(key)
                    || connection.outbox.is_empty()
                    || connection.owing,
                "a live client is owed nothing whose sending has begun, or its ticks would get into that"
            );
            assert!(
                connection.outbox.is_empty() || connection.is_blocked() || connection.owing,
                "what is owed waits for nothing but the socket and the next turn"
            );
            assert_eq!(
                self.connections.lines.of(key.slot()),
                connection.line(),
                "everyone stands where it belongs"
            );
            assert!(
                self.connections.debts.of(key.slot()).is_none() || !connection.outbox.is_empty(),
                "whoever stands in a line of debts is owed something"
            );
            assert!(
                !connection.stage.reads()
                    || connection.pause != Pause::None
                    || connection.waiting
                    || connection.armed.read && (connection.drained || !connection.armed.lasting),
                "whoever is read from is watched, or waits to be heard"
            );
            assert!(
                connection.stage == Stage::Down
                    || self.timers.is_set(key.slot())
                    || connection.overdue.timer && connection.waiting,
                "everyone has a deadline, or is heard before it is judged"
            );
            open += usize::from(connection.stage == Stage::Open);
            lasting += usize::from(connection.armed.lasting);
            under_way += usize::from(connection.under_way);
        }
        assert_eq!(self.site.open, open, "who is open is counted");
        assert_eq!(self.hot.polls(), lasting, "lasting polls are counted");
        assert!(
            under_way <= self.errands.under_way(),
            "whoever waits for an answer has an errand under way"
        );
    }

    /// When the next turn must begin at the latest.
    fn deadline_ns(&self) -> Option<u64> {
        if self.busy
            || !self.owing.is_empty()
            || !self.catching_up.is_empty()
            || self.intake.is_waiting()
            || self.errands.is_idle()
        {
            return Some(0);
        }
        let own = match self.life {
            Life::Open => None,
            Life::Paused { until_ns } | Life::Draining { until_ns } | Life::HungUp { until_ns } => {
                Some(until_ns)
            }
            Life::Leaving { until_ns, accept_ns } => Some(accept_ns.unwrap_or(until_ns).min(until_ns)),
            Life::Over => Some(0),
        };
        own.into_iter()
            .chain(self.timers.next_ns())
            .chain(self.messages_due_ns())
            .chain(self.openings.due_ns())
            .min()
    }

    /// Gets ready to sleep, unless the round is not over or the tape has news: then the next turn does not wait. Without
    /// subscribers it lets go of the tape.
    fn park(&mut self) {
        let next = self.hub.cursor();
        self.busy = !self.hub.fan_out().is_over()
            || match self.hub.subscribers() {
                0 => self.tape.park(next),
                _ => self.tape.park_holding(next),
            } == Parked::Busy;
    }

    fn count(&self) {
        self.census.connections.set(self.connections.slots.len() as u64);
        self.census.subscribers.set(u64::from(self.hub.subscribers()));
    }
}

/// Milliseconds from now, as a deadline.
fn after_ms(now: Now, ms: u64) -> u64 {
    now.mono_ns + ms * crate::base::now::NS_PER_MS
}

#[cfg(test)]
mod tests;
