//! In which forms each message goes on the tape, and which track is whose.
//!
//! The one place that knows: the tape numbers its tracks, and everybody who makes, fills or reads one asks here.

use crate::limits;
use crate::tape::Track;

/// The forms in which a server writes every message. JSON is one always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Formats {
    /// Also JSON compressed, for clients that agreed on permessage-deflate: messages from so many bytes on, and others
    /// as they are.
    pub deflated: Option<usize>,
    /// Also as `tickwire.v1.bin`.
    pub binary: bool,
}

/// The track of the native JSON language.
pub const NATIVE_JSON: Track = Track::new(0);
/// So many tracks there are at most.
pub(super) const TRACKS: usize = 3;

impl Formats {
    /// What each track holds, in their order.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let deflated = self.deflated.map(|_| "track of compressed JSON");
        let binary = self.binary.then_some("track of binary");
        ["track of JSON"]
            .into_iter()
            .chain(deflated)
            .chain(binary)
            .collect()
    }

    /// How many tracks that takes.
    #[must_use]
    pub fn tracks(self) -> usize {
        1 + usize::from(self.deflated.is_some()) + usize::from(self.binary)
    }

    /// How long each track is where that of JSON has so many bytes, a power of two. That of binary has half of them,
    /// for that is how long its messages are; but no less than the sequencer needs, where JSON has as much.
    #[must_use]
    pub fn track_bytes(self, json: usize) -> Vec<usize> {
        let mut track_bytes = vec![json; self.tracks()];
        if let Some(track) = self.binary_track() {
            track_bytes[track.index()] = (json / 2).max(limits::TRACK_BYTES_MIN).min(json);
        }
        track_bytes
    }

    /// The track of compressed JSON.
    #[must_use]
    pub fn deflated_track(self) -> Option<Track> {
        self.deflated.map(|_| Track::new(1))
    }

    /// The track of `tickwire.v1.bin`: the last one.
    #[must_use]
    pub fn binary_track(self) -> Option<Track> {
        self.binary
            .then(|| Track::new(if self.deflated.is_some() { 2 } else { 1 }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_has_a_track_of_its_own() {
        for deflated in [None, Some(0)] {
            for binary in [false, true] {
                let formats = Formats { deflated, binary };
                let others = [formats.deflated_track(), formats.binary_track()];
                let tracks = [Some(NATIVE_JSON)].into_iter().chain(others).flatten();
                let numbers: Vec<usize> = tracks.map(Track::index).collect();
                assert_eq!(numbers, (0..formats.tracks()).collect::<Vec<_>>());
                assert_eq!(formats.names().len(), formats.tracks());
                assert!(formats.tracks() <= TRACKS);
            }
        }
    }

    #[test]
    fn the_track_of_binary_has_half_the_bytes_unless_that_would_be_too_few() {
        let least = limits::TRACK_BYTES_MIN;
        for (json, binary) in [(8 * least, 4 * least), (2 * least, least), (least, least), (1, 1)] {
            let formats = Formats {
                deflated: Some(0),
                binary: true,
            };
            assert_eq!(formats.track_bytes(json), [json, json, binary]);
            let formats = Formats {
                binary: false,
                ..formats
            };
            assert_eq!(formats.track_bytes(json), [json, json]);
        }
    }
}
