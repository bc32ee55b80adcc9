//! One connection that lines come in on: what has arrived and was not published yet, and what it is still to be told.
//!
//! It reads nothing more before all whole lines that it has read are published, and no line is taken from it while it does
//! not read its replies: so it costs one read, one line and a few replies, whatever it sends. Invariant: replies stand in
//! the order of the lines.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::Room;
use super::socket::Stream;
use crate::limits;
use crate::writer::source::lines::{Line, Lines};

/// One connection.
pub(super) struct Publisher {
    /// Which one it is since the start, for the log.
    pub(super) number: u64,
    stream: Stream,
    lines: RefCell<Lines>,
    /// Told when all whole lines have been taken.
    drained: Notify,
    /// What it is to be told, and has not been sent.
    replies: RefCell<Vec<u8>>,
    /// Told when there is something of that, or nothing more will come.
    replied: Notify,
    /// Lines of its whose replies are not known yet.
    pending: Cell<usize>,
    /// It stands in the queue of those that have lines.
    is_queued: Cell<bool>,
    /// It has lines, but too many replies are unread.
    is_stalled: Cell<bool>,
    /// Its stream has ended, and everything in it is taken.
    is_over: Cell<bool>,
    /// It does not take replies any more.
    is_deaf: Cell<bool>,
}

/// What a publisher has for the feed.
pub(super) enum Turn<T> {
    /// A line was taken, and this came of it.
    Taken(T),
    /// There is no whole line.
    Drained,
    /// The stream has ended within this line.
    Torn {
        /// Its number.
        number: u64,
    },
}

impl Publisher {
    pub(super) fn new(number: u64, stream: Stream) -> Self {
        Self {
            number,
            stream,
            lines: RefCell::default(),
            drained: Notify::new(),
            replies: RefCell::default(),
            replied: Notify::new(),
            pending: Cell::new(0),
            is_queued: Cell::new(false),
            is_stalled: Cell::new(false),
            is_over: Cell::new(false),
            is_deaf: Cell::new(false),
        }
    }

    /// Reads until the stream ends, piece by piece, each when the one before was taken.
    pub(super) async fn listen(self: Rc<Self>, room: Rc<Room>) {
        let mut buffer = Vec::with_capacity(limits::SOURCE_READ_BYTES);
        loop {
            let (read, piece) = self.stream.read(buffer).await;
            buffer = piece;
            // A stream that breaks ends there.
            let ended = !matches!(read, Ok(1..));
            if ended {
                self.lines.borrow_mut().finish();
            } else {
                self.lines.borrow_mut().push(&buffer);
            }
            room.queue(&self);
            self.drained.notified().await;
            if ended {
                return;
            }
        }
    }

    /// Sends replies until there will be no more.
    pub(super) async fn talk(self: Rc<Self>, room: Rc<Room>) {
        loop {
            let replies = std::mem::take(&mut *self.replies.borrow_mut());
            if !replies.is_empty() && !self.is_deaf.get() {
                self.is_deaf.set(!self.tell(replies).await);
            }
            if self.is_stalled.get() && !self.is_long() {
                self.is_stalled.set(false);
                room.queue(&self);
            }
            if self.replies.borrow().is_empty() {
                if self.is_over.get() && self.pending.get() == 0 {
                    return;
                }
                self.replied.notified().await;
            }
        }
    }

    /// Sends these replies. Says whether it takes more; one that does not is not read from any longer.
    async fn tell(&self, replies: Vec<u8>) -> bool {
        match timeout(PATIENCE, self.stream.write_all(replies)).await {
            Ok(sent) => sent.is_ok(),
            Err(_) => {
                let (publisher, seconds) = (self.number, limits::INGEST_REPLY_S);
                tracing::warn!(
                    publisher,
                    "has not read its replies for {seconds} s, and is closed"
                );
                self.stream.shut_down();
                false
            }
        }
    }

    /// Takes the next line and gives it to `take`.
    pub(super) fn turn<T>(&self, take: impl FnOnce(u64, Line<'_>) -> T) -> Turn<T> {
        let mut lines = self.lines.borrow_mut();
        let ended = lines.ended();
        let (bytes, cursor) = lines.split();
        match cursor.next(bytes) {
            Some((number, _)) if ended && cursor.is_torn() => Turn::Torn { number },
            Some((number, line)) => Turn::Taken(take(number, line)),
            None => {
                self.is_over.set(ended);
                Turn::Drained
            }
        }
    }

    /// All its lines are taken: it reads on.
    pub(super) fn read_on(&self) {
        self.drained.notify_one();
        if self.is_over.get() {
            self.replied.notify_one();
        }
    }

    /// One of its lines will be answered, or passed over in silence, later.
    pub(super) fn expect(&self) {
        self.pending.set(self.pending.get() + 1);
    }

    /// Writes what is to be said of a line, if anything is.
    pub(super) fn reply(&self, write: impl FnOnce(&mut Vec<u8>)) {
        self.pending.set(self.pending.get().saturating_sub(1));
        write(&mut self.replies.borrow_mut());
        self.replied.notify_one();
    }

    /// Whether it has not read so much that nothing more is taken from it.
    pub(super) fn is_long(&self) -> bool {
        !self.is_deaf.get() && self.replies.borrow().len() >= limits::INGEST_REPLY_BYTES_PAUSE
    }

    /// Its lines wait until it has read its replies.
    pub(super) fn stall(&self) {
        self.is_stalled.set(true);
        self.replied.notify_one();
    }

    /// It stands in the queue from now on, unless it does already.
    pub(super) fn enter_queue(&self) -> bool {
        !self.is_queued.replace(true)
    }

    pub(super) fn leave_queue(&self) {
        self.is_queued.set(false);
    }
}

/// How long one waits for a publisher to take its replies.
const PATIENCE: Duration = Duration::from_secs(limits::INGEST_REPLY_S);

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::writer::runtime::runtime;

    #[test]
    fn who_does_not_read_its_replies_gives_its_connection_back() {
        runtime().unwrap().block_on(async {
            // Nobody waits for the seconds that pass.
            tokio::time::pause();
            let (near, mut far) = UnixStream::pair().unwrap();
            let stream = Stream::Unix(tokio_uring::net::UnixStream::from_std(near));
            let publisher = Rc::new(Publisher::new(1, stream));
            let room = Rc::new(Room::new(std::sync::Arc::default()));
            far.write_all(b"{\"ch\":\"trade:A\"").unwrap();
            let listening = tokio_uring::spawn(Rc::clone(&publisher).listen(Rc::clone(&room)));
            publisher.expect();
            publisher.reply(|out| out.resize(8 << 20, b'\n'));
            let talking = tokio_uring::spawn(Rc::clone(&publisher).talk(Rc::clone(&room)));
            while !publisher.is_deaf.get() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            // What has begun of a line is torn, and nothing more comes.
            while !listening.is_finished() {
                match room.next().map(|publisher| publisher.turn(|_, _| ())) {
                    Some(Turn::Taken(())) => panic!("it is no whole line"),
                    Some(Turn::Torn { .. }) => room.queue(&publisher),
                    Some(Turn::Drained) => publisher.read_on(),
                    None => tokio::time::sleep(Duration::from_millis(1)).await,
                }
                tokio::task::yield_now().await;
            }
            listening.await.unwrap();
            talking.await.unwrap();
            let mut told = Vec::new();
            far.read_to_end(&mut told).unwrap();
            assert!(!told.is_empty() && told.len() < 8 << 20);
        });
    }
}
