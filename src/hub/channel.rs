//! What a shard knows of one channel.

use super::terms::{Flow, Policy};
use super::topic::Topic;
use crate::tape::{Class, Position, Record};

/// One channel as of the hub's cursor.
#[derive(Debug)]
pub struct Channel {
    name: Box<str>,
    class: Class,
    policy: Policy,
    flow: Flow,
    /// The number of its terms.
    terms: u8,
    kind: u32,
    seq: u64,
    newest: Position,
    image: Position,
    topic: Topic,
}

impl Channel {
    pub(super) fn new(name: &str, class: Class, kind: u32, (terms, policy): (u8, Policy)) -> Self {
        Self {
            name: name.into(),
            class,
            policy,
            flow: Flow::new(class, policy),
            terms,
            kind,
            seq: 0,
            newest: Position::NONE,
            image: Position::NONE,
            topic: Topic::default(),
        }
    }

    pub(super) fn observe(&mut self, position: Position, record: &Record) {
        self.newest = position;
        self.seq = record.seq;
        if record.kind.is_image() {
            self.image = position;
        }
    }

    /// Its name, `kind:symbol`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its records relate to each other.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// What becomes of clients that are further behind on it than they may be.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The sequence number of its newest record; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Its newest record of any kind.
    #[must_use]
    pub fn newest(&self) -> Position {
        self.newest
    }

    /// The newest record that stands for all before it; [`Position::NONE`] where the class has no such thing.
    #[must_use]
    pub fn image(&self) -> Position {
        self.image
    }

    /// Whether patterns mean it, or only its name does.
    #[must_use]
    pub fn is_listed(&self) -> bool {
        self.kind != super::UNLISTED
    }

    /// Whether nobody of this shard has subscribed to it by its name.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.topic.len() == 0
    }

    pub(super) fn flow(&self) -> Flow {
        self.flow
    }

    pub(super) fn terms(&self) -> u8 {
        self.terms
    }

    pub(super) fn kind(&self) -> u32 {
        self.kind
    }

    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(super) fn topic_mut(&mut self) -> &mut Topic {
        &mut self.topic
    }
}
