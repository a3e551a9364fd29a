//! Memory that stays shared across `fork`, seen as atomic words.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
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

    /// The same, with a mutex that is ready to be used at this word.
    pub(super) fn with_mutex(words: usize, at: usize) -> io::Result<Self> {
        let memory = Self::new(words)?;
        memory.mutex(at).prepare()?;
        Ok(memory)
    }

    /// The mutex at this word.
    #[inline]
    pub(super) fn mutex(&self, at: usize) -> &RobustMutex {
        let words = size_of::<RobustMutex>() / size_of::<AtomicU64>();
        let start = self.words()[at..][..words].as_ptr();
        debug_assert!(start.cast::<RobustMutex>().is_aligned());
        // SAFETY: the words are inside the mapping, aligned, and used for nothing else; zeroed ones are a mutex.
        unsafe { &*start.cast() }
    }

    /// How long ago it was made, the same in all processes: by a clock that nobody sets.
    pub(super) fn age(&self) -> Duration {
        self.made.elapsed()
    }

    /// All words.
    #[inline]
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

/// A mutex of the C library that processes share, and that outlives the one that has it: whoever takes it next
/// learns that its holder has died (pthread_mutexattr_setrobust(3)). It has a line of the processor's cache.
#[repr(C, align(64))]
#[derive(Debug)]
pub(super) struct RobustMutex {
    mutex: UnsafeCell<libc::pthread_mutex_t>,
    /// Which of the mutex's half words names its holder, from 1 on; 0 if none does.
    owner: AtomicU32,
}

// SAFETY: the C library lets any thread of any process use the mutex at once; the other word is atomic.
unsafe impl Sync for RobustMutex {}

/// What became of the wish to have a mutex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is ours.
    Yes,
    /// It is ours, and its last holder has died with it.
    FromTheDead,
    /// Somebody has it.
    No,
}

impl RobustMutex {
    /// Bits of the word of the holder that are its thread's id (`FUTEX_TID_MASK` of the kernel).
    const THREAD: u32 = libc::FUTEX_TID_MASK;

    /// Makes the mutex, once, before anybody else knows of its memory.
    fn prepare(&self) -> io::Result<()> {
        let worked = |error: libc::c_int| match error {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are made before they are used, and given up once; nobody uses the mutex yet.
        unsafe {
            let attributes = attributes.as_mut_ptr();
            worked(libc::pthread_mutexattr_init(attributes))?;
            let made = worked(libc::pthread_mutexattr_setpshared(
                attributes,
                libc::PTHREAD_PROCESS_SHARED,
            ))
            .and_then(|()| {
                let robust = libc::PTHREAD_MUTEX_ROBUST;
                worked(libc::pthread_mutexattr_setrobust(attributes, robust))
            })
            .and_then(|()| worked(libc::pthread_mutex_init(self.mutex.get(), attributes)));
            libc::pthread_mutexattr_destroy(attributes);
            made?;
        }
        // The kernel finds out by the first such word who has died with it, so there is one, wherever the C
        // library has it.
        if self.try_lock() == Taken::Yes {
            let own = rustix::thread::gettid().as_raw_nonzero().get() as u32;
            let is_own = |half: &AtomicU32| half.load(Relaxed) & Self::THREAD == own;
            let place = self.half_words().iter().position(is_own);
            self.owner
                .store(place.map_or(0, |place| place as u32 + 1), Release);
            self.unlock();
        }
        Ok(())
    }

    fn half_words(&self) -> &[AtomicU32] {
        let halves = size_of::<libc::pthread_mutex_t>() / size_of::<AtomicU32>();
        // SAFETY: the mutex is as large, aligned for its lock word, which is as large as a half, and changed
        // atomically by the C library and the kernel; the others are not looked at once it is in use.
        unsafe { std::slice::from_raw_parts(self.mutex.get().cast(), halves) }
    }

    /// Takes the mutex if nobody has it.
    #[inline]
    pub(super) fn try_lock(&self) -> Taken {
        // SAFETY: the mutex was made by `prepare`.
        match unsafe { libc::pthread_mutex_trylock(self.mutex.get()) } {
            0 => Taken::Yes,
            libc::EOWNERDEAD => {
                // At once: if it were given back before that, nobody would ever have it again.
                // SAFETY: as above, and it is ours.
                unsafe { libc::pthread_mutex_consistent(self.mutex.get()) };
                Taken::FromTheDead
            }
            _ => Taken::No,
        }
    }

    /// Gives the mutex back. Does nothing for who does not have it.
    #[inline]
    pub(super) fn unlock(&self) {
        // SAFETY: the mutex was made by `prepare`; a robust one is given back by its holder alone.
        unsafe { libc::pthread_mutex_unlock(self.mutex.get()) };
        // On x86 that is a full barrier already, as the mutex is given back by an exchange: its old value says
        // whether somebody waits.
        #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }

    /// The thread that has the mutex; 0 if none has, or if that is not known.
    #[inline]
    pub(super) fn owner(&self) -> u32 {
        let place = self.owner.load(Relaxed) as usize;
        let word = place
            .checked_sub(1)
            .and_then(|place| self.half_words().get(place));
        word.map_or(0, |word| word.load(Acquire) & Self::THREAD)
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
