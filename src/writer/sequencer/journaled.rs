//! What the sequencer has for a journal, and takes back from one.
//!
//! Nothing here gives out a number: what is restored keeps the one that it had. Invariant: behind what was restored, a
//! channel's number, its state and its frames on the tape are those that they were when it was journaled.

use super::{
    BookUpdateKind, ChannelName, Entry, NATIVE_JSON, PublishError, RecordKind, Sequencer, Stamp, Tick,
    refusal,
};
use crate::dialect::native_json::encode;
use crate::market::ChannelClass;
use crate::tape::ChannelId;

/// A message or a channel's state, as a journal keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journaled<'a> {
    /// The channel's number on this tape.
    pub channel: ChannelId,
    /// Its name.
    pub name: &'a str,
    /// What it keeps of its past.
    pub class: ChannelClass,
    /// Whether it is derived from another channel.
    pub is_derived: bool,
    /// Whether it is a message (`Live`, `State`) or a state written again (`Image`, `Mark`).
    pub kind: RecordKind,
    /// The number of the message, or of the newest one that the state stands for.
    pub seq: u64,
    /// When that happened, in nanoseconds since the epoch.
    pub ts_ns: u64,
    /// When it was published.
    pub pt_ns: u64,
    /// Its JSON text; nothing for a `Mark`.
    pub text: &'a [u8],
}

/// What a journal gives back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Restored<'a> {
    /// What happened where and when; a channel of class append whose history is gone has no tick.
    pub channel: &'a str,
    /// What that keeps of its past, if it is derived from another channel. Nothing is said on it before it is asked for.
    pub derived: Option<ChannelClass>,
    /// As it was journaled.
    pub kind: RecordKind,
    /// As it was journaled.
    pub seq: u64,
    /// As it was journaled.
    pub ts_ns: u64,
    /// As it was journaled.
    pub pt_ns: u64,
    /// What its text says; `None` for a `Mark`.
    pub tick: Option<Tick<'a>>,
}

impl Sequencer {
    /// From now on, readers see what is published when it is [shown](Self::show).
    pub fn hold(&mut self) {
        self.tape.hold();
    }

    /// Shows readers all that is on the tape.
    pub fn show(&mut self) {
        self.tape.show();
    }

