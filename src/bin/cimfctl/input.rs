//! Members from the command line, or from standard input where `-` stands for them.

use crate::failure::Failure;
use std::io::{self, Read};

/// The members that the arguments name; empty lines of standard input are left out.
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
