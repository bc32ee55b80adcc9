//! Requests that are not answered yet: those that are sent, and behind them those that are not.
//!
//! Never forgets one because a connection broke: it is sent again on the next, under the same number, and a publication
//! with the same key, so that it is published once.
//!
//! Invariant: sent ones stand before unsent ones; both together are bounded, in number and bytes, but for those that a client
//! makes by itself when it comes back.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::ledger::Ledger;
use crate::limits::{CHANNELS_PER_COMMAND, CLIENT_REQUEST_BYTES_MAX, CLIENT_REQUESTS_MAX};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Authenticate(Box<str>),
    Subscribe(Vec<Box<str>>),
    Unsubscribe(Vec<Box<str>>),
    Snapshot(Vec<Box<str>>),
    List,
    Ping {
        t0_ns: u64,
    },
    Publish {
        /// What stands between the braces of a JSON object that says what is published where.
        said: Box<str>,
        key: Box<str>,
    },
}

/// A request that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) op: Op,
    /// Whether the client asks by itself, because it came back.
    pub(super) again: bool,
    /// Whether it was sent on a connection that broke: it may have been carried out.
    pub(super) doubtful: bool,
}

/// All of them, in the order in which they are made.
#[derive(Debug, Default)]
pub(super) struct Requests {
    asked: VecDeque<Asked>,
    /// How many of them are sent.
    sent: usize,
    bytes: usize,
}

impl Op {
    /// The request as text. Of channels that are subscribed to, the ledger says what there is already.
    /// What `is_leaving` names is being given up: of that it begins anew.
    pub(super) fn text(&self, id: u64, ledger: &Ledger, is_leaving: impl Fn(&str) -> bool) -> String {
        match self {
            Self::Authenticate(token) => json!({ "op": "auth", "id": id, "token": token }).to_string(),
            Self::Subscribe(channels) => match since(channels, ledger, is_leaving) {
                None => json!({ "op": "sub", "id": id, "ch": channels }).to_string(),
                Some(since) => json!({ "op": "sub", "id": id, "ch": channels, "since": since }).to_string(),
            },
            Self::Unsubscribe(channels) => json!({ "op": "unsub", "id": id, "ch": channels }).to_string(),
            Self::Snapshot(channels) => json!({ "op": "snap", "id": id, "ch": channels }).to_string(),
            Self::List => json!({ "op": "list", "id": id }).to_string(),
            Self::Ping { t0_ns } => json!({ "op": "ping", "id": id, "t0": t0_ns }).to_string(),
            // The publisher's own JSON goes out as it is.
            Self::Publish { said, key } => {
                format!(r#"{{"op":"pub","id":{id},"key":{},{said}}}"#, Value::from(&**key))
            }
        }
    }

    /// The channels that it names in a list.
    pub(super) const fn channel_count(&self) -> usize {
        match self {
            Self::Subscribe(channels) | Self::Unsubscribe(channels) | Self::Snapshot(channels) => {
                channels.len()
            }
            Self::Authenticate(_) | Self::List | Self::Ping { .. } | Self::Publish { .. } => 0,
        }
    }

    /// As how many requests it counts towards the server's rate, where publications do not.
    pub(super) const fn cost(&self) -> u64 {
        match self {
            Self::Publish { .. } => 0,
            Self::Authenticate(_)
            | Self::Subscribe(_)
            | Self::Unsubscribe(_)
            | Self::Snapshot(_)
            | Self::List
            | Self::Ping { .. } => 1 + (self.channel_count() / CHANNELS_PER_COMMAND) as u64,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Subscribe(channels) | Self::Unsubscribe(channels) | Self::Snapshot(channels) => {
                channels.iter().map(|channel| channel.len()).sum()
            }
            Self::Publish { said, key } => said.len() + key.len(),
            Self::Authenticate(token) => token.len(),
            Self::List | Self::Ping { .. } => 0,
        }
    }
}

/// What the ledger has of channels; nothing where it has none of them.
fn since(channels: &[Box<str>], ledger: &Ledger, is_leaving: impl Fn(&str) -> bool) -> Option<Value> {
    let mut known = serde_json::Map::new();
    for channel in channels.iter().filter(|channel| !is_leaving(channel)) {
        if let Some(seq) = ledger.seq(channel) {
            known.insert(channel.to_string(), seq.into());
        }
    }
    if known.is_empty() {
        return None;
    }
    known.insert("epoch".to_owned(), ledger.epoch()?.into());
    Some(known.into())
}

impl Requests {
    /// Adds a request behind all others, unless there are too many.
    pub(super) fn push(&mut self, asked: Asked) -> bool {
        let bytes = self.bytes + asked.op.bytes();
        let fits = self.asked.len() < CLIENT_REQUESTS_MAX && bytes <= CLIENT_REQUEST_BYTES_MAX;
        if fits {
            self.bytes = bytes;
            self.asked.push_back(asked);
        }
        fits
    }

