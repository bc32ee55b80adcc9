//! What the journal does while the feed goes on: making the next segment ready, syncing, removing what is too old.
//!
//! Never writes a message, and never makes the feed wait: the feed looks at what is done when it comes by. Invariant: what
//! is marked as synced was written before its sync began.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_uring::fs::{File, OpenOptions, remove_file};

use super::directory::Directory;
use super::format::Mark;
use super::policy::SyncPolicy;
use crate::base::JournalCensus;
use crate::limits;

/// What the feed and the two tasks share.
pub(super) struct Background {
    directory: Directory,
    segment_bytes: u64,
    /// The segment to make ready, if one is wanted.
    wanted: Cell<Option<u64>>,
    ready: RefCell<Option<(u64, Rc<File>)>>,
    /// Why the last attempt to make it ready failed.
    refusal: RefCell<Option<io::Error>>,
    /// Segments to remove, the oldest first: whenever the server is killed, what is left has no hole.
    doomed: RefCell<VecDeque<u64>>,
    /// Rung when one of the former is there; the other when an attempt has ended.
    opening: Notify,
    opened: Notify,
    /// Finished segments that are not synced yet.
    finished: RefCell<VecDeque<Finished>>,
    /// What is being written, and how far.
    current: RefCell<Option<Rc<File>>>,
    written: Cell<Reached>,
    synced: Cell<Reached>,
    census: Arc<JournalCensus>,
    failure: RefCell<Option<io::Error>>,
    syncing: Notify,
}

/// How far the journal is written or synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reached {
    pub(super) mark: Mark,
    /// The number of the newest message before it.
    pub(super) message: u64,
}

/// A segment that is as long as it will be.
#[derive(Clone)]
struct Finished {
    file: Rc<File>,
    /// How far the journal is synced with it.
    reached: Reached,
}

impl Background {
    pub(super) fn new(directory: Directory, segment_bytes: u64, census: Arc<JournalCensus>) -> Self {
        Self {
            census,
            directory,
            segment_bytes,
            wanted: Cell::default(),
            ready: RefCell::default(),
            refusal: RefCell::default(),
            doomed: RefCell::default(),
            opening: Notify::new(),
            opened: Notify::new(),
            finished: RefCell::default(),
            current: RefCell::default(),
            written: Cell::default(),
            synced: Cell::default(),
            failure: RefCell::default(),
            syncing: Notify::new(),
        }
    }

    /// Asks for this segment.
    pub(super) fn want(&self, segment: u64) {
        if self.ready.borrow().is_none() && self.wanted.get().is_none() {
            self.wanted.set(Some(segment));
            self.opening.notify_one();
        }
    }

    /// The segment that was asked for, if it is ready.
    pub(super) fn take_ready(&self) -> Option<(u64, Rc<File>)> {
        self.ready.borrow_mut().take()
    }

    /// Whether it is.
    pub(super) fn is_ready(&self) -> bool {
        self.ready.borrow().is_some()
    }

    /// Waits until the segment is ready or an attempt has failed, and says why.
    pub(super) async fn opened(&self) -> io::Result<()> {
        while !self.is_ready() {
            if let Some(error) = self.refusal.borrow_mut().take() {
                return Err(error);
            }
            self.opened.notified().await;
        }
        Ok(())
    }

    /// This segment is not needed any more.
    pub(super) fn doom(&self, segment: u64) {
        self.doomed.borrow_mut().push_back(segment);
        self.opening.notify_one();
    }

    /// This file, of segment `segment`, is written from now on, in place of the one before, which is finished.
    pub(super) fn turn_to(&self, segment: u64, file: &Rc<File>) {
        let former = self.current.replace(Some(Rc::clone(file)));
        if let Some(file) = former {
            let mark = Mark { segment, offset: 0 };
            let message = self.written.get().message;
            let reached = Reached { mark, message };
            // Where each message is synced nothing is left to do, and what comes next need not wait for it.
            if self.finished.borrow().is_empty() && self.synced.get() >= self.written.get() {
                self.synced.set(reached);
                return;
            }
            self.finished.borrow_mut().push_back(Finished { file, reached });
            self.syncing.notify_one();
        }
    }

    /// So much is written.
    pub(super) fn wrote(&self, reached: Reached) {
        self.written.set(reached);
        self.syncing.notify_one();
    }

    /// What is being written is synced so far: whoever wrote it saw to that.
    pub(super) fn synced_to(&self, reached: Reached) {
        if self.finished.borrow().is_empty() {
            self.synced.set(self.synced.get().max(reached));
            self.census.durable.set(self.synced.get().message);
        }
        self.census.syncs.add(1);
    }

    /// How far it is synced.
    pub(super) fn synced(&self) -> Mark {
        self.synced.get().mark
    }

