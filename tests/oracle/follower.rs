//! What a client makes of what it is sent: what it has of each channel, and whether it was told of all the rest.
//!
//! It knows the protocol's rules and nothing of the server. It outlives its connections, and says at each new one what
//! it has. Whatever it was not sent must have been announced: by a gap, by an image, or, once it was warned, by a number
//! that skips ahead in a channel whose newest message is enough. Which channels these are is what the server was told, and
//! what it says of each that is asked for by name must agree with that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use tickwire::base::Prng;
use tickwire::market::ChannelClass;
use tickwire::shard::Policy;

use super::book::Book;
use super::manners::Manners;
use super::tick::{Tick, What};
use super::truth::{Truth, View};

mod standing;

use standing::{At, Standing};

#[derive(Debug, Default)]
pub struct Follower {
    /// Names and patterns that the server has acknowledged on this connection.
    subscribed: BTreeSet<String>,
    /// Those that are asked for at each new connection.
    wanted: BTreeSet<String>,
    channels: BTreeMap<String, Standing>,
    epoch: String,
    /// How many epochs it has seen.
    epochs: u64,
    /// Requests whose reply has not come, oldest first.
    pending: VecDeque<Request>,
    next_id: u64,
    warned: bool,
    /// Whether the tape has left it behind on this connection.
    lapsed: bool,
    greeted: bool,
    pub counts: Counts,
}

/// What has happened to followers, all told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub ticks: u64,
    /// Messages that a gap has announced.
    pub gapped: u64,
    /// Numbers that were passed over on the way to the newest.
    pub skipped: u64,
    pub snaps: u64,
    pub replays: u64,
    pub resumed_anew: u64,
    pub connections: u64,
    /// Ticks of derived channels.
    pub derived: u64,
    /// Ticks of channels that are of another class than their kind is by default.
    pub reclassed: u64,
    /// Messages of these that a gap has announced, and numbers that were passed over.
    pub reclassed_gapped: u64,
    pub reclassed_skipped: u64,
    /// How often one was closed for being too far behind on a channel where nobody may be.
    pub disposed: u64,
}

#[derive(Debug)]
enum Request {
    Subscribe {
        id: u64,
        since: BTreeMap<String, u64>,
        epoch: String,
    },
    Unsubscribe {
        id: u64,
        channel: String,
    },
}

impl Follower {
    /// A connection begins. Gives the first request.
    pub fn connect(&mut self, prng: &mut Prng) -> Option<String> {
        self.counts.connections += 1;
        self.subscribed.clear();
        self.pending.clear();
        self.warned = false;
        self.lapsed = false;
        self.greeted = false;
        let wanted: Vec<String> = self.wanted.iter().cloned().collect();
        let resumes = prng.chance(5, 6);
        (!wanted.is_empty()).then(|| self.subscribe(wanted, resumes))
    }

    /// Asks for channels, from where it has them if it `resumes`.
    pub fn subscribe(&mut self, channels: Vec<String>, resumes: bool) -> String {
        self.next_id += 1;
        let id = self.next_id;
        let mut since = BTreeMap::new();
        for channel in &channels {
            self.wanted.insert(channel.clone());
            match self.channels.get(channel) {
                Some(&Standing {
                    at: At::After(seq),
                    epoch,
                    ..
                }) if resumes && epoch == self.epochs && !self.covers(channel) => {
                    since.insert(channel.clone(), seq);
                }
                _ => {}
            }
        }
        let mut request = json!({"op": "sub", "id": id, "ch": channels});
        if !since.is_empty() {
            request["since"] = json!(since);
            request["since"]["epoch"] = json!(self.epoch);
        }
        let epoch = self.epoch.clone();
        self.pending.push_back(Request::Subscribe { id, since, epoch });
        request.to_string()
    }

    /// Asks to be sent a channel no more, if it has subscribed to any.
    pub fn unsubscribe(&mut self, prng: &mut Prng) -> Option<String> {
        let count = self.subscribed.len().max(1) as u64;
        let channel = self.subscribed.iter().nth(prng.below(count) as usize)?.clone();
        self.wanted.remove(&channel);
        self.next_id += 1;
        let id = self.next_id;
        let request = json!({"op": "unsub", "id": id, "ch": channel});
        self.pending.push_back(Request::Unsubscribe { id, channel });
        Some(request.to_string())
    }

