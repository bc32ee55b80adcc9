//! Servers' decoders, driven alike: each reads a client's stream to its end, answers pings, and tallies what it got.

mod fastwebsockets;
mod naive;
mod tickwire;
mod tungstenite;

use crate::talk::Tally;
use crate::talk::link::Link;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// One end of a connection that stays open from one pass over its client's stream to the next.
pub(crate) trait Decoder {
    /// Reads the stream from its beginning to its end.
    fn pass(&mut self) -> Tally;
}

/// What a decoder is called, and how one is made for a connection.
pub(crate) type Entry = (&'static str, fn(Link) -> Box<dyn Decoder>);

/// Every decoder, ours first.
pub(crate) const ALL: [Entry; 4] = [
    ("tickwire", |link| Box::new(tickwire::Tickwire::new(link))),
    ("naive", |link| Box::new(naive::Naive::new(link))),
    ("tungstenite", |link| {
        Box::new(tungstenite::Tungstenite::new(link))
    }),
    ("fastwebsockets", |link| {
        Box::new(Task::new(link, fastwebsockets::converse))
    }),
];

/// Bytes that a decoder asks its connection for at once, where it can be told.
const RECEIVE_BYTES: usize = ::tickwire::limits::RECV_BYTES;
/// Bytes of the longest message that a decoder takes.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// A decoder that is written as a task: it waits whenever the stream is at its end.
struct Task {
    link: Link,
    tally: Rc<Cell<Tally>>,
    task: Pin<Box<dyn Future<Output = ()>>>,
}

impl Task {
    fn new<F>(link: Link, converse: impl FnOnce(Link, Rc<Cell<Tally>>) -> F) -> Self
    where
        F: Future<Output = ()> + 'static,
    {
        let tally = Rc::default();
        let task = Box::pin(converse(link.clone(), Rc::clone(&tally)));
        Self { link, tally, task }
    }
}

impl Decoder for Task {
    fn pass(&mut self) -> Tally {
        self.link.rewind();
        self.tally.set(Tally::default());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            self.task.as_mut().poll(&mut context),
            Poll::Pending,
            "it goes on for ever"
        );
        Tally {
            reply_bytes: self.link.reply_bytes(),
            ..self.tally.get()
        }
    }
}

/// Counts a message.
fn count(tally: &Cell<Tally>, message_bytes: usize) {
    let mut counted = tally.get();
    counted.messages += 1;
    counted.message_bytes += message_bytes as u64;
    tally.set(counted);
}
