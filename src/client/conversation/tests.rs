//! The conversation against streams written by hand and cut anywhere.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::client::tests::peer::said;
use crate::wire::{CloseCode, Direction, Fault, FrameHeader, Opcode, ServerSession};

fn frame(fin: bool, opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        compressed: false,
        fin,
        opcode,
        mask: None,
        payload_bytes: payload.len() as u64,
    };
    [header.encode().as_slice(), payload].concat()
}

fn text(text: &str) -> Vec<u8> {
    frame(true, Opcode::Text, text.as_bytes())
}

fn open() -> Conversation {
    Conversation::new(receive_buffer(), 0, Encoding::Json, None)
}

/// Receives `bytes` in one piece.
fn receive(conversation: &mut Conversation, bytes: &[u8]) {
    let (room, _) = conversation.halves();
    room[..bytes.len()].copy_from_slice(bytes);
    conversation.received(bytes.len());
}

/// Reads to the end of what was received.
fn read_all(conversation: &mut Conversation) -> Vec<String> {
    let mut heard = Vec::new();
    conversation.read(|message| {
        heard.push(said(message));
        ControlFlow::Continue(())
    });
    heard
}

/// What a server hears of all that was sent, each event in its debugging form.
fn heard_by_server(sent: &[u8]) -> Vec<String> {
    let mut sent = sent.to_vec();
    let mut session = ServerSession::new(u32::MAX);
    let mut decoder = session.decode(&mut sent);
    let mut heard = Vec::new();
    while let Some((event, _)) = decoder.next().unwrap() {
        heard.push(format!("{event:?}"));
    }
    heard
}

fn unsent(conversation: &mut Conversation) -> Vec<u8> {
    conversation.halves().1.to_vec()
}

fn message() -> impl Strategy<Value = String> {
    "[a-zé€]{0,300}".prop_map(|word| json!({ "t": "msg", "data": word }).to_string())
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_same_messages_are_lent_and_each_ping_is_answered(
        messages in prop::collection::vec((message(), 0_usize..4, any::<bool>()), 1..20),
        pieces in prop::collection::vec(1_usize..200, 1..40),
        breaks in prop::collection::vec(any::<bool>(), 1..20),
    ) {
        let (mut stream, mut pings) = (Vec::new(), Vec::new());
        for (number, (message, fragments, pinged)) in messages.iter().enumerate() {
            let mut rest = message.as_bytes();
            for fragment in 0..=*fragments {
                let last = fragment == *fragments;
                let (now, later) = rest.split_at(if last { rest.len() } else { rest.len() / 2 });
                let opcode = if fragment == 0 { Opcode::Text } else { Opcode::Continuation };
                stream.extend(frame(last, opcode, now));
                rest = later;
                if *pinged {
                    let payload = format!("{number}.{fragment}");
                    stream.extend(frame(true, Opcode::Ping, payload.as_bytes()));
                    pings.push(format!("{:?}", Event::Pong(payload.as_bytes())));
                }
            }
        }
        stream.extend(frame(true, Opcode::Close, b"\x0f\xa8slow consumer"));

        let (mut conversation, mut heard, mut sent) = (open(), Vec::new(), Vec::new());
        let mut breaks = breaks.iter().cycle();
        let mut rest = &stream[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*piece));
            receive(&mut conversation, now);
            rest = later;
            while conversation.unread() {
                conversation.read(|message| {
                    heard.push(said(message));
                    if *breaks.next().unwrap() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
            }
            let some = unsent(&mut conversation).len().min(*piece);
            sent.extend_from_slice(&conversation.halves().1[..some]);
            conversation.sent(some);
            if rest.is_empty() {
                break;
            }
        }
        sent.extend(unsent(&mut conversation));

        let expected: Vec<_> = messages.into_iter().map(|(message, _, _)| message).collect();
        prop_assert_eq!(heard, expected);
        let code = CloseCode::new(4008).unwrap();
        pings.push(format!("{:?}", Event::Close(Some(CloseFrame::new(code, "slow consumer")))));
        prop_assert_eq!(heard_by_server(&sent), pings);
        let end = conversation.take_end();
        prop_assert!(
            matches!(&end, Some(ClientError::Closed { code: Some(c), reason }) if *c == code && reason == "slow consumer"),
            "{end:?}"
        );
        prop_assert!(conversation.is_over() && !conversation.has_ended());
    }
}

