//! The C interface of `include/cimf.h`, for programs that are no proxy.
//!
//! Every function is guarded: a panic never reaches the caller. Outputs are written on success
//! only. Text from outside enters through [`text::bytes`] alone.

pub mod decision;
pub mod error;
pub mod log;
pub mod server;
pub mod text;

use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `work`, which cannot fail but for a panic, for a C caller.
fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(otherwise)
}

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
