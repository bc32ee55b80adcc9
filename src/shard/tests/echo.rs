//! The echo service on the simulator, without faults.

use super::*;
use crate::base::Prng;
use crate::ring::Bell as _;
use crate::wire::{Client as ClientRole, Deflater, Event, Inflater, MaskingKey, Sender, Session};

const MESSAGE_BYTES_MAX: u32 = 64 * 1024;

fn stage() -> Stage {
    Stage::sized(Site::echo(0), Size::echo(4, MESSAGE_BYTES_MAX))
}

/// Everything that has arrived.
fn heard(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    bytes
}

/// Frames as a client sends them.
fn masked(write: impl FnOnce(&mut Sender<ClientRole>, &mut Vec<u8>)) -> Vec<u8> {
    let mut frames = Vec::new();
    write(Session::<ClientRole>::new(0).sender(), &mut frames);
    frames
}

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[test]
fn a_message_comes_back_as_it_came_and_nothing_comes_before_it() {
    let mut stage = stage();
    let mut client = stage.upgraded();
    assert_eq!(heard(&mut client), b"", "there is no greeting");
    client.write(&masked(|sender, out| {
        sender.text("Grüße", MaskingKey::new(KEY), out).unwrap();
        sender.binary(&[0xff, 0], MaskingKey::new(KEY), out).unwrap();
        sender.ping(b"?", MaskingKey::new(KEY), out).unwrap();
        sender.text("", MaskingKey::new(KEY), out).unwrap();
    }));
    stage.rest();
    assert_eq!(
        heard(&mut client),
        b"\x81\x07Gr\xc3\xbc\xc3\x9fe\x82\x02\xff\0\x8a\x01?\x81\0"
    );
}

#[test]
fn every_path_echoes_and_no_subprotocol_is_chosen() {
    let mut stage = stage();
    for path in ["/", "/v1/ws", "/any/where?ch=trade:*"] {
        let head = String::from_utf8(HEAD.to_vec()).unwrap().replace("/v1/ws", path);
        let head = head.replace(
            "\r\n\r\n",
            "\r\nSec-WebSocket-Protocol: chat, tickwire.v1.json\r\n\r\n",
        );
        let mut client = stage.net.connect(0);
        client.write(head.as_bytes());
        stage.rest();
        let answer = String::from_utf8(heard(&mut client)).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\n"),
            "{answer}"
        );
        assert!(!answer.contains("Sec-WebSocket-Protocol"), "{answer}");
    }
}

#[test]
fn health_is_told_and_a_request_that_opens_nothing_is_refused() {
    let mut stage = stage();
    for (request, status) in [
        (
            "GET /healthz HTTP/1.1\r\nHost: sim\r\n\r\n",
            "HTTP/1.1 200 OK\r\n",
        ),
        (
            "GET / HTTP/1.1\r\nHost: sim\r\n\r\n",
            "HTTP/1.1 426 Upgrade Required\r\n",
        ),
    ] {
        let mut client = stage.net.connect(0);
        client.write(request.as_bytes());
        stage.rest();
        let answer = String::from_utf8(heard(&mut client)).unwrap();
        assert!(answer.starts_with(status), "{answer}");
    }
}

/// A feed would answer the fifty-first within a second with error 4006.
#[test]
fn nobody_is_counted() {
    let mut stage = stage();
    let mut client = stage.upgraded();
    for _ in 0..200 {
        client.write(&masked(|sender, out| {
            sender.text("{}", MaskingKey::new(KEY), out).unwrap();
        }));
    }
    stage.rest();
    assert_eq!(heard(&mut client), b"\x81\x02{}".repeat(200));
}

#[test]
fn a_close_is_answered_and_an_order_to_stop_closes_with_going_away() {
    let mut stage = stage();
    let mut client = stage.upgraded();
    client.write(&masked(|sender, out| {
        sender.close(None, MaskingKey::new(KEY), out).unwrap();
    }));
    stage.rest();
    assert_eq!(heard(&mut client), b"\x88\0");
    assert_eq!(client.state(), ClientState::Ended);
    let mut other = stage.upgraded();
    stage.shard.orders.drain();
    stage.shard.ring.doorbell().ring();
    stage.rest();
    assert_eq!(close_code_of(&mut other), Some(1001));
}

#[test]
fn an_idle_client_is_pinged() {
    let mut stage = stage();
    let mut client = stage.upgraded();
    stage
        .net
        .advance(limits::PING_INTERVAL_MS * crate::base::now::NS_PER_MS);
    stage.rest();
    assert_eq!(heard(&mut client), b"\x89\0");
}

