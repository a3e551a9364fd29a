//! What runs when the file is loaded: the table of exports is filled in for the proxy that loads it. A program
//! that is none finds it empty.

use super::exports::Exports;
use super::guard::guarded;
use super::{kamailio, opensips};

/// `module_exports_t` of Kamailio or `struct module_exports` of OpenSIPS.
#[unsafe(no_mangle)]
static exports: Exports = Exports::empty();

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
