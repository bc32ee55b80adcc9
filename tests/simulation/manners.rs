//! What a configuration says of channels, by pattern, and what comes of it for each: its class, and what becomes of
//! clients that are behind on it.
//!
//! Which pattern counts for a channel is found out here by other code than the server's.

use tickwire::base::Prng;
use tickwire::market::{ChannelClass, ChannelName, ChannelRule, ChannelRules, Pattern};
use tickwire::shard::{Policy, Slack, Terms};

use super::seeds::slack;

/// What a channel keeps, and what becomes of those who are behind on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    pub class: ChannelClass,
    pub policy: Policy,
}

/// All that is said.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    said: Vec<Said>,
    /// The terms where no pattern says others.
    first: Terms,
}

/// What is said of the channels that one pattern matches.
#[derive(Clone, Debug)]
pub struct Said {
    pub pattern: String,
    pub class: Option<ChannelClass>,
    pub terms: Terms,
}

impl Configuration {
    /// Nothing, but for how far anybody may be behind.
    pub fn silent(slack: Slack) -> Self {
        Self {
            said: Vec::new(),
            first: Terms { policy: None, slack },
        }
    }

    /// In a quarter of all worlds nothing; in the others some of these channels have another class than their kind has, and
    /// some other terms.
    pub fn any(prng: &mut Prng, channels: &[&str]) -> Self {
        let mut configuration = Self::silent(slack(prng));
        if prng.chance(1, 4) {
            return configuration;
        }
        if prng.chance(1, 3) {
            configuration = configuration.saying("*", None, terms(prng));
        }
        for &channel in channels {
            let pattern = format!("{}:*", kind_of(channel));
            if prng.chance(2, 3) && !configuration.speaks_of(&pattern) {
                let class = class(prng, channel);
                configuration = configuration.saying(&pattern, class, terms(prng));
            }
            if prng.chance(1, 4) {
                let class = class(prng, channel);
                configuration = configuration.saying(channel, class, terms(prng));
            }
        }
        configuration
    }

    /// The same with this of the channels that a pattern matches.
    pub fn saying(mut self, pattern: &str, class: Option<ChannelClass>, terms: Terms) -> Self {
        let pattern = pattern.to_owned();
        self.said.push(Said {
            pattern,
            class,
            terms,
        });
        self
    }

    /// What is said, pattern by pattern.
    pub fn said(&self) -> &[Said] {
        &self.said
    }

    /// The same as the sequencer takes it.
    pub fn rules(&self) -> ChannelRules {
        let mut rules = ChannelRules::default();
        for (number, said) in (1..).zip(&self.said) {
            let pattern = match said.pattern.split_once(':') {
                None => Pattern::All,
                Some((kind, "*")) => Pattern::Kind(kind),
                Some(_) => Pattern::Exact(ChannelName::parse(&said.pattern).unwrap()),
            };
            let class = said.class;
            rules.add(pattern, ChannelRule { class, terms: number }).unwrap();
        }
        rules
    }

    /// The terms that those rules speak of, as a shard takes them.
    pub fn terms(&self) -> Vec<Terms> {
        let said = self.said.iter().map(|said| said.terms);
        [self.first].into_iter().chain(said).collect()
    }

    /// What all of it comes to for one channel. A derived one is of its base's class.
    pub fn manners(&self, channel: &str) -> Manners {
        let base = channel.split(['/', '@']).next().unwrap_or(channel);
        let class = self.of(base).and_then(|said| said.class);
        let class = class.unwrap_or(match kind_of(channel) {
            "bbo" => ChannelClass::Replace,
            "book" => ChannelClass::Book,
            _ => ChannelClass::Append,
        });
        let policy = self
            .of(channel)
            .map_or(self.first.policy, |said| said.terms.policy);
        let policy = policy.unwrap_or(match class {
            ChannelClass::Append => Policy::Gap,
            ChannelClass::Replace | ChannelClass::Book => Policy::Conflate,
        });
        Manners { class, policy }
    }

    /// What is said of a channel: the most specific counts, and it alone.
    fn of(&self, channel: &str) -> Option<&Said> {
        let patterns = [channel, &format!("{}:*", kind_of(channel)), "*"];
        let mut said = patterns.into_iter().map(|pattern| self.find(pattern));
        said.find_map(|said| said)
    }

    fn speaks_of(&self, pattern: &str) -> bool {
        self.find(pattern).is_some()
    }

    fn find(&self, pattern: &str) -> Option<&Said> {
        self.said.iter().find(|said| said.pattern == pattern)
    }
}

fn kind_of(channel: &str) -> &str {
    channel.split_once(':').map_or(channel, |(kind, _symbol)| kind)
}

/// One that fits what the channel holds, or nothing.
fn class(prng: &mut Prng, channel: &str) -> Option<ChannelClass> {
    match (kind_of(channel), prng.below(3)) {
        (_, 0) => None,
        ("book", _) => Some(ChannelClass::Book),
        (_, 1) => Some(ChannelClass::Append),
        _ => Some(ChannelClass::Replace),
    }
}

fn terms(prng: &mut Prng) -> Terms {
    let policy = match prng.below(5) {
        0 => Some(Policy::Disconnect),
        1 | 2 => Some(Policy::Gap),
        _ => None,
    };
    Terms {
        policy,
        slack: slack(prng),
    }
}
