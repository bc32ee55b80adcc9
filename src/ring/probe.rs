//! What this kernel can do, asked before anything starts, and what to tell the operator when it cannot.
//!
//! Never leaves anything behind: the trial ring is gone when [`probe`] returns. Every refusal is one line that
//! ends with its cure.

use super::{Errno, uring};
use crate::limits;
use std::fmt;
use std::fs;

/// What the running kernel offers, found by trying. Having one is the proof that it offers all that is needed.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    pub(super) no_sqarray: bool,
    pub(super) table_lacks: Option<&'static str>,
}

impl Capabilities {
    /// Whether rings do without the submission queue's indirection array (Linux 6.6).
    #[must_use]
    pub const fn has_no_sqarray(self) -> bool {
        self.no_sqarray
    }

    /// What this kernel lacks for rings that hold sockets as descriptors of their own (all is there from Linux 6.8).
    #[must_use]
    pub const fn table_lacks(self) -> Option<&'static str> {
        self.table_lacks
    }
}

/// Tries everything a ring needs of the kernel: flags, features, operations, and how sends complete.
///
/// # Errors
/// The first thing that is missing.
pub fn probe() -> Result<Capabilities, Unavailable> {
    uring::trial()
}

/// Why there can be no ring here. Shown as one line with the cure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unavailable {
    /// The sysctl `kernel.io_uring_disabled` is 2: nobody may.
    Disabled,
    /// The sysctl `kernel.io_uring_disabled` is 1: only members of `kernel.io_uring_group` and `CAP_SYS_ADMIN` may.
    DisabledForUser,
    /// The kernel would allow it, but something between us and it does not: a container's seccomp profile, or a
    /// security module.
    Filtered,
    /// The kernel was built without `io_uring`, or a sandbox pretends so.
    Missing {
        /// The kernel's release, as it calls itself.
        release: String,
    },
    /// The kernel has `io_uring`, but not all that is needed of it.
    TooOld {
        /// The kernel's release, as it calls itself.
        release: String,
        /// What it lacks.
        lacks: &'static str,
    },
    /// No memory that may be locked or charged for the ring.
    NoMemory,
    /// No descriptors left for the ring.
    NoDescriptors {
        /// Whether it is the whole system that has none.
        system_wide: bool,
    },
    /// The kernel finishes a send that must not wait only after its submission: nothing could be sent from
    /// borrowed memory.
    SendsNotInline,
    /// Rings can do without what is missing, unless they are to hold sockets as descriptors of their own.
    NoTable {
        /// The kernel's release, as it calls itself.
        release: String,
        /// What it lacks.
        lacks: &'static str,
    },
    /// A table of registered descriptors is larger than the process's limit of descriptors, which bounds each for
    /// itself, or than [any may be](limits::REGISTERED_SLOTS_MAX).
    TableTooLarge {
        /// Sockets that it was to hold.
        slots: u32,
    },
    /// Something that no kernel is known to say.
    Unexpected {
        /// What it said.
        errno: Errno,
        /// The kernel's release, as it calls itself.
        release: String,
    },
}

impl Unavailable {
    /// What a refused setup means. Pure: the same three facts, the same verdict.
    #[must_use]
    pub fn diagnose(errno: Errno, io_uring_disabled: Option<u8>, release: &str) -> Self {
        let release = release.to_owned();
        match (errno.0, io_uring_disabled) {
            (libc::EPERM | libc::EACCES, Some(2..)) => Self::Disabled,
            (libc::EPERM | libc::EACCES, Some(1)) => Self::DisabledForUser,
            (libc::EPERM | libc::EACCES, Some(0) | None) => Self::Filtered,
            // The sysctl's file is there only when io_uring is (from 6.6), so what hides the call is a filter.
            (libc::ENOSYS, Some(_)) => Self::Filtered,
            (libc::ENOSYS, None) => Self::Missing { release },
            (libc::EINVAL, _) if version(&release).is_none_or(|version| version < FLOOR) => Self::TooOld {
                release,
                lacks: "IORING_SETUP_DEFER_TASKRUN",
            },
            (libc::ENOMEM, _) => Self::NoMemory,
            (libc::EMFILE, _) => Self::NoDescriptors { system_wide: false },
            (libc::ENFILE, _) => Self::NoDescriptors { system_wide: true },
            _ => Self::Unexpected { errno, release },
        }
    }

    /// What a refused setup means on this machine.
    pub(super) fn from_setup(errno: Errno) -> Self {
        Self::diagnose(errno, io_uring_disabled(), &release())
    }

