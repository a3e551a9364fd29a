//! Memory that stays shared across `fork`, at one address in all processes.

use super::words::{At, HasLock, Shared};
use std::io;
use std::ops::Index;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

/// The memory whose lock is held.
pub(in super::super) trait HasMemory: HasLock {
    /// The memory that the lock is of.
    fn memory(&self) -> &SharedMemory;
}

/// The structure at a place. Panics like any other index out of bounds.
impl<T: Shared> Index<At<T>> for SharedMemory {
    type Output = T;

    #[inline]
    fn index(&self, at: At<T>) -> &T {
        const { assert!(size_of::<T>().is_multiple_of(size_of::<AtomicU64>())) };
        const { assert!(align_of::<T>() <= align_of::<AtomicU64>()) };
        let words = const { size_of::<T>() / size_of::<AtomicU64>() };
        let first = at.to_word();
        if first + words > self.words {
            out_of_bounds(first, self.words);
        }
        // SAFETY: the structure lies within the mapping, as was just checked, which lives as long as `self`. It is
        // aligned, as the mapping is, and any bytes are one.
        unsafe { self.start.add(first).cast().as_ref() }
    }
}

#[cold]
fn out_of_bounds(word: usize, words: usize) -> ! {
    panic!("word {word} of {words}")
}

/// A run of zeroed words that a process shares with all processes it forks afterwards.
#[derive(Debug)]
pub struct SharedMemory {
    pub(super) start: NonNull<AtomicU64>,
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
        let start = map(bytes)?;
        Ok(Self {
            start,
            words,
            made: Instant::now(),
        })
    }

    /// Where a structure stands in this memory.
    pub(in super::super) fn word_of<T: Shared>(&self, of: &T) -> usize {
        let bytes = std::ptr::from_ref(of).addr() - self.start.addr().get();
        bytes / size_of::<AtomicU64>()
    }

    /// The structure at its start.
    #[inline]
    pub(in super::super) fn root<T: Shared>(&self) -> &T {
        const { assert!(align_of::<T>() <= 4096) };
        let bytes = self.words * size_of::<AtomicU64>();
        assert!(size_of::<T>() <= bytes, "a memory of {bytes} bytes");
        // SAFETY: the structure lies within the mapping, as was just checked, which lives as long as `self`. A mapping
        // is aligned to a page, and any bytes are one.
        unsafe { self.start.cast().as_ref() }
    }

    /// How long ago it was made, the same in all processes: by a clock that nobody sets.
    pub(in super::super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// All words.
    #[inline]
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is zeroed, page-aligned, `words` words long, and is unmapped only
        // when `self`, which the result borrows, is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.words) }
    }

    /// Writes bytes from byte number `from` on.
    ///
    /// # Safety
    /// No other process or thread may use these bytes meanwhile, and no slice that
    /// [`SharedMemory::bytes`] has given of them may be in use.
    pub(in super::super) unsafe fn write(&self, from: usize, bytes: &[u8]) {
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
    pub(in super::super) unsafe fn bytes(&self, from: usize, length: usize) -> &[u8] {
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
}

/// A word of each process's own, in which a process that was forked finds 0. Nothing where the kernel
/// has no such memory (before Linux 4.14).
pub(in super::super) fn word_of_this_process() -> Option<&'static AtomicU64> {
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
        // SAFETY: the mapping was made by `new` with this length and is not borrowed any more.
        unsafe { unmap(self.start, self.words * size_of::<AtomicU64>()) };
    }
}

/// Zeroed bytes that are shared with all processes that are forked afterwards.
#[cfg(not(miri))]
fn map(bytes: usize) -> io::Result<NonNull<AtomicU64>> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing
    // that exists.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), bytes, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    NonNull::new(address.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// Gives the mapping back. Other processes keep their own mapping of the same memory.
///
/// # Safety
/// It must come from [`map`] with this length, and not be borrowed.
#[cfg(not(miri))]
unsafe fn unmap(start: NonNull<AtomicU64>, bytes: usize) {
    // SAFETY: as is required above.
    unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
}

/// The same in memory that nobody shares, where Miri and the address sanitizer see each access out of bounds.
#[cfg(miri)]
fn map(bytes: usize) -> io::Result<NonNull<AtomicU64>> {
    let layout = plain(bytes)?;
    // SAFETY: the layout has bytes.
    let start = unsafe { std::alloc::alloc_zeroed(layout) };
    NonNull::new(start.cast()).ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// # Safety
/// As above.
#[cfg(miri)]
unsafe fn unmap(start: NonNull<AtomicU64>, bytes: usize) {
    if let Ok(layout) = plain(bytes) {
        // SAFETY: as is required above, and the layout is that of [`map`].
        unsafe { std::alloc::dealloc(start.as_ptr().cast(), layout) };
    }
}

/// Bytes aligned to a page, as a mapping is.
#[cfg(miri)]
fn plain(bytes: usize) -> io::Result<std::alloc::Layout> {
    let layout = std::alloc::Layout::from_size_align(bytes, 4096);
    layout.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}
