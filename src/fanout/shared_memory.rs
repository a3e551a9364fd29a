//! Memory that stays shared across `fork`, seen as atomic words.

use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// A run of zeroed words that a process shares with all processes it forks afterwards.
#[derive(Debug)]
pub struct SharedMemory {
    start: NonNull<AtomicU64>,
    words: usize,
    made: Instant,
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
        Ok(Self {
            start,
            words,
            made: Instant::now(),
        })
    }

    /// How long ago it was made, the same in all processes: by a clock that nobody sets.
    pub(super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// All words.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is zeroed, page-aligned, `words` words long, and is unmapped only
        // when `self`, which the result borrows, is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// The word at this index.
    #[inline]
    pub(super) fn get(&self, at: usize) -> u64 {
        self.words()[at].load(Relaxed)
    }

    /// Changes the word at this index, after all words that were changed before.
    #[inline]
    pub(super) fn set(&self, at: usize, value: u64) {
        self.words()[at].store(value, Release);
    }

    /// Writes bytes from byte number `from` on.
    ///
    /// # Safety
    /// No other process or thread may use these bytes meanwhile, and no slice that
    /// [`SharedMemory::bytes`] has given of them may be in use.
    pub(super) unsafe fn write(&self, from: usize, bytes: &[u8]) {
        self.check(from, bytes.len());
        // SAFETY: the bytes lie within the mapping, as was just checked. `bytes` is not among them, as no
        // slice of them is in use, which is required above.
        unsafe {
            let place = self.start.as_ptr().cast::<u8>().add(from);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
        }
    }

    /// The bytes from byte number `from` on.
    ///
    /// # Safety
    /// As long as the result is in use, nobody may write any of these bytes: neither
    /// [`SharedMemory::write`] nor a word that lies among them.
    pub(super) unsafe fn bytes(&self, from: usize, length: usize) -> &[u8] {
        self.check(from, length);
        // SAFETY: the bytes lie within the mapping, as was just checked, and live as long as `self`. That
        // they do not change is required above.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast::<u8>().add(from), length) }
    }

    /// Panics like any other index out of bounds.
    fn check(&self, from: usize, length: usize) {
        let size = self.words * size_of::<AtomicU64>();
        let end = from.checked_add(length);
        assert!(
            end.is_some_and(|end| end <= size),
            "bytes {from} and {length} more of {size}"
        );
    }

    /// Half of a word, for the kernel to wait on (futex). That word is to be used for nothing else.
    pub fn half_word(&self, word: usize) -> &AtomicU32 {
        let word: *const AtomicU64 = &self.words()[word];
        // SAFETY: indexing has found the word inside the mapping, which lives as long as `self`; it is
        // aligned for its half, both are atomic, and both hold any bytes.
        unsafe { &*word.cast() }
    }
}

/// A word of each process's own, in which a process that was forked finds 0. Nothing where the kernel
/// has no such memory (before Linux 4.14).
pub(super) fn word_of_this_process() -> Option<&'static AtomicU64> {
    static WORD: OnceLock<Option<&'static AtomicU64>> = OnceLock::new();
    *WORD.get_or_init(|| {
        let bytes = size_of::<AtomicU64>();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing
        // that exists, and is never unmapped. It is zeroed, aligned to a page, and large enough.
        unsafe {
            let page = libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0);
            let is_there =
                page != libc::MAP_FAILED && libc::madvise(page, bytes, libc::MADV_WIPEONFORK) == 0;
            is_there.then(|| &*page.cast::<AtomicU64>())
        }
    })
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        let bytes = self.words * size_of::<AtomicU64>();
        // SAFETY: the mapping was made by `new` with this length and is not borrowed any more.
        // Other processes keep their own mapping of the same memory.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}
