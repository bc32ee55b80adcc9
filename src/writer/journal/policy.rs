//! What the command line says about a journal.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::limits;

/// A journal, and what it is to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSpec {
    /// Where its files are; made if it is not there.
    pub directory: PathBuf,
    /// When it is synced.
    pub sync: SyncPolicy,
    /// Bytes of messages from which on the next segment is begun.
    pub segment_bytes: u64,
    /// Bytes that all segments may take before the oldest is removed; `None` for no such bound.
    pub retain_bytes: Option<u64>,
    /// How old a segment's newest message may be before it is removed; `None` for no such bound.
    pub retain_age: Option<Age>,
}

impl JournalSpec {
    /// A journal in this directory as it comes.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            sync: SyncPolicy::default(),
            segment_bytes: limits::JOURNAL_SEGMENT_BYTES_DEFAULT,
            retain_bytes: Some(limits::JOURNAL_RETAIN_BYTES_DEFAULT),
            retain_age: None,
        }
    }
}

/// When what was journaled is synced to its disk (fdatasync): `each`, `never`, or how often, as `100ms` or `2s`.
///
/// Under every policy messages are in the journal's file before anyone sees them. What a policy decides is what a machine
/// that goes down takes with it, and with that, whether the epoch may go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Before anyone sees it.
    Each,
    /// So often, if there is something new.
    Every(Duration),
    /// When the operating system gets to it. A segment that is finished is synced all the same.
    Never,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::Every(Duration::from_millis(limits::JOURNAL_SYNC_MS_DEFAULT))
    }
}

impl FromStr for SyncPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "each" => return Ok(Self::Each),
            "never" => return Ok(Self::Never),
            _ => {}
        }
        let ms = duration_ms(text, &[("ms", 1), ("s", 1000)]);
        ms.filter(|ms| (1..=limits::JOURNAL_SYNC_MS_MOST).contains(ms))
            .map(|ms| Self::Every(Duration::from_millis(ms)))
            .ok_or_else(|| {
                let most = limits::JOURNAL_SYNC_MS_MOST / 1000;
                format!("{text:?} is neither \"each\" nor \"never\" nor a time from 1ms to {most}s, as 100ms or 2s")
            })
    }
}

impl fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each => f.write_str("each"),
            Self::Every(time) => write!(f, "{}ms", time.as_millis()),
            Self::Never => f.write_str("never"),
        }
    }
}

/// How old something may be: `30m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age {
    /// In nanoseconds.
    pub ns: u64,
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const SECOND_MS: u64 = 1000;
        let units = [
            ("s", SECOND_MS),
            ("m", 60 * SECOND_MS),
            ("h", 3600 * SECOND_MS),
            ("d", 86_400 * SECOND_MS),
        ];
        duration_ms(text, &units)
            .filter(|ms| *ms > 0)
            .and_then(|ms| ms.checked_mul(1_000_000))
            .map(|ns| Self { ns })
            .ok_or_else(|| format!("{text:?} is no age; write one as 30m, 12h or 7d"))
    }
}

fn duration_ms(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = text.get(digits.len()..)?;
    let (_, unit) = units.iter().find(|(name, _)| *name == suffix)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| plain)?;
    number.checked_mul(*unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_and_written_alike() {
        for (text, policy) in [
            ("each", SyncPolicy::Each),
            ("never", SyncPolicy::Never),
            ("5ms", SyncPolicy::Every(Duration::from_millis(5))),
        ] {
            assert_eq!(text.parse(), Ok(policy));
            assert_eq!(policy.to_string(), text);
        }
        assert_eq!("2s".parse(), Ok(SyncPolicy::Every(Duration::from_secs(2))));
        for wrong in ["", "always", "0ms", "100", "ms", "-1ms", "+1ms", "1h", "61s"] {
            let error = wrong.parse::<SyncPolicy>().unwrap_err();
            assert!(error.contains("1ms to 60s"), "{error}");
        }
    }

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!("7d".parse::<Age>().unwrap().ns, 7 * 86_400 * 1_000_000_000);
        assert_eq!("30m".parse::<Age>().unwrap().ns, 1_800_000_000_000);
        for wrong in ["", "7", "0d", "d", "1w", "99999999999999d"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
