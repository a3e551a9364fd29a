//! Commands for OpenSIPS's management interface: `cimf_stats`, `cimf_fanouts`, `cimf_cancel`, `cimf_kept`,
//! `cimf_kept_of` and `cimf_kept_drop`.

use super::abi::{MI_ROOM, MiCommand, MiExport};
use super::core::{Core, missing};
use super::module::module;
use crate::fanout::Blocked;
use crate::host::guard::guarded;
use crate::host::kept;
use crate::host::overview::{age, figures, states};
use crate::host::symbol::{Missing, function};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

/// How a command reads its parameters and answers. Answers and their parts are only passed on.
#[derive(Clone, Copy)]
pub struct Mi {
    result_object: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    result_array: unsafe extern "C" fn(*mut *mut c_void) -> *mut c_void,
    result_string: unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void,
    error: unsafe extern "C" fn(c_int, *const c_char, c_int, *const c_char, c_int) -> *mut c_void,
    parameter_error: unsafe extern "C" fn() -> *mut c_void,
    int_parameter: unsafe extern "C" fn(*const c_void, *const c_char, *mut c_int) -> c_int,
    text_parameter:
        unsafe extern "C" fn(*const c_void, *const c_char, *mut *const c_char, *mut c_int) -> c_int,
    add_object: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> *mut c_void,
    add_number: unsafe extern "C" fn(*mut c_void, *const c_char, c_int, f64) -> c_int,
    add_string:
        unsafe extern "C" fn(*mut c_void, *const c_char, c_int, *const c_char, c_int) -> c_int,
}

impl Mi {
    /// Makes the commands known.
    pub fn register(core: &Core) -> Result<Self, String> {
        export(core, c"cimf_stats", c"all counts of cimf", stats, null())?;
        export(
            core,
            c"cimf_fanouts",
            c"the group messages that are under way",
            fanouts,
            null(),
        )?;
        export(
            core,
            c"cimf_cancel",
            c"sends no more copies of the message with this number; parameter: id",
            cancel,
            c"id".as_ptr(),
        )?;
        export(
            core,
            c"cimf_kept",
            c"what is kept for members who are away",
            kept,
            null(),
        )?;
        export(
            core,
            c"cimf_kept_of",
            c"what is kept for a member who is away; parameter: address",
            kept_of,
            c"address".as_ptr(),
        )?;
        export(
            core,
            c"cimf_kept_drop",
            c"drops what is kept for a member; parameter: address",
            kept_drop,
            c"address".as_ptr(),
        )?;
        Self::find().map_err(missing)
    }

    fn find() -> Result<Self, Missing> {
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
    unsafe fn number(&self, object: *mut c_void, name: &str, number: u64) {
        let length = name.len() as c_int;
        // SAFETY: the name has the length that is given, and OpenSIPS makes a copy.
        unsafe { (self.add_number)(object, name.as_ptr().cast(), length, number as f64) };
    }

    /// Adds text.
    ///
    /// # Safety
    /// As for [`Mi::number`].
    unsafe fn text(&self, object: *mut c_void, name: &str, text: &[u8]) {
        let (name_length, length) = (name.len() as c_int, text.len() as c_int);
        let (name, text) = (name.as_ptr().cast(), text.as_ptr().cast());
        // SAFETY: both texts have the lengths that are given, and OpenSIPS makes copies.
        unsafe { (self.add_string)(object, name, name_length, text, length) };
    }

    /// An answer that is text.
    fn done(&self, text: &'static CStr) -> *mut c_void {
        // SAFETY: the text has the length that is given.
        unsafe { (self.result_string)(text.as_ptr(), text.count_bytes() as c_int) }
    }

    /// An answer that is an error.
    fn fault(&self, code: c_int, text: &CStr) -> *mut c_void {
        // SAFETY: the text has the length that is given, and OpenSIPS makes a copy; there are no details.
        unsafe { (self.error)(code, text.as_ptr(), text.count_bytes() as c_int, null(), 0) }
    }

    /// The answer to a command that needs the lock of the queue while a process keeps it from the others.
    fn unavailable(&self, blocked: Blocked) -> *mut c_void {
        let text = CString::new(blocked.to_string()).unwrap_or_default();
        self.fault(503, &text)
    }
}

/// Makes one command known, with the only parameter that it has, or null.
fn export(
    core: &Core,
    name: &'static CStr,
    help: &'static CStr,
    command: MiCommand,
    parameter: *const c_char,
) -> Result<(), String> {
    let mut parameters = [null(); MI_ROOM];
    parameters[0] = parameter;
    // OpenSIPS keeps pointing to it.
    let exported: &'static MiExport = Box::leak(Box::new(MiExport {
        name: name.as_ptr(),
        help: help.as_ptr(),
        flags: 0,
        init_f: null(),
        command: Some(command),
        parameters,
    }));
    // SAFETY: all texts are constant, and a command of zeros follows the first, as a recipe of zeros
    // follows its first, wherever the version looks for them.
    if unsafe { (core.register_mi_mod)(c"cimf".as_ptr(), exported) } != 0 {
        let name = name.to_string_lossy();
        return Err(format!("OpenSIPS refused the MI command {name}"));
    }
    Ok(())
}

