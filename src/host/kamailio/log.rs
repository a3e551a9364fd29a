//! Our log lines through Kamailio's log, at its levels.

use super::abi::LogData;
use crate::host::abi::Str;
use crate::host::log::HostLog;
use crate::host::symbol::{Missing, function};
use log::Level;
use std::ffi::{CStr, c_char, c_int};
use std::io::Write;

const MODULE: &CStr = c"cimf";

/// A level of the `log` crate in Kamailio's numbers: level, name, and level of syslog.
fn kamailio_level(level: Level) -> (c_int, &'static CStr, c_int) {
    match level {
        Level::Error => (-1, c"ERROR", libc::LOG_ERR),
        Level::Warn => (0, c"WARNING", libc::LOG_WARNING),
        Level::Info => (2, c"INFO", libc::LOG_INFO),
        Level::Debug | Level::Trace => (3, c"DEBUG", libc::LOG_DEBUG),
    }
}

type LogFunction = unsafe extern "C" fn(c_int, *const c_char, ...);
type StructuredLogFunction = unsafe extern "C" fn(*const LogData, *const c_char, ...);

/// What Kamailio's own log macros use.
pub struct KamailioLog {
    debug_level: unsafe extern "C" fn(*const c_char, c_int) -> c_int,
    debug_facility: unsafe extern "C" fn(*const c_char, c_int) -> c_int,
    /// Pointers to variables: they change while Kamailio runs.
    log: *const Option<LogFunction>,
    structured: *const Option<StructuredLogFunction>,
    to_stderr: *const c_int,
    prefix: *const *const Str,
    process: *const c_int,
}

// SAFETY: the pointers are to variables of the core, which only its configuration changes.
unsafe impl Send for KamailioLog {}
// SAFETY: as above.
unsafe impl Sync for KamailioLog {}

impl KamailioLog {
    /// Finds the symbols.
    pub fn find() -> Result<Self, Missing> {
        // SAFETY: both functions take a name and its length and return a number, and the variables
        // have the types of the fields, in all versions.
        unsafe {
            Ok(Self {
                debug_level: function(c"get_debug_level")?,
                debug_facility: function(c"get_debug_facility")?,
                log: function(c"_km_log_func")?,
                structured: function(c"_ksr_slog_func")?,
                to_stderr: function(c"log_stderr")?,
                prefix: function(c"log_prefix_val")?,
                process: function(c"process_no")?,
            })
        }
    }

    /// The prefix that Kamailio's `log_prefix` has made for the message under way.
    fn prefix(&self) -> &[u8] {
        // SAFETY: the variable is a pointer to a `str` or null, and its text lives while the
        // message is handled.
        unsafe {
            let prefix = *self.prefix;
            match prefix.as_ref() {
                Some(Str { s, len }) if !s.is_null() && *len > 0 => {
                    std::slice::from_raw_parts(s.cast(), *len as usize)
                }
                _ => b"",
            }
        }
    }
}

impl HostLog for KamailioLog {
    fn wants(&self, level: Level) -> bool {
        // SAFETY: the name has the length that is given with it.
        let wanted = unsafe { (self.debug_level)(MODULE.as_ptr(), MODULE.count_bytes() as c_int) };
        wanted >= kamailio_level(level).0
    }

    fn write(&self, level: Level, text: &CStr) {
        let (number, name, syslog) = kamailio_level(level);
        // SAFETY: the name has the length that is given with it.
        let facility =
            unsafe { (self.debug_facility)(MODULE.as_ptr(), MODULE.count_bytes() as c_int) };
        // SAFETY: the variables are of these types and always readable.
        let (structured, to_stderr, log) =
            unsafe { (*self.structured, *self.to_stderr, *self.log) };
        if let Some(structured) = structured {
            let data = LogData {
                facility: syslog | facility,
                level: number,
                level_name: name.as_ptr(),
                file: c"cimf".as_ptr(),
                line: 0,
                module: MODULE.as_ptr(),
                function: c"".as_ptr(),
                location: c"cimf: ".as_ptr(),
                pid: 0,
                pid_index: 0,
            };
            // SAFETY: the format takes one text that ends with NUL.
            unsafe { structured(&data, c"%s\n".as_ptr(), text.as_ptr()) };
        } else if to_stderr != 0 {
            // SAFETY: the variable is an int and always readable.
            let process = unsafe { *self.process };
            let mut line = format!(
                "{process:2}({}) {}: ",
                std::process::id(),
                name.to_string_lossy()
            )
            .into_bytes();
            line.extend_from_slice(self.prefix());
            line.extend_from_slice(b"cimf: ");
            line.extend_from_slice(text.to_bytes());
            line.push(b'\n');
            // A closed stderr cannot be helped.
            let _ = std::io::stderr().write_all(&line);
        } else if let Some(log) = log {
            let prefix = self.prefix();
            // SAFETY: the format takes a name, a length with its text, and a text, as given.
            unsafe {
                log(
                    syslog | facility,
                    c"%s: %.*scimf: %s\n".as_ptr(),
                    name.as_ptr(),
                    prefix.len() as c_int,
                    prefix.as_ptr(),
                    text.as_ptr(),
                );
            }
        }
    }
}
