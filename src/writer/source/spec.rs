//! What the command line says about a source, parsed.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where ticks come from: `sim`, `sim:SEED`, `capture:PATH`, `journal:DIR`, `stdin` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// The simulated market of this seed; `sim` alone is seed [`SEED_DEFAULT`].
    Sim {
        /// The same seed, the same market.
        seed: u64,
    },
    /// A recorded file.
    Capture {
        /// The file, compressed or not.
        path: PathBuf,
    },
    /// Native input lines on standard input.
    Stdin,
    /// A journal.
    Journal {
        /// Its directory.
        path: PathBuf,
    },
    /// Nowhere: there is only what clients publish.
    None,
}

/// The seed of `sim`: fixed, so that two runs of the same command show the same market.
pub const SEED_DEFAULT: u64 = 1;

impl FromStr for SourceSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (kind, argument) = match text.split_once(':') {
            Some((kind, argument)) => (kind, Some(argument)),
            None => (text, None),
        };
        match (kind, argument) {
            ("sim", None) => Ok(Self::Sim { seed: SEED_DEFAULT }),
            ("sim", Some(seed)) => match seed.parse() {
                Ok(seed) => Ok(Self::Sim { seed }),
                Err(_) => Err(SpecError::Seed(seed.to_owned())),
            },
            ("capture", None | Some("")) => Err(SpecError::Path),
            ("journal", None | Some("")) => Err(SpecError::Directory),
            ("journal", Some(path)) => Ok(Self::Journal { path: path.into() }),
            ("capture", Some(path)) => Ok(Self::Capture { path: path.into() }),
            ("stdin", None) => Ok(Self::Stdin),
            ("none", None) => Ok(Self::None),
            ("stdin", Some(argument)) => Err(SpecError::StdinArgument(argument.to_owned())),
            _ => Err(SpecError::Kind(kind.to_owned())),
        }
    }
}

/// The form that [`FromStr`] reads.
impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim { seed } => write!(f, "sim:{seed}"),
            Self::Capture { path } => write!(f, "capture:{}", path.display()),
            Self::Stdin => f.write_str("stdin"),
            Self::None => f.write_str("none"),
            Self::Journal { path } => write!(f, "journal:{}", path.display()),
        }
    }
}

/// Why a text is not a [`SourceSpec`] or a [`Speed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpecError {
    /// An unknown kind of source.
    Kind(String),
    /// A seed that is not a number of 64 bits.
    Seed(String),
    /// `capture` without a path.
    Path,
    /// `journal` without a directory.
    Directory,
    /// `stdin` with something behind it.
    StdinArgument(String),
    /// A speed that is no number or out of range.
    Speed(String),
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(
                f,
                "unknown source {kind:?}; a source is sim, sim:SEED, capture:PATH, journal:DIR, stdin or none"
            ),
            Self::Seed(seed) => write!(
                f,
                "the seed {seed:?} is not a whole number from 0 to {}",
                u64::MAX
            ),
            Self::Path => f.write_str("capture needs the path of a file: capture:PATH"),
            Self::Directory => f.write_str("journal needs the directory of a journal: journal:DIR"),
            Self::StdinArgument(argument) => {
                write!(f, "stdin takes nothing behind a colon, not {argument:?}")
            }
            Self::Speed(speed) => write!(
                f,
                "the speed {speed:?} is neither \"max\" nor a number from 0.000001 to 1000000 (six decimals)"
            ),
        }
    }
}

impl std::error::Error for SpecError {}

/// How fast a capture or a journal is replayed: a multiple of real time, or as fast as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// No pacing.
    Max,
    /// This many millionths of real time.
    Millionths(u64),
}

impl Speed {
    /// As recorded.
    pub const REAL_TIME: Self = Self::Millionths(ONE);

    /// When what was received `captured_ns` after the start is due, in nanoseconds after the start.
    #[must_use]
    pub fn due_ns(self, captured_ns: u64) -> u64 {
        match self {
            Self::Max => 0,
            Self::Millionths(speed) => {
                let scaled = u128::from(captured_ns) * u128::from(ONE) / u128::from(speed.max(1));
                u64::try_from(scaled).unwrap_or(u64::MAX)
            }
        }
    }
}

