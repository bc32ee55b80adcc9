//! Whether the numbers of each channel follow each other, as they must.
//!
//! Never judges a channel before its second number, unless an acknowledgement told where it stands, and never
//! allocates for a channel that it knows.
//!
//! Invariant: at most [`CHANNELS_MAX`] channels are known; those beyond are not judged.

use std::collections::HashMap;

use crate::limits::CHANNELS_MAX;
use crate::market::{ChannelClass, ChannelName};

/// The newest number of each channel, as one subscriber has heard it.
///
/// ```
/// use tickwire::client::{Continuity, Step};
///
/// let mut continuity = Continuity::default();
/// assert_eq!(continuity.note("trade:BTC-USD", 7, false), Step::First);
/// assert_eq!(continuity.note("trade:BTC-USD", 8, false), Step::Next);
/// assert_eq!(continuity.note("trade:BTC-USD", 11, false), Step::Gap { from: 9, to: 10 });
/// ```
#[derive(Debug, Default)]
pub struct Continuity {
    channels: HashMap<Box<str>, Heard>,
}

/// What is known of a channel.
#[derive(Debug)]
struct Heard {
    class: ChannelClass,
    /// The newest number; `None` before the first.
    seq: Option<u64>,
}

/// How a number stands to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing was known of the channel.
    First,
    /// It is the next one.
    Next,
    /// It is not the next one, but stands for all before it: a replacement or a book's image.
    Jump,
    /// Numbers are missing.
    Gap {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// The number was there before.
    Back {
        /// The one that was expected.
        expected: u64,
    },
}

impl Continuity {
    /// An acknowledgement said that `seq` is the channel's newest number. What is known already stays. Only an append
    /// channel goes on from there: any other begins with an image, whose number is `seq` or one before it.
    pub fn granted(&mut self, channel: &str, class: ChannelClass, seq: u64) {
        if !self.channels.contains_key(channel) {
            let seq = (class == ChannelClass::Append).then_some(seq);
            self.insert(channel, Heard { class, seq });
        }
    }

    /// A message of the channel came; `image` says that it is a book's snapshot.
    pub fn note(&mut self, channel: &str, seq: u64, image: bool) -> Step {
        let Some(heard) = self.channels.get_mut(channel) else {
            let kind = ChannelName::parse(channel).map_or("", ChannelName::kind);
            let class = ChannelClass::default_for_kind(kind);
            self.insert(
                channel,
                Heard {
                    class,
                    seq: Some(seq),
                },
            );
            return Step::First;
        };
        let Some(last) = heard.seq.replace(seq) else {
            return Step::First;
        };
        let expected = last.saturating_add(1);
        let stands_alone = image || heard.class == ChannelClass::Replace;
        if seq == expected {
            Step::Next
        } else if stands_alone && seq >= last {
            Step::Jump
        } else if seq < expected {
            Step::Back { expected }
        } else {
            Step::Gap {
                from: expected,
                to: seq - 1,
            }
        }
    }

