//! Clients that send more than anybody needs to.

use super::*;
use crate::base::now::NS_PER_MS;

const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
const BEGIN: [u8; 6] = [0x01, 0x80, 0, 0, 0, 0];
const FRAGMENT: [u8; 6] = [0x00, 0x80, 0, 0, 0, 0];
const COMMAND: &[u8] = b"\x81\x8d\0\0\0\0{\"op\":\"list\"}";

/// Sends `unit` up to so many times, as fast as it is taken, and reads what comes. Gives how many were sent before the
/// shard closed the connection, if it did, and its close frame.
fn flood(stage: &mut Stage, client: &mut Client, unit: &[u8], times: usize) -> (usize, Option<u16>) {
    let mut answer = Vec::new();
    for sent in 0..times {
        let mut left = unit;
        while !left.is_empty() && client.state() == ClientState::Open {
            let taken = client.write(left);
            left = &left[taken..];
            if taken == 0 || sent % 100 == 99 {
                stage.rest();
                client.read(&mut answer);
            }
        }
        if client.state() != ClientState::Open {
            return (sent, close_at_end(&answer));
        }
    }
    stage.rest();
    client.read(&mut answer);
    (times, close_at_end(&answer))
}

/// The code of the close frame that `bytes` end with.
fn close_at_end(bytes: &[u8]) -> Option<u16> {
    let at = bytes
        .windows(2)
        .rposition(|frame| frame[0] == 0x88 && frame[1] > 2)?;
    let close = &bytes[at..];
    (close.len() == 2 + usize::from(close[1])).then(|| u16::from_be_bytes([close[2], close[3]]))
}

#[test]
fn frames_without_end_are_ended() {
    let mut stage = Stage::new(Pools::default());
    let ahead = usize::from(limits::FRAMES_AHEAD_MAX);
    for unit in [PING, PONG, FRAGMENT] {
        let mut client = stage.upgraded();
        if unit == FRAGMENT {
            client.write(&BEGIN);
        }
        let (sent, code) = flood(&mut stage, &mut client, &unit, 2 * ahead);
        assert_eq!(code, Some(4006), "{unit:x?}");
        assert!((ahead - 100..ahead + 200).contains(&sent), "{unit:x?}: {sent}");
    }
    assert_eq!(stage.shard.borrowed(), 0);
}

#[test]
fn long_messages_count_as_many_frames() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    let mut long = vec![0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0];
    long.resize(long.len() + 0xffff, b' ');
    let (sent, code) = flood(&mut stage, &mut client, &long, 10_000);
    assert_eq!(code, Some(4006));
    let most = usize::from(limits::FRAMES_AHEAD_MAX) * limits::MESSAGE_BYTES_PER_FRAME / 0xffff;
    assert!((most / 2..=most + 100).contains(&sent), "{sent}");
}

#[test]
fn a_frame_in_many_pieces_counts_as_many() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    client.write(&[0x81, 0xfe, 0x80, 0, 0, 0, 0, 0]);
    let mut pieces = 0;
    while client.state() == ClientState::Open && pieces < 0x8000 {
        client.write(b" ");
        stage.rest();
        pieces += 1;
    }
    let mut answer = Vec::new();
    client.read(&mut answer);
    assert_eq!(close_at_end(&answer), Some(4006));
    assert!(pieces >= usize::from(limits::FRAMES_AHEAD_MAX) - 1, "{pieces}");
}

#[test]
fn the_longest_message_in_short_fragments_is_no_flood() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    let fragments = limits::MESSAGE_BYTES_MAX / 32;
    for number in 0..fragments {
        let first = match number {
            0 => 0x01,
            last if last == fragments - 1 => 0x80,
            _ => 0x00,
        };
        let mut frame = vec![first, 0x80 | 32, 0, 0, 0, 0];
        frame.extend([b' '; 32]);
        client.write(&frame);
        stage.rest();
    }
    let mut answer = Vec::new();
    client.read(&mut answer);
    assert!(answer.ends_with(b"}") && client.state() == ClientState::Open);
}

#[test]
fn an_echo_counts_no_frames() {
    let mut stage = Stage::of(Site::echo(0), Pools::default());
    let mut client = stage.upgraded();
    let times = 5 * usize::from(limits::FRAMES_AHEAD_MAX);
    assert_eq!(flood(&mut stage, &mut client, &PING, times), (times, None));
}

#[test]
fn commands_without_end_are_ended_and_a_burst_is_not() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    let mut seconds = 0;
    let code = loop {
        let (_, code) = flood(&mut stage, &mut client, COMMAND, 51);
        if code.is_some() {
            break code;
        }
        seconds += 1;
        assert!(seconds < 60, "for ever");
        stage.net.advance(1000 * NS_PER_MS);
    };
    assert_eq!(code, Some(4006));
    assert_eq!(seconds + 1, usize::from(limits::COMMANDS_REFUSED_SECONDS_MAX));
    let mut client = stage.upgraded();
    for _ in 0..50 {
        assert_eq!(flood(&mut stage, &mut client, COMMAND, 500), (500, None));
        stage.net.advance(2000 * NS_PER_MS);
        stage.rest();
    }
}
