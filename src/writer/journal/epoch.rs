//! Whether the epoch goes on: a small file that says how the last server left the journal.
//!
//! It is written in place, because that needs no room on a full disk. Invariant: a number is never given to two contents
//! within one epoch, so wherever messages may have been seen that the journal does not have, the epoch is another.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use flate2::Crc;

use super::policy::SyncPolicy;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochFile {
    /// The epoch.
    pub epoch: u64,
    /// How the journal stands.
    pub standing: Standing,
    /// Which start of the machine it was written under: [`boot`].
    pub boot: u128,
}

/// How a journal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A server has ended and everything is in it, on disk.
    Closed,
    /// A server writes it, and syncs before anyone sees anything.
    Synced,
    /// A server writes it, and the machine's end may take what was seen with it.
    Written,
    /// A server publishes without writing it.
    Missing,
}

/// Why an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Nothing says how the journal was left.
    Unknown,
    /// The machine went down before what was published was synced.
    Unsynced,
    /// The last server could not write what it published.
    Unwritten,
    /// More than was ever written at once is damaged at the journal's end.
    Damaged,
}

impl Standing {
    /// Under this policy, while it is written.
    #[must_use]
    pub fn under(policy: SyncPolicy) -> Self {
        match policy {
            SyncPolicy::Each => Self::Synced,
            SyncPolicy::Every(_) | SyncPolicy::Never => Self::Written,
        }
    }
}

impl EpochFile {
    /// The epoch, if it goes on under this start of the machine, with so many bytes cut from the journal's end.
    ///
    /// # Errors
    /// Why it does not.
    pub fn goes_on(&self, boot: u128, cut_bytes: u64) -> Result<u64, Why> {
        match self.standing {
            Standing::Missing => Err(Why::Unwritten),
            Standing::Written if self.boot != boot || boot == 0 => Err(Why::Unsynced),
            // What was seen had been written whole: no more than what was being written can be torn.
            Standing::Closed if cut_bytes > 0 => Err(Why::Damaged),
            Standing::Synced | Standing::Written if cut_bytes > super::BATCH_BYTES_MOST => Err(Why::Damaged),
            Standing::Closed | Standing::Synced | Standing::Written => Ok(self.epoch),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.push(match self.standing {
            Standing::Closed => 1,
            Standing::Synced => 2,
            Standing::Written => 3,
            Standing::Missing => 4,
        });
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.boot.to_le_bytes());
        let mut crc = Crc::new();
        crc.update(&out);
        out.extend_from_slice(&crc.sum().to_le_bytes());
        out
    }

    /// Reads them; `None` where it is something else.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (fields, sum) = bytes.split_last_chunk()?;
        let mut crc = Crc::new();
        crc.update(fields);
        let (magic, fields) = fields.split_first_chunk()?;
        if *magic != MAGIC || crc.sum() != u32::from_le_bytes(*sum) {
            return None;
        }
        let ([standing], fields) = fields.split_first_chunk()?;
        let (epoch, fields) = fields.split_first_chunk()?;
        Some(Self {
            standing: match standing {
                1 => Standing::Closed,
                2 => Standing::Synced,
                3 => Standing::Written,
                4 => Standing::Missing,
                _ => return None,
            },
            epoch: u64::from_le_bytes(*epoch),
            boot: u128::from_le_bytes(fields.try_into().ok()?),
        })
    }
}

/// This start of the machine, a random number of the kernel's; 0 where it is not told.
#[must_use]
pub fn boot() -> u128 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    u128::from_str_radix(&digits, 16).unwrap_or(0)
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "nothing says how it was left",
            Self::Unsynced => "the machine went down before all that was published was synced",
            Self::Unwritten => "the last server could not write all that it published",
            Self::Damaged => "its end is damaged",
        })
    }
}

const MAGIC: [u8; 8] = *b"TICKEPO1";

#[cfg(test)]
mod tests {
    use super::*;

    fn file(standing: Standing) -> EpochFile {
        EpochFile {
            epoch: 7,
            standing,
            boot: 11,
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_not_otherwise() {
        for standing in [
            Standing::Closed,
            Standing::Synced,
            Standing::Written,
            Standing::Missing,
        ] {
            let bytes = file(standing).bytes();
            assert_eq!(EpochFile::read(&bytes), Some(file(standing)));
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(EpochFile::read(&flipped), None, "bit {bit}");
            }
            for bytes in (0..bytes.len()).map(|end| &bytes[..end]) {
                assert_eq!(EpochFile::read(bytes), None);
            }
        }
    }

    #[test]
    fn an_epoch_ends_where_something_may_have_been_seen_that_the_journal_lacks() {
        let goes_on = |standing, boot, cut| file(standing).goes_on(boot, cut);
        for cut in [0, super::super::BATCH_BYTES_MOST] {
            assert_eq!(goes_on(Standing::Synced, 11, cut), Ok(7), "killed");
            assert_eq!(goes_on(Standing::Synced, 12, cut), Ok(7), "without power");
            assert_eq!(goes_on(Standing::Written, 11, cut), Ok(7), "killed");
            assert_eq!(goes_on(Standing::Written, 12, cut), Err(Why::Unsynced));
            assert_eq!(goes_on(Standing::Missing, 11, cut), Err(Why::Unwritten));
        }
        let much = super::super::BATCH_BYTES_MOST + 1;
        assert_eq!(goes_on(Standing::Synced, 11, much), Err(Why::Damaged));
        assert_eq!(goes_on(Standing::Closed, 12, 0), Ok(7));
        assert_eq!(goes_on(Standing::Closed, 11, 1), Err(Why::Damaged));
        let unknown = EpochFile {
            boot: 0,
            ..file(Standing::Written)
        };
        assert_eq!(
            unknown.goes_on(0, 0),
            Err(Why::Unsynced),
            "no boot is like no other"
        );
    }

    #[test]
    fn the_kernel_tells_its_starts_apart() {
        if boot() == 0 {
            eprintln!("SKIPPED: there is no /proc/sys/kernel/random/boot_id");
        }
        assert_eq!(boot(), boot());
    }
}