impl FromStr for Speed {
    type Err = SpecError;

    /// `max`, or a decimal number with at most six places: `1`, `0.5`, `12.25`.
    fn from_str(text: &str) -> Result<Self, SpecError> {
        if text == "max" {
            return Ok(Self::Max);
        }
        millionths(text)
            .filter(|speed| (1..=ONE * ONE).contains(speed))
            .map(Self::Millionths)
            .ok_or_else(|| SpecError::Speed(text.to_owned()))
    }
}

/// The form that [`FromStr`] reads.
impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Millionths(speed) if speed % ONE == 0 => write!(f, "{}", speed / ONE),
            Self::Millionths(speed) => {
                let places = format!("{:06}", speed % ONE);
                write!(f, "{}.{}", speed / ONE, places.trim_end_matches('0'))
            }
        }
    }
}

fn millionths(text: &str) -> Option<u64> {
    let (whole, places) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(places) || places.len() > 6 {
        return None;
    }
    let scale = 10_u64.pow(6 - u32::try_from(places.len()).ok()?);
    let whole = whole.parse::<u64>().ok()?.checked_mul(ONE)?;
    whole.checked_add(places.parse::<u64>().ok()? * scale)
}

const ONE: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_is_read_and_written_alike() {
        let cases = [
            ("sim:7", SourceSpec::Sim { seed: 7 }),
            ("stdin", SourceSpec::Stdin),
            ("journal:a/b", SourceSpec::Journal { path: "a/b".into() }),
            (
                "capture:a:b.gz",
                SourceSpec::Capture {
                    path: "a:b.gz".into(),
                },
            ),
        ];
        for (text, spec) in cases {
            assert_eq!(text.parse(), Ok(spec.clone()));
            assert_eq!(spec.to_string(), text);
        }
        assert_eq!("sim".parse(), Ok(SourceSpec::Sim { seed: SEED_DEFAULT }));
    }

    #[test]
    fn a_wrong_source_is_told_what_was_wrong() {
        let cases = [
            ("", SpecError::Kind(String::new())),
            ("Sim", SpecError::Kind("Sim".into())),
            ("kafka:x", SpecError::Kind("kafka".into())),
            ("sim:", SpecError::Seed(String::new())),
            ("sim:-1", SpecError::Seed("-1".into())),
            ("capture", SpecError::Path),
            ("capture:", SpecError::Path),
            ("journal:", SpecError::Directory),
            ("stdin:", SpecError::StdinArgument(String::new())),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<SourceSpec>(), Err(error));
        }
    }

    #[test]
    fn a_speed_is_max_or_a_decimal() {
        for (text, speed) in [
            ("max", Speed::Max),
            ("1", Speed::REAL_TIME),
            ("0.5", Speed::Millionths(500_000)),
            ("12.25", Speed::Millionths(12_250_000)),
            ("0.000001", Speed::Millionths(1)),
            ("1000000", Speed::Millionths(ONE * ONE)),
        ] {
            assert_eq!(text.parse(), Ok(speed));
            assert_eq!(speed.to_string(), text);
        }
        for text in [
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "1.",
            ".5",
            "1e3",
            "0.0000001",
            "1000001",
            "NaN",
            "fast",
            "99999999999999999999",
        ] {
            assert_eq!(text.parse::<Speed>(), Err(SpecError::Speed(text.to_owned())));
        }
    }

    #[test]
    fn twice_the_speed_is_due_in_half_the_time() {
        let second = 1_000_000_000;
        assert_eq!("2".parse::<Speed>().unwrap().due_ns(second), second / 2);
        assert_eq!("0.25".parse::<Speed>().unwrap().due_ns(second), 4 * second);
        assert_eq!(Speed::Max.due_ns(second), 0);
        assert_eq!(Speed::Millionths(1).due_ns(u64::MAX), u64::MAX);
    }
}
