//! Looks up functions and variables of the host program by name.

use std::ffi::{CStr, c_void};

/// A symbol of the proxy that is missing.
#[derive(Clone, Copy, Debug)]
pub struct Missing(pub &'static CStr);

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

/// The symbol `name` as a pointer of type `T`.
///
/// # Safety
/// `T` must be the type of a pointer to that symbol: a function pointer of its signature, or a
/// pointer to a variable of its type.
pub unsafe fn function<T: Copy>(name: &'static CStr) -> Result<T, Missing> {
    let address = find(name).ok_or(Missing(name))?;
    // SAFETY: `T` is a pointer to a function or variable of the symbol's type, as is required above.
    Ok(unsafe { as_function(address) })
}

/// An address as a function pointer.
///
/// # Safety
/// `T` must be the type of a function pointer that fits the function at `address`.
pub unsafe fn as_function<T: Copy>(address: *mut c_void) -> T {
    const { assert!(size_of::<T>() == size_of::<*mut c_void>()) };
    // SAFETY: both are pointers of one size, and `T` has the signature of the function, as is required
    // above.
    unsafe { std::mem::transmute_copy(&address) }
}

/// The text of a constant character array of the program, such as Kamailio's `ver_name`.
pub fn text(name: &CStr) -> Option<&'static CStr> {
    let address = find(name)?;
    // SAFETY: these symbols are constant arrays that end with NUL, in a program that stays loaded.
    Some(unsafe { CStr::from_ptr(address.cast()) })
}
