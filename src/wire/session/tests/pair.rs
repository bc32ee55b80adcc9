//! A client and a server in one test, and a wire between them that delivers in pieces of any size.

use super::*;
use crate::wire::{MaskingKey, Silenced};
use proptest::prelude::*;

/// What one end does next.
#[derive(Clone, Debug)]
enum Act {
    Send(Owned),
    /// Receives up to this many bytes of what the other end sent.
    Receive(usize),
}

fn act() -> impl Strategy<Value = (bool, Act)> {
    let close = (3000_u16..5000, "[a-z]{0,5}");
    let close = close.prop_map(|(code, reason)| CloseCode::new(code).map(|code| (code, reason)));
    let send = prop_oneof![
        6 => "\\PC{0,20}".prop_map(Owned::Text),
        6 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Owned::Binary),
        4 => prop::collection::vec(any::<u8>(), 0..126).prop_map(Owned::Ping),
        1 => prop_oneof![Just(None), close].prop_map(Owned::Close),
    ];
    let act = prop_oneof![1 => send.prop_map(Act::Send), 1 => (1_usize..200).prop_map(Act::Receive)];
    (any::<bool>(), act)
}

/// The one thing that differs between the roles: a client's frames take a key.
trait Speak: Role + Sized {
    fn speak(
        sender: &mut Sender<Self>,
        event: &Owned,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced>;
}

impl Speak for Server {
    fn speak(
        sender: &mut Sender<Self>,
        event: &Owned,
        _: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        match event {
            Owned::Text(text) => sender.text(text, out),
            Owned::Binary(bytes) => sender.binary(bytes, out),
            Owned::Ping(payload) => sender.ping(payload, out),
            Owned::Pong(payload) => sender.pong(payload, out),
            Owned::Close(close) => sender.close(frame(close.as_ref()), out),
        }
    }
}

impl Speak for Client {
    fn speak(
        sender: &mut Sender<Self>,
        event: &Owned,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), Silenced> {
        let key = MaskingKey::new(key);
        match event {
            Owned::Text(text) => sender.text(text, key, out),
            Owned::Binary(bytes) => sender.binary(bytes, key, out),
            Owned::Ping(payload) => sender.ping(payload, key, out),
            Owned::Pong(payload) => sender.pong(payload, key, out),
            Owned::Close(close) => sender.close(frame(close.as_ref()), key, out),
        }
    }
}

fn frame(close: Option<&(CloseCode, String)>) -> Option<CloseFrame<'_>> {
    close.map(|(code, reason)| CloseFrame::new(*code, reason))
}

/// One end, the bytes that it has put on the wire, what it said and what it saw.
#[derive(Debug)]
struct Side<R: Role> {
    end: End<R>,
    wire: Vec<u8>,
    said: Vec<Owned>,
    seen: Vec<Owned>,
    key: u32,
}

impl<R: Speak> Side<R> {
    fn new() -> Self {
        Self {
            end: End::new(1 << 16),
            wire: Vec::new(),
            said: Vec::new(),
            seen: Vec::new(),
            key: 0x0102_0408,
        }
    }

    fn act(&mut self, act: &Act, peer_wire: &mut Vec<u8>) {
        self.key = self.key.rotate_left(5).wrapping_add(0x9e37_79b9);
        let key = self.key.to_be_bytes();
        let Self {
            end,
            wire,
            said,
            seen,
            ..
        } = self;
        match act {
            Act::Send(event) => {
                if R::speak(end.session.sender(), event, key, wire).is_ok() {
                    said.push(event.clone());
                }
            }
            Act::Receive(bytes) => {
                let piece: Vec<u8> = peer_wire.drain(..peer_wire.len().min(*bytes)).collect();
                let answer = |event: Owned, sender: &mut Sender<R>| {
                    let answer = match event.clone() {
                        Owned::Ping(payload) => Some(Owned::Pong(payload)),
                        Owned::Close(close) => Some(Owned::Close(close)),
                        Owned::Text(_) | Owned::Binary(_) | Owned::Pong(_) => None,
                    };
                    said.extend(answer.filter(|answer| R::speak(sender, answer, key, wire).is_ok()));
                    seen.push(event);
                };
                end.receive(&piece, answer).unwrap();
            }
        }
    }
}

/// Whether `seen` is `said` up to its close frame (a late pong is not read) less, if the end that sees is
/// `closed`, some of the data: what was said after its own close frame had been sent.
fn is_seen_of(seen: &[Owned], said: &[Owned], closed: bool) -> bool {
    let mut rest = seen.iter().peekable();
    for event in said {
        if rest.next_if_eq(&event).is_none()
            && !(closed && matches!(event, Owned::Text(_) | Owned::Binary(_)))
        {
            return false;
        }
        if matches!(event, Owned::Close(_)) {
            break;
        }
    }
    rest.next().is_none()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_one_end_says_the_other_sees_and_both_close_cleanly(acts in prop::collection::vec(act(), 0..60)) {
        let (mut client, mut server) = (Side::<Client>::new(), Side::<Server>::new());
        for (at_client, act) in &acts {
            if *at_client {
                client.act(act, &mut server.wire);
            } else {
                server.act(act, &mut client.wire);
            }
        }
        while !client.wire.is_empty() || !server.wire.is_empty() {
            client.act(&Act::Receive(64), &mut server.wire);
            server.act(&Act::Receive(64), &mut client.wire);
        }
        let is_close = |event: &Owned| matches!(event, Owned::Close(_));
        let client_closed = client.said.iter().any(is_close);
        let server_closed = server.said.iter().any(is_close);
        prop_assert!(is_seen_of(&client.seen, &server.said, client_closed));
        prop_assert!(is_seen_of(&server.seen, &client.said, server_closed));
        prop_assert_eq!(client_closed, server_closed);
        let phase = if client_closed { Phase::Closed } else { Phase::Open };
        prop_assert_eq!((client.end.session.phase(), server.end.session.phase()), (phase, phase));
        prop_assert_eq!((client.end.session.held(), server.end.session.held()), (0, 0));
    }
}
