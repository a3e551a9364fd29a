//! Log lines of cimf through the log of the proxy.

use super::symbol::Missing;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::{CStr, CString};
use std::io::Write;

/// The log of a proxy.
pub trait HostLog: Send + Sync {
    /// Whether lines of this level are currently logged.
    fn wants(&self, level: Level) -> bool;

    /// Writes one line.
    fn write(&self, level: Level, text: &CStr);
}

/// Sends log lines to the proxy's log from now on, or to stderr if that cannot be found: the module
/// will not start then, but the reason must be logged somewhere.
pub fn install<L: HostLog + 'static>(found: Result<L, Missing>) {
    let log: &'static dyn Log = match found {
        Ok(log) => Box::leak(Box::new(ProxyLog(log))),
        Err(_) => &Stderr,
    };
    // If the library is loaded a second time, the logger of the first is in place, which is the same.
    if log::set_logger(log).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

struct ProxyLog<L>(L);

impl<L: HostLog> Log for ProxyLog<L> {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.wants(metadata.level())
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Text from outside is escaped where it enters a line; a NUL would only cut the line.
        let text = record.args().to_string().replace(['\0', '\n'], " ");
        if let Ok(text) = CString::new(text) {
            self.0.write(record.level(), &text);
        }
    }

    fn flush(&self) {}
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Nothing can be done if stderr is closed.
            let _ = writeln!(std::io::stderr(), "cimf: {}", record.args());
        }
    }

    fn flush(&self) {}
}
