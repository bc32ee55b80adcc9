//! What a client makes of the numbers of its channels: each must be the next one, unless it was told otherwise.

use std::collections::BTreeMap;

use serde_json::Value;
use tickwire::market::ChannelClass;
use tickwire::shard::Policy;

use super::{Bounds, Client};
use crate::oracle::{Oracle, covers, derived};

impl Client {
    /// From here on every channel that was not covered before must begin as its class says.
    pub(super) fn subscribed(
        &mut self,
        pattern: &str,
        seq: Option<u64>,
        before: &BTreeMap<String, u64>,
        oracle: &Oracle,
    ) {
        let covered_before: Vec<&String> = oracle
            .channels
            .keys()
            .filter(|channel| self.covered(channel))
            .collect();
        let fresh: Vec<String> = oracle
            .channels
            .keys()
            .filter(|channel| covers(pattern, channel) && !covered_before.contains(channel))
            .cloned()
            .collect();
        self.subscriptions.insert(pattern.to_owned());
        for channel in fresh {
            let bounds = oracle.is_append(&channel).then(|| match seq {
                Some(seq) => Bounds::After(seq),
                None => Bounds::Between(*before.get(&channel).unwrap_or(&0), oracle.newest(&channel)),
            });
            self.standing.insert(channel, bounds);
        }
    }

    /// From here on the state of each channel that has one comes once more.
    pub(super) fn snapped(
        &mut self,
        value: &Value,
        channels: &[String],
        known: &BTreeMap<String, u64>,
        oracle: &Oracle,
    ) {
        let (ok, err) = (value["ok"].as_array().unwrap(), value["err"].as_array().unwrap());
        assert_eq!(ok.len() + err.len(), channels.len(), "{value}");
        for entry in err {
            let channel = entry["ch"].as_str().unwrap();
            let is_subscribed = self.subscriptions.contains(channel);
            let code = if is_subscribed { 4000 } else { 4004 };
            assert_eq!(entry["code"], code, "{value}");
            assert!(!is_subscribed || oracle.is_append(channel), "{value}");
        }
        for pattern in ok.iter().map(|entry| entry["ch"].as_str().unwrap()) {
            assert!(self.subscriptions.contains(pattern), "{value}");
            for channel in oracle.channels.keys() {
                if covers(pattern, channel) && !oracle.is_append(channel) {
                    // What its shard had not looked at may come or not.
                    let may_not_come = known.get(channel).is_none_or(|seq| *seq == 0);
                    self.snapping
                        .insert(channel.clone(), (oracle.newest(channel), may_not_come));
                }
            }
        }
    }

    /// What it is not subscribed to any more does not come once more.
    pub(super) fn forget_snaps(&mut self) {
        let standing = &self.standing;
        self.snapping.retain(|channel, _| standing.contains_key(channel));
    }

    /// Whether an image is one that was asked for: it may say what is known.
    fn is_asked_for(&mut self, channel: &str, seq: u64) -> bool {
        let Some((until, came)) = self.snapping.get_mut(channel) else {
            return false;
        };
        *came = true;
        seq <= *until
    }

    /// What is missing of an append channel: neither more nor less than what was not sent.
    pub(super) fn gap(&mut self, value: &Value, oracle: &Oracle) {
        let channel = value["ch"].as_str().unwrap();
        let (from, to) = (value["from"].as_u64().unwrap(), value["to"].as_u64().unwrap());
        assert!(self.covered(channel), "{value}");
        match value["why"].as_str() {
            Some("slow") => assert!(self.warned, "{value}"),
            why => assert!(
                why == Some("expired") && self.replaying.contains(channel),
                "{value}"
            ),
        }
        assert!(oracle.is_append(channel), "{value}");
        assert!(from <= to && to <= oracle.newest(channel), "{value}");
        self.follow(channel, from);
        self.lapsed = true;
        self.standing.insert(channel.to_owned(), Some(Bounds::After(to)));
    }

    /// Silence is explained: it has everything there is of what it has subscribed to by name.
    pub(super) fn heartbeat(&self, value: &Value) {
        let last = value["last"].as_object().unwrap();
        assert!(!self.subscriptions.is_empty(), "{value}");
        for (channel, seq) in last {
            assert!(self.subscriptions.contains(channel), "{value}");
            match self.standing.get(channel) {
                // A tick may overtake it, but nothing that it names is missing.
                Some(Some(Bounds::After(newest))) => assert!(seq.as_u64().unwrap() <= *newest, "{value}"),
                Some(Some(Bounds::Between(low, high))) => {
                    assert!((*low..=*high).contains(&seq.as_u64().unwrap()), "{value}");
                }
                Some(None) | None => assert_eq!(seq.as_u64(), Some(0), "{value}"),
            }
        }
    }

