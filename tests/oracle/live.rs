//! Fifty followers of a real server that is killed in the middle of everything, and a publisher who hears what was taken.
//!
//! The publisher says again, with the same key, whatever was not acknowledged when a server died. So every event of the
//! recording is published once and in order, or something is wrong: what each number stands for is known beforehand.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tickwire::base::Prng;
use tickwire::shard::{Policy, Terms};

use super::capture::Event;
use super::follower::Counts;
use super::manners::{Configuration, Said};
use super::scene::DEADLINE;
use super::scene::folder::Folder;
use super::scene::process::{Process, own_host};
use super::truth::Truth;
use super::wire::Wire;

/// Followers.
const CLIENTS: u64 = 50;
/// Lines under way at once.
const WINDOW: usize = 256;

/// A run: what is published, where, and how far it has come.
pub struct Play {
    folder: Folder,
    events: Vec<Event>,
    /// The number of each event.
    seqs: Vec<u64>,
    truth: Truth,
    standing: Mutex<Standing>,
    changed: Condvar,
}

#[derive(Default)]
struct Standing {
    /// Where the server is, while there is one, and how many there were.
    address: Option<SocketAddr>,
    servers: u64,
    /// Events that were acknowledged.
    acked: usize,
}

impl Play {
    /// So many messages beside what was recorded, on servers that are told this of channels.
    pub fn new(name: &str, recorded: &[Event], messages: usize, configuration: Configuration) -> Self {
        let folder = Folder::new(&format!("oracle-{name}"));
        std::fs::create_dir_all(folder.path()).expect("there is room for a folder");
        std::fs::write(folder.path().join("config"), file(&configuration)).expect("there is room for a file");
        let mut truth = Truth::of(configuration);
        let (mut events, mut seqs) = (Vec::new(), Vec::new());
        let every = recorded.len() / messages.max(1);
        for (index, event) in recorded.iter().enumerate() {
            let message = (index % every == 0).then(|| Event::Message(format!("{{\"n\":{index}}}")));
            for event in message.into_iter().chain([event.clone()]) {
                seqs.push(truth.publish(&event));
                events.push(event);
            }
        }
        Self {
            folder,
            events,
            seqs,
            truth,
            standing: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Publishes everything, kills the server so often meanwhile, and gives what has happened to the followers.
    pub fn run(&self, kills: usize) -> Counts {
        let mut counts = Counts::default();
        thread::scope(|scope| {
            let followers: Vec<_> = (0..CLIENTS)
                .map(|seed| scope.spawn(move || self.follow(seed)))
                .collect();
            let publisher = scope.spawn(|| self.publish());
            let mut server = self.start(&own_host(90));
            let address = self.standing().address.expect("it serves");
            for kill in 1..=kills {
                // Not at the same step of a batch each time.
                let due = self.events.len() * kill / (kills + 1) + kill * 37 % 101;
                drop(self.wait_until(|standing| standing.acked >= due.min(self.events.len())));
                self.standing().address = None;
                server.signal("KILL");
                drop(server.wait());
                server = self.start(&address.to_string());
            }
            publisher.join().expect("everything is published");
            for follower in followers {
                counts.add(&follower.join().expect("every follower ends with everything"));
            }
            server.signal("TERM");
            assert!(server.wait().status.success());
        });
        counts
    }

    fn start(&self, listen: &str) -> Process {
        let folder = self.folder.display();
        let (server, address) = Process::again(|| {
            Process::start(&format!(
                "serve --config {folder}/config --source none --ingest unix:{folder}/publish --listen {listen} --shards 2 --connections 256 \
             --binary on --compression on --tape-records 8192 --journal {folder}/journal --journal-sync each \
             --journal-segment 1M"
            ))
        });
        let mut standing = self.standing();
        standing.address = Some(address);
        standing.servers += 1;
        self.changed.notify_all();
        drop(standing);
        server
    }

    /// Sends every event until it is acknowledged.
    fn publish(&self) {
        let mut server = 0;
        loop {
            let standing =
                self.wait_until(|standing| standing.address.is_some() && standing.servers > server);
            server = standing.servers;
            drop(standing);
            if self.publish_to(server) {
                return;
            }
        }
    }

    /// The same to one server; says whether everything was acknowledged before it died.
    fn publish_to(&self, server: u64) -> bool {
        let Ok(stream) = UnixStream::connect(self.folder.path().join("publish")) else {
            assert!(self.is_dead(server), "a server that serves takes publishers");
            return false;
        };
        stream.set_read_timeout(Some(DEADLINE)).expect("a read timeout");
        let mut writer = stream.try_clone().expect("a descriptor");
        let mut acks = BufReader::new(stream).lines();
        loop {
            let first = self.standing().acked;
            let last = (first + WINDOW).min(self.events.len());
            if first == last {
                return true;
            }
            let lines: String = (first..last)
                .map(|index| line(index, &self.events[index]))
                .collect();
            if writer.write_all(lines.as_bytes()).is_err() {
                return false;
            }
            for index in first..last {
                let Some(Ok(ack)) = acks.next() else { return false };
                let ack: Value = serde_json::from_str(&ack).unwrap_or_else(|error| panic!("{error}: {ack}"));
                let channel = self.events[index].channel();
                let expected = json!({"t": "ack", "id": index, "ch": channel, "seq": self.seqs[index]});
                assert_eq!(ack, expected);
                self.standing().acked = index + 1;
                self.changed.notify_all();
            }
        }
    }

    fn is_dead(&self, server: u64) -> bool {
        let standing = self.standing();
        standing.address.is_none() || standing.servers > server
    }

    /// One follower, until it has everything.
    fn follow(&self, seed: u64) -> Counts {
        let mut prng = Prng::new(seed);
        let mut wire = Wire::new(Prng::new(prng.next_u64()));
        loop {
            let standing = self.wait_until(|standing| standing.address.is_some());
            let address = standing.address.expect("it was waited for");
            drop(standing);
            let Ok(stream) = TcpStream::connect(address) else {
                continue;
            };
            wire.begin();
            if self.follow_on(stream, &mut wire, &mut prng) {
                wire.follower.check(&self.truth);
                return wire.follower.counts;
            }
        }
    }

    /// Follows on one connection; says whether it has everything.
    fn follow_on(&self, mut stream: TcpStream, wire: &mut Wire, prng: &mut Prng) -> bool {
        stream.set_read_timeout(Some(LOOK)).expect("a read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("a write timeout");
        let mut bytes = vec![0; 64 * 1024];
        loop {
            if stream.write_all(&std::mem::take(&mut wire.outgoing)).is_err() {
                return false;
            }
            match stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(count) => wire.incoming.extend_from_slice(&bytes[..count]),
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            wire.digest(&self.truth);
            let acked = self.standing().acked;
            if acked == self.events.len() {
                if !wire.closing && wire.follower.is_complete(&self.truth) {
                    return true;
                }
            } else if !wire.closing && !self.act(wire, prng, acked) {
                return false;
            }
        }
    }

    /// Does something, or nothing. False when it hangs up.
    fn act(&self, wire: &mut Wire, prng: &mut Prng, acked: usize) -> bool {
        match prng.below(400) {
            0..=3 => wire.subscribe(),
            4..=6 => wire.unsubscribe(),
            // It reads nothing for a while.
            7..=9 => {
                let until = (acked + prng.below(20_000) as usize).min(self.events.len());
                drop(self.wait_until(|standing| standing.acked >= until || standing.address.is_none()));
            }
            10 => wire.say_goodbye(),
            11 => return false,
            _ => {}
        }
        true
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().expect("nobody has failed")
    }

    fn wait_until(&self, is_due: impl Fn(&Standing) -> bool) -> MutexGuard<'_, Standing> {
        let waited = self
            .changed
            .wait_timeout_while(self.standing(), DEADLINE, |standing| !is_due(standing));
        let (standing, timeout) = waited.expect("nobody has failed");
        assert!(
            !timeout.timed_out(),
            "{} events were acknowledged",
            standing.acked
        );
        standing
    }
}

/// The configuration as a server reads it.
fn file(configuration: &Configuration) -> String {
    let mut file = String::new();
    for Said {
        pattern,
        class,
        terms: Terms { policy, slack },
    } in configuration.said()
    {
        file += &format!("[[channel]]\npattern = \"{pattern}\"\n");
        if let Some(class) = class {
            file += &format!("class = \"{}\"\n", class.as_str());
        }
        if let Some(policy) = policy {
            let policy = match policy {
                Policy::Conflate => "conflate",
                Policy::Gap => "gap",
                Policy::Disconnect => "disconnect",
            };
            file += &format!("policy = \"{policy}\"\n");
        }
        file += &format!("behind_ms = {}\nbehind_bytes = \"{}\"\n", slack.ms, slack.bytes);
    }
    file
}

/// An event as a publisher says it: its index is its name and its key.
fn line(index: usize, event: &Event) -> String {
    let mut line = json!({"ch": event.channel(), "id": index, "key": format!("event-{index}")});
    let fields: &[(&str, Value)] = &match event {
        Event::Trade([px, sz, side, tid]) => vec![
            ("t", json!("trade")),
            ("px", json!(px)),
            ("sz", json!(sz)),
            ("side", json!(side)),
            ("tid", json!(tid)),
        ],
        Event::Quote([bp, bs, ap, r#as]) => vec![
            ("t", json!("bbo")),
            ("bp", json!(bp)),
            ("bs", json!(bs)),
            ("ap", json!(ap)),
            ("as", json!(r#as)),
        ],
        Event::Delta([b, a]) => {
            vec![
                ("t", json!("book")),
                ("k", json!("delta")),
                ("b", json!(b)),
                ("a", json!(a)),
            ]
        }
        // Its text is to arrive as it is.
        Event::Message(data) => {
            let ch = event.channel();
            return format!(
                "{{\"ch\":\"{ch}\",\"t\":\"msg\",\"id\":{index},\"key\":\"event-{index}\",\"data\":{data}}}\n"
            );
        }
    };
    for (name, value) in fields {
        line[*name] = value.clone();
    }
    format!("{line}\n")
}

/// How long a follower waits for bytes before it looks whether all is over.
const LOOK: Duration = Duration::from_millis(20);
