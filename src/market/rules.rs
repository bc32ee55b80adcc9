//! What a configuration says of channels, by pattern: what they keep of their past, and on which terms clients may be behind; and
//! what may be derived of all of them.
//!
//! Never guesses: a pattern about which something is said twice, or a class that does not fit what its channels hold, is
//! refused when it is added.
//!
//! Invariant: of all patterns that match a channel, the most specific one counts, and it alone: its name, then `kind:*`, then
//! `*`. So the order in which they are added says nothing.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;

use super::{ChannelClass, ChannelName, Offer, Pattern};
use crate::limits::CHANNEL_RULES_MAX;

/// What is said of channels.
///
/// ```
/// use tickwire::market::{ChannelClass, ChannelName, ChannelRule, ChannelRules, Pattern};
///
/// let mut rules = ChannelRules::default();
/// let rule = ChannelRule { class: Some(ChannelClass::Replace), ..ChannelRule::default() };
/// rules.add(Pattern::parse("status:*")?, rule)?;
/// let class = |name| Ok::<_, tickwire::market::ChannelNameError>(rules.class(ChannelName::parse(name)?));
/// assert_eq!(class("status:venue")?, ChannelClass::Replace);
/// assert_eq!(class("room:1")?, ChannelClass::Append);
///
/// let unfit = rules.add(Pattern::parse("book:*")?, rule).unwrap_err();
/// assert_eq!(unfit.to_string(), "channels of kind \"book\" hold books, which are of class book");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelRules {
    named: HashMap<Box<str>, ChannelRule>,
    kinds: HashMap<Box<str>, ChannelRule>,
    all: Option<ChannelRule>,
    offer: Offer,
}

/// What is said of the channels that one pattern matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelRule {
    /// What they keep of their past; `None` for what their kind does.
    pub class: Option<ChannelClass>,
    /// The number of the terms on which clients may be behind; 0 for those that hold where nothing else is said.
    pub terms: u8,
}

impl ChannelRules {
    /// Says something of the channels that `pattern` matches.
    ///
    /// # Errors
    /// Why it is refused; nothing has changed then.
    pub fn add(&mut self, pattern: Pattern<'_>, rule: ChannelRule) -> Result<(), RuleError> {
        check_class(pattern, rule.class)?;
        let is_said = match pattern {
            Pattern::All => self.all.is_some(),
            Pattern::Kind(kind) => self.kinds.contains_key(kind),
            Pattern::Exact(name) => self.named.contains_key(name.as_str()),
        };
        if is_said {
            return Err(RuleError::Twice);
        }
        if self.named.len() + self.kinds.len() >= CHANNEL_RULES_MAX {
            return Err(RuleError::TooMany);
        }
        match pattern {
            Pattern::All => self.all = Some(rule),
            Pattern::Kind(kind) => {
                self.kinds.insert(kind.into(), rule);
            }
            Pattern::Exact(name) => {
                self.named.insert(name.as_str().into(), rule);
            }
        }
        Ok(())
    }

    /// Says what clients may have derived of all channels, in place of what they may unless it is said.
    #[must_use]
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer, ..self }
    }

    /// What clients may have derived.
    #[must_use]
    pub fn offer(&self) -> &Offer {
        &self.offer
    }

    /// What is said of a channel.
    #[must_use]
    pub fn of(&self, name: ChannelName<'_>) -> ChannelRule {
        let named = self.named.get(name.as_str());
        let said = named
            .or_else(|| self.kinds.get(name.kind()))
            .or(self.all.as_ref());
        said.copied().unwrap_or_default()
    }

    /// The patterns whose channels are not of the class that they would be of for all that less specific ones say, by name, and
    /// of which they are.
    #[must_use]
    pub fn special_classes(&self) -> Vec<(String, ChannelClass)> {
        let usual = ChannelClass::default_for_kind;
        let of_kind = |kind: &str| {
            let said = self.kinds.get(kind).and_then(|rule| rule.class);
            said.unwrap_or_else(|| usual(kind))
        };
        let kinds = self.kinds.keys().filter(|kind| of_kind(kind) != usual(kind));
        let kinds = kinds.map(|kind| (format!("{kind}:*"), of_kind(kind)));
        let names = self.named.keys().filter_map(|name| {
            let name = ChannelName::parse(name).ok()?;
            let class = self.class(name);
            (class != of_kind(name.kind())).then(|| (name.to_string(), class))
        });
        let mut special: Vec<_> = kinds.chain(names).collect();
        special.sort_by(|a, b| a.0.cmp(&b.0));
        special
    }

    /// The class of a channel.
    #[must_use]
    pub fn class(&self, name: ChannelName<'_>) -> ChannelClass {
        let said = self.of(name).class;
        said.unwrap_or_else(|| ChannelClass::default_for_kind(name.kind()))
    }
}

/// Why a rule is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// Something was said of this very pattern before.
    Twice,
    /// There are [`CHANNEL_RULES_MAX`] already.
    TooMany,
    /// No class fits what channels of all kinds hold.
    ClassOfAll,
    /// The class does not fit what the kind holds.
    Class {
        /// The kind.
        kind: Box<str>,
        /// What it holds.
        holds: &'static str,
        /// Which classes fit that.
        fitting: &'static str,
    },
}

