//! Bombs, endless heads and ten thousand half-open handshakes, next to clients that only want their ticks: what the
//! server's memory comes to, and what those others notice.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::{io, thread};

use tickwire::control::{Config, EchoConfig, Resolved};
use tickwire::limits;
use tickwire::ring::descriptors::raise_descriptor_limit;
use tickwire::writer::source::SourceSpec;

use crate::bystander::Bystander;
use crate::compressed::zeros;
use crate::floods::{CALM_PINGS, compare, report};
use crate::scene::cannot_serve;
use crate::scene::process::Process;
use crate::scene::raw::{BINARY, FIN, Raw, UPGRADE, masked};

#[test]
fn ten_thousand_half_open_handshakes_shut_nobody_out() {
    if cannot_serve() || cannot_hold(HALF_OPEN) {
        return;
    }
    for connections in [None, NonZeroUsize::new(FEWER)] {
        half_open(connections);
    }
}

/// Where slots are plenty, and where they are not.
fn half_open(connections: Option<NonZeroUsize>) {
    let config = Config {
        connections,
        track_bytes: limits::TRACK_BYTES_MIN,
        shards: NonZeroUsize::new(SHARDS),
        ..Config::new(any_port(), SourceSpec::Sim { seed: 1 })
    };
    let plan = Plan::new(
        &config
            .clone()
            .resolve()
            .expect("what a test asks for can be given"),
    );
    let most = connections.map_or(String::new(), |most| format!("--connections {most}"));
    let mut process = Process::start(&format!(
        "serve --source sim --listen 127.0.0.1:0 --shards {SHARDS} --tape-bytes {} {most}",
        limits::TRACK_BYTES_MIN
    ));
    let address = process.address();
    let bystander = Bystander::begin(address);
    bystander.answered(CALM_PINGS);
    let mut memory = Memory::before(&process);
    let descriptors = process.descriptors();
    bystander.attacked();
    let knocking = knock(address);
    memory.look(&process);
    let at_peak = process.descriptors() - descriptors;
    come_in(address, &bystander);
    let ends = Ends::of(knocking);
    memory.look(&process);
    bystander.answered(1);
    let [calm, attacked] = bystander.end();
    assert!(calm.ticks > 0 && attacked.ticks > 0);
    assert_eq!(ends.late + ends.overloaded + ends.dropped, HALF_OPEN, "{ends:?}");
    report(&format!(
        "{HALF_OPEN} half-open handshakes, {} connections a shard: {at_peak} descriptors at the peak; answered 408: {}, \
         503: {}, dropped: {}; newcomers served meanwhile: {NEWCOMERS} of {NEWCOMERS}\n    memory: {}\n    a bystander: {}",
        plan.connections,
        ends.late,
        ends.overloaded,
        ends.dropped,
        memory.held_to(&process, &plan),
        compare(&calm, &attacked)
    ));
}

/// Clients that each send half a request, all of them there at once.
fn knock(address: SocketAddr) -> Vec<Raw> {
    (0..HALF_OPEN)
        .map(|_| {
            let mut raw = Raw::connect(address);
            raw.send(&UPGRADE.as_bytes()[..80]);
            raw
        })
        .collect()
}

/// Those who are quick are served, whether their request is whole at once or not.
fn come_in(address: SocketAddr, bystander: &Bystander) {
    let (first, second) = UPGRADE.split_at(30);
    let mut newcomers: Vec<Raw> = (0..NEWCOMERS).map(|_| Raw::connect(address)).collect();
    for (number, newcomer) in newcomers.iter_mut().enumerate() {
        newcomer.send(if number % 2 == 0 { UPGRADE } else { first }.as_bytes());
    }
    // By then the server has seen that.
    bystander.answered(10);
    for (number, newcomer) in newcomers.iter_mut().enumerate() {
        if number % 2 == 1 {
            newcomer.send(second.as_bytes());
        }
        newcomer.opened();
        assert!(newcomer.frame().text().starts_with("{\"t\":\"hello\""));
    }
}