    /// The connection has ended.
    pub fn part(&mut self) {
        self.greeted = false;
    }

    /// Whether it is connected and waits for no reply.
    pub fn is_answered(&self) -> bool {
        self.greeted && self.pending.is_empty()
    }

    pub fn text(&mut self, text: &str, truth: &Truth) {
        let is_control = ["hello", "ack", "warn", "gap", "live", "hb", "shutdown", "error"]
            .iter()
            .any(|t| {
                text.strip_prefix("{\"t\":\"")
                    .is_some_and(|rest| rest.starts_with(t))
            });
        if !is_control {
            return self.tick(&Tick::of_text(text), truth);
        }
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
        match value["t"].as_str() {
            Some("hello") => self.hello(&value, truth),
            Some("ack") => self.acknowledged(&value, truth),
            Some("warn") => self.warned = true,
            Some("gap") => self.gap(&value, truth),
            Some("live") => self.live(&value),
            Some("hb") => self.heartbeat(&value),
            Some("shutdown") => {}
            _ => panic!("{text}"),
        }
    }

    pub fn bytes(&mut self, bytes: &[u8], truth: &Truth) {
        self.tick(&Tick::of_bytes(bytes), truth);
    }

    fn hello(&mut self, value: &Value, truth: &Truth) {
        assert!(!self.greeted, "{value}");
        for (name, kind, usual) in [
            ("trade:BTCUSDT", "trade:*", "append"),
            ("bbo:BTCUSDT", "bbo:*", "replace"),
            ("book:BTCUSDT", "book:*", "book"),
            ("room:1", "room:*", "append"),
            ("room:2", "room:*", "append"),
        ] {
            let said = |pattern: &str| value["classes"][pattern].as_str();
            let class = said(name).or_else(|| said(kind)).unwrap_or(usual);
            assert_eq!(class, truth.manners(name).class.as_str(), "{name}: {value}");
        }
        self.greeted = true;
        let epoch = value["epoch"].as_str().expect("hello names the epoch");
        if epoch != self.epoch {
            epoch.clone_into(&mut self.epoch);
            self.epochs += 1;
        }
    }

    fn acknowledged(&mut self, value: &Value, truth: &Truth) {
        let id = value["id"].as_u64();
        match self.pending.pop_front().expect("one request, one reply") {
            Request::Subscribe {
                id: asked,
                since,
                epoch,
            } => {
                assert_eq!(id, Some(asked), "{value}");
                for entry in value["ok"].as_array().expect("a list") {
                    self.begun(entry, &since, truth);
                }
                for entry in value["err"].as_array().expect("a list") {
                    // A shard may not have heard of what was just published for the first time.
                    assert_eq!(entry["code"], 4004, "{value}");
                    let channel = entry["ch"].as_str().expect("a name");
                    let has_some = epoch == self.epoch && since.contains_key(channel);
                    assert!(!has_some, "{value}");
                    // What it has is of another epoch, unless a pattern has begun to bring the channel since it was asked for.
                    if !self.covers(channel) {
                        self.channels.remove(channel);
                    }
                }
            }
            Request::Unsubscribe { id: asked, channel } => {
                assert_eq!(id, Some(asked), "{value}");
                let ended = value["ok"].as_array().is_some_and(|ok| !ok.is_empty());
                assert_eq!(ended, self.subscribed.remove(&channel), "{value}");
                let left: Vec<String> = self
                    .channels
                    .keys()
                    .filter(|name| !self.covers(name))
                    .cloned()
                    .collect();
                for name in left {
                    self.channels.remove(&name);
                }
            }
        }
    }

