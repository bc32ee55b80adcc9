//! What a follower has of one channel, and whether what it is sent is what was published.

use crate::book::{Book, hash};
use crate::tick::What;
use crate::truth::{State, Truth, View};

/// What a follower has of one channel.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) at: At,
    /// The epoch that it has this of.
    pub(super) epoch: u64,
    pub(super) book: Book,
    pub(super) replaying: bool,
    /// Of a derived channel, what it says, and the number within its base that this is of, at least.
    pub(super) state: Option<State>,
    pub(super) base: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// It begins with an image.
    Nothing,
    /// The next message is any: it is covered by a pattern, and where that began was not said.
    Anywhere,
    /// It has everything up to this number.
    After(u64),
}

impl Standing {
    pub(super) fn at(at: At) -> Self {
        Self {
            at,
            epoch: 0,
            book: Book::default(),
            replaying: false,
            state: None,
            base: 0,
        }
    }

    /// Takes in what a message says.
    pub(super) fn take(&mut self, what: &What) {
        match what {
            What::One(said) => self.state = Some(State::One(*said)),
            What::Snap(sides) | What::Delta(sides) => {
                for (side, levels) in sides.iter().enumerate() {
                    for [price, size] in levels {
                        self.book.set(side, price, size);
                    }
                }
                self.state = Some(State::Book(self.book.print()));
            }
        }
    }

    /// It says what was published under this number.
    pub(super) fn judge(&self, channel: &str, seq: u64, what: &What, truth: &Truth) {
        assert!(seq <= truth.newest(channel), "{channel} {seq} was not published");
        let said = match what {
            What::One(said) => Some(*said),
            What::Delta(sides) => Some(hash(sides)),
            What::Snap(_) => None,
        };
        if said.is_some() {
            assert_eq!(said, truth.content(channel, seq), "{channel} {seq}");
        }
        if let What::Snap(_) | What::Delta(_) = what {
            assert_eq!(
                Some(self.book.print()),
                truth.print(channel, seq),
                "{channel} at {seq}"
            );
        }
    }

    /// It says what its base has come to at some time, and never goes back.
    pub(super) fn judge_derived(&mut self, channel: &str, seq: u64, view: &View<'_>, truth: &Truth) {
        let state = self.state.expect("it has just said something");
        let found = truth.find(view, self.base, state);
        self.base = found.unwrap_or_else(|| {
            panic!(
                "{channel} {seq}: its base was not like that from {} on",
                self.base
            )
        });
    }
}
