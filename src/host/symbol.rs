//! Functions and variables of the program that has loaded us, found by name.

use std::ffi::{CStr, c_void};

/// The address of a symbol of the program or of a library it has loaded globally.
pub fn find(name: &CStr) -> Option<*mut c_void> {
    find_in(libc::RTLD_DEFAULT, name)
}

/// The address of a symbol of the library that `dlopen` gave `handle` for.
pub fn find_in(handle: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: `name` ends with NUL, and `handle` is the default one or comes from the host, which
    // keeps its modules loaded.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}
