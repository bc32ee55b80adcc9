//! Of which class channels are where the configuration says another one than their kind has: what a greeting says of that.
//!
//! Who subscribes by a pattern is told of no channel's class otherwise. Never says more than needs to be said: on a server whose
//! channels are all of their kinds' classes, nothing. Invariant: [`Told::class`] of what [`Classes`] writes is what the rules say.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer};

use super::string::write_string;
use crate::limits::HELLO_CLASSES_MAX;
use crate::market::{ChannelClass, ChannelName, ChannelRules, Reading};

/// What a server's greetings say, written once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    field: Box<[u8]>,
}

/// What a client was told. By default that is nothing, as where too much differs to be said.
///
/// ```
/// use tickwire::dialect::native_json::Told;
/// use tickwire::market::{ChannelClass, ChannelName};
///
/// let told: Told = serde_json::from_str(r#"{"bbo:*":"append"}"#)?;
/// let class = |name| Ok::<_, tickwire::market::ChannelNameError>(told.class(ChannelName::parse(name)?));
/// assert_eq!(class("bbo:X")?, Some(ChannelClass::Append));
/// assert_eq!(class("book:X")?, Some(ChannelClass::Book));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told(Option<HashMap<Box<str>, ChannelClass>>);

impl Classes {
    /// What is to be said of channels that are ruled by these.
    #[must_use]
    pub fn of(rules: &ChannelRules) -> Self {
        let special = rules.special_classes();
        if special.is_empty() {
            return Self::default();
        }
        let mut field = b",\"classes\":".to_vec();
        if special.len() > HELLO_CLASSES_MAX {
            field.extend_from_slice(b"null");
        } else {
            for (number, (pattern, class)) in special.iter().enumerate() {
                field.push(if number == 0 { b'{' } else { b',' });
                write_string(&mut field, pattern);
                field.extend_from_slice(b":\"");
                field.extend_from_slice(class.as_str().as_bytes());
                field.push(b'"');
            }
            field.push(b'}');
        }
        Self { field: field.into() }
    }

    /// Appends the field, with the comma before it, where there is anything to say.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.field);
    }
}

impl Told {
    /// Of which class the channel is; `None` where nobody said so.
    #[must_use]
    pub fn class(&self, name: ChannelName<'_>) -> Option<ChannelClass> {
        let special = self.0.as_ref()?;
        let by_name = special.get(name.as_str());
        if by_name.is_none() && Reading::of(name).next().is_some() {
            // It may be derived, and then it is of its base's class, which only an acknowledgement says.
            return None;
        }
        let said = by_name.or_else(|| special.get(&*format!("{}:*", name.kind())));
        Some(said.map_or_else(|| ChannelClass::default_for_kind(name.kind()), |class| *class))
    }

    /// All channels are of their kinds' classes.
    #[must_use]
    pub fn usual() -> Self {
        Self(Some(HashMap::new()))
    }
}

impl<'de> Deserialize<'de> for Told {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let words = Option::<HashMap<Box<str>, Box<str>>>::deserialize(deserializer)?;
        let words = words.filter(|words| words.len() <= HELLO_CLASSES_MAX);
        // With a class that is not known here, nothing is certain.
        let classes = words.and_then(|words| {
            let classes = words
                .into_iter()
                .map(|(pattern, word)| Some((pattern, ChannelClass::of_word(&word)?)));
            classes.collect()
        });
        Ok(Self(classes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::{ChannelRule, Pattern};

    fn rules(said: &[(&str, Option<ChannelClass>)]) -> ChannelRules {
        let mut rules = ChannelRules::default();
        for (pattern, class) in said {
            let rule = ChannelRule {
                class: *class,
                terms: 0,
            };
            rules.add(Pattern::parse(pattern).unwrap(), rule).unwrap();
        }
        rules
    }

    fn field(rules: &ChannelRules) -> String {
        let mut out = Vec::new();
        Classes::of(rules).write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_what_differs_is_said() {
        let (append, replace) = (Some(ChannelClass::Append), Some(ChannelClass::Replace));
        assert_eq!(field(&rules(&[])), "");
        let usual = [
            ("trade:*", append),
            ("*", None),
            ("book:A", None),
            ("bbo:A", replace),
        ];
        assert_eq!(field(&rules(&usual)), "");
        // Of several patterns the most specific counts alone, so that this quote is of its kind's class again.
        let special = [
            ("bbo:*", append),
            ("bbo:A", None),
            ("bbo:B", append),
            ("room:1", replace),
        ];
        let said = r#"{"bbo:*":"append","bbo:A":"replace","room:1":"replace"}"#;
        assert_eq!(field(&rules(&special)), format!(",\"classes\":{said}"));
    }

    #[test]
    fn who_is_told_knows_every_channels_class() {
        let (append, replace) = (Some(ChannelClass::Append), Some(ChannelClass::Replace));
        let rules = rules(&[
            ("bbo:*", append),
            ("bbo:A", None),
            ("bbo:B", append),
            ("room:1", replace),
            ("*", None),
            ("stat:*", replace),
            ("stat:A", append),
        ]);
        let said = field(&rules);
        let told: Told = serde_json::from_str(said.strip_prefix(",\"classes\":").unwrap()).unwrap();
        for name in [
            "bbo:A", "bbo:B", "bbo:C", "room:1", "room:2", "stat:A", "stat:B", "book:A",
        ] {
            let name = ChannelName::parse(name).unwrap();
            assert_eq!(told.class(name), Some(rules.class(name)), "{name}");
        }
    }

    #[test]
    fn where_too_much_differs_nothing_is_said_of_any() {
        let names: Vec<String> = (0..=HELLO_CLASSES_MAX).map(|n| format!("room:{n}")).collect();
        let said = |names: &[String]| {
            let said: Vec<_> = names
                .iter()
                .map(|name| (name.as_str(), Some(ChannelClass::Replace)))
                .collect();
            field(&rules(&said))
        };
        assert_eq!(said(&names), ",\"classes\":null");
        let all = said(&names[1..]);
        let told: Told = serde_json::from_str(all.strip_prefix(",\"classes\":").unwrap()).unwrap();
        let name = ChannelName::parse("bbo:A").unwrap();
        assert_eq!(told.class(name), Some(ChannelClass::Replace));
        for unknown in ["null", r#"{"bbo:*":"sometimes"}"#] {
            let told: Told = serde_json::from_str(unknown).unwrap();
            assert_eq!((told.class(name), &told), (None, &Told::default()));
        }
    }
}
