//! Whether this process may hold as many descriptors as it is asked to serve.
//!
//! Never lowers a limit, and never asks for more than the hard one.

use super::Errno;
use super::uring::kernel;
use crate::limits::{DESCRIPTORS_APART, DESCRIPTORS_PER_SHARD, REFUSALS_PER_SHARD};
use std::fmt;

/// Descriptors that a server of `shards` shards with `connections` connections each may come to hold.
#[must_use]
pub fn descriptors_needed(shards: u64, connections: u64) -> u64 {
    let per_shard = connections
        .saturating_add(REFUSALS_PER_SHARD as u64)
        .saturating_add(DESCRIPTORS_PER_SHARD);
    shards.saturating_mul(per_shard).saturating_add(DESCRIPTORS_APART)
}

/// Raises the soft limit to the hard one where `needed` asks for it, and gives the soft limit that holds then.
///
/// # Errors
/// When even the hard limit is too low.
pub fn raise_descriptor_limit(needed: u64) -> Result<u64, DescriptorShortage> {
    let shortage = |errno, hard| DescriptorShortage { needed, hard, errno };
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
}

impl fmt::Display for DescriptorShortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { needed, hard, errno } = self;
        write!(f, "{needed} descriptors are needed, and the hard limit is {hard}")?;
        if let Some(errno) = errno {
            write!(f, " ({errno})")?;
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
    fn every_connection_and_every_shard_counts() {
        let none = descriptors_needed(0, 0);
        assert_eq!(none, DESCRIPTORS_APART);
        let one = descriptors_needed(1, 1000) - none;
        assert_eq!(one, 1000 + REFUSALS_PER_SHARD as u64 + DESCRIPTORS_PER_SHARD);
        assert_eq!(descriptors_needed(4, 1000) - none, 4 * one);
        assert_eq!(descriptors_needed(u64::MAX, u64::MAX), u64::MAX);
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
        assert!(shortage.to_string().contains(&format!("LimitNOFILE={needed}")));
    }
}
