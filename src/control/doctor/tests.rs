//! What is found on machines that are described by their files.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use super::*;
use crate::control::machine::tests::machine;
use crate::control::{Bytes, Config, Tuning};
use crate::ring::Descriptors;
use crate::writer::source::SourceSpec;

type Files = &'static [(&'static str, &'static str)];

/// A server for a million on two shards.
fn million() -> Config {
    Config {
        shards: NonZeroUsize::new(2),
        connections: NonZeroUsize::new(1_000_000),
        subscriptions: NonZeroUsize::MIN,
        ..Config::new(
            SocketAddr::from(([0, 0, 0, 0], 9001)),
            SourceSpec::Sim { seed: 1 },
        )
    }
}

fn examine(config: Config, files: Files) -> Report {
    Report::new(&config.draft().unwrap(), &machine(files), Ok(None))
}

fn finding<'r>(report: &'r Report, what: &str) -> &'r Finding {
    let found = report
        .findings()
        .iter()
        .find(|finding| finding.what.starts_with(what));
    found.unwrap_or_else(|| panic!("{what} was not looked at: {report}"))
}

#[track_caller]
fn short(report: &Report, what: &str, cure: &str) {
    let finding = finding(report, what);
    assert_eq!(finding.verdict, Verdict::Short, "{finding:?}");
    assert!(
        finding.cure.as_ref().is_some_and(|text| text.contains(cure)),
        "{finding:?}"
    );
}

const LARGE: Files = &[
    ("/proc/sys/kernel/osrelease", "6.12.3-amd64\n"),
    (
        "/proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units     \n\
         Max processes             96117                96117                processes \n\
         Max open files            1024                 1048576              files     \n",
    ),
    ("/proc/sys/fs/nr_open", "1073741816\n"),
    ("/proc/sys/fs/file-nr", "1376\t0\t2466170\n"),
    ("/proc/sys/fs/file-max", "2466170\n"),
    ("/proc/sys/net/core/somaxconn", "65535\n"),
    ("/proc/sys/net/ipv4/tcp_max_syn_backlog", "2048\n"),
    ("/proc/sys/net/ipv4/tcp_syncookies", "1\n"),
    ("/proc/sys/net/core/wmem_max", "212992\n"),
    ("/proc/sys/net/core/rmem_max", "212992\n"),
    ("/proc/sys/net/ipv4/tcp_mem", "2000000\t3000000\t4000000\n"),
    ("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999\n"),
    (
        "/proc/meminfo",
        "MemTotal: 33554432 kB\nMemAvailable: 31457280 kB\n",
    ),
    ("/proc/sys/vm/overcommit_memory", "0\n"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "always [madvise] never\n",
    ),
];

const SMALL: Files = &[
    ("/proc/sys/kernel/osrelease", "5.15.0-91-generic\n"),
    (
        "/proc/self/limits",
        "Max open files            1024                 20000                files     \n",
    ),
    ("/proc/sys/fs/nr_open", "1000000\n"),
    ("/proc/sys/fs/file-nr", "5000\t0\t100000\n"),
    ("/proc/sys/fs/file-max", "100000\n"),
    ("/proc/sys/net/core/somaxconn", "128\n"),
    ("/proc/sys/net/ipv4/tcp_max_syn_backlog", "512\n"),
    ("/proc/sys/net/ipv4/tcp_syncookies", "0\n"),
    ("/proc/sys/net/core/wmem_max", "65536\n"),
    ("/proc/sys/net/core/rmem_max", "4096\n"),
    ("/proc/sys/net/ipv4/tcp_mem", "20000\t30000\t40000\n"),
    ("/proc/sys/net/netfilter/nf_conntrack_max", "65536\n"),
    ("/proc/sys/net/netfilter/nf_conntrack_count", "36\n"),
    ("/proc/meminfo", "MemAvailable: 1048576 kB\n"),
    ("/proc/sys/vm/overcommit_memory", "2\n"),
    (
        "/sys/kernel/mm/transparent_hugepage/enabled",
        "[always] madvise never\n",
    ),
];

#[test]
fn a_machine_that_has_enough_is_found_to_have_it() {
    let report = examine(million(), LARGE);
    assert_eq!(report.short(), 0, "{report}");
    assert_eq!(
        finding(&report, "descriptors, soft").have,
        "1024, raised to 1048576 at start"
    );
    assert_eq!(
        finding(&report, "net.ipv4.tcp_max_syn").have,
        "2048, then cookies"
    );
    assert_eq!(finding(&report, "nf_conntrack").have, "not loaded");
    let ports = finding(&report, "net.ipv4.ip_local_port_range");
    assert_eq!(
        (ports.verdict, ports.have.as_str()),
        (Verdict::Note, "28232 ports")
    );
    assert!(ports.need.contains("36 of them"), "{ports:?}");
    assert!(
        report
            .findings()
            .iter()
            .all(|finding| finding.verdict != Verdict::Unknown)
    );
    assert_eq!(report.json()["ok"], true);
}

