//! The door: request heads become open connections, or are told why not.

use super::Shard;
use super::converse::{Desk, Verdict};
use super::site::{FEED_PATH, HEALTH_PATH, Service};
use crate::base::{Key, Now};
use crate::connection::{Connection, Pause, Stage};
use crate::dialect::Encoding;
use crate::dialect::native_json::{Command, CommandError, Hello, HelloLimits};
use crate::limits;
use crate::ring::Ring;
use crate::wire::{Deflate, Protocol, Refusal, Request, Upgrade, write_ok};

impl Desk<'_> {
    /// Reads what has arrived of a request head, and answers it once it is whole. What follows it is heard at
    /// once: a client need not wait for our answer.
    pub(super) fn greet(
        &mut self,
        key: Key,
        connection: &mut Connection,
        bytes: &mut [u8],
    ) -> (usize, Verdict) {
        let Stage::Handshake { scan } = &mut connection.stage else {
            return (0, Verdict::GoOn);
        };
        self.site.frame.clear();
        // Whoever has waited for news says so itself when it is heard.
        connection.pause = Pause::None;
        let before = *scan;
        let head_bytes = match Request::parse(bytes, scan) {
            Ok(None) => return (bytes.len(), Verdict::GoOn),
            Ok(Some((request, head_bytes))) => {
                let Connection { under_way, asked, .. } = connection;
                if self.is_welcome(request)
                    && let Some(until) = self.derive_before(key, under_way, &mut asked.derived, request)
                {
                    // It is read again then.
                    connection.stage = Stage::Handshake { scan: before };
                    connection.pause = until;
                    return (bytes.len(), Verdict::GoOn);
                }
                match self.answer(key, request) {
                    Answer::Open(deflate) => {
                        connection.deflate = deflate;
                        head_bytes
                    }
                    Answer::Say => return (0, self.say(connection, Verdict::Finish)),
                    Answer::Refuse(refusal) => return (0, self.refuse(connection, refusal)),
                }
            }
            Err(refusal) => return (0, self.refuse(connection, refusal)),
        };
        connection.stage = Stage::Open;
        connection.asked.derived = false;
        self.site.open += 1;
        let opened = self.say(connection, Verdict::Opened);
        if !matches!(opened, Verdict::Opened) {
            return (0, opened);
        }
        let (held, verdict) = self.converse(key, connection, &mut bytes[head_bytes..]);
        bytes.copy_within(head_bytes..head_bytes + held, 0);
        (
            held,
            if matches!(verdict, Verdict::GoOn) {
                opened
            } else {
                verdict
            },
        )
    }

    /// Whether a request that may name derived channels is one to open a connection, and there is room for it: for any other
    /// nothing is asked of the writer.
    fn is_welcome(&self, request: Request<'_>) -> bool {
        let query = request.target().query().bytes();
        // What such a name has, or what a URL may have instead.
        let has_marks = query.into_iter().any(|byte| matches!(byte, b'/' | b'@' | b'%'));
        has_marks
            && !self.site.is_leaving
            && self.site.open < self.site.connections_max
            && Upgrade::parse(request).is_ok()
    }

    /// Writes the answer to a request into the scratch, unless it is refused.
    fn answer(&mut self, key: Key, request: Request<'_>) -> Answer {
        if self.site.is_leaving {
            return Answer::Refuse(Refusal::Draining {
                retry_after_s: limits::RETRY_AFTER_S,
            });
        }
        match request.target().path() {
            HEALTH_PATH if request.method() != "GET" => Answer::Refuse(Refusal::MethodNotAllowed),
            HEALTH_PATH => {
                write_ok(self.site.health(), &mut self.site.frame);
                Answer::Say
            }
            path if self.site.service == Service::Echo || path == FEED_PATH => {
                self.open(key, request).map_or_else(Answer::Refuse, Answer::Open)
            }
            _ => Answer::Refuse(Refusal::NotFound),
        }
    }

    fn open(&mut self, key: Key, request: Request<'_>) -> Result<Option<Deflate>, Refusal> {
        let upgrade = Upgrade::parse(request)?;
        let protocol = match self.site.service {
            Service::Feed => choose(&upgrade, self.site.protocols())?,
            Service::Echo => None,
        };
        if self.site.open >= self.site.connections_max {
            return Err(Refusal::Overloaded {
                retry_after_s: limits::RETRY_AFTER_S,
            });
        }
        let binary = protocol.is_some_and(|protocol| protocol.name() == Encoding::Binary.subprotocol());
        // What is written in binary is short and looks random: it is not compressed, so that the extension is not agreed
        // on. An offer may go unanswered (RFC 6455 §9.1).
        let policy = self.site.deflate.filter(|_| !binary);
        let deflate = policy.and_then(|policy| upgrade.deflate(&policy));
        upgrade.accept(protocol, deflate, &mut self.site.frame);
        match self.site.service {
            Service::Feed => {
                match self.site.track_binary {
                    Some(track) if binary => self.hub.enter(key, track),
                    _ if deflate.is_some() => self.hub.enter(key, self.site.track_deflated),
                    _ => {}
                }
                self.welcome(key, request);
            }
            Service::Echo => {}
        }
        Ok(deflate)
    }

    /// What a request for a connection must wait for, because it names derived channels.
    fn derive_before(
        &mut self,
        key: Key,
        under_way: &mut u8,
        has_asked: &mut bool,
        request: Request<'_>,
    ) -> Option<Pause> {
        let target = request.target();
        let is_plain = target.query().is_empty() || target.path() != FEED_PATH;
        if is_plain || self.site.service != Service::Feed || self.site.is_leaving {
            return None;
        }
        match Command::from_query(target.query()) {
            Ok(Some(command)) => self.derive_first(key, under_way, has_asked, &command),
            Ok(None) | Err(_) => None,
        }
    }

    /// What a subscriber is told first: who we are, and what became of the wishes in its request.
    fn welcome(&mut self, key: Key, request: Request<'_>) {
        self.hello();
        match Command::from_query(request.target().query()) {
            Ok(None) => {}
            Ok(Some(command)) => self.obey(key, &command),
            Err(CommandError { code, message, .. }) => self.error(None, code, &message),
        }
    }

    /// The first message: who we are and what we allow.
    fn hello(&mut self) {
        self.site.opened += 1;
        let name = format!("{}-{:x}", self.site.shard, self.site.opened);
        let hello = Hello {
            connection: &name,
            epoch: &self.site.epoch,
            time_ns: self.now.wall_ns,
            heartbeat_ms: self.site.heartbeat_ms,
            limits: HelloLimits {
                subscriptions: limits::SUBSCRIPTIONS_PER_CONNECTION_MAX,
                message_bytes: self.site.message_bytes_max.into(),
                requests_per_s: Some(limits::COMMANDS_PER_SECOND_MAX.into()),
            },
            classes: &self.site.classes,
        };
        self.site.text.clear();
        hello.write_to(&mut self.site.text);
        self.site.frame_text();
    }

    fn refuse(&mut self, connection: &mut Connection, refusal: Refusal) -> Verdict {
        self.site.frame.clear();
        refusal.write(&mut self.site.frame);
        self.say(
            connection,
            if matches!(refusal, Refusal::Overloaded { .. } | Refusal::Draining { .. }) {
                Verdict::Refused
            } else {
                Verdict::Finish
            },
        )
    }

    /// What is in the scratch is owed to the connection; one that cannot even be owed that is dropped.
    fn say(&mut self, connection: &mut Connection, verdict: Verdict) -> Verdict {
        match self.outboxes.append(&mut connection.outbox, &self.site.frame) {
            Ok(()) => verdict,
            Err(_) => Verdict::HangUp,
        }
    }
}

