//! A real recording, followed by hundreds of clients who come, stall, drop and come back, on servers that are killed:
//! each ends with exactly what was published, and was told of everything that it was not sent.
//!
//! Two hundred clients on the simulated ring, one run for each seed, and fifty on a real server. Both are judged by the
//! same [`follower`], which shares nothing with the server but the protocol and what is configured of channels: these are of
//! any class and policy that they can be of. The recording is the one that
//! `TICKWIRE_CAPTURE` names, or the project's own where it is at hand.
//!
//! `TICKWIRE_SEEDS=10000 cargo test --release --test oracle` runs so many seeds, and `TICKWIRE_SEED=42` replays one;
//! with `TICKWIRE_KILLS=100` the real server is killed as often as that, and the recording is published whole.

#![allow(
    clippy::cast_possible_truncation,
    clippy::disallowed_types,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test: its numbers are small, its threads are not the server's, and a surprise is to end it"
)]

mod book;
mod capture;
mod client;
mod follower;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../simulation/frames.rs"]
mod frames;
mod live;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../simulation/manners.rs"]
mod manners;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../recording/mod.rs"]
mod recording;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../scene/mod.rs"]
mod scene;
#[path = "../simulation/seeds.rs"]
mod seeds;
mod tick;
mod truth;
mod wire;
mod world;

use follower::Counts;
use live::Play;
use manners::Configuration;
use seeds::{NameOnPanic, seeds};
use tickwire::market::ChannelClass;
use tickwire::ring::Faults;
use tickwire::shard::{Policy, Slack, Terms};
use world::World;

fn run_all(faults: Faults) {
    let Some(events) = capture::events() else { return };
    let mut counts = Counts::default();
    let seeds = seeds(SEEDS);
    for &seed in &seeds {
        let _named = NameOnPanic { seed, what: "a run" };
        counts.add(&World::of_many(seed, faults, events).run());
    }
    eprintln!("{} runs: {counts:?}", seeds.len());
    let happened = [counts.gapped, counts.skipped, counts.replays, counts.resumed_anew];
    // Rarer: they need a channel of another class, or one where nobody may be behind.
    let rarely = [counts.reclassed_gapped, counts.reclassed_skipped, counts.disposed];
    assert!(
        seeds.len() < SEEDS as usize
            || happened.iter().all(|count| *count > 100) && rarely.iter().all(|count| *count > 20),
        "the runs have clients that fall far behind and come back, whatever the classes: {counts:?}"
    );
}

#[test]
fn two_hundred_clients_end_with_what_was_recorded_however_short_or_late_the_kernel_is() {
    run_all(Faults::lossless());
}

#[test]
fn two_hundred_clients_end_with_what_was_recorded_whatever_is_reset() {
    run_all(Faults::all());
}

#[test]
fn who_reads_a_hundredth_of_what_is_published_has_the_present_state_whenever_it_reads() {
    let Some(events) = capture::events() else { return };
    for seed in 0..3 {
        let _named = NameOnPanic { seed, what: "a run" };
        let [steady, rare] = World::of_two(seed, events).run_with_pauses(2, 28_000);
        eprintln!("steady: {steady:?}; now and then: {rare:?}");
        assert!(rare.ticks * 50 < steady.ticks, "{rare:?} of {steady:?}");
        assert!(rare.gapped > 0 && rare.skipped > 0, "{rare:?}");
    }
}

/// Fifty clients of real servers that are killed so often unless the environment says otherwise, and what has happened to them.
fn fifty(name: &str, kills: usize, configuration: Configuration) -> Option<Counts> {
    if scene::cannot_serve() {
        return None;
    }
    let events = capture::events()?;
    let asked = std::env::var("TICKWIRE_KILLS").ok();
    let asked = asked.map(|kills| kills.parse().expect("TICKWIRE_KILLS is a number"));
    let events = if asked.is_some() { events } else { &events[..8_000] };
    let counts = Play::new(name, events, 500, configuration).run(asked.unwrap_or(kills));
    eprintln!("{} events: {counts:?}", events.len());
    assert!(counts.replays > 0, "somebody has resumed: {counts:?}");
    Some(counts)
}

#[test]
fn fifty_clients_of_a_server_that_is_killed_notice_nothing_but_reconnects() {
    fifty("killed", 3, Configuration::default());
}

#[test]
fn fifty_clients_of_a_server_whose_channels_are_of_other_classes_notice_no_more_when_it_is_killed() {
    let terms = |policy| Terms {
        policy,
        slack: Slack {
            ms: 50,
            bytes: 16 * 1024,
        },
    };
    let configuration = Configuration::default()
        .saying("*", None, terms(None))
        .saying("bbo:*", Some(ChannelClass::Append), terms(None))
        .saying("room:1", Some(ChannelClass::Replace), terms(None))
        .saying("trade:*", Some(ChannelClass::Replace), terms(Some(Policy::Gap)));
    if let Some(counts) = fifty("reclassed", 2, configuration) {
        assert!(counts.reclassed > 1000, "{counts:?}");
    }
}

/// Where nothing else is asked for.
const SEEDS: u64 = 40;