#[test]
fn everything_that_is_short_is_found_with_the_command_that_mends_it() {
    let tuning = Tuning {
        receive_buffer: Some(Bytes(8192)),
        ..Tuning::default()
    };
    let config = Config {
        tuning,
        memory: Some(Bytes(1 << 20)),
        ..million()
    };
    let needed = config.clone().draft().unwrap().descriptors_needed();
    let report = examine(config, SMALL);
    for (what, cure) in [
        ("kernel", "Linux 6.1"),
        ("descriptors, hard", &format!("LimitNOFILE={needed}")),
        ("fs.nr_open", &format!("sysctl -w fs.nr_open={needed}")),
        ("fs.file-max", "sysctl -w fs.file-max=1013624"),
        ("net.core.somaxconn", "sysctl -w net.core.somaxconn=4096"),
        (
            "net.ipv4.tcp_max_syn",
            "sysctl -w net.ipv4.tcp_max_syn_backlog=4096",
        ),
        ("net.core.wmem_max", "sysctl -w net.core.wmem_max=131072"),
        ("net.core.rmem_max", "sysctl -w net.core.rmem_max=8192"),
        (
            "net.ipv4.tcp_mem",
            "sysctl -w net.ipv4.tcp_mem='756468 1008624 2017248'",
        ),
        ("net.netfilter", "nf_conntrack_max=1008660"),
        ("memory", "more memory"),
        ("--memory", "--memory"),
        ("vm.overcommit", "sysctl -w vm.overcommit_memory=0"),
    ] {
        short(&report, what, cure);
    }
    assert_eq!(finding(&report, "transparent").verdict, Verdict::Note);
    assert_eq!(report.short(), 13, "{report}");
    assert_eq!(report.json()["ok"], false);
}

#[test]
fn what_a_machine_does_not_say_is_unknown_and_not_short() {
    let report = examine(million(), &[]);
    assert_eq!(report.short(), 0, "{report}");
    for what in [
        "kernel",
        "descriptors",
        "fs.file-max",
        "net.core.somaxconn",
        "memory",
    ] {
        assert_eq!(finding(&report, what).verdict, Verdict::Unknown, "{what}");
    }
}

#[test]
fn a_ring_that_is_refused_is_short_with_the_cure_of_the_refusal() {
    let report = Report::new(
        &million().draft().unwrap(),
        &machine(LARGE),
        Err(Unavailable::Filtered),
    );
    short(&report, "io_uring", "seccomp=unconfined");
    assert_eq!(report.short(), 1);
}

#[test]
fn descriptors_of_each_shards_own_are_a_cure_where_the_kernel_has_them() {
    const LIMITED: Files = &[("/proc/self/limits", "Max open files  1024  20000  files\n")];
    let many = Config {
        shards: NonZeroUsize::new(60),
        ..million()
    };
    short(
        &examine(many.clone(), LIMITED),
        "descriptors, hard",
        "--descriptors registered, or ulimit",
    );
    let registered = Config {
        descriptors: Descriptors::Registered,
        ..many
    };
    let report = examine(registered.clone(), LIMITED);
    assert_eq!(report.short(), 0, "{report}");
    let lacks = Ok(Some("IORING_OP_FIXED_FD_INSTALL"));
    let report = Report::new(&registered.draft().unwrap(), &machine(LIMITED), lacks);
    short(&report, "io_uring", "--descriptors process");
}

#[test]
fn more_shards_are_the_cure_where_a_table_would_be_larger_than_any() {
    let many = Config {
        shards: NonZeroUsize::new(1),
        connections: NonZeroUsize::new(2_000_000),
        ..million()
    };
    let cure = "--descriptors registered --shards 2, or ulimit";
    short(&examine(many.clone(), LARGE), "descriptors, hard", cure);
    let registered = Config {
        descriptors: Descriptors::Registered,
        ..many
    };
    let report = examine(registered.clone(), LARGE);
    short(&report, "registered descriptors of a shard", "--shards 2");
    let report = examine(
        Config {
            shards: NonZeroUsize::new(2),
            ..registered
        },
        LARGE,
    );
    assert_eq!(
        finding(&report, "registered descriptors of a shard").verdict,
        Verdict::Ok
    );
    assert_eq!(finding(&report, "descriptors, hard").verdict, Verdict::Ok);
}

#[test]
fn a_control_group_may_be_what_is_short() {
    const GROUP: Files = &[
        ("/proc/meminfo", "MemAvailable: 31457280 kB\n"),
        ("/proc/self/cgroup", "0::/tickwire.service\n"),
        ("/sys/fs/cgroup/tickwire.service/memory.max", "2147483648\n"),
    ];
    let report = examine(million(), GROUP);
    short(&report, "memory", "--connections ");
    assert!(
        finding(&report, "memory")
            .have
            .contains("/sys/fs/cgroup/tickwire.service/memory.max")
    );
}

#[test]
fn a_report_is_a_table_whose_columns_line_up() {
    let table = examine(million(), SMALL).to_string();
    let need = table.lines().next().and_then(|line| line.find("need")).unwrap();
    let rows = table.lines().filter(|line| !line.contains('→')).skip(1);
    for row in rows {
        assert_eq!(row.as_bytes()[need - 1], b' ', "{table}");
        assert_ne!(row.as_bytes()[need], b' ', "{table}");
    }
}
