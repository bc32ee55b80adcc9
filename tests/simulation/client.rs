//! A client with a will of its own, and what it has made of the server's stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use tickwire::base::Prng;
use tickwire::dialect::native_binary::{Content, Message};
use tickwire::dialect::native_json::encode;
use tickwire::ring::{Client as Socket, ClientState};
use tickwire::shard::Policy;

use super::frames;
use super::oracle::{Oracle, covers};

mod numbers;

pub struct Client {
    pub socket: Socket,
    /// The number of the shard that serves it.
    shard: usize,
    prng: Prng,
    outgoing: VecDeque<u8>,
    incoming: Vec<u8>,
    upgraded: bool,
    /// Whether ticks come in binary.
    binary: bool,
    /// The window of the server's compressed messages, where compression was agreed on.
    deflate: Option<u8>,
    /// Requests whose reply has not come, oldest first, and where the channels stood when each was sent.
    pending: VecDeque<(Request, BTreeMap<String, u64>)>,
    next_id: u64,
    /// What the server has acknowledged.
    subscriptions: BTreeSet<String>,
    /// Where each covered channel stands: the number of the last message, `None` before the first.
    standing: BTreeMap<String, Option<Bounds>>,
    /// Every data frame, in order, if it has been subscribed to everything from the start.
    pub full: Option<Vec<String>>,
    /// Whether the tape has ever left it behind.
    lapsed: bool,
    /// Channels whose state it was promised once more: up to which number that may come, and whether it has.
    snapping: BTreeMap<String, (u64, bool)>,
    /// Channels whose replay it was promised and which has not been said to be over.
    replaying: BTreeSet<String>,
    /// Whether it was told that it is behind: from then on it need not get everything.
    pub warned: bool,
    pub closed: Option<(u16, String)>,
    pub close_sent: bool,
    pub pings: VecDeque<Vec<u8>>,
    /// What it did that must end in this close code.
    pub sin: Option<u16>,
    pub refused: bool,
    pub hung_up: bool,
    finished: bool,
}

/// A request that will be replied to.
pub enum Request {
    Subscribe {
        id: Option<u64>,
        channels: Vec<String>,
        /// What it says that it has of some of them.
        since: BTreeMap<String, u64>,
    },
    Unsubscribe {
        id: u64,
        channels: Vec<String>,
    },
    Snap {
        id: u64,
        channels: Vec<String>,
    },
    List {
        id: u64,
    },
    Ping {
        id: u64,
    },
    Nonsense {
        code: u64,
    },
}

/// What the next number of a channel may be.
#[derive(Clone, Copy)]
enum Bounds {
    /// Exactly one more than this.
    After(u64),
    /// An append channel's first: more than the one, at most one more than the other.
    Between(u64, u64),
}

impl Client {
    pub fn new(socket: Socket, shard: usize, mut prng: Prng, everything: bool) -> Self {
        let lazy = everything && prng.chance(1, 2) || !everything && prng.chance(1, 4);
        let channels = if everything {
            "*"
        } else {
            "trade:*,nonsense,bbo:BTC-USD,book:ETH-USD/3@50ms,book:BTC-USD/0"
        };
        let query = if lazy {
            format!("?ch={channels}")
        } else {
            String::new()
        };
        let protocol = match prng.below(4) {
            0 => "Sec-WebSocket-Protocol: tickwire.v1.json, tickwire.v1.bin\r\n",
            1 | 2 => "Sec-WebSocket-Protocol: tickwire.v1.bin, tickwire.v1.json\r\n",
            _ => "",
        };
        let extensions = match prng.below(4) {
            0 => "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
            1 => "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12\r\n",
            // A smaller window than messages are compressed with: declined.
            2 => "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n",
            _ => "",
        };
        let head = format!(
            "GET /v1/ws{query} HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{protocol}{extensions}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        let mut client = Self {
            socket,
            shard,
            prng,
            outgoing: head.into_bytes().into(),
            incoming: Vec::new(),
            upgraded: false,
            binary: false,
            deflate: None,
            pending: VecDeque::new(),
            next_id: 1,
            subscriptions: BTreeSet::new(),
            standing: BTreeMap::new(),
            full: everything.then(Vec::new),
            lapsed: false,
            snapping: BTreeMap::new(),
            replaying: BTreeSet::new(),
            warned: false,
            closed: None,
            close_sent: false,
            pings: VecDeque::new(),
            sin: None,
            refused: false,
            hung_up: false,
            finished: false,
        };
        if lazy {
            let channels = channels.split(',').map(str::to_owned).collect();
            client.pending.push_back((
                Request::Subscribe {
                    id: None,
                    channels,
                    since: BTreeMap::new(),
                },
                BTreeMap::new(),
            ));
        } else if everything {
            client.subscribe(vec!["*".to_owned()], &Oracle::default());
        }
        client
    }