    /// Puts requests before all that are not sent, in this order.
    pub(super) fn put_first(&mut self, first: Vec<Asked>) {
        for asked in first.into_iter().rev() {
            self.bytes += asked.op.bytes();
            self.asked.insert(self.sent, asked);
        }
    }

    /// Whether the server was asked to send the channel no more, and has not answered.
    pub(super) fn is_leaving(&self, channel: &str) -> bool {
        self.asked.iter().take(self.sent).any(|asked| match &asked.op {
            Op::Unsubscribe(channels) => channels.iter().any(|name| **name == *channel),
            Op::Authenticate(_)
            | Op::Subscribe(_)
            | Op::Snapshot(_)
            | Op::List
            | Op::Ping { .. }
            | Op::Publish { .. } => false,
        })
    }

    /// The first that is not sent.
    pub(super) fn unsent(&self) -> Option<&Asked> {
        self.asked.get(self.sent)
    }

    /// The first that was not sent is now.
    pub(super) fn sent(&mut self) {
        self.sent += 1;
        debug_assert!(self.sent <= self.asked.len(), "there was one");
    }

    /// The request of that number was answered.
    pub(super) fn answered(&mut self, id: u64) -> Option<Asked> {
        let at = self
            .asked
            .iter()
            .take(self.sent)
            .position(|asked| asked.id == id)?;
        self.remove(at)
    }

    /// The request of that number was not carried out, and is to be sent once more. Where it stands says in which order.
    pub(super) fn postponed(&mut self, id: u64) -> bool {
        let Some(asked) = self.answered(id) else {
            return false;
        };
        let place = (self.sent..self.asked.len()).find(|at| asked.again || self.asked[*at].id > id);
        self.bytes += asked.op.bytes();
        self.asked.insert(place.unwrap_or(self.asked.len()), asked);
        true
    }

    /// The connection broke: all are to be sent again, but for those that the client will make anew.
    pub(super) fn lost(&mut self) {
        for asked in self.asked.iter_mut().take(self.sent) {
            asked.doubtful = true;
        }
        self.sent = 0;
        self.asked.retain(|asked| !asked.again);
        self.bytes = self.asked.iter().map(|asked| asked.op.bytes()).sum();
    }

    /// Takes back what was to say who the client is, where it is not sent.
    pub(super) fn take_back_unsent_token(&mut self) {
        self.take_unsent(|op| matches!(op, Op::Authenticate(_)));
    }

    /// Takes out all publications that are not sent on this connection.
    pub(super) fn take_unsent_publications(&mut self) -> Vec<Asked> {
        self.take_unsent(|op| matches!(op, Op::Publish { .. }))
    }

    fn take_unsent(&mut self, is_taken: impl Fn(&Op) -> bool) -> Vec<Asked> {
        let unsent = self.asked.split_off(self.sent).into_iter();
        let (taken, kept): (Vec<_>, Vec<_>) = unsent.partition(|asked| is_taken(&asked.op));
        self.asked.extend(kept);
        self.bytes = self.asked.iter().map(|asked| asked.op.bytes()).sum();
        taken
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.asked.len()
    }

