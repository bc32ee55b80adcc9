//! Where shards have the writer do what only it can: errands are taken here, each shard in its turn, and answered.
//!
//! It never does any of them itself, and never waits. What came of an errand is told only when whoever carries it out says
//! that it stands: a message that is to be safe on disk is not acknowledged before. Invariant: each errand that was taken is
//! answered once, those of one shard in the order in which they came.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::dialect::errand::{Answer, Errand, Outcome, WriterEnd};

/// The writer's ends of the ways to all shards.
#[derive(Debug)]
pub struct Counter {
    ways: Vec<WriterEnd>,
    /// Told when a shard has pushed something.
    bell: Arc<Notify>,
    /// Whose turn it is.
    next: usize,
    /// What was carried out and not told yet.
    done: Vec<Done>,
}

/// An errand that was carried out.
#[derive(Debug)]
struct Done {
    way: usize,
    errand: Errand,
    outcome: Outcome,
    /// The number that the journal has given to what was published.
    journaled: Option<u64>,
}

/// An errand, and where it came from.
#[derive(Debug)]
pub struct Taken {
    way: usize,
    /// What is to be done.
    pub errand: Errand,
}

impl Taken {
    /// The number of the shard that it comes from.
    #[must_use]
    pub fn shard(&self) -> usize {
        self.way
    }
}

impl Counter {
    /// A counter for those shards that ring `bell` when they have pushed something.
    #[must_use]
    pub fn new(ways: Vec<WriterEnd>, bell: Arc<Notify>) -> Self {
        Self {
            ways,
            bell,
            next: 0,
            done: Vec::new(),
        }
    }

    /// The next errand, if there is one: of each shard in its turn.
    pub fn take(&mut self) -> Option<Taken> {
        let count = self.ways.len();
        (0..count).find_map(|_| {
            let way = self.next;
            self.next = (way + 1) % count;
            let errand = self.ways[way].errands.pop()?;
            Some(Taken { way, errand })
        })
    }

    /// Notes what came of an errand, and which number its message has in the journal.
    pub fn note(&mut self, taken: Taken, outcome: Outcome, journaled: Option<u64>) {
        let Taken { way, errand } = taken;
        self.done.push(Done {
            way,
            errand,
            outcome,
            journaled,
        });
    }

    /// Whether anything was carried out that was not told yet.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.done.is_empty()
    }

    /// Tells what came of all errands that were carried out, as it is [judged](Outcome::judged): readers have been shown what was
    /// published.
    pub fn tell(&mut self, judge: impl Fn(Option<u64>) -> Option<Outcome>) {
        for Done {
            way,
            errand,
            outcome,
            journaled,
        } in self.done.drain(..)
        {
            let outcome = outcome.judged(journaled, &judge);
            // There is room for every answer, and where nobody takes it, nobody is there to be told.
            let _ = self.ways[way].answers.push(Answer { errand, outcome });
        }
        for way in &mut self.ways {
            way.answers.ring();
        }
    }

    /// What is told when there is something to do.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Waits until a shard has pushed something. May be dropped at any time.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Key, PublisherId};
    use crate::dialect::errand::{Publish, ShardEnd, Want, way};

    fn errand(id: u64) -> Errand {
        Errand {
            client: Key::new(0, 1),
            id: Some(id),
            want: Want::Publish(Box::new(Publish {
                publisher: PublisherId::default(),
                channel: "room:1".into(),
                key: None,
                text: "{}".into(),
            })),
        }
    }

    fn counter(shards: usize) -> (Counter, Vec<ShardEnd>) {
        let ways = (0..shards).map(|_| way(|| {}, || {}));
        let (shards, writers) = ways.unzip();
        (Counter::new(writers, Arc::default()), shards)
    }

    #[test]
    fn each_shard_has_its_turn_however_much_another_wants() {
        let (mut counter, mut shards) = counter(3);
        for id in 0..10 {
            shards[0].errands.push(errand(id)).unwrap();
        }
        shards[2].errands.push(errand(100)).unwrap();
        let ids: Vec<_> = (0..4)
            .map(|_| counter.take().unwrap().errand.id.unwrap())
            .collect();
        assert_eq!(ids, [0, 100, 1, 2]);
    }

    #[test]
    fn what_came_of_errands_is_told_in_their_order_and_not_before() {
        let (mut counter, mut shards) = counter(1);
        for id in 0..3 {
            shards[0].errands.push(errand(id)).unwrap();
        }
        for seq in 0..3 {
            let taken = counter.take().unwrap();
            counter.note(taken, Outcome::Published { seq }, Some(seq));
        }
        assert!(counter.take().is_none() && counter.has_news());
        assert!(shards[0].answers.pop().is_none());
        let lost = Outcome::Refused {
            code: crate::dialect::Code::Internal,
            message: "lost".to_owned(),
        };
        counter.tell(|journaled| (journaled == Some(1)).then(|| lost.clone()));
        let told: Vec<_> = std::iter::from_fn(|| shards[0].answers.pop())
            .map(|answer| (answer.errand.id, answer.outcome))
            .collect();
        assert_eq!(
            told,
            [
                (Some(0), Outcome::Published { seq: 0 }),
                (Some(1), lost),
                (Some(2), Outcome::Published { seq: 2 })
            ]
        );
        assert!(!counter.has_news());
    }
}