    /// A subscription has begun.
    fn begun(&mut self, entry: &Value, since: &BTreeMap<String, u64>, truth: &Truth) {
        let name = entry["ch"].as_str().expect("a name");
        let was_covered = self.covers(name);
        if !self.subscribed.insert(name.to_owned()) && !since.contains_key(name) {
            return;
        }
        if name.ends_with('*') {
            // Each channel of it begins anew, but those that were covered already.
            let others: Vec<String> = self
                .subscribed
                .iter()
                .filter(|other| *other != name)
                .cloned()
                .collect();
            let is_new =
                |channel: &str| covers(name, channel) && !others.iter().any(|other| covers(other, channel));
            // What it knows from another epoch may not be there yet.
            self.channels
                .retain(|channel, _| !is_new(channel) || truth.newest(channel) > 0);
            for channel in truth.channels().filter(|channel| is_new(channel)) {
                let at = if truth.is_append(channel) {
                    At::Anywhere
                } else {
                    At::Nothing
                };
                self.begin_at(channel, at);
            }
            return;
        }
        let Manners { class, .. } = truth.manners(name);
        assert_eq!(entry["class"], class.as_str(), "{entry}");
        assert!(
            class != ChannelClass::Append || View::of(name).is_none(),
            "nothing is derived of a channel whose every message counts: {entry}"
        );
        let newest = entry["seq"].as_u64().expect("a number");
        assert!(
            newest <= truth.newest(name) || View::of(name).is_some(),
            "{entry}"
        );
        let since = since.get(name).filter(|_| entry.get("resume").is_some());
        let Some(&seen) = since else {
            if !was_covered {
                let at = if class == ChannelClass::Append {
                    At::After(newest)
                } else {
                    At::Nothing
                };
                self.begin_at(name, at);
            }
            return;
        };
        // A request before this one may have been told that there is no such channel in this epoch yet.
        let standing = self.channels.entry(name.to_owned());
        let standing = standing.or_insert_with(|| Standing::at(At::Nothing));
        let why = entry["why"].as_str();
        let skips = class == ChannelClass::Replace && truth.is_skipped(name);
        let at = match (entry["resume"].as_str(), why, class) {
            // The newest is enough.
            (Some("replay"), None, _) if skips && seen < newest => At::Nothing,
            (Some("replay"), None, _) => At::After(seen),
            (Some("gap"), Some("epoch"), ChannelClass::Append) => At::After(0),
            (Some("gap"), Some("expired"), ChannelClass::Append) => At::After(seen),
            (Some("snap"), Some(_), ChannelClass::Replace | ChannelClass::Book) => At::Nothing,
            _ => panic!("{entry}"),
        };
        if why.is_none() {
            self.counts.replays += 1;
        } else {
            self.counts.resumed_anew += 1;
        }
        standing.replaying = entry["resume"] != "snap";
        standing.at = at;
        standing.epoch = self.epochs;
    }

    /// The channel begins anew. What it had of the book it keeps until an image comes, for it may be gone on with yet.
    fn begin_at(&mut self, channel: &str, at: At) {
        let standing = self.channels.entry(channel.to_owned());
        let standing = standing.or_insert_with(|| Standing::at(at));
        standing.at = at;
        standing.epoch = self.epochs;
        standing.replaying = false;
    }

    fn gap(&mut self, value: &Value, truth: &Truth) {
        let channel = value["ch"].as_str().expect("a name");
        let number = |field: &str| value[field].as_u64().expect("a number");
        let (from, to) = (number("from"), number("to"));
        assert!(truth.is_append(channel) && self.covers(channel), "{value}");
        let may_be_slow = truth.manners(channel).policy != Policy::Disconnect;
        assert!(value["why"] != "slow" || may_be_slow, "{value}");
        assert!(from <= to && to <= truth.newest(channel), "{value}");
        // A channel may have come into being since its pattern was subscribed, and run away.
        let standing = self.channels.entry(channel.to_owned());
        let standing = standing.or_insert_with(|| Standing::at(At::After(0)));
        assert!(value["why"] != "slow" || self.warned, "{value}");
        assert!(value["why"] != "expired" || standing.replaying, "{value}");
        match standing.at {
            At::After(last) => assert_eq!(from, last + 1, "{value}"),
            At::Anywhere => {}
            At::Nothing => panic!("{value}"),
        }
        self.counts.gapped += to + 1 - from;
        if truth.is_reclassed(channel) {
            self.counts.reclassed_gapped += to + 1 - from;
        }
        standing.at = At::After(to);
        standing.epoch = self.epochs;
        self.lapsed = true;
    }

