//! Once a client has subscribed, serving it a tick allocates nothing in the shard: not in its own code, and not in
//! that of the ring.
//!
//! Publishing and reading happen on the same thread, but outside of what is measured.

#[allow(dead_code, reason = "each test uses its part")]
mod stage;

use allocation_counter::{AllocationInfo, measure};
use stage::{Client, Patience, Stage};

#[test]
fn an_allocation_would_be_noticed() {
    assert_eq!(
        measure(|| drop(std::hint::black_box(vec![0_u8; 100]))).count_total,
        1
    );
}

#[test]
fn a_tick_at_a_time_is_served_without_allocating() {
    let Some((mut stage, mut clients)) = crowd() else {
        return;
    };
    let before = read_in_all(&clients);
    for tick in 0..1000 {
        stage.publish_trade();
        assert_none(turn(&mut stage), || format!("tick {tick}"));
        read(&mut clients);
    }
    served_alike(&stage, &clients, before, 1000);
}

#[test]
fn a_burst_is_served_without_allocating() {
    let Some((mut stage, mut clients)) = crowd() else {
        return;
    };
    for round in 0..100 {
        for tick in 0..=(7 * round % 64) {
            // Two channels by turns, so that who wants one of them needs more ranges than a turn has.
            if tick % 2 == 0 {
                stage.publish_trade();
            } else {
                stage.publish(tick);
            }
        }
        assert_none(turn(&mut stage), || format!("round {round}"));
        for rest in settle(&mut stage, &mut clients) {
            assert_none(rest, || format!("the rest of round {round}"));
        }
    }
}

#[test]
fn a_client_whose_socket_is_full_blocks_and_is_caught_up_without_allocating() {
    let Some((mut stage, mut clients)) = crowd() else {
        return;
    };
    // Two in three of them want what is published.
    let idle = 75;
    let full = 50;
    for _ in 0..2 {
        let short = stage.census.sends_short.read();
        let patience = Patience::begin();
        while stage.census.sends_short.read() < short + full {
            stage.publish(1000);
            assert_none(turn(&mut stage), || "a client blocks".to_owned());
            read(&mut clients[idle..]);
            patience.check("every idle client's socket is full");
        }
        for info in settle(&mut stage, &mut clients) {
            assert_none(info, || "a client is caught up".to_owned());
        }
    }
    assert_eq!(stage.census.lost.read(), 0);
}

/// Three hundred clients: a third each want everything, one kind, one channel.
fn crowd() -> Option<(Stage, Vec<Client>)> {
    let mut stage = Stage::set(512, 64 * 1024)?;
    stage.publish_trade();
    stage.publish(1);
    stage.turn();
    let wishes = ["*", "trade:*", "note:X"];
    let mut clients: Vec<Client> = (0..300).map(|number| stage.client(wishes[number % 3])).collect();
    settle(&mut stage, &mut clients);
    Some((stage, clients))
}

/// One turn that something has woken the shard for, measured.
fn turn(stage: &mut Stage) -> AllocationInfo {
    stage.wake();
    measure(|| stage.shard.turn().expect("the ring is whole"))
}

fn read(clients: &mut [Client]) -> bool {
    let mut any = false;
    for client in clients {
        any |= client.read();
        client.forget();
    }
    any
}

/// Turns until a number of turns in a row bring nobody anything.
fn settle(stage: &mut Stage, clients: &mut [Client]) -> Vec<AllocationInfo> {
    let mut turns = Vec::new();
    let mut quiet = 0;
    while quiet < 20 {
        turns.push(turn(stage));
        quiet = if read(clients) { 0 } else { quiet + 1 };
    }
    stage.shard.invariants();
    turns
}

fn read_in_all(clients: &[Client]) -> Vec<u64> {
    clients.iter().map(|client| client.bytes).collect()
}

/// Whoever wants trades was sent all of them since `before`.
fn served_alike(stage: &Stage, clients: &[Client], before: Vec<u64>, ticks: u64) {
    let gained: Vec<u64> = clients
        .iter()
        .zip(before)
        .map(|(client, before)| client.bytes - before)
        .collect();
    for (number, gained) in gained.iter().enumerate() {
        let wants_trades = number % 3 < 2;
        assert_eq!(
            *gained > ticks * 100,
            wants_trades,
            "client {number} got {gained} bytes"
        );
    }
    assert_eq!(gained[0], gained[1]);
    assert_eq!(stage.census.sends_short.read(), 0);
}

#[track_caller]
fn assert_none(info: AllocationInfo, when: impl FnOnce() -> String) {
    assert_eq!(info.count_total, 0, "{}: {info:?}", when());
}
