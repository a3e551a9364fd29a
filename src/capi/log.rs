//! The log, for a program that wants it.

use super::error::Status;
use super::error::boundary;
use super::text::Str;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::c_void;
use std::sync::{Mutex, PoisonError};

/// Takes one log line: `context` as given to `cimf_log_set`, the level (1 error, 2 warning, 3
/// information, 4 debug), and the text, valid during the call. What came from outside is escaped
/// in it. It may be called from any thread, but never twice at once, and must not call cimf.
pub type LogCallback = Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Str)>;

struct Target {
    callback: LogCallback,
    context: *mut c_void,
}

// SAFETY: the context is only handed back to the caller, who was told of threads.
unsafe impl Send for Target {}

static TARGET: Mutex<Target> = Mutex::new(Target {
    callback: None,
    context: std::ptr::null_mut(),
});

struct CallbackLog;

impl Log for CallbackLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => 1,
            Level::Warn => 2,
            Level::Info => 3,
            Level::Debug | Level::Trace => 4,
        };
        let text = record.args().to_string();
        let target = TARGET.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(callback) = target.callback {
            // SAFETY: the caller of `cimf_log_set` promised that the callback may be called.
            unsafe { callback(target.context, level, Str::of(text.as_bytes())) };
        }
    }

    fn flush(&self) {}
}

/// Sends the log lines of the whole process up to `level` (0 none, 1 errors, 2 warnings, 3
/// information, 4 debug) to `callback`; NULL ends that.
///
/// # Safety
/// `callback` must be NULL or a function that may be called with `context` until it is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cimf_log_set(
    callback: LogCallback,
    context: *mut c_void,
    level: u32,
) -> Status {
    boundary(|| {
        let filter = match level {
            _ if callback.is_none() => LevelFilter::Off,
            0 => LevelFilter::Off,
            1 => LevelFilter::Error,
            2 => LevelFilter::Warn,
            3 => LevelFilter::Info,
            _ => LevelFilter::Debug,
        };
        *TARGET.lock().unwrap_or_else(PoisonError::into_inner) = Target { callback, context };
        // From the second call on the logger is there already.
        let _ = log::set_logger(&CallbackLog);
        log::set_max_level(filter);
        Ok(())
    })
}