    /// It was closed for being behind: where that is due to one channel, nobody may be behind on that.
    pub fn disposed(&mut self, why: &str, truth: &Truth) {
        if let Some(channel) = why.strip_prefix("too far behind on ") {
            assert!(self.covers(channel), "{why}");
            assert_eq!(truth.manners(channel).policy, Policy::Disconnect, "{why}");
            self.counts.disposed += 1;
        }
    }

    /// Whether it has, by now, been left behind by the tape, on any channel: also on one that has come into being since its
    /// pattern was subscribed, and of which nothing has come.
    fn is_left_behind(&mut self, truth: &Truth) -> bool {
        let known = self.channels.iter();
        let known = known.filter(|(_, standing)| standing.epoch == self.epochs);
        let mut known = known.map(|(channel, standing)| (channel.as_str(), standing.at));
        let mut new = truth
            .channels()
            .filter(|channel| !self.channels.contains_key(*channel) && self.covers(channel))
            .map(|channel| (channel, At::After(0)));
        let is_given_up = |(channel, at): (&str, At)| match at {
            At::After(last) => truth.is_given_up(channel, last),
            At::Nothing | At::Anywhere => false,
        };
        let is_behind = known.any(is_given_up) || new.any(is_given_up);
        self.lapsed |= is_behind;
        self.lapsed
    }

    fn live(&mut self, value: &Value) {
        let channel = value["ch"].as_str().expect("a name");
        let standing = self.channels.get_mut(channel).expect("it follows the channel");
        assert!(standing.replaying, "{value}");
        standing.replaying = false;
        assert_eq!(
            standing.at,
            At::After(value["seq"].as_u64().expect("a number")),
            "{value}"
        );
    }

    /// Nothing that a heartbeat names is missing.
    fn heartbeat(&self, value: &Value) {
        for (channel, seq) in value["last"].as_object().expect("an object") {
            let seq = seq.as_u64().expect("a number");
            match self.channels.get(channel).map(|standing| standing.at) {
                Some(At::After(last)) => assert!(seq <= last, "{value}: it has {last}"),
                Some(At::Nothing) | None => assert_eq!(seq, 0, "{value}"),
                Some(At::Anywhere) => {}
            }
        }
    }

    fn tick(&mut self, tick: &Tick, truth: &Truth) {
        let Tick { channel, seq, what } = tick;
        let seq = *seq;
        assert!(
            self.covers(channel),
            "{channel} {seq} was not subscribed, or is not any more"
        );
        let at = self.channels.get(channel).map(|standing| standing.at);
        // A channel that has come into being since its pattern was subscribed.
        let at = at.unwrap_or(At::After(0));
        self.judge_number(channel, (at, seq), what, truth);
        let standing = self.channels.entry(channel.clone());
        let standing = standing.or_insert_with(|| Standing::at(at));
        if let What::Snap(_) = what {
            self.counts.snaps += 1;
            standing.book = Book::default();
            if at != At::After(seq - 1) {
                standing.base = 0;
            }
        }
        if at == At::Nothing {
            standing.base = 0;
        }
        standing.take(what);
        match View::of(channel) {
            None => standing.judge(channel, seq, what, truth),
            Some(view) => {
                self.counts.derived += 1;
                standing.judge_derived(channel, seq, &view, truth);
            }
        }
        standing.at = At::After(seq);
        standing.epoch = self.epochs;
        self.counts.ticks += 1;
        self.counts.reclassed += u64::from(truth.is_reclassed(channel));
    }

