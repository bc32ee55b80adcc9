//! A server that is played by chance: it breaks connections at any point, forgets old messages, and begins anew.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;

use super::*;

/// One append channel, and a log of what was published by request.
#[derive(Debug, Default)]
struct Server {
    epoch: u64,
    newest: u64,
    /// The oldest number that is still there.
    oldest: u64,
    published: Vec<Value>,
    keys: BTreeMap<String, u64>,
    /// What the client has not received yet.
    under_way: VecDeque<String>,
    subscribed: bool,
}

impl Server {
    fn say(&mut self, message: &Value) {
        self.under_way.push_back(message.to_string());
    }

    fn trade(&mut self) {
        self.newest += 1;
        if self.subscribed {
            self.under_way.push_back(trade("trade:X", self.newest));
        }
    }

    fn greet(&mut self) {
        self.under_way.clear();
        self.subscribed = false;
        self.under_way.push_back(hello(&self.epoch.to_string()));
    }

    fn begin_anew(&mut self) {
        (self.epoch, self.newest, self.oldest) = (self.epoch + 1, 0, 1);
    }

    fn hear(&mut self, request: &Value) {
        let id = &request["id"];
        match request["op"].as_str() {
            Some("pub") => {
                let key = request["key"].as_str().unwrap().to_owned();
                let count = self.published.len() as u64;
                let seq = *self.keys.entry(key).or_insert(count + 1);
                if seq > count {
                    self.published.push(request["data"].clone());
                }
                self.say(&json!({"t": "ack", "id": id, "ch": "room:42", "seq": seq}));
            }
            Some("sub") => self.subscribe(id, &request["since"]),
            _ => self.say(&json!({"t": "pong", "id": id, "t1": 1, "t2": 1})),
        }
    }

    fn subscribe(&mut self, id: &Value, since: &Value) {
        let mut granted = append("trade:X", self.newest);
        self.subscribed = true;
        let Some(has) = since["trade:X"].as_u64() else {
            self.say(&json!({"t": "ack", "id": id, "ok": [granted], "err": []}));
            return;
        };
        let has = if since["epoch"].as_str() == Some(&self.epoch.to_string()) {
            has
        } else {
            0
        };
        let is_whole = has + 1 >= self.oldest;
        granted["resume"] = if is_whole { "replay" } else { "gap" }.into();
        self.say(&json!({"t": "ack", "id": id, "ok": [granted], "err": []}));
        if !is_whole {
            let (from, to) = (has + 1, self.oldest - 1);
            self.say(&json!({"t": "gap", "ch": "trade:X", "from": from, "to": to, "why": "expired"}));
        }
        for seq in (has + 1).max(self.oldest)..=self.newest {
            self.under_way.push_back(trade("trade:X", seq));
        }
        self.say(&json!({"t": "live", "ch": "trade:X", "seq": self.newest}));
    }
}

/// What the user of the client has, by what he is told.
#[derive(Debug, Default)]
struct User {
    /// The last number that he has or was told missing.
    known: Option<u64>,
    acknowledged: usize,
}

impl User {
    /// The client is told the next message, and he what it comes to.
    fn take(&mut self, side: &mut Side, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap();
        let mut heard = side.hear(text);
        while let Heard::Away { from, to } = heard {
            self.goes_on(from, to);
            heard = side.hear(text);
        }
        match heard {
            Heard::Greeted(Continuation::Anew) => self.known = self.known.map(|_| 0),
            Heard::Greeted(_) | Heard::Told | Heard::Answered { .. } => {}
            Heard::Away { .. }
            | Heard::Unexplained { .. }
            | Heard::Hole { .. }
            | Heard::GreetedAgain
            | Heard::Repeated
            | Heard::Postponed => {
                panic!("{heard:?} {text}")
            }
        }
        let number = |field: &str| message[field].as_u64().unwrap();
        match message["t"].as_str() {
            Some("trade") => self.goes_on(number("seq"), number("seq")),
            Some("gap") => self.goes_on(number("from"), number("to")),
            Some("ack") => self.acknowledged += usize::from(message["ch"] == "room:42"),
            _ => {}
        }
    }

    fn goes_on(&mut self, from: u64, to: u64) {
        assert!(
            self.known.is_none_or(|known| from == known + 1),
            "{from} follows {:?}",
            self.known
        );
        self.known = Some(to);
    }
}

/// Everything that is under way arrives, in both directions.
fn arrive(server: &mut Server, side: &mut Side, user: &mut User) {
    for request in side.asked() {
        server.hear(&request);
    }
    while let Some(text) = server.under_way.pop_front() {
        user.take(side, &text);
    }
}

proptest! {
    /// Wherever connections break: each trade comes once and in order, or is told missing; each publication is published
    /// once and in order.
    #[test]
    fn nothing_is_lost_or_doubled_wherever_connections_break(
        actions in prop::collection::vec((0_u8..12, 1_u64..5), 1..150),
    ) {
        let (mut server, mut side, mut user) = (Server::default(), Side::new(), User::default());
        server.begin_anew();
        side.subscribe(&["trade:X"]);
        side.course.opened(side.now_ms);
        server.greet();
        let mut to_publish = 0;
        for (action, count) in actions {
            match action {
                0..3 => (0..count).for_each(|_| server.trade()),
                3..6 => {
                    for _ in 0..count {
                        if let Some(text) = server.under_way.pop_front() {
                            user.take(&mut side, &text);
                        }
                    }
                }
                6..8 => {
                    for request in side.asked() {
                        server.hear(&request);
                    }
                }
                8 => {
                    to_publish += 1;
                    side.course.publish("room:42", &to_publish.to_string(), None).unwrap();
                }
                9 => {
                    side.break_off();
                    side.course.opened(side.now_ms);
                    server.greet();
                }
                10 => server.oldest = (server.oldest + count).min(server.newest + 1),
                _ => {
                    if count == 1 {
                        side.break_off();
                        server.begin_anew();
                        side.course.opened(side.now_ms);
                        server.greet();
                    }
                    side.now_ms += 700;
                }
            }
        }
        // It is quiet now.
        for _ in 0..40 {
            arrive(&mut server, &mut side, &mut user);
            side.now_ms += 100;
        }
        server.trade();
        arrive(&mut server, &mut side, &mut user);
        prop_assert_eq!(user.known, Some(server.newest));
        let expected: Vec<Value> = (1..=to_publish).map(Value::from).collect();
        prop_assert_eq!(&server.published, &expected);
        prop_assert_eq!(user.acknowledged, expected.len());
        prop_assert_eq!(side.course.unanswered(), 0);
    }
}
