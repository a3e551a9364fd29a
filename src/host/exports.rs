//! The table that the loader of either proxy reads, filled in when the file is loaded, for the proxy
//! that does. A program that is neither finds it empty.

use super::guard::guarded;
use super::{kamailio, opensips};
use std::cell::UnsafeCell;

/// Words of the table: Kamailio's has 10, that of OpenSIPS 23 at most.
const WORDS: usize = 32;

/// Memory for whichever `module_exports` the proxy has.
#[repr(C, align(16))]
pub struct Exports(UnsafeCell<[usize; WORDS]>);

// SAFETY: it is written once, while the file is loaded and nobody else knows of it, and then only read.
unsafe impl Sync for Exports {}

/// `module_exports_t` of Kamailio or `struct module_exports` of OpenSIPS.
#[unsafe(no_mangle)]
static exports: Exports = Exports(UnsafeCell::new([0; WORDS]));

impl Exports {
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

/// Runs when the file is loaded, before the loader looks at the version.
#[unsafe(link_section = ".init_array")]
#[used]
static AT_LOAD: extern "C" fn() = identify;

/// Finds out who has loaded us, and becomes a module of that program if it is a proxy.
extern "C" fn identify() {
    guarded((), || {
        // SAFETY: the file is just being loaded.
        unsafe {
            if opensips::is_host() {
                opensips::become_module(&exports);
            } else if kamailio::is_host() {
                kamailio::become_module(&exports);
            }
        }
    });
}
