//! What is written, and where. A reader that has gone is no reason to panic.

use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, written in large pieces: a list may have 100,000 lines.
pub fn standard() -> BufWriter<StdoutLock<'static>> {
    BufWriter::new(io::stdout().lock())
}

/// One line for standard output.
pub fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// One line for standard error.
pub fn complain(text: &str) {
    // With standard error gone too, the exit status is all that is left to say it.
    let _ = writeln!(io::stderr().lock(), "cimfctl: {text}");
}

/// `count` with the word for one or more things.
pub fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}
