//! Who may publish on which channels.
//!
//! It never says who somebody is: a connection is anonymous until it shows a token. Invariant: nobody may publish anything
//! that was not granted, and how long it takes to look at a token does not depend on how much of it is right.

use std::hint::black_box;

use crate::base::PublisherId;
use crate::limits::{PUBLISHER_NAME_BYTES_MAX, PUBLISHERS_MAX, TOKEN_BYTES_LEAST, TOKEN_BYTES_MAX};
use crate::market::{ChannelName, ChannelNameError, Pattern};

/// The channels that somebody may publish on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    patterns: Vec<Box<str>>,
}

/// What all are called who publish lines on sockets of their own. Nobody who has a token is called so.
pub const LINES_PUBLISHER: &str = "(lines)";

/// Somebody who has a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Publisher {
    name: Box<str>,
    token: Box<str>,
    grants: Grants,
}

/// Everybody who may publish.
///
/// ```
/// use tickwire::base::PublisherId;
/// use tickwire::dialect::publisher::{Grants, Publisher, Publishers};
/// use tickwire::market::ChannelName;
///
/// let desk = Publisher::new("desk", "correct horse battery", Grants::parse(["trade:*"])?).unwrap();
/// let publishers = Publishers::new(Grants::parse(["room:*"])?, vec![desk]).unwrap();
/// let (nobody, desk) = (PublisherId::default(), publishers.of_token("correct horse battery").unwrap());
/// let (room, trade) = (ChannelName::parse("room:42")?, ChannelName::parse("trade:BTC-USD")?);
/// assert!(publishers.may(nobody, room) && !publishers.may(nobody, trade));
/// assert!(publishers.may(desk, room) && publishers.may(desk, trade));
/// # Ok::<(), tickwire::market::ChannelNameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publishers {
    anyone: Grants,
    named: Vec<Publisher>,
}

impl Grants {
    /// Those of patterns: `*`, `kind:*` or `kind:symbol`.
    ///
    /// # Errors
    /// When one is none of them.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, ChannelNameError> {
        let patterns = patterns
            .into_iter()
            .map(|text| Pattern::parse(text).map(|_| text.into()));
        Ok(Self {
            patterns: patterns.collect::<Result<_, _>>()?,
        })
    }

    /// Adds those of one more pattern.
    ///
    /// # Errors
    /// When it is none.
    pub fn add(&mut self, pattern: &str) -> Result<(), ChannelNameError> {
        Pattern::parse(pattern)?;
        self.patterns.push(pattern.into());
        Ok(())
    }

    /// Whether the channel is among them.
    #[must_use]
    pub fn allow(&self, name: ChannelName<'_>) -> bool {
        let matches = |text: &str| Pattern::parse(text).is_ok_and(|pattern| pattern.matches(name));
        self.patterns.iter().any(|text| matches(text))
    }

    /// Whether the channel is named by itself.
    fn name(&self, name: ChannelName<'_>) -> bool {
        self.patterns.iter().any(|text| **text == *name.as_str())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
}

impl Publisher {
    /// One of this name, who is known by this token.
    ///
    /// # Errors
    /// When the name or the token is too short or too long, in words.
    pub fn new(name: &str, token: &str, grants: Grants) -> Result<Self, String> {
        if !(1..=PUBLISHER_NAME_BYTES_MAX).contains(&name.len()) {
            return Err(format!(
                "a publisher's name has 1 to {PUBLISHER_NAME_BYTES_MAX} bytes, {name:?} has {}",
                name.len()
            ));
        }
        if name == LINES_PUBLISHER {
            return Err(format!("a publisher cannot be called {LINES_PUBLISHER}"));
        }
        if !(TOKEN_BYTES_LEAST..=TOKEN_BYTES_MAX).contains(&token.len()) {
            return Err(format!(
                "the token of publisher {name:?} has {} bytes; give it {TOKEN_BYTES_LEAST} to {TOKEN_BYTES_MAX}",
                token.len()
            ));
        }
        Ok(Self {
            name: name.into(),
            token: token.into(),
            grants,
        })
    }
}

impl Publishers {
    /// What anyone may, and who may more.
    ///
    /// # Errors
    /// When there are too many, or two have the same name or token, in words.
    pub fn new(anyone: Grants, named: Vec<Publisher>) -> Result<Self, String> {
        if named.len() > PUBLISHERS_MAX {
            return Err(format!(
                "there are {} publishers, at most {PUBLISHERS_MAX} are allowed",
                named.len()
            ));
        }
        for (index, one) in named.iter().enumerate() {
            let others = &named[..index];
            if others.iter().any(|other| other.name == one.name) {
                return Err(format!("there are two publishers {:?}", one.name));
            }
            if others.iter().any(|other| other.token == one.token) {
                return Err(format!("publisher {:?} has another one's token", one.name));
            }
        }
        Ok(Self { anyone, named })
    }

    /// Whose token this is.
    #[must_use]
    pub fn of_token(&self, token: &str) -> Option<PublisherId> {
        // Everyone's is looked at, whoever's it is.
        let mut found = None;
        for (id, publisher) in (1..).zip(&self.named) {
            if is_same(&publisher.token, token) {
                found = Some(PublisherId::new(id));
            }
        }
        found
    }

