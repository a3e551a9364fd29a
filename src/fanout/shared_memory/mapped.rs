//! Structures in shared memory of their own.

use super::mapping::SharedMemory;
use super::words::Shared;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// A structure in memory of its own, made before the processes are forked that share it. Zeroes at first.
pub(in super::super) struct Mapped<T>(SharedMemory, PhantomData<fn() -> T>);

impl<T: Shared> Mapped<T> {
    pub(in super::super) fn new() -> io::Result<Self> {
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
pub(in super::super) struct MappedTable<T> {
    memory: SharedMemory,
    length: usize,
    elements: PhantomData<fn() -> T>,
}

impl<T: Shared> MappedTable<T> {
    pub(in super::super) fn new(length: usize) -> io::Result<Self> {
        let bytes = size_of::<T>().checked_mul(length);
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(Self {
            memory: SharedMemory::new(bytes.div_ceil(size_of::<AtomicU64>()))?,
            length,
            elements: PhantomData,
        })
    }

    /// How long ago it was made, the same in all processes: by a clock that nobody sets.
    pub(in super::super) fn age(&self) -> Duration {
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
