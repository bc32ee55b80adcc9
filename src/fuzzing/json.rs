//! JSON objects read a second way: every value as a tree, every name as often as it was there.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an object in their order, names unescaped, values as they were written.
#[derive(Debug)]
pub(super) struct Object(pub(super) Vec<(String, Box<RawValue>)>);

impl Object {
    /// Reads one object; `None` when the text is something else.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Whether any of these names is there twice.
    pub(super) fn repeats(&self, names: &[&str]) -> bool {
        names
            .iter()
            .any(|name| self.0.iter().filter(|(other, _)| other == name).count() > 1)
    }

    /// The text of a member.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let member = self.0.iter().find(|(other, _)| other == name);
        member.map(|(_, value)| value.get())
    }

    /// The text of a member that may also be null.
    pub(super) fn some(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| *text != "null")
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Object(members))
    }
}
