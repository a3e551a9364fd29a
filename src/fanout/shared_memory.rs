//! Memory that stays shared across `fork`, at one address in all processes: structures made of atomic words.
//!
//! | kind of word | who writes it |
//! |---|---|
//! | [`Locked`], [`Link`] | who has the lock; anybody may read it |
//! | [`Written`] | who has made what it is of, before anybody else sees that |
//! | an atomic word | anybody, as the file says that owns it |

use std::fmt;
use std::hash::{Hash, Hasher};
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::{Deref, Index};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// What may stand in shared memory.
///
/// # Safety
/// It is made of atomic words alone, `repr(C)` or `repr(transparent)`: any bytes are a value of it, others may change
/// it at any time, and its alignment is that of a `u64` at most.
pub(super) unsafe trait Shared: Sized {}

// SAFETY: it is an atomic word.
unsafe impl Shared for AtomicU32 {}
// SAFETY: it is an atomic word.
unsafe impl Shared for AtomicU64 {}
// SAFETY: it has no bytes.
unsafe impl<T> Shared for PhantomData<T> {}
// SAFETY: so are all elements.
unsafe impl<T: Shared, const COUNT: usize> Shared for [T; COUNT] {}

/// Declares structures of shared memory: each field is one that may stand there.
macro_rules! shared {
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident $(<$($param:ident),+>)? {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[repr(C)]
        $vis struct $name $(<$($param),+>)? {
            $($(#[$field_meta])* $field_vis $field: $type,)*
        }

        const _: () = {
            #[allow(dead_code)]
            fn fields_may_stand_there $(<$($param),+>)? () {
                fn may_stand_there<T: $crate::fanout::shared_memory::Shared>() {}
                $(may_stand_there::<$type>();)*
            }
        };

        // SAFETY: all fields may stand in shared memory, as was just checked.
        #[allow(unsafe_code)]
        unsafe impl $(<$($param),+>)? $crate::fanout::shared_memory::Shared for $name $(<$($param),+>)? {}
    )*};
}
pub(super) use shared;

/// Proves that the lock is held: only who has it changes words of these kinds.
pub(super) trait HasLock {
    /// The memory that the lock is of.
    fn memory(&self) -> &SharedMemory;
    /// A word is about to be changed.
    fn changes(&self);
}

/// Proves that nobody else has seen a message: only who has that writes what is written once.
pub(super) trait IsUnpublished {}

/// A number that fills a word, or half of one.
pub(super) trait Number: Copy + Default {
    type Atomic: Shared;
    fn load(word: &Self::Atomic) -> Self;
    fn store(word: &Self::Atomic, value: Self);
    fn plus(self, amount: Self) -> Self;
    fn minus(self, amount: Self) -> Self;
}

macro_rules! number {
    ($number:ty, $atomic:ty) => {
        impl Number for $number {
            type Atomic = $atomic;

            #[inline]
            fn load(word: &$atomic) -> Self {
                word.load(Relaxed)
            }

            #[inline]
            fn store(word: &$atomic, value: Self) {
                word.store(value, Release);
            }

            #[inline]
            fn plus(self, amount: Self) -> Self {
                self.wrapping_add(amount)
            }

            #[inline]
            fn minus(self, amount: Self) -> Self {
                debug_assert!(self >= amount, "{self} - {amount}");
                self.wrapping_sub(amount)
            }
        }
    };
}
number!(u32, AtomicU32);
number!(u64, AtomicU64);

/// A number that is changed with the lock alone, after all that was changed before. Anybody may read it.
#[repr(transparent)]
pub(super) struct Locked<T: Number>(T::Atomic);

// SAFETY: it is an atomic word.
unsafe impl<T: Number> Shared for Locked<T> {}

impl<T: Number> Locked<T> {
    #[inline]
    pub(super) fn get(&self) -> T {
        T::load(&self.0)
    }

    #[inline]
    pub(super) fn set(&self, held: &impl HasLock, value: T) {
        held.changes();
        T::store(&self.0, value);
    }

    #[inline]
    pub(super) fn add(&self, held: &impl HasLock, amount: T) {
        self.set(held, self.get().plus(amount));
    }

    /// Empties it before anybody else sees what it is of.
    #[inline]
    pub(super) fn clear(&self, _: &impl IsUnpublished) {
        T::store(&self.0, T::default());
    }

    /// Takes away so much of it.
    #[inline]
    pub(super) fn subtract(&self, held: &impl HasLock, amount: T) {
        self.set(held, self.get().minus(amount));
    }
}

/// A number that is written before anybody else sees what it is of, and never again.
#[repr(transparent)]
pub(super) struct Written<T: Number>(T::Atomic);

// SAFETY: it is an atomic word.
unsafe impl<T: Number> Shared for Written<T> {}

impl<T: Number> Written<T> {
    #[inline]
    pub(super) fn get(&self) -> T {
        T::load(&self.0)
    }

    #[inline]
    pub(super) fn write(&self, _: &impl IsUnpublished, value: T) {
        T::store(&self.0, value);
    }
}

/// Where a structure stands in the memory.
pub(super) struct At<T>(NonZeroU32, PhantomData<fn() -> T>);

impl<T> At<T> {
    /// That at this word, which is not the first one.
    #[inline]
    pub(super) fn word(word: usize) -> Self {
        debug_assert!(word != 0 && u32::try_from(word).is_ok());
        Self(
            NonZeroU32::new(word as u32).unwrap_or(NonZeroU32::MAX),
            PhantomData,
        )
    }

    /// The number of its first word.
    #[inline]
    pub(super) fn to_word(self) -> usize {
        self.0.get() as usize
    }
}

impl<T> Clone for At<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for At<T> {}

impl<T> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for At<T> {}

impl<T> Hash for At<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<T> fmt::Debug for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Leads to a structure, or to none. It is changed with the lock alone.
#[repr(transparent)]
pub(super) struct Link<T>(Locked<u32>, PhantomData<fn() -> T>);

// SAFETY: it is an atomic word.
unsafe impl<T> Shared for Link<T> {}

impl<T> Link<T> {
    #[inline]
    pub(super) fn get(&self) -> Option<At<T>> {
        NonZeroU32::new(self.0.get()).map(|word| At(word, PhantomData))
    }

    #[inline]
    pub(super) fn set(&self, held: &impl HasLock, to: Option<At<T>>) {
        self.0.set(held, to.map_or(0, |to| to.0.get()));
    }

    /// Lets it lead to nothing before anybody else sees what it is of.
    #[inline]
    pub(super) fn clear(&self, unpublished: &impl IsUnpublished) {
        self.0.clear(unpublished);
    }
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
        let start = map(bytes)?;
        Ok(Self {
            start,
            words,
            made: Instant::now(),
        })
    }

    /// Where a structure stands in this memory.
    pub(super) fn word_of<T: Shared>(&self, of: &T) -> usize {
        let bytes = std::ptr::from_ref(of).addr() - self.start.addr().get();
        bytes / size_of::<AtomicU64>()
    }

    /// The structure at its start.
    #[inline]
    pub(super) fn root<T: Shared>(&self) -> &T {
        const { assert!(align_of::<T>() <= 4096) };
        let bytes = self.words * size_of::<AtomicU64>();
        assert!(size_of::<T>() <= bytes, "a memory of {bytes} bytes");
        // SAFETY: the structure lies within the mapping, as was just checked, which lives as long as `self`. A mapping
        // is aligned to a page, and any bytes are one.
        unsafe { self.start.cast().as_ref() }
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
}

/// A structure in memory of its own, made before the processes are forked that share it. Zeroes at first.
pub(super) struct Mapped<T>(SharedMemory, PhantomData<fn() -> T>);

impl<T: Shared> Mapped<T> {
    pub(super) fn new() -> io::Result<Self> {
        let words = size_of::<T>().div_ceil(size_of::<AtomicU64>());
        SharedMemory::new(words).map(|memory| Self(memory, PhantomData))
    }
}

impl<T: Shared> Deref for Mapped<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        const { assert!(align_of::<T>() <= align_of::<AtomicU64>()) };
        // SAFETY: `new` has mapped as many bytes as the structure has; the mapping is aligned to a page and lives as
        // long as `self`, and any bytes are such a structure.
        unsafe { self.0.start.cast().as_ref() }
    }
}

impl<T> fmt::Debug for Mapped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Structures of one kind in memory of their own, made before the processes are forked that share them. Zeroes at
/// first.
pub(super) struct MappedTable<T> {
    memory: SharedMemory,
    length: usize,
    elements: PhantomData<fn() -> T>,
}

impl<T: Shared> MappedTable<T> {
    pub(super) fn new(length: usize) -> io::Result<Self> {
        let bytes = size_of::<T>().checked_mul(length);
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self {
            memory: SharedMemory::new(bytes.div_ceil(size_of::<AtomicU64>()))?,
            length,
            elements: PhantomData,
        })
    }

    /// How long ago it was made, the same in all processes: by a clock that nobody sets.
    pub(super) fn age(&self) -> Duration {
        self.memory.age()
    }
}

impl<T: Shared> Deref for MappedTable<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        const { assert!(align_of::<T>() <= align_of::<AtomicU64>()) };
        // SAFETY: `new` has mapped as many bytes as these structures have; the mapping is aligned to a page and lives
        // as long as `self`, and any bytes are such structures.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().cast(), self.length) }
    }
}

impl<T> fmt::Debug for MappedTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.memory.fmt(f)
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
