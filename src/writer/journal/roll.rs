//! The channels of one segment by their numbers, and what its lines say once these are looked up.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use super::format::{Flaw, Line};
use crate::dialect::native_json::Input;
use crate::market::Level;
use crate::tape::RecordKind;
use crate::writer::sequencer::Restored;

/// The names that a segment has given numbers to.
#[derive(Debug, Default)]
pub struct Roll {
    names: Vec<Option<Box<str>>>,
}

impl Roll {
    /// A number stands for a channel from now on.
    pub fn call(&mut self, number: u32, name: &str) {
        let Ok(at) = usize::try_from(number) else {
            return;
        };
        // Numbers of channels are bounded where they are read.
        if self.names.len() <= at {
            self.names.resize(at.saturating_add(1), None);
        }
        if let Some(slot) = self.names.get_mut(at) {
            *slot = Some(name.into());
        }
    }

    /// The channel of this number.
    #[must_use]
    pub fn name(&self, number: u32) -> Option<&str> {
        let at = usize::try_from(number).ok()?;
        self.names.get(at)?.as_deref()
    }

    /// Another segment begins.
    pub fn clear(&mut self) {
        self.names.clear();
    }

    /// What a line says. The levels of a book are put into `levels`.
    ///
    /// # Errors
    /// When it says nothing: its checksum is right, so whoever wrote it did not mean it for us.
    pub fn restored<'a>(&'a self, line: &Line<'a>, levels: &'a mut Vec<Level>) -> Result<Restored<'a>, Flaw> {
        let channel = self.name(line.channel).ok_or(Flaw::Field("a channel's number"))?;
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
            kind: line.kind,
            seq: line.seq,
            ts_ns: line.ts_ns,
            pt_ns: line.pt_ns,
            tick,
        })
    }
}
