//! The checks, group by group.
//!
//! A check never guesses: a file that is missing or not understood gives [`Verdict::Unknown`], except where its absence
//! says something by itself.

use super::{Finding, Verdict};
use crate::control::{Bytes, Machine, Resolved};
use crate::limits;
use crate::ring::descriptors::Registered;
use crate::ring::probe::{FLOOR, version};
use crate::ring::{Descriptors, Unavailable};

/// The kernel, and whether it gives a ring.
pub(super) fn kernel(
    resolved: &Resolved,
    machine: &Machine<'_>,
    ring: Result<Option<&'static str>, Unavailable>,
) -> Vec<Finding> {
    let release = machine.text("/proc/sys/kernel/osrelease");
    let release = release.map(|text| text.trim().to_owned());
    let need = format!("Linux {}.{}", FLOOR.0, FLOOR.1);
    let kernel = Finding {
        verdict: match release.as_deref().and_then(version) {
            Some(version) if version >= FLOOR => Verdict::Ok,
            Some(_) => Verdict::Short,
            None => Verdict::Unknown,
        },
        cure: Some(format!("install {need} or later")),
        ..Finding::new("kernel", release.unwrap_or_else(unknown), need)
    };
    let io_uring = match ring {
        Ok(Some(lacks)) if resolved.descriptors == Descriptors::Registered => Finding {
            verdict: Verdict::Short,
            cure: Some("--descriptors process, or install Linux 6.8 or later".to_owned()),
            ..Finding::new(
                "io_uring",
                format!("works without {lacks}"),
                "registered descriptors",
            )
        },
        Ok(_) => Finding::new("io_uring", "works", "works"),
        Err(unavailable) => Finding {
            verdict: Verdict::Short,
            cure: Some(unavailable.to_string()),
            ..Finding::new("io_uring", "refused", "works")
        },
    };
    vec![kernel.settled(), io_uring]
}

/// Descriptors, of the process and of the whole machine.
pub(super) fn files(resolved: &Resolved, machine: &Machine<'_>) -> Vec<Finding> {
    let needed = resolved.descriptors_needed();
    let (soft, hard) = machine
        .text("/proc/self/limits")
        .and_then(|text| open_files(&text))
        .unzip();
    let mut findings = vec![at_least("descriptors, hard limit", hard, needed, || {
        let instead = match resolved.registered(hard.unwrap_or(0)) {
            Registered::Never => String::new(),
            registered @ (Registered::AsItIs | Registered::WithShards(_)) => format!("{registered}, or "),
        };
        format!(
            "{instead}ulimit -Hn {needed} as root, before it starts (systemd: LimitNOFILE={needed}, docker run --ulimit \
             nofile={needed})"
        )
    })];
    if let (Some(soft), Some(hard)) = (soft, hard)
        && soft < needed
        && hard >= needed
    {
        let have = format!("{soft}, raised to {hard} at start");
        findings.push(Finding::new("descriptors, soft limit", have, needed.to_string()));
    }
    findings.push(at_least(
        "fs.nr_open",
        machine.number("/proc/sys/fs/nr_open"),
        needed,
        || format!("sysctl -w fs.nr_open={needed}"),
    ));
    findings.extend(table(resolved));
    // Every socket is a file, whoever's descriptor it has.
    let in_use = machine.number("/proc/sys/fs/file-nr").unwrap_or(0);
    let files = in_use.saturating_add(sockets(resolved));
    findings.push(at_least(
        "fs.file-max",
        machine.number("/proc/sys/fs/file-max"),
        files,
        || format!("sysctl -w fs.file-max={files}"),
    ));
    findings
}

/// The table of registered descriptors of each shard, which no limit that can be raised allows to be any larger.
fn table(resolved: &Resolved) -> Option<Finding> {
    let slots = resolved.ring_options().registered_slots?;
    let shortage = resolved.check_table().err();
    Some(Finding {
        verdict: verdict(shortage.is_none()),
        cure: shortage.map(|shortage| shortage.to_string()),
        ..Finding::new(
            "registered descriptors of a shard",
            limits::REGISTERED_SLOTS_MAX.to_string(),
            slots.to_string(),
        )
    })
}

