//! Our log lines through the log of the proxy that has loaded us.

use super::symbol::Missing;
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::ffi::{CStr, CString};
use std::io::Write;

/// The log of a proxy.
pub trait HostLog: Send + Sync {
    /// Whether lines of this level are wanted now.
    fn wants(&self, level: Level) -> bool;

    /// Writes one line.
    fn write(&self, level: Level, text: &CStr);
}

/// Sends our log to the proxy's from now on, or to stderr where the proxy's own cannot be found: the
/// module will not start then, but the line that says why has to go somewhere.
pub fn install<L: HostLog + 'static>(found: Result<L, Missing>) {
    let log: &'static dyn Log = match found {
        Ok(log) => Box::leak(Box::new(ProxyLog(log))),
        Err(_) => &Stderr,
    };
    // A library that is loaded a second time finds the logger of the first, which is the same.
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
            // A closed stderr cannot be helped.
            let _ = writeln!(std::io::stderr(), "cimf: {}", record.args());
        }
    }

    fn flush(&self) {}
}
