//! Streams written by hand: those of RFC 6455, one for each fault, and the limits.

use super::*;
use crate::wire::MaskingKey;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

fn text(text: &str) -> Owned {
    Owned::Text(text.to_owned())
}

fn to_client(stream: &[u8]) -> Outcome {
    outcome_however_split::<Client>(1 << 20, stream)
}

fn frame(fin: bool, opcode: Opcode, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        compressed: false,
        fin,
        opcode,
        mask,
        payload_bytes: payload.len() as u64,
    };
    let mut frame = header.encode().as_slice().to_vec();
    let start = frame.len();
    frame.extend_from_slice(payload);
    unmask(&mut frame[start..], mask.unwrap_or_default());
    frame
}

/// Frames to a server.
fn masked(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    frame(fin, opcode, Some(KEY), payload)
}

#[test]
fn rfc_6455_section_5_7_a_single_frame_unmasked_text_message() {
    let stream = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    assert_eq!(to_client(&stream), (vec![text("Hello")], None));
    let mut out = Vec::new();
    ServerSession::new(0).sender().text("Hello", &mut out).unwrap();
    assert_eq!(out, stream);
}

#[test]
fn rfc_6455_section_5_7_a_single_frame_masked_text_message() {
    let stream = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let outcome = outcome_however_split::<Server>(5, &stream);
    assert_eq!(outcome, (vec![text("Hello")], None));
    let mut out = Vec::new();
    let mut client = ClientSession::new(0);
    client
        .sender()
        .text("Hello", MaskingKey::new(KEY), &mut out)
        .unwrap();
    assert_eq!(out, stream);
}

#[test]
fn rfc_6455_section_5_7_a_fragmented_unmasked_text_message() {
    let stream = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    assert_eq!(to_client(&stream), (vec![text("Hello")], None));
}

#[test]
fn rfc_6455_section_5_7_an_unmasked_ping_and_its_masked_pong() {
    let ping = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let pong = [0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    let mut answer = Vec::new();
    let mut buffer = ping;
    let mut session = ClientSession::new(0);
    let mut decoder = session.decode(&mut buffer);
    while let Some((event, sender)) = decoder.next().unwrap() {
        let Event::Ping(payload) = event else {
            panic!("{event:?}")
        };
        sender.pong(payload, MaskingKey::new(KEY), &mut answer).unwrap();
    }
    assert_eq!(decoder.finish(), 0);
    assert_eq!(answer, pong);
    let hello = b"Hello".to_vec();
    assert_eq!(to_client(&ping), (vec![Owned::Ping(hello.clone())], None));
    let outcome = outcome_however_split::<Server>(0, &pong);
    assert_eq!(outcome, (vec![Owned::Pong(hello)], None));
}

#[test]
fn rfc_6455_section_5_7_binary_messages_of_256_bytes_and_64_kib() {
    for (header, bytes) in [
        (&[0x82, 0x7e, 0x01, 0x00][..], 256),
        (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
    ] {
        let payload: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        let stream = [header, &payload].concat();
        let mut out = Vec::new();
        ServerSession::new(0).sender().binary(&payload, &mut out).unwrap();
        assert!(out == stream);
        for piece_bytes in [1, 1000, 65_535, 65_546] {
            let (events, fault) = outcome::<Client>(1 << 20, stream.chunks(piece_bytes));
            assert!(fault.is_none() && events == [Owned::Binary(payload.clone())]);
        }
    }
}

#[test]
fn control_frames_between_fragments_come_first_and_harm_nothing() {
    let stream = [
        masked(false, Opcode::Text, b"a\xe2\x82"),
        masked(true, Opcode::Ping, b"p"),
        masked(false, Opcode::Continuation, b""),
        masked(true, Opcode::Pong, b""),
        masked(true, Opcode::Continuation, b"\xac!"),
        masked(true, Opcode::Binary, b""),
        masked(true, Opcode::Text, b""),
    ];
    let expected = vec![
        Owned::Ping(b"p".to_vec()),
        Owned::Pong(vec![]),
        text("a€!"),
        Owned::Binary(vec![]),
        text(""),
    ];
    let outcome = outcome_however_split::<Server>(5, &stream.concat());
    assert_eq!(outcome, (expected, None));
}

#[test]
fn each_fault_of_a_header_ends_the_session_with_its_own_close_code() {
    let table: &[(&[u8], Fault)] = &[
        (&[0x81, 0x00], Fault::Unmasked),
        (&[0xc1, 0x80], Fault::ReservedBits),
        (&[0x83, 0x80], Fault::ReservedOpcode),
        (&[0x89, 0xfe], Fault::ControlTooLong),
        (&[0x09, 0x80], Fault::ControlFragmented),
        (&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], Fault::LengthOverflow),
        (&[0x82, 0xfe, 0, 1], Fault::LengthNotMinimal),
    ];
    for (header, fault) in table {
        let stream = [header, &masked(true, Opcode::Text, b"never read")[..]].concat();
        let outcome = outcome_however_split::<Server>(100, &stream);
        assert_eq!(outcome, (vec![], Some(*fault)));
        assert_eq!(fault.code(), CloseCode::PROTOCOL_ERROR);
    }
    assert_eq!(to_client(&[0x81, 0x80]), (vec![], Some(Fault::Masked)));
    assert_eq!(Fault::Masked.code(), CloseCode::PROTOCOL_ERROR);
}

#[test]
fn each_fault_of_a_message_ends_the_session_with_its_own_close_code() {
    use Opcode::{Binary, Close, Continuation, Text};
    type Frames = &'static [(bool, Opcode, &'static [u8])];
    let table: &[(Frames, Fault, u16)] = &[
        (
            &[(true, Continuation, b"")],
            Fault::ContinuationWithoutMessage,
            1002,
        ),
        (
            &[(false, Text, b""), (true, Text, b"")],
            Fault::MessageInterrupted,
            1002,
        ),
        (
            &[(false, Binary, b"a"), (false, Text, b"b")],
            Fault::MessageInterrupted,
            1002,
        ),
        (&[(true, Text, &[b'a'; 101])], Fault::MessageTooBig, 1009),
        (&[(true, Text, b"\xff")], Fault::InvalidUtf8, 1007),
        (&[(true, Text, b"\xe2\x82")], Fault::InvalidUtf8, 1007),
        (
            &[(false, Text, b"\xe2\x82"), (true, Continuation, b"")],
            Fault::InvalidUtf8,
            1007,
        ),
        (&[(true, Close, b"\x03")], Fault::CloseCodeCut, 1002),
        (&[(true, Close, b"\x03\xed")], Fault::CloseCodeForbidden, 1002),
        (&[(true, Close, b"\x03\xe8\xff")], Fault::CloseReasonNotUtf8, 1007),
    ];
    for (frames, fault, code) in table {
        let mut stream = Vec::new();
        for &(fin, opcode, payload) in *frames {
            stream.extend(masked(fin, opcode, payload));
        }
        stream.extend(masked(true, Text, b"never read"));
        let outcome = outcome_however_split::<Server>(100, &stream);
        assert_eq!(outcome, (vec![], Some(*fault)));
        assert_eq!(fault.code().number(), *code);
    }
}

