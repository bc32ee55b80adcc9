//! What a plan says, and that it adds up.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use super::*;
use crate::control::machine::tests::machine;
use crate::control::{Config, EchoConfig};
use crate::ring::Descriptors;
use crate::writer::source::SourceSpec;

fn config(connections: usize) -> Config {
    Config {
        shards: NonZeroUsize::new(2),
        connections: NonZeroUsize::new(connections),
        ..Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), SourceSpec::Sim { seed: 1 })
    }
}

fn plan(connections: usize) -> Plan {
    config(connections).draft().unwrap().plan()
}

#[test]
fn the_total_is_the_sum_of_its_lines_and_of_its_parts() {
    let echo = EchoConfig::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    for plan in [plan(1000), echo.draft().unwrap().plan()] {
        let lines: usize = plan.costs().iter().map(|cost| cost.count * cost.bytes_each).sum();
        assert_eq!(plan.total(), Bytes::of(lines));
        let parts: u64 = Part::ALL.iter().map(|part| plan.part(*part).0).sum();
        assert_eq!(plan.total(), Bytes(parts));
        let json = plan.json();
        let items = json["items"].as_array().unwrap().iter();
        let told: u64 = items.map(|item| item["bytes"].as_u64().unwrap()).sum();
        assert_eq!(json["bytes"].as_u64(), Some(told));
    }
}

#[test]
fn what_a_connection_adds_is_its_slot_and_its_subscriptions() {
    let (some, more) = (plan(100_000), plan(200_000));
    let slots = |plan: &Plan| 2 * (plan.resolved.connections_per_shard() + limits::REFUSALS_PER_SHARD);
    for part in Part::ALL {
        if part == Part::Working {
            continue;
        }
        let grown = more.part(part).0 - some.part(part).0;
        let expected = match part {
            Part::Slots => (slots(&more) - slots(&some)) * shard::SLOT_BYTES,
            Part::Subscriptions => {
                let each = limits::SUBSCRIPTIONS_PER_CONNECTION_PLANNED
                    * (shard::IDLE_CONNECTION_BYTES - shard::SLOT_BYTES);
                (slots(&more) - slots(&some)) * each
            }
            Part::Working | Part::Pools | Part::Rings | Part::Tape | Part::Stacks | Part::Program => 0,
        };
        assert_eq!(grown, expected as u64, "{part:?}");
    }
}

#[test]
fn a_plan_beyond_what_was_allowed_is_refused_with_what_would_fit() {
    let needed = plan(10_000).total();
    let allowing = |memory| Config {
        memory: Some(memory),
        ..config(10_000)
    };
    assert!(allowing(needed).draft().unwrap().plan().check().is_ok());
    let tight = allowing(Bytes(needed.0 - 1)).draft().unwrap().plan();
    let Err(StartError::Memory(shortage)) = tight.check() else {
        panic!("a byte is missing");
    };
    assert!(shortage.connections < 10_000);
    let fitting = tight.resolved.with_connections(shortage.connections).plan();
    assert!(fitting.check().is_ok());
    let line = shortage.to_string();
    for part in [
        needed.to_string(),
        "--memory".to_owned(),
        format!("--connections {} fits", shortage.connections),
    ] {
        assert!(line.contains(&part), "{part:?} is not in {line:?}");
    }
    let hopeless = allowing(Bytes(1)).draft().unwrap().plan().check().unwrap_err();
    assert!(hopeless.to_string().contains("a shorter tape"), "{hopeless}");
}

#[test]
fn a_plan_whose_tables_no_kernel_makes_is_refused_with_as_many_shards_as_would_do() {
    let registered = Config {
        descriptors: Descriptors::Registered,
        ..config(3_000_000)
    };
    let plan = registered.draft().unwrap().plan();
    assert_eq!(plan.json()["fits"], false);
    let refusal = plan.check().unwrap_err().to_string();
    assert!(refusal.ends_with("--shards 3"), "{refusal}");
}

#[test]
fn a_machine_that_has_less_is_told_of_and_one_that_says_nothing_is_not() {
    let plan = plan(1_000_000);
    let small = machine(&[("/proc/meminfo", "MemAvailable:   1048576 kB\n")]);
    let shortage = plan.beyond(&small).unwrap();
    assert_eq!(shortage.planned, Bytes(plan.total().0 + plan.kernel_idle().0));
    assert!(
        shortage
            .to_string()
            .contains("/proc/meminfo MemAvailable allows 1.00 GiB")
    );
    let large = machine(&[("/proc/meminfo", "MemAvailable:   104857600 kB\n")]);
    assert_eq!(plan.beyond(&large), None);
    assert_eq!(plan.beyond(&machine(&[])), None);
}

#[test]
fn the_table_names_every_line_that_counts_and_stays_within_a_terminal() {
    let plan = plan(1_000_000);
    let table = plan.to_string();
    for cost in plan.costs().iter().filter(|cost| cost.count > 0) {
        assert!(table.contains(cost.what), "{}", cost.what);
    }
    assert!(table.contains("1,000,000 connections on 2 shards"), "{table}");
    assert!(table.lines().all(|line| line.len() <= 100), "{table}");
}
