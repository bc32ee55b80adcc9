//! Messages that clients publish: each is an errand to the writer, whose part the test plays.

use super::notices::heard;
use super::*;
use crate::dialect::Publishers;
use crate::dialect::errand::{Answer, Outcome, Want, WriterEnd, way};
use crate::dialect::publisher::{Grants, Publisher};
use crate::ring::{Bell as _, Ring as _};

/// A shard whose clients may publish on `room:*`, and with a token on `desk:*`.
struct Hall {
    stage: Stage,
    writer: WriterEnd,
    seq: u64,
}

const TOKEN: &str = "a token of enough bytes";

impl Hall {
    fn new() -> Self {
        Self::of(4)
    }

    /// For so many connections.
    fn of(connections: usize) -> Self {
        let grants = |pattern| Grants::parse([pattern]).unwrap();
        let desk = Publisher::new("desk", TOKEN, grants("desk:*")).unwrap();
        let publishers = Arc::new(Publishers::new(grants("room:*"), vec![desk]).unwrap());
        let (shard, writer) = way(|| {}, || {});
        let site = Site::new(0, "epoch".into()).asking(shard, publishers);
        Self {
            stage: Stage::with(site, Pools::default(), connections),
            writer,
            seq: 0,
        }
    }

    fn say(&mut self, client: &mut Client, commands: &[String]) {
        let frames: Vec<u8> = commands.iter().flat_map(|command| frame(command)).collect();
        assert_eq!(client.write(&frames), frames.len());
        self.stage.rest();
    }

    /// Answers up to so many errands; says which requests they were.
    fn answer(&mut self, most: usize) -> Vec<u64> {
        let mut ids = Vec::new();
        while ids.len() < most
            && let Some(errand) = self.writer.errands.pop()
        {
            self.seq += 1;
            ids.push(errand.id.unwrap());
            let outcome = Outcome::Published { seq: self.seq };
            self.writer.answers.push(Answer { errand, outcome }).unwrap();
        }
        self.stage.shard.ring.doorbell().ring();
        self.stage.rest();
        ids
    }
}

fn frame(command: &str) -> Vec<u8> {
    let length = u16::try_from(command.len()).unwrap();
    let header = if length < 126 {
        vec![0x81, 0x80 | u8::try_from(length).unwrap()]
    } else {
        [&[0x81, 0xfe][..], &length.to_be_bytes()].concat()
    };
    [&header[..], &[0; 4], command.as_bytes()].concat()
}

fn publish(id: u64) -> String {
    format!(r#"{{"op":"pub","id":{id},"ch":"room:1","data":{id}}}"#)
}

fn acked(id: u64, seq: u64) -> String {
    format!(r#"{{"t":"ack","id":{id},"ch":"room:1","seq":{seq}}}"#)
}

#[test]
fn several_messages_are_under_way_at_once_and_other_requests_are_answered_behind_them() {
    let mut hall = Hall::new();
    let mut client = hall.stage.upgraded();
    let sing = r#"{"op":"sing","id":5}"#.to_owned();
    let ping = r#"{"op":"ping","id":4}"#.to_owned();
    hall.say(
        &mut client,
        &[publish(1), publish(2), publish(3), sing, ping, publish(6)],
    );
    assert_eq!(heard(&mut client), Vec::<String>::new());
    assert_eq!(hall.answer(2), [1, 2]);
    assert_eq!(heard(&mut client), [acked(1, 1), acked(2, 2)]);
    assert_eq!(hall.answer(9), [3]);
    let told = heard(&mut client);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], acked(3, 3));
    assert!(told[1].contains("4002") && told[2].contains("pong"), "{told:?}");
    assert_eq!(hall.answer(9), [6]);
    assert_eq!(heard(&mut client), [acked(6, 4)]);
}

