//! Compressed messages between two sessions.

use crate::wire::{
    ClientSession, Deflater, Event, Fault, FrameHeader, Inflater, MaskingKey, Opcode, ServerSession,
};
use proptest::prelude::*;

const LIMIT: u32 = 4096;

/// What a session makes of bytes that arrive in pieces of these sizes, over and over.
fn events(bytes: &[u8], sizes: &[usize]) -> Vec<Result<(u8, Vec<u8>), Fault>> {
    let mut session = ClientSession::new(LIMIT);
    let mut inflater = Inflater::new(LIMIT);
    let mut buffer = Vec::new();
    let mut events = Vec::new();
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (piece, after) = rest.split_at((*size).clamp(1, rest.len()));
        buffer.extend_from_slice(piece);
        let mut decoder = session.decode_with(&mut buffer, Some(&mut inflater));
        loop {
            match decoder.next() {
                Ok(None) => break,
                Ok(Some((Event::Text(text), _))) => events.push(Ok((b't', text.as_bytes().to_vec()))),
                Ok(Some((Event::Binary(bytes), _))) => events.push(Ok((b'b', bytes.to_vec()))),
                Ok(Some((Event::Ping(bytes), _))) => events.push(Ok((b'p', bytes.to_vec()))),
                Ok(Some((Event::Pong(_) | Event::Close(_), _))) => {}
                Err(fault) => {
                    events.push(Err(fault));
                    return events;
                }
            }
        }
        let held = decoder.finish();
        buffer.truncate(held);
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    events
}

/// One message in fragments, with a ping between any two.
fn fragmented(opcode: Opcode, payload: &[u8], compressed: bool, pieces: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let chunk = payload.len().div_ceil(pieces).max(1);
    let mut chunks: Vec<&[u8]> = payload.chunks(chunk).collect();
    if chunks.is_empty() {
        chunks.push(b"");
    }
    let last = chunks.len() - 1;
    for (at, piece) in chunks.into_iter().enumerate() {
        let header = FrameHeader {
            fin: at == last,
            compressed: compressed && at == 0,
            opcode: if at == 0 { opcode } else { Opcode::Continuation },
            mask: None,
            payload_bytes: piece.len() as u64,
        };
        out.extend_from_slice(header.encode().as_slice());
        out.extend_from_slice(piece);
        if at != last {
            out.extend_from_slice(b"\x89\x01!");
        }
    }
    out
}

#[test]
fn rfc_7692_section_7_2_3_1_hello_in_one_frame_and_in_fragments() {
    for bytes in [
        &b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"[..],
        b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
    ] {
        assert_eq!(events(bytes, &[1]), [Ok((b't', b"Hello".to_vec()))]);
        assert_eq!(events(bytes, &[100]), [Ok((b't', b"Hello".to_vec()))]);
        let mut buffer = bytes.to_vec();
        let mut session = ClientSession::new(LIMIT);
        let refused = session.decode(&mut buffer).next().map(|_| ());
        assert_eq!(refused, Err(Fault::ReservedBits), "without the extension");
    }
}

#[test]
fn compressed_and_other_messages_may_take_turns() {
    let bytes = b"\x81\x02Hi\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x82\x01!";
    let expected = [
        Ok((b't', b"Hi".to_vec())),
        Ok((b't', b"Hello".to_vec())),
        Ok((b'b', b"!".to_vec())),
    ];
    assert_eq!(events(bytes, &[100]), expected);
}

#[test]
fn text_is_validated_when_it_is_inflated() {
    // A stored block with the byte 0xff.
    let bytes = b"\xc1\x07\x00\x01\x00\xfe\xff\xff\x00";
    assert_eq!(events(bytes, &[100]), [Err(Fault::InvalidUtf8)]);
    assert_eq!(
        events(b"\xc2\x07\x00\x01\x00\xfe\xff\xff\x00", &[100]),
        [Ok((b'b', vec![0xff]))]
    );
}

#[test]
fn a_message_of_the_greatest_length_may_be_longer_compressed_but_not_by_much() {
    // A stored block of the greatest length, and 6 bytes around it.
    let len = u16::try_from(LIMIT).unwrap();
    let mut payload = vec![0x00];
    payload.extend_from_slice(&len.to_le_bytes());
    payload.extend_from_slice(&(!len).to_le_bytes());
    payload.extend_from_slice(&vec![b'x'; LIMIT as usize]);
    payload.push(0x00);
    let bytes = fragmented(Opcode::Binary, &payload, true, 3);
    assert_eq!(
        events(&bytes, &[1000]).last(),
        Some(&Ok((b'b', vec![b'x'; LIMIT as usize])))
    );
    let endless = fragmented(Opcode::Binary, &vec![0; 2 * LIMIT as usize], true, 3);
    assert_eq!(events(&endless, &[1000]).last(), Some(&Err(Fault::MessageTooBig)));
}