    /// What a refused table of so many registered descriptors means.
    pub(super) fn from_table(errno: Errno, slots: u32) -> Self {
        match errno {
            Errno::NO_DESCRIPTORS => Self::TableTooLarge { slots },
            errno => Self::from_setup(errno),
        }
    }

    /// The running kernel lacks something that only tables of registered descriptors need.
    pub(super) fn no_table(lacks: &'static str) -> Self {
        Self::NoTable {
            release: release(),
            lacks,
        }
    }

    /// The running kernel lacks something named.
    pub(super) fn too_old(lacks: &'static str) -> Self {
        Self::TooOld {
            release: release(),
            lacks,
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => write!(
                f,
                "io_uring is disabled on this machine (kernel.io_uring_disabled=2); enable it with: \
                 sysctl -w kernel.io_uring_disabled=0"
            ),
            Self::DisabledForUser => write!(
                f,
                "io_uring is disabled for this user (kernel.io_uring_disabled=1); enable it with: \
                 sysctl -w kernel.io_uring_disabled=0, or sysctl -w kernel.io_uring_group=<gid> and run in that group"
            ),
            Self::Filtered => write!(
                f,
                "io_uring is filtered, usually by a container's seccomp profile; allow io_uring_setup, io_uring_enter \
                 and io_uring_register in the profile, or run with: docker run --security-opt seccomp=unconfined \
                 (Kubernetes: securityContext.seccompProfile.type: Unconfined)"
            ),
            Self::Missing { release } => write!(
                f,
                "this kernel ({release}) has no io_uring; use Linux {FLOOR_TEXT} or later, built with CONFIG_IO_URING=y, \
                 outside of sandboxes that emulate system calls"
            ),
            Self::TooOld { release, lacks } => {
                write!(
                    f,
                    "this kernel ({release}) lacks {lacks}; use Linux {FLOOR_TEXT} or later"
                )
            }
            Self::NoMemory => write!(
                f,
                "the kernel refuses memory for the ring; raise the container's memory limit, or the locked-memory \
                 limit: ulimit -l unlimited (systemd: LimitMEMLOCK=infinity, docker run --ulimit memlock=-1)"
            ),
            Self::NoDescriptors { system_wide: false } => write!(
                f,
                "no descriptors left for the ring; raise the limit: ulimit -n 1048576 (systemd: LimitNOFILE=1048576, \
                 docker run --ulimit nofile=1048576)"
            ),
            Self::NoDescriptors { system_wide: true } => write!(
                f,
                "the whole system has no descriptors left; raise the limit: sysctl -w fs.file-max=2097152"
            ),
            Self::SendsNotInline => write!(
                f,
                "this kernel's io_uring finishes MSG_DONTWAIT sends after their submission, which would corrupt \
                 streams; use an unpatched Linux {FLOOR_TEXT} or later"
            ),
            Self::NoTable { release, lacks } => write!(
                f,
                "registered descriptors need what this kernel ({release}) lacks: {lacks}; use Linux {TABLE_FLOOR_TEXT} or \
                 later, or the process's descriptors: --descriptors process"
            ),
            Self::TableTooLarge { slots } if *slots as usize > limits::REGISTERED_SLOTS_MAX => write!(
                f,
                "the kernel refuses a table of {slots} registered descriptors, and none may have more than {}; spread the \
                 connections over more shards: --shards (of tickwire bench: --threads)",
                limits::REGISTERED_SLOTS_MAX
            ),
            Self::TableTooLarge { slots } => write!(
                f,
                "the kernel refuses a table of {slots} registered descriptors; spread the connections over more shards: \
                 --shards (of tickwire bench: --threads), or raise the limit of descriptors, which bounds each table: \
                 ulimit -Hn {slots} (systemd: LimitNOFILE={slots}, docker run --ulimit nofile={slots})"
            ),
            Self::Unexpected { errno, release } => write!(
                f,
                "io_uring setup failed in a way we do not know ({errno}, kernel {release}); try Linux {FLOOR_TEXT} or \
                 later, and docker run --security-opt seccomp=unconfined"
            ),
        }
    }
}

impl std::error::Error for Unavailable {}

fn io_uring_disabled() -> Option<u8> {
    fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
        .ok()?
        .trim()
        .parse()
        .ok()
}

fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "of unknown release".to_owned(), |text| text.trim().to_owned())
}

