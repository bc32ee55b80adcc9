//! What a shard's turn costs in instructions, per frame: the shard, the tape and the hub as they are, on simulated
//! sockets.
//!
//! It does one thing (see [`SCENARIOS`]) some times over, and says how many frames that was. `benches/instructions/run`
//! runs it under callgrind, counts what runs within `counted_turn`, and leaves out what does within `uncounted`: the simulator.
//! Built as the server is, but for the allocator.

mod stage;

use stage::{Stage, TRADE, WANTED};

/// A name, what is counted by, and what is done; it gives how many of these there were.
type Scenario = (&'static str, &'static str, fn() -> u64);

const SCENARIOS: &[Scenario] = &[
    ("one tick, 1 subscriber", "frame delivered", || fan_out(1, 64, 1)),
    ("one tick", "frame delivered", || fan_out(SUBSCRIBERS, 4, 1)),
    ("burst of 8", "frame delivered", || fan_out(SUBSCRIBERS, 2, 8)),
    ("burst of 32", "frame delivered", || fan_out(SUBSCRIBERS, 2, 32)),
    ("burst of 32 on 4 channels to *", "frame delivered", || {
        mixed("*", 32, 1)
    }),
    ("burst of 32 on 4 channels to one", "frame delivered", || {
        mixed(TRADE, 32, 4)
    }),
    ("4 ranges of 1 frame", "frame delivered", || ranges(4)),
    ("one tick, 10% blocked", "frame delivered", || blocked(10, 1)),
    ("one tick, 50% blocked", "frame delivered", || blocked(50, 1)),
    ("burst of 32, 50% blocked", "frame delivered", || blocked(50, 32)),
    ("records that nobody wants", "record", nobody),
    ("commands: ping", "frame received", || {
        commands(r#"{"op":"ping","id":7}"#)
    }),
    ("commands: sub and unsub", "frame received", subscriptions),
    ("pings", "frame received", || controls(9)),
    ("pongs", "frame received", || controls(10)),
    ("connections", "opening handshake", connections),
];

/// Who wants what is published, unless it says otherwise.
const SUBSCRIBERS: usize = 1000;

fn main() {
    let wanted = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    for (name, unit, run) in SCENARIOS {
        match &wanted {
            None => println!("{name}"),
            Some(wanted) if wanted == name => println!("{} {unit}", run()),
            Some(_) => {}
        }
    }
}

/// So many ticks of one channel at once, some times over.
fn fan_out(subscribers: usize, rounds: u64, ticks: u64) -> u64 {
    let mut stage = Stage::of(subscribers, TRADE);
    stage.count(rounds, |stage| {
        for _ in 0..ticks {
            stage.publish(TRADE);
        }
    });
    delivered(&stage, subscribers as u64 * rounds * ticks)
}

/// A burst in which four channels take turns.
fn mixed(wanted: &str, ticks: u64, one_in: u64) -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, wanted);
    let channels = [TRADE, "bbo:X", "trade:Y", "note:X"];
    stage.count(2, |stage| {
        for channel in channels.iter().cycle().take(usize::try_from(ticks).unwrap_or(0)) {
            stage.publish(channel);
        }
    });
    // Who wants one of the four gets four of its eight from broadcast, and is caught up with the others.
    delivered(&stage, SUBSCRIBERS as u64 * 2 * ticks / one_in)
}

/// As many ranges for each as there are ticks: a frame that nobody wants is between any two.
fn ranges(ticks: u64) -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, TRADE);
    stage.count(4, |stage| {
        for _ in 0..ticks {
            stage.publish(TRADE);
            stage.publish("note:X");
        }
    });
    delivered(&stage, SUBSCRIBERS as u64 * 4 * ticks)
}

/// While some of the subscribers read nothing, spread among the others.
fn blocked(percent: usize, ticks: u64) -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, TRADE);
    let stopped = stage.stop_reading(percent);
    stage.count(4, |stage| {
        for _ in 0..ticks {
            stage.publish(TRADE);
        }
    });
    delivered(&stage, (SUBSCRIBERS - stopped) as u64 * 4 * ticks)
}

fn nobody() -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, WANTED);
    let before = stage.frames();
    stage.count(10, |stage| {
        for _ in 0..100 {
            stage.publish(TRADE);
        }
    });
    assert_eq!(stage.frames(), before, "nobody was sent anything");
    1000
}

/// Everybody says the same thing, and is answered.
fn commands(text: &str) -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, WANTED);
    stage.count(4, |stage| stage.say(1, text.as_bytes()));
    delivered(&stage, 4 * SUBSCRIBERS as u64)
}

/// Everybody subscribes to a quote, is sent its image, and ends the subscription.
fn subscriptions() -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, WANTED);
    stage.publish("bbo:X");
    stage.rest();
    for _ in 0..2 {
        stage.count(1, |stage| {
            stage.say(1, br#"{"op":"sub","id":7,"ch":["bbo:X"]}"#);
        });
        stage.count(1, |stage| {
            stage.say(1, br#"{"op":"unsub","id":8,"ch":["bbo:X"]}"#);
        });
    }
    // Two acknowledgements and an image for every two commands.
    delivered(&stage, 2 * 3 * SUBSCRIBERS as u64) / 3 * 2
}

/// Everybody sends a control frame; only a ping is answered.
fn controls(opcode: u8) -> u64 {
    let mut stage = Stage::of(SUBSCRIBERS, WANTED);
    let before = stage.frames();
    stage.count(4, |stage| stage.say(opcode, b"12345678"));
    let answers = stage.frames() - before;
    let sent = 4 * SUBSCRIBERS as u64;
    assert_eq!(answers, if opcode == 9 { sent } else { 0 });
    sent
}

fn connections() -> u64 {
    let mut stage = Stage::of(0, TRADE);
    let opened = 500;
    stage.count(1, |stage| stage.connect(opened, TRADE));
    opened as u64
}

/// Checks that so many frames were delivered while counting.
fn delivered(stage: &Stage, frames: u64) -> u64 {
    assert_eq!(stage.counted_frames, frames, "frames delivered");
    frames
}