/// What the network's part of the kernel allows.
pub(super) fn network(resolved: &Resolved, machine: &Machine<'_>) -> Vec<Finding> {
    let options = &resolved.listener;
    let sysctl = |name: &'static str, need: u64| {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        at_least(name, machine.number(&path), need, || {
            format!("sysctl -w {name}={need}")
        })
    };
    let backlog = options.backlog.into();
    let mut findings = vec![
        sysctl("net.core.somaxconn", backlog),
        handshakes(machine, backlog),
        sysctl("net.core.wmem_max", options.send_buffer_bytes.into()),
    ];
    if let Some(bytes) = options.receive_buffer_bytes {
        findings.push(sysctl("net.core.rmem_max", bytes.into()));
    }
    findings.push(tcp_memory(resolved, machine));
    findings.push(connection_tracking(resolved, machine));
    findings.extend(ports(resolved, machine));
    findings
}

/// Handshakes under way are bounded by this sysctl only where the kernel sends no cookies in their stead.
fn handshakes(machine: &Machine<'_>, backlog: u64) -> Finding {
    let what = "net.ipv4.tcp_max_syn_backlog";
    let most = machine.number("/proc/sys/net/ipv4/tcp_max_syn_backlog");
    let cookies = machine.number("/proc/sys/net/ipv4/tcp_syncookies");
    match (most, cookies) {
        (Some(most), Some(1..)) if most < backlog => {
            let have = format!("{most}, then cookies");
            Finding::new(what, have, backlog.to_string())
        }
        _ => at_least(what, most, backlog, || format!("sysctl -w {what}={backlog}")),
    }
}

/// A message that is on its way to everyone takes a page of each socket's at least.
fn tcp_memory(resolved: &Resolved, machine: &Machine<'_>) -> Finding {
    let pages = sockets(resolved);
    let thresholds = machine.numbers("/proc/sys/net/ipv4/tcp_mem");
    let pressure = thresholds.and_then(|pages| pages.get(1).copied());
    let cure = || {
        let (low, high) = (pages / 4 * 3, pages.saturating_mul(2));
        format!("sysctl -w net.ipv4.tcp_mem='{low} {pages} {high}'")
    };
    at_least("net.ipv4.tcp_mem, pressure (pages)", pressure, pages, cure)
}

/// A firewall that remembers every connection needs room for all of them. Where it is not loaded, there is no such file.
fn connection_tracking(resolved: &Resolved, machine: &Machine<'_>) -> Finding {
    let Some(most) = machine.number("/proc/sys/net/netfilter/nf_conntrack_max") else {
        return Finding::new("nf_conntrack", "not loaded", "none, or room for all");
    };
    let tracked = machine.number("/proc/sys/net/netfilter/nf_conntrack_count");
    let need = tracked.unwrap_or(0).saturating_add(sockets(resolved));
    at_least("net.netfilter.nf_conntrack_max", Some(most), need, || {
        format!(
            "sysctl -w net.netfilter.nf_conntrack_max={need}, or track neither what comes nor what goes: nft add table inet \
             raw; nft add chain inet raw prerouting '{{ type filter hook prerouting priority raw; }}'; nft add rule inet raw \
             prerouting tcp dport {port} notrack; nft add chain inet raw output '{{ type filter hook output priority raw; \
             }}'; nft add rule inet raw output tcp sport {port} notrack",
            port = resolved.listen.port()
        )
    })
}

/// What matters to a load generator on this machine: so many connections from one address to one port.
fn ports(resolved: &Resolved, machine: &Machine<'_>) -> Option<Finding> {
    let range = machine.numbers("/proc/sys/net/ipv4/ip_local_port_range")?;
    let [low, high] = range[..] else {
        return None;
    };
    let ports = high.saturating_sub(low).saturating_add(1);
    let addresses = (resolved.connections as u64).div_ceil(ports.max(1));
    Some(Finding {
        verdict: Verdict::Note,
        ..Finding::new(
            "net.ipv4.ip_local_port_range",
            format!("{ports} ports"),
            format!("for clients on this machine: source addresses, {addresses} of them"),
        )
    })
}

