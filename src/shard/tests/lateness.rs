//! A shard that was busy or asleep blames nobody for that: who is late is who has said nothing, not who was not heard.

use super::*;
use crate::base::now::NS_PER_MS;
use crate::connection::Overdue;

/// More than are heard in one turn, and more than have their timers handled in one.
const CROWD: usize = 3 * limits::HEARD_PER_TURN;

fn stage() -> Stage {
    let pools = Pools {
        inbox_small: CROWD,
        ..Pools::default()
    };
    Stage::with(Site::new(0, "epoch".into()), pools, CROWD)
}

/// A client's answer to a ping, in a mask of zeros.
const PONG: &[u8] = &[0x8a, 0x80, 0, 0, 0, 0];
const PING: &[u8] = &[0x89, 0];
/// A command's first bytes, and the others.
const BEGUN: &[u8] = &[0x81, 0x82, 0, 0, 0, 0, b'{'];
const REST: &[u8] = b"}";

fn received(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    bytes
}

/// So much time goes by in which the shard does nothing: it is busy with something, or its machine stands still.
fn stall(stage: &Stage, ms: u64) {
    stage.net.advance(ms * NS_PER_MS);
}

fn ping_ms() -> u64 {
    limits::PING_INTERVAL_MS + 100
}

fn crowd(stage: &mut Stage) -> Vec<Client> {
    (0..CROWD).map(|_| stage.upgraded()).collect()
}

/// Everybody, with what they have received.
fn all_received(clients: &mut [Client]) -> Vec<Vec<u8>> {
    clients.iter_mut().map(received).collect()
}

#[test]
fn a_request_that_has_arrived_in_time_is_answered_however_late_the_shard_is() {
    let mut stage = stage();
    let mut clients: Vec<Client> = (0..CROWD).map(|_| stage.net.connect(0)).collect();
    // Half of them have begun.
    for client in clients.iter_mut().step_by(2) {
        client.write(&HEAD[..20]);
    }
    stage.rest();
    for (index, client) in clients.iter_mut().enumerate() {
        client.write(if index % 2 == 0 { &HEAD[20..] } else { HEAD });
    }
    stall(&stage, 2 * limits::HANDSHAKE_MS);
    stage.rest();
    for (index, answer) in all_received(&mut clients).iter().enumerate() {
        assert!(answer.starts_with(b"HTTP/1.1 101"), "client {index}");
    }
}

#[test]
fn a_request_that_has_not_is_refused_however_many_others_are_heard() {
    let mut stage = stage();
    let mut clients: Vec<Client> = (0..CROWD).map(|_| stage.net.connect(0)).collect();
    for client in &mut clients {
        client.write(&HEAD[..20]);
    }
    stage.rest();
    // Each says a little more, in vain.
    for client in &mut clients {
        client.write(&HEAD[20..40]);
    }
    stall(&stage, 2 * limits::HANDSHAKE_MS);
    stage.rest();
    for answer in all_received(&mut clients) {
        assert!(answer.starts_with(b"HTTP/1.1 408"));
    }
}

#[test]
fn a_message_that_has_arrived_in_time_is_answered_and_one_that_has_not_is_ended() {
    let mut stage = stage();
    let mut clients = crowd(&mut stage);
    for client in &mut clients {
        client.write(BEGUN);
    }
    stage.rest();
    for client in clients.iter_mut().step_by(2) {
        client.write(REST);
    }
    stall(&stage, limits::MESSAGE_MS + 1000);
    stage.rest();
    for (index, said) in all_received(&mut clients).iter().enumerate() {
        let (is_error, is_close) = (said.starts_with(&[0x81]), said.starts_with(&[0x88]));
        assert_eq!(
            (is_error, is_close),
            (index % 2 == 0, index % 2 == 1),
            "client {index}"
        );
    }
    assert_eq!(stage.shard.borrowed(), 0);
}

#[test]
fn a_message_longer_than_one_reception_is_heard_to_its_end() {
    let mut stage = Stage::sized(Site::echo(0), Size::echo(4, 1 << 20));
    let mut client = stage.upgraded();
    let header = [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0, 0, 0];
    let message = [&header[..], &[7; 0x1_8000]].concat();
    let (begun, rest) = message.split_at(100);
    client.write(begun);
    stage.rest();
    let taken = client.write(rest);
    assert_eq!(taken, limits::RECV_BYTES, "as much as one reception takes");
    stall(&stage, limits::ECHO_MESSAGE_MS + 1000);
    stage.shard.turn().unwrap();
    stage.shard.invariants();
    assert_eq!(client.write(&rest[taken..]), rest.len() - taken);
    stage.rest();
    let mut echoed = received(&mut client);
    stage.rest();
    echoed.extend(received(&mut client));
    assert!(echoed.ends_with(&message[header.len()..]));
}

#[test]
fn who_has_answered_our_pings_is_alive_however_late_that_is_heard() {
    let mut stage = stage();
    let mut clients = crowd(&mut stage);
    for _ in 0..limits::PINGS_UNANSWERED_MAX {
        stall(&stage, ping_ms());
        stage.rest();
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let pings = received(client);
        assert!(pings.ends_with(&PING.repeat(3)), "client {index}");
        client.write(PONG);
    }
    stall(&stage, 10 * ping_ms());
    stage.rest();
    for said in all_received(&mut clients) {
        assert_eq!(said, PING, "pinged again");
    }
}

#[test]
fn a_shard_that_has_not_pinged_asks_before_it_calls_anybody_silent() {
    let mut stage = stage();
    let mut clients = crowd(&mut stage);
    all_received(&mut clients);
    stall(&stage, 100 * ping_ms());
    for pings in 1..=limits::PINGS_UNANSWERED_MAX {
        stage.rest();
        for said in all_received(&mut clients) {
            assert_eq!(said, PING, "ping {pings}");
        }
        stall(&stage, ping_ms());
    }
    stage.rest();
    for client in &mut clients {
        assert_eq!(close_code_of(client), Some(4014));
    }
}

#[test]
fn a_close_that_was_answered_in_time_ends_as_it_should_however_late_that_is_heard() {
    let mut stage = stage();
    let mut clients = crowd(&mut stage);
    for client in &mut clients {
        client.write(&[0x82, 0x80, 0, 0, 0, 0]);
    }
    stage.rest();
    for client in &mut clients {
        received(client);
        client.write(&[0x89, 0x80, 0, 0, 0, 0, 0x88, 0x82, 0, 0, 0, 0, 3, 0xeb]);
        client.finish();
    }
    stall(&stage, 2 * limits::CLOSE_MS);
    stage.rest();
    for client in &mut clients {
        received(client);
        assert_eq!(client.state(), ClientState::Ended, "not reset");
    }
    assert!(stage.shard.connections.slots.is_empty());
}

/// Who has something to say whenever it is looked at is judged nevertheless.
#[test]
fn nobody_puts_off_a_judgement_by_talking() {
    let mut stage = stage();
    let mut client = stage.upgraded();
    client.write(&[0x01, 0x81, 0, 0, 0, 0, b' ']);
    stage.rest();
    let key = stage.shard.connections.slots.keys().next().unwrap();
    stall(&stage, limits::MESSAGE_MS + 1000);
    stage.shard.turn().unwrap();
    let connection = stage.shard.connections.slots.get(key).unwrap();
    assert_eq!(
        connection.overdue,
        Overdue {
            message: true,
            timer: false
        }
    );
    client.write(&[0x00, 0x81, 0, 0, 0, 0, b' ']);
    stage.rest();
    assert_eq!(close_code_of(&mut client), Some(1008));
}
