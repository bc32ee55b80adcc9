//! Whether this process may hold as many descriptors as it is asked to serve.
//!
//! Never lowers a limit, and never asks for more than the hard one.

use super::Errno;
use super::uring::kernel;
use crate::limits::{
    DESCRIPTORS_APART, DESCRIPTORS_PER_SHARD, REFUSALS_PER_SHARD, REGISTERED_AHEAD, REGISTERED_SLOTS_MAX,
};
use std::fmt;

/// Whose descriptors the sockets of clients are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Descriptors {
    /// The process's. All shards share its limit.
    #[default]
    Process,
    /// Each shard's own, in a table that is registered with its ring (Linux 6.8). The process's limit bounds each table
    /// for itself, and sockets in tables do not count against it. No table may have more than [`REGISTERED_SLOTS_MAX`]
    /// slots, whatever the limit is.
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

    /// By how large a table the kernel refuses a shard with so many connections, wherever it runs.
    #[must_use]
    pub fn excess_slots(self, connections: usize) -> Option<u32> {
        self.registered_slots(connections)
            .filter(|slots| *slots as usize > REGISTERED_SLOTS_MAX)
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
        registered: Registered::Never,
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
    pub registered: Registered,
}

/// Whether [`Descriptors::Registered`] would do, of which a table can be too large. Shown as what is to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registered {
    /// However many shards there are, it would not.
    Never,
    /// With the shards that there are.
    AsItIs,
    /// With so many.
    WithShards(usize),
}

impl fmt::Display for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => Ok(()),
            Self::AsItIs => f.write_str("--descriptors registered"),
            Self::WithShards(shards) => write!(f, "--descriptors registered --shards {shards}"),
        }
    }
}

/// A shard's table of registered descriptors would be larger than any may be. Shown as one line with the cure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TableShortage {
    /// Slots that it would have.
    pub slots: u32,
    /// How many shards there must be for small enough ones; `None` where there cannot be so many.
    pub shards: Option<usize>,
}

impl fmt::Display for TableShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, shards } = self;
        write!(
            f,
            "a shard needs a table of {slots} registered descriptors, and no kernel makes one of more than \
             {REGISTERED_SLOTS_MAX}; "
        )?;
        match shards {
            Some(shards) => write!(f, "spread the connections over more shards: --shards {shards}"),
            None => f.write_str("serve fewer connections"),
        }
    }
}

impl std::error::Error for TableShortage {}

impl fmt::Display for DescriptorShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            needed,
            hard,
            errno,
            registered,
        } = self;
        write!(f, "{needed} descriptors are needed, and the hard limit is {hard}")?;
        if let Some(errno) = errno {
            write!(f, " ({errno})")?;
        }
        match registered {
            Registered::Never => {}
            Registered::AsItIs => write!(f, "; let each shard have its own: {registered}")?,
            Registered::WithShards(_) => write!(f, "; let each of more shards have its own: {registered}")?,
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
        for (registered, cure) in [
            (Registered::AsItIs, "--descriptors registered; serve fewer"),
            (
                Registered::WithShards(3),
                "--descriptors registered --shards 3; serve fewer",
            ),
        ] {
            let line = DescriptorShortage {
                registered,
                ..shortage
            }
            .to_string();
            assert!(line.contains(cure), "{line}");
        }
    }

    #[test]
    fn a_table_has_as_many_slots_as_the_kernel_makes_and_none_more() {
        let most = REGISTERED_SLOTS_MAX - REFUSALS_PER_SHARD - REGISTERED_AHEAD;
        let registered = Descriptors::Registered;
        assert_eq!(registered.excess_slots(most), None);
        let beyond = u32::try_from(REGISTERED_SLOTS_MAX + 1).unwrap();
        assert_eq!(registered.excess_slots(most + 1), Some(beyond));
        assert_eq!(registered.excess_slots(usize::MAX), Some(u32::MAX));
        assert_eq!(Descriptors::Process.excess_slots(usize::MAX), None);
        for (shards, cure) in [(Some(3), "--shards 3"), (None, "fewer connections")] {
            let line = TableShortage {
                slots: beyond,
                shards,
            }
            .to_string();
            assert!(
                line.contains(cure) && line.contains("1048577") && line.contains("1048576"),
                "{line}"
            );
        }
    }
}