impl RuleError {
    /// Whether it is the class that is wrong, and not the pattern.
    #[must_use]
    pub const fn is_of_class(&self) -> bool {
        matches!(self, Self::ClassOfAll | Self::Class { .. })
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice => f.write_str("said twice of the same pattern; say it once"),
            Self::TooMany => write!(
                f,
                "more than {CHANNEL_RULES_MAX} patterns; use kind:* where many are alike"
            ),
            Self::ClassOfAll => f.write_str("no class fits every kind; say it of each kind: kind:*"),
            Self::Class { kind, holds, fitting } => {
                write!(
                    f,
                    "channels of kind {kind:?} hold {holds}, which are of class {fitting}"
                )
            }
        }
    }
}

impl Error for RuleError {}

/// A book is its image and the deltas since, and nothing else is; a quote or a message may count by itself or replace the
/// one before it.
fn check_class(pattern: Pattern<'_>, class: Option<ChannelClass>) -> Result<(), RuleError> {
    let Some(class) = class else {
        return Ok(());
    };
    let kind = match pattern {
        Pattern::All => return Err(RuleError::ClassOfAll),
        Pattern::Kind(kind) => kind,
        Pattern::Exact(name) => name.kind(),
    };
    let (holds, is_book) = match kind {
        "trade" => ("trades", false),
        "bbo" => ("quotes", false),
        "book" => ("books", true),
        _ => ("messages", false),
    };
    if is_book == (class == ChannelClass::Book) {
        return Ok(());
    }
    Err(RuleError::Class {
        kind: kind.into(),
        holds,
        fitting: if is_book { "book" } else { "append or replace" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(class: ChannelClass) -> ChannelRule {
        ChannelRule {
            class: Some(class),
            terms: 0,
        }
    }

    fn add(rules: &mut ChannelRules, pattern: &str, class: ChannelClass) -> Result<(), RuleError> {
        rules.add(Pattern::parse(pattern).unwrap(), rule(class))
    }

    #[test]
    fn the_most_specific_pattern_counts_whatever_the_order() {
        let said = [
            ("room:*", ChannelClass::Replace),
            ("room:1", ChannelClass::Append),
            ("trade:*", ChannelClass::Replace),
        ];
        for turned in [false, true] {
            let mut rules = ChannelRules::default();
            rules.add(Pattern::All, ChannelRule::default()).unwrap();
            let said = if turned {
                said.into_iter().rev().collect()
            } else {
                said.to_vec()
            };
            for (pattern, class) in said {
                add(&mut rules, pattern, class).unwrap();
            }
            for (name, class) in [
                ("room:1", ChannelClass::Append),
                ("room:2", ChannelClass::Replace),
                ("trade:X", ChannelClass::Replace),
                ("bbo:X", ChannelClass::Replace),
                ("book:X", ChannelClass::Book),
                ("note:X", ChannelClass::Append),
            ] {
                assert_eq!(rules.class(ChannelName::parse(name).unwrap()), class, "{name}");
            }
        }
    }

    #[test]
    fn a_class_that_does_not_fit_what_the_kind_holds_is_refused_and_changes_nothing() {
        let mut rules = ChannelRules::default();
        for (pattern, class, words) in [
            (
                "trade:*",
                ChannelClass::Book,
                "hold trades, which are of class append or replace",
            ),
            (
                "bbo:X",
                ChannelClass::Book,
                "hold quotes, which are of class append or replace",
            ),
            (
                "room:*",
                ChannelClass::Book,
                "hold messages, which are of class append or replace",
            ),
            (
                "book:X",
                ChannelClass::Append,
                "hold books, which are of class book",
            ),
            (
                "book:*",
                ChannelClass::Replace,
                "hold books, which are of class book",
            ),
            ("*", ChannelClass::Append, "no class fits every kind"),
        ] {
            let error = add(&mut rules, pattern, class).unwrap_err().to_string();
            assert!(error.contains(words), "{pattern}: {error}");
        }
        assert_eq!(rules, ChannelRules::default());
    }

    #[test]
    fn what_is_said_twice_is_refused_and_the_first_stays() {
        let mut rules = ChannelRules::default();
        rules.add(Pattern::All, ChannelRule::default()).unwrap();
        assert_eq!(
            rules.add(Pattern::All, ChannelRule::default()),
            Err(RuleError::Twice)
        );
        for pattern in ["room:*", "room:1"] {
            add(&mut rules, pattern, ChannelClass::Replace).unwrap();
            let twice = add(&mut rules, pattern, ChannelClass::Append);
            assert_eq!(twice, Err(RuleError::Twice), "{pattern}");
        }
        let class = rules.class(ChannelName::parse("room:1").unwrap());
        assert_eq!(class, ChannelClass::Replace);
    }

    #[test]
    fn there_are_so_many_rules_and_no_more() {
        let mut rules = ChannelRules::default();
        for number in 0..CHANNEL_RULES_MAX {
            add(&mut rules, &format!("room:{number}"), ChannelClass::Replace).unwrap();
        }
        let one_more = add(&mut rules, "room:more", ChannelClass::Replace);
        assert_eq!(one_more, Err(RuleError::TooMany));
    }
}