/// Major and minor of a release such as `6.1.0-18-amd64`.
#[must_use]
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The oldest kernel that offers all that is needed.
pub const FLOOR: (u32, u32) = (6, 1);
const FLOOR_TEXT: &str = "6.1";
const TABLE_FLOOR_TEXT: &str = "6.8";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::contract::available;

    #[test]
    fn each_refusal_is_told_from_the_others() {
        let old = || Unavailable::TooOld {
            release: "5.15.0-91-generic".to_owned(),
            lacks: "IORING_SETUP_DEFER_TASKRUN",
        };
        let table = [
            (libc::EPERM, Some(2), "6.6.1", Unavailable::Disabled),
            (libc::EPERM, Some(1), "6.6.1", Unavailable::DisabledForUser),
            (libc::EPERM, Some(0), "6.6.1", Unavailable::Filtered),
            (libc::EPERM, None, "6.1.0", Unavailable::Filtered),
            (libc::EACCES, Some(0), "6.6.1", Unavailable::Filtered),
            (libc::ENOSYS, Some(0), "6.6.1", Unavailable::Filtered),
            (
                libc::ENOSYS,
                None,
                "4.4.0",
                Unavailable::Missing {
                    release: "4.4.0".to_owned(),
                },
            ),
            (libc::EINVAL, None, "5.15.0-91-generic", old()),
            (libc::ENOMEM, Some(0), "6.6.1", Unavailable::NoMemory),
            (
                libc::EMFILE,
                Some(0),
                "6.6.1",
                Unavailable::NoDescriptors { system_wide: false },
            ),
            (
                libc::ENFILE,
                Some(0),
                "6.6.1",
                Unavailable::NoDescriptors { system_wide: true },
            ),
            (
                libc::EINVAL,
                Some(0),
                "6.1.0",
                Unavailable::Unexpected {
                    errno: Errno::INVALID,
                    release: "6.1.0".to_owned(),
                },
            ),
        ];
        for (errno, sysctl, release, want) in table {
            assert_eq!(
                Unavailable::diagnose(Errno(errno), sysctl, release),
                want,
                "{errno} {sysctl:?} {release}"
            );
        }
    }

    #[test]
    fn every_refusal_is_one_line_with_its_cure() {
        let release = "5.4".to_owned();
        let cures = [
            (Unavailable::Disabled, "sysctl -w kernel.io_uring_disabled=0"),
            (Unavailable::DisabledForUser, "kernel.io_uring_group"),
            (Unavailable::Filtered, "--security-opt seccomp="),
            (
                Unavailable::Missing {
                    release: release.clone(),
                },
                "Linux 6.1",
            ),
            (Unavailable::too_old("IORING_OP_SEND"), "Linux 6.1"),
            (Unavailable::NoMemory, "ulimit -l"),
            (Unavailable::NoDescriptors { system_wide: false }, "ulimit -n"),
            (Unavailable::NoDescriptors { system_wide: true }, "fs.file-max"),
            (Unavailable::SendsNotInline, "Linux 6.1"),
            (
                Unavailable::no_table("IORING_OP_FIXED_FD_INSTALL"),
                "--descriptors process",
            ),
            (Unavailable::TableTooLarge { slots: 4000 }, "ulimit -Hn 4000"),
            (Unavailable::TableTooLarge { slots: 4000 }, "--shards"),
            (
                Unavailable::TableTooLarge { slots: (1 << 20) + 1 },
                "none may have more than 1048576; spread",
            ),
            (
                Unavailable::Unexpected {
                    errno: Errno::INVALID,
                    release,
                },
                "Invalid argument",
            ),
        ];
        for (refusal, cure) in cures {
            let line = refusal.to_string();
            assert!(
                line.contains(cure) && !line.contains('\n') && !line.contains("  "),
                "{line}"
            );
        }
    }

    #[test]
    fn a_release_is_compared_by_number_not_by_text() {
        assert_eq!(version("6.18.44-fc"), Some((6, 18)));
        assert!(version("6.18").unwrap() > FLOOR && version("5.19.17").unwrap() < FLOOR);
        assert_eq!(version("gVisor"), None);
    }

    #[test]
    fn the_probe_leaves_no_descriptor_behind() {
        let count = || fs::read_dir("/proc/self/fd").unwrap().count();
        if available().is_some() {
            // Other tests open descriptors meanwhile; a leak of one a probe would outgrow them.
            let before = count();
            (0..200).for_each(|_| drop(probe()));
            assert!(count() < before + 200);
        }
    }
}
