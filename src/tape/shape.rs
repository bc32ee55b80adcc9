//! How large a tape is, and why one cannot be made.
//!
//! A shape is checked whole before any memory is reserved, so that a refusal names the sin and not a symptom.

use super::mirror;
use super::shared;
use super::writer::Writer;
use crate::base::cost::{self, Cost, Part};
use crate::limits::{CHANNELS_MAX, READERS_MAX, TAPE_RECORDS_MAX, TRACKS_MAX};
use std::{fmt, io};

/// What a track is called among the costs of a tape.
pub const TRACK: &str = "track";

/// The dimensions of a tape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Records of the index; a power of two, at most [`TAPE_RECORDS_MAX`].
    pub records: usize,
    /// Bytes of each track; powers of two, and multiples of the machine's page.
    pub track_bytes: Vec<usize>,
    /// Readers; at most [`READERS_MAX`].
    pub readers: usize,
}

impl Shape {
    /// The smallest there is: of a tape that nothing is ever put on.
    #[must_use]
    pub fn smallest(readers: usize) -> Self {
        Self {
            records: 1,
            track_bytes: vec![mirror::page_bytes()],
            readers,
        }
    }

    /// Checks every dimension.
    ///
    /// # Errors
    /// The first dimension that no tape can have.
    pub fn check(&self) -> Result<(), TapeError> {
        if !self.records.is_power_of_two() || self.records > TAPE_RECORDS_MAX {
            return Err(TapeError::Records {
                records: self.records,
            });
        }
        if !(1..=TRACKS_MAX).contains(&self.track_bytes.len()) {
            return Err(TapeError::Tracks {
                tracks: self.track_bytes.len(),
            });
        }
        let page_bytes = mirror::page_bytes();
        for (track, &bytes) in self.track_bytes.iter().enumerate() {
            // A power of two that is at least a page is a multiple of it: pages are powers of two as well.
            if !bytes.is_power_of_two() || bytes < page_bytes || bytes > isize::MAX as usize / 2 {
                return Err(TapeError::TrackBytes {
                    track,
                    bytes,
                    page_bytes,
                });
            }
        }
        if !(1..=READERS_MAX).contains(&self.readers) {
            return Err(TapeError::Readers {
                readers: self.readers,
            });
        }
        Ok(())
    }

    /// What a tape of this shape costs once every part of it has been touched.
    #[must_use]
    pub fn costs(&self) -> Vec<Cost> {
        let cost = |what, count, bytes_each| Cost::new(Part::Tape, what, count, bytes_each);
        let index_bytes = shared::index_bytes(self.track_bytes.len());
        let mut costs = vec![cost("records of the index", self.records, index_bytes)];
        costs.extend(self.track_bytes.iter().map(|&bytes| cost(TRACK, 1, bytes)));
        costs.push(cost("names of channels", CHANNELS_MAX, shared::name_bytes()));
        costs.push(cost("writer's notes", 1, Writer::bytes(self.readers)));
        costs
    }

    /// Bytes of all that.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        cost::sum(&self.costs())
    }
}

/// Why a tape could not be made.
#[derive(Debug)]
pub enum TapeError {
    /// The number of records is not a power of two, or more than [`TAPE_RECORDS_MAX`].
    Records {
        /// What was asked for.
        records: usize,
    },
    /// No track, or more than [`TRACKS_MAX`].
    Tracks {
        /// What was asked for.
        tracks: usize,
    },
    /// The bytes of a track are not a power of two, less than a page, or more than can be mapped twice.
    TrackBytes {
        /// Which track.
        track: usize,
        /// What was asked for.
        bytes: usize,
        /// The machine's page.
        page_bytes: usize,
    },
    /// No reader, or more than [`READERS_MAX`].
    Readers {
        /// What was asked for.
        readers: usize,
    },
    /// The index or the directory does not fit the address space or what the process may reserve.
    Memory {
        /// What was asked for.
        bytes: usize,
    },
    /// The operating system refused to map a track.
    Map {
        /// Which call failed.
        call: &'static str,
        /// What was asked for.
        bytes: usize,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for TapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Records { records } => {
                write!(
                    f,
                    "the tape's index must hold a power of two of records up to {TAPE_RECORDS_MAX}, not {records}"
                )
            }
            Self::Tracks { tracks } => write!(f, "a tape has 1 to {TRACKS_MAX} tracks, not {tracks}"),
            Self::TrackBytes {
                track,
                bytes,
                page_bytes,
            } => write!(
                f,
                "track {track} must be a power of two of bytes, at least one page ({page_bytes}), not {bytes}"
            ),
            Self::Readers { readers } => write!(f, "a tape has 1 to {READERS_MAX} readers, not {readers}"),
            Self::Memory { bytes } => write!(f, "cannot reserve {bytes} bytes for the tape's index"),
            Self::Map { call, bytes, source } => {
                write!(f, "cannot map a track of {bytes} bytes: {call}: {source}")
            }
        }
    }
}

impl std::error::Error for TapeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Map { source, .. } => Some(source),
            Self::Records { .. }
            | Self::Tracks { .. }
            | Self::TrackBytes { .. }
            | Self::Readers { .. }
            | Self::Memory { .. } => None,
        }
    }
}
