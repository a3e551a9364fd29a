//! The proxy's script for one contender.

use crate::support::proxy::proxy;

/// The script with the sections that are there for one name, between `#!ifdef NAME` and `#!endif`, and without all
/// others. Kamailio could leave them out itself, OpenSIPS could not.
pub fn of(define: &str) -> String {
    let text = match proxy().name() {
        "OpenSIPS" => include_str!("opensips.cfg"),
        _ => include_str!("kamailio.cfg"),
    };
    let mut script = String::new();
    let mut is_in = true;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("#!ifdef ") {
            is_in = name == define;
        } else if line == "#!endif" {
            is_in = true;
        } else if is_in {
            script += line;
            script.push('\n');
        }
    }
    script
}
