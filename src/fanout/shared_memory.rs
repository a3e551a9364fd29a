//! Memory that stays shared across `fork`, seen as atomic words.

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64};

/// A run of zeroed words that a process shares with all processes it forks afterwards.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the memory is only reached as atomic words, and lives as long as the value.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; atomic words may be used from many threads at once.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// Maps room for `words` words; pages that are never touched cost nothing.
    pub fn new(words: usize) -> io::Result<Self> {
        let bytes = words
            .checked_mul(size_of::<AtomicU64>())
            .filter(|&bytes| bytes > 0)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing
        // that exists.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(address.cast())
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self { start, words })
    }

    /// All words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is zeroed, page-aligned, `words` words long, and is unmapped only
        // when `self`, which the result borrows, is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// Half of a word, for the kernel to wait on (futex). That word is to be used for nothing else.
    pub fn half_word(&self, word: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = &self.words()[word];
        // SAFETY: the word is inside the mapping, is aligned for its half and lives as long as
        // `self`; both are atomic and hold any bytes.
        unsafe { &*word.cast() }
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let bytes = self.words * size_of::<AtomicU64>();
        // SAFETY: the mapping was made by `new` with this length and is not borrowed any more.
        // Other processes keep their own mapping of the same memory.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
