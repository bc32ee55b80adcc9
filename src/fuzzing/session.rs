//! Whole streams of frames: the same events, fault and remainder however they arrive and whatever the caller puts back,
//! and the ones that a naive reader finds.

use super::input::{Cuts, Input};
use crate::wire::{
    Client, DeflateTerms, Deflater, Direction, Fault, FrameHeader, MaskingKey, Opcode, Owned, Phase, Role,
    Sender, Server, Session, Terms, naive_outcome, unmask,
};

/// A peer's stream, as a session of either role reads it (RFC 6455 §5 to §7, RFC 7692 §6).
///
/// # Panics
/// When a property does not hold.
pub fn session(data: &[u8]) {
    let mut input = Input::new(data);
    let options = input.byte();
    let bits = 8 + options / 32;
    let terms = Terms {
        message_bytes_max: u32::from(input.byte()) * 8,
        deflate: match options & 6 {
            0 => DeflateTerms::Never,
            2 => DeflateTerms::WithTakeover(bits),
            _ => DeflateTerms::EachByItself,
        },
    };
    let habits = Habits::read(&mut input);
    let cuts = input.cuts();
    let made = options & 8 != 0;
    if options & 1 == 0 {
        let stream = stream(input, Direction::ToServer, made);
        reads_alike::<Server>(&stream, terms, habits, cuts);
    } else {
        let stream = stream(input, Direction::ToClient, made);
        reads_alike::<Client>(&stream, terms, habits, cuts);
    }
}

/// What a caller does besides reading: counted in events, 0 where never.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    /// Puts every so manyth message back, once.
    put_back: usize,
    /// Ends its decoder after every so manyth event or put-back...
    pause: usize,
    /// ...and goes on only when more has arrived.
    leaves: bool,
    /// Sends its close frame after so many events.
    close: usize,
}

impl Habits {
    fn read(input: &mut Input<'_>) -> Self {
        let byte = input.byte();
        let number = usize::from(byte);
        Self {
            put_back: number % 4,
            pause: number / 4 % 4,
            leaves: byte & 64 != 0,
            close: if byte & 128 == 0 { 0 } else { number / 16 % 4 + 1 },
        }
    }
}

fn reads_alike<R: Closes>(stream: &[u8], terms: Terms, habits: Habits, cuts: Cuts<'_>) {
    let closing = Habits {
        close: habits.close,
        ..Habits::default()
    };
    let whole = read::<R>(&[stream], terms, closing);
    let split = read::<R>(&cuts.pieces(stream), terms, habits);
    assert_eq!(split, whole, "the split or a put-back changed what was read");
    if habits.close == 0 {
        let (events, fault) = naive_outcome(stream, R::INBOUND == Direction::ToServer, terms);
        assert_eq!((whole.events, whole.fault), (events, fault), "{stream:x?}");
    }
}

/// What a session made of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Reading {
    events: Vec<Owned>,
    fault: Option<Fault>,
    /// What it has the caller keep at the end.
    held: Vec<u8>,
    phase: Phase,
}

fn read<R: Closes>(pieces: &[&[u8]], terms: Terms, habits: Habits) -> Reading {
    let mut session = Session::<R>::new(terms.message_bytes_max);
    let mut inflater = terms.inflater();
    let mut caller = Caller::new(habits);
    let (mut buffer, mut fault) = (Vec::new(), None);
    let mut pieces = pieces.iter();
    loop {
        let piece = pieces.next();
        buffer.extend_from_slice(piece.copied().unwrap_or_default());
        let mut decoder = session.decode_with(&mut buffer, inflater.as_mut());
        let left = loop {
            match decoder.next() {
                Ok(None) => break false,
                Err(broken) => {
                    assert_eq!(fault.replace(broken), None, "it fails once");
                    break false;
                }
                Ok(Some((event, sender))) => match caller.hear(event.into()) {
                    Wish::Nothing => {}
                    Wish::PutBack => decoder.put_back(),
                    Wish::Close => R::close(sender),
                },
            }
            if caller.is_time_to_pause() {
                if habits.leaves {
                    break true;
                }
                let held = decoder.finish();
                buffer.truncate(held);
                decoder = session.decode_with(&mut buffer, inflater.as_mut());
            }
        };
        let held = decoder.finish();
        assert_eq!(held, session.held());
        buffer.truncate(held);
        assert!(held == 0 || matches!(session.phase(), Phase::Open | Phase::CloseSent));
        if !left {
            let room = Session::<R>::buffer_bytes_min(terms.message_bytes_max);
            assert!(held < room, "a drained decoder leaves room for a byte");
            if piece.is_none() {
                break;
            }
        }
    }
    Reading {
        events: caller.events,
        fault,
        held: buffer,
        phase: session.phase(),
    }
}

/// What a caller has heard so far.
struct Caller {
    habits: Habits,
    events: Vec<Owned>,
    /// The message that comes next.
    put_back: Option<Owned>,
    messages: usize,
    pauses: usize,
}