    /// Whether everything that was accepted is on the tape.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.staged.is_empty()
    }

    /// How many channels there are.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels.len()
    }

    /// Of which class a channel of this name is, or would be; `None` where there can be none.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<ChannelClass> {
        ChannelName::parse(name).ok().map(|name| self.rules.class(name))
    }

    /// The name of a channel.
    ///
    /// # Panics
    /// When there is no such channel.
    #[must_use]
    pub fn name(&self, channel: ChannelId) -> &str {
        self.channels[channel.index()].name()
    }

    /// The message that was accepted last, until it is settled.
    #[must_use]
    pub fn accepted(&self) -> Option<Journaled<'_>> {
        let staged = self.staged.first()?;
        Some(self.journaled(staged.entry, text_of(self.press.json(&staged.frames))))
    }

    /// The state of the channel of this number; `None` when it has none. A text that is not on the tape as it is, is
    /// put into `scratch`.
    ///
    /// # Panics
    /// When there is no such channel, or something is staged.
    pub fn state<'a>(&'a mut self, channel: usize, scratch: &'a mut Vec<u8>) -> Option<Journaled<'a>> {
        assert!(self.staged.is_empty(), "what is staged is no state yet");
        let position = self.channels[channel].newest;
        if position.is_none() {
            return None;
        }
        let record = *self.tape.record(position);
        let entry = |kind| Entry {
            channel: record.channel,
            kind,
            seq: record.seq,
            ts_ns: record.ts_ns,
            pt_ns: record.pt_ns,
        };
        // Of a derived channel the next server needs the number: its state follows from its base's.
        if !self.channels[channel].is_published() {
            return Some(self.journaled(entry(RecordKind::Mark), &[]));
        }
        match self.channels[channel].class {
            ChannelClass::Append => Some(self.journaled(entry(RecordKind::Mark), &[])),
            ChannelClass::Replace => {
                let text = text_of(self.tape.frame(NATIVE_JSON, position));
                Some(self.journaled(entry(RecordKind::Image), text))
            }
            ChannelClass::Book => {
                let known = &self.channels[channel];
                let stamp = Stamp {
                    channel: known.name(),
                    seq: known.seq,
                    ts_ns: known.ts_ns,
                    pt_ns: self.pt_ns,
                };
                let entry = Entry {
                    seq: stamp.seq,
                    ts_ns: stamp.ts_ns,
                    pt_ns: stamp.pt_ns,
                    ..entry(RecordKind::Image)
                };
                scratch.clear();
                encode(
                    scratch,
                    &stamp,
                    &Tick::Book(known.book.snapshot(&mut self.levels)),
                );
                Some(self.journaled(entry, scratch))
            }
        }
    }

    /// Accepts what was accepted before, as it was. A number that does not follow the channel's is taken where the
    /// record stands for all before it.
    ///
    /// True when it is staged, and [`settle`](Self::settle) is due; false when the channel has come further already, or
    /// has nothing yet that the record could add to.
    ///
    /// # Errors
    /// Why there is no room for it, or it is nothing that a channel of this name could hold.
    ///
    /// # Panics
    /// When something is staged.
    pub fn restore(&mut self, restored: &Restored<'_>) -> Result<bool, PublishError> {
        assert!(self.staged.is_empty(), "an event is settled before the next one");
        let name = ChannelName::parse(restored.channel).map_err(PublishError::Name)?;
        let known = self.ids.get(name.as_str()).copied();
        let derived = match known.map(|id| &self.channels[id.index()]) {
            None => restored.derived,
            Some(channel) => (!channel.is_published()).then_some(channel.class),
        };
        let class = derived.unwrap_or_else(|| self.rules.class(name));
        check_restored(name, class, restored, derived.is_some())?;
        let seq = known.map_or(0, |id| self.channels[id.index()].seq);
        let stands_alone = restored.kind.is_image() || restored.kind == RecordKind::Mark;
        if restored.seq <= seq || !stands_alone && restored.seq != seq + 1 {
            return Ok(false);
        }
        self.pt_ns = self.pt_ns.max(restored.pt_ns);
        let id = match (known, derived) {
            (Some(id), _) => id,
            (None, None) => self.open(name)?,
            (None, Some(class)) => self.open_dormant(name, class)?,
        };
        let mut staged = self.stage_restored(id, restored);
        if known.is_none() {
            staged = staged.and_then(|()| self.declare(name));
        }
        if staged.is_err() {
            self.unstage();
            if known.is_none() {
                self.abandon_opened();
            }
        }
        staged.map(|()| true)
    }

    fn stage_restored(&mut self, id: ChannelId, restored: &Restored<'_>) -> Result<(), PublishError> {
        let entry = Entry {
            channel: id,
            kind: restored.kind,
            seq: restored.seq,
            ts_ns: restored.ts_ns,
            pt_ns: restored.pt_ns,
        };
        match &restored.tick {
            None => {
                self.stage_mark(entry);
                self.channels[id.index()].seq = entry.seq;
                Ok(())
            }
            // Nobody has asked for it yet, and what it says then begins with a state.
            Some(tick) if self.channels[id.index()].is_dormant() => {
                self.stage(entry, tick)?;
                self.channels[id.index()].seq = entry.seq;
                Ok(())
            }
            Some(Tick::Book(update)) if update.kind == BookUpdateKind::Delta => {
                self.stage_delta(entry, update)
            }
            Some(Tick::Book(update)) => self.stage_snapshot(entry, update),
            Some(tick) => self.stage_alone(entry, tick),
        }
    }

    fn journaled<'a>(&'a self, entry: Entry, text: &'a [u8]) -> Journaled<'a> {
        Journaled {
            channel: entry.channel,
            name: self.name(entry.channel),
            class: self.channels[entry.channel.index()].class,
            is_derived: !self.channels[entry.channel.index()].is_published(),
            kind: entry.kind,
            seq: entry.seq,
            ts_ns: entry.ts_ns,
            pt_ns: entry.pt_ns,
            text,
        }
    }
}

/// A record is of a kind that its channel's class has, or what the sequencer keeps would not be what is on the tape.
fn check_restored(
    name: ChannelName<'_>,
    class: ChannelClass,
    restored: &Restored<'_>,
    is_derived: bool,
) -> Result<(), PublishError> {
    if let Some(tick) = &restored.tick {
        refusal::check(name, tick)?;
    }
    let delta = match &restored.tick {
        Some(Tick::Book(update)) => update.kind == BookUpdateKind::Delta,
        Some(_) | None => false,
    };
    let fits = match (class, restored.kind) {
        // Of what follows from something else the number is enough.
        (ChannelClass::Replace | ChannelClass::Book, RecordKind::Mark) if is_derived => {
            restored.tick.is_none()
        }
        (ChannelClass::Append, RecordKind::Live) => restored.tick.is_some(),
        (ChannelClass::Append, RecordKind::Mark) => restored.tick.is_none(),
        (ChannelClass::Replace | ChannelClass::Book, RecordKind::State | RecordKind::Image) => {
            restored.tick.is_some() && !delta
        }
        (ChannelClass::Book, RecordKind::Live) => delta,
        (ChannelClass::Append, RecordKind::State | RecordKind::Image)
        | (ChannelClass::Replace, RecordKind::Live | RecordKind::Mark)
        | (ChannelClass::Book, RecordKind::Mark) => false,
    };
    if fits && restored.seq > 0 {
        Ok(())
    } else {
        let expected = "other records";
        Err(PublishError::Kind { expected })
    }
}

/// What a frame of ours carries: it is not masked, and its header is as short as can be (RFC 6455 §5.2).
pub(super) fn text_of(frame: &[u8]) -> &[u8] {
    let header = match frame.get(1) {
        Some(127) => 10,
        Some(126) => 4,
        _ => 2,
    };
    frame.get(header..).unwrap_or_default()
}
