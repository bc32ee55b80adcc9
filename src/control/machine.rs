//! What this machine says of itself: the files of `/proc` and `/sys`, and what their text means.
//!
//! Reading is one function and decides nothing; everything else is a function of text. A file that is not there, or
//! says what is not understood, is `None`: nothing is guessed.

use std::fmt;
use std::fs;

use super::Bytes;

/// A machine, as its files describe it.
pub struct Machine<'a> {
    read: Box<Read<'a>>,
}

/// Gives the text of the file at an absolute path, if there is one.
type Read<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A limit of the memory that this process may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// How much there is.
    pub bytes: Bytes,
    /// Who says so: a file.
    pub source: String,
}

impl Machine<'static> {
    /// The one that this process runs on.
    #[must_use]
    pub fn here() -> Self {
        Self::new(|path| fs::read_to_string(path).ok())
    }
}

impl<'a> Machine<'a> {
    /// One whose files are read by `read`, which gets absolute paths.
    pub fn new(read: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self { read: Box::new(read) }
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        (self.read)(path)
    }

    /// The number that a file holds.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        self.numbers(path).and_then(|numbers| numbers.first().copied())
    }

    /// The numbers that a file holds, all of them or none.
    #[must_use]
    pub fn numbers(&self, path: &str) -> Option<Vec<u64>> {
        let text = self.text(path)?;
        text.split_whitespace().map(|word| word.parse().ok()).collect()
    }

    /// The memory that the machine could give now without swapping.
    #[must_use]
    pub fn available(&self) -> Option<Room> {
        let bytes = meminfo(&self.text(MEMINFO)?, "MemAvailable")?;
        Some(Room {
            bytes,
            source: format!("{MEMINFO} MemAvailable"),
        })
    }

    /// The tightest limit that this process's control groups set, of either version; `None` where none does.
    #[must_use]
    pub fn cgroup_limit(&self) -> Option<Room> {
        let groups = self.text(CGROUPS)?;
        let files = limit_files(&groups);
        let limits = files.into_iter().filter_map(|source| {
            let bytes = cgroup_bytes(&self.text(&source)?)?;
            Some(Room { bytes, source })
        });
        limits.min_by_key(|room| room.bytes)
    }

    /// What this process may take: the least of both.
    #[must_use]
    pub fn memory(&self) -> Option<Room> {
        let rooms = self.available().into_iter().chain(self.cgroup_limit());
        rooms.min_by_key(|room| room.bytes)
    }
}

impl fmt::Debug for Machine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

/// A line of `/proc/meminfo`, which counts in kibibytes.
fn meminfo(text: &str, name: &str) -> Option<Bytes> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024).map(Bytes)
}

/// The files that may limit the memory of a process in these groups, given as `/proc/self/cgroup` lists them. A group is
/// bound by all above it. Within a container the path may be seen from outside while the files are seen from inside, so
/// that the topmost file is looked at in any case.
fn limit_files(groups: &str) -> Vec<String> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut path = path.trim_end_matches('/');
        loop {
            files.push(format!("{root}{path}/{file}"));
            match path.rfind('/') {
                Some(end) => path = &path[..end],
                None => break,
            }
        }
    }
    files
}

/// A limit of a control group. Version 2 says `max` where there is none, version 1 the greatest number of whole pages.
fn cgroup_bytes(text: &str) -> Option<Bytes> {
    let bytes: u64 = text.trim().parse().ok()?;
    (bytes < UNLIMITED).then_some(Bytes(bytes))
}

const MEMINFO: &str = "/proc/meminfo";
const CGROUPS: &str = "/proc/self/cgroup";
const UNLIMITED: u64 = 1 << 62;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine with these files and no others.
    pub(in crate::control) fn machine(files: &'static [(&'static str, &'static str)]) -> Machine<'static> {
        Machine::new(|path| {
            let file = files.iter().find(|(name, _)| *name == path);
            file.map(|(_, text)| (*text).to_owned())
        })
    }

    const OPEN: (&str, &str) = (
        "/proc/meminfo",
        "MemTotal:       24574744 kB\nMemFree:         2000000 kB\nMemAvailable:   22000000 kB\n",
    );

    #[test]
    fn without_control_groups_memory_is_what_is_available() {
        let room = machine(&[OPEN]).memory().unwrap();
        assert_eq!(room.bytes, Bytes(22_000_000 * 1024));
        assert_eq!(room.source, "/proc/meminfo MemAvailable");
    }

    #[test]
    fn the_tightest_group_above_a_process_counts() {
        let machine = machine(&[
            OPEN,
            ("/proc/self/cgroup", "0::/system.slice/tickwire.service\n"),
            ("/sys/fs/cgroup/system.slice/tickwire.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/system.slice/memory.max", "4294967296\n"),
        ]);
        let room = machine.memory().unwrap();
        assert_eq!(room.bytes, Bytes(4 << 30));
        assert_eq!(room.source, "/sys/fs/cgroup/system.slice/memory.max");
    }

    #[test]
    fn within_a_container_the_topmost_file_counts() {
        let machine = machine(&[
            (
                "/proc/self/cgroup",
                "12:cpu,cpuacct:/x\n5:memory:/docker/0123abcd\n0::/docker/0123abcd\n",
            ),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n"),
            ("/sys/fs/cgroup/memory.max", "1073741824\n"),
        ]);
        assert_eq!(machine.memory().unwrap().bytes, Bytes(512 << 20));
    }

    #[test]
    fn no_limit_is_none_in_either_version() {
        let machine = machine(&[
            ("/proc/self/cgroup", "4:memory:/\n0::/\n"),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("/sys/fs/cgroup/memory.max", "max\n"),
        ]);
        assert_eq!(machine.cgroup_limit(), None);
        assert_eq!(machine.memory(), None, "and nothing is guessed");
    }

    #[test]
    fn what_is_not_understood_is_not_guessed() {
        let garbled = machine(&[
            ("/proc/meminfo", "MemAvailable: many kB\n"),
            ("/proc/self/cgroup", "nonsense\n:\n0::\n"),
            ("/sys/fs/cgroup/memory.max", "-1\n"),
            ("/proc/sys/net/ipv4/tcp_mem", "1 2 x\n"),
        ]);
        assert_eq!(garbled.memory(), None);
        assert_eq!(garbled.numbers("/proc/sys/net/ipv4/tcp_mem"), None);
        assert_eq!(garbled.number("/nowhere"), None);
    }
}
