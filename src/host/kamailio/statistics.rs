//! Our counts as counters of Kamailio: `kamcmd cnt.grp_get_all cimf`.

use super::core::Core;
use super::guard::guarded;
use crate::fanout::{Counter, Counters};
use std::ffi::{CString, c_int, c_long, c_void};
use std::sync::OnceLock;

/// The counts that Kamailio reads.
static COUNTERS: OnceLock<&'static Counters> = OnceLock::new();

/// Registers all counters; names the one that Kamailio refused.
pub fn register(core: &Core, counters: &'static Counters) -> Result<(), &'static str> {
    let _ = COUNTERS.set(counters);
    for (counter, name, documentation) in Counter::ALL {
        let mut handle = 0;
        // Kamailio keeps pointing to both texts.
        let text = |text: &str| CString::new(text).map(CString::into_raw).map_err(|_| name);
        let (text_name, text_documentation) = (text(name)?, text(documentation)?);
        // SAFETY: the texts end with NUL and are never freed; `read` has the signature of a reader
        // of counters, and its parameter is a number.
        let result: c_int = unsafe {
            (core.counter_register)(
                &mut handle,
                c"cimf".as_ptr(),
                text_name,
                0,
                read,
                counter as usize as *mut c_void,
                text_documentation,
                0,
            )
        };
        if result < 0 {
            return Err(name);
        }
    }
    Ok(())
}

/// Reads the counter whose index is the parameter.
extern "C" fn read(_handle: u16, counter: *mut c_void) -> c_long {
    guarded(0, || {
        let row = Counter::ALL.get(counter as usize).zip(COUNTERS.get());
        let count = row.map(|((counter, _, _), counters)| counters.get(*counter));
        count.map_or(0, |count| c_long::try_from(count).unwrap_or(c_long::MAX))
    })
}
