//! Text and bytes in both directions.

use super::error::Failure;
use std::ffi::{CStr, c_char};
use std::ptr::null;

/// Bytes that need not end with NUL and may contain it. `data` may be NULL when `length` is 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    /// The first byte.
    pub data: *const c_char,
    /// The number of bytes.
    pub length: usize,
}

impl Str {
    /// Lends nothing.
    pub fn empty() -> Self {
        Self {
            data: null(),
            length: 0,
        }
    }

    /// Lends `bytes` to the caller.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            data: bytes.as_ptr().cast(),
            length: bytes.len(),
        }
    }
}

/// The bytes that a caller hands in.
///
/// # Safety
/// `data` must be NULL or point to `length` readable bytes that stay unchanged during `'a`.
pub unsafe fn bytes<'a>(what: &str, data: *const u8, length: usize) -> Result<&'a [u8], Failure> {
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Failure::argument(format!(
            "{what}: NULL with a length of {length}"
        )));
    }
    // A negative number that was widened looks like this.
    if length > isize::MAX as usize {
        return Err(Failure::argument(format!(
            "{what}: a length of {length} is none"
        )));
    }
    // SAFETY: `data` points to `length` bytes that stay, as is required above, and is not NULL.
    Ok(unsafe { std::slice::from_raw_parts(data, length) })
}

/// Text that ends with NUL.
///
/// # Safety
/// `text` must be NULL or point to bytes that end with NUL and stay unchanged during `'a`.
pub unsafe fn c_text<'a>(what: &str, text: *const c_char) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::argument(format!(
            "{what}: expected text, found NULL"
        )));
    }
    // SAFETY: the text ends with NUL and stays, as is required above, and is not NULL.
    let text = unsafe { CStr::from_ptr(text) };
    let not_utf8 = |_| Failure::argument(format!("{what}: expected UTF-8, found {text:?}"));
    text.to_str().map_err(not_utf8)
}

/// Writes an output.
///
/// # Safety
/// `out` must be NULL or point to room for a `T`.
pub unsafe fn put<T>(what: &str, out: *mut T, value: T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::argument(format!(
            "{what}: expected room for it, found NULL"
        )));
    }
    // SAFETY: `out` points to room for a `T`, as is required above, and is not NULL; what stood there is
    // overwritten, not dropped.
    unsafe { out.write(value) };
    Ok(())
}

/// What a handle points to.
///
/// # Safety
/// `handle` must be NULL or come from the function that makes such handles, not yet freed.
pub unsafe fn handle<'a, T>(what: &str, handle: *const T) -> Result<&'a T, Failure> {
    // SAFETY: `handle` is NULL or a handle that was not freed yet, as is required above.
    let reference = unsafe { handle.as_ref() };
    reference.ok_or_else(|| Failure::argument(format!("{what}: expected a handle, found NULL")))
}
