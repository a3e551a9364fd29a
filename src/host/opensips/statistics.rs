//! Our counts as statistics of OpenSIPS: `opensips-cli -x mi get_statistics cimf:`.

use super::abi::STAT_IS_FUNC;
use super::core::Core;
use crate::host::statistics;
use crate::server::Server;
use std::ffi::{CString, c_ulong, c_void};

/// Registers all figures, or returns the name of the one that OpenSIPS refused.
pub fn register(core: &Core, server: &'static Server) -> Result<(), String> {
    statistics::register(server, |index, name, _documentation| {
        // OpenSIPS may keep pointing to the name.
        let name = CString::into_raw(name);
        // SAFETY: the texts end with NUL and are never freed; `read` has the signature of a function
        // of statistics, and its parameter is a number.
        let result = unsafe {
            let context = index as *mut c_void;
            (core.register_stat2)(c"cimf".as_ptr(), name, read, STAT_IS_FUNC, context, 0)
        };
        result >= 0
    })
}

/// Reads the figure whose number is the parameter.
extern "C" fn read(index: *mut c_void) -> c_ulong {
    statistics::read(index as usize)
}