/// How half-open handshakes ended.
#[derive(Debug, Default)]
struct Ends {
    /// Their time was up.
    late: usize,
    /// Their block went to somebody else.
    overloaded: usize,
    /// Their slot did.
    dropped: usize,
}

impl Ends {
    fn of(knocking: Vec<Raw>) -> Self {
        let mut ends = Self::default();
        for mut raw in knocking {
            let response = raw.rest();
            match response.get(9..12) {
                Some(b"408") => ends.late += 1,
                Some(b"503") => ends.overloaded += 1,
                None if response.is_empty() => ends.dropped += 1,
                _ => panic!("{}", response.escape_ascii()),
            }
        }
        ends
    }
}

#[test]
fn bombs_and_endless_heads_cost_a_feed_what_was_planned() {
    if cannot_serve() {
        return;
    }
    let config = Config {
        connections: NonZeroUsize::new(64),
        compression: Some(limits::COMPRESSION_THRESHOLD_DEFAULT),
        track_bytes: limits::TRACK_BYTES_MIN,
        shards: NonZeroUsize::new(1),
        ..Config::new(any_port(), SourceSpec::Sim { seed: 1 })
    };
    let plan = Plan::new(&config.resolve().expect("what a test asks for can be given"));
    let mut process = Process::start(&format!(
        "serve --source sim --listen 127.0.0.1:0 --shards 1 --connections 64 --compression on --tape-bytes {}",
        limits::TRACK_BYTES_MIN
    ));
    let address = process.address();
    let bystander = Bystander::begin(address);
    bystander.answered(CALM_PINGS);
    let mut memory = Memory::before(&process);
    bystander.attacked();
    let bombs = [MESSAGE_BYTES, 10 << 20].map(|bytes| masked(FIN | RSV1 | BINARY, &zeros(bytes)));
    let head = format!("{}X: {}", &UPGRADE[..UPGRADE.len() - 2], "y".repeat(1 << 20));
    for _ in 0..4 {
        thread::scope(|scope| {
            for bomb in &bombs {
                for _ in 0..4 {
                    scope.spawn(|| explode(address, bomb));
                }
            }
            for _ in 0..8 {
                scope.spawn(|| never_end(address, head.as_bytes()));
            }
        });
        memory.look(&process);
    }
    bystander.answered(1);
    let [calm, attacked] = bystander.end();
    assert!(calm.ticks > 0 && attacked.ticks > 0);
    report(&format!(
        "32 bombs of 64 KiB to 64 MiB and of 10 MiB to 10 GiB, and 32 heads of a mebibyte, on a feed\n    memory: {}\n    \
         a bystander, on the same shard: {}",
        memory.held_to(&process, &plan),
        compare(&calm, &attacked)
    ));
}

#[test]
fn bombs_cost_an_echo_what_was_planned() {
    if cannot_serve() {
        return;
    }
    let config = EchoConfig {
        connections: NonZeroUsize::new(64),
        shards: NonZeroUsize::new(1),
        ..EchoConfig::new(any_port())
    };
    let plan = Plan::new(&config.resolve().expect("what a test asks for can be given"));
    let mut process = Process::start("echo --listen 127.0.0.1:0 --shards 1 --connections 64");
    let address = process.address();
    let mut memory = Memory::before(&process);
    // Inflates to ten gibibytes, and is let in by its length.
    let bomb = masked(FIN | RSV1 | BINARY, &zeros(10 << 20));
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| explode(address, &bomb));
        }
    });
    memory.look(&process);
    report(&format!(
        "6 bombs of 10 MiB to 10 GiB at once, on an echo of messages of 16 MiB\n    memory: {}",
        memory.held_to(&process, &plan)
    ));
}