#[test]
fn who_publishes_faster_than_the_writer_takes_it_is_not_read_from_and_loses_nothing() {
    let mut hall = Hall::new();
    let mut client = hall.stage.upgraded();
    let mut other = hall.stage.upgraded();
    let all: Vec<String> = (1..=500).map(publish).collect();
    hall.say(&mut client, &all);
    let most = usize::from(limits::ERRANDS_PER_CONNECTION_MAX);
    assert_eq!(hall.stage.shard.errands.under_way(), most);
    hall.say(&mut other, &[r#"{"op":"ping","id":9}"#.to_owned(), publish(1000)]);
    assert!(heard(&mut other)[0].contains("pong"), "nobody else waits");
    let (mut ids, mut told) = (Vec::new(), Vec::new());
    while ids.len() < 501 {
        let answered = hall.answer(7);
        assert!(!answered.is_empty(), "it goes on");
        ids.extend(answered);
        told.extend(heard(&mut client));
    }
    ids.retain(|id| *id != 1000);
    assert!(ids.iter().copied().eq(1..=500), "in order, each once");
    assert_eq!(told.len(), 500);
    assert_eq!(hall.stage.shard.errands.under_way(), 0);
}

#[test]
fn when_the_lane_is_full_of_bytes_everybody_waits_for_room_and_nobody_is_forgotten() {
    let mut hall = Hall::new();
    let mut clients: Vec<Client> = (0..4).map(|_| hall.stage.upgraded()).collect();
    let data = "x".repeat(30_000);
    let long = |id: u64| {
        frame(&format!(
            r#"{{"op":"pub","id":{id},"ch":"room:1","data":"{data}"}}"#
        ))
    };
    let mut unsaid: Vec<Vec<u8>> = (0..4).map(|_| (1..=20).flat_map(long).collect()).collect();
    let (mut answered, mut most) = (0, 0);
    while answered < 80 {
        for (client, unsaid) in clients.iter_mut().zip(&mut unsaid) {
            // As much as its socket takes.
            loop {
                let said = client.write(unsaid);
                unsaid.drain(..said);
                hall.stage.rest();
                if said == 0 {
                    break;
                }
            }
        }
        most = most.max(hall.stage.shard.errands.under_way());
        let count = hall.answer(3).len();
        assert!(count > 0, "it goes on: {answered}");
        answered += count;
    }
    assert!(most > 20 && most < 40, "there was no room for all: {most}");
    for client in &mut clients {
        assert_eq!(heard(client).len(), 20);
    }
}

#[test]
fn who_waits_for_room_is_called_when_there_may_be_some_and_not_blamed_for_finding_none() {
    let mut hall = Hall::of(40);
    let data = "x".repeat(60_000);
    let long = frame(&format!(r#"{{"op":"pub","id":1,"ch":"room:1","data":"{data}"}}"#));
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut client = hall.stage.upgraded();
        let mut unsaid = &long[..];
        while !unsaid.is_empty() {
            unsaid = &unsaid[client.write(unsaid)..];
            hall.stage.rest();
        }
        clients.push(client);
    }
    let held: Vec<_> = std::iter::from_fn(|| hall.writer.errands.pop()).collect();
    assert_eq!(held.len(), 17, "there is no room for the rest");
    let mut brief = hall.stage.upgraded();
    // One of three is called each time.
    for n in 0..4 * u64::from(limits::FRAMES_AHEAD_MAX) {
        hall.say(&mut brief, &[publish(n)]);
        assert_eq!(
            hall.answer(1),
            [n],
            "there is room for less, and each answer calls somebody"
        );
        heard(&mut brief);
    }
    for errand in held {
        let outcome = Outcome::Published { seq: 1 };
        hall.writer.answers.push(Answer { errand, outcome }).unwrap();
    }
    hall.stage.shard.ring.doorbell().ring();
    hall.stage.rest();
    assert_eq!(hall.answer(9).len(), 3);
    for client in &mut clients {
        assert!(heard(client)[0].starts_with(r#"{"t":"ack","id":1"#));
    }
}

#[test]
fn whoever_waits_is_called_in_turn_however_few_at_once() {
    let mut hall = Hall::of(40);
    let mut clients: Vec<Client> = (0..40).map(|_| hall.stage.upgraded()).collect();
    for client in &mut clients {
        let all: Vec<String> = (1..=100).map(publish).collect();
        hall.say(client, &all);
    }
    assert_eq!(
        hall.stage.shard.errands.under_way(),
        limits::ERRANDS_PER_SHARD_MAX
    );
    // Half of those who wait are gone before they are called.
    for mut client in clients.drain(16..28) {
        client.reset();
    }
    hall.stage.rest();
    while !hall.answer(5).is_empty() {}
    for client in &mut clients {
        assert_eq!(heard(client).len(), 100);
    }
}

#[test]
fn who_may_not_publish_is_told_so_and_a_token_changes_that() {
    let mut hall = Hall::new();
    let mut client = hall.stage.upgraded();
    let on = |channel: &str| format!(r#"{{"op":"pub","id":1,"ch":"{channel}","data":1}}"#);
    let auth = |token: &str| format!(r#"{{"op":"auth","id":2,"token":"{token}"}}"#);
    hall.say(
        &mut client,
        &[
            on("desk:1"),
            on("room"),
            auth("a token of other bytes!"),
            on("desk:1"),
        ],
    );
    let told = heard(&mut client);
    let codes = told.iter().map(|text| {
        let at = text.find("\"code\":").unwrap() + 7;
        &text[at..at + 4]
    });
    assert_eq!(codes.collect::<Vec<_>>(), ["4003", "4004", "4007", "4003"]);
    hall.say(&mut client, &[auth(TOKEN), on("desk:1"), on("room:1")]);
    assert_eq!(heard(&mut client), [r#"{"t":"ack","id":2,"name":"desk"}"#]);
    for channel in ["desk:1", "room:1"] {
        let errand = hall.writer.errands.pop().unwrap();
        let Want::Publish(publish) = &errand.want else {
            panic!("{errand:?}");
        };
        assert_eq!((&*publish.channel, publish.publisher.number()), (channel, 1));
    }
}

#[test]
fn an_answer_for_somebody_who_is_gone_is_nobodys() {
    let mut hall = Hall::new();
    let mut client = hall.stage.upgraded();
    hall.say(&mut client, &[publish(1), publish(2)]);
    client.reset();
    hall.stage.rest();
    assert!(hall.stage.shard.connections.slots.is_empty());
    let mut next = hall.stage.upgraded();
    assert_eq!(hall.answer(9), [1, 2]);
    assert_eq!(heard(&mut next), Vec::<String>::new());
    assert_eq!(hall.stage.shard.errands.under_way(), 0);
}

#[test]
fn without_a_writer_a_message_is_refused() {
    let mut hall = Hall::new();
    let mut client = hall.stage.upgraded();
    hall.writer = way(|| {}, || {}).1;
    hall.say(&mut client, &[publish(1)]);
    assert!(heard(&mut client)[0].contains("4503"));
}
