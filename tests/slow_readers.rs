//! Clients whose sockets are full, served by one shard that the test turns by hand.

#[allow(dead_code, reason = "each test uses its part")]
mod stage;

use stage::Stage;

/// The shard once asked the tape for the nothing that is left of a frame when a send is cut between two frames,
/// at an offset that the tape had let go of, and panicked.
#[test]
fn a_send_that_is_cut_between_two_frames_is_gone_on_with_when_the_tape_has_moved_on() {
    let Some(mut stage) = Stage::set(4, 64) else {
        return;
    };
    let mut client = stage.client("*");
    client.forget();
    let mut seq = 0;
    for cut in 1..=200 {
        // One frame a send, of ever other lengths: sooner or later a full socket refuses one whole.
        while stage.census.sends_short.read() < cut {
            stage.publish(usize::try_from(cut * 37 % 3000).expect("small"));
            stage.turn();
        }
        let last = stage.published();
        stage.turn_until("the rest", || {
            client.read();
            for frame in client.take() {
                seq += 1;
                assert!(
                    frame.contains(&format!("\"ch\":\"note:X\",\"seq\":{seq},")),
                    "{frame}"
                );
            }
            seq == last
        });
    }
}

/// The shard once made a send of more parts than a ring takes, and panicked: a client that wants every other record
/// needs a part for each.
#[test]
fn a_client_of_one_channel_is_caught_up_on_hundreds_of_records_that_lie_apart() {
    let Some(mut stage) = Stage::set(4, 4096) else {
        return;
    };
    stage.publish_trade();
    stage.publish(0);
    stage.turn();
    let mut client = stage.client("trade:X");
    client.forget();
    for _ in 0..1000 {
        stage.publish_trade();
        stage.publish(0);
    }
    let mut seq = 1;
    stage.turn_until("every trade", || {
        client.read();
        for frame in client.take() {
            seq += 1;
            assert!(
                frame.contains(&format!("\"ch\":\"trade:X\",\"seq\":{seq},")),
                "{frame}"
            );
        }
        seq == 1001
    });
}