#[test]
fn what_a_server_may_not_send_ends_the_conversation_with_the_code_for_it() {
    let too_big = FrameHeader {
        compressed: false,
        fin: true,
        opcode: Opcode::Text,
        mask: None,
        payload_bytes: u64::from(CLIENT_MESSAGE_BYTES_MAX) + 1,
    };
    for (bytes, code) in [
        (frame(true, Opcode::Binary, b"\x01"), CloseCode::UNSUPPORTED_DATA),
        (frame(true, Opcode::Text, b"\xff"), CloseCode::INVALID_PAYLOAD),
        (b"\x81\x80\0\0\0\0".to_vec(), CloseCode::PROTOCOL_ERROR),
        (frame(true, Opcode::Continuation, b""), CloseCode::PROTOCOL_ERROR),
        (too_big.encode().as_slice().to_vec(), CloseCode::MESSAGE_TOO_BIG),
    ] {
        let mut conversation = open();
        receive(
            &mut conversation,
            &[text(r#"{"t":"a"}"#), bytes, text(r#"{"t":"b"}"#)].concat(),
        );
        assert_eq!(read_all(&mut conversation), [r#"{"t":"a"}"#]);
        assert!(conversation.has_ended());
        let sent = unsent(&mut conversation);
        let farewell = heard_by_server(&sent).pop().unwrap();
        assert!(
            farewell.contains(&format!("CloseCode({})", code.number())),
            "{farewell}"
        );
        assert_eq!(read_all(&mut conversation), [""; 0]);
    }
}

#[test]
fn a_message_of_the_greatest_length_is_read_in_however_many_pieces() {
    let empty = json!({ "t": "m", "data": "" }).to_string();
    let fill = "x".repeat(CLIENT_MESSAGE_BYTES_MAX as usize - empty.len());
    let longest = json!({ "t": "m", "data": fill }).to_string();
    let ping = frame(true, Opcode::Ping, &[b'p'; 125]);
    let (head, tail) = longest.as_bytes().split_at(longest.len() - 1);
    let stream = [
        frame(false, Opcode::Text, head),
        ping,
        frame(true, Opcode::Continuation, tail),
    ]
    .concat();
    let mut conversation = open();
    let mut heard = Vec::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let room = conversation.halves().0.len();
        assert!(room > 0, "there is room for more");
        let (piece, later) = rest.split_at(rest.len().min(room).min(100_003));
        receive(&mut conversation, piece);
        heard.extend(read_all(&mut conversation));
        rest = later;
    }
    assert!(heard == [longest], "the longest message is lent whole");
}

#[test]
fn after_our_close_frame_what_the_server_says_is_discarded_until_its_own_comes() {
    let mut conversation = open();
    receive(&mut conversation, &text(r#"{"t":"unread"}"#));
    conversation
        .close(CloseFrame::new(CloseCode::NORMAL, "done"))
        .unwrap();
    receive(&mut conversation, &text(r#"{"t":"late"}"#));
    receive(&mut conversation, &frame(true, Opcode::Close, b"\x03\xe8done"));
    assert_eq!(read_all(&mut conversation), [""; 0]);
    assert!(matches!(
        conversation.take_end(),
        Some(ClientError::Closed { .. })
    ));
    let sent = unsent(&mut conversation);
    let close = Event::Close(Some(CloseFrame::new(CloseCode::NORMAL, "done")));
    assert_eq!(heard_by_server(&sent), [format!("{close:?}")]);
    assert!(matches!(conversation.ask("x"), Err(RequestError::Closing)));
}

#[test]
fn an_empty_close_frame_is_answered_with_one() {
    let mut conversation = open();
    receive(&mut conversation, &frame(true, Opcode::Close, b""));
    assert_eq!(read_all(&mut conversation), [""; 0]);
    assert!(matches!(
        conversation.take_end(),
        Some(ClientError::Closed { code: None, .. })
    ));
    let sent = unsent(&mut conversation);
    assert_eq!(heard_by_server(&sent), ["Close(None)"]);
}

#[test]
fn each_frame_is_masked_with_a_key_of_its_own() {
    let mut conversation = open();
    for _ in 0..8 {
        conversation.ask("x").unwrap();
    }
    receive(&mut conversation, &frame(true, Opcode::Ping, b"!"));
    assert_eq!(read_all(&mut conversation), [""; 0]);
    let mut sent = unsent(&mut conversation);
    let mut keys = BTreeSet::new();
    while let Some((header, header_bytes)) = FrameHeader::decode(&sent, Direction::ToServer, false).unwrap() {
        keys.insert(header.mask.unwrap());
        sent.drain(..header_bytes + usize::try_from(header.payload_bytes).unwrap());
    }
    // Nine keys of 32 bits: that two are the same happens once in a hundred million times, that most are never.
    assert!(keys.len() >= 8, "{keys:?}");
}

#[test]
fn a_request_that_no_server_would_read_is_not_made() {
    let mut conversation = open();
    let error = conversation.ask(&"x".repeat(MESSAGE_BYTES_MAX + 1)).unwrap_err();
    assert!(matches!(error, RequestError::TooLong { bytes } if bytes == MESSAGE_BYTES_MAX + 1));
    assert_eq!(unsent(&mut conversation), b"");
    conversation.ask(&"x".repeat(MESSAGE_BYTES_MAX)).unwrap();
    assert!(conversation.unsent_bytes() > MESSAGE_BYTES_MAX);
}

#[test]
fn too_many_unsent_answers_clog_the_conversation_until_they_are_sent() {
    let mut conversation = open();
    let ping = frame(true, Opcode::Ping, &[b'p'; 125]);
    while !conversation.is_clogged() {
        receive(&mut conversation, &ping);
        assert_eq!(read_all(&mut conversation), [""; 0]);
    }
    let owed = unsent(&mut conversation).len();
    assert!(
        (CLIENT_UNSENT_BYTES_MAX..CLIENT_UNSENT_BYTES_MAX + 131).contains(&owed),
        "{owed}"
    );
    conversation.sent(owed - CLIENT_UNSENT_BYTES_MAX + 1);
    assert!(!conversation.is_clogged());
}

#[test]
fn a_fault_is_told_by_name() {
    let mut conversation = open();
    receive(&mut conversation, b"\xf1\x00");
    assert_eq!(read_all(&mut conversation), [""; 0]);
    assert!(matches!(
        conversation.take_end(),
        Some(ClientError::Fault(Fault::ReservedBits))
    ));
}

#[test]
fn binary_messages_are_lent_between_texts_where_ticks_come_in_binary() {
    let mut conversation = Conversation::new(receive_buffer(), 0, Encoding::Binary, None);
    let stream = [
        frame(true, Opcode::Binary, b"\x01\x02"),
        text(r#"{"t":"ack"}"#),
        frame(true, Opcode::Binary, b"\x03"),
    ]
    .concat();
    let mut heard = Vec::new();
    for byte in stream {
        receive(&mut conversation, &[byte]);
        heard.extend(read_all(&mut conversation));
    }
    assert_eq!(heard, ["[1, 2]", r#"{"t":"ack"}"#, "[3]"]);
    assert!(conversation.take_end().is_none());
}

#[test]
fn whoever_finds_a_message_unreadable_can_end_the_conversation_with_the_reason() {
    use crate::dialect::native_binary::DecodeError;
    let mut conversation = Conversation::new(receive_buffer(), 0, Encoding::Binary, None);
    let cut = DecodeError::Cut { what: "header" };
    conversation.fail(ClientError::UnreadableBinary(cut));
    let end = conversation.take_end().unwrap();
    assert_eq!(
        end.to_string(),
        "the server sent a binary message that cannot be read: the message ends within its header"
    );
    let told = heard_by_server(&unsent(&mut conversation));
    assert_eq!(
        told,
        [
            r#"Close(Some(CloseFrame { code: CloseCode(1007), reason: "message is not one of tickwire.v1.bin" }))"#
        ]
    );
    receive(&mut conversation, &text("late"));
    assert_eq!(read_all(&mut conversation), [""; 0]);
}