#[test]
fn text_fails_at_its_first_bad_byte_before_its_frame_or_message_is_whole() {
    let good = frame(false, Opcode::Text, None, "κόσμε".as_bytes());
    // A continuation that announces 100 bytes, of which ten have come.
    let mut part = frame(false, Opcode::Continuation, None, &[b'a'; 100]);
    part.truncate(12);
    for (piece, fails) in [
        (&b"\xed"[..], false),
        (b"\xed\xa0", true),
        (b"\xf4\x90", true),
        (b"\xc0", true),
    ] {
        let (_, fault) = outcome::<Client>(1000, [&good[..], &part, piece]);
        assert_eq!(fault, fails.then_some(Fault::InvalidUtf8), "{piece:x?}");
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_in_one_frame_or_many() {
    for (bytes, fault) in [(9, None), (10, None), (11, Some(Fault::MessageTooBig))] {
        let payload = vec![b'a'; bytes];
        let whole = masked(true, Opcode::Binary, &payload);
        assert_eq!(outcome_however_split::<Server>(10, &whole).1, fault);
        let (head, tail) = payload.split_at(6);
        let parts = [
            masked(false, Opcode::Binary, head),
            masked(true, Opcode::Continuation, tail),
        ];
        assert_eq!(outcome_however_split::<Server>(10, &parts.concat()).1, fault);
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_by_the_header_alone() {
    let header = |opcode, payload_bytes| FrameHeader {
        compressed: false,
        fin: false,
        opcode,
        mask: None,
        payload_bytes,
    };
    let too_big = Some(Fault::MessageTooBig);
    let first = frame(false, Opcode::Binary, None, b"ab");
    for length in [
        11,
        65_536,
        u64::from(u32::MAX),
        1 << 32,
        (1 << 32) + 1,
        u64::MAX >> 1,
    ] {
        let stream = header(Opcode::Binary, length).encode();
        assert_eq!(outcome_however_split::<Client>(10, stream.as_slice()).1, too_big);
        let more = header(Opcode::Continuation, length).encode();
        let stream = [&first[..], more.as_slice()].concat();
        assert_eq!(outcome_however_split::<Client>(10, &stream).1, too_big);
    }
    // With the widest limit the sum of the fragments may not wrap either.
    let more = header(Opcode::Continuation, u64::from(u32::MAX) - 1).encode();
    assert_eq!(
        outcome::<Client>(u32::MAX, [&first[..], more.as_slice()]).1,
        too_big
    );
}

#[test]
fn nothing_is_read_after_a_close_frame_and_the_same_frame_answers_it() {
    let stream = [
        masked(true, Opcode::Close, b"\x03\xe8bye"),
        masked(true, Opcode::Text, b"late"),
    ];
    let mut end = End::<Server>::new(10);
    let mut out = Vec::new();
    let answer = |event: Owned, sender: &mut Sender<Server>| {
        assert_eq!(event, Owned::Close(Some((CloseCode::NORMAL, "bye".to_owned()))));
        assert_eq!(sender.phase(), Phase::CloseReceived);
        let mut nothing = Vec::new();
        assert!(sender.text("", &mut nothing).is_err() && sender.ping(b"", &mut nothing).is_err());
        assert!(sender.pong(b"", &mut nothing).is_err() && nothing.is_empty());
        let close = CloseFrame::new(CloseCode::NORMAL, "bye");
        sender.close(Some(close), &mut out).unwrap();
    };
    end.receive(&stream.concat(), answer).unwrap();
    assert_eq!((end.session.phase(), end.session.held()), (Phase::Closed, 0));
    assert_eq!(out, b"\x88\x05\x03\xe8bye");
    assert!(end.session.sender().close(None, &mut out).is_err());
}

#[test]
fn after_our_close_frame_data_is_discarded_and_pings_are_answered() {
    let stream = [
        masked(true, Opcode::Text, b"first"),
        masked(false, Opcode::Text, b"not UTF-8 \xff"),
        masked(true, Opcode::Ping, b"?"),
        masked(true, Opcode::Continuation, b"!"),
        masked(true, Opcode::Binary, b"late"),
        masked(true, Opcode::Close, b""),
    ]
    .concat();
    let expected = [text("first"), Owned::Ping(b"?".to_vec()), Owned::Close(None)];
    for split in 0..=stream.len() {
        let mut end = End::<Server>::new(100);
        let (mut events, mut out) = (Vec::new(), Vec::new());
        let (head, tail) = stream.split_at(split);
        for piece in [head, tail] {
            let reply = |event: Owned, sender: &mut Sender<Server>| {
                if event == text("first") {
                    sender.close(None, &mut out).unwrap();
                }
                if event == Owned::Ping(b"?".to_vec()) {
                    assert!(sender.text("?", &mut Vec::new()).is_err());
                    sender.pong(b"?", &mut out).unwrap();
                }
                events.push(event);
            };
            end.receive(piece, reply).unwrap();
        }
        assert_eq!(events, expected);
        assert_eq!(
            (end.session.phase(), &out[..]),
            (Phase::Closed, &b"\x88\x00\x8a\x01?"[..])
        );
    }
}

#[test]
fn our_close_frame_in_the_middle_of_a_message_drops_what_was_held_of_it() {
    let mut end = End::<Server>::new(100);
    let head = masked(false, Opcode::Text, b"half");
    end.receive(&head, |_, _| unreachable!()).unwrap();
    assert_eq!(&end.buffer, b"half");
    end.session.sender().close(None, &mut Vec::new()).unwrap();
    end.receive(b"", |_, _| unreachable!()).unwrap();
    assert_eq!(end.session.held(), 0);
    let tail = masked(true, Opcode::Continuation, b"whole");
    end.receive(&tail, |_, _| unreachable!()).unwrap();
    assert_eq!(end.session.held(), 0);
}

#[test]
fn what_came_before_our_close_frame_does_not_count_towards_the_limit_after_it() {
    let stream = [
        masked(false, Opcode::Text, &[b'a'; 10]),
        masked(true, Opcode::Ping, b"close now"),
        masked(false, Opcode::Continuation, &[b'a'; 10]),
        masked(true, Opcode::Continuation, &[b'a'; 10]),
    ]
    .concat();
    for at in 0..=stream.len() {
        let mut end = End::<Server>::new(16);
        for piece in [&stream[..at], &stream[at..]] {
            let result = end.receive(piece, |_, sender| sender.close(None, &mut Vec::new()).unwrap());
            assert_eq!(result, Ok(()), "split at {at}");
        }
        assert_eq!((end.session.held(), end.session.phase()), (0, Phase::CloseSent));
    }
}

#[test]
fn a_failed_session_says_why_once() {
    let mut end = End::<Server>::new(100);
    let fault = end.receive(b"\xff\xff", |_, _| unreachable!()).unwrap_err();
    let mut out = Vec::new();
    let sender = end.session.sender();
    assert!(sender.text("", &mut out).is_err() && sender.pong(b"", &mut out).is_err());
    sender.close(Some(fault.into()), &mut out).unwrap();
    assert!(sender.close(None, &mut out).is_err());
    let expected = [b"\x88\x15\x03\xea", fault.reason().as_bytes()].concat();
    assert_eq!((out, end.session.phase()), (expected, Phase::Closed));
}

#[test]
fn a_fault_after_our_close_frame_leaves_nothing_to_say() {
    let mut end = End::<Server>::new(100);
    end.session.sender().close(None, &mut Vec::new()).unwrap();
    end.receive(b"\xff\xff", |_, _| unreachable!()).unwrap_err();
    assert_eq!(end.session.phase(), Phase::Closed);
}

#[test]
fn a_message_that_is_whole_in_the_buffer_is_not_moved() {
    let ping = masked(true, Opcode::Ping, b"before");
    let mut buffer = [ping, masked(true, Opcode::Binary, &[7; 300])].concat();
    let payload = buffer[buffer.len() - 300..].as_ptr();
    let mut session = ServerSession::new(300);
    let mut decoder = session.decode(&mut buffer);
    decoder.next().unwrap();
    let Some((Event::Binary(bytes), _)) = decoder.next().unwrap() else {
        panic!("not a message")
    };
    assert_eq!((bytes, bytes.as_ptr()), (&[7; 300][..], payload));
}

#[test]
#[should_panic(expected = "the buffer begins with what is held")]
fn a_buffer_that_lost_what_is_held_is_refused() {
    let mut session = ServerSession::new(10);
    assert_eq!(session.decode(&mut [0x81]).finish(), 1);
    let _ = session.decode(&mut []);
}

#[test]
fn control_payloads_are_cut_at_125_bytes() {
    let mut session = ServerSession::new(0);
    for (bytes, sent) in [(124, 124), (125, 125), (126, 125), (300, 125)] {
        let mut out = Vec::new();
        session.sender().ping(&vec![0; bytes], &mut out).unwrap();
        assert_eq!(out.len(), 2 + sent);
        out.clear();
        session.sender().pong(&vec![0; bytes], &mut out).unwrap();
        assert_eq!(out.len(), 2 + sent);
    }
    let reason = "€".repeat(99);
    let close = CloseFrame::new(CloseCode::NORMAL, &reason);
    let mut out = Vec::new();
    session.sender().close(Some(close), &mut out).unwrap();
    assert_eq!(out.len(), 2 + 125);
}

#[test]
fn a_decoder_that_stops_early_or_is_dropped_loses_nothing() {
    let stream = [
        masked(false, Opcode::Text, b"ab"),
        masked(true, Opcode::Ping, b"1"),
        masked(true, Opcode::Continuation, b"cd"),
        masked(true, Opcode::Text, b"ef"),
        masked(true, Opcode::Ping, b"2"),
    ]
    .concat();
    let mut buffer = stream[..stream.len() - 1].to_vec();
    let mut session = ServerSession::new(10);
    let mut events = Vec::new();
    loop {
        let mut decoder = session.decode(&mut buffer);
        let Some((event, _)) = decoder.next().unwrap() else {
            break;
        };
        events.push(Owned::from(event));
        drop(decoder);
        buffer.truncate(session.held());
        // A decoder that decodes nothing changes nothing.
        let held = session.held();
        assert_eq!(session.decode(&mut buffer).finish(), held);
    }
    assert_eq!(events, [Owned::Ping(b"1".to_vec()), text("abcd"), text("ef")]);
    assert_eq!(session.held(), 6);
}

#[test]
fn each_frame_is_counted_once_however_the_stream_is_split() {
    let mut stream = masked(false, Opcode::Text, b"");
    for _ in 0..5 {
        stream.extend(masked(false, Opcode::Continuation, b"\xc3\xa9"));
        stream.extend(masked(true, Opcode::Ping, b"between"));
    }
    stream.extend(masked(true, Opcode::Continuation, b""));
    for piece_bytes in [1, 2, 7, stream.len()] {
        let mut session = ServerSession::new(100);
        let mut buffer = Vec::new();
        let mut frames = 0;
        for piece in stream.chunks(piece_bytes) {
            buffer.extend_from_slice(piece);
            let mut decoder = session.decode(&mut buffer);
            while decoder.next().unwrap().is_some() {}
            frames += decoder.frames();
            let held = decoder.finish();
            buffer.truncate(held);
        }
        assert_eq!(frames, 12, "in pieces of {piece_bytes}");
    }
}