    /// It is the next number of the channel, unless the channel's class and what the client was told allow another.
    fn judge_number(&mut self, channel: &str, (at, seq): (At, u64), what: &What, truth: &Truth) {
        let follows = match at {
            At::After(last) => seq == last + 1,
            At::Anywhere => true,
            At::Nothing => false,
        };
        let is_state = match (what, truth.manners(channel).class) {
            (What::One(_), ChannelClass::Append) | (What::Delta(_), ChannelClass::Book) => false,
            (What::One(_), ChannelClass::Replace) | (What::Snap(_), ChannelClass::Book) => true,
            (_, class) => panic!("{channel} is of class {class:?}: {what:?}"),
        };
        let At::After(last) = at else {
            assert!(
                follows || is_state && at == At::Nothing,
                "{channel} {seq} behind {at:?}"
            );
            return;
        };
        if follows {
            return;
        }
        // A book's image may be older than what is known of it: what follows goes on from there.
        let goes_back = seq < last && !matches!(what, What::Snap(_));
        assert!(
            is_state && self.warned && !goes_back,
            "{channel} {seq} behind {at:?}, and nobody has asked for it"
        );
        if seq > last {
            assert!(
                truth.is_skipped(channel) || self.is_left_behind(truth),
                "{channel} skips from {last} to {seq}, and its messages were still there"
            );
            self.counts.skipped += seq - last - 1;
            if truth.is_reclassed(channel) {
                self.counts.reclassed_skipped += seq - last - 1;
            }
        }
    }

    /// Whether it has the newest of everything that it has subscribed to.
    pub fn is_complete(&self, truth: &Truth) -> bool {
        self.is_answered()
            && self
                .followed(truth)
                .all(|channel| self.what_lacks(channel, truth).is_none())
    }

    /// Everything has been read: it has the newest of everything, and it is what was published.
    pub fn check(&self, truth: &Truth) {
        assert!(
            self.is_answered(),
            "every request was answered: {:?}",
            self.pending
        );
        for channel in self.followed(truth) {
            if let Some(lacks) = self.what_lacks(channel, truth) {
                panic!("{channel}, which has {} messages: {lacks}", truth.newest(channel));
            }
        }
    }

    /// The channels that it has subscribed to.
    fn followed<'a>(&'a self, truth: &'a Truth) -> impl Iterator<Item = &'a str> {
        let derived = self.subscribed.iter().map(String::as_str);
        let derived = derived.filter(|name| View::of(name).is_some());
        let published: Vec<&'static str> = truth.channels().collect();
        published
            .into_iter()
            .filter(|channel| self.covers(channel))
            .chain(derived)
    }

    /// What it has not got of a channel in the end.
    fn what_lacks(&self, channel: &str, truth: &Truth) -> Option<&'static str> {
        let Some(standing) = self.channels.get(channel) else {
            return Some("it knows of none");
        };
        if standing.replaying {
            return Some("its replay goes on");
        }
        let newest = truth.newest(channel);
        match (View::of(channel), standing.at) {
            (_, At::Nothing) => Some("it has no image"),
            (Some(view), _) => {
                let ends = standing.state.is_some_and(|state| truth.ends(&view, state));
                (!ends).then_some("it is not what its base has come to")
            }
            (None, At::After(last)) if last < newest => Some("it has not the last one"),
            (None, _) => {
                let print = truth.print(channel, newest);
                let is_other = print.is_some_and(|print| print != standing.book.print());
                is_other.then_some("its book is another")
            }
        }
    }

    fn covers(&self, channel: &str) -> bool {
        self.subscribed.iter().any(|pattern| covers(pattern, channel))
    }
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.ticks += other.ticks;
        self.gapped += other.gapped;
        self.skipped += other.skipped;
        self.snaps += other.snaps;
        self.replays += other.replays;
        self.resumed_anew += other.resumed_anew;
        self.connections += other.connections;
        self.derived += other.derived;
        self.reclassed += other.reclassed;
        self.reclassed_gapped += other.reclassed_gapped;
        self.reclassed_skipped += other.reclassed_skipped;
        self.disposed += other.disposed;
    }
}

/// Whether a subscription covers a channel. No pattern covers what is derived.
fn covers(pattern: &str, channel: &str) -> bool {
    let is_of_kind = |kind: &str| kind.is_empty() || kind.ends_with(':') && channel.starts_with(kind);
    pattern == channel || pattern.strip_suffix('*').is_some_and(is_of_kind) && View::of(channel).is_none()
}
