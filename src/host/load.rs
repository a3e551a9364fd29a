//! Runs when the file is loaded: fills in the table of exports for the proxy that loads it. For any
//! other program the table stays empty.

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

/// Identifies the program that loads the file, and exports its kind of module if it is a proxy.
extern "C" fn identify() {
    guarded((), || {
        // SAFETY: the file is being loaded.
        unsafe {
            if opensips::is_host() {
                opensips::become_module(&exports);
            } else if kamailio::is_host() {
                kamailio::become_module(&exports);
            }
        }
    });
}
