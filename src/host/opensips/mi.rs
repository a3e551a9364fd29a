//! How commands of OpenSIPS's management interface (MI) read their parameters and answer.

use crate::host::commands::{Answer, Fault};
use crate::host::symbol::{Missing, function};
use serde_json::Value;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null;

/// How a command reads its parameters and answers. Answers and their parts are only passed on.
#[derive(Clone, Copy)]
pub struct Mi {
    result_object: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    result_array: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    error: unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, c_int) -> *mut c_void,
    text_parameter:
        unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char, *mut c_int) -> c_int,
    array_parameter:
        unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_void, *mut c_int) -> c_int,
    array_text: unsafe extern "C" fn(*const c_void, c_int, *mut *const c_char, *mut c_int) -> c_int,
    add_object: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> *mut c_void,
    add_number: unsafe extern "C" fn(*mut c_void, *const c_char, c_int, f64) -> c_int,
    add_string:
        unsafe extern "C" fn(*mut c_void, *const c_char, c_int, *const c_char, c_int) -> c_int,
}

/// `MI_PARAM_ERR_BAD_TYPE`: something else is given than was asked for.
const BAD_TYPE: c_int = -2;

impl Mi {
    /// Asks OpenSIPS for its functions.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: each field has the signature of the function of its name, from 3.2 to 4.0.
        unsafe {
            Ok(Self {
                result_object: function(c"init_mi_result_object")?,
                result_array: function(c"init_mi_result_array")?,
                error: function(c"init_mi_error_extra")?,
                text_parameter: function(c"try_get_mi_string_param")?,
                array_parameter: function(c"try_get_mi_array_param")?,
                array_text: function(c"try_get_mi_arr_param_string")?,
                add_object: function(c"add_mi_object")?,
                add_number: function(c"add_mi_number")?,
                add_string: function(c"add_mi_string")?,
            })
        }
    }

    /// The texts of a parameter: those of an array, or the lines of one text; none if it is not given.
    ///
    /// # Safety
    /// `parameters` must be those of a command under way.
    pub unsafe fn texts(
        &self,
        parameters: *const c_void,
        name: &CStr,
        is_several: bool,
    ) -> Result<Vec<String>, Fault> {
        let expected = |what: &str| {
            let name = name.to_string_lossy();
            Fault::given(format!("parameter {name}: expected {what}"))
        };
        let found = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|_| expected("UTF-8"));
        // SAFETY: as is required above; the text goes where the pointers say.
        let text = read(|text, length| unsafe {
            (self.text_parameter)(parameters, name.as_ptr(), text, length)
        });
        match text {
            Ok(bytes) if is_several => {
                let text = found(bytes)?;
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                return Ok(lines.map(str::to_owned).collect());
            }
            Ok(bytes) => return Ok(vec![found(bytes)?]),
            Err(BAD_TYPE) if is_several => {}
            Err(BAD_TYPE) => return Err(expected("a text or a number")),
            Err(_) => return Ok(Vec::new()),
        }
        let (mut array, mut count): (*const c_void, c_int) = (null(), 0);
        // SAFETY: as is required above; the array and its length go where the pointers say.
        let got =
            unsafe { (self.array_parameter)(parameters, name.as_ptr(), &mut array, &mut count) };
        match got {
            0 => {}
            BAD_TYPE => return Err(expected("an array of texts")),
            // It is empty.
            _ => return Ok(Vec::new()),
        }
        let each = (0..count).map(|at| {
            // SAFETY: the array is one of this command and has so many items; the text goes where the pointers say.
            let text = read(|text, length| unsafe { (self.array_text)(array, at, text, length) });
            found(text.map_err(|_| expected("an array of texts"))?)
        });
        each.collect()
    }

    /// An answer.
    pub fn answer(&self, answer: &Answer) -> *mut c_void {
        match answer {
            Ok(Value::Array(all)) => {
                // SAFETY: OpenSIPS makes an answer with an array, to which objects without names are added.
                let (answer, array) = made(|array| unsafe { (self.result_array)(array) });
                for one in all.iter().filter(|_| !answer.is_null()) {
                    // SAFETY: the array is that of an answer under way.
                    let object = unsafe { (self.add_object)(array, null(), 0) };
                    if object.is_null() {
                        break;
                    }
                    // SAFETY: the object is one of an answer under way.
                    unsafe { self.fill(object, one) };
                }
                answer
            }
            Ok(one) => {
                // SAFETY: OpenSIPS makes an answer with an object.
                let (answer, object) = made(|object| unsafe { (self.result_object)(object) });
                if !answer.is_null() {
                    // SAFETY: the object is that of an answer under way.
                    unsafe { self.fill(object, one) };
                }
                answer
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Adds numbers and texts to an object of an answer. An answer that does not fit into memory is short.
    ///
    /// # Safety
    /// `object` must be an object of an answer under way.
    unsafe fn fill(&self, object: *mut c_void, fields: &Value) {
        for (name, value) in fields.as_object().into_iter().flatten() {
            let (name, name_length) = (name.as_ptr().cast(), name.len() as c_int);
            match value {
                Value::Number(number) => {
                    let number = number.as_f64().unwrap_or_default();
                    // SAFETY: the name has the length that is given, and OpenSIPS makes a copy.
                    unsafe { (self.add_number)(object, name, name_length, number) };
                }
                other => {
                    let text = other.as_str().unwrap_or_default();
                    let (text, length) = (text.as_ptr().cast(), text.len() as c_int);
                    // SAFETY: both texts have the lengths that are given, and OpenSIPS makes copies.
                    unsafe { (self.add_string)(object, name, name_length, text, length) };
                }
            }
        }
    }

    fn fault(&self, fault: &Fault) -> *mut c_void {
        let (text, length) = (fault.text.as_ptr().cast(), fault.text.len() as c_int);
        // SAFETY: the text has the length that is given, and OpenSIPS makes a copy; there are no details.
        unsafe { (self.error)(fault.code.into(), text, length, null(), 0) }
    }
}

/// The bytes that a function of OpenSIPS gives, or its error. They are copied: a number becomes a text in a place that the
/// next one takes.
fn read(get: impl FnOnce(*mut *const c_char, *mut c_int) -> c_int) -> Result<Vec<u8>, c_int> {
    let (mut text, mut length): (*const c_char, c_int) = (null(), 0);
    match get(&mut text, &mut length) {
        0 if !text.is_null() => {
            let length = usize::try_from(length).unwrap_or_default();
            // SAFETY: OpenSIPS keeps the text until the next one is asked for, and it has this length.
            Ok(unsafe { std::slice::from_raw_parts(text.cast::<u8>(), length) }.to_vec())
        }
        error => Err(error),
    }
}

/// An answer that a function of OpenSIPS makes, and what of it is to be filled.
fn made(make: impl FnOnce(*mut *mut c_void) -> *mut c_void) -> (*mut c_void, *mut c_void) {
    let mut inside = std::ptr::null_mut();
    (make(&mut inside), inside)
}