#[test]
fn a_compressed_message_can_be_put_back() {
    let mut inflater = Inflater::new(LIMIT);
    let mut session = ClientSession::new(LIMIT);
    let mut buffer = b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x82\x01!".to_vec();
    let mut decoder = session.decode_with(&mut buffer, Some(&mut inflater));
    assert!(matches!(decoder.next(), Ok(Some((Event::Text("Hello"), _)))));
    decoder.put_back();
    let held = decoder.finish();
    buffer.truncate(held);
    let mut decoder = session.decode_with(&mut buffer, Some(&mut inflater));
    assert!(matches!(decoder.next(), Ok(Some((Event::Text("Hello"), _)))));
    assert!(matches!(decoder.next(), Ok(Some((Event::Binary(b"!"), _)))));
    assert_eq!(decoder.finish(), 0);
}

#[test]
fn a_message_that_is_put_back_is_in_the_history_once() {
    let (ab, cd) = ("ab".repeat(20), "cd".repeat(20));
    let messages = [ab.as_str(), cd.as_str(), &ab, &cd, &ab];
    let mut deflater = Deflater::with_context_takeover(8);
    let mut sender = ServerSession::new(LIMIT);
    let mut buffer = Vec::new();
    for message in messages {
        sender
            .sender()
            .text_deflated(message, &mut deflater, &mut buffer)
            .unwrap();
    }
    let mut inflater = Inflater::with_context_takeover(LIMIT, 8);
    let mut session = ClientSession::new(LIMIT);
    let mut decoder = session.decode_with(&mut buffer, Some(&mut inflater));
    for message in messages {
        for _ in 0..3 {
            let event = decoder.next().map(|event| event.unwrap().0);
            assert_eq!(event, Ok(Event::Text(message)));
            decoder.put_back();
        }
        assert!(matches!(decoder.next(), Ok(Some((Event::Text(got), _))) if got == message));
    }
    assert_eq!(decoder.finish(), 0);
}

#[test]
fn what_may_not_be_sent_is_not_compressed_either() {
    let mut session = ServerSession::new(LIMIT);
    let mut deflater = Deflater::with_context_takeover(15);
    let mut inflater = Inflater::with_context_takeover(LIMIT, 15);
    let (mut first, mut out) = (Vec::new(), Vec::new());
    session
        .sender()
        .text_deflated("one", &mut deflater, &mut first)
        .unwrap();
    assert_eq!(inflater.inflate(&first[2..]), Ok(&b"one"[..]));
    session.sender().close(None, &mut out).unwrap();
    assert!(
        session
            .sender()
            .text_deflated("two", &mut deflater, &mut out)
            .is_err()
    );
    assert_eq!(out, b"\x88\x00");
    // Had it learnt of the second message, the inflater would not understand the third.
    assert_eq!(
        inflater.inflate(deflater.deflate(b"two one").unwrap()),
        Ok(&b"two one"[..])
    );
}

proptest! {
    #[test]
    fn events_do_not_depend_on_how_the_bytes_arrive(
        messages in prop::collection::vec(("[ab]{0,200}|\\PC{0,20}", any::<bool>(), any::<bool>(), 1_usize..5), 1..6),
        sizes in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let mut deflater = Deflater::new(9);
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (message, text, compressed, pieces) in messages {
            let opcode = if text { Opcode::Text } else { Opcode::Binary };
            let shorter = deflater.deflate(message.as_bytes()).filter(|_| compressed);
            bytes.extend(fragmented(opcode, shorter.unwrap_or(message.as_bytes()), shorter.is_some(), pieces));
            expected.push((if text { b't' } else { b'b' }, message.into_bytes()));
        }
        let split = events(&bytes, &sizes);
        prop_assert_eq!(&split, &events(&bytes, &[bytes.len()]));
        let data: Vec<_> = split.into_iter().map(Result::unwrap).filter(|event| event.0 != b'p').collect();
        prop_assert_eq!(data, expected);
    }

    #[test]
    fn both_roles_send_what_the_other_reads(text in "[ab]{0,300}", key: [u8; 4]) {
        let (mut client, mut server) = (ClientSession::new(LIMIT), ServerSession::new(LIMIT));
        let (mut deflater, mut inflater) = (Deflater::new(15), Inflater::new(LIMIT));
        let (mut up, mut down) = (Vec::new(), Vec::new());
        client.sender().text_deflated(&text, &mut deflater, MaskingKey::new(key), &mut up).unwrap();
        client.sender().binary_deflated(text.as_bytes(), &mut deflater, MaskingKey::new(key), &mut up).unwrap();
        server.sender().text_deflated(&text, &mut deflater, &mut down).unwrap();
        server.sender().binary_deflated(text.as_bytes(), &mut deflater, &mut down).unwrap();
        let mut decoder = server.decode_with(&mut up, Some(&mut inflater));
        prop_assert!(matches!(decoder.next(), Ok(Some((Event::Text(got), _))) if got == text));
        prop_assert!(matches!(decoder.next(), Ok(Some((Event::Binary(got), _))) if got == text.as_bytes()));
        drop(decoder);
        let mut decoder = client.decode_with(&mut down, Some(&mut inflater));
        prop_assert!(matches!(decoder.next(), Ok(Some((Event::Text(got), _))) if got == text));
        prop_assert!(matches!(decoder.next(), Ok(Some((Event::Binary(got), _))) if got == text.as_bytes()));
    }
}
