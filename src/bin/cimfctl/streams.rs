//! Standard input, output and error. A closed reader must not cause a panic.

use crate::failure::Failure;
use std::io::{self, BufWriter, Read, StdoutLock, Write};

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
    // If standard error is closed as well, only the exit status is left.
    let _ = writeln!(io::stderr().lock(), "cimfctl: {text}");
}

/// `count` followed by `one`, in the plural unless `count` is 1.
pub fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {one}s"),
    }
}

/// The members that the arguments name, with those of standard input where `-` stands for them; empty lines are left
/// out.
pub fn members(arguments: Vec<String>) -> Result<Vec<String>, Failure> {
    let mut members = Vec::with_capacity(arguments.len());
    for argument in arguments {
        if argument == "-" {
            let mut text = String::new();
            io::stdin()
                .lock()
                .read_to_string(&mut text)
                .map_err(Failure::Input)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            members.extend(lines.map(str::to_owned));
        } else {
            members.push(argument);
        }
    }
    Ok(members)
}
