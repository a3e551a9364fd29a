//! Our log lines through OpenSIPS's log, at its levels.

use crate::host::log::HostLog;
use crate::host::symbol::{Missing, find, function};
use log::Level;
use std::ffi::{CStr, c_char, c_int};

/// The module, and in place of a function, too.
const NAME: &CStr = c"cimf";

/// A level of the `log` crate in OpenSIPS's numbers, with the formats of its lines.
struct Format {
    level: c_int,
    syslog_level: c_int,
    /// With time and process, as the log to stderr wants it; since 3.4 with a prefix, and with the
    /// name of a function.
    plain: &'static CStr,
    prefixed: &'static CStr,
    /// As syslog wants it.
    syslog: &'static CStr,
    prefixed_syslog: &'static CStr,
}

fn format_of(level: Level) -> Format {
    match level {
        Level::Error => Format {
            level: -1,
            syslog_level: libc::LOG_ERR,
            plain: c"%s [%d] ERROR:cimf: %s\n",
            prefixed: c"%s [%d] %sERROR:cimf:%.0s %s\n",
            syslog: c"ERROR:cimf: %s\n",
            prefixed_syslog: c"%sERROR:cimf:%.0s %s\n",
        },
        Level::Warn => Format {
            level: 1,
            syslog_level: libc::LOG_WARNING,
            plain: c"%s [%d] WARNING:cimf: %s\n",
            prefixed: c"%s [%d] %sWARNING:cimf:%.0s %s\n",
            syslog: c"WARNING:cimf: %s\n",
            prefixed_syslog: c"%sWARNING:cimf:%.0s %s\n",
        },
        Level::Info => Format {
            level: 3,
            syslog_level: libc::LOG_INFO,
            plain: c"%s [%d] INFO:cimf: %s\n",
            prefixed: c"%s [%d] %sINFO:cimf:%.0s %s\n",
            syslog: c"INFO:cimf: %s\n",
            prefixed_syslog: c"%sINFO:cimf:%.0s %s\n",
        },
        Level::Debug | Level::Trace => Format {
            level: 4,
            syslog_level: libc::LOG_DEBUG,
            plain: c"%s [%d] DBG:cimf: %s\n",
            prefixed: c"%s [%d] %sDBG:cimf:%.0s %s\n",
            syslog: c"DBG:cimf: %s\n",
            prefixed_syslog: c"%sDBG:cimf:%.0s %s\n",
        },
    }
}

/// `dprint` until 3.3: to stderr.
type PrintLine = unsafe extern "C" fn(*const c_char, ...);

/// `dprint` since 3.4: level, facility, module, function, the formats for stderr and syslog with time,
/// process and prefix before the text, and the format of the text alone.
type PrintAnywhere = unsafe extern "C" fn(
    c_int,
    c_int,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    *const c_char,
    ...
);

/// What OpenSIPS's own log macros use. The pointers are to variables that change while it runs.
pub struct OpenSipsLog {
    level: *const *const c_int,
    facility: *const c_int,
    print: Print,
}

enum Print {
    /// Until 3.3, with the variable that says whether stderr or syslog is wanted.
    Plain(PrintLine, *const c_int),
    /// Since 3.4, with the prefix.
    Anywhere(PrintAnywhere, *const *const c_char),
}

// SAFETY: the pointers are to variables of the core, which only its configuration changes.
unsafe impl Send for OpenSipsLog {}
// SAFETY: as above.
unsafe impl Sync for OpenSipsLog {}

impl OpenSipsLog {
    /// Finds the symbols.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: the variables have the types of the fields, and the function has the signature of
        // its version: the new one came with `core_scm_ver` in 3.4.0.
        unsafe {
            Ok(Self {
                level: function(c"log_level")?,
                facility: function(c"log_facility")?,
                print: match find(c"core_scm_ver") {
                    Some(_) => Print::Anywhere(function(c"dprint")?, function(c"log_prefix")?),
                    None => Print::Plain(function(c"dprint")?, function(c"log_stderr")?),
                },
            })
        }
    }
}

impl HostLog for OpenSipsLog {
    fn wants(&self, level: Level) -> bool {
        // SAFETY: the variable points to the level of this process from the start.
        unsafe { **self.level >= format_of(level).level }
    }

    fn write(&self, level: Level, text: &CStr) {
        let format = format_of(level);
        let process = std::process::id().cast_signed();
        // SAFETY: the variable is an int and always readable.
        let facility = unsafe { *self.facility };
        match self.print {
            // SAFETY: the variable is an int, and the format takes a time, a number and a text.
            Print::Plain(print, to_stderr) if unsafe { *to_stderr } != 0 => unsafe {
                let plain = format.plain.as_ptr();
                print(plain, now().as_ptr(), process, text.as_ptr());
            },
            // SAFETY: the format takes one text that ends with NUL.
            Print::Plain(..) => unsafe {
                let level = format.syslog_level | facility;
                libc::syslog(level, format.syslog.as_ptr(), text.as_ptr());
            },
            // Without the name of a function, logs in JSON and the event E_CORE_LOG would leave out
            // that of the module, too. The other formats print nothing of it.
            // SAFETY: the formats take what OpenSIPS's own macros give: time, process, prefix,
            // function and text.
            Print::Anywhere(print, prefix) => unsafe {
                print(
                    format.level,
                    facility,
                    NAME.as_ptr(),
                    NAME.as_ptr(),
                    format.prefixed.as_ptr(),
                    format.prefixed_syslog.as_ptr(),
                    c"%s\n".as_ptr(),
                    now().as_ptr(),
                    process,
                    *prefix,
                    NAME.as_ptr(),
                    text.as_ptr(),
                );
            },
        }
    }
}

/// The time as OpenSIPS writes it, `Nov 22 22:38:26`, with a NUL behind it.
fn now() -> [c_char; 32] {
    let mut text = [0; 32];
    // SAFETY: the functions read and write the variables that are given to them, and no more of the
    // text than its length; the text stays zeros where they fail.
    unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        let mut parts = std::mem::zeroed();
        if !libc::localtime_r(&seconds, &mut parts).is_null() {
            libc::strftime(text.as_mut_ptr(), text.len(), c"%b %e %T".as_ptr(), &parts);
        }
    }
    text
}
