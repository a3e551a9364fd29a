//! The table that the loader of either proxy reads.

use std::cell::UnsafeCell;

/// Words of the table: Kamailio's has 10, that of OpenSIPS 23 at most.
const WORDS: usize = 32;

/// Memory for the `module_exports` of either proxy.
#[repr(C, align(16))]
pub struct Exports(UnsafeCell<[usize; WORDS]>);

// SAFETY: it is written once, while the file is being loaded and nothing else refers to it, and then
// only read.
unsafe impl Sync for Exports {}

impl Exports {
    /// An empty table.
    pub const fn empty() -> Self {
        Self(UnsafeCell::new([0; WORDS]))
    }

    /// Fills it with a table of this type.
    ///
    /// # Safety
    /// Only while the file is being loaded, before the loader reads the table.
    pub unsafe fn fill<T>(&self, table: T) {
        const {
            assert!(size_of::<T>() <= size_of::<Self>());
            assert!(align_of::<T>() <= align_of::<Self>());
        };
        // SAFETY: there is room for `table`, and while the file is being loaded, as required above,
        // nothing else accesses it.
        unsafe { self.0.get().cast::<T>().write(table) };
    }
}
