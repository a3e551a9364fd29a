//! The script functions for KEMI, by which a site's script is in Lua, Python or another language: `KSR.cimf.handle()`
//! is `cimf_handle()`, and `KSR.cimf.handle_as(identity)` is `cimf_handle(identity)`.

use super::abi::{KEMI_INT, KEMI_STR, KemiExport};
use super::core::missing;
use super::message::Parameter;
use super::script::with;
use crate::host::abi::{SipMsg, Str, Table};
use crate::host::commands::kept_commands;
use crate::host::guard::guarded;
use crate::host::script::{self, ScriptRequest, Step};
use crate::host::symbol::function;
use std::ffi::{CStr, c_char, c_int, c_void};

/// Makes a function for each row, and the table that Kamailio reads.
macro_rules! functions {
    ($($name:ident($($text:ident)?) = $act:expr;)+) => {
        $(
            /// # Safety
            /// Kamailio calls it with the message that it is handling, and with a text where one is named.
            unsafe extern "C" fn $name(message: *mut SipMsg $(, $text: *const Str)?) -> c_int {
                let parameter = functions!(parameter $($text)?);
                // SAFETY: Kamailio calls this with the message it is handling, and the text stays until it returns.
                unsafe { with(message, parameter, $act) }
            }
        )+

        /// A row of zeros ends it.
        static FUNCTIONS: Table<[KemiExport; [$(stringify!($name)),+].len() + 1]> = Table([
            $(KemiExport {
                module: text(c"cimf"),
                name: text(name(concat!(stringify!($name), "\0"))),
                result: KEMI_INT,
                function: $name as *const c_void,
                parameters: [functions!(kind $($text)?), 0, 0, 0, 0, 0],
            },)+
            KemiExport {
                module: Str::NONE,
                name: Str::NONE,
                result: 0,
                function: std::ptr::null(),
                parameters: [0; 6],
            },
        ]);
    };
    (parameter) => { Parameter::None };
    (parameter $text:ident) => { Parameter::Text($text) };
    (kind) => { 0 };
    (kind $text:ident) => { KEMI_STR };
}

/// Engines rely on the NUL at its end.
const fn text(text: &'static CStr) -> Str {
    Str {
        s: text.as_ptr(),
        len: text.count_bytes() as c_int,
    }
}

const fn name(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(name) => name,
        Err(_) => panic!("a name with a NUL within"),
    }
}

functions! {
    handle() = |server, request| script::run(server, Step::Handle, request);
    handle_as(identity) = |server, request| script::run(server, Step::Handle, request);
    check() = |server, request| script::run(server, Step::Check, request);
    check_as(identity) = |server, request| script::run(server, Step::Check, request);
    reply() = |server, request| script::run(server, Step::Reply, request);
    fork() = |server, request| script::run(server, Step::Fork, request);
    retransmission() = |server, request| script::retransmission(server, request);
    is_copy() = |server, request| script::is_copy(server, request);
    is_utf8() = |_, request| script::is_utf8(request);
    deliver(address) = |server, request| kept_commands::deliver(server, request.identity());
}

/// `mod_register`: Kamailio looks it up and calls it when it has loaded the file, before the table of exports is read.
/// OpenSIPS does not know it.
///
/// # Safety
/// Kamailio calls it with the path of the file and how it was loaded.
#[unsafe(no_mangle)]
unsafe extern "C" fn mod_register(
    _: *mut c_char,
    _: *mut c_int,
    _: *mut c_void,
    _: *mut c_void,
) -> c_int {
    type Add = unsafe extern "C" fn(*const KemiExport) -> c_int;
    guarded(-1, || {
        // SAFETY: the function has this signature in all known versions.
        match unsafe { function::<Add>(c"sr_kemi_modules_add") } {
            // SAFETY: the table ends with a row of zeros, and stays.
            Ok(add) => unsafe { add(FUNCTIONS.0.as_ptr()) },
            Err(symbol) => {
                log::error!("{}", missing(symbol));
                -1
            }
        }
    })
}