    fn remove(&mut self, at: usize) -> Option<Asked> {
        let asked = self.asked.remove(at)?;
        self.sent -= 1;
        self.bytes -= asked.op.bytes();
        Some(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::native_json::Command;

    fn publication(id: u64) -> Asked {
        Asked {
            id,
            op: Op::Publish {
                said: r#""ch":"room:42","data":{"a": 1.50}"#.into(),
                key: format!("k-{id}").into(),
            },
            again: false,
            doubtful: false,
        }
    }

    fn unsent(requests: &mut Requests) -> Vec<u64> {
        let mut ids = Vec::new();
        while let Some(asked) = requests.unsent() {
            ids.push(asked.id);
            requests.sent();
        }
        ids
    }

    #[test]
    fn a_publication_keeps_its_number_and_key_and_the_publishers_own_json() {
        let ledger = Ledger::default();
        let asked = publication(11);
        assert_eq!(
            asked.op.text(asked.id, &ledger, |_| false),
            r#"{"op":"pub","id":11,"key":"k-11","ch":"room:42","data":{"a": 1.50}}"#
        );
    }

    #[test]
    fn what_the_ledger_knows_of_a_channel_goes_with_its_subscription() {
        let mut ledger = Ledger::default();
        ledger.enter("e\"");
        ledger.note("trade:X", 5, false);
        let names = ["trade:*", "trade:X", "a\"b"];
        let text = Op::Subscribe(names.map(Into::into).into()).text(3, &ledger, |_| false);
        let Command::Subscribe { id, channels, since } = Command::parse(&text).unwrap() else {
            panic!("{text}");
        };
        assert_eq!((id, channels), (Some(3), names.map(Into::into).into()));
        let since = since.unwrap();
        assert_eq!(
            (&*since.epoch, since.seqs.len(), since.seqs["trade:X"]),
            ("e\"", 1, 5)
        );
        let text = Op::Subscribe(vec!["trade:Y".into()]).text(3, &ledger, |_| false);
        assert!(!text.contains("since"), "{text}");
    }

    #[test]
    fn all_that_was_not_answered_is_sent_again_in_the_same_order() {
        let mut requests = Requests::default();
        for id in 1..6 {
            assert!(requests.push(publication(id)));
        }
        requests.sent();
        requests.sent();
        requests.sent();
        assert_eq!(requests.answered(2), Some(publication(2)));
        assert_eq!(requests.answered(2), None);
        assert_eq!(requests.answered(4), None, "it was not sent");
        requests.put_first(vec![Asked {
            again: true,
            ..publication(9)
        }]);
        assert_eq!(requests.unsent().map(|asked| asked.id), Some(9));
        requests.lost();
        let again = [7, 8].map(|id| Asked {
            again: true,
            ..publication(id)
        });
        requests.put_first(again.into());
        assert_eq!(unsent(&mut requests), [7, 8, 1, 3, 4, 5]);
        assert_eq!(requests.len(), 6);
    }

    #[test]
    fn one_that_was_not_carried_out_is_sent_again_before_those_that_were_made_after_it() {
        let mut requests = Requests::default();
        for id in 1..6 {
            requests.push(publication(id));
        }
        requests.sent();
        requests.sent();
        requests.sent();
        assert!(requests.postponed(3) && requests.postponed(2) && !requests.postponed(5));
        assert_eq!(unsent(&mut requests), [2, 3, 4, 5]);
    }

    #[test]
    fn publications_that_are_not_sent_can_be_taken_out() {
        let mut requests = Requests::default();
        for id in 1..4 {
            requests.push(publication(id));
        }
        requests.push(Asked {
            op: Op::List,
            ..publication(4)
        });
        requests.push(publication(5));
        requests.sent();
        let taken = requests.take_unsent_publications();
        assert!(taken.iter().map(|asked| asked.id).eq([2, 3, 5]));
        assert_eq!(unsent(&mut requests), [4]);
        assert_eq!(requests.len(), 2);
        assert!(requests.answered(1).is_some() && requests.answered(4).is_some());
        assert_eq!(requests.bytes, 0);
    }

    #[test]
    fn their_number_and_bytes_are_bounded() {
        let mut requests = Requests::default();
        let count = (1..).take_while(|id| requests.push(publication(*id))).count();
        assert_eq!(count, CLIENT_REQUESTS_MAX);
        requests.sent();
        requests.answered(1);
        assert!(requests.push(publication(9999)), "an answer makes room");

        let mut requests = Requests::default();
        let large = |id| Asked {
            op: Op::Publish {
                said: "7".repeat(60_000).into(),
                key: "k".into(),
            },
            ..publication(id)
        };
        let count = (1..).take_while(|id| requests.push(large(*id))).count();
        assert!(
            count * 60_000 <= CLIENT_REQUEST_BYTES_MAX && (count + 2) * 60_000 > CLIENT_REQUEST_BYTES_MAX
        );
        requests.sent();
        requests.answered(1);
        assert!(requests.push(large(9999)) && !requests.push(large(10_000)));
    }
}
