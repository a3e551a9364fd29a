//! Our log lines through Kamailio's log, at its levels.

use super::abi::{LogData, Str};
use crate::host::symbol::find;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt::Display;
use std::io::Write;
use std::sync::OnceLock;

const MODULE: &CStr = c"cimf";

/// A level of ours in Kamailio's numbers: level, name, and level of syslog.
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
struct KamailioLog {
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

static LOG: OnceLock<KamailioLog> = OnceLock::new();

/// Sends our log to Kamailio's from now on; names the symbol that is missing.
pub fn install() -> Result<(), &'static CStr> {
    let log = KamailioLog::find()?;
    let log = LOG.get_or_init(|| log);
    // Only a second start in one process finds a logger here, and that one is the same.
    if log::set_logger(log).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
    Ok(())
}

/// Writes why the module does not start. Errors of parameters come before the module starts, so
/// this may be the first line.
pub fn start_error(error: &dyn Display) {
    match install() {
        Ok(()) => log::error!("{error}"),
        Err(missing) => {
            let missing = missing.to_string_lossy();
            // There is no log yet, and a closed stderr cannot be helped.
            let _ = writeln!(std::io::stderr(), "cimf: {error} (and no symbol {missing})");
        }
    }
}

impl KamailioLog {
    fn find() -> Result<Self, &'static CStr> {
        fn symbol(name: &'static CStr) -> Result<*mut c_void, &'static CStr> {
            find(name).ok_or(name)
        }
        // SAFETY: both functions take a name and its length and return a number, in all versions.
        let (debug_level, debug_facility) = unsafe {
            (
                super::core::as_function(symbol(c"get_debug_level")?),
                super::core::as_function(symbol(c"get_debug_facility")?),
            )
        };
        Ok(Self {
            debug_level,
            debug_facility,
            log: symbol(c"_km_log_func")?.cast_const().cast(),
            structured: symbol(c"_ksr_slog_func")?.cast_const().cast(),
            to_stderr: symbol(c"log_stderr")?.cast_const().cast(),
            prefix: symbol(c"log_prefix_val")?.cast_const().cast(),
            process: symbol(c"process_no")?.cast_const().cast(),
        })
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

impl Log for KamailioLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // SAFETY: the name has the length that is given with it.
        let wanted = unsafe { (self.debug_level)(MODULE.as_ptr(), MODULE.count_bytes() as c_int) };
        wanted >= kamailio_level(metadata.level()).0
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Text from outside is escaped where it enters a line; a NUL would only cut the line.
        let text = record.args().to_string().replace(['\0', '\n'], " ");
        if let Ok(text) = CString::new(text) {
            self.write(record.level(), &text);
        }
    }

    fn flush(&self) {}
}
