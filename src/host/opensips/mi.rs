//! How commands of OpenSIPS's management interface (MI) read their parameters and answer.

use crate::fanout::Blocked;
use crate::host::symbol::{Missing, function};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::null;

/// How a command reads its parameters and answers. Answers and their parts are only passed on.
#[derive(Clone, Copy)]
pub struct Mi {
    pub result_object: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    pub result_array: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    result_string: unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void,
    error: unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, c_int) -> *mut c_void,
    pub parameter_error: unsafe extern "C" fn() -> *mut c_void,
    pub int_parameter: unsafe extern "C" fn(*const c_void, *const c_char, *mut c_int) -> c_int,
    text_parameter:
        unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char, *mut c_int) -> c_int,
    pub add_object: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> *mut c_void,
    add_number: unsafe extern "C" fn(*mut c_void, *const c_char, c_int, f64) -> c_int,
    add_string:
        unsafe extern "C" fn(*mut c_void, *const c_char, c_int, *const c_char, c_int) -> c_int,
}

impl Mi {
    /// Asks OpenSIPS for its functions.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: each field has the signature of the function of its name, from 3.2 to 4.0.
        unsafe {
            Ok(Self {
                result_object: function(c"init_mi_result_object")?,
                result_array: function(c"init_mi_result_array")?,
                result_string: function(c"init_mi_result_string")?,
                error: function(c"init_mi_error_extra")?,
                parameter_error: function(c"init_mi_param_error")?,
                int_parameter: function(c"get_mi_int_param")?,
                text_parameter: function(c"get_mi_string_param")?,
                add_object: function(c"add_mi_object")?,
                add_number: function(c"add_mi_number")?,
                add_string: function(c"add_mi_string")?,
            })
        }
    }

    /// Adds a number to an object of an answer. An answer that does not fit into memory is short.
    ///
    /// # Safety
    /// `object` must be an object of an answer under way.
    pub unsafe fn number(&self, object: *mut c_void, name: &str, number: u64) {
        let length = name.len() as c_int;
        // SAFETY: the name has the length that is given, and OpenSIPS makes a copy.
        unsafe { (self.add_number)(object, name.as_ptr().cast(), length, number as f64) };
    }

    /// Adds text.
    ///
    /// # Safety
    /// As for [`Mi::number`].
    pub unsafe fn text(&self, object: *mut c_void, name: &str, text: &[u8]) {
        let (name_length, length) = (name.len() as c_int, text.len() as c_int);
        let (name, text) = (name.as_ptr().cast(), text.as_ptr().cast());
        // SAFETY: both texts have the lengths that are given, and OpenSIPS makes copies.
        unsafe { (self.add_string)(object, name, name_length, text, length) };
    }

    /// An answer that is text.
    pub fn done(&self, text: &'static CStr) -> *mut c_void {
        // SAFETY: the text has the length that is given.
        unsafe { (self.result_string)(text.as_ptr(), text.count_bytes() as c_int) }
    }

    /// An answer that is an error.
    pub fn fault(&self, code: c_int, text: &CStr) -> *mut c_void {
        // SAFETY: the text has the length that is given, and OpenSIPS makes a copy; there are no details.
        unsafe { (self.error)(code, text.as_ptr(), text.count_bytes() as c_int, null(), 0) }
    }

    /// The answer to a command that needs the lock of the queue while a process keeps it from the others.
    pub fn unavailable(&self, blocked: Blocked) -> *mut c_void {
        let text = CString::new(blocked.to_string()).unwrap_or_default();
        self.fault(503, &text)
    }

    /// The text of a parameter.
    ///
    /// # Safety
    /// `parameters` must be those of a command under way.
    pub unsafe fn address(&self, parameters: *const c_void) -> Option<Vec<u8>> {
        let (mut text, mut length): (*const c_char, c_int) = (null(), 0);
        // SAFETY: the parameters are those of a command under way, and text and length go where the pointers say.
        let result = unsafe {
            (self.text_parameter)(parameters, c"address".as_ptr(), &mut text, &mut length)
        };
        let length = usize::try_from(length)
            .ok()
            .filter(|_| result >= 0 && !text.is_null())?;
        // SAFETY: OpenSIPS keeps the text while the command is under way, and it has this length.
        Some(unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) }.to_vec())
    }

    /// The answer to a command that cannot be carried out.
    pub fn failed(&self, why: &str) -> *mut c_void {
        let text = CString::new(why).unwrap_or_default();
        self.fault(500, &text)
    }
}
