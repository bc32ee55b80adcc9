//! What the kernel says about a process and about itself: texts of `/proc`, read as numbers.
//!
//! Never fails for a line that it does not know: kernels differ in what they tell.

#![deny(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::expect_used
)]

use std::collections::BTreeMap;

/// A process's memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Everything that is mapped and present.
    pub(super) rss: u64,
    /// What it has of that for itself: no file's, and nobody else's.
    pub(super) anonymous: u64,
}

impl Memory {
    /// From `/proc/PID/smaps_rollup`.
    pub(super) fn from_smaps_rollup(text: &str) -> Option<Self> {
        Some(Self {
            rss: kibibytes(text, "Rss:")?,
            anonymous: kibibytes(text, "Anonymous:")?,
        })
    }

    /// From `/proc/PID/status`, where the former may not be read.
    pub(super) fn from_status(text: &str) -> Option<Self> {
        Some(Self {
            rss: kibibytes(text, "VmRSS:")?,
            anonymous: kibibytes(text, "RssAnon:")?,
        })
    }
}

/// Nanoseconds that a thread has run, from `/proc/PID/task/TID/schedstat`.
pub(super) fn thread_cpu_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// Nanoseconds of processor time that a process has had, user's and kernel's, to within a hundredth of a second, from
/// `/proc/PID/stat`.
pub(super) fn cpu_ns(stat: &str) -> Option<u64> {
    // The name of the program stands in parentheses and may have any character in it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(USER_TIME_AFTER_NAME);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)?.checked_mul(NS_PER_CLOCK_TICK)
}

/// Bytes of the kernel's memory by kind of object, from `/proc/slabinfo`.
pub(super) fn slabs(slabinfo: &str) -> BTreeMap<String, u64> {
    let slab = |line: &str| -> Option<(String, u64)> {
        let (numbers, slabs) = line.split_once(": slabdata")?;
        let mut numbers = numbers.split_whitespace();
        let name = numbers.next().filter(|name| *name != "#")?;
        let pages_per_slab: u64 = numbers.nth(4)?.parse().ok()?;
        let slabs: u64 = slabs.split_whitespace().nth(1)?.parse().ok()?;
        let bytes = slabs.checked_mul(pages_per_slab)?.checked_mul(PAGE_BYTES)?;
        Some((name.to_owned(), bytes))
    };
    slabinfo.lines().filter_map(slab).collect()
}

/// The number that stands behind `field`.
fn kibibytes(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    let value: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    value.checked_mul(1024)
}

/// Fields of `stat` between the program's name and its time in user mode.
const USER_TIME_AFTER_NAME: usize = 11;
/// `_SC_CLK_TCK` has been 100 on every machine for decades.
const NS_PER_CLOCK_TICK: u64 = 10_000_000;
/// Of the machines that this runs on.
const PAGE_BYTES: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_either_file() {
        let rollup = "55d0-7ffe ---p 00000000 00:00 0    [rollup]\nRss:      5120 kB\nPss:  9 kB\nAnonymous:   1024 kB\n";
        let status = "Name:\ttickwire\nVmPeak:\t 9 kB\nVmRSS:\t    5120 kB\nRssAnon:\t    1024 kB\n";
        let want = Memory {
            rss: 5 << 20,
            anonymous: 1 << 20,
        };
        assert_eq!(Memory::from_smaps_rollup(rollup), Some(want));
        assert_eq!(Memory::from_status(status), Some(want));
        assert_eq!(Memory::from_status(rollup), None);
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "42 (a) b (c) R 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 7 20 0 1 0 99 1 1";
        assert_eq!(cpu_ns(stat), Some(2_000_000_000));
        assert_eq!(cpu_ns("42 (x) R 1"), None);
    }

    #[test]
    fn a_threads_time_is_the_first_of_its_numbers() {
        assert_eq!(thread_cpu_ns("1234567 89 10\n"), Some(1_234_567));
        assert_eq!(thread_cpu_ns(""), None);
    }

    #[test]
    fn slabs_are_counted_in_whole_pages() {
        let text = "slabinfo - version: 2.1\n\
            # name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables 0 0 0 : slabdata <active_slabs> <num_slabs> <sharedavail>\n\
            TCP                 1000   1040   2368   13    8 : tunables    0    0    0 : slabdata     80     80      0\n\
            filp                  10     21    192   21    1 : tunables    0    0    0 : slabdata      1      1      0\n\
            broken line\n";
        let slabs = slabs(text);
        assert_eq!(slabs.get("TCP"), Some(&(80 * 8 * 4096)));
        assert_eq!(slabs.get("filp"), Some(&4096));
        assert_eq!(slabs.len(), 2);
    }
}
