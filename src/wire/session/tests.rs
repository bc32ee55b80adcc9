//! The session against the RFC's own examples, a naive reading of whole streams, and itself.

mod examples;
mod pair;
mod streams;

use super::naive::{DeflateTerms, Outcome, Owned, Terms, naive_outcome};
use super::*;
use crate::wire::CloseCode;

/// A session and the buffer that its caller keeps.
#[derive(Debug)]
struct End<R: Role> {
    session: Session<R>,
    buffer: Vec<u8>,
}

impl<R: Role> End<R> {
    fn new(message_bytes_max: u32) -> Self {
        Self {
            session: Session::new(message_bytes_max),
            buffer: Vec::new(),
        }
    }

    /// Decodes what was held and `received`, and answers each event with `reply`.
    fn receive(
        &mut self,
        received: &[u8],
        mut reply: impl FnMut(Owned, &mut Sender<R>),
    ) -> Result<(), Fault> {
        self.buffer.extend_from_slice(received);
        let mut decoder = self.session.decode(&mut self.buffer);
        let result = loop {
            match decoder.next() {
                Ok(Some((event, sender))) => reply(event.into(), sender),
                Ok(None) => break Ok(()),
                Err(fault) => break Err(fault),
            }
        };
        let held = decoder.finish();
        assert_eq!(held, self.session.held());
        let room = Session::<R>::buffer_bytes_min(self.session.inbound.message_bytes_max);
        assert!(held < room, "a drained decoder leaves room for a byte");
        self.buffer.truncate(held);
        result
    }
}

/// The outcome of a stream that arrives in these pieces.
fn outcome<'p, R: Role>(message_bytes_max: u32, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut end = End::<R>::new(message_bytes_max);
    let mut events = Vec::new();
    for piece in pieces {
        if let Err(fault) = end.receive(piece, |event, _| events.push(event)) {
            assert_eq!(end.session.phase(), Phase::Failed);
            assert_eq!(end.receive(b"\x81\x00", |_, _| unreachable!()), Ok(()));
            assert_eq!(end.session.held(), 0);
            return (events, Some(fault));
        }
    }
    (events, None)
}

/// The outcome of the same when the caller puts every message back once, and every other time ends its decoder then.
fn outcome_put_back<'p, R: Role>(
    message_bytes_max: u32,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> Outcome {
    let mut session = Session::<R>::new(message_bytes_max);
    let (mut buffer, mut events, mut before) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let mut decoder = session.decode(&mut buffer);
        loop {
            let event = match decoder.next() {
                Ok(Some((event, _))) => Owned::from(event),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault)),
            };
            let message = matches!(event, Owned::Text(_) | Owned::Binary(_));
            if message && before.is_none() {
                decoder.put_back();
                before = Some(event);
                if events.len() % 2 == 0 {
                    let held = decoder.finish();
                    buffer.truncate(held);
                    decoder = session.decode(&mut buffer);
                }
                continue;
            }
            if let Some(before) = before.take() {
                assert_eq!(event, before, "what was put back comes next");
            }
            events.push(event);
        }
        let held = decoder.finish();
        buffer.truncate(held);
    }
    (events, None)
}

/// The same for one piece, two pieces split at every place, and single bytes; all the same, so given once.
fn outcome_however_split<R: Role>(message_bytes_max: u32, stream: &[u8]) -> Outcome {
    let whole = outcome::<R>(message_bytes_max, [stream]);
    for at in 0..=stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(
            outcome::<R>(message_bytes_max, [head, tail]),
            whole,
            "split at {at}"
        );
    }
    assert_eq!(outcome::<R>(message_bytes_max, stream.chunks(1)), whole);
    whole
}