    /// Whether somebody may publish on a channel: whoever has a token may what anyone may, too.
    #[must_use]
    pub fn may(&self, publisher: PublisherId, name: ChannelName<'_>) -> bool {
        let own = self.find(publisher).is_some_and(|one| one.grants.allow(name));
        own || self.anyone.allow(name)
    }

    /// Whether a channel is there for somebody as soon as it is asked for, though nothing was published on it yet: whoever may
    /// publish there could see to that, and what is granted by name is certain to be meant. Anything else could be asked for
    /// by anybody, and there are only so many channels.
    #[must_use]
    pub fn may_open(&self, publisher: PublisherId, name: ChannelName<'_>) -> bool {
        let is_named = || self.named.iter().any(|one| one.grants.name(name));
        self.may(publisher, name) || is_named()
    }

    /// The kinds of channel that somebody may publish.
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.anyone).chain(self.named.iter().map(|one| &one.grants));
        all.flat_map(|grants| &grants.patterns)
            .filter_map(|text| text.split_once(':').map(|(kind, _)| kind))
    }

    /// What somebody is called; nothing where it has shown no token.
    #[must_use]
    pub fn name(&self, publisher: PublisherId) -> &str {
        self.find(publisher).map_or("", |publisher| &publisher.name)
    }

    /// How many there are who are told apart: those who have a token, and all others together.
    #[must_use]
    pub fn count(&self) -> usize {
        if self.is_none() { 0 } else { self.named.len() + 1 }
    }

    /// Whether anybody may publish at all.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.anyone.is_empty() && self.named.iter().all(|publisher| publisher.grants.is_empty())
    }

    fn find(&self, publisher: PublisherId) -> Option<&Publisher> {
        self.named.get(usize::from(publisher.number()).checked_sub(1)?)
    }
}

/// A token is not for logs.
impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher")
            .field("name", &self.name)
            .field("grants", &self.grants)
            .finish_non_exhaustive()
    }
}

/// Whether two tokens are the same, after looking at as many bytes as the longest may have, whatever they are.
fn is_same(ours: &str, theirs: &str) -> bool {
    let mut difference = usize::from(ours.len() != theirs.len());
    for at in 0..TOKEN_BYTES_MAX {
        let byte = |text: &str| black_box(text.as_bytes().get(at).copied().unwrap_or(0));
        difference |= usize::from(byte(ours) ^ byte(theirs));
    }
    black_box(difference) == 0
}

const _: () = assert!(PUBLISHERS_MAX < u8::MAX as usize);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChannelName<'_> {
        ChannelName::parse(text).unwrap()
    }

    fn publisher(name: &str, token: &str) -> Publisher {
        Publisher::new(name, token, Grants::default()).unwrap()
    }

    #[test]
    fn nobody_may_anything_unless_it_is_granted() {
        let publishers = Publishers::default();
        assert!(publishers.is_none() && !publishers.may(PublisherId::default(), name("room:1")));
        for (patterns, allowed, refused) in [
            (&["*"][..], &["room:1", "trade:X"][..], &[][..]),
            (&["room:*"], &["room:1", "room:"], &["rooms:1", "trade:room"]),
            (&["room:1", "bbo:X"], &["room:1", "bbo:X"], &["room:10", "bbo:Y"]),
        ] {
            let grants = Grants::parse(patterns.iter().copied()).unwrap();
            for text in allowed {
                assert!(ChannelName::parse(text).is_ok_and(|name| grants.allow(name)) || *text == "room:");
            }
            assert!(!refused.iter().any(|text| grants.allow(name(text))));
        }
        assert!(Grants::parse(["room"]).is_err());
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = "0123456789abcdef";
        let publishers = Publishers::new(
            Grants::default(),
            vec![publisher("a", "another-token-of-16"), publisher("b", token)],
        )
        .unwrap();
        let b = publishers.of_token(token).unwrap();
        assert_eq!(publishers.name(b), "b");
        let long = "0".repeat(TOKEN_BYTES_MAX + 1);
        for wrong in [
            "",
            "0123456789abcde",
            "0123456789abcdeg",
            "0123456789abcdef\0",
            &long,
        ] {
            assert_eq!(publishers.of_token(wrong), None, "{wrong:?}");
        }
        assert_eq!(publishers.name(PublisherId::default()), "");
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        assert!(Publisher::new("", "0123456789abcdef", Grants::default()).is_err());
        assert!(Publisher::new("a", "short", Grants::default()).is_err());
        let twice = |other: Publisher| {
            let named = vec![publisher("a", "0123456789abcdef"), other];
            Publishers::new(Grants::default(), named).unwrap_err()
        };
        assert!(twice(publisher("a", "0123456789abcdeg")).contains("two publishers"));
        assert!(twice(publisher("b", "0123456789abcdef")).contains("another one's token"));
    }

    #[test]
    fn a_token_is_not_shown() {
        let shown = format!("{:?}", publisher("a", "0123456789abcdef"));
        assert!(shown.contains("\"a\"") && !shown.contains("0123456789abcdef"));
    }
}