/// Memory, and how the kernel deals it out.
pub(super) fn memory(resolved: &Resolved, machine: &Machine<'_>) -> Vec<Finding> {
    let plan = resolved.plan();
    let need = Bytes(plan.total().0.saturating_add(plan.kernel_idle().0));
    let need_text = format!("{need} ({} of it in the kernel, by estimate)", plan.kernel_idle());
    let available = match machine.memory() {
        Some(room) => Finding {
            verdict: verdict(room.bytes >= need),
            cure: plan.beyond(machine).map(|shortage| match shortage.connections {
                0 => "a shorter tape, fewer shards, or more memory".to_owned(),
                most => format!("--connections {most}, or more memory (tickwire plan shows every line)"),
            }),
            ..Finding::new("memory", format!("{}, by {}", room.bytes, room.source), need_text)
        },
        None => Finding {
            verdict: Verdict::Unknown,
            ..Finding::new("memory", unknown(), need_text)
        },
    };
    let mut findings = vec![available];
    if let Some(allowed) = resolved.memory {
        let refusal = plan.check_memory().err();
        findings.push(Finding {
            verdict: verdict(refusal.is_none()),
            cure: refusal.map(|error| error.to_string()),
            ..Finding::new("--memory", allowed.to_string(), plan.total().to_string())
        });
    }
    // Tables are reserved whole and touched as they fill.
    if machine.number("/proc/sys/vm/overcommit_memory") == Some(STRICT) {
        findings.push(Finding {
            verdict: Verdict::Short,
            cure: Some("sysctl -w vm.overcommit_memory=0".to_owned()),
            ..Finding::new("vm.overcommit_memory", "2", "0 or 1")
        });
    }
    findings.extend(huge_pages(resolved, machine));
    findings
}

/// With huge pages everywhere, the first byte of a table costs two mebibytes.
fn huge_pages(resolved: &Resolved, machine: &Machine<'_>) -> Option<Finding> {
    let setting = machine.text("/sys/kernel/mm/transparent_hugepage/enabled")?;
    let chosen = setting.split_once('[')?.1.split_once(']')?.0;
    if chosen != "always" {
        return Some(Finding::new("transparent huge pages", chosen, "any"));
    }
    let tables = resolved.size().costs().len().saturating_mul(resolved.shards);
    let rounded_up = Bytes::of(tables.saturating_mul(HUGE_PAGE_BYTES));
    Some(Finding {
        verdict: Verdict::Note,
        cure: Some(
            "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, where that is too much".to_owned(),
        ),
        ..Finding::new(
            "transparent huge pages",
            chosen,
            format!("an idle server may hold up to {rounded_up} more than it uses"),
        )
    })
}

/// Sockets of clients that a server may hold.
fn sockets(resolved: &Resolved) -> u64 {
    let slots = resolved.size().slots().saturating_mul(resolved.shards);
    slots as u64
}

/// The soft and the hard limit of open files, from `/proc/self/limits`.
fn open_files(limits: &str) -> Option<(u64, u64)> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace().map(|word| match word {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((words.next()??, words.next()??))
}

fn at_least(what: &'static str, have: Option<u64>, need: u64, cure: impl FnOnce() -> String) -> Finding {
    let finding = Finding {
        verdict: have.map_or(Verdict::Unknown, |have| verdict(have >= need)),
        cure: Some(cure()),
        ..Finding::new(
            what,
            have.map_or_else(unknown, |have| have.to_string()),
            need.to_string(),
        )
    };
    finding.settled()
}

fn verdict(suffices: bool) -> Verdict {
    if suffices { Verdict::Ok } else { Verdict::Short }
}

fn unknown() -> String {
    "unknown".to_owned()
}

impl Finding {
    /// That it suffices.
    fn new(what: &'static str, have: impl Into<String>, need: impl Into<String>) -> Self {
        Self {
            what,
            verdict: Verdict::Ok,
            have: have.into(),
            need: need.into(),
            cure: None,
        }
    }

    /// What suffices needs no cure.
    fn settled(self) -> Self {
        match self.verdict {
            Verdict::Ok => Self { cure: None, ..self },
            Verdict::Short | Verdict::Unknown | Verdict::Note => self,
        }
    }
}

/// What the kernel calls not to promise more memory than it has.
const STRICT: u64 = 2;
const HUGE_PAGE_BYTES: usize = 2 * 1024 * 1024;