    /// Why the last sync failed. Nothing that it should have synced can be trusted to be on disk.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure.borrow_mut().take()
    }

    /// What was written is given up.
    pub(super) fn abandon(&self) {
        self.current.replace(None);
        self.finished.borrow_mut().clear();
        self.failure.replace(None);
    }

    /// Makes segments ready and removes others, for ever.
    pub(super) async fn open(self: Rc<Self>) {
        loop {
            self.opening.notified().await;
            // First what makes room.
            while let Some(segment) = { self.doomed.borrow_mut().pop_front() } {
                let path = self.directory.segment(segment);
                if let Err(error) = remove_file(&path).await {
                    tracing::warn!("{}: cannot be removed: {error}", path.display());
                }
            }
            while let Some(segment) = self.wanted.get() {
                match self.make_ready(segment).await {
                    Ok(file) => {
                        self.wanted.set(None);
                        self.refusal.replace(None);
                        self.ready.replace(Some((segment, Rc::new(file))));
                        self.opened.notify_one();
                    }
                    Err(error) => {
                        self.refusal.replace(Some(error));
                        self.opened.notify_one();
                        tokio::time::sleep(RETRY).await;
                    }
                }
            }
        }
    }

    /// An empty file with room set aside for the whole segment, as far as the file system does that.
    async fn make_ready(&self, segment: u64) -> io::Result<File> {
        let path = self.directory.segment(segment);
        // What is left of an attempt that failed has no message in it. It is not written over: a write that it was
        // given up for may still arrive.
        match remove_file(&path).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&path)
            .await?;
        match file
            .fallocate(0, self.segment_bytes, libc::FALLOC_FL_KEEP_SIZE)
            .await
        {
            Err(error) if error.raw_os_error() != Some(libc::EOPNOTSUPP) => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let directory = File::open(self.directory.path()).await?;
        directory.sync_all().await?;
        directory.close().await?;
        Ok(file)
    }

    /// Syncs, for ever: finished segments always, the one being written by policy.
    pub(super) async fn sync(self: Rc<Self>, policy: SyncPolicy) {
        loop {
            self.syncing.notified().await;
            if let SyncPolicy::Every(interval) = policy {
                tokio::time::sleep(interval).await;
            }
            if let Err(error) = self.sync_once(policy).await {
                self.failure.replace(Some(error));
            }
        }
    }

    async fn sync_once(&self, policy: SyncPolicy) -> io::Result<()> {
        self.sync_finished().await?;
        let (target, current) = (self.written.get(), self.current.borrow().clone());
        if let (SyncPolicy::Every(_), Some(file)) = (policy, current)
            && target > self.synced.get()
        {
            file.sync_data().await?;
            self.synced_to(target);
        }
        Ok(())
    }

    /// Syncs finished segments, the oldest first. Two may do so at once.
    pub(super) async fn sync_finished(&self) -> io::Result<()> {
        while let Some(Finished { file, reached }) = { self.finished.borrow().front().cloned() } {
            file.sync_data().await?;
            let mut finished = self.finished.borrow_mut();
            if finished.front().is_some_and(|front| front.reached == reached) {
                finished.pop_front();
                self.synced.set(self.synced.get().max(reached));
                self.census.durable.set(self.synced.get().message);
                self.census.syncs.add(1);
            }
        }
        Ok(())
    }
}

/// Between two attempts to make a segment ready.
const RETRY: Duration = Duration::from_millis(limits::JOURNAL_RETRY_MS);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::runtime::runtime;

    /// The first message of a segment was once told not to be safe when its sync was done before that of the segment before.
    #[test]
    fn a_segment_that_was_synced_as_it_was_written_keeps_nothing_waiting_when_it_ends() {
        let census = Arc::<JournalCensus>::default();
        let directory = Directory::new(&std::env::temp_dir());
        let background = Background::new(directory, 1, Arc::clone(&census));
        let reached = |segment, message| Reached {
            mark: Mark { segment, offset: 9 },
            message,
        };
        runtime().unwrap().block_on(async {
            // Nothing is written to it.
            let file = Rc::new(File::open("/dev/null").await.unwrap());
            background.turn_to(1, &file);
            background.wrote(reached(1, 5));
            background.synced_to(reached(1, 5));
            background.turn_to(2, &file);
            background.wrote(reached(2, 6));
            assert_eq!(census.durable.read(), 5);
            background.synced_to(reached(2, 6));
            assert_eq!(census.durable.read(), 6);
            background.wrote(reached(2, 7));
            background.turn_to(3, &file);
            background.wrote(reached(3, 8));
            background.synced_to(reached(3, 8));
            assert_eq!(census.durable.read(), 6, "message 7 was not synced");
        });
    }
}