impl<R: Ring> Shard<R> {
    /// A handshake took too long. Whoever has begun a request is told so.
    pub(super) fn refuse_late(&mut self, key: Key, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let silent = matches!(connection.stage, Stage::Handshake { scan } if scan == Default::default());
        if silent {
            return self.hang_up(key);
        }
        self.refuse(key, Refusal::RequestTimeout, now);
    }

    /// Answers a request head, whole or not, with why it gets no connection.
    pub(super) fn refuse(&mut self, key: Key, refusal: Refusal, now: Now) {
        let Some(connection) = self.connections.slots.get_mut(key) else {
            return;
        };
        let mut desk = Desk {
            tape: &self.tape,
            hub: &mut self.hub,
            outboxes: &mut self.connections.outboxes,
            errands: &mut self.errands,
            openings: &mut self.openings,
            site: &mut self.site,
            now,
        };
        let verdict = desk.refuse(connection, refusal);
        self.conclude(key, verdict, Ok(()), now);
    }

    /// The connection is open: from now on its timer is for visits.
    pub(super) fn opened(&mut self, key: Key, now: Now) {
        self.visit(key, now);
    }
}

/// What a request comes to.
enum Answer {
    /// A connection, on which this was agreed; the scratch holds what it is told first.
    Open(Option<Deflate>),
    /// The response in the scratch.
    Say,
    /// This refusal.
    Refuse(Refusal),
}

/// The language to speak: the client's first choice among those that are spoken, and JSON where it has none.
fn choose<'b>(
    upgrade: &Upgrade<'b>,
    supported: &'static [&'static str],
) -> Result<Option<Protocol<'b>>, Refusal> {
    let spoken = upgrade
        .protocols()
        .find(|protocol| supported.contains(&protocol.name()));
    match spoken {
        None if upgrade.protocols().next().is_some() => Err(Refusal::ProtocolUnsupported { supported }),
        spoken => Ok(spoken),
    }
}
