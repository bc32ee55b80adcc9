//! The channels of one segment by their numbers, and what its lines say once these are looked up.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use super::format::{Flaw, Line};
use crate::dialect::native_json::Input;
use crate::market::{ChannelClass, Level};
use crate::tape::RecordKind;
use crate::writer::sequencer::Restored;

/// The names that a segment has given numbers to.
#[derive(Debug, Default)]
pub struct Roll {
    called: Vec<Option<Called>>,
}

/// What a number stands for.
#[derive(Clone, Debug)]
struct Called {
    name: Box<str>,
    /// The class of a derived channel.
    derived: Option<ChannelClass>,
}

impl Roll {
    /// A number stands for a channel from now on; `derived` is its class if it is derived from another.
    pub fn call(&mut self, number: u32, derived: Option<ChannelClass>, name: &str) {
        let Ok(at) = usize::try_from(number) else {
            return;
        };
        // Numbers of channels are bounded where they are read.
        if self.called.len() <= at {
            self.called.resize(at.saturating_add(1), None);
        }
        if let Some(slot) = self.called.get_mut(at) {
            let name = name.into();
            *slot = Some(Called { name, derived });
        }
    }

    /// The channel of this number.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&str> {
        self.called(number).map(|called| &*called.name)
    }

    /// Whether the channel of this number is derived from another.
    #[must_use]
    pub fn is_derived(&self, number: u32) -> bool {
        self.called(number).is_some_and(|called| called.derived.is_some())
    }

    /// Another segment begins.
    pub fn clear(&mut self) {
        self.called.clear();
    }

    /// What a line says. The levels of a book are put into `levels`.
    ///
    /// # Errors
    /// When it says nothing: its checksum is right, so whoever wrote it did not mean it for us.
    pub fn restored<'a>(&'a self, line: &Line<'a>, levels: &'a mut Vec<Level>) -> Result<Restored<'a>, Flaw> {
        let called = self.called(line.channel);
        let called = called.ok_or(Flaw::Field("a channel's number"))?;
        let channel = &*called.name;
        let tick = if line.kind == RecordKind::Mark {
            None
        } else {
            let input = Input::parse(line.text.as_bytes(), levels);
            let input = input.map_err(|_| Flaw::Field("a message's text"))?;
            if input.channel.as_str() != channel {
                return Err(Flaw::Field("a message's channel"));
            }
            Some(input.tick)
        };
        Ok(Restored {
            channel,
            derived: called.derived,
            kind: line.kind,
            seq: line.seq,
            ts_ns: line.ts_ns,
            pt_ns: line.pt_ns,
            tick,
        })
    }

    fn called(&self, number: u32) -> Option<&Called> {
        let at = usize::try_from(number).ok()?;
        self.called.get(at)?.as_ref()
    }
}
