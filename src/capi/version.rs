//! Versions.

use std::ffi::c_char;

/// The version of this interface. It grows by one whenever a program that was compiled against an
/// older `cimf.h` would no longer work.
pub const ABI_VERSION: u32 = 1;

/// The version of the interface that the library has. A program compares it with
/// `CIMF_ABI_VERSION` before it calls anything else.
#[unsafe(no_mangle)]
pub extern "C" fn cimf_abi_version() -> u32 {
    ABI_VERSION
}

/// The version of the library, such as "0.1.0". It ends with NUL and is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn cimf_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