/// `cimf_stats`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn stats(_: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let mut object = null_mut();
        // SAFETY: OpenSIPS makes an answer with an object, which is filled.
        unsafe {
            let answer = (mi.result_object)(&mut object);
            if !answer.is_null() {
                for (figure, name, _) in figures() {
                    mi.number(object, &name, figure.read(module.server));
                }
            }
            answer
        }
    })
}

/// `cimf_fanouts`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn fanouts(_: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let fanouts = match module.server.outbox().engine().fanouts() {
            Ok(fanouts) => fanouts,
            Err(blocked) => return mi.unavailable(blocked),
        };
        let mut array = null_mut();
        // SAFETY: OpenSIPS makes an answer with an array, to which objects are added.
        unsafe {
            let answer = (mi.result_array)(&mut array);
            if answer.is_null() {
                return answer;
            }
            for fanout in fanouts {
                let object = (mi.add_object)(array, null(), 0);
                if object.is_null() {
                    break;
                }
                mi.number(object, "id", fanout.message);
                mi.text(object, "group", &fanout.group);
                mi.text(object, "originator", &fanout.originator);
                mi.number(object, "seconds", age(module.server, &fanout));
                for (name, number) in states(&fanout) {
                    mi.number(object, name, number);
                }
            }
            answer
        }
    })
}

/// `cimf_cancel id`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn cancel(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let mut id: c_int = 0;
        // SAFETY: the parameters are those of a command under way, and the number goes where the
        // pointer says. Where there is none, OpenSIPS's own error is the answer.
        unsafe {
            if (mi.int_parameter)(parameters, c"id".as_ptr(), &mut id) < 0 {
                return (mi.parameter_error)();
            }
        }
        let engine = module.server.outbox().engine();
        match u64::try_from(id).map_or(Ok(false), |id| engine.cancel(id)) {
            Ok(true) => mi.done(c"OK"),
            Ok(false) => mi.fault(
                404,
                c"no such message is under way: cimf_fanouts lists those that are",
            ),
            Err(blocked) => mi.unavailable(blocked),
        }
    })
}

impl Mi {
    /// The text of a parameter.
    ///
    /// # Safety
    /// `parameters` must be those of a command under way.
    unsafe fn address(&self, parameters: *const c_void) -> Option<Vec<u8>> {
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
    fn failed(&self, why: &str) -> *mut c_void {
        let text = CString::new(why).unwrap_or_default();
        self.fault(500, &text)
    }
}

/// `cimf_kept`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept(_: *const c_void, _: *mut c_void) -> *mut c_void {
    list(|_| Ok(None))
}

/// `cimf_kept_of address`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept_of(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    // SAFETY: the parameters are those of a command under way. Where there is none, OpenSIPS's own error is the
    // answer.
    list(|mi| match unsafe { mi.address(parameters) } {
        Some(address) => Ok(Some(address)),
        // SAFETY: the function takes nothing.
        None => Err(unsafe { (mi.parameter_error)() }),
    })
}

/// Lists what is kept for whom `address` says, or answers what it says.
fn list(address: impl FnOnce(&Mi) -> Result<Option<Vec<u8>>, *mut c_void>) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        let address = match address(mi) {
            Ok(address) => address,
            Err(answer) => return answer,
        };
        let listed = match kept::list(module.server, address.as_deref()) {
            Ok(listed) => listed,
            Err(why) => return mi.failed(&why),
        };
        let mut array = null_mut();
        // SAFETY: OpenSIPS makes an answer with an array, to which objects are added.
        unsafe {
            let answer = (mi.result_array)(&mut array);
            if answer.is_null() {
                return answer;
            }
            for copy in listed {
                let object = (mi.add_object)(array, null(), 0);
                if object.is_null() {
                    break;
                }
                mi.number(object, "id", copy.message);
                mi.text(object, "recipient", &copy.recipient);
                mi.text(object, "group", &copy.group);
                mi.text(object, "originator", &copy.originator);
                for (name, number) in copy.numbers() {
                    mi.number(object, name, number);
                }
            }
            answer
        }
    })
}

/// `cimf_kept_drop address`.
///
/// # Safety
/// OpenSIPS calls it with the parameters of a command.
unsafe extern "C" fn kept_drop(parameters: *const c_void, _: *mut c_void) -> *mut c_void {
    guarded(null_mut(), || {
        let Some(module) = module() else {
            return null_mut();
        };
        let mi = &module.mi;
        // SAFETY: the parameters are those of a command under way. Where there is none, OpenSIPS's own error is
        // the answer.
        let Some(address) = (unsafe { mi.address(parameters) }) else {
            // SAFETY: the function takes nothing.
            return unsafe { (mi.parameter_error)() };
        };
        let dropped = match kept::drop_all(module.server, &address) {
            Ok(copies) => copies,
            Err(why) => return mi.failed(&why),
        };
        let mut object = null_mut();
        // SAFETY: OpenSIPS makes an answer with an object, which is filled.
        unsafe {
            let answer = (mi.result_object)(&mut object);
            if !answer.is_null() {
                mi.number(object, "copies", dropped);
            }
            answer
        }
    })
}
