//! Who is watched by a poll that lasts, and that nothing is missed by it.

use super::*;

/// A frame of a client's: a ping with a mask of zeroes.
const PING: &[u8] = b"\x89\x81\0\0\0\0?";
const PONG: &[u8] = b"\x8a\x01?";
/// The frame with which a client answers ours.
const ANSWER: &[u8] = b"\x8a\x80\0\0\0\0";

fn stage(hot_receptions: u8) -> Stage {
    let size = Size {
        hot_receptions,
        ..Size::echo(4, 64 * 1024)
    };
    Stage::sized(Site::echo(0), size)
}

fn heard(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    bytes
}

/// Says so many things, each by itself, and is answered each.
fn talk(stage: &mut Stage, client: &mut Client, times: usize) {
    for _ in 0..times {
        client.write(PING);
        stage.rest();
        assert_eq!(heard(client), PONG);
    }
}

/// Lets the time of a ping go by, and answers it.
fn pulse(stage: &mut Stage, client: &mut Client) {
    stage.net.advance(limits::PING_INTERVAL_MS * 1_000_000);
    stage.rest();
    assert_eq!(heard(client), b"\x89\0", "we ping");
    client.write(ANSWER);
    stage.rest();
}

#[test]
fn who_talks_much_is_hot_until_it_talks_less() {
    let mut stage = stage(5);
    let (mut talker, _listener) = (stage.upgraded(), stage.upgraded());
    talk(&mut stage, &mut talker, 2);
    assert_eq!(stage.shard.hot.polls(), 0);
    talk(&mut stage, &mut talker, 20);
    assert_eq!(stage.shard.hot.polls(), 1);
    pulse(&mut stage, &mut talker);
    assert_eq!(
        stage.shard.hot.polls(),
        1,
        "it has talked much since the last pulse"
    );
    talk(&mut stage, &mut talker, 2);
    pulse(&mut stage, &mut talker);
    assert_eq!(stage.shard.hot.polls(), 0, "it has not");
    talk(&mut stage, &mut talker, 20);
    assert_eq!(stage.shard.hot.polls(), 1);
}

#[test]
fn the_last_words_of_a_hot_connection_are_heard_and_its_end_too() {
    let mut stage = stage(1);
    let mut client = stage.upgraded();
    talk(&mut stage, &mut client, 3);
    client.write(&PING.repeat(2));
    client.finish();
    stage.rest();
    assert_eq!(heard(&mut client), PONG.repeat(2));
    assert_eq!(client.state(), ClientState::Ended);
    assert!(stage.shard.connections.slots.is_empty());
    assert_eq!(stage.shard.hot.polls(), 0);
}

#[test]
fn a_hot_connection_that_is_reset_leaves_nothing_behind() {
    let mut stage = stage(1);
    let mut client = stage.upgraded();
    talk(&mut stage, &mut client, 3);
    assert_eq!(stage.shard.hot.polls(), 1);
    client.reset();
    stage.rest();
    assert!(stage.shard.connections.slots.is_empty());
    assert_eq!(stage.shard.hot.polls(), 0);
}

#[test]
fn what_is_more_than_one_reception_takes_is_heard_without_another_report() {
    let mut stage = stage(1);
    let mut client = stage.upgraded();
    talk(&mut stage, &mut client, 3);
    let message = |bytes: u8| [&[0x82, 0xfe, 0x80, 0, 0, 0, 0, 0][..], &[bytes; 0x8000]].concat();
    // The client's buffer is as large as a lane: what fills it leaves open whether there is more.
    let said = [message(1), message(2)].concat();
    let taken = client.write(&said);
    assert_eq!(taken, limits::RECV_BYTES);
    stage.rest();
    client.write(&said[taken..]);
    stage.rest();
    assert_eq!(heard(&mut client).len(), 2 * (4 + 0x8000));
}

#[test]
fn a_poll_that_the_kernel_ends_is_armed_again() {
    let mut stage = stage(1);
    let mut client = stage.upgraded();
    stage.net.set_faults(Faults {
        lasting_poll_ends: 1000,
        ..Faults::default()
    });
    talk(&mut stage, &mut client, 20);
}
