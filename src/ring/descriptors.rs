//! Whether this process may hold as many descriptors as it is asked to serve.
//!
//! Never lowers a limit, and never asks for more than the hard one.

use super::Errno;
use super::uring::kernel;
use crate::limits::{DESCRIPTORS_APART, DESCRIPTORS_PER_SHARD, REFUSALS_PER_SHARD, REGISTERED_AHEAD};
use std::fmt;

/// Whose descriptors the sockets of clients are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Descriptors {
    /// The process's. All shards share its limit.
    #[default]
    Process,
    /// Each shard's own, in a table that is registered with its ring (Linux 6.8). The process's limit bounds each table
    /// for itself, and sockets in tables do not count against it.
    Registered,
}

impl Descriptors {
    /// What the process's limit of descriptors must be for a server of `shards` shards with `connections` connections
    /// each.
    #[must_use]
    pub fn needed(self, shards: u64, connections: u64) -> u64 {
        let apart = shards
            .saturating_mul(DESCRIPTORS_PER_SHARD)
            .saturating_add(DESCRIPTORS_APART);
        match self {
            Self::Process => {
                let sockets = connections.saturating_add(REFUSALS_PER_SHARD as u64);
                shards.saturating_mul(sockets).saturating_add(apart)
            }
            Self::Registered => apart.max(slots(connections)),
        }
    }

    /// How large the table of a shard with so many connections is, where it has one.
    #[must_use]
    pub fn registered_slots(self, connections: usize) -> Option<u32> {
        match self {
            Self::Process => None,
            Self::Registered => Some(u32::try_from(slots(connections as u64)).unwrap_or(u32::MAX)),
        }
    }
}

/// Slots of a table for so many connections.
fn slots(connections: u64) -> u64 {
    connections.saturating_add((REFUSALS_PER_SHARD + REGISTERED_AHEAD) as u64)
}

/// Raises the soft limit to the hard one where `needed` asks for it, and gives the soft limit that holds then.
///
/// # Errors
/// When even the hard limit is too low.
pub fn raise_descriptor_limit(needed: u64) -> Result<u64, DescriptorShortage> {
    let shortage = |errno, hard| DescriptorShortage {
        needed,
        hard,
        errno,
        registered_would_do: false,
    };
    let (soft, hard) = kernel::descriptor_limit().map_err(|errno| shortage(Some(errno), 0))?;
    if soft >= needed {
        return Ok(soft);
    }
    if hard < needed {
        return Err(shortage(None, hard));
    }
    kernel::set_descriptor_limit(hard, hard).map_err(|errno| shortage(Some(errno), hard))?;
    Ok(hard)
}

/// The process may not hold enough descriptors. Shown as one line with the cure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DescriptorShortage {
    /// Descriptors asked for.
    pub needed: u64,
    /// The hard limit.
    pub hard: u64,
    /// What the kernel said, when it refused to tell or to raise the limit.
    pub errno: Option<Errno>,
    /// Whether the hard limit suffices for [`Descriptors::Registered`].
    pub registered_would_do: bool,
}

impl fmt::Display for DescriptorShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            needed,
            hard,
            errno,
            registered_would_do,
        } = self;
        write!(f, "{needed} descriptors are needed, and the hard limit is {hard}")?;
        if let Some(errno) = errno {
            write!(f, " ({errno})")?;
        }
        if *registered_would_do {
            write!(f, "; let each shard have its own: --descriptors registered")?;
        }
        write!(
            f,
            "; serve fewer connections, or raise it: ulimit -Hn {needed} (systemd: LimitNOFILE={needed}, \
             docker run --ulimit nofile={needed})"
        )
    }
}

impl std::error::Error for DescriptorShortage {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_and_every_shard_counts_where_all_share_the_processs_limit() {
        let needed = |shards, connections| Descriptors::Process.needed(shards, connections);
        let none = needed(0, 0);
        assert_eq!(none, DESCRIPTORS_APART);
        let one = needed(1, 1000) - none;
        assert_eq!(one, 1000 + REFUSALS_PER_SHARD as u64 + DESCRIPTORS_PER_SHARD);
        assert_eq!(needed(4, 1000) - none, 4 * one);
        assert_eq!(needed(u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_connections_of_one_shard_count_where_each_has_its_own_table() {
        let needed = |shards, connections| Descriptors::Registered.needed(shards, connections);
        let table = u64::from(Descriptors::Registered.registered_slots(18_000).unwrap());
        assert_eq!(needed(1, 18_000), table);
        assert_eq!(needed(60, 18_000), table);
        let apart = DESCRIPTORS_APART + 200 * DESCRIPTORS_PER_SHARD;
        assert_eq!(needed(200, 1), apart, "shards themselves need some");
        assert_eq!(needed(u64::MAX, u64::MAX), u64::MAX);
        assert_eq!(Descriptors::Process.registered_slots(18_000), None);
    }

    #[test]
    fn a_limit_that_suffices_is_left_alone() {
        let (soft, _) = kernel::descriptor_limit().unwrap();
        assert_eq!(raise_descriptor_limit(1), Ok(soft));
        assert_eq!(kernel::descriptor_limit().unwrap().0, soft);
    }

    #[test]
    fn more_than_the_hard_limit_is_refused_with_the_cure() {
        let (_, hard) = kernel::descriptor_limit().unwrap();
        let Some(needed) = hard.checked_add(1) else {
            eprintln!("SKIPPED: no hard limit here");
            return;
        };
        let shortage = raise_descriptor_limit(needed).unwrap_err();
        assert_eq!((shortage.needed, shortage.hard), (needed, hard));
        let line = shortage.to_string();
        assert!(line.contains(&format!("LimitNOFILE={needed}")) && !line.contains("--descriptors"));
        let registered_would_do = true;
        let line = DescriptorShortage {
            registered_would_do,
            ..shortage
        }
        .to_string();
        assert!(line.contains("--descriptors registered; serve fewer"), "{line}");
    }
}
