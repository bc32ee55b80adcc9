//! Who gives way when a shard has no room, and who has taken too long.

use super::*;
use crate::base::now::NS_PER_MS;

/// What a client has received since it was last asked.
fn received(client: &mut Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    bytes
}

/// The same, where it is text.
fn told(client: &mut Client) -> String {
    String::from_utf8_lossy(&received(client)).into_owned()
}

fn status(client: &mut Client) -> String {
    told(client).split(' ').nth(1).unwrap_or_default().to_owned()
}

impl Stage {
    /// A client that has sent the first bytes of a request.
    fn knocking(&mut self, bytes: usize) -> Client {
        let mut client = self.net.connect(0);
        client.write(&HEAD[..bytes]);
        self.rest();
        client
    }

    fn advance_ms(&mut self, ms: u64) {
        self.net.advance(ms * NS_PER_MS);
        self.rest();
    }
}

/// The first bytes of a text frame of 256 bytes, in a mask of zeros.
const BEGUN: &[u8] = &[0x81, 0xfe, 0x01, 0x00, 0, 0, 0, 0, b' '];
/// Its rest.
const REST: [u8; 255] = [b' '; 255];

#[test]
fn half_open_handshakes_leave_room_for_who_is_quick() {
    let mut stage = Stage::new(Pools::default());
    let mut inside = [stage.upgraded(), stage.upgraded()];
    let mut knocking = Vec::new();
    for _ in 0..500 {
        knocking.push(stage.knocking(1));
    }
    let mut newcomer = stage.upgraded();
    for client in inside.iter_mut().chain([&mut newcomer]) {
        client.write(&[0x89, 0x80, 0, 0, 0, 0]);
        stage.rest();
        assert_eq!(received(client), [0x8a, 0]);
    }
    let waiting = knocking
        .iter()
        .filter(|client| client.state() == ClientState::Open);
    let (slots, spare) = (4 + limits::REFUSALS_PER_SHARD, limits::SLOTS_SPARE);
    assert_eq!(
        waiting.count(),
        slots - spare - 3,
        "all but the newest were dropped"
    );
    assert!(
        knocking
            .iter()
            .rev()
            .take(slots - spare - 3)
            .all(|client| client.state() == ClientState::Open)
    );
}

#[test]
fn the_limit_holds_for_those_who_are_open_and_no_others() {
    let mut stage = Stage::new(Pools::default());
    let _knocking: Vec<Client> = (0..20).map(|_| stage.knocking(10)).collect();
    let mut inside: Vec<Client> = (0..4).map(|_| stage.upgraded()).collect();
    let mut surplus = stage.knocking(HEAD.len());
    assert_eq!(status(&mut surplus), "503");
    let gone = &mut inside[0];
    gone.finish();
    stage.rest();
    stage.upgraded();
}

#[test]
fn a_head_without_a_block_takes_that_of_the_oldest() {
    let mut stage = Stage::new(Pools {
        heads: 2,
        ..Pools::default()
    });
    let mut silent = stage.knocking(0);
    let mut knocking: Vec<Client> = (1..=3).map(|bytes| stage.knocking(bytes)).collect();
    assert_eq!(status(&mut knocking[0]), "503", "the oldest that holds one");
    for bytes in [2, 3] {
        let client = &mut knocking[bytes - 1];
        client.write(&HEAD[bytes..]);
        stage.rest();
        assert_eq!(status(client), "101");
    }
    silent.write(HEAD);
    stage.rest();
    assert_eq!(
        status(&mut silent),
        "101",
        "whoever needs none is not asked for one"
    );
}

#[test]
fn whoever_only_knocks_takes_no_block_from_those_inside() {
    let mut stage = Stage::new(Pools {
        inbox_small: 1,
        inbox_large: 0,
        heads: 1,
        ..Pools::default()
    });
    let mut client = stage.upgraded();
    client.write(BEGUN);
    stage.rest();
    let mut knocking: Vec<Client> = (0..9).map(|_| stage.knocking(1)).collect();
    // What follows a head, in the block of the head, is a message's.
    knocking[8].write(&[&HEAD[1..], BEGUN].concat());
    stage.rest();
    assert_eq!(close_code_of(&mut client), Some(1013), "the older message");
    knocking[8].write(&REST);
    stage.rest();
    assert!(told(&mut knocking[8]).ends_with("}"), "an answer");
    assert_eq!(stage.shard.borrowed(), 0);
}

#[test]
fn a_message_without_a_block_takes_that_of_the_oldest() {
    let mut stage = Stage::new(Pools {
        inbox_small: 2,
        inbox_large: 0,
        ..Pools::default()
    });
    let mut clients: Vec<Client> = (0..3).map(|_| stage.upgraded()).collect();
    clients[0].write(BEGUN);
    clients[1].write(BEGUN);
    stage.rest();
    // A message that has ended makes room for a younger one in the same block.
    clients[0].write(&[&REST[..], BEGUN].concat());
    stage.rest();
    told(&mut clients[0]);
    clients[2].write(BEGUN);
    stage.rest();
    assert_eq!(close_code_of(&mut clients[1]), Some(1013));
    for client in [0, 2] {
        clients[client].write(&REST);
        stage.rest();
        assert!(told(&mut clients[client]).contains("\"code\":4001"), "{client}");
    }
}

