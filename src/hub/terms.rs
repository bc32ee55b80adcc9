//! On which terms clients may be behind: how far, and what becomes of those who are further.
//!
//! A channel has one of a few terms, by number; what it lacks a policy its class has. Nothing here knows any client.

use crate::base::Now;
use crate::base::now::NS_PER_MS;
use crate::limits::{BEHIND_BYTES, BEHIND_MS, TERMS_MAX};
use crate::tape::{Class, Record, Span};

/// What becomes of a client when the next message for it is older than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// It skips what is out of date: of the channel it is sent the present state.
    Conflate,
    /// It is sent everything as long as the tape has it.
    Gap,
    /// Its connection is closed.
    Disconnect,
}

/// How far a client may be behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slack {
    /// Milliseconds since the next message for it was published.
    pub ms: u64,
    /// Bytes of its track from that message on.
    pub bytes: u64,
}

impl Slack {
    /// As far as the tape reaches.
    pub const UNBOUNDED: Self = Self {
        ms: u64::MAX,
        bytes: u64::MAX,
    };
}

impl Default for Slack {
    fn default() -> Self {
        Self {
            ms: BEHIND_MS,
            bytes: BEHIND_BYTES,
        }
    }
}

/// On which terms clients may be behind on a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// What becomes of those who are further behind; `None` for what the channel's class does.
    pub policy: Option<Policy>,
    /// How far they may be.
    pub slack: Slack,
}

impl Terms {
    /// The policy on a channel of this class.
    #[must_use]
    pub fn policy(&self, class: Class) -> Policy {
        self.policy.unwrap_or(match class {
            Class::Append => Policy::Gap,
            Class::Replace | Class::Book => Policy::Conflate,
        })
    }
}

/// What a client that is behind is sent of a channel's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Every one: there is no state that could stand for some.
    Append,
    /// Every one. A newcomer, and whoever the tape has left behind, begins with the state.
    Every,
    /// The state, and the messages since.
    Newest,
}

impl Flow {
    /// All there are, in order.
    pub(super) const ALL: [Self; 3] = [Self::Append, Self::Every, Self::Newest];

    pub(super) const fn new(class: Class, policy: Policy) -> Self {
        match (class, policy) {
            (Class::Append, _) => Self::Append,
            (Class::Replace | Class::Book, Policy::Conflate) => Self::Newest,
            (Class::Replace | Class::Book, Policy::Gap | Policy::Disconnect) => Self::Every,
        }
    }
}

/// The terms of all channels of a hub, by number.
#[derive(Debug)]
pub(super) struct TermsTable {
    terms: Vec<Terms>,
    /// Nobody who is not further behind than this is judged.
    strictest: Slack,
}

impl TermsTable {
    /// These, the first of which are those of channels that have no others.
    pub(super) fn new(terms: &[Terms]) -> Self {
        let mut terms = terms.to_vec();
        terms.truncate(TERMS_MAX);
        if terms.is_empty() {
            terms.push(Terms::default());
        }
        let least = |slack: fn(&Terms) -> u64| terms.iter().map(slack).min().unwrap_or(u64::MAX);
        Self {
            strictest: Slack {
                ms: least(|terms| terms.slack.ms),
                bytes: least(|terms| terms.slack.bytes),
            },
            terms,
        }
    }

    /// The number under which a channel's terms are found, and its policy.
    pub(super) fn look_up(&self, number: u8, class: Class) -> (u8, Policy) {
        match self.terms.get(usize::from(number)) {
            Some(terms) => (number, terms.policy(class)),
            None => (0, self.terms[0].policy(class)),
        }
    }

    /// What is too old now, on a track that ends at `end`, if anything is: nobody is behind further than from `oldest`.
    pub(super) fn limits(&self, now: Now, end: u64, oldest: (&Record, Span)) -> Option<Limits> {
        let (record, span) = oldest;
        if !Limit::new(self.strictest, now, end).is_exceeded(record.pt_ns, span.start) {
            return None;
        }
        let mut limits = Limits([Limit::NONE; TERMS_MAX]);
        for (limit, terms) in limits.0.iter_mut().zip(&self.terms) {
            *limit = Limit::new(terms.slack, now, end);
        }
        Some(limits)
    }
}

