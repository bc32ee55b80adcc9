//! The echo service on the simulator, without faults.

use super::*;
use crate::ring::Bell as _;
use crate::wire::{Client as ClientRole, MaskingKey, Sender, Session};

fn stage() -> Stage {
    Stage::of(Site::echo(0), Pools::default())
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