    /// The number must be the next of the channel.
    fn follow(&self, channel: &str, seq: u64) {
        match self.standing.get(channel) {
            Some(Some(Bounds::After(last))) => assert_eq!(seq, last + 1, "{channel}"),
            Some(Some(Bounds::Between(low, high))) => {
                assert!(*low < seq && seq <= high + 1, "{channel} {low} {seq} {high}");
            }
            None => assert_eq!(seq, 1, "{channel}"),
            Some(None) => panic!("{channel} begins with an image, not with {seq}"),
        }
    }

    /// From here on the channel goes on behind what the client said that it has.
    pub(super) fn resumed(&mut self, entry: &Value, since: u64, oracle: &Oracle) {
        let (channel, newest) = (entry["ch"].as_str().unwrap(), entry["seq"].as_u64().unwrap());
        let (why, manners) = (entry["why"].as_str(), oracle.manners(channel));
        let skips = manners.class == ChannelClass::Replace && manners.policy == Policy::Conflate;
        let (standing, replays) = match entry["resume"].as_str().unwrap() {
            "replay" if skips && since < newest => (None, true),
            "replay" => (Some(Bounds::After(since)), true),
            "gap" if why == Some("epoch") => (Some(Bounds::After(0)), true),
            "gap" => (Some(Bounds::After(since)), true),
            "snap" => (None, false),
            how => panic!("{how}"),
        };
        self.standing.insert(channel.to_owned(), standing);
        if replays {
            self.replaying.insert(channel.to_owned());
        }
    }

    /// A replay is over: everything up to that number is there.
    pub(super) fn live(&mut self, value: &Value) {
        let channel = value["ch"].as_str().unwrap();
        assert!(self.replaying.remove(channel), "{value}");
        match self.standing.get(channel) {
            Some(Some(Bounds::After(last))) => assert_eq!(value["seq"], *last, "{value}"),
            _ => panic!("{value} without what was promised"),
        }
    }

    /// Of a channel on which nobody skips, a newer state comes only to those whom the tape has left behind: something that was
    /// to be sent has left it, or a gap has said so.
    fn is_left_behind(&mut self, oracle: &Oracle) -> bool {
        let unsent = self.standing.iter().filter_map(|(channel, bounds)| match bounds {
            // The next message; or the last one, where that was the state that it joined with and it took nothing since: the
            // join then begins again with the present one.
            Some(Bounds::After(last)) => {
                let positions = &oracle.channels[channel].positions;
                let last = *last as usize;
                positions
                    .get(last)
                    .min(last.checked_sub(1).map(|last| &positions[last]))
            }
            Some(Bounds::Between(..)) | None => None,
        });
        self.lapsed |= unsent.into_iter().any(|&at| at < oracle.given_up());
        self.lapsed
    }

    pub(super) fn data(&mut self, text: &str, oracle: &Oracle) {
        let (channel, seq, image) = oracle.check(text);
        assert!(
            self.covered(&channel),
            "{channel} was not subscribed, or is not any more"
        );
        let is_asked_for = image && self.is_asked_for(&channel, seq);
        match self.standing.get(&channel) {
            Some(Some(Bounds::After(last))) if is_asked_for && !self.warned => {
                let is_reset = oracle.manners(&channel).class == ChannelClass::Book;
                let is_next = seq <= last + 1;
                assert!(is_next && (is_reset || *last <= seq), "{channel} {last} {seq}");
            }
            // Whoever is behind skips to an image. That of a book is a reset, and may be older than what the client has of it
            // if it was in the middle of a join or a replay: what follows it goes on from there.
            Some(Some(Bounds::After(last))) if image && self.warned => {
                let is_reset = oracle.manners(&channel).class == ChannelClass::Book;
                assert!(
                    is_reset || *last <= seq,
                    "{channel} goes back from {last} to {seq}"
                );
                let is_jump = oracle.manners(&channel).policy != Policy::Conflate && seq > last + 1;
                assert!(
                    !is_jump || self.is_left_behind(oracle),
                    "{channel} jumps to {seq}"
                );
            }
            None if image && self.warned => {}
            None | Some(Some(_)) => self.follow(&channel, seq),
            Some(None) => assert!(image, "{channel} begins with an image, not with {text}"),
        }
        self.standing.insert(channel.clone(), Some(Bounds::After(seq)));
        if let Some(full) = &mut self.full
            && derived(&channel).is_none()
        {
            full.push(text.to_owned());
        }
    }
}