/// What is too old at one moment, on one track, for each of the terms.
#[derive(Debug)]
pub(super) struct Limits([Limit; TERMS_MAX]);

impl Limits {
    /// Whether a message is older than the terms of that number allow.
    pub(super) fn are_exceeded(&self, number: u8, record: &Record, span: Span) -> bool {
        let limit = self.0.get(usize::from(number));
        limit.is_some_and(|limit| limit.is_exceeded(record.pt_ns, span.start))
    }
}

/// What was published before, or begins before, is too old.
#[derive(Clone, Copy, Debug)]
struct Limit {
    pt_ns: u64,
    start: u64,
}

impl Limit {
    /// Nothing is too old.
    const NONE: Self = Self { pt_ns: 0, start: 0 };

    fn new(slack: Slack, now: Now, end: u64) -> Self {
        // Milliseconds are counted whole: 500.9 are not more than 500.
        let ns = slack.ms.saturating_add(1).saturating_mul(NS_PER_MS);
        Self {
            pt_ns: now.wall_ns.checked_sub(ns).map_or(0, |ns| ns + 1),
            start: end.saturating_sub(slack.bytes),
        }
    }

    const fn is_exceeded(&self, pt_ns: u64, start: u64) -> bool {
        pt_ns < self.pt_ns || start < self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ChannelId, Position, RecordKind};

    fn now(ms: u64) -> Now {
        Now {
            mono_ns: 0,
            wall_ns: ms * NS_PER_MS,
        }
    }

    fn record(pt_ms: u64) -> Record {
        Record {
            channel: ChannelId::new(0),
            class: Class::Append,
            kind: RecordKind::Live,
            seq: 1,
            ts_ns: 0,
            pt_ns: pt_ms * NS_PER_MS,
            previous: Position::NONE,
        }
    }

    fn table(slacks: &[(u64, u64)]) -> TermsTable {
        let terms = slacks.iter().map(|&(ms, bytes)| Terms {
            policy: None,
            slack: Slack { ms, bytes },
        });
        TermsTable::new(&terms.collect::<Vec<_>>())
    }

    #[test]
    fn more_than_the_milliseconds_or_the_bytes_is_too_far() {
        let table = table(&[(500, 1000)]);
        for (pt_ms, start, is_late) in [
            (1500, 9000, false),
            (1499, 9000, true),
            (1500, 8999, true),
            (2000, 10_000, false),
            (0, 0, true),
        ] {
            let span = Span { start, bytes: 10 };
            let limits = table.limits(now(2000), 10_000, (&record(pt_ms), span));
            assert_eq!(limits.is_some(), is_late, "{pt_ms} {start}");
        }
    }

    #[test]
    fn each_channel_is_judged_by_its_own_terms() {
        let table = table(&[(100, u64::MAX), (1000, u64::MAX), (u64::MAX, u64::MAX)]);
        let span = Span { start: 0, bytes: 10 };
        let limits = table.limits(now(5000), 10_000, (&record(4500), span)).unwrap();
        let late = |number, pt_ms| limits.are_exceeded(number, &record(pt_ms), span);
        assert!(late(0, 4500) && !late(1, 4500) && !late(2, 4500));
        assert!(late(1, 3000) && !late(2, 0));
    }

    #[test]
    fn a_number_without_terms_has_the_first() {
        let table = TermsTable::new(&[Terms {
            policy: Some(Policy::Disconnect),
            slack: Slack::default(),
        }]);
        assert_eq!(table.look_up(7, Class::Book), (0, Policy::Disconnect));
        assert_eq!(
            TermsTable::new(&[]).look_up(0, Class::Book),
            (0, Policy::Conflate)
        );
        assert_eq!(TermsTable::new(&[]).look_up(0, Class::Append), (0, Policy::Gap));
    }

    #[test]
    fn nothing_is_skipped_but_where_a_state_stands_for_it() {
        for policy in [Policy::Conflate, Policy::Gap, Policy::Disconnect] {
            assert_eq!(Flow::new(Class::Append, policy), Flow::Append);
            let is_newest = policy == Policy::Conflate;
            for class in [Class::Replace, Class::Book] {
                assert_eq!(Flow::new(class, policy) == Flow::Newest, is_newest);
            }
        }
        for (number, flow) in Flow::ALL.into_iter().enumerate() {
            assert_eq!(flow as usize, number);
        }
    }
}
