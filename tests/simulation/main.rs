//! Whole servers on the simulator: shards, tape and sequencer as they are, sockets and time simulated, every fault
//! that a kernel or a network may commit.
//!
//! Each seed is a run of its own: how many shards and clients, what these ask for and when, how they read, what goes
//! wrong. At the end every client's stream is held against an oracle that shares nothing with the server but the
//! events that went in.
//!
//! `TICKWIRE_SEEDS=1000 cargo test --release --test simulation` runs so many seeds; `TICKWIRE_SEED=42` replays one.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test: its numbers are small, and a surprise is to end it"
)]

mod client;
mod echo;
mod fairness;
mod frames;
#[allow(dead_code, reason = "each test uses its part")]
mod manners;
mod oracle;
mod publishers;
mod seeds;
mod world;

use echo::Echo;
use publishers::Hall;
use seeds::{NameOnPanic, seeds};
use std::sync::atomic::Ordering;
use tickwire::ring::Faults;
use world::{CONFLATED, DERIVED, DISPOSED, LAPSED, World};

/// Runs every seed with these faults, and names the one that fails.
fn run_all(faults: Faults, what: &str) {
    for seed in seeds(SEEDS) {
        let _named = NameOnPanic { seed, what };
        World::new(seed, faults).run();
    }
}

/// The same with an echo.
fn echo_all(faults: Faults, what: &str) {
    for seed in seeds(SEEDS) {
        let _named = NameOnPanic { seed, what };
        Echo::new(seed, faults).run();
    }
}

#[test]
fn without_faults_every_client_gets_what_it_asked_for() {
    run_all(
        Faults::default(),
        "without_faults_every_client_gets_what_it_asked_for",
    );
}

#[test]
fn short_reads_and_sends_and_late_completions_lose_nothing() {
    run_all(
        Faults::lossless(),
        "short_reads_and_sends_and_late_completions_lose_nothing",
    );
    let derived = DERIVED.load(Ordering::Relaxed);
    assert!(
        seeds(SEEDS).len() < SEEDS as usize || derived > 1000,
        "channels are derived: {derived}"
    );
    let counts = [&CONFLATED, &LAPSED, &DISPOSED].map(|count| count.load(Ordering::Relaxed));
    let [conflated, lapsed, disposed] = counts;
    eprintln!(
        "clients skipped ahead {conflated} times, gave something up {lapsed} times, were closed {disposed} times"
    );
    assert!(
        seeds(SEEDS).len() < SEEDS as usize || conflated > 100 && lapsed > 100 && disposed > 10,
        "the runs have clients that fall far behind: {counts:?}"
    );
}

#[test]
fn resets_at_any_moment_harm_nobody_else() {
    run_all(Faults::all(), "resets_at_any_moment_harm_nobody_else");
}

#[test]
fn an_echo_loses_nothing_whatever_is_short_or_late() {
    echo_all(
        Faults::lossless(),
        "an_echo_loses_nothing_whatever_is_short_or_late",
    );
}

#[test]
fn an_echo_outlives_resets_at_any_moment() {
    echo_all(Faults::all(), "an_echo_outlives_resets_at_any_moment");
}

#[test]
fn who_publishes_is_acknowledged_in_order_and_every_message_is_published_once() {
    let what = "who_publishes_is_acknowledged_in_order_and_every_message_is_published_once";
    for (seed, faults) in seeds(SEEDS)
        .into_iter()
        .zip([Faults::default(), Faults::lossless()].into_iter().cycle())
    {
        let _named = NameOnPanic { seed, what };
        Hall::new(seed, faults).run();
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 17] {
        let runs = [0, 1].map(|_| World::new(seed, Faults::all()).run());
        assert_eq!(runs[0], runs[1], "seed {seed}");
    }
}

/// Where nothing else is asked for.
const SEEDS: u64 = 60;
