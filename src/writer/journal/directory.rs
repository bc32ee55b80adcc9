//! The directory of a journal: its lock, its segments by number, and the file that says how it was left.
//!
//! Two servers never write one journal: the lock is the kernel's (`flock` on the file `lock`), so it ends with the
//! process, however that ends. Everything here waits for the disk, and is done before a server serves.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::epoch::EpochFile;
use super::error::JournalError;

/// A journal's directory.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

/// Keeps other servers out for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Directory {
    /// This directory, which need not be there.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.into() }
    }

    /// Makes the directory if there is none, and locks it.
    ///
    /// # Errors
    /// When it cannot be made, or another server has it.
    pub fn lock(&self) -> Result<Lock, JournalError> {
        let failed = |error| JournalError::Directory {
            path: self.path.clone(),
            error,
        };
        fs::create_dir_all(&self.path).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.path.join(LOCK))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked {
                path: self.path.clone(),
            }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The numbers of its segments, lowest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn segments(&self) -> Result<Vec<u64>, JournalError> {
        let failed = |error| JournalError::Directory {
            path: self.path.clone(),
            error,
        };
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SEGMENT));
            // A number in another form would be the name of another file.
            numbers.extend(
                number
                    .filter(|number| number.len() == DIGITS)
                    .and_then(|number| number.parse::<u64>().ok()),
            );
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The file of this segment.
    #[must_use]
    pub fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:0DIGITS$}{SEGMENT}"))
    }

    /// The file that says how the journal was left.
    #[must_use]
    pub fn epoch_file(&self) -> PathBuf {
        self.path.join(EPOCH)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the journal was left; `None` where that is not known.
    #[must_use]
    pub fn left(&self) -> Option<EpochFile> {
        EpochFile::read(&fs::read(self.epoch_file()).ok()?)
    }

    /// Says how it stands now, on disk when this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn stand(&self, file: &EpochFile) -> Result<(), JournalError> {
        let path = self.epoch_file();
        let written = || -> io::Result<()> {
            let mut out = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            out.write_all(&file.bytes())?;
            out.sync_all()?;
            self.sync()
        };
        written().map_err(|error| JournalError::Write {
            path: path.clone(),
            error,
        })
    }

    /// Brings to disk which files there are.
    ///
    /// # Errors
    /// What the kernel answered.
    pub fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

const LOCK: &str = "lock";
const EPOCH: &str = "epoch";
const SEGMENT: &str = ".journal";
/// Of a segment's name, so that names sort as numbers do.
const DIGITS: usize = 20;
