//! A ring of bytes mapped twice in a row, so that no range of it ever wraps.
//!
//! Never decides what may be read or written when: that is its caller's promise, and `shared.rs` makes it.
//! Invariant: the `2 * len` bytes from `base` are mapped, readable and writable, and byte `i` and byte `len + i`
//! are the same byte of memory.

#![expect(
    unsafe_code,
    reason = "maps the same memory twice, which only mmap can do, and hands out its bytes"
)]

use super::shape::TapeError;
use std::arch::asm;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

/// The ring. Its memory is zero until written and costs nothing until touched.
#[derive(Debug)]
pub(super) struct Mirror {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process, not to the thread that made it; nothing here is thread-bound.
unsafe impl Send for Mirror {}
// SAFETY: every access through a shared reference is by an unsafe method whose caller promises that no write
// overlaps, unordered, with any other access to the same bytes.
unsafe impl Sync for Mirror {}

impl Mirror {
    /// Maps a ring of `len` bytes: a power of two, at least a page, and twice it fits an `isize`.
    pub(super) fn new(len: usize) -> Result<Self, TapeError> {
        assert!(
            len.is_power_of_two() && len >= page_bytes() && len <= isize::MAX as usize / 2,
            "the shape has been checked"
        );
        let refused = |call| {
            move |source| TapeError::Map {
                call,
                bytes: len,
                source,
            }
        };
        let memory = memory_file().map_err(refused("memfd_create"))?;
        memory.set_len(len as u64).map_err(refused("ftruncate"))?;
        let mirror = Self {
            base: reserve(2 * len).map_err(refused("mmap"))?,
            len,
        };
        // From here on dropping `mirror` gives the address space back, whatever has been mapped into it.
        mirror.place(&memory, 0).map_err(refused("mmap"))?;
        mirror.place(&memory, len).map_err(refused("mmap"))?;
        Ok(mirror)
    }

    /// Bytes of the ring.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Writes `bytes` from `offset` on.
    ///
    /// # Safety
    /// Every earlier access to these bytes, in either half, happened before this call; no slice that holds one of
    /// them is alive; and no other access to them happens until the call is over.
    ///
    /// # Panics
    /// When `offset` is not in the ring or `bytes` are more than the ring.
    pub(super) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(
            offset < self.len && bytes.len() <= self.len,
            "a write fits the ring"
        );
        // SAFETY: `offset < len`, and `2 * len` bytes from `base` are one mapping.
        let target = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: `offset + bytes.len() < 2 * len`, all mapped writable; the caller promises that nobody else
        // looks at these bytes; `bytes` is a live slice, which by that promise is none of them.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
        self.reflect();
    }

    /// The `len` bytes from `offset` on.
    ///
    /// # Safety
    /// These bytes were written (or are still zero) before, in the happens-before order, and nobody writes to them
    /// (in either half) while the slice lives.
    ///
    /// # Panics
    /// When `offset` is not in the ring or `len` is more than the ring.
    pub(super) unsafe fn slice(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset < self.len && len <= self.len, "a slice fits the ring");
        // SAFETY: `offset < len`, and `2 * len` bytes from `base` are one mapping.
        let start = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: `offset + len < 2 * self.len`, all mapped readable and initialised (by the operating system at
        // least); the caller promises that they do not change while the slice lives, which `&self` bounds.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// Tells the compiler that a write to one half has changed the other.
    ///
    /// To the language the halves are two pieces of memory, so without this it could move a read of one half from
    /// after to before a write to the other. The empty assembly is what, to the language, copies the bytes across;
    /// the hardware did so already, because both halves are one physical page. The opposite move, of an earlier
    /// read to after the write, is ruled out by the release store of the tail that lies between the last read of a
    /// byte and its next write (see `pin.rs`).
    fn reflect(&self) {
        // SAFETY: no instruction; it only stands for a write to memory that this mapping owns.
        unsafe { asm!("/* {0} */", in(reg) self.base.as_ptr(), options(nostack, preserves_flags)) };
    }

    /// Maps the file over the reserved address space, `offset` bytes in.
    fn place(&self, memory: &File, offset: usize) -> io::Result<()> {
        // SAFETY: `offset` is 0 or `len`, inside the `2 * len` bytes reserved at `base`.
        let place = unsafe { self.base.as_ptr().add(offset) };
        // SAFETY: `MAP_FIXED` replaces only pages that `reserve` set aside for this ring and nobody uses yet.
        let mapped = unsafe {
            libc::mmap(
                place.cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_FIXED,
                memory.as_raw_fd(),
                0,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // SAFETY: the `2 * len` bytes from `base` are ours, and no slice outlives `self`.
        let unmapped = unsafe { libc::munmap(self.base.as_ptr().cast(), 2 * self.len) };
        debug_assert_eq!(unmapped, 0, "unmapping what was mapped cannot fail");
    }
}

/// Bytes of the machine's page.
pub(super) fn page_bytes() -> usize {
    // SAFETY: reads a constant of the system; touches no memory of ours.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    // POSIX requires the value; 64 KiB is the largest page of any machine that Linux runs on.
    usize::try_from(bytes).unwrap_or(64 * 1024)
}

/// A file of no bytes that exists in memory only, and until it is neither open nor mapped.
fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string that lives throughout the program.
    let fd = unsafe { libc::memfd_create(c"tickwire-track".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, fresh, and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Sets aside `bytes` of address space that cannot be touched yet.
fn reserve(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: the system chooses the place, so nothing mapped before is replaced.
    let place = unsafe {
        libc::mmap(
            ptr::null_mut(),
            bytes,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(place.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::*;

    #[test]
    fn a_range_across_the_end_is_contiguous_and_shows_at_the_start() {
        let ring = Mirror::new(page_bytes()).unwrap();
        let text = b"across the end";
        let offset = ring.len() - 6;
        // SAFETY: this thread alone knows the ring, and no slice of it exists.
        unsafe { ring.write(offset, text) };
        // SAFETY: written above by this thread; nothing is written while the slice lives.
        assert_eq!(unsafe { ring.slice(offset, text.len()) }, text);
        // SAFETY: as above.
        assert_eq!(unsafe { ring.slice(0, text.len() - 6) }, &text[6..]);
        // SAFETY: as above.
        assert_eq!(unsafe { ring.slice(text.len(), 8) }, &[0; 8]);
    }

    #[test]
    fn the_whole_ring_can_be_one_slice_from_any_offset() {
        let ring = Mirror::new(page_bytes()).unwrap();
        let bytes: Vec<u8> = (0..ring.len()).map(|i| u8::try_from(i % 251).unwrap()).collect();
        for offset in [0, 1, ring.len() / 2, ring.len() - 1] {
            // SAFETY: this thread alone knows the ring, and no slice of it exists.
            unsafe { ring.write(offset, &bytes) };
            // SAFETY: written above by this thread; nothing is written while the slice lives.
            assert_eq!(unsafe { ring.slice(offset, bytes.len()) }, bytes);
        }
    }

    #[test]
    #[should_panic(expected = "a write fits the ring")]
    fn a_write_longer_than_the_ring_is_refused() {
        let ring = Mirror::new(page_bytes()).unwrap();
        // SAFETY: this thread alone knows the ring, and no slice of it exists.
        unsafe { ring.write(0, &vec![0; ring.len() + 1]) };
    }
}
