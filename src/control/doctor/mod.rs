//! Whether a machine has what a server needs: each check says what there is, what there must be, and the command that
//! mends what is short.
//!
//! Never changes anything. Every check is a function of text that the machine shows, so that any machine can be examined
//! on any other; what is not shown is unknown, not fine.

mod checks;
mod report;

use super::{Machine, Resolved};
use crate::ring::Unavailable;

/// What a machine was found to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    findings: Vec<Finding>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// What there is.
    pub have: String,
    /// What there must be.
    pub need: String,
    /// What mends it: commands, or what they cannot do.
    pub cure: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It suffices.
    Ok,
    /// It is not enough for what was asked.
    Short,
    /// The machine does not say.
    Unknown,
    /// Nothing is wrong with it, and it is worth knowing.
    Note,
}

impl Report {
    /// Holds this machine against what a server needs. `ring` is what trying an `io_uring` has come to, and what it lacks
    /// for descriptors of each shard's own.
    #[must_use]
    pub fn new(
        resolved: &Resolved,
        machine: &Machine<'_>,
        ring: Result<Option<&'static str>, Unavailable>,
    ) -> Self {
        let mut findings = checks::kernel(resolved, machine, ring);
        findings.extend(checks::files(resolved, machine));
        findings.extend(checks::network(resolved, machine));
        findings.extend(checks::memory(resolved, machine));
        Self { findings }
    }

    /// Every check, in the order in which they matter.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many checks found something short.
    #[must_use]
    pub fn short(&self) -> usize {
        let short = self
            .findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Short);
        short.count()
    }
}

#[cfg(test)]
mod tests;
