//! The table that the loader of either proxy reads.

use std::cell::UnsafeCell;

/// Words of the table: Kamailio's has 10, that of OpenSIPS 23 at most.
const WORDS: usize = 32;

/// Memory for whichever `module_exports` the proxy has.
#[repr(C, align(16))]
pub struct Exports(UnsafeCell<[usize; WORDS]>);

// SAFETY: it is written once, while the file is loaded and nobody else knows of it, and then only read.
unsafe impl Sync for Exports {}

impl Exports {
    /// An empty table.
    pub const fn empty() -> Self {
        Self(UnsafeCell::new([0; WORDS]))
    }

    /// Makes it a table of this form.
    ///
    /// # Safety
    /// Only while the file is loaded, before the loader looks at it.
    pub unsafe fn fill<T>(&self, table: T) {
        const {
            assert!(size_of::<T>() <= size_of::<Self>());
            assert!(align_of::<T>() <= align_of::<Self>());
        };
        // SAFETY: there is room for `table`, and while the file is loaded, as is required above, nobody
        // else is here.
        unsafe { self.0.get().cast::<T>().write(table) };
    }
}