/// What a caller does about an event.
enum Wish {
    Nothing,
    PutBack,
    Close,
}

impl Caller {
    const fn new(habits: Habits) -> Self {
        Self {
            habits,
            events: Vec::new(),
            put_back: None,
            messages: 0,
            pauses: 0,
        }
    }

    fn hear(&mut self, event: Owned) -> Wish {
        let before = self.put_back.take();
        assert!(
            before.as_ref().is_none_or(|before| *before == event),
            "{event:?} came and not what was put back"
        );
        if before.is_none() && matches!(event, Owned::Text(_) | Owned::Binary(_)) {
            self.messages += 1;
            if is_nth(self.messages, self.habits.put_back) {
                self.put_back = Some(event);
                return Wish::PutBack;
            }
        }
        self.events.push(event);
        if self.events.len() == self.habits.close {
            Wish::Close
        } else {
            Wish::Nothing
        }
    }

    const fn is_time_to_pause(&mut self) -> bool {
        self.pauses += 1;
        is_nth(self.pauses, self.habits.pause)
    }
}

const fn is_nth(count: usize, n: usize) -> bool {
    n > 0 && count.is_multiple_of(n)
}

/// The one thing that differs between the roles here.
trait Closes: Role + Sized {
    fn close(sender: &mut Sender<Self>);
}

impl Closes for Server {
    fn close(sender: &mut Sender<Self>) {
        // It may have been sent by now: the peer's close frame is an event, too.
        let _ = sender.close(None, &mut Vec::new());
    }
}

impl Closes for Client {
    fn close(sender: &mut Sender<Self>) {
        let _ = sender.close(None, MaskingKey::new([1, 2, 3, 4]), &mut Vec::new());
    }
}

/// The stream as it is in the input, or one that is made of frames.
fn stream(input: Input<'_>, direction: Direction, made: bool) -> Vec<u8> {
    if made {
        Made::new(input, direction).stream()
    } else {
        input.rest().to_vec()
    }
}

/// Frames that are well formed but for what the input says of them.
struct Made<'a> {
    input: Input<'a>,
    direction: Direction,
    key: [u8; 4],
    deflater: Deflater,
    out: Vec<u8>,
}

impl<'a> Made<'a> {
    fn new(mut input: Input<'a>, direction: Direction) -> Self {
        let key = input.array();
        Self {
            input,
            direction,
            key,
            deflater: Deflater::new(9),
            out: Vec::new(),
        }
    }

    fn stream(mut self) -> Vec<u8> {
        for _ in 0..FRAMES_MAX {
            match self.input.below(4) {
                0 | 1 => self.frame(),
                2 => self.message(),
                _ => {
                    let (first, times) = (self.input.byte(), 4 * usize::from(self.input.byte()));
                    let payload = vec![self.input.byte(); times];
                    self.write(first, &payload);
                }
            }
            if self.input.is_empty() {
                break;
            }
        }
        self.out
    }

    /// A frame of any first byte.
    fn frame(&mut self) {
        let first = self.input.byte();
        let payload = self.input.piece();
        self.write(first, payload);
    }

    /// A compressed message in fragments, with pings between them.
    fn message(&mut self) {
        let (choice, times) = (self.input.byte(), 1 + self.input.below(8));
        let plain = self.input.piece().repeat(times);
        let cuts = self.input.cuts();
        let payload = match self.deflater.deflate(&plain) {
            Some(compressed) => compressed.to_vec(),
            // A stored block, and what a flush leaves of an empty one.
            None => {
                let length = u16::try_from(plain.len()).unwrap_or_default();
                let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
                [&[0][..], &lengths, &plain, &[0]].concat()
            }
        };
        let pieces = cuts.pieces(&payload);
        for (at, piece) in pieces.iter().enumerate() {
            let opcode = if at == 0 { 0x41 + choice % 2 } else { 0 };
            let fin = if at + 1 == pieces.len() { 0x80 } else { 0 };
            self.write(opcode | fin, piece);
            if fin == 0 && choice & 4 != 0 {
                self.write(0x89, b"ping");
            }
        }
    }

    fn write(&mut self, first: u8, payload: &[u8]) {
        let mask = (self.direction == Direction::ToServer).then_some(self.key);
        let header = FrameHeader {
            fin: true,
            compressed: false,
            opcode: Opcode::Binary,
            mask,
            payload_bytes: payload.len() as u64,
        };
        let start = self.out.len();
        self.out.extend_from_slice(header.encode().as_slice());
        self.out[start] = first;
        let payload_start = self.out.len();
        self.out.extend_from_slice(payload);
        if let Some(key) = mask {
            unmask(&mut self.out[payload_start..], key);
        }
        self.key.rotate_left(1);
    }
}

/// Frames of one made stream.
const FRAMES_MAX: usize = 64;
