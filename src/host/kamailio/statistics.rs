//! Our counts as counters of Kamailio: `kamcmd cnt.grp_get_all cimf`.

use super::core::Core;
use crate::host::statistics;
use crate::server::Server;
use std::ffi::{CString, c_int, c_long, c_void};

/// Registers all figures, or returns the name of the one that Kamailio refused.
pub fn register(core: &Core, server: &'static Server) -> Result<(), String> {
    statistics::register(server, |index, name, documentation| {
        let mut handle = 0;
        // Kamailio keeps pointing to both texts.
        let (name, documentation) = (CString::into_raw(name), CString::into_raw(documentation));
        // SAFETY: the texts end with NUL and are never freed; `read` has the signature of a reader
        // of counters, and its parameter is a number.
        let result: c_int = unsafe {
            (core.counter_register)(
                &mut handle,
                c"cimf".as_ptr(),
                name,
                0,
                read,
                index as *mut c_void,
                documentation,
                0,
            )
        };
        result >= 0
    })
}

/// Reads the figure whose number is the parameter.
extern "C" fn read(_handle: u16, index: *mut c_void) -> c_long {
    c_long::try_from(statistics::read(index as usize)).unwrap_or(c_long::MAX)
}
