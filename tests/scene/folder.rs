//! A directory for a server's files, and what a journal in it has.

use std::collections::BTreeMap;
use std::path::{Display, Path, PathBuf};

use tickwire::writer::journal::Directory;
use tickwire::writer::journal::format::Record;
use tickwire::writer::journal::scan::{Scanned, Scanner};

/// A directory that goes away with its test. Whoever writes to it makes it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tickwire-live-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn display(&self) -> Display<'_> {
        self.0.display()
    }

    /// Every message of a channel that is in the journal here, by its number; none is given twice.
    pub(crate) fn journaled(&self, channel: &str) -> BTreeMap<u64, String> {
        let directory = Directory::new(&self.0);
        let begins = format!("\"ch\":\"{channel}\"");
        let mut found = BTreeMap::new();
        for segment in directory.segments().expect("it can be read") {
            let mut scanner = Scanner::default();
            scanner.push(&std::fs::read(directory.segment(segment)).expect("it can be read"));
            scanner.finish();
            loop {
                match scanner.scan() {
                    Scanned::Record(Record::Message(line)) if line.text.contains(&begins) => {
                        let before = found.insert(line.seq, line.text.to_owned());
                        assert_eq!(before, None, "number {} is given once", line.seq);
                    }
                    Scanned::Header(_) | Scanned::Record(_) => {}
                    Scanned::End | Scanned::More | Scanned::Flawed(_) => break,
                }
            }
        }
        found
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