/// Sends a message that inflates to a thousand times its length, and is told that it is too long.
fn explode(address: SocketAddr, bomb: &[u8]) {
    let mut raw = Raw::connect(address);
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    raw.send(UPGRADE.replace("\r\n\r\n", offer).as_bytes());
    let head = raw.head();
    assert!(
        head.contains("Sec-WebSocket-Extensions: permessage-deflate"),
        "{head}"
    );
    raw.send(bomb);
    assert_eq!(raw.control().closes(), (1009, "message exceeds the limit"));
    assert!(raw.is_over());
}

/// Sends a head that is too long, and is told so.
fn never_end(address: SocketAddr, head: &[u8]) {
    let mut raw = Raw::connect(address);
    raw.send(head);
    assert!(raw.head().starts_with("HTTP/1.1 431 "));
}

/// What the server's memory may come to.
#[derive(Clone, Copy, Debug)]
struct Plan {
    connections: usize,
    /// All that clients can make it use.
    shards_bytes: usize,
    /// The tape, which fills up whatever clients do; the kernel counts it once for each of its two mappings.
    tape_bytes: usize,
}

impl Plan {
    fn new(resolved: &Resolved) -> Self {
        Self {
            connections: resolved.connections_per_shard(),
            shards_bytes: resolved.shards * resolved.size().bytes_max(),
            tape_bytes: 2 * resolved.shape.bytes_max(),
        }
    }
}

/// What it is, by the kernel's count.
#[derive(Debug)]
struct Memory {
    before: usize,
    private_before: usize,
    private_peak: usize,
}

impl Memory {
    fn before(process: &Process) -> Self {
        let private = process.memory("RssAnon");
        Self {
            before: process.memory("VmRSS"),
            private_before: private,
            private_peak: private,
        }
    }

    fn look(&mut self, process: &Process) {
        self.private_peak = self.private_peak.max(process.memory("RssAnon"));
    }

    /// Holds what it has become against the plan: what is private against that of the shards, which includes nothing
    /// of the tape, and all of it, at any time, against the whole.
    fn held_to(mut self, process: &Process, plan: &Plan) -> String {
        self.look(process);
        let (peak, after) = (process.memory("VmHWM"), process.memory("VmRSS"));
        let private_grown = self.private_peak - self.private_before;
        let grown = peak.saturating_sub(self.before);
        let mib = |bytes: usize| format!("{}.{} MiB", bytes >> 20, ((bytes & 0xf_ffff) * 10) >> 20);
        let told = format!(
            "{} before, {} at its peak, {} after; private memory grew by {} of {} planned, all by {} of {} planned with the tape",
            mib(self.before),
            mib(peak),
            mib(after),
            mib(private_grown),
            mib(plan.shards_bytes),
            mib(grown),
            mib(plan.shards_bytes + plan.tape_bytes)
        );
        assert!(private_grown <= plan.shards_bytes, "{told}");
        assert!(grown <= plan.shards_bytes + plan.tape_bytes, "{told}");
        told
    }
}

/// Whether this process and its child may not hold so many connections each; says so where that is the case.
fn cannot_hold(connections: usize) -> bool {
    let needed = connections as u64 + SPARE_DESCRIPTORS;
    let Err(shortage) = raise_descriptor_limit(needed) else {
        return false;
    };
    // Around the test runner, which keeps what a test that passes prints to itself.
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("!!!! SKIPPED: {shortage}\n"));
    true
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

const RSV1: u8 = 0x40;
const HALF_OPEN: usize = 10_000;
const SHARDS: usize = 2;
/// Slots of a shard where there are far fewer than half-open handshakes.
const FEWER: usize = 2_000;
const NEWCOMERS: usize = 100;
/// Less than this is left for the other tests of this process, and for the server's own.
const SPARE_DESCRIPTORS: u64 = 2_000;
const MESSAGE_BYTES: usize = limits::MESSAGE_BYTES_MAX;
