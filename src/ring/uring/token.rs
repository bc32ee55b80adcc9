//! What an operation is known by between its submission and its completion: `kind:8 | generation:24 | slot:32`.
//!
//! Never a pointer: a completion that comes late, twice or from nowhere finds nothing, and frees nothing.

use crate::base::Key;
use crate::ring::Interest;

/// The `user_data` of an operation, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// The multishot accept.
    Accept,
    /// The multishot poll of the doorbell.
    Doorbell,
    /// A poll of a client's socket.
    Poll(Key, Interest),
    /// A send: the number of its batch (24 bits), and its index therein.
    Send(Place),
    /// A receive: the number of its batch (24 bits), and its lane.
    Receive(Place),
    /// A socket put into the table of registered ones.
    Insert,
    /// A descriptor made for a registered socket.
    Lend,
    /// A registered socket ended or closed; reports only what was so already.
    Part,
    /// The end of a lasting poll; reports only that the poll had ended already.
    Disarm,
}

/// A place in a batch: what a transfer's token holds instead of a key's generation and slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) batch: u32,
    pub(super) index: u32,
}

impl Token {
    pub(super) fn to_user_data(self) -> u64 {
        let (kind, key) = match self {
            Self::Accept => (KIND_ACCEPT, Key::new(0, 0)),
            Self::Doorbell => (KIND_DOORBELL, Key::new(0, 0)),
            Self::Poll(key, Interest::Read) => (KIND_POLL_READ, key),
            Self::Poll(key, Interest::ReadWrite) => (KIND_POLL_READ_WRITE, key),
            Self::Poll(key, Interest::Write) => (KIND_POLL_WRITE, key),
            Self::Poll(key, Interest::Arrivals) => (KIND_POLL_ARRIVALS, key),
            Self::Send(place) => (KIND_SEND, Key::new(place.index, place.batch)),
            Self::Receive(place) => (KIND_RECEIVE, Key::new(place.index, place.batch)),
            Self::Insert => (KIND_INSERT, Key::new(0, 0)),
            Self::Lend => (KIND_LEND, Key::new(0, 0)),
            Self::Part => (KIND_PART, Key::new(0, 0)),
            Self::Disarm => (KIND_DISARM, Key::new(0, 0)),
        };
        kind << KIND_SHIFT | u64::from(key.generation()) << GENERATION_SHIFT | u64::from(key.slot())
    }

    /// `None` for a kind that this program never submits.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the fields are cut out of the word"
    )]
    pub(super) fn from_user_data(word: u64) -> Option<Self> {
        let key = Key::new(word as u32, (word >> GENERATION_SHIFT) as u32);
        let place = Place {
            batch: key.generation(),
            index: key.slot(),
        };
        match word >> KIND_SHIFT {
            KIND_ACCEPT => Some(Self::Accept),
            KIND_DOORBELL => Some(Self::Doorbell),
            KIND_POLL_READ => Some(Self::Poll(key, Interest::Read)),
            KIND_POLL_READ_WRITE => Some(Self::Poll(key, Interest::ReadWrite)),
            KIND_POLL_WRITE => Some(Self::Poll(key, Interest::Write)),
            KIND_SEND => Some(Self::Send(place)),
            KIND_RECEIVE => Some(Self::Receive(place)),
            KIND_INSERT => Some(Self::Insert),
            KIND_LEND => Some(Self::Lend),
            KIND_PART => Some(Self::Part),
            KIND_POLL_ARRIVALS => Some(Self::Poll(key, Interest::Arrivals)),
            KIND_DISARM => Some(Self::Disarm),
            _ => None,
        }
    }
}

const KIND_SHIFT: u32 = 56;
const GENERATION_SHIFT: u32 = 32;
const _: () = assert!(KIND_SHIFT - GENERATION_SHIFT == Key::GENERATION_BITS);

// Zero is no kind, so that a completion of zeroes is a stray.
const KIND_ACCEPT: u64 = 1;
const KIND_DOORBELL: u64 = 2;
const KIND_POLL_READ: u64 = 3;
const KIND_POLL_READ_WRITE: u64 = 4;
const KIND_POLL_WRITE: u64 = 5;
const KIND_SEND: u64 = 6;
const KIND_RECEIVE: u64 = 7;
const KIND_INSERT: u64 = 8;
const KIND_LEND: u64 = 9;
const KIND_PART: u64 = 10;
const KIND_POLL_ARRIVALS: u64 = 11;
const KIND_DISARM: u64 = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_token_survives_the_kernel(slot: u32, generation in 0..=Key::GENERATION_MAX) {
            let key = Key::new(slot, generation);
            let place = Place { batch: generation, index: slot };
            for token in [
                Token::Accept,
                Token::Doorbell,
                Token::Poll(key, Interest::Read),
                Token::Poll(key, Interest::ReadWrite),
                Token::Poll(key, Interest::Write),
                Token::Send(place),
                Token::Receive(place),
                Token::Insert,
                Token::Lend,
                Token::Part,
                Token::Poll(key, Interest::Arrivals),
                Token::Disarm,
            ] {
                prop_assert_eq!(Token::from_user_data(token.to_user_data()), Some(token));
            }
        }

        #[test]
        fn an_unknown_kind_is_nobodys(word: u64) {
            let known = (1..=12).contains(&(word >> 56));
            prop_assert_eq!(Token::from_user_data(word).is_some(), known);
        }
    }
}
