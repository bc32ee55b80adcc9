//! What the server says by itself: heartbeats in a silence, and that it goes.

use super::*;
use crate::base::now::NS_PER_MS;
use crate::ring::{Bell as _, Ring as _};
use crate::shard::Slack;
use crate::tape::{ChannelId, Class, Entry, RecordKind};

const SECOND_MS: u64 = 1000;
const PONG: &[u8] = &[0x8a, 0x80, 0, 0, 0, 0];

/// One client of a shard, and channels for it.
struct Talk {
    stage: Stage,
    client: Client,
    trades: ChannelId,
}

impl Talk {
    /// A client that has been greeted and has subscribed to these channels, of `trade:A`, with two messages, and `room:B`,
    /// with none.
    fn new(site: Site, channels: &str) -> Self {
        let mut stage = Stage::of(site, Pools::default());
        let trades = stage.writer.declare("trade:A", Class::Append).unwrap();
        stage.writer.declare("room:B", Class::Append).unwrap();
        let client = stage.upgraded();
        let mut talk = Self {
            stage,
            client,
            trades,
        };
        talk.publish(1, 10);
        talk.publish(2, 10);
        talk.stage.rest();
        if !channels.is_empty() {
            talk.say(&format!(r#"{{"op":"sub","ch":[{channels}]}}"#));
            assert!(talk.heard()[0].starts_with(r#"{"t":"ack""#));
        }
        talk
    }

    fn say(&mut self, command: &str) {
        let length = 0x80 | u8::try_from(command.len()).unwrap();
        let frame = [&[0x81, length, 0, 0, 0, 0], command.as_bytes()].concat();
        assert_eq!(self.client.write(&frame), frame.len());
        self.stage.rest();
    }

    /// A message of so many bytes with that number on `trade:A`.
    fn publish(&mut self, seq: u64, bytes: usize) {
        let entry = Entry {
            channel: self.trades,
            kind: RecordKind::Live,
            seq,
            ts_ns: 0,
            pt_ns: self.stage.net.now().wall_ns,
        };
        let payload = vec![b'x'; bytes];
        let header = crate::wire::server_header(crate::wire::Opcode::Text, bytes);
        let frame = [header.as_slice(), &payload].concat();
        self.stage.writer.append(entry, &[&frame]).unwrap();
        let bell = self.stage.shard.ring.doorbell();
        self.stage.writer.wake_parked(|_| bell.ring());
    }

    /// So much time goes by, and the shard does what there is to do.
    fn pass(&mut self, ms: u64) {
        self.stage.net.advance(ms * NS_PER_MS);
        self.stage.rest();
    }

    /// What has come since the last time: texts, `ping`, and close codes.
    fn heard(&mut self) -> Vec<String> {
        heard(&mut self.client)
    }

    /// Everything with the second in which it came, for so many seconds; pings are answered where `answers`.
    fn heard_in(&mut self, seconds: u64, answers: bool) -> Vec<(u64, String)> {
        let start_ms = self.stage.net.now().mono_ms();
        let mut all = Vec::new();
        loop {
            // It sleeps until there is something to do.
            self.stage.shard.turn().unwrap();
            self.stage.shard.invariants();
            let ms = self.stage.net.now().mono_ms() - start_ms;
            if ms > seconds * SECOND_MS {
                return all;
            }
            for said in heard(&mut self.client) {
                if said == "ping" && answers {
                    self.client.write(PONG);
                }
                all.push(((ms + 500) / SECOND_MS, said));
            }
            if self.stage.shard.connections.slots.is_empty() {
                return all;
            }
        }
    }

    fn heartbeat(&self, last: &str) -> String {
        let time_ns = self.stage.net.now().wall_ns;
        format!(r#"{{"t":"hb","time":{time_ns},"last":{{{last}}}}}"#)
    }

    fn told_to_stop(&mut self) {
        self.stage.shard.orders.drain();
        self.stage.shard.ring.doorbell().ring();
        self.stage.rest();
    }
}

pub(super) fn heard(client: &mut Client) -> Vec<String> {
    let mut bytes = Vec::new();
    client.read(&mut bytes);
    let mut rest = &bytes[..];
    let mut heard = Vec::new();
    while let [first, length, after @ ..] = rest {
        let (length, after) = match (*length, after) {
            (126, [high, low, after @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), after),
            (length, after) => (usize::from(length), after),
        };
        let (payload, after) = after.split_at(length);
        heard.push(match first {
            0x88 => u16::from_be_bytes([payload[0], payload[1]]).to_string(),
            0x89 => "ping".to_owned(),
            _ => String::from_utf8(payload.to_vec()).unwrap(),
        });
        rest = after;
    }
    heard
}

/// Without pings, so that only heartbeats break a silence.
fn site() -> Site {
    Site::new(0, "epoch".into()).pinging(3_600 * SECOND_MS)
}

#[test]
fn a_silence_is_broken_by_a_heartbeat_with_the_newest_number_of_each_channel() {
    let mut talk = Talk::new(site(), r#""trade:A","bbo:*","room:B""#);
    talk.pass(16 * SECOND_MS);
    assert_eq!(talk.heard(), [""; 0], "it was answered in this interval");
    for _ in 0..3 {
        talk.pass(16 * SECOND_MS);
        let expected = talk.heartbeat(r#""room:B":0,"trade:A":2"#);
        assert_eq!(talk.heard(), [expected]);
    }
}

#[test]
fn a_tick_or_a_reply_is_no_silence() {
    let mut talk = Talk::new(site(), r#""trade:A""#);
    talk.pass(16 * SECOND_MS);
    for seq in 3..6 {
        talk.publish(seq, 4);
        talk.pass(15 * SECOND_MS);
        assert_eq!(talk.heard(), ["xxxx"]);
    }
    talk.say(r#"{"op":"ping"}"#);
    talk.pass(15 * SECOND_MS);
    assert_eq!(talk.heard().len(), 1, "the pong, and no heartbeat");
    talk.pass(15 * SECOND_MS);
    let expected = talk.heartbeat(r#""trade:A":5"#);
    assert_eq!(talk.heard(), [expected]);
}

#[test]
fn who_has_not_subscribed_or_where_there_are_none_gets_no_heartbeat() {
    let mut nobody = Talk::new(site(), "");
    let mut never = Talk::new(site().beating(None), r#""trade:A""#);
    for talk in [&mut nobody, &mut never] {
        assert_eq!(talk.heard_in(3_000, true), []);
    }
}

#[test]
fn who_is_behind_gets_no_heartbeat_before_it_has_everything() {
    let mut talk = Talk::new(site().with_slack(Slack::UNBOUNDED), r#""trade:A""#);
    talk.client.set_pace(0);
    for seq in 3..23 {
        talk.publish(seq, 60_000);
    }
    for _ in 0..4 {
        talk.pass(15 * SECOND_MS);
    }
    talk.client.set_pace(usize::MAX);
    let mut all = Vec::new();
    for _ in 0..100 {
        talk.stage.rest();
        let mut bytes = Vec::new();
        talk.client.read(&mut bytes);
        all.extend(bytes);
    }
    assert_eq!(
        all.len(),
        20 * 60_004,
        "every message, and no heartbeat between them"
    );
    talk.pass(15 * SECOND_MS);
    talk.pass(15 * SECOND_MS);
    let heard = talk.heard();
    assert!(heard[0].ends_with(r#""last":{"trade:A":22}}"#), "{heard:?}");
}

#[test]
fn of_many_channels_the_newest_subscriptions_are_named() {
    let mut stage = Stage::sized(site(), Size::feed(4, 64));
    for number in 0..40 {
        stage
            .writer
            .declare(&format!("room:{number}"), Class::Append)
            .unwrap();
    }
    let query: Vec<String> = (0..40).map(|number| format!("room:{number}")).collect();
    let head = String::from_utf8(HEAD.to_vec()).unwrap();
    // The shard learns of channels when somebody has subscribed, or when it wakes.
    stage.shard.ring.doorbell().ring();
    stage.rest();
    let mut client = stage.upgraded_with(
        head.replace("/v1/ws", &format!("/v1/ws?ch={}", query.join(",")))
            .as_bytes(),
    );
    for _ in 0..2 {
        stage.net.advance(16 * SECOND_MS * NS_PER_MS);
        stage.rest();
    }
    let heard = heard(&mut client);
    let heartbeat = heard.last().unwrap();
    assert_eq!(heartbeat.matches("room:").count(), limits::HEARTBEAT_CHANNELS_MAX);
    assert!(
        heartbeat.contains(r#""last":{"room:39":0,"#) && heartbeat.ends_with(r#""room:8":0}}"#),
        "{heartbeat}"
    );
}

#[test]
fn pings_and_heartbeats_keep_their_own_time() {
    let mut talk = Talk::new(Site::new(0, "epoch".into()), r#""trade:A""#);
    let times = |all: &[(u64, String)], what: &str| -> Vec<u64> {
        all.iter()
            .filter(|(_, said)| said.contains(what))
            .map(|(second, _)| *second)
            .collect()
    };
    let all = talk.heard_in(101, true);
    assert_eq!(times(&all, "ping"), [20, 40, 60, 80, 100]);
    assert_eq!(times(&all, "hb"), [30, 45, 60, 75, 90]);
    // From here on it is silent.
    let all = talk.heard_in(100, false);
    assert_eq!(
        times(&all, "ping").len(),
        usize::from(limits::PINGS_UNANSWERED_MAX)
    );
    assert_eq!(times(&all, "4014"), [75], "when the next one is due");
    assert!(times(&all, "hb").len() >= 4, "{all:?}");
}

#[test]
fn a_shard_that_was_asleep_owes_one_ping_and_one_heartbeat() {
    let mut talk = Talk::new(Site::new(0, "epoch".into()), r#""trade:A""#);
    talk.pass(16 * SECOND_MS);
    talk.pass(600 * SECOND_MS);
    assert_eq!(talk.heard(), ["ping"]);
    talk.pass(SECOND_MS);
    let expected = talk.heartbeat(r#""trade:A":2"#);
    assert_eq!(talk.heard(), [expected], "of its own, so that the ping counts");
    talk.pass(10 * SECOND_MS);
    assert_eq!(talk.heard(), [""; 0]);
}

#[test]
fn who_stops_at_once_says_so_before_it_closes() {
    let mut talk = Talk::new(site(), r#""trade:A""#);
    talk.publish(3, 4);
    talk.told_to_stop();
    let shutdown = r#"{"t":"shutdown","in_ms":0,"retry_ms":[500,8000]}"#;
    assert_eq!(talk.heard(), ["xxxx", shutdown, "1012"]);
}

#[test]
fn who_has_time_to_stop_serves_on_and_turns_newcomers_away() {
    let mut talk = Talk::new(site().draining(20 * SECOND_MS), r#""trade:A""#);
    talk.told_to_stop();
    assert_eq!(
        talk.heard(),
        [r#"{"t":"shutdown","in_ms":20000,"retry_ms":[500,8000]}"#]
    );
    let health = b"GET /healthz HTTP/1.1\r\nHost: sim\r\n\r\n";
    for request in [&health[..], HEAD] {
        let mut newcomer = talk.stage.net.connect(0);
        newcomer.write(request);
        talk.stage.rest();
        let mut answer = Vec::new();
        newcomer.read(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the server is shutting down\n"),
            "{answer}"
        );
        newcomer.finish();
    }
    talk.publish(3, 4);
    talk.say(r#"{"op":"list"}"#);
    let heard = talk.heard();
    assert!(
        heard[0] == "xxxx" && heard[1].starts_with(r#"{"t":"ack""#),
        "{heard:?}"
    );
    talk.told_to_stop();
    talk.pass(19 * SECOND_MS);
    assert_eq!(talk.heard(), [""; 0], "it was told, and has time");
    talk.pass(SECOND_MS);
    assert_eq!(talk.heard(), ["1012"]);
    assert!(!talk.stage.shard.is_over());
    talk.client.write(&[0x88, 0x80, 0, 0, 0, 0]);
    talk.client.finish();
    for _ in 0..10 {
        talk.stage.shard.turn().unwrap();
    }
    assert!(talk.stage.shard.is_over());
}

/// The kernel refuses descriptors when it is told to stop: it tries again, for whoever asks is to be answered.
#[test]
fn who_has_paused_accepting_accepts_again_while_it_stops() {
    let mut talk = Talk::new(site().draining(20 * SECOND_MS), "");
    talk.stage
        .shard
        .accept_stopped(crate::ring::Errno::NO_DESCRIPTORS, talk.stage.net.now());
    talk.told_to_stop();
    assert_eq!(
        talk.stage.shard.life,
        Life::Leaving {
            until_ns: after_ms(talk.stage.net.now(), 20 * SECOND_MS),
            accept_ns: Some(after_ms(talk.stage.net.now(), limits::ACCEPT_PAUSE_MS)),
        }
    );
}
