//! Standard output and error. A closed reader must not cause a panic.

use std::io::{self, BufWriter, StdoutLock, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether only what was asked for is printed, and errors.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// From now on confirmations and notes are left out.
pub fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

fn is_quiet() -> bool {
    IS_QUIET.load(Ordering::Relaxed)
}

/// Standard output, written in large pieces: a list may have 100,000 lines.
pub fn standard() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// One line for standard output that was asked for.
pub fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// One line for standard output that says what was done.
pub fn confirm(text: &str) -> io::Result<()> {
    match is_quiet() {
        true => Ok(()),
        false => say(text),
    }
}

/// Such lines for everything of which there may be many.
pub fn confirm_each(lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    if is_quiet() {
        return Ok(());
    }
    let mut out = standard();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

/// Untrusted text, with escape sequences for terminals neutralised. Quotes and backslashes stay, so that addresses can be
/// read in again.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(['"', '\'', '\\']) {
        let plain = part.trim_end_matches(['"', '\'', '\\']);
        shown.extend(plain.escape_debug());
        shown.push_str(&part[plain.len()..]);
    }
    shown
}

/// One line for standard error about something that was not asked for and is no error.
pub fn note(text: &str) {
    if !is_quiet() {
        complain(&format!("note: {text}"));
    }
}

/// One line for standard error, which may have untrusted text in it.
pub fn complain(text: &str) {
    // If standard error is closed as well, only the exit status is left.
    let _ = writeln!(io::stderr().lock(), "cimfctl: {}", harmless(text));
}

/// `count` followed by `one`, in the plural unless `count` is 1.
pub fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}
