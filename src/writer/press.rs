//! Prints each message once for every track: as JSON, compressed, and in binary, each a finished frame.
//!
//! Never knows who reads them. Invariant: what is printed has a frame for each track, none is longer than
//! [`FRAME_BYTES_MAX`](limits::FRAME_BYTES_MAX), and the compressed one is not longer than the one of JSON.

use std::ops::Range;

use super::compression::Compression;
use super::formats::{Formats, NATIVE_JSON, TRACKS};
use super::images::Bytes;
use super::sequencer::PublishError;
use crate::dialect::{Stamp, native_binary, native_json};
use crate::limits;
use crate::market::Tick;
use crate::tape::{Position, Track, Writer};
use crate::wire::{Opcode, server_header};

/// Prints messages, and keeps them until they are on the tape.
#[derive(Debug)]
pub(super) struct Press {
    formats: Formats,
    compression: Option<Compression>,
    /// The frames of what is printed.
    bytes: Vec<u8>,
}

/// Where the frames of one record are, in the order of the tracks. Those of tracks that there are not stay empty.
pub(super) type Frames = [Range<usize>; TRACKS];

impl Press {
    pub(super) fn new(formats: Formats) -> Self {
        Self {
            formats,
            compression: formats.deflated.map(Compression::new),
            bytes: Vec::new(),
        }
    }

    pub(super) fn formats(&self) -> Formats {
        self.formats
    }

    /// Prints one message; says where its frames are and how long.
    pub(super) fn print(
        &mut self,
        stamp: &Stamp<'_>,
        tick: &Tick<'_>,
    ) -> Result<(Frames, Bytes), PublishError> {
        let mut frames = NOTHING;
        let (json, payload) = self.frame(Opcode::Text, |out| native_json::encode(out, stamp, tick))?;
        let mut bytes = Bytes {
            json: json.len(),
            binary: 0,
        };
        if let (Some(compression), Some(track)) = (&mut self.compression, self.formats.deflated_track()) {
            frames[track.index()] = compression.append(&mut self.bytes, &json, payload);
        }
        frames[NATIVE_JSON.index()] = json;
        if let Some(track) = self.formats.binary_track() {
            let (binary, _) = self.frame(Opcode::Binary, |out| native_binary::encode(out, stamp, tick))?;
            bytes.binary = binary.len();
            frames[track.index()] = binary;
        }
        Ok((frames, bytes))
    }

    /// The frames of a record that is on the tape, to be written there again.
    pub(super) fn reprint(&mut self, tape: &Writer, position: Position) -> Frames {
        let mut frames = NOTHING;
        for (track, frame) in (0..).map(Track::new).zip(&mut frames).take(self.formats.tracks()) {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(tape.frame(track, position));
            *frame = start..self.bytes.len();
        }
        frames
    }

    /// The bytes of these, one frame for each track that there is.
    pub(super) fn read<'a>(&'a self, frames: &Frames, out: &'a mut [&'a [u8]; TRACKS]) -> &'a [&'a [u8]] {
        for (slot, frame) in out.iter_mut().zip(frames) {
            *slot = &self.bytes[frame.clone()];
        }
        &out[..self.formats.tracks()]
    }

    /// The frame of JSON among these.
    pub(super) fn json(&self, frames: &Frames) -> &[u8] {
        &self.bytes[frames[NATIVE_JSON.index()].clone()]
    }

    /// Forgets all that was printed.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Puts a frame around what `encode` appends; says where the frame is, and where its payload begins.
    fn frame(
        &mut self,
        opcode: Opcode,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(Range<usize>, usize), PublishError> {
        let payload = self.bytes.len() + limits::SERVER_HEADER_BYTES_MAX;
        self.bytes.resize(payload, 0);
        encode(&mut self.bytes);
        let header = server_header(opcode, self.bytes.len() - payload);
        let header = header.as_slice();
        let first = payload - header.len();
        self.bytes[first..payload].copy_from_slice(header);
        let bytes = self.bytes.len() - first;
        if bytes > limits::FRAME_BYTES_MAX {
            return Err(PublishError::TooLong { bytes });
        }
        Ok((first..self.bytes.len(), payload))
    }
}

/// The frames of a record that has no bytes.
pub(super) const NOTHING: Frames = [0..0, 0..0, 0..0];