#[test]
fn a_message_that_outgrows_its_block_takes_that_of_the_oldest_large_one() {
    let mut stage = Stage::new(Pools {
        inbox_small: 2,
        inbox_large: 1,
        ..Pools::default()
    });
    let header = [0x81, 0xfe, 0x80, 0x00, 0, 0, 0, 0];
    let mut clients: Vec<Client> = (0..2).map(|_| stage.upgraded()).collect();
    for client in &mut clients {
        client.write(&header);
        stage.rest();
    }
    for client in &mut clients {
        client.write(&[b' '; 5000]);
        stage.rest();
    }
    assert_eq!(close_code_of(&mut clients[0]), Some(1013));
    clients[1].write(&[b' '; 0x8000 - 5000]);
    stage.rest();
    assert!(told(&mut clients[1]).contains("\"code\":4001"));
}

#[test]
fn a_message_that_never_ends_is_ended() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    client.write(BEGUN);
    stage.rest();
    for _ in 0..9 {
        stage.advance_ms(limits::MESSAGE_MS / 10);
        client.write(b" ");
        stage.rest();
    }
    assert_eq!(told(&mut client), "");
    stage.advance_ms(limits::MESSAGE_MS / 10 + 600);
    assert_eq!(close_code_of(&mut client), Some(1008));
    assert_eq!(stage.shard.borrowed(), 0);
}

#[test]
fn messages_that_end_may_follow_each_other_for_ever() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    client.write(BEGUN);
    for _ in 0..10 {
        stage.advance_ms(limits::MESSAGE_MS - 100);
        client.write(&[&REST[..], BEGUN].concat());
        stage.rest();
        let text = told(&mut client);
        assert!(text.contains("\"code\":4001"), "{text}");
        assert_ne!(client.state(), ClientState::Ended);
    }
}

#[test]
fn fragments_and_pings_do_not_end_a_message() {
    let mut stage = Stage::new(Pools::default());
    let mut client = stage.upgraded();
    client.write(&[0x01, 0x81, 0, 0, 0, 0, b' ']);
    stage.rest();
    for _ in 0..9 {
        stage.advance_ms(limits::MESSAGE_MS / 10);
        client.write(&[0x00, 0x81, 0, 0, 0, 0, b' ', 0x89, 0x80, 0, 0, 0, 0]);
        stage.rest();
        assert_eq!(received(&mut client), [0x8a, 0]);
    }
    stage.advance_ms(limits::MESSAGE_MS / 10 + 600);
    assert_eq!(close_code_of(&mut client), Some(1008));
}

/// A command whose answer is far longer than what a client may be owed before it is not listened to.
fn greedy_command() -> Vec<u8> {
    let names = vec![format!("\"a:{}\"", "x".repeat(50)); limits::REQUEST_CHANNELS_MAX].join(",");
    let command = format!("{{\"op\":\"sub\",\"ch\":[{names}]}}");
    let mut frame = vec![0x81, 0xfe];
    frame.extend(u16::try_from(command.len()).unwrap().to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(command.into_bytes());
    frame
}

#[test]
fn those_who_ask_for_much_and_read_nothing_go_before_those_who_read() {
    let command = greedy_command();
    let mut stage = Stage::with(
        Site::new(0, "epoch".into()),
        Pools {
            // Some more than for all that one connection may be owed: of each answer, 36 KiB wait.
            outbox: limits::OUTBOX_BYTES_MAX / limits::OUTBOX_BLOCK_BYTES + 120,
            ..Pools::default()
        },
        20,
    );
    let mut reader = stage.upgraded();
    let mut greedy: Vec<Client> = (0..10).map(|_| stage.upgraded()).collect();
    for client in &mut greedy {
        let mut left = &command[..];
        while !left.is_empty() {
            left = &left[client.write(left)..];
            stage.rest();
        }
        reader.write(&[0x89, 0x80, 0, 0, 0, 0]);
        stage.rest();
        assert_eq!(received(&mut reader), [0x8a, 0]);
    }
    // They read after all: those who are still there have their answer.
    let mut whole = Vec::new();
    for client in &mut greedy {
        let mut answer = Vec::new();
        while client.read(&mut answer) > 0 {
            stage.rest();
        }
        assert_eq!(answer.ends_with(b"}]}"), client.state() == ClientState::Open);
        whole.push(client.state() == ClientState::Open);
    }
    let first_kept = whole.iter().position(|whole| *whole).unwrap();
    assert!(
        first_kept > 0 && whole[first_kept..].iter().all(|whole| *whole),
        "the oldest went: {whole:?}"
    );
    assert_eq!(stage.shard.borrowed(), 0);
}