    fn insert(&mut self, channel: &str, heard: Heard) {
        if self.channels.len() < CHANNELS_MAX {
            self.channels.insert(channel.into(), heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(channel: &str, numbers: &[(u64, bool)]) -> Vec<Step> {
        let mut continuity = Continuity::default();
        let notes = numbers.iter();
        notes
            .map(|&(seq, image)| continuity.note(channel, seq, image))
            .collect()
    }

    #[test]
    fn an_append_channel_may_neither_leap_nor_go_back() {
        let numbers = [5, 6, 9, 10, 10, 3, 4].map(|seq| (seq, false));
        assert_eq!(
            steps("trade:X", &numbers),
            [
                Step::First,
                Step::Next,
                Step::Gap { from: 7, to: 8 },
                Step::Next,
                Step::Back { expected: 11 },
                Step::Back { expected: 11 },
                Step::Next,
            ]
        );
        assert_eq!(steps("room:42", &numbers), steps("trade:X", &numbers));
        assert_eq!(steps("no name", &numbers), steps("trade:X", &numbers));
    }

    #[test]
    fn a_replace_channel_may_leap_and_repeat_but_not_go_back() {
        assert_eq!(
            steps("bbo:X", &[5, 9, 9, 10, 7].map(|seq| (seq, false))),
            [
                Step::First,
                Step::Jump,
                Step::Jump,
                Step::Next,
                Step::Back { expected: 11 }
            ]
        );
    }

    #[test]
    fn a_books_deltas_follow_its_image() {
        assert_eq!(
            steps(
                "book:X",
                &[
                    (5, true),
                    (6, false),
                    (9, true),
                    (9, true),
                    (10, false),
                    (12, false),
                    (8, true)
                ]
            ),
            [
                Step::First,
                Step::Next,
                Step::Jump,
                Step::Jump,
                Step::Next,
                Step::Gap { from: 11, to: 11 },
                Step::Back { expected: 13 },
            ]
        );
    }

    #[test]
    fn an_acknowledgement_says_what_comes_first_and_of_which_class_it_is() {
        let mut continuity = Continuity::default();
        continuity.granted("trade:X", ChannelClass::Append, 5);
        continuity.granted("trade:X", ChannelClass::Append, 50);
        assert_eq!(continuity.note("trade:X", 7, false), Step::Gap { from: 6, to: 6 });
        continuity.granted("stat:X", ChannelClass::Replace, 5);
        assert_eq!(continuity.note("stat:X", 5, false), Step::First);
        assert_eq!(continuity.note("stat:X", 8, false), Step::Jump);
        continuity.granted("book:X", ChannelClass::Book, 5);
        assert_eq!(
            continuity.note("book:X", 4, true),
            Step::First,
            "an image may be older than the grant"
        );
        assert_eq!(continuity.note("book:X", 5, false), Step::Next);
    }

    #[test]
    fn channels_beyond_the_limit_are_not_judged() {
        let mut continuity = Continuity::default();
        for channel in 0..CHANNELS_MAX {
            assert_eq!(continuity.note(&format!("k:{channel}"), 1, false), Step::First);
        }
        for seq in [1, 5] {
            assert_eq!(continuity.note("k:more", seq, false), Step::First);
        }
        assert_eq!(continuity.note("k:0", 2, false), Step::Next);
        assert_eq!(continuity.channels.len(), CHANNELS_MAX);
    }

    #[test]
    fn the_greatest_numbers_do_no_harm() {
        let numbers = [
            (u64::MAX, false),
            (u64::MAX, false),
            (0, false),
            (u64::MAX, false),
        ];
        assert_eq!(
            steps("trade:X", &numbers)[2..],
            [
                Step::Back { expected: u64::MAX },
                Step::Gap {
                    from: 1,
                    to: u64::MAX - 1
                }
            ]
        );
    }

    proptest! {
        #[test]
        fn the_gaps_of_a_thinned_stream_are_what_was_left_out(kept in prop::collection::vec(any::<bool>(), 1..60)) {
            let mut continuity = Continuity::default();
            continuity.granted("trade:X", ChannelClass::Append, 0);
            let mut missing = Vec::new();
            for (seq, _) in (1_u64..).zip(&kept).filter(|(_, kept)| **kept) {
                match continuity.note("trade:X", seq, false) {
                    Step::Gap { from, to } => missing.extend(from..=to),
                    step @ (Step::First | Step::Next | Step::Jump | Step::Back { .. }) => {
                        prop_assert_eq!(step, Step::Next);
                    }
                }
            }
            let last = kept.iter().rposition(|kept| *kept).unwrap_or(0);
            let left_out: Vec<u64> = (1..).zip(&kept[..last]).filter(|(_, kept)| !**kept).map(|(seq, _)| seq).collect();
            prop_assert_eq!(missing, left_out);
        }
    }
}