    /// Does something.
    pub fn act(&mut self, oracle: &Oracle) {
        if self.close_sent || self.sin.is_some() || self.hung_up {
            return;
        }
        match self.prng.below(40) {
            0..=5 => {
                let channels = (0..=self.prng.below(3)).map(|_| self.any_channel()).collect();
                self.subscribe(channels, oracle);
            }
            6..=8 if self.full.is_none() => {
                let channels = vec![self.any_channel()];
                let id = self.id();
                self.request(json!({"op": "unsub", "id": id, "ch": channels}));
                self.pending
                    .push_back((Request::Unsubscribe { id, channels }, BTreeMap::new()));
            }
            9 | 10 => {
                let id = self.id();
                self.request(json!({"op": "list", "id": id}));
                self.pending.push_back((Request::List { id }, BTreeMap::new()));
            }
            11 | 12 => {
                let id = self.id();
                self.request(json!({"op": "ping", "id": id, "t0": 5}));
                self.pending.push_back((Request::Ping { id }, BTreeMap::new()));
            }
            13 => {
                let (text, code) = [("{", 4001), (r#"{"op":"sing"}"#, 4002), (r#"{"op":"sub"}"#, 4000)]
                    [self.prng.below(3) as usize];
                self.send(1, text.as_bytes());
                self.pending
                    .push_back((Request::Nonsense { code }, BTreeMap::new()));
            }
            14..=16 => {
                let payload = self.prng.next_u64().to_be_bytes()[..self.prng.below(9) as usize].to_vec();
                self.send(9, &payload);
                self.pings.push_back(payload);
            }
            17..=20 => self.socket.set_pace(0),
            21..=24 => self.socket.set_pace(1 + self.prng.below(600) as usize),
            25..=34 => self.socket.set_pace(usize::MAX),
            35 if self.full.is_none() && self.prng.chance(1, 4) => {
                self.send(8, &[0x0b, 0xb8, b'b', b'y', b'e']);
                self.close_sent = true;
            }
            36 if self.full.is_none() && self.prng.chance(1, 8) => {
                let (opcode, payload, code): (u8, &[u8], u16) = [
                    (2, &b"binary"[..], 1003),
                    (1, &b"\xff\xfe"[..], 1007),
                    (3, &b""[..], 1002),
                    (1, &[b' '; 70_000][..], 1009),
                ][self.prng.below(4) as usize];
                self.send(opcode, payload);
                self.sin = Some(code);
            }
            37 if self.full.is_none() && self.prng.chance(1, 8) => {
                self.hung_up = true;
                if self.prng.chance(1, 2) {
                    self.socket.reset();
                } else {
                    self.socket.finish();
                }
            }
            38 | 39 if self.full.is_none() => self.snap(oracle),
            _ => {}
        }
    }

    /// Moves bytes both ways; says whether any moved.
    pub fn pump(&mut self, oracle: &Oracle) -> bool {
        let mut moved = false;
        while !self.outgoing.is_empty() && !self.hung_up {
            let most = 1 + self.prng.below(4096) as usize;
            let piece: Vec<u8> = self.outgoing.iter().copied().take(most).collect();
            let taken = self.socket.write(&piece);
            self.outgoing.drain(..taken);
            moved |= taken > 0;
            if taken < piece.len() || self.prng.chance(1, 3) {
                break;
            }
        }
        if self.socket.read(&mut self.incoming) > 0 {
            moved = true;
            self.digest(oracle);
        }
        if self.socket.state() == ClientState::Ended && !self.hung_up && !self.finished {
            self.finished = true;
            self.socket.finish();
        }
        moved
    }

    pub fn read_all(&mut self) {
        self.socket.set_pace(usize::MAX);
    }

    pub fn is_over(&self) -> bool {
        matches!(self.socket.state(), ClientState::Ended | ClientState::Reset)
    }

    /// Whether it waits for nothing: everything it asked for was answered.
    pub fn is_served(&self) -> bool {
        self.upgraded && self.pending.is_empty() || self.is_over()
    }

    pub fn has_more_to_say(&self) -> bool {
        !self.outgoing.is_empty() && !self.hung_up && !self.is_over()
    }

    /// Everything has been read: nothing may be missing.
    pub fn check_complete(&self, oracle: &Oracle) {
        assert!(self.upgraded && self.incoming.is_empty(), "no half frame is left");
        assert!(self.pending.is_empty(), "every request was answered");
        assert!(self.pings.is_empty(), "every ping was answered");
        assert!(
            self.replaying.is_empty(),
            "every replay has ended: {:?}",
            self.replaying
        );
        for (channel, (_, came)) in &self.snapping {
            assert!(*came, "the state of {channel} came once more");
        }
        for (channel, bounds) in &self.standing {
            let newest = oracle.newest(channel);
            match bounds {
                Some(Bounds::After(seq)) => {
                    assert_eq!(*seq, newest, "the last message of {channel}");
                    oracle.check_current(channel);
                }
                Some(Bounds::Between(..)) | None => {}
            }
        }
        for (channel, known) in &oracle.channels {
            if self.covered(channel) {
                let got = matches!(self.standing.get(channel), Some(Some(_)));
                assert!(
                    got || oracle.is_append(channel),
                    "{channel} has {} messages, so there is an image",
                    known.texts.len()
                );
            }
        }
        if let Some(full) = self.full.as_ref().filter(|_| !self.warned) {
            let published = &oracle.messages;
            assert_eq!(full.len(), published.len(), "every message, once");
            assert!(
                full.iter().zip(published).all(|(got, sent)| got == sent),
                "in order, byte for byte"
            );
        }
    }

    /// It was closed for being behind, and told on which channel if that is why.
    pub fn check_slow(&self, reason: &str, oracle: &Oracle) {
        let Some(why) = reason.strip_prefix("slow consumer: ") else {
            panic!("{reason}");
        };
        if let Some(channel) = why.strip_prefix("too far behind on ") {
            assert!(self.covered(channel), "{reason}");
            assert_eq!(oracle.manners(channel).policy, Policy::Disconnect, "{reason}");
        }
    }

    fn digest(&mut self, oracle: &Oracle) {
        if !self.upgraded {
            let Some(end) = self.incoming.windows(4).position(|four| four == b"\r\n\r\n") else {
                return;
            };
            let head = String::from_utf8(self.incoming.drain(..end + 4).collect()).unwrap();
            if head.starts_with("HTTP/1.1 503") {
                self.refused = true;
                self.pending.clear();
                self.incoming.clear();
                self.outgoing.clear();
                self.hung_up = true;
                return;
            }
            assert!(
                head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
                "{head}"
            );
            self.upgraded = true;
            let field = |name| head.split("\r\n").find_map(|line| line.strip_prefix(name));
            self.binary = field("Sec-WebSocket-Protocol: ") == Some("tickwire.v1.bin");
            if let Some(agreed) = field("Sec-WebSocket-Extensions: ") {
                assert!(!self.binary, "what is binary is not compressed");
                let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                                server_max_window_bits=12";
                assert_eq!(agreed, expected);
                self.deflate = Some(12);
            }
        }
        while !self.refused
            && let Some((opcode, payload)) = frames::take(&mut self.incoming, self.deflate.is_some())
        {
            // A ping is answered as long as its sender has not said goodbye itself (RFC 6455 §5.5.2).
            assert!(
                self.closed.is_none() || opcode == 10,
                "nothing else follows a close frame"
            );
            match opcode {
                1 => self.message(std::str::from_utf8(&payload).unwrap(), oracle),
                2 => {
                    assert!(self.binary, "it was asked for");
                    self.data(&binary_as_json(&payload), oracle);
                }
                0x41 => {
                    let message = frames::inflated(&payload, self.deflate.unwrap());
                    self.message(std::str::from_utf8(&message).unwrap(), oracle);
                }
                8 => {
                    let code = u16::from_be_bytes([payload[0], payload[1]]);
                    self.closed = Some((code, String::from_utf8(payload[2..].to_vec()).unwrap()));
                    if !self.close_sent {
                        self.send(8, &payload[..2]);
                        self.close_sent = true;
                    }
                }
                9 => self.send(10, &payload),
                10 => assert_eq!(
                    Some(payload),
                    self.pings.pop_front(),
                    "pongs answer pings in order"
                ),
                other => panic!("opcode {other}"),
            }
        }
    }

    fn message(&mut self, text: &str, oracle: &Oracle) {
        let value: Value = serde_json::from_str(text).unwrap();
        match value["t"].as_str().unwrap() {
            "hello" => {}
            "ack" | "pong" | "error" => self.reply(&value, oracle),
            "warn" => {
                assert_eq!(value["code"], "slow");
                self.warned = true;
            }
            "gap" => self.gap(&value, oracle),
            "hb" => self.heartbeat(&value),
            "shutdown" => {
                let last = json!({"t": "shutdown", "in_ms": 0, "retry_ms": [500, 8000]});
                assert_eq!(value, last);
            }
            "live" => self.live(&value),
            _ => {
                assert!(!self.binary, "ticks come in binary frames");
                self.data(text, oracle);
            }
        }
    }

    fn reply(&mut self, value: &Value, oracle: &Oracle) {
        if value["code"] == 4006 {
            // Too many requests in one second: which of them says the order.
            self.pending.pop_front();
            return;
        }
        let (request, before) = self.pending.pop_front().expect("one request, one reply");
        match request {
            Request::Subscribe { id, channels, since } => {
                assert_eq!((value["t"].as_str(), value["id"].as_u64()), (Some("ack"), id));
                let entries = value["ok"].as_array().unwrap().len() + value["err"].as_array().unwrap().len();
                assert_eq!(entries, channels.len());
                for entry in value["ok"].as_array().unwrap() {
                    let channel = entry["ch"].as_str().unwrap();
                    let seq = entry["seq"].as_u64();
                    self.subscribed(channel, seq, &before, oracle);
                    if entry.get("resume").is_some() {
                        self.resumed(entry, since[channel], oracle);
                    }
                }
                for entry in value["err"].as_array().unwrap() {
                    let channel = entry["ch"].as_str().unwrap();
                    let known = before.get(channel).copied().unwrap_or(0);
                    let is_ahead = since.get(channel).is_some_and(|seq| *seq > known);
                    assert!(
                        entry["code"] != 4010 || is_ahead || channel.ends_with('*'),
                        "{entry}"
                    );
                }
            }
            Request::Unsubscribe { id, channels } => {
                assert_eq!(
                    (value["t"].as_str(), value["id"].as_u64()),
                    (Some("ack"), Some(id))
                );
                let ended = value["ok"].as_array().unwrap().len() == 1;
                assert_eq!(ended, self.subscriptions.remove(&channels[0]), "{value}");
                let covered: Vec<bool> = self
                    .standing
                    .keys()
                    .map(|channel| self.covered(channel))
                    .collect();
                let mut covered = covered.into_iter();
                self.standing.retain(|_, _| covered.next().unwrap());
                self.forget_snaps();
            }
            Request::Snap { id, channels } => {
                assert_eq!(
                    (value["t"].as_str(), value["id"].as_u64()),
                    (Some("ack"), Some(id))
                );
                self.snapped(value, &channels, &before, oracle);
            }
            Request::List { id } => {
                assert_eq!(value["id"].as_u64(), Some(id));
                let listed = value["ok"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|entry| entry["ch"].as_str().unwrap());
                let listed: BTreeSet<String> = listed.map(str::to_owned).collect();
                assert_eq!(listed, self.subscriptions);
            }
            Request::Ping { id } => assert_eq!(
                (value["t"].as_str(), value["id"].as_u64()),
                (Some("pong"), Some(id))
            ),
            Request::Nonsense { code } => assert_eq!(value["code"].as_u64(), Some(code)),
        }
    }

    fn covered(&self, channel: &str) -> bool {
        self.subscriptions.iter().any(|pattern| covers(pattern, channel))
    }

    fn subscribe(&mut self, channels: Vec<String>, oracle: &Oracle) {
        let id = self.id();
        let mut since = BTreeMap::new();
        for channel in channels
            .iter()
            .filter(|channel| oracle.channels.contains_key(*channel))
        {
            let newest = oracle.newest(channel);
            if self.prng.chance(1, 2) {
                let near = newest.saturating_sub(self.prng.below(20));
                let seq = [self.prng.below(newest + 1), near, near, newest, newest + 1000];
                since.insert(channel.clone(), seq[self.prng.below(5) as usize]);
            }
        }
        let mut request = json!({"op": "sub", "id": id, "ch": channels});
        if !since.is_empty() {
            request["since"] = json!(since);
            let epoch = if self.prng.chance(1, 8) {
                "another"
            } else {
                "epoch"
            };
            request["since"]["epoch"] = json!(epoch);
        }
        self.request(request);
        let before = self.known(oracle);
        self.pending.push_back((
            Request::Subscribe {
                id: Some(id),
                channels,
                since,
            },
            before,
        ));
    }

    fn snap(&mut self, oracle: &Oracle) {
        let channels: Vec<String> = (0..=self.prng.below(3)).map(|_| self.any_channel()).collect();
        let id = self.id();
        self.request(json!({"op": "snap", "id": id, "ch": channels}));
        self.pending
            .push_back((Request::Snap { id, channels }, self.known(oracle)));
    }

    /// Where the channels stand, as far as its shard is known to have looked.
    fn known(&self, oracle: &Oracle) -> BTreeMap<String, u64> {
        let channels = oracle.channels.keys();
        channels
            .map(|channel| (channel.clone(), oracle.known(self.shard, channel)))
            .collect()
    }

    fn request(&mut self, request: Value) {
        self.send(1, request.to_string().as_bytes());
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        let mask = self.prng.next_u64().to_be_bytes()[..4].try_into().unwrap();
        let compressed = opcode == 1 && self.deflate.is_some() && self.prng.chance(1, 2);
        self.outgoing.extend(if compressed {
            frames::masked_deflated(opcode, payload, mask)
        } else {
            frames::masked(opcode, payload, mask)
        });
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn any_channel(&mut self) -> String {
        const CHANNELS: [&str; 17] = [
            "*",
            "trade:*",
            "bbo:*",
            "book:*",
            "trade:BTC-USD",
            "bbo:ETH-USD",
            "book:BTC-USD",
            "room:1",
            "no:such",
            "book:BTC-USD/1",
            "book:BTC-USD/10",
            "book:BTC-USD@100ms",
            "book:ETH-USD/3@50ms",
            "bbo:BTC-USD@20ms",
            "bbo:ETH-USD@1s",
            "trade:BTC-USD@1s",
            "book:no-such/5",
        ];
        CHANNELS[self.prng.below(CHANNELS.len() as u64) as usize].to_owned()
    }
}

/// A binary tick as the text that others get.
fn binary_as_json(payload: &[u8]) -> String {
    let mut levels = Vec::new();
    let message = Message::decode(payload, &mut levels).unwrap();
    let Content::Tick(stamp, tick) = message.content else {
        panic!("{message:?}");
    };
    let mut text = Vec::new();
    encode(&mut text, &stamp, &tick);
    String::from_utf8(text).unwrap()
}