/// A client that offers this extension; gives the answer's head too.
fn offering(stage: &mut Stage, extension: &str) -> (Client, String) {
    let head = String::from_utf8(HEAD.to_vec()).unwrap();
    let offer = format!("\r\nSec-WebSocket-Extensions: {extension}\r\n\r\n");
    let mut client = stage.net.connect(0);
    client.write(head.replace("\r\n\r\n", &offer).as_bytes());
    stage.rest();
    let answer = String::from_utf8(heard(&mut client)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    (client, answer)
}

/// A thousand bytes that do not compress, and again.
fn far_repetition() -> Vec<u8> {
    let mut prng = Prng::new(7);
    let once: Vec<u8> = (0..1000)
        .map(|_| u8::try_from(prng.below(256)).unwrap())
        .collect();
    once.repeat(2)
}

#[test]
fn who_agreed_on_compression_is_answered_compressed_within_the_window_it_asked_for() {
    let mut stage = stage();
    let message = far_repetition();
    for (bits, sees_the_repetition) in [(8, false), (9, false), (11, true), (15, true)] {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let (mut client, answer) = offering(&mut stage, &offer);
        assert!(
            answer.contains(&format!(
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                 client_no_context_takeover; server_max_window_bits={bits}\r\n"
            )),
            "{answer}"
        );
        for _ in 0..2 {
            client.write(&masked(|sender, out| {
                let mut deflater = Deflater::new(15);
                sender
                    .binary_deflated(&message, &mut deflater, MaskingKey::new(KEY), out)
                    .unwrap();
            }));
            stage.rest();
            let mut reply = heard(&mut client);
            assert_eq!(reply[0] & 0x40 != 0, sees_the_repetition, "{bits}");
            assert_eq!(reply.len() < 1500, sees_the_repetition, "{bits}");
            let mut session = Session::<ClientRole>::new(2000);
            let mut inflater = Inflater::new(2000);
            let mut decoder = session.decode_with(&mut reply, Some(&mut inflater));
            assert_eq!(decoder.next().unwrap().unwrap().0, Event::Binary(&message));
        }
    }
}

#[test]
fn a_message_in_the_packet_of_the_handshake_may_be_compressed() {
    let mut stage = stage();
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let mut packet = String::from_utf8(HEAD.to_vec())
        .unwrap()
        .replace("\r\n\r\n", offer)
        .into_bytes();
    packet.extend(masked(|sender, out| {
        let mut deflater = Deflater::new(15);
        sender
            .text_deflated(&"x".repeat(100), &mut deflater, MaskingKey::new(KEY), out)
            .unwrap();
    }));
    let mut client = stage.net.connect(0);
    client.write(&packet);
    stage.rest();
    let answer = heard(&mut client);
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert_eq!(answer[end], 0xc1, "a compressed text");
}

#[test]
fn who_did_not_agree_on_compression_may_not_use_it_and_is_not_answered_with_it() {
    let mut stage = stage();
    for offer in ["permessage-deflate; unknown", "x-webkit-deflate-frame"] {
        let (mut client, answer) = offering(&mut stage, offer);
        assert!(!answer.contains("Sec-WebSocket-Extensions"), "{answer}");
        client.write(&masked(|sender, out| {
            sender.text(&"x".repeat(100), MaskingKey::new(KEY), out).unwrap();
        }));
        stage.rest();
        assert_eq!(heard(&mut client)[..2], [0x81, 100]);
        client.write(&masked(|sender, out| {
            let mut deflater = Deflater::new(15);
            sender
                .text_deflated(&"x".repeat(100), &mut deflater, MaskingKey::new(KEY), out)
                .unwrap();
        }));
        stage.rest();
        assert_eq!(close_code_of(&mut client), Some(1002));
    }
}

/// The bomb is a megabyte in a thousand bytes.
#[test]
fn a_bomb_closes_who_sent_it_and_the_next_message_of_another_is_whole() {
    let mut stage = stage();
    let (mut bomber, _) = offering(&mut stage, "permessage-deflate");
    let (mut other, _) = offering(&mut stage, "permessage-deflate");
    bomber.write(&masked(|sender, out| {
        let mut deflater = Deflater::new(15);
        sender
            .binary_deflated(&vec![0; 1 << 20], &mut deflater, MaskingKey::new(KEY), out)
            .unwrap();
    }));
    stage.rest();
    assert_eq!(close_code_of(&mut bomber), Some(1009));
    other.write(&masked(|sender, out| {
        let mut deflater = Deflater::new(15);
        sender
            .text_deflated(&"x".repeat(100), &mut deflater, MaskingKey::new(KEY), out)
            .unwrap();
    }));
    stage.rest();
    assert_eq!(heard(&mut other)[0], 0xc1);
}

/// As many as are heard in one turn.
const CROWD: usize = limits::HEARD_PER_TURN;

/// What each socket takes of a reply is limited, and so is what all of them take in one turn.
#[test]
fn who_owes_much_to_many_goes_on_with_the_rest_of_them_in_the_next_turn() {
    let mut stage = Stage::sized(Site::echo(0), Size::echo(CROWD, MESSAGE_BYTES_MAX));
    let message = vec![b'x'; 60_000];
    let frame = masked(|sender, out| sender.binary(&message, MaskingKey::new(KEY), out).unwrap());
    let mut clients: Vec<Client> = (0..CROWD).map(|_| stage.upgraded()).collect();
    for client in &mut clients {
        assert_eq!(client.write(&frame), frame.len());
    }
    let mut left_for_later = 0;
    while !(stage.net.is_idle() && stage.shard.is_idle(stage.net.now())) {
        stage.shard.turn().unwrap();
        stage.shard.invariants();
        left_for_later = left_for_later.max(stage.shard.owing.len());
    }
    let in_a_turn = limits::REPLIES_TURN_BYTES / message.len();
    assert!(
        (CROWD - in_a_turn - 2..=CROWD - in_a_turn).contains(&left_for_later),
        "{left_for_later}"
    );
    for client in &mut clients {
        let reply = heard(client);
        assert_eq!((reply.len(), &reply[..2]), (4 + message.len(), &[0x82, 126][..]));
    }
}

/// It is no longer read from: what it may owe, its socket's buffers and the beginning of one more message are all that
/// it can fill.
#[test]
fn who_sends_and_never_reads_owes_a_bounded_amount_and_others_are_served() {
    let size = Size::echo(4, 1 << 20);
    let bounds = size.bounds;
    let mut stage = Stage::sized(Site::echo(0), size);
    let (mut flood, mut other) = (stage.upgraded(), stage.upgraded());
    flood.set_pace(0);
    let message = vec![b'x'; 1 << 20];
    let pair = masked(|sender, out| {
        sender.binary(&message, MaskingKey::new(KEY), out).unwrap();
        sender.text("little", MaskingKey::new(KEY), out).unwrap();
    });
    let (mut sent, mut owed_most) = (0, 0);
    for _ in 0..100 {
        sent += flood.write(&pair[sent % pair.len()..]);
        other.write(&masked(|sender, out| {
            sender.text("hi", MaskingKey::new(KEY), out).unwrap();
        }));
        stage.rest();
        assert_eq!(heard(&mut other), b"\x81\x02hi");
        for key in stage.shard.connections.slots.keys() {
            let connection = stage.shard.connections.slots.get(key).unwrap();
            owed_most = owed_most.max(connection.outbox.len());
        }
    }
    assert!(
        (bounds.owed_bytes / 2..=bounds.owed_bytes).contains(&owed_most),
        "{owed_most}"
    );
    assert!(sent < bounds.owed_bytes + 3 * 64 * 1024, "{sent}");
    // It reads at last, and gets what it has a right to.
    flood.set_pace(usize::MAX);
    let (first_sent, first_reply) = (14 + message.len(), 10 + message.len());
    let expected = sent / pair.len() * (first_reply + 8) + sent % pair.len() / first_sent * first_reply;
    let mut reply = Vec::new();
    while reply.len() < expected {
        assert!(flood.read(&mut reply) > 0, "{} of {expected}", reply.len());
        stage.rest();
    }
    assert_eq!((reply.len(), flood.read(&mut reply)), (expected, 0));
    assert_eq!(reply[first_reply..first_reply + 8], *b"\x81\x06little");
}

/// Fifty messages that are long only when inflated fit into one receive.
#[test]
fn whose_messages_are_long_when_inflated_does_not_keep_others_waiting() {
    let mut stage = stage();
    let (mut flood, _) = offering(&mut stage, "permessage-deflate");
    let mut other = stage.upgraded();
    let long = vec![0; MESSAGE_BYTES_MAX as usize];
    let message = masked(|sender, out| {
        let mut deflater = Deflater::new(15);
        sender
            .binary_deflated(&long, &mut deflater, MaskingKey::new(KEY), out)
            .unwrap();
    });
    assert!(50 * message.len() < limits::RECV_BYTES);
    flood.write(&message.repeat(50));
    other.write(&masked(|sender, out| {
        sender.text("hi", MaskingKey::new(KEY), out).unwrap();
    }));
    stage.shard.turn().unwrap();
    stage.shard.invariants();
    assert_eq!(heard(&mut other), b"\x81\x02hi");
    let mut replies = heard(&mut flood);
    let in_a_turn = limits::ECHO_TURN_BYTES / long.len();
    let reply_bytes = replies.len() / in_a_turn;
    assert_eq!(replies.len(), in_a_turn * reply_bytes);
    assert!(reply_bytes < 1000 && replies[0] == 0xc2, "{reply_bytes}");
    stage.rest();
    flood.read(&mut replies);
    assert_eq!(replies.len(), 50 * reply_bytes);
}
